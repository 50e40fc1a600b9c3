//! `tenants`: who may call, and who pays.

use super::super::reader::{Findings, Given, Section, section, single};
use super::super::scalar::{text, truth};
use super::each;

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

pub(super) fn tenants(fields: &mut Section<'_>, findings: &mut Findings) -> Tenants {
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
