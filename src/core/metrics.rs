//! What is counted, under which labels, and how Envoy's stats carry labels in a name.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Gateway, Key};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Requests that ended.
    Requests,
    /// Tokens by class.
    Tokens,
    /// Cost in nano-dollars.
    Cost,
    /// Milliseconds from the head of a request to its end.
    Duration,
    /// Milliseconds from the head of a request to the first token of its answer.
    FirstToken,
    /// Attempts that failed and were followed by another.
    Fallbacks,
    /// Answers whose price is not known.
    Unpriced,
    /// Breakers that opened or closed.
    Breakers,
    /// Requests whose fallback failed too.
    Cascades,
    /// Requests, by what of the budget service they waited for.
    Waits,
    /// Leased and not taken, in nano-dollars.
    LeaseFree,
    /// Held by requests that run, in nano-dollars.
    LeaseHeld,
    /// Held or spent without a lease, because the budget service was away, and not posted yet.
    Uncovered,
    /// Scopes with money here.
    Leases,
    /// Requests that wait for money now.
    Waiting,
    /// Workers that cannot reach the budget service now.
    Away,
    /// Calls to the budget service that got no answer.
    CallsFailed,
}

/// How Envoy keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

impl Metric {
    /// As Prometheus names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "tollgate_requests_total",
            Self::Tokens => "tollgate_tokens_total",
            Self::Cost => "tollgate_cost_nanousd_total",
            Self::Duration => "tollgate_request_duration_ms",
            Self::FirstToken => "tollgate_time_to_first_token_ms",
            Self::Fallbacks => "tollgate_fallbacks_total",
            Self::Unpriced => "tollgate_unpriced_total",
            Self::Breakers => "tollgate_breaker_turns_total",
            Self::Cascades => "tollgate_fallback_cascades_total",
            Self::Waits => "tollgate_waits_total",
            Self::LeaseFree => "tollgate_lease_free_nanousd",
            Self::LeaseHeld => "tollgate_lease_held_nanousd",
            Self::Uncovered => "tollgate_uncovered_nanousd",
            Self::Leases => "tollgate_leases",
            Self::Waiting => "tollgate_waiting_requests",
            Self::Away => "tollgate_budget_service_away",
            Self::CallsFailed => "tollgate_budget_calls_failed_total",
        }
    }

    /// How Envoy keeps it.
    pub fn kind(self) -> Kind {
        match self {
            Self::Duration | Self::FirstToken => Kind::Histogram,
            Self::LeaseFree
            | Self::LeaseHeld
            | Self::Uncovered
            | Self::Leases
            | Self::Waiting
            | Self::Away => Kind::Gauge,
            Self::Requests
            | Self::Tokens
            | Self::Cost
            | Self::Fallbacks
            | Self::Unpriced
            | Self::Breakers
            | Self::Cascades
            | Self::Waits
            | Self::CallsFailed => Kind::Counter,
        }
    }

    /// Whether it is of a request at a provider; else of the process.
    fn is_of_a_request(self) -> bool {
        match self {
            Self::Requests
            | Self::Tokens
            | Self::Cost
            | Self::Duration
            | Self::FirstToken
            | Self::Fallbacks
            | Self::Unpriced
            | Self::Breakers
            | Self::Cascades => true,
            Self::Waits
            | Self::LeaseFree
            | Self::LeaseHeld
            | Self::Uncovered
            | Self::Leases
            | Self::Waiting
            | Self::Away
            | Self::CallsFailed => false,
        }
    }
}

/// One series, by positions in the configuration: cheap to compare, so that Envoy's id for it is looked
/// up without building its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// What.
    pub metric: Metric,
    /// Which provider.
    pub provider: Option<usize>,
    /// Which model was asked for.
    pub model: Option<usize>,
    /// Whose.
    pub who: Who,
    /// The status the caller got, for requests.
    pub status: u16,
    /// The class of token or the kind of failure.
    pub kind: &'static str,
}

/// One thing to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Where.
    pub series: Series,
    /// How much.
    pub value: u64,
}

impl Series {
    /// Without labels.
    pub fn new(metric: Metric) -> Self {
        Self {
            metric,
            provider: None,
            model: None,
            who: Who::NOBODY,
            status: 0,
            kind: "",
        }
    }
}

/// A team and a user as they are counted: cheap to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who(u32);

impl Who {
    /// Who is not known.
    pub const NOBODY: Self = Self(0);
}

/// Which label values have series of their own. Envoy keeps a series until it restarts, so a bound is
/// the only protection. They are those that come first in the configuration: whoever comes first in time is
/// another in each worker, which would pass the bound and count one team under two names.
#[derive(Debug)]
pub struct Labels {
    teams: BTreeSet<String>,
    users: BTreeSet<String>,
    max: usize,
    /// By [`Who`], from 1.
    counted: Vec<(String, String)>,
    numbers: BTreeMap<(String, String), u32>,
}

impl Labels {
    /// Those of a configuration.
    pub fn of(config: &Gateway) -> Self {
        let max = config.telemetry.label_values_max;
        Self {
            teams: first(config.keys.iter().map(|key| key.team.as_str()), max),
            users: first(config.keys.iter().map(|key| key.user.as_str()), max),
            max,
            counted: Vec::new(),
            numbers: BTreeMap::new(),
        }
    }

    /// How a caller is counted. One that the configuration does not have is counted under its own name as long as
    /// there is room.
    pub fn who(&mut self, key: &Key) -> Who {
        let team = capped(&mut self.teams, self.max, &key.team);
        let user = capped(&mut self.users, self.max, &key.user);
        let labels = (team.to_owned(), user.to_owned());
        if let Some(number) = self.numbers.get(&labels) {
            return Who(*number);
        }
        self.counted.push(labels.clone());
        let number = u32::try_from(self.counted.len()).unwrap_or_default();
        self.numbers.insert(labels, number);
        Who(number)
    }

    fn labels(&self, who: Who) -> (&str, &str) {
        let at = usize::try_from(who.0).ok().and_then(|at| at.checked_sub(1));
        let labels = at.and_then(|at| self.counted.get(at));
        labels.map_or(("none", "none"), |(team, user)| (team, user))
    }

    /// The name under which Envoy keeps a series; the tags of the bootstrap read the labels out of it.
    pub fn name(&self, series: &Series, config: &Gateway) -> String {
        let provider = series.provider.and_then(|at| config.providers.get(at));
        let model = series.model.and_then(|at| config.models.get(at));
        let (team, user) = self.labels(series.who);
        let mut name = String::with_capacity(128);
        if series.metric.is_of_a_request() {
            let provider = provider.map_or("none", |provider| &provider.name);
            push(&mut name, "provider", provider);
            let model = model.map_or("unknown", |model| &model.name);
            push(&mut name, "model", model);
        }
        match series.metric {
            Metric::Requests | Metric::Tokens => {
                push(&mut name, "team", team);
            }
            Metric::Cost => {
                push(&mut name, "team", team);
                push(&mut name, "user", user);
            }
            Metric::Duration
            | Metric::FirstToken
            | Metric::Fallbacks
            | Metric::Unpriced
            | Metric::Breakers
            | Metric::Cascades
            | Metric::Waits
            | Metric::LeaseFree
            | Metric::LeaseHeld
            | Metric::Uncovered
            | Metric::Leases
            | Metric::Waiting
            | Metric::Away
            | Metric::CallsFailed => {}
        }
        if series.status > 0 {
            push(&mut name, "status", &series.status.to_string());
        }
        if !series.kind.is_empty() {
            push(&mut name, "kind", series.kind);
        }
        name.push_str(series.metric.name());
        name
    }
}

/// So many different values, in their order.
fn first<'a>(values: impl Iterator<Item = &'a str>, max: usize) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for value in values {
        if known.len() >= max {
            break;
        }
        if !value.is_empty() {
            known.insert(value.to_owned());
        }
    }
    known
}

/// The value itself if it is one of those, else `other`; `none` for nobody.
fn capped<'a>(known: &mut BTreeSet<String>, max: usize, value: &'a str) -> &'a str {
    if value.is_empty() {
        "none"
    } else if known.contains(value) || known.len() < max && known.insert(value.to_owned()) {
        value
    } else {
        "other"
    }
}

/// `;.` ends a label for the tags, and a quote would end it for Prometheus: what is not plain becomes `_`.
fn push(name: &mut String, label: &str, value: &str) {
    name.push_str("tg");
    name.push_str(label);
    name.push_str("=.=");
    let plain = |char: char| char.is_ascii_alphanumeric() || "_-.:@/ ".contains(char);
    name.extend(
        value
            .chars()
            .map(|char| if plain(char) { char } else { '_' }),
    );
    name.push_str(";.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Key, Telemetry};

    #[test]
    fn a_label_beyond_the_cap_is_other_in_every_worker() {
        let keys = ["a;.b", "c\"d", "e", ""].map(|team| Key {
            sha256: String::new(),
            name: String::new(),
            org: String::new(),
            team: team.to_owned(),
            user: String::new(),
            models: None,
            disabled: false,
            ..Key::default()
        });
        let config = Gateway {
            keys: keys.to_vec(),
            telemetry: Telemetry {
                label_values_max: 2,
                ..Telemetry::default()
            },
            ..Gateway::default()
        };
        let mut labels = Labels::of(&config);
        let mut name = |at: usize| {
            let series = Series {
                who: labels.who(&config.keys[at]),
                status: 200,
                ..Series::new(Metric::Requests)
            };
            labels.name(&series, &config)
        };
        let expected = |team: &str| {
            format!(
                "tgprovider=.=none;.tgmodel=.=unknown;.tgteam=.={team};.tgstatus=.=200;.tollgate_requests_total"
            )
        };
        assert_eq!(
            [3, 2, 1, 0].map(&mut name),
            ["none", "other", "c_d", "a_.b"].map(expected),
            "whoever comes first in time"
        );
    }
}
