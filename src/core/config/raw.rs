//! `gateway.yaml` as written: every field that exists is asked for here, and nowhere else.
//! Shapes and units are read; whether it makes sense together is for [`check`](super::check).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::Dialect;
use super::deploy::Secret;
use super::node::{Node, Scalar, Value};
use super::problem::{Place, Problems};
use super::reader::{Findings, Part, SECRETS_ONLY, Section, section, single};
use super::scalar::{Read, Wrong, address, count, duration, price, size, text, truth};
use super::suggest;
use crate::dialect::tables;
use crate::units::PricePerMillion;

pub use super::reader::{Given, Written};

/// A whole file as written.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `listen`
    pub listen: Given<Listen>,
    /// `admin`
    pub admin: Given<Admin>,
    /// `providers`, in the order of the file.
    pub providers: Given<Vec<Named<Provider>>>,
    /// `models`, in the order of the file.
    pub models: Given<Vec<Named<Model>>>,
    /// `tenants`
    pub tenants: Given<Tenants>,
    /// `prices`, by `PROVIDER/MODEL`.
    pub prices: Given<Vec<Named<Price>>>,
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

/// An entry of `providers`
#[derive(Clone, Debug)]
pub struct Provider {
    /// `dialect`
    pub dialect: Given<Dialect>,
    /// `url`
    pub url: Given<String>,
    /// `fake`
    pub fake: Given<SocketAddr>,
    /// `key`
    pub key: Given<Secret>,
    /// `allow_plaintext`
    pub allow_plaintext: Given<bool>,
    /// `connect_timeout`, in milliseconds.
    pub connect_timeout: Given<u64>,
    /// `first_token_timeout`, in milliseconds.
    pub first_token_timeout: Given<u64>,
    /// `reply_timeout`, in milliseconds.
    pub reply_timeout: Given<u64>,
    /// `tls`
    pub tls: Given<Tls>,
}

/// `providers.*.tls`
#[derive(Clone, Debug)]
pub struct Tls {
    /// `server_name`
    pub server_name: Given<String>,
    /// `ca_file`
    pub ca_file: Given<String>,
}

/// An entry of `models`
#[derive(Clone, Debug)]
pub struct Model {
    /// `targets`
    pub targets: Given<Vec<Given<Target>>>,
}

/// An element of `models.*.targets`
#[derive(Clone, Debug)]
pub struct Target {
    /// `provider`
    pub provider: Given<String>,
    /// `model`
    pub model: Given<String>,
}

/// `tenants`
#[derive(Clone, Debug)]
pub struct Tenants {
    /// `keys`
    pub keys: Given<Vec<Given<Key>>>,
}

/// An element of `tenants.keys`
#[derive(Clone, Debug)]
pub struct Key {
    /// `name`
    pub name: Given<String>,
    /// `sha256`
    pub sha256: Given<String>,
    /// `org`
    pub org: Given<String>,
    /// `team`
    pub team: Given<String>,
    /// `user`
    pub user: Given<String>,
    /// `models`
    pub models: Given<Vec<Given<String>>>,
    /// `disabled`
    pub disabled: Given<bool>,
}

/// An entry of `prices`
#[derive(Clone, Debug)]
pub struct Price {
    /// `input`
    pub input: Given<PricePerMillion>,
    /// `output`
    pub output: Given<PricePerMillion>,
    /// `cached_input`
    pub cached_input: Given<PricePerMillion>,
    /// `cache_write`
    pub cache_write: Given<PricePerMillion>,
    /// `reasoning`
    pub reasoning: Given<PricePerMillion>,
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
        providers: named(top, "providers", provider, findings),
        models: named(top, "models", model, findings),
        tenants: top.section("tenants", tenants, findings),
        prices: named(top, "prices", model_price, findings),
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

fn provider(fields: &mut Section<'_>, findings: &mut Findings) -> Provider {
    Provider {
        dialect: fields.single("dialect", dialect, findings),
        url: fields.single("url", text, findings),
        fake: fields.single("fake", address, findings),
        key: secret(fields, "key", findings),
        allow_plaintext: fields.single("allow_plaintext", truth, findings),
        connect_timeout: fields.single("connect_timeout", duration, findings),
        first_token_timeout: fields.single("first_token_timeout", duration, findings),
        reply_timeout: fields.single("reply_timeout", duration, findings),
        tls: fields.section("tls", tls, findings),
    }
}

fn tls(fields: &mut Section<'_>, findings: &mut Findings) -> Tls {
    Tls {
        server_name: fields.single("server_name", text, findings),
        ca_file: fields.single("ca_file", text, findings),
    }
}

fn model(fields: &mut Section<'_>, findings: &mut Findings) -> Model {
    Model {
        targets: each(
            fields,
            "targets",
            |part, findings| section(part, target, findings),
            findings,
        ),
    }
}

fn target(fields: &mut Section<'_>, findings: &mut Findings) -> Target {
    Target {
        provider: fields.single("provider", text, findings),
        model: fields.single("model", text, findings),
    }
}

fn tenants(fields: &mut Section<'_>, findings: &mut Findings) -> Tenants {
    Tenants {
        keys: each(
            fields,
            "keys",
            |part, findings| section(part, key, findings),
            findings,
        ),
    }
}

fn key(fields: &mut Section<'_>, findings: &mut Findings) -> Key {
    Key {
        name: fields.single("name", text, findings),
        sha256: fields.single("sha256", text, findings),
        org: fields.single("org", text, findings),
        team: fields.single("team", text, findings),
        user: fields.single("user", text, findings),
        models: each(
            fields,
            "models",
            |part, findings| single(&part, text, findings),
            findings,
        ),
        disabled: fields.single("disabled", truth, findings),
    }
}

fn model_price(fields: &mut Section<'_>, findings: &mut Findings) -> Price {
    Price {
        input: fields.single("input", price, findings),
        output: fields.single("output", price, findings),
        cached_input: fields.single("cached_input", price, findings),
        cache_write: fields.single("cache_write", price, findings),
        reasoning: fields.single("reasoning", price, findings),
    }
}

fn telemetry(fields: &mut Section<'_>, findings: &mut Findings) -> Telemetry {
    Telemetry {
        access_log: fields.single("access_log", text, findings),
        label_values_max: fields.single("label_values_max", count, findings),
        response_headers: fields.single("response_headers", truth, findings),
    }
}

fn dialect(scalar: &Scalar) -> Read<Dialect> {
    let known: Vec<&str> = Dialect::all().map(Dialect::name).collect();
    if let Some(dialect) = Dialect::named(&scalar.text) {
        return Ok(dialect);
    }
    if tables::provider(&scalar.text).is_some() {
        return Err(Wrong {
            found: format!(
                "requests to {} are signed, which is not done yet",
                scalar.shown()
            ),
            fix: format!("write one of `{}`", known.join("`, `")),
        });
    }
    let fix = match suggest::nearest(&scalar.text, known.iter().copied()) {
        Some(meant) => format!("write `{meant}`"),
        None => format!("this version speaks `{}`", known.join("`, `")),
    };
    Err(Wrong {
        found: format!("no dialect is named {}", scalar.shown()),
        fix,
    })
}

/// A secret by reference. What stands here literally may be the secret: it is never repeated.
fn secret(
    provider: &mut Section<'_>,
    field: &'static str,
    findings: &mut Findings,
) -> Given<Secret> {
    let Some(part) = provider.part(field, findings) else {
        return Given::Absent;
    };
    let fix = match &part.node.value {
        Value::Map(_) => None,
        Value::Empty | Value::List(_) | Value::Mistaken => Some(SECRETS_ONLY.to_owned()),
        Value::Scalar(scalar) => Some(
            scalar
                .written
                .as_deref()
                .and_then(|written| written.strip_prefix("${")?.strip_suffix('}'))
                .filter(|name| is_variable(name))
                .map_or_else(
                    || SECRETS_ONLY.to_owned(),
                    |name| format!("{SECRETS_ONLY}: write {{env: {name}}}"),
                ),
        ),
    };
    if let Some(fix) = fix {
        let found = if part.node.value == Value::Empty {
            "no secret is named here"
        } else {
            "a literal secret stands here"
        };
        findings.problems.push(part.place.problem(found, fix));
        return Given::Mistaken;
    }
    let place = part.place.clone();
    let fields = |fields: &mut Section<'_>, findings: &mut Findings| {
        let env = fields.single("env", variable, findings);
        (env, fields.single("file", text, findings))
    };
    let Given::Written(written) = section(part, fields, findings) else {
        return Given::Mistaken;
    };
    match written.value {
        (Given::Written(env), Given::Absent) => {
            Given::Written(Written::at(place, Secret::Env(env.value)))
        }
        (Given::Absent, Given::Written(file)) => {
            let file = PathBuf::from(file.value);
            Given::Written(Written::at(place, Secret::File(file)))
        }
        (Given::Mistaken, Given::Absent) | (Given::Absent, Given::Mistaken) => Given::Mistaken,
        (Given::Absent, Given::Absent) => {
            let found = "neither `env` nor `file` says where the secret is";
            let either = ["env", "file"];
            findings
                .problems
                .missing(&either, &place, found, SECRETS_ONLY);
            Given::Mistaken
        }
        (Given::Written(_) | Given::Mistaken, Given::Written(_) | Given::Mistaken) => {
            let found = "both `env` and `file` say where the secret is";
            findings
                .problems
                .push(place.problem(found, "keep one of them"));
            Given::Mistaken
        }
    }
}

fn variable(scalar: &Scalar) -> Read<String> {
    if is_variable(&scalar.text) {
        return Ok(scalar.text.clone());
    }
    // Who mixes up a name and a value has written the value.
    Err(Wrong {
        found: "this is not the name of an environment variable".to_owned(),
        fix: "write its name alone: {env: OPENAI_API_KEY}".to_owned(),
    })
}

/// Whether this can be the name of an environment variable.
pub fn is_variable(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit())
}
