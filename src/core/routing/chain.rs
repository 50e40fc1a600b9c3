//! The chain of a request: who is asked, who after him, and what for.

use std::collections::BTreeSet;

use super::candidate::{Candidate, Why};
use super::explanation::{Because, Considered, Explanation, Verdict};
use super::filter::{self, Look};
use super::memory::Memory;
use super::policy::{self, Ruling};
use super::strategy::{self, Inputs, Score, sticky};
use super::{Ask, Sky};
use crate::config::routing::{Capability, Strategy};
use crate::config::{Gateway, Switches};
use crate::handoff::ATTEMPTS_MAX;
use crate::health::{Attempted, DeploymentId, Standing};
use crate::limits::quota::DAILY_BUDGET;

/// One who may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Position in [`Gateway::models`].
    pub model: usize,
    /// Position in the model's targets.
    pub target: usize,
    /// After what.
    pub after: After,
    /// Whether it finds out if its deployment is well again: then the probe must be claimed first.
    pub attempted: Attempted,
}

/// What must have happened for a target to be asked after another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum After {
    /// Any failure that is the provider's.
    #[default]
    Failure,
    /// A provider says that the prompt is too long.
    ContextWindow,
    /// A provider's filter does not want it.
    ContentPolicy,
}

/// A way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routed {
    /// In the order of asking.
    pub picks: Vec<Pick>,
    /// Why.
    pub explanation: Explanation,
}

/// No way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impossible<'a> {
    /// A policy says no, in these words.
    Denied(&'a str),
    /// For now: come back after so many milliseconds.
    Later {
        /// How long.
        wait_ms: u64,
        /// Whether it is the providers who have too much to do.
        why: Why,
    },
    /// For this request, always.
    Never(Why),
}

/// Chooses who is asked, and in which order. What it cannot do, it explains.
pub fn route<'a>(
    config: &'a Gateway,
    off: &Switches,
    ask: &Ask<'_>,
    sky: &Sky<'_>,
    memory: &mut Memory,
) -> (Result<Vec<Pick>, Impossible<'a>>, Explanation) {
    let ruling = policy::ruling(config, ask);
    let (model, because) = match (ask.downgraded_to, ruling.model) {
        (Some((model, because)), _) if model != ask.model => (model, because),
        (_, Some(model)) if model != ask.model => (model, Because::Policy),
        _ => (ask.model, Because::Asked),
    };
    let configured = config.models.get(model);
    let own = configured.map_or(Strategy::Ordered, |model| model.routing.strategy);
    let mut chain = Chain {
        config,
        ask,
        look: Look {
            config,
            off,
            ask,
            sky,
            regions: &ruling.regions,
        },
        ruling: &ruling,
        memory,
        picks: Vec::new(),
        listed: BTreeSet::new(),
        probe: None,
        explanation: Explanation {
            asked: ask.model,
            model,
            because,
            strategy: ruling.strategy.unwrap_or(own),
            policies: ruling.fitting.clone(),
            complexity: ask.complexity,
            considered: Vec::new(),
        },
    };
    if let Some(words) = ruling.deny {
        return (Err(Impossible::Denied(words)), chain.explanation);
    }
    for (model, after, led) in models(config, ask, model, because) {
        chain.add_model(model, after, led);
    }
    chain.add_special_fallbacks(model);
    chain.take_the_best_of_the_bad();
    chain.finish()
}

/// The models of a chain in their order, each once.
fn models(
    config: &Gateway,
    ask: &Ask<'_>,
    model: usize,
    because: Because,
) -> Vec<(usize, After, Led)> {
    let mut order = vec![(model, After::Failure, Led::ByOperator)];
    if !matches!(because, Because::Budget | Because::Limit) {
        let wishes = ask.instead.iter();
        order.extend(wishes.map(|model| (*model, After::Failure, Led::ByCaller)));
    }
    let mut at = 0;
    while let Some((next, ..)) = order.get(at).copied() {
        at = at.saturating_add(1);
        let fallbacks = config
            .models
            .get(next)
            .map(|model| &model.routing.fallbacks);
        for fallback in fallbacks.into_iter().flatten() {
            let led = (*fallback, After::Failure, Led::ByOperator);
            if !order.contains(&led) {
                order.push(led);
            }
        }
    }
    order
}

/// Who leads to a model. Where policies and fallbacks lead, a caller may go that may not ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Led {
    ByCaller,
    ByOperator,
}

struct Chain<'a, 'b> {
    config: &'a Gateway,
    ask: &'b Ask<'b>,
    look: Look<'b>,
    ruling: &'b Ruling<'a>,
    memory: &'b mut Memory,
    picks: Vec<Pick>,
    /// Who is in the chain already, and after what.
    listed: BTreeSet<(DeploymentId, After)>,
    /// A request finds out about one deployment at most.
    probe: Option<DeploymentId>,
    explanation: Explanation,
}

impl<'a> Chain<'a, '_> {
    fn add_model(&mut self, model: usize, after: After, led: Led) {
        let Some(configured) = self.config.models.get(model) else {
            return;
        };
        let allowed = self.ask.caller.models.as_ref();
        let forbidden = led == Led::ByCaller
            && allowed.is_some_and(|allowed| !allowed.contains(&configured.name));
        let mut fitting: Vec<Candidate<'_>> = Vec::new();
        for position in 0..configured.targets.len() {
            let place = (model, position);
            let Some(candidate) = Candidate::new(self.config, place, self.ask, self.look.sky)
            else {
                continue;
            };
            let twin = fitting.iter().any(|other| other.id == candidate.id);
            let against = if forbidden {
                Some(Why::NotAllowed)
            } else if twin {
                Some(Why::Listed)
            } else {
                self.against(&candidate, after)
            };
            match against {
                Some(why) => self.note(&candidate, None, Verdict::Passed(why)),
                None => fitting.push(candidate),
            }
        }
        for (candidate, score) in self.sorted(model, fitting) {
            self.ask_again_and_again(&candidate, score, after);
        }
    }

    fn against(&mut self, candidate: &Candidate<'_>, after: After) -> Option<Why> {
        if self.listed.contains(&(candidate.id, after)) {
            return Some(Why::Listed);
        }
        if let Some(why) = filter::against(&self.look, candidate) {
            return Some(why);
        }
        if candidate.standing != Standing::Due {
            return None;
        }
        let now_ms = self.ask.now_ms();
        let free = self.probe.is_none() && after == After::Failure;
        // Where others are asked first, the probe most likely comes to nothing, so it is not tried by all of them.
        let worth = self.picks.is_empty() || self.memory.may_claim_aside(now_ms);
        if free && worth {
            self.probe = Some(candidate.id);
            None
        } else {
            Some(Why::Resting { for_ms: 0 })
        }
    }

    /// In the order of asking. Who is to find out goes first, the others stand behind him.
    fn sorted<'c>(
        &mut self,
        model: usize,
        candidates: Vec<Candidate<'c>>,
    ) -> Vec<(Candidate<'c>, Option<Score>)> {
        let Some(configured) = self.config.models.get(model) else {
            return Vec::new();
        };
        let probe = self.probe;
        let (due, well): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .partition(|candidate| Some(candidate.id) == probe);
        let routing = &configured.routing;
        let scores = match sticky::seed(routing.sticky, self.ask, &routing.experiment) {
            Some(seed) => {
                let order = sticky::order(seed, &configured.targets);
                let place = |candidate: &Candidate<'_>| {
                    let place = order.iter().position(|target| *target == candidate.target);
                    let value = u64::try_from(place.unwrap_or(order.len())).unwrap_or(u64::MAX);
                    Score { value, tie: 0 }
                };
                well.iter().map(place).collect()
            }
            None => {
                let name = self.ruling.strategy.unwrap_or(routing.strategy);
                let mut inputs = Inputs {
                    ask: self.ask,
                    routing,
                    turns: self.memory.turns(model),
                };
                strategy::named(name).scores(&mut inputs, &well)
            }
        };
        let mut scored: Vec<(Candidate<'c>, Option<Score>)> =
            well.into_iter().zip(scores.into_iter().map(Some)).collect();
        scored.sort_by_key(|(_, score)| *score);
        due.into_iter()
            .map(|candidate| (candidate, None))
            .chain(scored)
            .collect()
    }

    /// Puts it into the chain, as often as its model says.
    fn ask_again_and_again(
        &mut self,
        candidate: &Candidate<'_>,
        score: Option<Score>,
        after: After,
    ) {
        let configured = self.config.models.get(candidate.model);
        let retries = configured.map_or(0, |model| model.routing.retries);
        let attempted = if self.probe == Some(candidate.id) {
            Attempted::AsProbe
        } else {
            Attempted::Ordinary
        };
        let provider = candidate.of.provider;
        for turn in 0..=retries {
            let again = self
                .picks
                .iter()
                .any(|pick| self.provider(pick) == Some(provider));
            let percent = candidate.provider.retry_percent;
            let now_ms = self.ask.now_ms();
            let why = if self.picks.len() >= ATTEMPTS_MAX {
                Some(Why::ChainFull)
            } else if again && !self.memory.may_ask_again(provider, now_ms, percent) {
                Some(Why::RetryBudget)
            } else {
                None
            };
            match why {
                Some(_) if turn > 0 => return,
                Some(why) => return self.note(candidate, score, Verdict::Passed(why)),
                None => {}
            }
            if turn == 0 {
                let place = self.picks.len();
                self.note(candidate, score, Verdict::Asked(place));
                self.listed.insert((candidate.id, after));
            }
            self.picks.push(Pick {
                model: candidate.model,
                target: candidate.target,
                after,
                attempted,
            });
            if attempted == Attempted::AsProbe {
                return;
            }
        }
    }

    fn provider(&self, pick: &Pick) -> Option<usize> {
        let model = self.config.models.get(pick.model)?;
        model.targets.get(pick.target).map(|target| target.provider)
    }

    fn note(&mut self, candidate: &Candidate<'_>, score: Option<Score>, verdict: Verdict) {
        let now_ms = self.ask.now_ms();
        let mut one = Considered::of(candidate, self.ask, now_ms, verdict);
        one.score = score;
        self.explanation.considered.push(one);
    }

    /// They come when a provider says that the prompt is too long, or that its filter does not want it; and at once
    /// where the prompt is too long for all that were asked for.
    fn add_special_fallbacks(&mut self, model: usize) {
        let Some(configured) = self.config.models.get(model) else {
            return;
        };
        let after = if self.picks.is_empty() && self.is_too_long(model) {
            After::Failure
        } else {
            After::ContextWindow
        };
        for fallback in &configured.routing.context_window_fallbacks {
            self.add_model(*fallback, after, Led::ByOperator);
        }
        for fallback in &configured.routing.content_policy_fallbacks {
            self.add_model(*fallback, After::ContentPolicy, Led::ByOperator);
        }
    }

    fn is_too_long(&self, model: usize) -> bool {
        self.explanation
            .considered
            .iter()
            .any(|one| one.model == model && one.verdict == Verdict::Passed(Why::ContextWindow))
    }

    /// Nobody is well. Rather the quickest than nobody, where all are too slow; rather him who has rested longest than
    /// nobody, where all rest: a model with one target must not be shut for half a minute by three failures.
    fn take_the_best_of_the_bad(&mut self) {
        if self.picks.iter().any(|pick| pick.after == After::Failure) {
            return;
        }
        let badness = |one: &Considered| match one.verdict {
            Verdict::Passed(Why::TooSlow) => Some((0, one.first_token_us.unwrap_or(u64::MAX))),
            Verdict::Passed(Why::Resting { for_ms }) => Some((1, for_ms)),
            Verdict::Passed(_) | Verdict::Asked(_) => None,
        };
        let considered = &mut self.explanation.considered;
        let best = considered
            .iter_mut()
            .filter_map(|one| Some((badness(one)?, one)))
            .min_by_key(|(badness, _)| *badness);
        if let Some((_, best)) = best {
            let pick = Pick {
                model: best.model,
                target: best.target,
                after: After::Failure,
                attempted: Attempted::Ordinary,
            };
            best.verdict = Verdict::Asked(0);
            for one in considered.iter_mut() {
                if let Verdict::Asked(place) = &mut one.verdict
                    && (one.model, one.target) != (pick.model, pick.target)
                {
                    *place = place.saturating_add(1);
                }
            }
            self.picks.insert(0, pick);
            self.picks.truncate(ATTEMPTS_MAX);
            for one in considered.iter_mut() {
                if matches!(one.verdict, Verdict::Asked(place) if place >= ATTEMPTS_MAX) {
                    one.verdict = Verdict::Passed(Why::ChainFull);
                }
            }
        }
    }

    fn finish(self) -> (Result<Vec<Pick>, Impossible<'a>>, Explanation) {
        if self.picks.iter().any(|pick| pick.after == After::Failure) {
            return (Ok(self.picks), self.explanation);
        }
        let whys = self
            .explanation
            .considered
            .iter()
            .filter_map(|one| match one.verdict {
                Verdict::Passed(why) => Some(why),
                Verdict::Asked(_) => None,
            });
        let whys: Vec<Why> = whys.collect();
        (Err(impossible(&whys, self.ask.now_ms())), self.explanation)
    }
}

/// What passes is told first; else what came nearest to being asked.
fn impossible<'a>(whys: &[Why], now_ms: u64) -> Impossible<'a> {
    const DAY_MS: u64 = 86_400_000;
    let wait = |why: &Why| match why {
        Why::Cooling { for_ms } | Why::Resting { for_ms } => Some((*for_ms, *why)),
        Why::NoRoom(DAILY_BUDGET) => {
            let today_ms = now_ms.checked_rem(DAY_MS).unwrap_or_default();
            Some((DAY_MS.saturating_sub(today_ms), *why))
        }
        // Buckets refill within a minute, and nobody here knows when.
        Why::NoRoom(_) => Some((1_000, *why)),
        Why::SwitchedOff
        | Why::NotAllowed
        | Why::Condition
        | Why::Region
        | Why::Lacks(_)
        | Why::ContextWindow
        | Why::OutputLimit
        | Why::TooSlow
        | Why::Listed
        | Why::RetryBudget
        | Why::ChainFull
        | Why::Untranslatable => None,
    };
    if let Some((wait_ms, why)) = whys.iter().filter_map(wait).min_by_key(|(ms, _)| *ms) {
        return Impossible::Later { wait_ms, why };
    }
    let order = [
        Why::Untranslatable,
        Why::OutputLimit,
        Why::ContextWindow,
        Why::Lacks(Capability::Tools),
        Why::Lacks(Capability::Vision),
        Why::Lacks(Capability::Schema),
        Why::Lacks(Capability::Reasoning),
        Why::Region,
        Why::Condition,
        Why::NotAllowed,
    ];
    let nearest = order.into_iter().find(|why| whys.contains(why));
    Impossible::Never(nearest.unwrap_or(Why::SwitchedOff))
}
