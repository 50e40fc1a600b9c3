//! One who may be asked, with all that speaks for and against it.

use crate::config::routing::Capability;
use crate::config::{Gateway, Provider, Target};
use crate::health::{DeploymentId, Row, Standing};
use crate::units::{NanoUsd, Tokens};
use crate::usage::Usage;

use super::{Ask, Sky};

/// A target of a model, as it is for one request.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    /// Position in [`Gateway::models`].
    pub model: usize,
    /// Position in its targets.
    pub target: usize,
    /// As configured.
    pub of: &'a Target,
    /// Who runs it.
    pub provider: &'a Provider,
    /// By which its health is known.
    pub id: DeploymentId,
    /// Its health.
    pub row: Row,
    /// And what follows from it.
    pub standing: Standing,
    /// Requests that run there.
    pub busy: u32,
    /// What the request probably costs there; none where no price is known.
    pub estimate: Option<NanoUsd>,
}

impl<'a> Candidate<'a> {
    /// A target of a model, if there is one at this place.
    pub fn new(
        config: &'a Gateway,
        (model, target): (usize, usize),
        ask: &Ask<'_>,
        sky: &Sky<'_>,
    ) -> Option<Self> {
        let known = config.models.get(model)?;
        let of = known.targets.get(target)?;
        let provider = config.providers.get(of.provider)?;
        let id = of.deployment(provider);
        let row = sky.health.row(id);
        let expected = known.routing.expected_output;
        let output = ask
            .traits
            .output_max
            .map_or(expected, |max| max.min(expected));
        let usage = Usage {
            input: ask.prompt,
            output: Tokens(output),
            ..Usage::default()
        };
        Some(Self {
            model,
            target,
            of,
            provider,
            id,
            standing: row.standing(ask.now_ms(), ask.tokens()),
            row,
            busy: sky.busy.get(&id).copied().unwrap_or_default(),
            estimate: of
                .price
                .as_ref()
                .and_then(|price| price.cost(&usage, 1).ok()),
        })
    }

    /// How long it takes, and how far that varies, in microseconds; none where it is not known.
    pub fn pace(&self, ask: &Ask<'_>) -> Option<(u64, u64)> {
        let (fitting, other) = if ask.stream {
            (self.row.first_token, self.row.whole)
        } else {
            (self.row.whole, self.row.first_token)
        };
        let known = [fitting, other]
            .into_iter()
            .find(|average| average.samples > 0)?;
        Some((known.mean_us, known.deviation_us()))
    }

    /// In thousandths: how much of what it was asked lately failed, and more for one that is failing right now.
    pub fn unreliability(&self, now_ms: u64) -> u64 {
        let share = self
            .row
            .failure_share(now_ms, self.provider.breaker.within_ms);
        match self.standing {
            Standing::Degraded => share.max(500),
            Standing::Closed
            | Standing::Due
            | Standing::Resting { .. }
            | Standing::Cooling { .. } => share,
        }
    }
}

/// Why a candidate is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It, its provider or its model is switched off.
    SwitchedOff,
    /// The caller may not use its model.
    NotAllowed,
    /// Its own `when` does not fit.
    Condition,
    /// It stands elsewhere.
    Region,
    /// It cannot do what the request needs.
    Lacks(Capability),
    /// Prompt and answer are longer than it reads.
    ContextWindow,
    /// Its answers are shorter than the one asked for.
    OutputLimit,
    /// It takes longer than the caller would wait.
    TooSlow,
    /// There is no room for this request.
    NoRoom(&'static str),
    /// It rests after failures.
    Resting {
        /// For how long yet.
        for_ms: u64,
    },
    /// Its provider asked to be left alone, or has nothing left.
    Cooling {
        /// For how long yet.
        for_ms: u64,
    },
    /// It stands in the chain already.
    Listed,
    /// Its provider has been asked again too often.
    RetryBudget,
    /// The chain is long enough.
    ChainFull,
    /// Its dialect cannot say it.
    Untranslatable,
}

impl Why {
    /// As it stands in explanations.
    pub fn name(self) -> &'static str {
        match self {
            Self::SwitchedOff => "switched_off",
            Self::NotAllowed => "not_allowed",
            Self::Condition => "condition",
            Self::Region => "region",
            Self::Lacks(Capability::Tools) => "lacks_tools",
            Self::Lacks(Capability::Vision) => "lacks_vision",
            Self::Lacks(Capability::Schema) => "lacks_schema",
            Self::Lacks(Capability::Reasoning) => "lacks_reasoning",
            Self::ContextWindow => "context_window",
            Self::OutputLimit => "output_limit",
            Self::TooSlow => "too_slow",
            Self::NoRoom(what) => what,
            Self::Resting { .. } => "breaker_open",
            Self::Cooling { .. } => "cooling_down",
            Self::Listed => "listed_already",
            Self::RetryBudget => "retry_budget",
            Self::ChainFull => "chain_full",
            Self::Untranslatable => "untranslatable",
        }
    }
}
