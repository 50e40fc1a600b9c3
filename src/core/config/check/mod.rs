//! From what is written to what is used: every mistake at once, each in its place. What depends
//! on a mistake is not judged, so that one mistake is told once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::deploy::{AccessLog, Checked, Deployment};
use super::node::Node;
use super::problem::{Place, Problem, Problems, shown};
use super::raw::{self, Given, Named, Written};
use super::routing::OnUntranslatable;
use super::{Dialect, Gateway, Model, Target, Telemetry, suggest};
use crate::tenancy::{Directory, Entity};

mod alone;
mod budget_service;
mod identity;
mod key;
mod limits;
mod money;
mod name;
mod port;
mod price;
mod provider;
mod routing;
mod tenant;
pub mod zones;

pub use alone::{read_common, read_name, read_tenant};
pub use tenant::Known;

pub use price::Beside;

const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 10_000);
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9_901);
const BODY_BYTES: u64 = 8 << 20;
const IDLE_TIMEOUT_MS: u64 = 10_000;
/// Every target may cost an attempt, and the caller waits for all of them.
const TARGETS_MAX: usize = 16;

/// Reads and checks a whole tree.
pub fn check_tree(root: &Node, known: Beside<'_>) -> Result<Checked, Vec<Problem>> {
    check(&raw::read(root), known)
}

/// The used form, or every mistake there is, in the order of the file.
pub fn check(written: &raw::Config, known: Beside<'_>) -> Result<Checked, Vec<Problem>> {
    let mut problems = written.problems.clone();
    let addresses = port::check(written, &mut problems);
    let (providers, upstreams) = provider::check(written, &mut problems);
    let mut models = models(written, known, &mut problems);
    routing::fallbacks(written, &mut models, &mut problems);
    let policies = routing::policies(written, &models, &mut problems);
    let tenants = tenant::check(written, &mut problems);
    let budget = budget_service::check(written, &mut problems);
    budget_service::needed(written, &tenants, &mut problems);
    let directory = directory(&tenants, &mut problems);
    let listen = written.listen.written().map(|listen| &listen.value);
    let gateway = Gateway {
        body_bytes_max: listen.map_or(BODY_BYTES, |listen| listen.max_body.value_or(BODY_BYTES)),
        idle_timeout_ms: listen.map_or(IDLE_TIMEOUT_MS, |listen| {
            listen.idle_timeout.value_or(IDLE_TIMEOUT_MS)
        }),
        providers,
        models,
        keys: directory.keys().collect(),
        commons: directory.commons(),
        vouched: key::vouched(written),
        policies,
        budget_service: budget.as_ref().map(|(service, _)| service.clone()),
        telemetry: telemetry(written),
        looks: crate::config::looks::Once::default(),
    };
    let deployment = Deployment {
        listen: addresses.listen,
        admin: addresses.admin,
        access_log: access_log(written, &mut problems),
        upstreams,
        budget: budget.map(|(_, place)| place),
    };
    let mut problems = problems.all;
    if problems.is_empty() {
        return Ok(Checked {
            gateway,
            deployment,
            tenants,
        });
    }
    problems.sort_by(|one, other| (one.line, &one.at).cmp(&(other.line, &other.at)));
    problems.dedup();
    Err(problems)
}

/// What follows from the tenants; those with mistakes are not judged again.
fn directory(tenants: &[Entity], problems: &mut Problems) -> Directory {
    let mut directory = Directory::default();
    for entity in tenants {
        if let Err(conflict) = directory.apply(entity.clone(), 0)
            && problems.all.is_empty()
        {
            let found = format!("`{}`: {conflict}", entity.id());
            let place = Place::root(0);
            problems.push(place.problem(found, "choose another name"));
        }
    }
    directory
}

fn telemetry(written: &raw::Config) -> Telemetry {
    let default = Telemetry::default();
    match written.telemetry.written() {
        None => default,
        Some(Written { value, .. }) => Telemetry {
            label_values_max: value.label_values_max.value_or(default.label_values_max),
            response_headers: value.response_headers.value_or(default.response_headers),
            explain: value.explain.value_or(default.explain),
        },
    }
}

fn access_log(written: &raw::Config, problems: &mut Problems) -> AccessLog {
    let telemetry = written.telemetry.written();
    let Some(log) = telemetry.and_then(|telemetry| telemetry.value.access_log.written()) else {
        return AccessLog::Stdout;
    };
    match log.value.as_str() {
        "stdout" => AccessLog::Stdout,
        "off" => AccessLog::Off,
        path if path.starts_with('/') => AccessLog::File(PathBuf::from(path)),
        _ => {
            problems.push(log.place.problem(
                format!("{} is neither `stdout`, `off` nor a path", log.shown()),
                "write `stdout`, `off`, or a path that begins with `/`",
            ));
            AccessLog::Stdout
        }
    }
}

/// A map that must be there and hold something; reports it where it is not so.
fn required<'written, T>(
    given: &'written Given<Vec<T>>,
    field: &str,
    parent: &Place,
    fix: &str,
    problems: &mut Problems,
) -> &'written [T] {
    match given {
        Given::Mistaken => {}
        Given::Absent => absent(field, parent, fix, problems),
        Given::Written(written) if written.value.is_empty() => {
            problems.push(written.place.problem(format!("`{field}` is empty"), fix));
        }
        Given::Written(written) => return &written.value,
    }
    &[]
}

/// A value that must be there.
fn must<'written, T>(
    given: &'written Given<T>,
    field: &str,
    parent: &Place,
    fix: &str,
    problems: &mut Problems,
) -> Option<&'written Written<T>> {
    if matches!(given, Given::Absent) {
        absent(field, parent, fix, problems);
    }
    given.written()
}

fn absent(field: &str, parent: &Place, fix: &str, problems: &mut Problems) {
    let found = format!("`{field}` is missing");
    problems.missing(&[field], parent, &found, fix);
}

/// What models refer to, and what refers to them.
struct Chains<'written> {
    /// Position of each provider, by name; mistaken ones too, so that they are known. None where
    /// nothing under `providers` can be read: then no name is called unknown.
    providers: Option<BTreeMap<&'written str, (usize, Option<Dialect>)>>,
    prices: price::Prices<'written>,
    /// For models that say nothing else.
    on_untranslatable: OnUntranslatable,
    /// `PROVIDER/MODEL` of every target.
    targets: BTreeSet<String>,
    /// Every target could be read, so a price without one is a mistake.
    complete: bool,
}

fn models(written: &raw::Config, known: Beside<'_>, problems: &mut Problems) -> Vec<Model> {
    let named = required(
        &written.models,
        "models",
        &Place::root(1),
        "write at least one model: `models: {small: {targets: [{provider: NAME}]}}`",
        problems,
    );
    let mut chains = Chains {
        providers: positions_of(written),
        prices: price::check(written, known, problems),
        on_untranslatable: written
            .on_untranslatable
            .value_or(OnUntranslatable::default()),
        targets: BTreeSet::new(),
        complete: written.models.written().is_some(),
    };
    let mut models: Vec<Model> = named
        .iter()
        .filter_map(|named| model(named, &mut chains, problems))
        .collect();
    models.sort_by(|one, other| one.name.cmp(&other.name));
    // What is only mistaken elsewhere is not judged here too.
    if chains.complete {
        price::unused(written, &chains.targets, problems);
        price::finish(written, &mut models, problems);
    }
    models
}

fn positions_of(written: &raw::Config) -> Option<BTreeMap<&str, (usize, Option<Dialect>)>> {
    let providers = written.providers.written()?;
    let dialect = |named: &Named<raw::Provider>| {
        let dialect = named.body.written()?.value.dialect.written()?;
        Some(dialect.value)
    };
    let entry = |(position, named): (usize, &'_ _)| (position, dialect(named));
    let named = providers.value.iter();
    let names = named.clone().map(|named| named.name.value.as_str());
    let positions: BTreeMap<_, _> = names.zip(named.enumerate().map(entry)).collect();
    (!positions.is_empty()).then_some(positions)
}

fn model(
    named: &Named<raw::Model>,
    chains: &mut Chains<'_>,
    problems: &mut Problems,
) -> Option<Model> {
    name::check(name::Kind::Model, &named.name, problems);
    let Given::Written(body) = &named.body else {
        chains.complete = false;
        return None;
    };
    let written = required(
        &body.value.targets,
        "targets",
        &named.name.place,
        "write who answers: `targets: [{provider: NAME}]`",
        problems,
    );
    chains.complete &= !written.is_empty();
    if let (Given::Written(list), true) = (&body.value.targets, written.len() > TARGETS_MAX) {
        problems.push(list.place.problem(
            format!("{} targets are more than {TARGETS_MAX}", written.len()),
            "keep those that are worth waiting for",
        ));
    }
    let mut targets: Vec<Target> = Vec::new();
    for given in written {
        let Some(target) = target(given, &named.name.value, chains, problems) else {
            chains.complete = false;
            continue;
        };
        let what = |target: &Target| {
            let region = target.traits.region.clone();
            (target.provider, target.model.clone(), region)
        };
        let twin = |other: &Target| what(other) == what(&target);
        match given.written() {
            Some(given) if targets.iter().any(twin) => problems.push(given.place.problem(
                "the same provider and model are a target of this model already",
                "keep one of them",
            )),
            _ => targets.push(target),
        }
    }
    let model = Model {
        name: named.name.value.clone(),
        targets,
        routing: routing::routing(&body.value, chains.on_untranslatable, problems),
    };
    routing::weights(named, &model, problems);
    Some(model)
}

fn target(
    given: &Given<raw::Target>,
    model_name: &str,
    chains: &mut Chains<'_>,
    problems: &mut Problems,
) -> Option<Target> {
    let written = given.written()?;
    let model = match &written.value.model {
        Given::Absent => Some(model_name.to_owned()),
        Given::Mistaken => None,
        Given::Written(model) => {
            name::check(name::Kind::ProviderModel, model, problems);
            Some(model.value.clone())
        }
    };
    let provider = must(
        &written.value.provider,
        "provider",
        &written.place,
        "write who answers: `provider: NAME`, one of `providers`",
        problems,
    )?;
    let known = chains.providers.as_ref()?;
    let Some((position, dialect)) = known.get(provider.value.as_str()) else {
        let names = known.keys().copied();
        problems.push(unknown("provider", "providers", provider, names));
        return None;
    };
    let model = model?;
    let full_name = format!("{}/{model}", provider.value);
    let asked = price::Asked {
        full_name: &full_name,
        dialect: *dialect,
        model: &model,
        target: &written.value,
    };
    let mut target = Target {
        provider: *position,
        ..Target::default()
    };
    chains.prices.fill(&asked, &mut target, problems);
    routing::own(&written.value, &mut target, problems);
    target.model = model;
    chains.targets.insert(full_name);
    Some(target)
}

/// A name that refers to nothing.
fn unknown<'known>(
    noun: &str,
    section: &str,
    name: &Written<String>,
    known: impl Iterator<Item = &'known str>,
) -> Problem {
    let quoted = name.shown();
    let fix = match suggest::nearest(&name.value, known) {
        Some(meant) => format!("write `{meant}`, or add {quoted} under `{section}`"),
        None => format!("add {quoted} under `{section}`"),
    };
    name.place
        .problem(format!("no {noun} is named {quoted}"), fix)
}
