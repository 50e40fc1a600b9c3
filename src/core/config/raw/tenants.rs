//! `tenants`: who may call, and who pays.

use super::super::reader::{Findings, Given, Part, Section, Written, section, single};
use super::super::scalar::{moment, text, truth};
use super::money::{Money, money};
use super::routing::{Texts, named_texts};
use super::{Named, each, named};
use crate::tenancy::Level;

/// `tenants`
#[derive(Clone, Debug)]
pub struct Tenants {
    /// `orgs`, in the order of the file.
    pub orgs: Given<Vec<Named<Tenant>>>,
    /// `teams`
    pub teams: Given<Vec<Named<Tenant>>>,
    /// `users`
    pub users: Given<Vec<Named<Tenant>>>,
    /// `keys`
    pub keys: Given<Vec<Given<Key>>>,
    /// `everyone`
    pub everyone: Given<Money>,
    /// `models`
    pub models: Given<Vec<Named<Money>>>,
    /// `tags`
    pub tags: Given<Vec<Named<Money>>>,
    /// `endpoints`, by path.
    pub endpoints: Given<Vec<Named<Money>>>,
    /// `tiers`
    pub tiers: Given<Vec<Named<Money>>>,
    /// `jwt_payload`
    pub jwt_payload: Given<String>,
}

/// An element of `tenants.keys`
#[derive(Clone, Debug)]
pub struct Key {
    /// `name`
    pub name: Given<String>,
    /// `sha256`
    pub sha256: Given<String>,
    /// `spiffe`
    pub spiffe: Given<String>,
    /// `claims`
    pub claims: Given<Vec<(Written<String>, Texts)>>,
    /// `user_claim`
    pub user_claim: Given<String>,
    /// `expires`, in seconds since the epoch.
    pub expires: Given<u64>,
    /// What every tenant may say.
    pub tenant: Tenant,
}

/// An entry of `tenants.orgs`, `tenants.teams` or `tenants.users`; what a level does not have is absent there.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// `org`
    pub org: Given<String>,
    /// `team`
    pub team: Given<String>,
    /// `user`
    pub user: Given<String>,
    /// `tier`
    pub tier: Given<String>,
    /// `models`
    pub models: Given<Vec<Given<String>>>,
    /// `endpoints`
    pub endpoints: Given<Vec<Given<String>>>,
    /// `tags`
    pub tags: Given<Vec<Given<String>>>,
    /// `disabled`
    pub disabled: Given<bool>,
    /// Budgets and limits.
    pub money: Money,
}

pub(super) fn tenants(fields: &mut Section<'_>, findings: &mut Findings) -> Tenants {
    Tenants {
        orgs: named(fields, "orgs", org, findings),
        teams: named(fields, "teams", team, findings),
        users: named(fields, "users", user, findings),
        keys: each(
            fields,
            "keys",
            |part, findings| section(part, key, findings),
            findings,
        ),
        everyone: fields.section("everyone", money, findings),
        models: named(fields, "models", money, findings),
        tags: named(fields, "tags", money, findings),
        endpoints: named(fields, "endpoints", money, findings),
        tiers: named(fields, "tiers", money, findings),
        jwt_payload: fields.single("jwt_payload", text, findings),
    }
}

fn org(fields: &mut Section<'_>, findings: &mut Findings) -> Tenant {
    Tenant {
        org: Given::Absent,
        team: Given::Absent,
        user: Given::Absent,
        tier: fields.single("tier", text, findings),
        models: texts(fields, "models", findings),
        endpoints: texts(fields, "endpoints", findings),
        tags: texts(fields, "tags", findings),
        disabled: fields.single("disabled", truth, findings),
        money: money(fields, findings),
    }
}

fn team(fields: &mut Section<'_>, findings: &mut Findings) -> Tenant {
    Tenant {
        org: fields.single("org", text, findings),
        ..org(fields, findings)
    }
}

fn user(fields: &mut Section<'_>, findings: &mut Findings) -> Tenant {
    Tenant {
        team: fields.single("team", text, findings),
        ..team(fields, findings)
    }
}

fn key(fields: &mut Section<'_>, findings: &mut Findings) -> Key {
    Key {
        name: fields.single("name", text, findings),
        sha256: fields.single("sha256", text, findings),
        spiffe: fields.single("spiffe", text, findings),
        claims: named_texts(fields, "claims", findings),
        user_claim: fields.single("user_claim", text, findings),
        expires: fields.single("expires", moment, findings),
        tenant: Tenant {
            user: fields.single("user", text, findings),
            ..user(fields, findings)
        },
    }
}

fn texts(
    fields: &mut Section<'_>,
    name: &'static str,
    findings: &mut Findings,
) -> Given<Vec<Given<String>>> {
    each(
        fields,
        name,
        |part, findings| single(&part, text, findings),
        findings,
    )
}

/// One tenant by itself, as the admin API is given it. Only keys have hashes and ends.
pub(in crate::config) fn alone(
    level: Level,
    part: Part<'_>,
    findings: &mut Findings,
) -> Given<Key> {
    match level {
        Level::Org => section(
            part,
            |fields, findings| bare(fields, org, findings),
            findings,
        ),
        Level::Team => section(
            part,
            |fields, findings| bare(fields, team, findings),
            findings,
        ),
        Level::User => section(
            part,
            |fields, findings| bare(fields, user, findings),
            findings,
        ),
        Level::Key => section(part, key, findings),
    }
}

fn bare(
    fields: &mut Section<'_>,
    tenant: fn(&mut Section<'_>, &mut Findings) -> Tenant,
    findings: &mut Findings,
) -> Key {
    Key {
        name: fields.single("name", text, findings),
        sha256: Given::Absent,
        spiffe: Given::Absent,
        claims: Given::Absent,
        user_claim: Given::Absent,
        expires: Given::Absent,
        tenant: tenant(fields, findings),
    }
}
