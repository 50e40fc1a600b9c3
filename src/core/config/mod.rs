//! Configuration in its used form: checked, compact, and what the filter gets as plugin JSON.
//! After the check nothing here is validated again.

use serde::{Deserialize, Serialize};

use crate::units::Tokens;

pub use crate::dialect::Dialect;
pub use crate::price::Price;
pub use identity::{Commons, Key, Limited, Limits, OnDisconnect, Purse, Switches, Terms};
pub use routing::{DeploymentId, Policy, Routing, Rules, Traits};

pub mod check;
pub mod clock;
pub mod deploy;
pub mod identity;
pub mod moment;
pub mod node;
pub mod problem;
pub mod raw;
mod reader;
pub mod routing;
mod scalar;
mod suggest;
mod url;

/// What Envoy hands a plugin when it starts: which of the two roles it plays, and its share of
/// the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Plugin {
    /// Once per request, in front of the router.
    Gateway(Gateway),
    /// Once per attempt, in front of a provider.
    Attempt(Attempt),
}

/// All that is decided once per request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// The largest request body that is read.
    pub body_bytes_max: u64,
    /// How long a running stream may be silent.
    pub idle_timeout_ms: u64,
    /// Referred to by position from [`Target::provider`].
    pub providers: Vec<Provider>,
    /// Sorted by name.
    pub models: Vec<Model>,
    /// Sorted by hash.
    pub keys: Vec<Key>,
    /// What holds for every caller.
    #[serde(default)]
    pub commons: Commons,
    /// What is done with requests of some kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// Where keys and money come from; without it only the keys above are known, and nobody has a budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_service: Option<BudgetService>,
    /// What is told about requests, and how much of it.
    pub telemetry: Telemetry,
}

impl Gateway {
    /// Headers that policies and targets look at, in lower case.
    pub fn policy_headers(&self) -> Vec<String> {
        let subjects = self.conditions().flat_map(|when| &when.texts);
        let mut names: Vec<String> = subjects
            .filter_map(|(subject, _)| match subject {
                routing::Subject::Header(name) => Some(name.clone()),
                routing::Subject::Model
                | routing::Subject::Endpoint
                | routing::Subject::Org
                | routing::Subject::Team
                | routing::Subject::User
                | routing::Subject::Key
                | routing::Subject::Tier
                | routing::Subject::Tag
                | routing::Subject::Metadata(_) => None,
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether any condition asks how hard a request looks.
    pub fn looks_how_hard(&self) -> bool {
        self.conditions().any(|when| !when.complexity.is_empty())
    }

    fn conditions(&self) -> impl Iterator<Item = &routing::When> {
        let targets = self.models.iter().flat_map(|model| &model.targets);
        let policies = self.policies.iter().map(|policy| &policy.when);
        policies.chain(targets.map(|target| &target.traits.when))
    }
}

/// The budget service, as the filter needs to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetService {
    /// Envoy's cluster for it.
    pub cluster: String,
    /// Sent as `:authority`.
    pub authority: String,
    /// Keys that were known stay known for so long while it is away.
    pub keys_kept_ms: u64,
}

/// Where an attempt runs decides what it must do beside its dialect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempt {
    /// As upstream filter of this provider's cluster (Envoy 1.39 and later).
    Cluster {
        /// The provider whose cluster this is.
        provider: String,
    },
    /// As filter of the inner listener through which every attempt goes (Envoy before 1.39):
    /// there it also names the cluster.
    Hop,
}

/// A place that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// As written under `providers`.
    pub name: String,
    /// What it speaks.
    pub dialect: Dialect,
    /// Envoy's cluster for it.
    pub cluster: String,
    /// Sent as `:authority`.
    pub authority: String,
    /// In front of every path, without a trailing slash: `/v1`.
    pub path: String,
    /// How long a stream may take to its first token.
    pub first_token_timeout_ms: u64,
    /// How long an answer in one piece may take.
    pub reply_timeout_ms: u64,
    /// When its deployments are passed over.
    #[serde(default)]
    pub breaker: Rules,
    /// Of a hundred requests, so many may ask it once more after it has failed them.
    #[serde(default = "retry_percent")]
    pub retry_percent: u32,
}

/// So much more load an outage may bring.
pub(crate) const RETRY_PERCENT: u32 = 20;

fn retry_percent() -> u32 {
    RETRY_PERCENT
}

/// A name that callers use, and who may answer to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// What the caller asks for.
    pub name: String,
    /// In the order they are written.
    pub targets: Vec<Target>,
    /// How one of them is chosen.
    #[serde(default, skip_serializing_if = "Routing::is_default")]
    pub routing: Routing,
}

/// One deployment of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Position in [`Gateway::providers`].
    pub provider: usize,
    /// The provider's own name for it.
    pub model: String,
    /// What it costs; none is known where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// How long an answer may be; as the catalogue knows it where nothing is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<Tokens>,
    /// What it is and takes.
    #[serde(default, skip_serializing_if = "Traits::is_default")]
    pub traits: Traits,
}

impl Target {
    /// By which its health is known: the same wherever it is a target.
    pub fn deployment(&self, provider: &Provider) -> DeploymentId {
        DeploymentId::of(&provider.name, &self.model, &self.traits.region)
    }
}

/// What is told about requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telemetry {
    /// How many users and how many teams may have series of their own; the rest is `other`.
    /// Envoy keeps a series (about 430 bytes) until it restarts.
    pub label_values_max: usize,
    /// Whether replies carry `x-tollgate-*` headers.
    pub response_headers: bool,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            label_values_max: 1_000,
            response_headers: true,
        }
    }
}

fn is_false(flag: &bool) -> bool {
    !*flag
}
