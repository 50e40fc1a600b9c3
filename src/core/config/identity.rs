//! Who a key is, and whose money pays for it: what the filter knows of a caller. The same form stands in the plugin
//! JSON, in the budget service's store and in its answers, so that a key is one thing everywhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::is_false;
use crate::money::ids::ScopeId;
use crate::units::NanoUsd;

/// A virtual key with all that follows from its user, team and organisation. The key itself is nowhere: only its hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// SHA-256 of the key, in lower-case hexadecimal.
    pub sha256: String,
    /// What reports call it.
    pub name: String,
    /// Who pays.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub org: String,
    /// Who pays, one level down.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub team: String,
    /// Who calls.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `free`, `premium`: whatever the operator calls it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tier: String,
    /// Which models it may use; all where nothing is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Which endpoints it may use, by path; all where nothing is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<String>>,
    /// Known, and refused.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disabled: bool,
    /// Refused from this moment on, in seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// What every request of it is about: who pays for a tag pays for these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Who pays for its requests: each of these pays the whole cost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purses: Vec<Purse>,
    /// How fast it may ask: each of these is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limited>,
}

/// A scope with limits on how fast its callers may ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limited {
    /// [`ScopeId::named`] of the name.
    pub scope: ScopeId,
    /// As [`Purse::name`].
    pub name: String,
    /// How fast.
    pub limits: Limits,
}

/// How fast callers may ask; what is not set is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Requests in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm_limit: Option<u64>,
    /// Tokens in a minute, those of the prompt and those that are expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm_limit: Option<u64>,
    /// Requests at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel_requests: Option<u64>,
    /// How much of a minute may come at once, in percent of the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst_percent: Option<u32>,
    /// Everybody of this kind has limits of his own; else all have them together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
    /// Over the limit requests wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// Over the limit this model answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downgrade_to: Option<String>,
}

/// Whose own a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Each {
    /// Every organisation's.
    Org,
    /// Every team's.
    Team,
    /// Every user's.
    User,
    /// Every key's.
    Key,
}

impl Each {
    /// As written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Org => "org",
            Self::Team => "team",
            Self::User => "user",
            Self::Key => "key",
        }
    }
}

/// How requests wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// No request waits for longer.
    pub max_wait_ms: u64,
    /// No more of them wait, in all workers of a process together.
    pub max_waiting: u64,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.rpm_limit.is_none() && self.tpm_limit.is_none() && self.max_parallel_requests.is_none()
    }
}

/// A scope with a budget: money of it is held before a request leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purse {
    /// As the budget service knows it: [`ScopeId::named`] of the name.
    pub scope: ScopeId,
    /// `org:acme`, `team:search`, `user:alice`, `key:demo`, `model:small`, `tag:chat`, `everyone`.
    pub name: String,
    /// What holds for it.
    #[serde(default)]
    pub terms: Terms,
}

/// What holds for a purse, where its budgets leave a choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// Without cover nobody is served. A soft one is only watched.
    pub hard: bool,
    /// What this process may spend uncovered while the budget service is away.
    pub debt: NanoUsd,
    /// How long a request waits for money that is in flight before it is refused.
    pub wait_ms: u64,
    /// The status of a refusal: 402 or 429.
    pub refuse_with: u16,
    /// The model that answers once the steps of the budget say so.
    pub downgrade_to: Option<String>,
    /// Whether a caller who leaves a stream pays its whole hold, or what was seen and this many tokens more.
    pub on_disconnect: OnDisconnect,
    /// When the record of a request must be durable.
    pub records: Records,
}

/// When the record of a request must be durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Records {
    /// Soon after its end.
    #[default]
    Batched,
    /// Its opening before the reply begins.
    Strict,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            hard: true,
            debt: NanoUsd::ZERO,
            wait_ms: 2_000,
            refuse_with: 429,
            downgrade_to: None,
            on_disconnect: OnDisconnect::default(),
            records: Records::default(),
        }
    }
}

/// What a stream costs whose caller left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisconnect {
    /// What was seen, and so many tokens that the provider produced until it noticed.
    SeenPlus(u64),
    /// All that was held.
    Reserved,
}

impl Default for OnDisconnect {
    fn default() -> Self {
        Self::SeenPlus(32)
    }
}

/// What holds for every caller. It comes with the configuration, and anew from the budget service when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Commons {
    /// Pay for every request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub everyone: Vec<Purse>,
    /// Pay for requests for a model, by the name that callers use.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Vec<Purse>>,
    /// Pay for requests with a tag.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Vec<Purse>>,
    /// Pay for requests to an endpoint, by its path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, Vec<Purse>>,
    /// Pay for requests of callers of a tier.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tiers: BTreeMap<String, Vec<Purse>>,
    /// How fast may be asked: by everyone, for a model, with a tag, at an endpoint, by a tier.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limited>,
    /// What is switched off.
    #[serde(skip_serializing_if = "Switches::is_empty")]
    pub off: Switches,
}

/// What is switched off, everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Switches {
    /// Providers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<String>,
    /// Deployments, as `PROVIDER/MODEL`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deployments: Vec<String>,
    /// Models, by the name that callers use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
}

impl Switches {
    /// Whether everything is on.
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty() && self.deployments.is_empty() && self.models.is_empty()
    }
}
