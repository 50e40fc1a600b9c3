//! What is known of a request when it is over: one line, and what is counted.

use serde::Serialize;

use crate::bill::{Basis, bill, used};
use crate::callers::Caller;
use crate::config::{Explains, Gateway};
use crate::dialect::event::Suspect;
use crate::gateway::Known;
pub use crate::handoff::BrokenBy;
use crate::handoff::{End, Ending, Exchange, Failure, Way};
use crate::metrics::{Metric, Sample, Series, Who};
use crate::request::Reply;
use crate::units::{NanoUsd, Timestamp, rfc3339};
use crate::usage::{Usage, UsageSource};

/// How a request ended, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended<'a> {
    /// When.
    pub now: Timestamp,
    /// The status the caller got; 0 if it left before one.
    pub status: u16,
    /// Why, if it is not what it asked for.
    pub code: Option<&'static str>,
    /// Who broke off, if the reply was not complete.
    pub broken_by: BrokenBy,
    /// Envoy's words for an attempt that got no reply, a refused handshake for instance; for the operator only.
    pub detail: &'a str,
}

/// One request, for the access log.
#[derive(Debug, Default, Serialize)]
pub struct Record<'a> {
    time: String,
    trace_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    org: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    team: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    key: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    endpoint: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    provider: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model_served: &'a str,
    stream: bool,
    status: u16,
    end: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Tried<'a>>,
    /// What the one who answered was not told: parameters that its dialect cannot express.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dropped: Vec<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    routed: &'static str,
    /// What its model is an experiment of.
    #[serde(skip_serializing_if = "str::is_empty")]
    experiment: &'a str,
    /// Why, with all candidates.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_source: Option<UsageSource>,
    /// What is wrong with the provider's figures; they are read with caution.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_suspect: Option<&'static str>,
    /// Missing where no price is known: never nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_nanousd: Option<NanoUsd>,
    /// How the cost is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_basis: Option<Basis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priced: Option<Priced>,
    /// What the caller said it is for.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    /// Which budgets paid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    budgets: Vec<&'a str>,
    /// What was held of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved_nanousd: Option<NanoUsd>,
    duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_token_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_per_second: Option<u64>,
}

/// Said only where there is something to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Priced {
    Unknown,
}

#[derive(Debug, Serialize)]
struct Tried<'a> {
    provider: &'a str,
    model: &'a str,
    end: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
}

/// As long as most lines are.
const LINE_BYTES: usize = 1_024;

impl Record<'_> {
    /// As JSON on one line, with room for its end.
    pub fn line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(LINE_BYTES);
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut line, self);
        line
    }
}

/// The record of a request that was answered here, and what is counted of it.
pub fn of_answered<'a>(
    config: &'a Gateway,
    known: &'a Known,
    ended: Ended<'_>,
) -> (Record<'a>, Vec<Sample>) {
    let model = known.model.and_then(|model| config.models.get(model));
    let end = match (ended.broken_by, ended.code, ended.status) {
        (BrokenBy::Caller, _, 0) => "client_left",
        (_, None, 200..=299) => "answered",
        _ => "refused",
    };
    let record = Record {
        time: rfc3339(known.started),
        trace_id: &known.trace,
        model: model.map_or("", |model| &model.name),
        status: ended.status,
        end,
        code: ended.code,
        duration_ms: ended.now.millis_since(known.started),
        tags: &known.tags,
        ..of_caller(known.caller.as_deref())
    };
    let series = Series {
        who: known
            .caller
            .as_ref()
            .map_or(Who::NOBODY, |caller| caller.who),
        model: known.model,
        status: ended.status,
        ..Series::new(Metric::Requests)
    };
    (record, vec![Sample { series, value: 1 }])
}

/// The record of a request that went to providers, and what is counted of it.
pub fn of_forwarded<'a>(exchange: &'a Exchange, ended: Ended<'a>) -> (Record<'a>, Vec<Sample>) {
    let (usage, source) = used(exchange);
    let last = exchange.last();
    let bill = bill(exchange, ended.broken_by);
    let accepted = matches!(last, Some((tried, ..)) if matches!(tried.end, End::Accepted { .. }));
    let first_token_ms = exchange
        .progress
        .first_token
        .map(|at| at.millis_since(exchange.started));
    let duration_ms = ended.now.millis_since(exchange.started);
    let record = Record {
        time: rfc3339(exchange.started),
        trace_id: &exchange.trace,
        endpoint: exchange.endpoint.path,
        model: &exchange.request.model,
        provider: last.map_or("", |(_, _, provider)| &provider.name),
        model_served: last.map_or("", |(_, target, _)| &target.model),
        stream: exchange.request.reply != Reply::Whole,
        status: ended.status,
        end: end_of(exchange, ended),
        code: ended.code,
        detail: ended.detail,
        attempts: tried(exchange),
        dropped: dropped(exchange),
        routed: if exchange.downgraded {
            "budget_downgrade"
        } else if exchange.attempts.len() > 1 {
            "fallback"
        } else {
            exchange.explanation.reason()
        },
        experiment: exchange
            .model()
            .map_or("", |model| &model.routing.experiment),
        route: (exchange.config.telemetry.explain != Explains::Never)
            .then(|| exchange.explanation.json(&exchange.config)),
        tokens: accepted.then_some(usage),
        usage_source: accepted.then_some(source),
        usage_suspect: exchange.progress.suspect.map(Suspect::name),
        cost_nanousd: bill
            .map(|bill| bill.cost)
            .filter(|cost| accepted || cost.0 > 0),
        cost_basis: bill
            .filter(|bill| accepted || bill.cost.0 > 0)
            .map(|bill| bill.basis),
        priced: (accepted && bill.is_none()).then_some(Priced::Unknown),
        tags: &exchange.tags,
        budgets: exchange
            .cover
            .purses
            .iter()
            .map(|purse| purse.name.as_str())
            .collect(),
        reserved_nanousd: (exchange.cover.held.0 > 0).then_some(exchange.cover.held),
        duration_ms,
        first_token_ms,
        tokens_per_second: speed(usage, first_token_ms, duration_ms).filter(|_| accepted),
        ..of_caller(Some(&exchange.caller))
    };
    let samples = count(exchange, &record, &usage);
    (record, samples)
}

fn of_caller(caller: Option<&Caller>) -> Record<'_> {
    caller.map_or_else(Record::default, |Caller { key, .. }| Record {
        org: &key.org,
        team: &key.team,
        user: &key.user,
        key: &key.name,
        ..Record::default()
    })
}

fn end_of(exchange: &Exchange, ended: Ended<'_>) -> &'static str {
    let last = exchange.attempts.last().map(|tried| &tried.end);
    let accepted = matches!(last, Some(End::Accepted { .. }));
    match (accepted, exchange.progress.ending, ended.broken_by) {
        (true, Ending::Complete, _) => "ok",
        (true, Ending::Failed, _) | (true, Ending::Open, BrokenBy::Provider) => "cut",
        (_, _, BrokenBy::Caller) => "client_left",
        (true, Ending::Open, BrokenBy::Nobody) => "cut",
        // Not a failure: what the caller asked for is wrong, and would be everywhere.
        (false, _, _) if matches!(last, Some(End::Refused { .. })) => "provider_refused",
        (false, _, _) => "failed",
    }
}

fn dropped(exchange: &Exchange) -> Vec<&str> {
    match exchange.way() {
        Some(Way::Translated(written)) => {
            let names = written.dropped.iter();
            names.map(|gap| gap.parameter.as_str()).collect()
        }
        Some(Way::Passes) | None => Vec::new(),
    }
}

fn tried(exchange: &Exchange) -> Vec<Tried<'_>> {
    let one = |tried: &crate::handoff::Tried| {
        let (target, provider) = exchange.target(tried.number)?;
        Some((target, provider, tried.end.label(), tried.end.why()))
    };
    exchange
        .attempts
        .iter()
        .filter_map(one)
        .map(|(target, provider, end, why)| Tried {
            provider: &provider.name,
            model: &target.model,
            end,
            why: why.map(Failure::name),
        })
        .collect()
}

fn speed(usage: Usage, first_token_ms: Option<u64>, duration_ms: u64) -> Option<u64> {
    let spent_ms = duration_ms.checked_sub(first_token_ms?)?;
    usage.answer().0.checked_mul(1_000)?.checked_div(spent_ms)
}

fn count(exchange: &Exchange, record: &Record<'_>, usage: &Usage) -> Vec<Sample> {
    let base = Series {
        provider: exchange.last().map(|(_, target, _)| target.provider),
        model: Some(exchange.model),
        ..Series::new(Metric::Requests)
    };
    let of_key = |metric| Series {
        metric,
        who: exchange.caller.who,
        ..base
    };
    let of_all = |metric| Series { metric, ..base };
    let mut samples = Vec::with_capacity(8);
    let mut add = |series, value| samples.push(Sample { series, value });
    add(
        Series {
            status: record.status,
            ..of_key(Metric::Requests)
        },
        1,
    );
    add(of_all(Metric::Duration), record.duration_ms);
    if let Some(value) = record.first_token_ms {
        add(of_all(Metric::FirstToken), value);
    }
    for (kind, tokens) in usage.classes() {
        if record.tokens.is_some() && tokens.0 > 0 {
            add(
                Series {
                    kind,
                    ..of_key(Metric::Tokens)
                },
                tokens.0,
            );
        }
    }
    if let Some(cost) = record.cost_nanousd {
        add(of_key(Metric::Cost), cost.0);
    }
    if record.priced == Some(Priced::Unknown) {
        add(of_all(Metric::Unpriced), 1);
    }
    // Every attempt that was followed by another is a fallback away from it.
    let followed = exchange.attempts.len().saturating_sub(1);
    for tried in exchange.attempts.iter().take(followed) {
        let provider = exchange
            .target(tried.number)
            .map(|(target, _)| target.provider);
        let kind = tried.end.why().map_or("unknown", Failure::name);
        add(
            Series {
                provider,
                kind,
                ..of_all(Metric::Fallbacks)
            },
            1,
        );
    }
    // The fallback failed too.
    if exchange.attempts.len() > 2 {
        add(of_all(Metric::Cascades), 1);
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handoff::{Failed, Tried};
    use crate::testing::{admitted, at};

    #[test]
    fn an_end_says_whose_matter_it_was() {
        let failed = || {
            End::Failed(Failed {
                why: Failure::Status,
                status: 500,
                retry_after: None,
            })
        };
        let refused = || End::Refused {
            status: 400,
            body: Vec::new(),
        };
        let accepted = || End::Accepted { status: 200 };
        for (end, ending, broken_by, want) in [
            (accepted(), Ending::Complete, BrokenBy::Nobody, "ok"),
            (accepted(), Ending::Complete, BrokenBy::Caller, "ok"),
            (accepted(), Ending::Failed, BrokenBy::Nobody, "cut"),
            (accepted(), Ending::Open, BrokenBy::Provider, "cut"),
            (accepted(), Ending::Open, BrokenBy::Caller, "client_left"),
            (End::Pending, Ending::Open, BrokenBy::Caller, "client_left"),
            (
                refused(),
                Ending::Open,
                BrokenBy::Nobody,
                "provider_refused",
            ),
            (failed(), Ending::Open, BrokenBy::Nobody, "failed"),
            (failed(), Ending::Open, BrokenBy::Provider, "failed"),
        ] {
            let mut exchange = admitted(r#"{"model":"small","messages":[]}"#);
            exchange.attempts.push(Tried {
                number: 0,
                started: at(1),
                end,
            });
            exchange.progress.ending = ending;
            let ended = Ended {
                now: at(2),
                status: 200,
                code: None,
                detail: "",
                broken_by,
            };
            let told = (end_of(&exchange, ended), &exchange.attempts, broken_by);
            assert_eq!(told.0, want, "{told:?}");
        }
    }
}
