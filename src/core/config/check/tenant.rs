//! Tenants: names that exist, rights to things that exist, and money for all who have it.

use std::collections::BTreeSet;

use super::{key, money, name, unknown};
use crate::config::problem::Problems;
use crate::config::raw::{self, Given, Named, Written};
use crate::endpoint::ENDPOINTS;
use crate::tenancy::{Common, CommonScope, Entity, Level, Managed, Tenant};

/// The names that may be referred to; none where everything goes.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Models, by the name that callers use.
    pub models: Option<BTreeSet<String>>,
    /// Organisations.
    pub orgs: Option<BTreeSet<String>>,
    /// Teams.
    pub teams: Option<BTreeSet<String>>,
    /// Users.
    pub users: Option<BTreeSet<String>>,
}

impl Known {
    fn of(written: &raw::Config) -> Self {
        let tenants = written.tenants.written().map(|tenants| &tenants.value);
        Self {
            models: names(Some(&written.models)).filter(|models| !models.is_empty()),
            orgs: names(tenants.map(|tenants| &tenants.orgs)),
            teams: names(tenants.map(|tenants| &tenants.teams)),
            users: names(tenants.map(|tenants| &tenants.users)),
        }
    }
}

/// The names of a section. Where it is not written, names are only words for reports, and any will do.
fn names<T>(section: Option<&Given<Vec<Named<T>>>>) -> Option<BTreeSet<String>> {
    let section = section?.written()?;
    let names = section.value.iter().map(|named| named.name.value.clone());
    Some(names.collect())
}

/// All that `tenants` says.
pub(super) fn check(written: &raw::Config, problems: &mut Problems) -> Vec<Entity> {
    let known = Known::of(written);
    let mut entities = Vec::new();
    if let Given::Written(tenants) = &written.tenants {
        let tenants = &tenants.value;
        for (level, section) in [
            (Level::Org, &tenants.orgs),
            (Level::Team, &tenants.teams),
            (Level::User, &tenants.users),
        ] {
            for named in section.written().iter().flat_map(|all| &all.value) {
                name::check(name::Kind::Tenant, &named.name, problems);
                let Some(body) = named.body.written() else {
                    continue;
                };
                let tenant = Box::new(of_file(&body.value, &known, problems));
                entities.push(Entity::Tenant(
                    level,
                    named.name.value.clone(),
                    Some(tenant),
                ));
            }
        }
        commons(tenants, &known, &mut entities, problems);
    }
    entities.extend(key::check(written, &known, problems));
    entities
}

pub(super) fn of_file(written: &raw::Tenant, known: &Known, problems: &mut Problems) -> Tenant {
    Tenant {
        managed: Managed::File,
        ..tenant(written, known, problems)
    }
}

/// What every tenant may say.
pub(super) fn tenant(written: &raw::Tenant, known: &Known, problems: &mut Problems) -> Tenant {
    let (budgets, limits) = money::check(&written.money, known, problems);
    Tenant {
        org: parent(&written.org, "org", known.orgs.as_ref(), problems),
        team: parent(&written.team, "team", known.teams.as_ref(), problems),
        user: parent(&written.user, "user", known.users.as_ref(), problems),
        tier: label(&written.tier, problems),
        models: models(&written.models, known, problems),
        endpoints: endpoints(&written.endpoints, problems),
        tags: tags(&written.tags, problems),
        budgets,
        limits,
        disabled: written.disabled.value_or(false),
        ..Tenant::default()
    }
}

fn parent(
    given: &Given<String>,
    noun: &str,
    known: Option<&BTreeSet<String>>,
    problems: &mut Problems,
) -> String {
    let Some(written) = given.written() else {
        return String::new();
    };
    match known {
        Some(known) if !known.contains(&written.value) => {
            let section = format!("tenants.{noun}s");
            let names = known.iter().map(String::as_str);
            problems.push(unknown(noun, &section, written, names));
        }
        Some(_) | None => name::check(name::Kind::Tenant, written, problems),
    }
    written.value.clone()
}

fn label(given: &Given<String>, problems: &mut Problems) -> String {
    given.written().map_or_else(String::new, |written| {
        name::check(name::Kind::Tenant, written, problems);
        written.value.clone()
    })
}

fn models(
    given: &Given<Vec<Given<String>>>,
    known: &Known,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let list = given.written()?;
    if list.value.is_empty() {
        problems.push(list.place.problem(
            "no model may be used",
            "name the models that may be; remove `models` for all, or write `disabled: true`",
        ));
    }
    let check = |model: &Written<String>, problems: &mut Problems| {
        if let Some(models) = &known.models
            && !models.contains(&model.value)
        {
            let names = models.iter().map(String::as_str);
            problems.push(unknown("model", "models", model, names));
        }
    };
    Some(money::unique(given, check, problems))
}

fn endpoints(given: &Given<Vec<Given<String>>>, problems: &mut Problems) -> Option<Vec<String>> {
    let list = given.written()?;
    if list.value.is_empty() {
        problems.push(list.place.problem(
            "no endpoint may be used",
            "name the paths that may be; remove `endpoints` for all, or write `disabled: true`",
        ));
    }
    Some(money::unique(given, known_endpoint, problems))
}

fn tags(given: &Given<Vec<Given<String>>>, problems: &mut Problems) -> Vec<String> {
    let check = |tag: &Written<String>, problems: &mut Problems| {
        name::check(name::Kind::Tenant, tag, problems)
    };
    money::unique(given, check, problems)
}

fn commons(
    tenants: &raw::Tenants,
    known: &Known,
    entities: &mut Vec<Entity>,
    problems: &mut Problems,
) {
    let mut add = |scope, written: &raw::Money, problems: &mut Problems| {
        let common = common(written, known, problems);
        let managed = Managed::File;
        entities.push(Entity::Common(scope, Some(Common { managed, ..common })));
    };
    if let Given::Written(everyone) = &tenants.everyone {
        add(CommonScope::Everyone, &everyone.value, problems);
    }
    for named in tenants.models.written().iter().flat_map(|all| &all.value) {
        if let Some(models) = &known.models
            && !models.contains(&named.name.value)
        {
            let names = models.iter().map(String::as_str);
            problems.push(unknown("model", "models", &named.name, names));
        }
        if let Given::Written(body) = &named.body {
            let scope = CommonScope::Model(named.name.value.clone());
            add(scope, &body.value, problems);
        }
    }
    for named in tenants.tags.written().iter().flat_map(|all| &all.value) {
        name::check(name::Kind::Tenant, &named.name, problems);
        if let Given::Written(body) = &named.body {
            let scope = CommonScope::Tag(named.name.value.clone());
            add(scope, &body.value, problems);
        }
    }
    for named in tenants
        .endpoints
        .written()
        .iter()
        .flat_map(|all| &all.value)
    {
        known_endpoint(&named.name, problems);
        if let Given::Written(body) = &named.body {
            let scope = CommonScope::Endpoint(named.name.value.clone());
            add(scope, &body.value, problems);
        }
    }
    for named in tenants.tiers.written().iter().flat_map(|all| &all.value) {
        name::check(name::Kind::Tenant, &named.name, problems);
        if let Given::Written(body) = &named.body {
            let scope = CommonScope::Tier(named.name.value.clone());
            add(scope, &body.value, problems);
        }
    }
}

fn known_endpoint(path: &Written<String>, problems: &mut Problems) {
    if ENDPOINTS.iter().all(|endpoint| endpoint.path != path.value) {
        let paths = ENDPOINTS.iter().map(|endpoint| endpoint.path);
        let fix = match crate::config::suggest::nearest(&path.value, paths.clone()) {
            Some(meant) => format!("write `{meant}`"),
            None => format!("write one of `{}`", paths.collect::<Vec<_>>().join("`, `")),
        };
        let found = format!("no endpoint is {}", path.shown());
        problems.push(path.place.problem(found, fix));
    }
}

/// Budgets and limits that many share.
pub(super) fn common(written: &raw::Money, known: &Known, problems: &mut Problems) -> Common {
    let (budgets, limits) = money::check(written, known, problems);
    Common {
        budgets,
        limits,
        ..Common::default()
    }
}
