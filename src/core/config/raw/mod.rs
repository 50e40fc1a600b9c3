//! `gateway.yaml` as written: every field that exists is asked for here, and nowhere else.
//! Shapes and units are read; whether it makes sense together is for [`check`](super::check).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::Explains;
use super::node::Node;
use super::problem::{Place, Problems};
use super::reader::{Findings, Part, Section, section};
use super::routing::OnUntranslatable;
use super::scalar::{address, count, duration, size, text, truth};

mod budget_service;
mod model;
pub(super) mod money;
mod price;
mod provider;
mod routing;
pub(super) mod tenants;

pub use super::reader::{Given, Written};
pub use budget_service::BudgetService;
pub use model::{Model, Target, Unpriced};
pub use money::{Budget, Money, Queue};
pub use price::{Extends, LongContext, Price, Rates};
pub use provider::{Aws, Provider, Tls, is_variable};
pub use routing::{Balance, Breaker, Policy, Schedule, Texts, When};
pub use tenants::{Key, Tenant, Tenants};

/// A whole file as written.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `listen`
    pub listen: Given<Listen>,
    /// `admin`
    pub admin: Given<Admin>,
    /// `budget_service`
    pub budget_service: Given<BudgetService>,
    /// `providers`, in the order of the file.
    pub providers: Given<Vec<Named<Provider>>>,
    /// `models`, in the order of the file.
    pub models: Given<Vec<Named<Model>>>,
    /// `tenants`
    pub tenants: Given<Tenants>,
    /// `policies`
    pub policies: Given<Vec<Given<Policy>>>,
    /// `prices`, by `PROVIDER/MODEL`.
    pub prices: Given<Vec<Named<Price>>>,
    /// `unpriced`, for every model that says nothing else.
    pub unpriced: Given<Unpriced>,
    /// `on_untranslatable`, for every model that says nothing else.
    pub on_untranslatable: Given<OnUntranslatable>,
    /// `telemetry`
    pub telemetry: Given<Telemetry>,
    /// What reading it brought up.
    pub problems: Problems,
    /// Every field asked for, as a pattern: `providers.*.url`.
    pub asked: BTreeSet<String>,
}

/// Something the user gave a name.
#[derive(Clone, Debug)]
pub struct Named<T> {
    /// The name, and where it stands.
    pub name: Written<String>,
    /// What it stands for; mistaken where that was no mapping.
    pub body: Given<T>,
}

/// `listen`
#[derive(Clone, Debug, Default)]
pub struct Listen {
    /// `address`
    pub address: Given<SocketAddr>,
    /// `max_body`, in bytes.
    pub max_body: Given<u64>,
    /// `idle_timeout`, in milliseconds.
    pub idle_timeout: Given<u64>,
}

/// `admin`
#[derive(Clone, Debug, Default)]
pub struct Admin {
    /// `address`
    pub address: Given<SocketAddr>,
}

/// `telemetry`
#[derive(Clone, Debug, Default)]
pub struct Telemetry {
    /// `access_log`
    pub access_log: Given<String>,
    /// `label_values_max`
    pub label_values_max: Given<usize>,
    /// `response_headers`
    pub response_headers: Given<bool>,
    /// `explain`
    pub explain: Given<Explains>,
}

/// Reads the tree: whatever can be read is, and the rest is in [`Config::problems`].
pub fn read(root: &Node) -> Config {
    let mut findings = Findings::default();
    let part = Part {
        node: root,
        place: Place::root(root.line),
    };
    let mut config = match section(part, config, &mut findings) {
        Given::Written(config) => config.value,
        // What is no mapping at all is one mistake, not one for every field it does not have.
        Given::Absent | Given::Mistaken => Config {
            providers: Given::Mistaken,
            models: Given::Mistaken,
            tenants: Given::Mistaken,
            ..Config::default()
        },
    };
    config.problems = findings.problems;
    config.asked = findings.asked;
    config
}

fn config(top: &mut Section<'_>, findings: &mut Findings) -> Config {
    Config {
        listen: top.section("listen", listen, findings),
        admin: top.section("admin", admin, findings),
        budget_service: top.section("budget_service", budget_service::budget_service, findings),
        providers: named(top, "providers", provider::provider, findings),
        models: named(top, "models", model::model, findings),
        tenants: top.section("tenants", tenants::tenants, findings),
        policies: each(
            top,
            "policies",
            |part, findings| section(part, routing::policy, findings),
            findings,
        ),
        prices: named(top, "prices", price::prices, findings),
        unpriced: top.single("unpriced", model::unpriced, findings),
        on_untranslatable: top.single("on_untranslatable", routing::on_untranslatable, findings),
        telemetry: top.section("telemetry", telemetry, findings),
        problems: Problems::default(),
        asked: BTreeSet::new(),
    }
}

fn named<'node, T>(
    top: &mut Section<'node>,
    field: &'static str,
    read: fn(&mut Section<'node>, &mut Findings) -> T,
    findings: &mut Findings,
) -> Given<Vec<Named<T>>> {
    let entries = match top.names(field, findings) {
        Given::Written(entries) => entries,
        Given::Absent => return Given::Absent,
        Given::Mistaken => return Given::Mistaken,
    };
    let named = entries.value.into_iter().map(|(name, part)| Named {
        name: Written::at(part.place.clone(), name.to_owned()),
        body: section(part, read, findings),
    });
    Given::Written(Written::at(entries.place, named.collect()))
}

fn each<'node, T>(
    parent: &mut Section<'node>,
    field: &'static str,
    mut read: impl FnMut(Part<'node>, &mut Findings) -> Given<T>,
    findings: &mut Findings,
) -> Given<Vec<Given<T>>> {
    let parts = match parent.list(field, findings) {
        Given::Written(parts) => parts,
        Given::Absent => return Given::Absent,
        Given::Mistaken => return Given::Mistaken,
    };
    let elements = parts.value.into_iter().map(|part| read(part, findings));
    Given::Written(Written::at(parts.place, elements.collect()))
}

fn listen(fields: &mut Section<'_>, findings: &mut Findings) -> Listen {
    Listen {
        address: fields.single("address", address, findings),
        max_body: fields.single("max_body", size, findings),
        idle_timeout: fields.single("idle_timeout", duration, findings),
    }
}

fn admin(fields: &mut Section<'_>, findings: &mut Findings) -> Admin {
    Admin {
        address: fields.single("address", address, findings),
    }
}

fn telemetry(fields: &mut Section<'_>, findings: &mut Findings) -> Telemetry {
    Telemetry {
        access_log: fields.single("access_log", text, findings),
        label_values_max: fields.single("label_values_max", count, findings),
        response_headers: fields.single("response_headers", truth, findings),
        explain: fields.single("explain", routing::explains, findings),
    }
}
