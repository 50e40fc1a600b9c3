//! What follows from what, as tables and stories.

use super::*;
use crate::config::{Key, Limits, OnDisconnect, Records};
use crate::money::ids::ScopeId;
use crate::money::thresholds::{self, Action, STEPS, Step};
use crate::money::window::Period;
use crate::units::NanoUsd;

mod properties;

fn tenant(level: Level, name: &str, change: impl FnOnce(&mut Tenant)) -> Entity {
    let mut tenant = Box::<Tenant>::default();
    if level == Level::Key {
        tenant.secrets.push(Secret {
            sha256: KeyHash::of(name.as_bytes()),
            expires: None,
        });
    }
    change(&mut tenant);
    Entity::Tenant(level, name.to_owned(), Some(tenant))
}

fn budget(dollars: u64) -> Budget {
    Budget {
        max: NanoUsd(dollars * 1_000_000_000),
        window: Period::Month,
        ..Budget::default()
    }
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn directory(entities: impl IntoIterator<Item = Entity>) -> Directory {
    Directory::of(entities, 1).unwrap()
}

/// acme > search > alice > k.
fn house() -> Directory {
    directory([
        tenant(Level::Org, "acme", |org| {
            org.budgets.push(budget(1_000));
            org.models = Some(names(&["small", "large", "local"]));
            org.tier = "free".to_owned();
            org.tags = names(&["acme"]);
        }),
        tenant(Level::Team, "search", |team| {
            team.org = "acme".to_owned();
            team.models = Some(names(&["local", "small", "other"]));
            team.limits.rpm_limit = Some(60);
        }),
        tenant(Level::User, "alice", |user| {
            user.team = "search".to_owned();
            user.tier = "premium".to_owned();
            user.budgets.push(budget(10));
        }),
        tenant(Level::Key, "k", |key| {
            key.user = "alice".to_owned();
            key.tags = names(&["chat", "acme"]);
            key.budgets.push(budget(1));
        }),
    ])
}

fn key_of(directory: &Directory, name: &str) -> Option<Key> {
    directory.key(&KeyHash::of(name.as_bytes()))
}

#[test]
fn a_key_has_what_all_levels_above_it_say() {
    let key = key_of(&house(), "k").unwrap();
    assert_eq!(
        [&key.org, &key.team, &key.user, &key.tier],
        ["acme", "search", "alice", "premium"]
    );
    assert_eq!(key.models, Some(names(&["small", "local"])));
    assert_eq!((key.endpoints, key.tags), (None, names(&["acme", "chat"])));
    let purses: Vec<&str> = key.purses.iter().map(|purse| purse.name.as_str()).collect();
    assert_eq!(purses, ["org:acme", "user:alice", "key:k"]);
    assert_eq!(key.purses[0].scope, ScopeId::named("org:acme"));
    assert_eq!(key.limits.len(), 1);
    assert_eq!(key.limits[0].name, "team:search");
    assert!(!key.disabled);
}

#[test]
fn where_a_key_belongs_follows_from_who_knows_best() {
    // What the key says, the user says, the team `one` says: the org and team of the key.
    for (key_says, user_says, team_org, want) in [
        (("", ""), ("", ""), "", ("", "")),
        (("o", ""), ("", ""), "", ("o", "")),
        (("o", "one"), ("", ""), "", ("o", "one")),
        (("o", "one"), ("", ""), "p", ("p", "one")),
        (("", ""), ("u", "one"), "", ("u", "one")),
        (("", "two"), ("u", "one"), "p", ("u", "two")),
        (("", ""), ("", "one"), "p", ("p", "one")),
    ] {
        let directory = directory([
            tenant(Level::Team, "one", |team| team.org = team_org.to_owned()),
            tenant(Level::User, "u", |user| {
                (user.org, user.team) = (user_says.0.to_owned(), user_says.1.to_owned());
            }),
            tenant(Level::Key, "k", |key| {
                key.user = "u".to_owned();
                (key.org, key.team) = (key_says.0.to_owned(), key_says.1.to_owned());
            }),
        ]);
        let key = key_of(&directory, "k").unwrap();
        assert_eq!((key.org.as_str(), key.team.as_str()), want);
    }
}

#[test]
fn whoever_is_off_refuses_all_below() {
    for level in Level::ALL {
        for by_file in [false, true] {
            let mut directory = house();
            let name = match level {
                Level::Org => "acme",
                Level::Team => "search",
                Level::User => "alice",
                Level::Key => "k",
            };
            let mut tenant = directory.tenant(level, name).unwrap().clone();
            if by_file {
                tenant.disabled = true;
            } else {
                tenant.suspended = true;
            }
            let entity = Entity::Tenant(level, name.to_owned(), Some(Box::new(tenant)));
            directory.apply(entity, 2).unwrap();
            assert!(key_of(&directory, "k").unwrap().disabled, "{level:?}");
        }
    }
}

#[test]
fn a_rotated_key_is_known_by_both_hashes_and_the_old_one_ends() {
    let directory = directory([tenant(Level::Key, "k", |key| {
        key.expires = Some(500);
        key.secrets[0].expires = Some(100);
        key.secrets.push(Secret {
            sha256: KeyHash::of(b"new"),
            expires: None,
        });
    })]);
    let ends = |secret: &str| key_of(&directory, secret).unwrap().expires;
    assert_eq!((ends("k"), ends("new")), (Some(100), Some(500)));
    assert_eq!(key_of(&directory, "other"), None);
}

#[test]
fn the_terms_of_a_purse_are_the_strictest_of_its_budgets() {
    let with = |mode, change: fn(&mut Budget)| {
        let mut budget = Budget { mode, ..budget(1) };
        change(&mut budget);
        budget
    };
    let terms = |budgets: Vec<Budget>| budget::purse("team:t", &budgets).unwrap().terms;
    let one = with(Mode::Hard, |it| {
        it.terms.wait_ms = 500;
        it.terms.debt = NanoUsd(7);
        it.terms.on_disconnect = OnDisconnect::Reserved;
    });
    let two = with(Mode::Hard, |it| {
        it.terms.debt = NanoUsd(9);
        it.terms.refuse_with = 402;
    });
    let soft = with(Mode::Soft, |it| {
        it.terms.wait_ms = 0;
        it.terms.downgrade_to = Some("local".to_owned());
        it.terms.records = Records::Strict;
    });
    let all = terms(vec![one, two, soft.clone()]);
    assert_eq!(
        (all.wait_ms, all.debt, all.refuse_with),
        (500, NanoUsd(7), 402)
    );
    assert_eq!(all.on_disconnect, OnDisconnect::Reserved);
    assert_eq!(all.downgrade_to.as_deref(), Some("local"));
    assert!(all.hard);
    assert_eq!(all.records, Records::Strict);
    assert!(!terms(vec![soft]).hard);
    let toothless = with(Mode::Hard, |it| it.steps.truncate(2));
    assert!(!terms(vec![toothless]).hard);
}

#[test]
fn a_budget_keeps_its_account_when_it_changes_and_not_its_window() {
    let base = budget(1);
    let id = |change: fn(&mut Budget)| {
        let mut budget = base.clone();
        change(&mut budget);
        budget_id("team:t", &budget)
    };
    let same = id(|_| {});
    assert_eq!(id(|it| it.max = NanoUsd(5)), same);
    assert_eq!(id(|it| it.mode = Mode::Audit), same);
    assert_eq!(id(|it| it.steps.clear()), same);
    assert_ne!(id(|it| it.window = Period::Day), same);
    assert_ne!(id(|it| it.time_zone = "Europe/Berlin".to_owned()), same);
    assert_ne!(id(|it| it.name = "soft".to_owned()), same);
    assert_ne!(budget_id("team:u", &base), same);
}

#[test]
fn the_ledger_gets_budgets_that_bind_as_their_mode_says() {
    for (mode, want_mode, at_hundred) in [
        (Mode::Hard, thresholds::Mode::Enforce, Action::Refuse),
        (Mode::Soft, thresholds::Mode::Enforce, Action::Warn),
        (Mode::Audit, thresholds::Mode::Audit, Action::Refuse),
    ] {
        let directory = directory([tenant(Level::Team, "t", |team| {
            team.budgets.push(Budget {
                mode,
                overflow_percent: 10,
                ..budget(3)
            });
        })]);
        let [scope] = &directory.scopes().collect::<Vec<_>>()[..] else {
            panic!("one scope");
        };
        assert_eq!(
            (scope.name.as_str(), scope.id),
            ("team:t", ScopeId::named("team:t"))
        );
        let spec = &scope.budgets[0];
        assert_eq!(
            (spec.period, spec.time_zone.as_str()),
            (Period::Month, "UTC")
        );
        assert_eq!(
            (spec.budget.limit, spec.budget.overflow_percent),
            (NanoUsd(3_000_000_000), 10)
        );
        assert_eq!(spec.budget.mode, want_mode);
        let last = Step {
            percent: 100,
            action: at_hundred,
        };
        assert_eq!(spec.budget.steps.last(), Some(&last));
        assert_eq!(spec.budget.steps.len(), STEPS.len());
    }
}

#[test]
fn a_scope_without_budgets_is_known_as_long_as_its_tenant_is() {
    let mut directory = house();
    let id = ScopeId::named("user:alice");
    let bare = tenant(Level::User, "alice", |_| {});
    assert_eq!(directory.apply(bare, 2).unwrap().scope, Some(id));
    assert_eq!(directory.scope(id).unwrap().budgets, []);
    assert!(directory.scopes().all(|scope| scope.id != id));
    let gone = Entity::Tenant(Level::User, "alice".to_owned(), None);
    assert_eq!(directory.apply(gone, 3).unwrap().scope, Some(id));
    assert_eq!(directory.scope(id), None);
    let untouched = tenant(Level::Team, "other", |team| team.tier = "x".to_owned());
    directory.apply(untouched.clone(), 4).unwrap();
    assert_eq!(directory.apply(untouched, 5).unwrap(), Touched::default());
}

#[test]
fn commons_are_by_model_and_tag_and_switches_by_kind() {
    let common = |dollars| {
        Some(Common {
            budgets: vec![budget(dollars)],
            ..Common::default()
        })
    };
    let off = Some(SwitchedOff::default());
    let read = |text| Switch::read(text).unwrap();
    let commons = directory([
        Entity::Common(CommonScope::Everyone, common(9)),
        Entity::Common(CommonScope::Model("small".to_owned()), common(3)),
        Entity::Common(
            CommonScope::Tag("chat".to_owned()),
            Some(Common {
                limits: Limits {
                    tpm_limit: Some(5),
                    ..Limits::default()
                },
                ..Common::default()
            }),
        ),
        Entity::Switch(read("provider:alpha"), off.clone()),
        Entity::Switch(read("deployment:alpha/x/y"), off.clone()),
        Entity::Switch(read("model:small"), off),
    ])
    .commons();
    assert_eq!(commons.everyone[0].name, "everyone");
    assert_eq!(commons.models["small"][0].name, "model:small");
    assert!(commons.tags.is_empty());
    assert_eq!(commons.limits[0].name, "tag:chat");
    assert_eq!(commons.off.providers, ["alpha"]);
    assert_eq!(commons.off.deployments, ["alpha/x/y"]);
    assert_eq!(commons.off.models, ["small"]);
}

#[test]
fn what_changed_is_told_once_and_to_whom_it_matters() {
    let mut directory = house();
    let k = KeyHash::of(b"k");
    let told = |directory: &Directory, since| {
        let changed = directory.changed(since);
        match changed.keys {
            ChangedKeys::All => (true, false, changed.commons),
            ChangedKeys::These(keys) => (false, keys.contains(&k), changed.commons),
        }
    };
    assert_eq!(told(&directory, 1), (false, false, false));
    // Before the start nothing is known; after the end is another history.
    assert_eq!(told(&directory, 0), (true, false, true));
    assert_eq!(told(&directory, 2), (true, false, true));
    for (revision, (level, name)) in (2..).zip([
        (Level::Org, "acme"),
        (Level::Team, "search"),
        (Level::User, "alice"),
        (Level::Key, "k"),
    ]) {
        let known = directory.tenant(level, name).unwrap().clone();
        let same = Entity::Tenant(level, name.to_owned(), Some(Box::new(known)));
        directory.apply(same, revision).unwrap();
        assert_eq!(
            told(&directory, revision - 1),
            (false, true, false),
            "{level:?}"
        );
        assert_eq!(told(&directory, revision), (false, false, false));
    }
    let stranger = tenant(Level::User, "bob", |user| user.team = "search".to_owned());
    directory.apply(stranger, 6).unwrap();
    assert_eq!(told(&directory, 5), (false, false, false));
    let switch = Switch::read("model:small").unwrap();
    directory
        .apply(Entity::Switch(switch, Some(SwitchedOff::default())), 7)
        .unwrap();
    assert_eq!(told(&directory, 6), (false, false, true));
    let gone = Entity::Tenant(Level::Key, "k".to_owned(), None);
    directory.apply(gone, 8).unwrap();
    assert_eq!(told(&directory, 7), (false, true, false));
    assert_eq!(directory.key(&k), None);
}

#[test]
fn a_change_of_very_many_keys_is_a_reset() {
    let keys = (0..1_500).map(|number| {
        tenant(Level::Key, &format!("k{number}"), |key| {
            key.team = "t".to_owned()
        })
    });
    let mut directory = directory(keys);
    directory
        .apply(tenant(Level::Team, "t", |_| {}), 2)
        .unwrap();
    let changed = directory.changed(1);
    assert!(changed.keys == ChangedKeys::All && changed.commons);
}

#[test]
fn old_changes_are_forgotten_and_then_everything_is() {
    let mut directory = house();
    for revision in 2..6_000 {
        let key = tenant(Level::Key, "k", |_| {});
        directory.apply(key, revision).unwrap();
    }
    assert_eq!(directory.changed(100).keys, ChangedKeys::All);
    let recent = ChangedKeys::These([KeyHash::of(b"k")].into());
    assert_eq!(directory.changed(5_000).keys, recent);
}

#[test]
fn two_keys_with_one_hash_are_refused() {
    let mut directory = house();
    let twin = tenant(Level::Key, "twin", |key| {
        key.secrets[0].sha256 = KeyHash::of(b"k")
    });
    let conflict = directory.apply(twin, 2).unwrap_err();
    assert_eq!(conflict, Conflict::HashTaken { by: "k".to_owned() });
    assert_eq!(
        (directory.revision(), directory.tenant(Level::Key, "twin")),
        (1, None)
    );
}

#[test]
fn the_file_has_its_way_with_what_is_its_own() {
    let of_file = |level, name: &str, change: fn(&mut Tenant)| {
        tenant(level, name, |tenant| {
            tenant.managed = Managed::File;
            change(tenant);
        })
    };
    let mut directory = directory([
        of_file(Level::Key, "stays", |key| key.suspended = true),
        of_file(Level::Key, "goes", |_| {}),
        tenant(Level::Key, "api", |_| {}),
        tenant(Level::Team, "known", |team| team.tier = "x".to_owned()),
    ]);
    let file = [
        of_file(Level::Key, "stays", |key| key.team = "known".to_owned()),
        // The name changes, the hash does not.
        of_file(Level::Key, "renamed", |key| {
            key.secrets[0].sha256 = KeyHash::of(b"goes");
            key.team = "new".to_owned();
        }),
    ];
    for (revision, entity) in (2..).zip(plan(&directory, &file)) {
        directory.apply(entity, revision).unwrap();
    }
    let stays = directory.tenant(Level::Key, "stays").unwrap();
    assert!(stays.is_off() && stays.team == "known");
    assert_eq!(directory.tenant(Level::Key, "goes"), None);
    assert_eq!(key_of(&directory, "goes").unwrap().name, "renamed");
    assert!(directory.tenant(Level::Key, "api").is_some());
    assert_eq!(directory.tenant(Level::Team, "known").unwrap().tier, "x");
    assert_eq!(
        directory.tenant(Level::Team, "new").unwrap().managed,
        Managed::Api
    );
    assert_eq!(plan(&directory, &file), []);
}

#[test]
fn keys_that_exchange_their_hashes_do_not_collide() {
    let of_file = |name: &str, secret: &str| {
        tenant(Level::Key, name, |key| {
            key.managed = Managed::File;
            key.secrets[0].sha256 = KeyHash::of(secret.as_bytes());
        })
    };
    let mut directory = directory([of_file("a", "1"), of_file("b", "2")]);
    for entity in plan(&directory, &[of_file("a", "2"), of_file("b", "1")]) {
        directory.apply(entity, 2).unwrap();
    }
    assert_eq!(key_of(&directory, "1").unwrap().name, "b");
    assert_eq!(key_of(&directory, "2").unwrap().name, "a");
}
