//! The most a request can use at each target: what money is held for before it leaves.

use crate::config::{Purse, Target, Unpriced};
use crate::endpoint::{Endpoint, Kind, Metered, Others};
use crate::handoff::{Planned, Way};
use crate::price::{Most, Price};
use crate::refusal::Refusal;
use crate::request::{Cap, Wishes};
use crate::routing::Pick;
use crate::tokens::{Bound, Count, Family};
use crate::units::{NanoUsd, Tokens};

/// Where neither the caller nor the catalogue says how long an answer may be.
const CAP: Tokens = Tokens(4_096);
/// What a vendor may put around a prompt beyond what its documentation says.
const FRAMING: u64 = 64;

/// What bounds a request, whoever answers it.
#[derive(Debug)]
pub(super) struct Bounds {
    prompt: Count,
    body_bytes: u64,
    wishes: Wishes,
    answers: Answers,
    payers: Payers,
    endpoint: &'static str,
    metered: Metered,
}

/// Whether an endpoint answers in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    Tokens,
    NoTokens,
}

/// Who insists on cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Payers {
    Nobody,
    Soft,
    Hard,
}

impl Bounds {
    pub(super) fn new(
        endpoint: &Endpoint,
        wishes: &Wishes,
        prompt: &Count,
        body_bytes: usize,
        purses: &[Purse],
    ) -> Self {
        let answers = match endpoint.kind {
            Kind::Forwarded {
                others: Others::Translated,
                ..
            } => Answers::Tokens,
            Kind::Forwarded { .. } | Kind::ListModels | Kind::CountTokens => Answers::NoTokens,
        };
        let payers = if purses.iter().any(|purse| purse.terms.hard) {
            Payers::Hard
        } else if purses.is_empty() {
            Payers::Nobody
        } else {
            Payers::Soft
        };
        Self {
            prompt: *prompt,
            body_bytes: u64::try_from(body_bytes).unwrap_or(u64::MAX),
            wishes: *wishes,
            answers,
            payers,
            endpoint: endpoint.path,
            metered: endpoint.metered,
        }
    }

    /// The cap that must be put in so that it binds at the provider: where somebody insists on cover, and the caller
    /// wrote none.
    pub(super) fn cap(&self, target: &Target) -> Option<Tokens> {
        let needed = self.insists() && self.wishes.cap.is_none();
        needed.then(|| most_answered(target))
    }

    /// The same for a body that passes: a cap under a name that this provider may not know binds nobody.
    pub(super) fn cap_as(&self, field: &'static str, target: &Target) -> Cap {
        let needed = self.insists() && !self.wishes.caps.bind(field);
        let cap = || self.wishes.cap.unwrap_or_else(|| most_answered(target));
        Cap {
            field,
            tokens: needed.then(cap),
        }
    }

    fn insists(&self) -> bool {
        self.payers == Payers::Hard && self.answers == Answers::Tokens
    }

    /// Whether what is held goes by how long answers usually are: nobody insists on cover.
    pub(super) fn goes_by_what_is_usual(&self) -> bool {
        self.payers == Payers::Soft
    }

    pub(super) fn planned(
        &self,
        pick: &Pick,
        (target, usual): (&Target, Option<Tokens>),
        counted_as: Family,
        body: &[u8],
        (way, cap): (Way, Option<Cap>),
    ) -> Result<Planned, Refusal> {
        let known = self.most(target, counted_as, usual);
        let (bounds, most) = match (&target.price, self.payers) {
            (_, Payers::Nobody) => (known, NanoUsd::ZERO),
            // Nobody may ever tell what it used: what the operator says is held for it, and spent.
            (Some(price), Payers::Hard) if !self.metered.is_known_by(price) => {
                let hold = target.unbounded_hold;
                let hold = hold.ok_or_else(|| Refusal::unmetered(self.endpoint))?;
                (without_bound(known), hold)
            }
            (Some(price), payers) if self.metered == Metered::ByUsage => {
                held(price, target, payers, known, body)?
            }
            (Some(price), _) => (known, most(price, &known)?),
            (None, Payers::Soft) => (known, NanoUsd::ZERO),
            // The operator allows it, and hears of it.
            (None, Payers::Hard) if target.unpriced == Unpriced::Allow => (known, NanoUsd::ZERO),
            (None, Payers::Hard) => return Err(Refusal::unpriced(&target.model)),
        };
        Ok(Planned {
            model: pick.model,
            target: pick.target,
            after: pick.after,
            attempted: pick.attempted,
            way,
            cap,
            bounds,
            most,
        })
    }

    fn most(&self, target: &Target, counted_as: Family, usual: Option<Tokens>) -> Most {
        // What was counted in one encoding says nothing of another; but no encoding makes more tokens than bytes.
        let input = if Family::of(&target.model) == counted_as {
            self.prompt.at_most.0
        } else {
            self.prompt.at_most.0.max(self.body_bytes)
        };
        let output = match self.answers {
            Answers::NoTokens => 0,
            Answers::Tokens => {
                let cap = self.wishes.cap.unwrap_or_else(|| most_answered(target));
                let cap = usual.map_or(cap, |usual| usual.min(cap));
                cap.0.saturating_mul(self.wishes.choices)
            }
        };
        Most {
            input: Tokens(input.saturating_add(FRAMING)),
            output: Tokens(output),
            requests: self.metered.requests(&self.wishes),
        }
    }
}

/// What a paid request is held for: its bounds, or what is configured for one without any.
fn held(
    price: &Price,
    target: &Target,
    payers: Payers,
    known: Most,
    body: &[u8],
) -> Result<(Most, NanoUsd), Refusal> {
    let prompt = Bound::of(Family::of(&target.model), body);
    let bounds = match target.bounds(&prompt, known.input, known.output) {
        Ok(bounds) => Most {
            requests: known.requests,
            ..bounds
        },
        Err(why) => match (target.unbounded_hold, payers) {
            (Some(hold), _) if !price.is_free() => return Ok((without_bound(known), hold)),
            (None, Payers::Hard) if !price.is_free() => {
                return Err(Refusal::unbounded(why.what()));
            }
            (Some(_) | None, _) => known,
        },
    };
    Ok((bounds, most(price, &bounds)?))
}

/// More than can be priced: such a hold is never taken for larger than is needed.
fn without_bound(known: Most) -> Most {
    Most {
        output: Tokens(u64::MAX),
        ..known
    }
}

fn most(price: &Price, bounds: &Most) -> Result<NanoUsd, Refusal> {
    let most = price.most(bounds);
    most.map_err(|_| Refusal::internal("an amount of money does not fit"))
}

fn most_answered(target: &Target) -> Tokens {
    match target.default_max_tokens {
        Some(_) => target.output_cap(None).unwrap_or(CAP),
        // All that a model can say is seldom meant, and holds a budget for nothing.
        None => target.max_output.map_or(CAP, |most| most.min(CAP)),
    }
}
