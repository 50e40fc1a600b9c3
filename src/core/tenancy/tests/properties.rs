//! What holds for every order of changes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// Few names, so that they meet.
fn entity() -> impl Strategy<Value = Entity> {
    let name = || prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned);
    let parent = || prop::sample::select(vec!["", "a", "b", "c"]).prop_map(str::to_owned);
    let level = prop::sample::select(Level::ALL.to_vec());
    let tenant = (
        (parent(), parent(), parent()),
        prop::option::of(prop::collection::vec(name(), 0..3)),
        prop::collection::btree_set(0_u8..5, 0..3),
        prop::collection::vec(0_u64..3, 0..2),
        any::<bool>(),
    )
        .prop_map(|((org, team, user), models, secrets, budgets, disabled)| {
            let secrets = secrets.into_iter().map(|secret| Secret {
                sha256: KeyHash::of(&[secret]),
                expires: None,
            });
            Box::new(Tenant {
                org,
                team,
                user,
                models,
                disabled,
                secrets: secrets.collect(),
                budgets: budgets.into_iter().map(budget).collect(),
                ..Tenant::default()
            })
        });
    let tenants =
        (level, name(), prop::option::weighted(0.8, tenant)).prop_map(|(level, name, tenant)| {
            let tenant = tenant.map(|mut tenant| {
                // No level has a parent on its own level or below, and only keys have hashes.
                match level {
                    Level::Org => (tenant.org, tenant.team, tenant.user) = Default::default(),
                    Level::Team => (tenant.team, tenant.user) = Default::default(),
                    Level::User => tenant.user = String::new(),
                    Level::Key => return tenant,
                }
                tenant.secrets.clear();
                tenant
            });
            Entity::Tenant(level, name, tenant)
        });
    let common = prop::sample::select(vec!["everyone", "model:a", "tag:b"]);
    let commons = (common, prop::option::of(0_u64..3)).prop_map(|(scope, dollars)| {
        let common = dollars.map(|dollars| Common {
            budgets: vec![budget(dollars)],
            ..Common::default()
        });
        Entity::Common(CommonScope::read(scope).unwrap(), common)
    });
    let switch = (name(), any::<bool>()).prop_map(|(name, off)| {
        let off = off.then(SwitchedOff::default);
        Entity::Switch(Switch::Model(name), off)
    });
    prop_oneof![6 => tenants, 1 => commons, 1 => switch]
}

/// What can be written of a tenant.
fn form() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::json;
    let dollars =
        || (0_u64..5_000_000).prop_map(|mills| format!("{}.{:03}", mills / 1_000, mills % 1_000));
    let window = || prop::sample::select(vec!["day", "week", "month", "total"]);
    let short = (dollars(), window(), any::<bool>()).prop_map(|(max, window, clock)| {
        let mut form = json!({"max_budget": max, "budget_duration": window});
        if clock && window != "total" {
            form["time_zone"] = json!("America/New_York");
        }
        form
    });
    let hard = (dollars(), window(), 1_u64..60_000, 0_u32..100).prop_map(|(max, window, wait, tokens)| {
        json!({
            "name": "one", "max": max, "window": window, "refuse_with": 402, "strict_records": true,
            "when_tight": format!("wait {wait}ms"), "charge_on_disconnect": format!("seen_plus {tokens}"),
            "when_unreachable": {"debt": max}, "steps": {"40": "warn", "95": "refuse"},
        })
    });
    let soft = (dollars(), window()).prop_map(|(max, window)| {
        json!({"name": "soft", "max": max, "window": window, "mode": "soft", "downgrade_to": "small"})
    });
    let audit = dollars()
        .prop_map(|max| json!({"max": max, "window": "week", "mode": "audit", "overflow": "10%"}));
    let list = (
        prop::option::of(hard),
        prop::option::of(soft),
        prop::option::of(audit),
    );
    (prop::option::of(short), list, any::<bool>()).prop_map(|(short, (hard, soft, audit), more)| {
        let mut form = short.unwrap_or_else(|| json!({}));
        let list: Vec<_> = [hard, soft, audit].into_iter().flatten().collect();
        // Without a budget in short there may be the same window only by another name.
        let clash = form["budget_duration"] == "week";
        let list: Vec<_> = list
            .into_iter()
            .filter(|it| !clash || it["mode"] != "audit")
            .collect();
        form["budgets"] = json!(list);
        if more {
            form["rpm_limit"] = json!(7);
            form["burst"] = json!("200%");
            form["models"] = json!(["small"]);
            form["tags"] = json!(["a", "b"]);
            form["expires"] = json!("2030-01-31T18:00:00Z");
            form["user"] = json!("alice");
            form["disabled"] = json!(true);
        }
        form
    })
}

fn read(form: &serde_json::Value) -> Tenant {
    let known = crate::config::check::Known::default();
    let (_, tenant) = crate::config::check::read_tenant(Level::Key, &form.into(), &known).unwrap();
    tenant
}

proptest! {
    #[test]
    fn what_is_shown_can_be_written(form in form()) {
        let tenant = read(&form);
        let shown = serde_json::Value::Object(form::tenant(&tenant));
        let again = read(&shown);
        let sorted = |tenant: &Tenant| {
            let mut budgets = tenant.budgets.clone();
            budgets.sort_by_key(|budget| (budget.window, budget.name.clone()));
            Tenant { budgets, ..tenant.clone() }
        };
        prop_assert_eq!(sorted(&again), sorted(&tenant));
        prop_assert_eq!(serde_json::Value::Object(form::tenant(&again)), shown);
        // And a store keeps it.
        let entity = Entity::Tenant(Level::Key, "k".to_owned(), Some(Box::new(tenant)));
        let body = entity.body();
        prop_assert_eq!(Entity::read(entity.kind(), "k", body.as_deref()).unwrap(), entity);
    }

    #[test]
    fn step_by_step_is_the_same_as_all_at_once(entities in prop::collection::vec(entity(), 0..40)) {
        let mut stepwise = Directory::default();
        let mut last: BTreeMap<(Kind, String), Entity> = BTreeMap::new();
        for (revision, entity) in (1..).zip(entities) {
            if stepwise.apply(entity.clone(), revision).is_ok() {
                last.insert((entity.kind(), entity.id()), entity);
            }
        }
        let rebuilt = Directory::of(last.into_values(), stepwise.revision()).unwrap();
        prop_assert_eq!(stepwise.keys().collect::<Vec<_>>(), rebuilt.keys().collect::<Vec<_>>());
        prop_assert_eq!(stepwise.commons(), rebuilt.commons());
        prop_assert_eq!(stepwise.scopes().collect::<Vec<_>>(), rebuilt.scopes().collect::<Vec<_>>());
        prop_assert_eq!(stepwise.entities().collect::<Vec<_>>(), rebuilt.entities().collect::<Vec<_>>());
        for (level, name) in Level::ALL.into_iter().flat_map(|level| ["a", "b", "c"].map(|name| (level, name))) {
            let members: Vec<_> = stepwise.members(level, name).collect();
            prop_assert_eq!(members, rebuilt.members(level, name).collect::<Vec<_>>());
        }
    }

    #[test]
    fn who_follows_the_changes_knows_what_who_asks_anew_knows(
        entities in prop::collection::vec(entity(), 1..40),
        pauses in prop::collection::vec(any::<bool>(), 40),
    ) {
        let hashes: Vec<KeyHash> = (0_u8..5).map(|secret| KeyHash::of(&[secret])).collect();
        let mut directory = Directory::default();
        let mut known: BTreeMap<KeyHash, Option<Key>> = BTreeMap::new();
        let (mut since, mut commons) = (0, directory.commons());
        for (revision, (entity, pause)) in (1..).zip(entities.into_iter().zip(pauses)) {
            // A conflict changes nothing, and is no reason to stop.
            let _ = directory.apply(entity, revision);
            if pause {
                continue;
            }
            let changed = directory.changed(since);
            match changed.keys {
                ChangedKeys::All => known.clear(),
                ChangedKeys::These(keys) => {
                    known.extend(keys.iter().map(|hash| (*hash, directory.key(hash))));
                }
            }
            if changed.commons {
                commons = directory.commons();
            }
            since = changed.revision;
            for hash in &hashes {
                let mine = known.entry(*hash).or_insert_with(|| directory.key(hash));
                prop_assert_eq!(&*mine, &directory.key(hash));
            }
            prop_assert_eq!(&commons, &directory.commons());
        }
    }

    #[test]
    fn a_store_gives_back_what_it_was_given(entity in entity()) {
        let body = entity.body();
        let read = Entity::read(entity.kind(), &entity.id(), body.as_deref()).unwrap();
        prop_assert_eq!(&read, &entity);
        prop_assert_eq!(Kind::read(entity.kind().name()), Some(entity.kind()));
    }

    #[test]
    fn after_the_plan_the_file_is_in_force(
        before in prop::collection::vec(entity(), 0..20),
        file in prop::collection::vec(entity(), 0..10),
    ) {
        let mut directory = Directory::default();
        for (revision, entity) in (1..).zip(before) {
            let of_file = with_manager(entity, if revision % 2 == 0 { Managed::File } else { Managed::Api });
            let _ = directory.apply(of_file, revision);
        }
        // A file has each name and each hash once.
        let mut described = Directory::default();
        for entity in file {
            let _ = described.apply(with_manager(entity, Managed::File), 1);
        }
        let file: Vec<Entity> = described.entities().filter(|it| it.kind() != Kind::Switch).collect();
        let mut after = directory.clone();
        for entity in plan(&directory, &file) {
            if after.apply(entity, 100).is_err() {
                // The hash of a key that the admin API made: the start fails, and says so.
                return Ok(());
            }
        }
        let of_file: BTreeSet<_> = after.entities().filter(plan::is_of_file).map(|it| (it.kind(), it.id())).collect();
        let wanted: BTreeSet<_> = file.iter().map(|it| (it.kind(), it.id())).collect();
        prop_assert_eq!(of_file, wanted);
        prop_assert_eq!(plan(&after, &file), vec![]);
    }
}

fn with_manager(entity: Entity, by: Managed) -> Entity {
    match entity.clone() {
        Entity::Tenant(level, name, Some(mut tenant)) => {
            tenant.managed = by;
            Entity::Tenant(level, name, Some(tenant))
        }
        Entity::Common(scope, Some(mut common)) => {
            common.managed = by;
            Entity::Common(scope, Some(common))
        }
        Entity::Tenant(_, _, None) | Entity::Common(_, None) | Entity::Switch(..) => entity,
    }
}
