//! What holds whoever calls: for everyone, for a model, for a tag.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::tenant::Managed;
use crate::config::Limits;

/// For which requests it holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommonScope {
    /// All.
    Everyone,
    /// Those for a model, by the name that callers use.
    Model(String),
    /// Those with a tag.
    Tag(String),
    /// Those to an endpoint, by its path.
    Endpoint(String),
    /// Those of callers of a tier.
    Tier(String),
}

/// Budgets and limits that many callers share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Common {
    /// Who may change it.
    pub managed: Managed,
    /// Each of them must cover a request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// How fast may be asked.
    #[serde(skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

impl CommonScope {
    /// Reads a scope's name; those of tenants are none.
    pub fn read(name: &str) -> Option<Self> {
        match name.split_once(':') {
            None if name == "everyone" => Some(Self::Everyone),
            Some(("model", model)) if !model.is_empty() => Some(Self::Model(model.to_owned())),
            Some(("tag", tag)) if !tag.is_empty() => Some(Self::Tag(tag.to_owned())),
            Some(("endpoint", path)) if !path.is_empty() => Some(Self::Endpoint(path.to_owned())),
            Some(("tier", tier)) if !tier.is_empty() => Some(Self::Tier(tier.to_owned())),
            _ => None,
        }
    }
}

/// As a scope is called.
impl fmt::Display for CommonScope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => out.write_str("everyone"),
            Self::Model(model) => write!(out, "model:{model}"),
            Self::Tag(tag) => write!(out, "tag:{tag}"),
            Self::Endpoint(path) => write!(out, "endpoint:{path}"),
            Self::Tier(tier) => write!(out, "tier:{tier}"),
        }
    }
}
