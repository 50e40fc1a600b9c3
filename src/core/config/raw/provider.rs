//! `providers`: who answers.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::super::deploy::Secret;
use super::super::node::{Scalar, Value};
use super::super::reader::{Findings, Given, SECRETS_ONLY, Section, Written, section};
use super::super::scalar::{Read, Wrong, address, duration, text, truth};
use super::super::suggest;
use super::routing::{Breaker, breaker, percent};
use crate::config::Dialect;

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
    /// `aws`
    pub aws: Given<Aws>,
    /// `api_version`
    pub api_version: Given<String>,
    /// `allow_plaintext`
    pub allow_plaintext: Given<bool>,
    /// `connect_timeout`, in milliseconds.
    pub connect_timeout: Given<u64>,
    /// `first_token_timeout`, in milliseconds.
    pub first_token_timeout: Given<u64>,
    /// `reply_timeout`, in milliseconds.
    pub reply_timeout: Given<u64>,
    /// `breaker`
    pub breaker: Given<Breaker>,
    /// `retry_budget`, in percent.
    pub retry_budget: Given<u32>,
    /// `tls`
    pub tls: Given<Tls>,
}

/// `providers.*.aws`
#[derive(Clone, Debug)]
pub struct Aws {
    /// `region`
    pub region: Given<String>,
    /// `credentials_file`
    pub credentials_file: Given<String>,
    /// `profile`
    pub profile: Given<String>,
}

/// `providers.*.tls`
#[derive(Clone, Debug)]
pub struct Tls {
    /// `server_name`
    pub server_name: Given<String>,
    /// `ca_file`
    pub ca_file: Given<String>,
}

pub(super) fn provider(fields: &mut Section<'_>, findings: &mut Findings) -> Provider {
    Provider {
        dialect: fields.single("dialect", dialect, findings),
        url: fields.single("url", text, findings),
        fake: fields.single("fake", address, findings),
        key: secret(fields, "key", findings),
        aws: fields.section("aws", aws, findings),
        api_version: fields.single("api_version", text, findings),
        allow_plaintext: fields.single("allow_plaintext", truth, findings),
        connect_timeout: fields.single("connect_timeout", duration, findings),
        first_token_timeout: fields.single("first_token_timeout", duration, findings),
        reply_timeout: fields.single("reply_timeout", duration, findings),
        breaker: fields.section("breaker", breaker, findings),
        retry_budget: fields.single("retry_budget", percent, findings),
        tls: fields.section("tls", tls, findings),
    }
}

fn aws(fields: &mut Section<'_>, findings: &mut Findings) -> Aws {
    Aws {
        region: fields.single("region", text, findings),
        credentials_file: fields.single("credentials_file", text, findings),
        profile: fields.single("profile", text, findings),
    }
}

fn tls(fields: &mut Section<'_>, findings: &mut Findings) -> Tls {
    Tls {
        server_name: fields.single("server_name", text, findings),
        ca_file: fields.single("ca_file", text, findings),
    }
}

fn dialect(scalar: &Scalar) -> Read<Dialect> {
    let known: Vec<&str> = Dialect::all().map(Dialect::name).collect();
    if let Some(dialect) = Dialect::named(&scalar.text) {
        return Ok(dialect);
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
pub(super) fn secret(
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
