//! From what everybody said to what holds for one key, and for all.

use std::collections::{BTreeMap, BTreeSet};

use super::budget::purse;
use super::common::{Common, CommonScope};
use super::directory::Directory;
use super::hash::KeyHash;
use super::tenant::{Level, Switch, Tenant};
use crate::config::{Commons, Key, Limited, Limits, Switches};
use crate::money::ids::ScopeId;

/// What the filter must know of a key. Budgets and limits of all levels hold together; rights are what every level
/// grants; the tier is what the nearest level says.
pub(super) fn key(directory: &Directory, name: &str, sha256: &KeyHash) -> Option<Key> {
    let key = directory.tenant(Level::Key, name)?;
    let secret = key.secrets.iter().find(|it| it.sha256 == *sha256)?;
    let user = directory.tenant(Level::User, &key.user);
    let team_name = first([key.team.as_str(), user.map_or("", |user| &user.team)]);
    let team = directory.tenant(Level::Team, team_name);
    // A team belongs to one organisation, so it knows best.
    let org_name = first([
        team.map_or("", |team| &team.org),
        key.org.as_str(),
        user.map_or("", |user| &user.org),
    ]);
    let org = directory.tenant(Level::Org, org_name);
    let described = [
        (Level::Org, org_name, org),
        (Level::Team, team_name, team),
        (Level::User, key.user.as_str(), user),
        (Level::Key, name, Some(key)),
    ];
    let levels: Vec<(String, &Tenant)> = described
        .into_iter()
        .filter_map(|(level, name, tenant)| Some((level.scope(name), tenant?)))
        .collect();
    let tenants = || levels.iter().map(|(_, tenant)| *tenant);
    let tags: BTreeSet<&String> = tenants().flat_map(|tenant| &tenant.tags).collect();
    Some(Key {
        sha256: sha256.to_string(),
        name: name.to_owned(),
        org: org_name.to_owned(),
        team: team_name.to_owned(),
        user: key.user.clone(),
        tier: tenants()
            .rev()
            .map(|tenant| tenant.tier.as_str())
            .find(|tier| !tier.is_empty())
            .unwrap_or_default()
            .to_owned(),
        models: all_allow(tenants().map(|tenant| tenant.models.as_ref())),
        endpoints: all_allow(tenants().map(|tenant| tenant.endpoints.as_ref())),
        disabled: tenants().any(Tenant::is_off),
        expires: key.expires.into_iter().chain(secret.expires).min(),
        tags: tags.into_iter().cloned().collect(),
        purses: levels
            .iter()
            .filter_map(|(scope, tenant)| purse(scope, &tenant.budgets))
            .collect(),
        limits: levels
            .iter()
            .filter_map(|(scope, tenant)| limited(scope, &tenant.limits))
            .collect(),
    })
}

fn first<'a>(names: impl IntoIterator<Item = &'a str>) -> &'a str {
    let mut names = names.into_iter();
    names.find(|name| !name.is_empty()).unwrap_or_default()
}

/// What is in every list that there is, in the order of the first.
fn all_allow<'a>(lists: impl Iterator<Item = Option<&'a Vec<String>>>) -> Option<Vec<String>> {
    let mut allowed: Option<Vec<String>> = None;
    for list in lists.flatten() {
        match &mut allowed {
            None => allowed = Some(list.clone()),
            Some(allowed) => allowed.retain(|name| list.contains(name)),
        }
    }
    allowed
}

fn limited(scope: &str, limits: &Limits) -> Option<Limited> {
    (!limits.is_empty()).then(|| Limited {
        scope: ScopeId::named(scope),
        name: scope.to_owned(),
        limits: limits.clone(),
    })
}

/// What holds for every caller.
pub(super) fn commons<'a>(
    described: &BTreeMap<CommonScope, Common>,
    off: impl Iterator<Item = &'a Switch>,
) -> Commons {
    let mut commons = Commons::default();
    for (scope, common) in described {
        let name = scope.to_string();
        commons.limits.extend(limited(&name, &common.limits));
        let Some(purse) = purse(&name, &common.budgets) else {
            continue;
        };
        match scope {
            CommonScope::Everyone => commons.everyone.push(purse),
            CommonScope::Model(model) => {
                commons.models.insert(model.clone(), vec![purse]);
            }
            CommonScope::Tag(tag) => {
                commons.tags.insert(tag.clone(), vec![purse]);
            }
            CommonScope::Endpoint(path) => {
                commons.endpoints.insert(path.clone(), vec![purse]);
            }
            CommonScope::Tier(tier) => {
                commons.tiers.insert(tier.clone(), vec![purse]);
            }
        }
    }
    commons.off = switched(off);
    commons
}

fn switched<'a>(off: impl Iterator<Item = &'a Switch>) -> Switches {
    let mut switches = Switches::default();
    for switch in off {
        match switch {
            Switch::Provider(name) => switches.providers.push(name.clone()),
            Switch::Deployment(name) => switches.deployments.push(name.clone()),
            Switch::Model(name) => switches.models.push(name.clone()),
        }
    }
    switches
}
