//! What `gateway.yaml` changes when the service starts.

use std::collections::{BTreeMap, BTreeSet};

use super::directory::Directory;
use super::entity::{Entity, Kind};
use super::tenant::{Level, Managed};

/// The changes that make the directory say what the file says. What the file no longer has goes, and what it has now is
/// its own, whoever made it. What the admin API made stays. Who was disabled by the API stays disabled.
pub fn plan(directory: &Directory, file: &[Entity]) -> Vec<Entity> {
    let described: BTreeMap<(Kind, String), &Entity> =
        file.iter().map(|it| (name_of(it), it)).collect();
    let goes = |known: &Entity| {
        is_of_file(known)
            && described
                .get(&name_of(known))
                .is_none_or(|described| gives_way(known, described))
    };
    let gone: Vec<Entity> = directory.entities().filter(goes).map(gone).collect();
    let gone_names: BTreeSet<(Kind, String)> = gone.iter().map(name_of).collect();
    let mut named = BTreeSet::new();
    let implied = file
        .iter()
        .flat_map(|entity| implied(directory, entity))
        .filter(|it| !described.contains_key(&name_of(it)) && named.insert(name_of(it)));
    let changed = file.iter().filter_map(|entity| {
        let wanted = wanted(directory, entity)?;
        let came = gone_names.contains(&name_of(entity));
        (came || !is_known(directory, &wanted)).then_some(wanted)
    });
    let new: Vec<Entity> = implied.chain(changed).collect();
    // First those that go: a hash may move to another name.
    gone.into_iter().chain(new).collect()
}

fn name_of(entity: &Entity) -> (Kind, String) {
    (entity.kind(), entity.id())
}

fn gone(known: Entity) -> Entity {
    match known {
        Entity::Tenant(level, name, _) => Entity::Tenant(level, name, None),
        Entity::Common(scope, _) => Entity::Common(scope, None),
        Entity::Switch(switch, _) => Entity::Switch(switch, None),
    }
}

/// Whether a key lets go of a hash, which may be another's from now on.
fn gives_way(known: &Entity, described: &Entity) -> bool {
    match (known, described) {
        (Entity::Tenant(Level::Key, _, Some(known)), Entity::Tenant(_, _, Some(described))) => {
            known.secrets != described.secrets
        }
        _ => false,
    }
}

pub(super) fn is_of_file(entity: &Entity) -> bool {
    match entity {
        Entity::Tenant(_, _, Some(tenant)) => tenant.managed == Managed::File,
        Entity::Common(_, Some(common)) => common.managed == Managed::File,
        Entity::Tenant(_, _, None) | Entity::Common(_, None) | Entity::Switch(..) => false,
    }
}

/// Whom an entity names as its parents and nobody described: they exist, and the admin API may say more of them.
fn implied<'a>(directory: &'a Directory, entity: &'a Entity) -> impl Iterator<Item = Entity> + 'a {
    let tenant = match entity {
        Entity::Tenant(_, _, Some(tenant)) => Some(tenant),
        Entity::Tenant(_, _, None) | Entity::Common(..) | Entity::Switch(..) => None,
    };
    let parents = tenant.into_iter().flat_map(|tenant| tenant.parents());
    let of_api = |level, name| {
        let known = directory.tenant(level, name);
        known.is_some_and(|known| known.managed == Managed::Api)
    };
    parents
        .filter(move |(level, name)| !of_api(*level, name))
        .map(|(level, name)| Entity::Tenant(level, name.to_owned(), Some(Box::default())))
}

/// The entity as it should be.
fn wanted(directory: &Directory, entity: &Entity) -> Option<Entity> {
    match entity {
        Entity::Tenant(level, name, Some(tenant)) => {
            let known = directory.tenant(*level, name);
            let stopped = known.is_some_and(|known| match known.managed {
                Managed::File => known.suspended,
                Managed::Api => known.disabled,
            });
            let mut tenant = tenant.clone();
            tenant.suspended |= stopped;
            Some(Entity::Tenant(*level, name.clone(), Some(tenant)))
        }
        Entity::Common(_, Some(_)) => Some(entity.clone()),
        Entity::Tenant(_, _, None) | Entity::Common(_, None) | Entity::Switch(..) => None,
    }
}

fn is_known(directory: &Directory, entity: &Entity) -> bool {
    match entity {
        Entity::Tenant(level, name, tenant) => directory.tenant(*level, name) == tenant.as_deref(),
        Entity::Common(scope, common) => directory.common(scope) == common.as_ref(),
        Entity::Switch(switch, off) => {
            directory
                .switches()
                .find(|(known, _)| *known == switch)
                .map(|(_, off)| off)
                == off.as_ref()
        }
    }
}
