//! One thing the directory knows, in the form in which a store keeps it: a kind, an id, and JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::common::{Common, CommonScope};
use super::tenant::{Level, Switch, Tenant};

/// Something the directory knows, as it is from now on; nothing inside means that it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entity {
    /// An organisation, a team, a user or a key.
    Tenant(Level, String, Option<Box<Tenant>>),
    /// What holds for everyone, for a model, for a tag.
    Common(CommonScope, Option<Common>),
    /// What is switched off; gone means that it is on.
    Switch(Switch, Option<SwitchedOff>),
}

/// Why something is off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwitchedOff {
    /// In the operator's words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What an entity is, as a store calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// [`Entity::Tenant`].
    Tenant(Level),
    /// [`Entity::Common`].
    Common,
    /// [`Entity::Switch`].
    Switch,
}

/// A row of the store that is no entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tenant(level) => level.name(),
            Self::Common => "budget",
            Self::Switch => "switch",
        }
    }

    /// Reads a name; other kinds are not the directory's.
    pub fn read(name: &str) -> Option<Self> {
        match name {
            "budget" => Some(Self::Common),
            "switch" => Some(Self::Switch),
            _ => Level::read(name).map(Self::Tenant),
        }
    }
}

impl Entity {
    /// Reads what a store kept; no body means that it is gone.
    pub fn read(kind: Kind, id: &str, body: Option<&str>) -> Result<Self, Unreadable> {
        let wrong = |why: String| Unreadable(format!("{} `{id}`: {why}", kind.name()));
        let no_name = || wrong("this is no name of that kind".to_owned());
        let json = |error: serde_json::Error| wrong(error.to_string());
        match kind {
            Kind::Tenant(level) => {
                let tenant = body.map(serde_json::from_str).transpose().map_err(json)?;
                Ok(Self::Tenant(level, id.to_owned(), tenant))
            }
            Kind::Common => {
                let scope = CommonScope::read(id).ok_or_else(no_name)?;
                let common = body.map(serde_json::from_str).transpose().map_err(json)?;
                Ok(Self::Common(scope, common))
            }
            Kind::Switch => {
                let switch = Switch::read(id).ok_or_else(no_name)?;
                let off = body.map(serde_json::from_str).transpose().map_err(json)?;
                Ok(Self::Switch(switch, off))
            }
        }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Tenant(level, ..) => Kind::Tenant(*level),
            Self::Common(..) => Kind::Common,
            Self::Switch(..) => Kind::Switch,
        }
    }

    /// Which one it is among its kind.
    pub fn id(&self) -> String {
        match self {
            Self::Tenant(_, name, _) => name.clone(),
            Self::Common(scope, _) => scope.to_string(),
            Self::Switch(switch, _) => switch.to_string(),
        }
    }

    /// What a store keeps; none where it is gone.
    pub fn body(&self) -> Option<String> {
        // Serialisation fails on maps whose keys are no strings, and on failing writers: neither is here.
        match self {
            Self::Tenant(_, _, tenant) => tenant.as_ref().map(serde_json::to_string),
            Self::Common(_, common) => common.as_ref().map(serde_json::to_string),
            Self::Switch(_, off) => off.as_ref().map(serde_json::to_string),
        }
        .map(Result::unwrap_or_default)
    }
}
