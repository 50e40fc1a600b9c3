//! What a request costs its payers: what its attempts used, or may have used where nobody says.

use serde::Serialize;

use crate::config::OnDisconnect;
use crate::endpoint::Metered;
use crate::handoff::{BrokenBy, End, Ending, Exchange, Failure, Tried};
use crate::request::Reply;
use crate::units::{NanoUsd, Tokens};
use crate::usage::{Usage, UsageSource};

/// What a request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bill {
    /// All attempts together.
    pub cost: NanoUsd,
    /// How the cost of the last one is known.
    pub basis: Basis,
}

/// How a cost is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The provider said what was used.
    Reported,
    /// We counted it.
    Counted,
    /// The caller left a stream: what was seen, and a margin for what was produced until the provider noticed.
    SeenPlusMargin,
    /// Nobody knows: all that was held.
    Reserved,
    /// Nothing was used.
    Nothing,
}

/// What a request used: the provider's figures, else ours, which say so.
pub fn used(exchange: &Exchange) -> (Usage, UsageSource) {
    let progress = &exchange.progress;
    let by_four = |bytes: u64| bytes.div_ceil(4);
    // Most providers send a token an event, some several: the larger figure is the safe one.
    let answered = Tokens(by_four(progress.text_bytes).max(progress.content_events));
    if let Some(usage) = progress.usage {
        // Some tell one token at the start and the rest at the end, which has not come.
        if progress.ending != Ending::Complete && usage.answer() < answered {
            return (usage.with_answer(answered), UsageSource::Counted);
        }
        return (usage, UsageSource::Provider);
    }
    let countable = match exchange.endpoint.metered {
        Metered::ByUsage | Metered::ByCount | Metered::Spoken => progress.first_token.is_some(),
        Metered::PerRequest | Metered::Nothing => false,
    };
    if !countable {
        return (Usage::default(), UsageSource::None);
    }
    let usage = Usage {
        input: exchange.prompt.tokens,
        output: answered,
        ..Usage::default()
    };
    (usage, UsageSource::Counted)
}

/// What the whole request costs; none where a price is missing, which no hard budget allows.
pub fn bill(exchange: &Exchange, broken_by: BrokenBy) -> Option<Bill> {
    let Some((last, before)) = exchange.attempts.split_last() else {
        return Some(Bill {
            cost: NanoUsd::ZERO,
            basis: Basis::Nothing,
        });
    };
    let (last, basis) = of_last(exchange, last, broken_by)?;
    let before = before.iter().map(|tried| of_failed(exchange, tried));
    let cost = before.fold(last, |sum, cost| NanoUsd(sum.0.saturating_add(cost.0)));
    Some(Bill { cost, basis })
}

/// What a reply in one piece costs, if its provider has said already what was used.
pub fn told(exchange: &Exchange) -> Option<NanoUsd> {
    let (tried, before) = exchange.attempts.split_last()?;
    let usage = exchange.progress.usage?;
    let accepted = matches!(tried.end, End::Accepted { .. });
    if !accepted || exchange.request.reply != Reply::Whole {
        return None;
    }
    let mut before = before.iter().map(|tried| of_failed(exchange, tried));
    let cost = cost(exchange, tried, &usage)?;
    before.try_fold(cost, |sum, cost| sum.plus(cost).ok())
}

/// What the attempts that are over have cost, or may have.
pub fn spent_before(exchange: &Exchange) -> NanoUsd {
    let costs = exchange
        .attempts
        .iter()
        .map(|tried| of_failed(exchange, tried));
    costs.fold(NanoUsd::ZERO, |sum, cost| {
        NanoUsd(sum.0.saturating_add(cost.0))
    })
}

/// An attempt that was followed by another. Vendors bill no refusals and no errors; but who was merely too slow may
/// have produced all of an answer, and so may who wrote something that nobody can read.
fn of_failed(exchange: &Exchange, tried: &Tried) -> NanoUsd {
    let may_bill = match &tried.end {
        End::Failed(failed) => match failed.why {
            Failure::Connection
            | Failure::RateLimited
            | Failure::Status
            | Failure::ErrorInReply
            | Failure::ContextWindow
            | Failure::ContentPolicy
            | Failure::Credential => false,
            Failure::Timeout | Failure::NoFirstToken | Failure::Unreadable | Failure::MidStream => {
                true
            }
        },
        End::Pending | End::Accepted { .. } | End::Refused { .. } => false,
    };
    if may_bill {
        reserved(exchange, tried)
    } else {
        NanoUsd::ZERO
    }
}

fn of_last(exchange: &Exchange, tried: &Tried, broken_by: BrokenBy) -> Option<(NanoUsd, Basis)> {
    let reserved = (reserved(exchange, tried), Basis::Reserved);
    let (usage, source) = used(exchange);
    let is_hard = exchange.cover.is_hard();
    let metered = exchange.endpoint.metered;
    if metered == Metered::Nothing {
        return Some((NanoUsd::ZERO, Basis::Nothing));
    }
    let accepted = matches!(tried.end, End::Accepted { .. });
    if accepted && source != UsageSource::Provider && !is_hard {
        let (target, _) = exchange.target(tried.number)?;
        // What nobody has counted costs nobody knows what, not nothing.
        if !metered.is_known_by(target.price.as_ref()?) {
            return None;
        }
    }
    let left = broken_by == BrokenBy::Caller;
    let streamed = exchange.request.reply != Reply::Whole;
    match (&tried.end, exchange.progress.ending) {
        (End::Refused { .. }, _) => Some((NanoUsd::ZERO, Basis::Nothing)),
        (End::Failed(_), _) => {
            let cost = of_failed(exchange, tried);
            let basis = if cost == NanoUsd::ZERO {
                Basis::Nothing
            } else {
                Basis::Reserved
            };
            Some((cost, basis))
        }
        (End::Accepted { .. }, Ending::Complete) => match source {
            UsageSource::Provider => Some((cost(exchange, tried, &usage)?, Basis::Reported)),
            UsageSource::Counted | UsageSource::None if is_hard => Some(reserved),
            UsageSource::Counted | UsageSource::None => {
                Some((cost(exchange, tried, &usage)?, Basis::Counted))
            }
        },
        // The provider of an answer in one piece goes on, and bills it.
        (End::Accepted { .. } | End::Pending, _) if left && streamed => {
            match exchange.cover.on_disconnect() {
                OnDisconnect::Reserved => Some(reserved),
                OnDisconnect::SeenPlus(margin) => {
                    let seen = with_margin(exchange, usage, margin);
                    let cost = cost(exchange, tried, &seen)?;
                    // A margin never makes it dearer than what it could have become.
                    let bounded = if is_hard { cost.min(reserved.0) } else { cost };
                    Some((bounded, Basis::SeenPlusMargin))
                }
            }
        }
        (End::Accepted { .. } | End::Pending, _) if is_hard => Some(reserved),
        (End::Accepted { .. } | End::Pending, _) => {
            Some((cost(exchange, tried, &usage)?, Basis::Counted))
        }
    }
}

fn with_margin(exchange: &Exchange, seen: Usage, margin: u64) -> Usage {
    let input = if seen.total() == Tokens(0) {
        exchange.prompt.tokens
    } else {
        seen.input
    };
    Usage {
        input,
        output: seen.output.plus(Tokens(margin)),
        ..seen
    }
}

fn cost(exchange: &Exchange, tried: &Tried, usage: &Usage) -> Option<NanoUsd> {
    let (target, _) = exchange.target(tried.number)?;
    let requests = exchange.endpoint.metered.requests(&exchange.request.wishes);
    target.price.as_ref()?.cost(usage, requests).ok()
}

fn reserved(exchange: &Exchange, tried: &Tried) -> NanoUsd {
    let planned = exchange.chain.get(tried.number);
    planned.map_or(NanoUsd::ZERO, |planned| planned.most)
}
