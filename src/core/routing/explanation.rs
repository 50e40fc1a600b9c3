//! Why a request went where it went: with the very numbers by which it was decided.

use serde_json::{Value, json};

use super::ask::Ask;
use super::candidate::{Candidate, Why};
use super::strategy::Score;
use crate::config::Gateway;
use crate::config::routing::Strategy;
use crate::health::Standing;
use crate::units::NanoUsd;

/// One decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Position of the model asked for.
    pub asked: usize,
    /// Position of the model that answers.
    pub model: usize,
    /// What made it another one.
    pub because: Because,
    /// The strategy that decided.
    pub strategy: Strategy,
    /// Positions of the policies that fit.
    pub policies: Vec<usize>,
    /// How hard it looked, where that was asked.
    pub complexity: Option<u8>,
    /// Who was considered, model by model.
    pub considered: Vec<Considered>,
}

/// What decided which model answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Because {
    /// The caller asked for it.
    #[default]
    Asked,
    /// A policy says so.
    Policy,
    /// A budget is nearly spent.
    Budget,
    /// A limit by the minute is reached.
    Limit,
}

/// One candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Considered {
    /// Position of its model.
    pub model: usize,
    /// Position in the model's targets.
    pub target: usize,
    /// What the request probably costs there.
    pub estimate: Option<NanoUsd>,
    /// How it is.
    pub standing: Standing,
    /// In thousandths.
    pub failing: u64,
    /// The mean time to its first token, in microseconds.
    pub first_token_us: Option<u64>,
    /// Requests that run there.
    pub busy: u32,
    /// By the strategy.
    pub score: Option<Score>,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is asked as this one of the chain, from 0.
    Asked(usize),
    /// It is not.
    Passed(Why),
}

impl Considered {
    pub(super) fn of(
        candidate: &Candidate<'_>,
        ask: &Ask<'_>,
        now_ms: u64,
        verdict: Verdict,
    ) -> Self {
        Self {
            model: candidate.model,
            target: candidate.target,
            estimate: candidate.estimate,
            standing: candidate.standing,
            failing: candidate.unreliability(now_ms),
            first_token_us: candidate.pace(ask).map(|(mean_us, _)| mean_us),
            busy: candidate.busy,
            score: None,
            verdict,
        }
    }
}

impl Explanation {
    /// For the record, in a word: what decided who was asked first.
    pub fn reason(&self) -> &'static str {
        match (self.because, self.strategy) {
            (Because::Policy, _) => "policy",
            (Because::Budget, _) => "budget",
            (Because::Limit, _) => "limit",
            (Because::Asked, Strategy::Ordered) => "first_in_order",
            (Because::Asked, Strategy::Weighted) => "weighted",
            (Because::Asked, Strategy::Cheapest) => "cheapest",
            (Because::Asked, Strategy::Fastest) => "fastest",
            (Because::Asked, Strategy::LeastBusy) => "least_busy",
            (Because::Asked, Strategy::Balanced) => "balanced",
        }
    }

    /// A target turned out not to be possible after all: those behind it move up.
    pub fn pass_over(&mut self, (model, target): (usize, usize), why: Why) {
        let mut gone = None;
        for one in &mut self.considered {
            if let (true, Verdict::Asked(place)) =
                ((one.model, one.target) == (model, target), one.verdict)
            {
                gone = Some(place);
                one.verdict = Verdict::Passed(why);
            }
        }
        let Some(gone) = gone else { return };
        for one in &mut self.considered {
            if let Verdict::Asked(place) = &mut one.verdict
                && *place > gone
            {
                *place = place.saturating_sub(1);
            }
        }
    }

    /// For `tollgate explain` and the debug header.
    pub fn json(&self, config: &Gateway) -> Value {
        let model_name = |at: usize| config.models.get(at).map_or("?", |model| &model.name);
        let policies = self
            .policies
            .iter()
            .filter_map(|at| config.policies.get(*at));
        let candidates = self.considered.iter().map(|one| one.json(config));
        let mut json = json!({
            "asked": model_name(self.asked),
            "model": model_name(self.model),
            "reason": self.reason(),
            "strategy": self.strategy,
            "candidates": candidates.collect::<Vec<_>>(),
        });
        let names: Vec<&str> = policies.map(|policy| policy.name.as_str()).collect();
        if !names.is_empty() {
            set(&mut json, "policies", json!(names));
        }
        if let Some(score) = self.complexity {
            set(
                &mut json,
                "complexity",
                json!({"score": score, "class": super::complexity::class(score)}),
            );
        }
        json
    }
}

fn set(json: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = json {
        fields.insert(name.to_owned(), value);
    }
}

impl Considered {
    fn json(&self, config: &Gateway) -> Value {
        let model = config.models.get(self.model);
        let target = model.and_then(|model| model.targets.get(self.target));
        let provider = target.and_then(|target| config.providers.get(target.provider));
        let mut json = json!({
            "model": model.map_or("?", |model| &model.name),
            "provider": provider.map_or("?", |provider| &provider.name),
            "target": target.map_or("?", |target| &target.model),
            "health": self.standing.name(),
            "failing_permille": self.failing,
            "busy": self.busy,
        });
        if let Some(target) = target
            && !target.traits.region.is_empty()
        {
            set(&mut json, "region", json!(target.traits.region));
        }
        if let Some(estimate) = self.estimate {
            set(&mut json, "estimate_nanousd", json!(estimate.0));
        }
        if let Some(us) = self.first_token_us {
            set(&mut json, "first_token_us", json!(us));
        }
        if let Some(score) = self.score {
            set(&mut json, "score", json!(score.value));
        }
        let (name, value) = match self.verdict {
            Verdict::Asked(place) => ("place", json!(place.saturating_add(1))),
            Verdict::Passed(why) => ("passed_over", json!(why.name())),
        };
        set(&mut json, name, value);
        json
    }
}
