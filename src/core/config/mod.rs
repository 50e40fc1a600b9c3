//! Configuration in its used form: checked, compact, and what the filter gets as plugin JSON.
//! After the check nothing here is validated again.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use crate::catalogue::Capability;
pub use crate::dialect::Dialect;
use crate::dialect::speak;
pub use crate::price::Price;
use crate::units::{NanoUsd, Tokens};
use crate::vouched;
pub use identity::{
    Commons, Each, Key, Limited, Limits, OnDisconnect, Purse, Queue, Records, Switches, Terms,
};
pub use looks::Looks;
pub use routing::{DeploymentId, Policy, Routing, Rules, Traits};

pub mod check;
pub mod clock;
pub mod deploy;
pub mod hold;
pub mod identity;
pub mod looks;
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
    Gateway(Box<Gateway>),
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
    /// Who needs no key.
    #[serde(default, skip_serializing_if = "vouched::Rules::is_empty")]
    pub vouched: vouched::Rules,
    /// What is done with requests of some kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// Where keys and money come from; without it only the keys above are known, and nobody has a budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_service: Option<BudgetService>,
    /// What is told about requests, and how much of it.
    pub telemetry: Telemetry,
    /// See [`Self::looks`].
    #[serde(skip)]
    pub looks: looks::Once,
}

impl Gateway {
    /// What the conditions look at.
    pub fn looks(&self) -> &Looks {
        self.looks.0.get_or_init(|| {
            let targets = self.models.iter().flat_map(|model| &model.targets);
            let targets = targets.map(|target| &target.traits.when);
            let policies = self.policies.iter().map(|policy| &policy.when);
            Looks::of(policies.chain(targets))
        })
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
    /// The date of its interface; its dialect's own where nothing is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// How long a stream may take to its first token.
    pub first_token_timeout_ms: u64,
    /// How long an answer in one piece may take.
    pub reply_timeout_ms: u64,
    /// When its deployments are passed over.
    #[serde(default, skip_serializing_if = "Rules::is_default")]
    pub breaker: Rules,
    /// Of a hundred requests, so many may ask it once more after it has failed them.
    #[serde(
        default = "retry_percent",
        skip_serializing_if = "is_usual_retry_percent"
    )]
    pub retry_percent: u32,
}

/// So much more load an outage may bring.
pub(crate) const RETRY_PERCENT: u32 = 20;

fn retry_percent() -> u32 {
    RETRY_PERCENT
}

fn is_usual_retry_percent(percent: &u32) -> bool {
    *percent == RETRY_PERCENT
}

impl Provider {
    /// A model of this provider, as its dialect needs to know it.
    pub fn asked_for<'a>(&'a self, target: &'a Target) -> speak::Target<'a> {
        speak::Target {
            model: &target.model,
            output_max: None,
            api_version: self.api_version.as_deref(),
        }
    }
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
    /// What it costs, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Who says so.
    #[serde(default, skip_serializing_if = "PriceFrom::is_file")]
    pub price_from: PriceFrom,
    /// Where no price is known: whether a caller with a hard budget may ask all the same.
    #[serde(default, skip_serializing_if = "Unpriced::is_refuse")]
    pub unpriced: Unpriced,
    /// How many tokens a prompt may have, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<Tokens>,
    /// How many tokens an answer may have, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<Tokens>,
    /// The cap of an answer whose caller names none; else [`Self::max_output`] is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_max_tokens: Option<Tokens>,
    /// Held for a request whose worst case nobody can tell; without it hard budgets refuse that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unbounded_hold: Option<NanoUsd>,
    /// What it can do, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<BTreeSet<Capability>>,
    /// What else is written of it.
    #[serde(default, skip_serializing_if = "Traits::is_default")]
    pub traits: Traits,
}

/// Who says what a target costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceFrom {
    /// The configuration itself.
    #[default]
    File,
    /// The catalogue, at the time the configuration was read.
    Catalogue,
    /// Nobody: it is that of the dearest target at hand.
    Estimate,
}

impl PriceFrom {
    fn is_file(&self) -> bool {
        *self == Self::File
    }
}

/// What becomes of a request for a target whose price nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// Hard budgets refuse it.
    #[default]
    Refuse,
    /// It is served and counted as unpriced.
    Allow,
}

impl Unpriced {
    fn is_refuse(&self) -> bool {
        *self == Self::Refuse
    }
}

impl Target {
    /// By which its health is known: the same wherever it is a target.
    pub fn deployment(&self, provider: &Provider) -> DeploymentId {
        DeploymentId::of(&provider.name, &self.model, &self.traits.region)
    }

    /// What an answer is capped at whose caller wishes for this: its own cap within what the model can say, else what
    /// the configuration or the catalogue has. None where nobody knows one, so that a hard budget cannot cover it.
    pub fn output_cap(&self, wished: Option<Tokens>) -> Option<Tokens> {
        let most = self.max_output;
        let within = |cap: Tokens| most.map_or(cap, |most| cap.min(most));
        wished.or(self.default_max_tokens).map(within).or(most)
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
    /// Whether every decision is explained, in the record and to the caller.
    #[serde(default, skip_serializing_if = "Explains::is_never")]
    pub explain: Explains,
}

/// Whether decisions are explained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Explains {
    /// No: it says what others cost and how they are.
    #[default]
    Never,
    /// In the record.
    InRecord,
    /// In the record, and in `x-tollgate-route`.
    ToCaller,
}

impl Explains {
    fn is_never(&self) -> bool {
        *self == Self::Never
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            label_values_max: 1_000,
            response_headers: true,
            explain: Explains::Never,
        }
    }
}

fn is_false(flag: &bool) -> bool {
    !*flag
}
