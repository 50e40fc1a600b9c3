//! An organisation, a team, a user or a key: all may have budgets, limits and rights of their own.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::hash::KeyHash;
use crate::config::Limits;

/// How far up a tenant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// An organisation.
    Org,
    /// A team.
    Team,
    /// A person or a program.
    User,
    /// A virtual key.
    Key,
}

/// Who may change something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Managed {
    /// The admin API.
    #[default]
    Api,
    /// `gateway.yaml`, when the service starts.
    File,
}

/// One of the four, by its level; fields that a level does not have are empty there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "two who may disable it, each with a word of his own"
)]
pub struct Tenant {
    /// Who may change it.
    pub managed: Managed,
    /// The organisation it belongs to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub org: String,
    /// The team it belongs to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub team: String,
    /// The user it belongs to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The hashes of a key. It has two while it is being rotated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    /// A key is refused from this moment on, in seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// `free`, `premium`: whatever the operator calls it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tier: String,
    /// Which models it may use; all where nothing is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Which endpoints it may use, by path; all where nothing is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<String>>,
    /// What its requests are about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Each of them must cover a request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// How fast its callers may ask.
    #[serde(skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// Known, and refused.
    #[serde(skip_serializing_if = "is_false")]
    pub disabled: bool,
    /// Disabled by the admin API although the file, which manages it, says otherwise.
    #[serde(skip_serializing_if = "is_false")]
    pub suspended: bool,
}

/// A hash by which a key is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Of the key.
    pub sha256: KeyHash,
    /// This one is refused from this moment on, in seconds since the epoch: it was rotated out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// Something that can be switched off everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Switch {
    /// A provider.
    Provider(String),
    /// A deployment, as `PROVIDER/MODEL`.
    Deployment(String),
    /// A model, by the name that callers use.
    Model(String),
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Level {
    /// From the top down.
    pub const ALL: [Self; 4] = [Self::Org, Self::Team, Self::User, Self::Key];

    /// As it stands in the names of scopes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Org => "org",
            Self::Team => "team",
            Self::User => "user",
            Self::Key => "key",
        }
    }

    /// Several of them.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Org => "orgs",
            Self::Team => "teams",
            Self::User => "users",
            Self::Key => "keys",
        }
    }

    /// Reads [`Level::name`].
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }

    /// The scope of a tenant of this level.
    pub fn scope(self, name: &str) -> String {
        format!("{}:{name}", self.name())
    }
}

impl Tenant {
    /// Whether its callers are refused, whoever said so.
    pub fn is_off(&self) -> bool {
        self.disabled || self.suspended
    }

    /// To whom it belongs directly, from the top down.
    pub fn parents(&self) -> impl Iterator<Item = (Level, &str)> {
        let parents = [
            (Level::Org, self.org.as_str()),
            (Level::Team, self.team.as_str()),
            (Level::User, self.user.as_str()),
        ];
        parents.into_iter().filter(|(_, name)| !name.is_empty())
    }
}

impl Switch {
    /// Reads `provider:NAME`, `deployment:PROVIDER/MODEL` or `model:NAME`.
    pub fn read(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once(':')?;
        if name.is_empty() {
            return None;
        }
        match kind {
            "provider" => Some(Self::Provider(name.to_owned())),
            "deployment" if name.contains('/') => Some(Self::Deployment(name.to_owned())),
            "model" => Some(Self::Model(name.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(name) => write!(out, "provider:{name}"),
            Self::Deployment(name) => write!(out, "deployment:{name}"),
            Self::Model(name) => write!(out, "model:{name}"),
        }
    }
}
