//! Budgets and limits: whoever may have them says it in the same fields.

use super::super::node::{Scalar, Value};
use super::super::reader::{Findings, Given, Part, Section, section, single};
use super::super::scalar::{Read, Wrong, dollars, duration, percent, text, truth, whole};
use super::each;
use crate::config::{Each, OnDisconnect};
use crate::money::thresholds::{Action, Step};
use crate::money::window::Period;
use crate::tenancy::Mode;
use crate::units::NanoUsd;

/// The fields of money that every tenant has.
#[derive(Clone, Debug, Default)]
pub struct Money {
    /// `max_budget`
    pub max_budget: Given<NanoUsd>,
    /// `soft_budget`
    pub soft_budget: Given<NanoUsd>,
    /// `budget_duration`
    pub budget_duration: Given<Period>,
    /// `time_zone`
    pub time_zone: Given<String>,
    /// `budgets`
    pub budgets: Given<Vec<Given<Budget>>>,
    /// `rpm_limit`
    pub rpm_limit: Given<u64>,
    /// `tpm_limit`
    pub tpm_limit: Given<u64>,
    /// `max_parallel_requests`
    pub max_parallel_requests: Given<u64>,
    /// `burst`
    pub burst: Given<u32>,
    /// `limit_each`
    pub limit_each: Given<Each>,
    /// `queue`
    pub queue: Given<Queue>,
    /// `downgrade_to`
    pub downgrade_to: Given<String>,
}

/// `queue`
#[derive(Clone, Debug)]
pub struct Queue {
    /// `max_wait`, in milliseconds.
    pub max_wait: Given<u64>,
    /// `max_waiting`
    pub max_waiting: Given<u64>,
}

/// An element of `budgets`
#[derive(Clone, Debug)]
pub struct Budget {
    /// `name`
    pub name: Given<String>,
    /// `max`
    pub max: Given<NanoUsd>,
    /// `window`
    pub window: Given<Period>,
    /// `time_zone`
    pub time_zone: Given<String>,
    /// `mode`
    pub mode: Given<Mode>,
    /// `steps`
    pub steps: Given<Vec<Step>>,
    /// `overflow`, in percent.
    pub overflow: Given<u32>,
    /// `when_unreachable`: what may be spent uncovered.
    pub when_unreachable: Given<NanoUsd>,
    /// `when_tight`: how long a request waits, in milliseconds.
    pub when_tight: Given<u64>,
    /// `charge_on_disconnect`
    pub charge_on_disconnect: Given<OnDisconnect>,
    /// `refuse_with`
    pub refuse_with: Given<u16>,
    /// `downgrade_to`
    pub downgrade_to: Given<String>,
    /// `strict_records`
    pub strict_records: Given<bool>,
}

pub(super) fn money(fields: &mut Section<'_>, findings: &mut Findings) -> Money {
    Money {
        max_budget: fields.single("max_budget", dollars, findings),
        soft_budget: fields.single("soft_budget", dollars, findings),
        budget_duration: fields.single("budget_duration", period, findings),
        time_zone: fields.single("time_zone", text, findings),
        budgets: each(
            fields,
            "budgets",
            |part, findings| section(part, budget, findings),
            findings,
        ),
        rpm_limit: fields.single("rpm_limit", whole, findings),
        tpm_limit: fields.single("tpm_limit", whole, findings),
        max_parallel_requests: fields.single("max_parallel_requests", whole, findings),
        burst: fields.single("burst", percent, findings),
        limit_each: fields.single("limit_each", each_of, findings),
        queue: fields.section("queue", queue, findings),
        downgrade_to: fields.single("downgrade_to", text, findings),
    }
}

fn queue(fields: &mut Section<'_>, findings: &mut Findings) -> Queue {
    Queue {
        max_wait: fields.single("max_wait", duration, findings),
        max_waiting: fields.single("max_waiting", whole, findings),
    }
}

fn each_of(scalar: &Scalar) -> Read<Each> {
    let all = [Each::Org, Each::Team, Each::User, Each::Key];
    word(scalar, &all.map(|each| (each.name(), each)))
}

fn budget(fields: &mut Section<'_>, findings: &mut Findings) -> Budget {
    Budget {
        name: fields.single("name", text, findings),
        max: fields.single("max", dollars, findings),
        window: fields.single("window", period, findings),
        time_zone: fields.single("time_zone", text, findings),
        mode: fields.single("mode", mode, findings),
        steps: steps(fields, findings),
        overflow: fields.single("overflow", percent, findings),
        when_unreachable: when_unreachable(fields, findings),
        when_tight: fields.single("when_tight", when_tight, findings),
        charge_on_disconnect: fields.single("charge_on_disconnect", on_disconnect, findings),
        refuse_with: fields.single("refuse_with", refuse_with, findings),
        downgrade_to: fields.single("downgrade_to", text, findings),
        strict_records: fields.single("strict_records", truth, findings),
    }
}

/// One of some words.
fn word<T: Copy>(scalar: &Scalar, words: &[(&str, T)]) -> Read<T> {
    let found = words.iter().find(|(word, _)| *word == scalar.text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Wrong {
            found: format!("{} is none of the words known here", scalar.shown()),
            fix: format!("write one of `{}`", known.join("`, `")),
        }
    })
}

/// Our words, and those of LiteLLM. Windows are those of the calendar: `30d` is a month.
fn period(scalar: &Scalar) -> Read<Period> {
    let words = [
        ("day", Period::Day),
        ("week", Period::Week),
        ("month", Period::Month),
        ("total", Period::Total),
        ("1d", Period::Day),
        ("24h", Period::Day),
        ("7d", Period::Week),
        ("1w", Period::Week),
        ("30d", Period::Month),
        ("1mo", Period::Month),
    ];
    word(scalar, &words).map_err(|wrong| Wrong {
        fix: "write `day`, `week`, `month` or `total` (or `1d`, `7d`, `30d`, `1mo`: windows follow the calendar)"
            .to_owned(),
        ..wrong
    })
}

fn mode(scalar: &Scalar) -> Read<Mode> {
    word(
        scalar,
        &[
            ("hard", Mode::Hard),
            ("soft", Mode::Soft),
            ("audit", Mode::Audit),
        ],
    )
}

fn refuse_with(scalar: &Scalar) -> Read<u16> {
    word(scalar, &[("402", 402), ("429", 429)])
}

/// `refuse`, or `wait 2s`.
fn when_tight(scalar: &Scalar) -> Read<u64> {
    if scalar.text == "refuse" {
        return Ok(0);
    }
    let wait = scalar.text.strip_prefix("wait ").map(str::trim);
    let part = wait.map(|text| Scalar {
        text: text.to_owned(),
        ..scalar.clone()
    });
    let millis = part.and_then(|part| duration(&part).ok());
    /// Clients give up before.
    const WAIT_MS_MAX: u64 = 60_000;
    millis
        .filter(|millis| *millis <= WAIT_MS_MAX)
        .ok_or_else(|| Wrong {
            found: format!("{} is neither a wait nor a refusal", scalar.shown()),
            fix: "write `refuse`, or `wait 2s`, up to a minute".to_owned(),
        })
}

/// `reserved`, `seen_plus_margin`, or `seen_plus 64`.
fn on_disconnect(scalar: &Scalar) -> Read<OnDisconnect> {
    match scalar.text.as_str() {
        "reserved" => return Ok(OnDisconnect::Reserved),
        "seen_plus_margin" => return Ok(OnDisconnect::default()),
        _ => {}
    }
    let tokens = scalar.text.strip_prefix("seen_plus ").map(str::trim);
    let tokens = tokens.and_then(|tokens| tokens.parse().ok());
    tokens
        .filter(|tokens| *tokens <= 1_000_000)
        .map(OnDisconnect::SeenPlus)
        .ok_or_else(|| Wrong {
            found: format!(
                "{} does not say what a caller who leaves pays",
                scalar.shown()
            ),
            fix: "write `seen_plus_margin` (32 tokens), `seen_plus 64`, or `reserved`".to_owned(),
        })
}

/// `deny`, or a mapping with `debt`.
fn when_unreachable(fields: &mut Section<'_>, findings: &mut Findings) -> Given<NanoUsd> {
    let Some(part) = fields.part("when_unreachable", findings) else {
        return Given::Absent;
    };
    if let Value::Map(_) = part.node.value {
        let debt = |fields: &mut Section<'_>, findings: &mut Findings| {
            let debt = fields.single("debt", dollars, findings);
            if matches!(debt, Given::Absent) {
                let fix = "write `deny`, or how much: `{debt: $5}`";
                let place = fields.place.clone();
                findings
                    .problems
                    .missing(&["debt"], &place, "`debt` is missing", fix);
            }
            debt
        };
        return match section(part, debt, findings) {
            Given::Written(debt) => debt.value,
            Given::Absent | Given::Mistaken => Given::Mistaken,
        };
    }
    let deny = |scalar: &Scalar| {
        word(scalar, &[("deny", NanoUsd::ZERO)]).map_err(|wrong| Wrong {
            fix: "write `deny`, or what may be spent uncovered: `{debt: $5}`".to_owned(),
            ..wrong
        })
    };
    single(&part, deny, findings)
}

/// Actions by percent.
fn steps(fields: &mut Section<'_>, findings: &mut Findings) -> Given<Vec<Step>> {
    let entries = match fields.names("steps", findings) {
        Given::Written(entries) => entries,
        Given::Absent => return Given::Absent,
        Given::Mistaken => return Given::Mistaken,
    };
    let mut steps = Vec::new();
    for (share, part) in &entries.value {
        let percent = share.trim_end_matches('%').parse::<u32>();
        match (percent, single(part, action, findings)) {
            (Ok(percent @ 1..=100), Given::Written(action)) => {
                let action = action.value;
                steps.push(Step { percent, action });
            }
            (Ok(1..=100), Given::Absent | Given::Mistaken) => return Given::Mistaken,
            (Ok(_) | Err(_), _) => {
                findings.problems.push(part.place.problem(
                    "this is no percentage of the budget",
                    "write 1 to 100: `steps: {80: warn, 100: refuse}`",
                ));
                return Given::Mistaken;
            }
        }
    }
    steps.sort_by_key(|step| step.percent);
    Given::Written(super::Written::at(entries.place, steps))
}

fn action(scalar: &Scalar) -> Read<Action> {
    word(
        scalar,
        &[
            ("log", Action::Log),
            ("warn", Action::Warn),
            ("downgrade", Action::Downgrade),
            ("refuse", Action::Refuse),
        ],
    )
}

/// Budgets and limits by themselves, as the admin API is given them.
pub(in crate::config) fn alone(part: Part<'_>, findings: &mut Findings) -> Given<Money> {
    section(part, money, findings)
}
