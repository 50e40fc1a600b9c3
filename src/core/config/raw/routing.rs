//! How requests find their way: `when`, `policies`, `balance`, `schedules`, `breaker`.

use super::super::node::{Scalar, Value};
use super::super::reader::{Findings, Given, Section, Written, section, single};
use super::super::scalar::{Read, Wrong, count, duration, text, truth};
use super::super::suggest;
use super::each;
use crate::config::Explains;
use crate::config::routing::{
    Capability, Comparison, Complexity, OnUntranslatable, Sticky, Strategy, WhenTooLong,
};

/// A text, or a list of some: one of them.
pub type Texts = Given<Vec<Written<String>>>;

/// `when`: which requests
#[derive(Clone, Debug, Default)]
pub struct When {
    /// `prompt_tokens`
    pub prompt_tokens: Given<Vec<Comparison>>,
    /// `output_tokens`
    pub output_tokens: Given<Vec<Comparison>>,
    /// `complexity`
    pub complexity: Given<Complexity>,
    /// `stream`
    pub stream: Given<bool>,
    /// `needs`
    pub needs: Given<Vec<Given<Capability>>>,
    /// `model`
    pub model: Texts,
    /// `endpoint`
    pub endpoint: Texts,
    /// `org`
    pub org: Texts,
    /// `team`
    pub team: Texts,
    /// `user`
    pub user: Texts,
    /// `key`
    pub key: Texts,
    /// `tier`
    pub tier: Texts,
    /// `tag`
    pub tag: Texts,
    /// `header`
    pub header: Given<Vec<(Written<String>, Texts)>>,
    /// `metadata`
    pub metadata: Given<Vec<(Written<String>, Texts)>>,
}

/// An element of `policies`
#[derive(Clone, Debug)]
pub struct Policy {
    /// `name`
    pub name: Given<String>,
    /// `when`
    pub when: Given<When>,
    /// `use`
    pub use_model: Given<String>,
    /// `strategy`
    pub strategy: Given<Strategy>,
    /// `regions`
    pub regions: Given<Vec<Given<String>>>,
    /// `deny`
    pub deny: Given<String>,
}

/// `balance`
#[derive(Clone, Debug, Default)]
pub struct Balance {
    /// `cost`
    pub cost: Given<usize>,
    /// `latency`
    pub latency: Given<usize>,
    /// `reliability`
    pub reliability: Given<usize>,
}

/// An element of `schedules`
#[derive(Clone, Debug)]
pub struct Schedule {
    /// `from`, in minutes of the day.
    pub from: Given<u16>,
    /// `to`, in minutes of the day.
    pub to: Given<u16>,
    /// `balance`
    pub balance: Given<Balance>,
}

/// `breaker`
#[derive(Clone, Debug)]
pub struct Breaker {
    /// `disabled`
    pub disabled: Given<bool>,
    /// `allowed_fails`
    pub allowed_fails: Given<usize>,
    /// `within`, in milliseconds.
    pub within: Given<u64>,
    /// `share`, in percent.
    pub share: Given<u32>,
    /// `cooldown_time`, in milliseconds.
    pub cooldown_time: Given<u64>,
    /// `cooldown_max`, in milliseconds.
    pub cooldown_max: Given<u64>,
}

pub(super) fn when(fields: &mut Section<'_>, findings: &mut Findings) -> When {
    When {
        prompt_tokens: fields.single("prompt_tokens", comparisons, findings),
        output_tokens: fields.single("output_tokens", comparisons, findings),
        complexity: fields.single("complexity", complexity, findings),
        stream: fields.single("stream", truth, findings),
        needs: capabilities(fields, "needs", findings),
        model: texts(fields, "model", findings),
        endpoint: texts(fields, "endpoint", findings),
        org: texts(fields, "org", findings),
        team: texts(fields, "team", findings),
        user: texts(fields, "user", findings),
        key: texts(fields, "key", findings),
        tier: texts(fields, "tier", findings),
        tag: texts(fields, "tag", findings),
        header: named_texts(fields, "header", findings),
        metadata: named_texts(fields, "metadata", findings),
    }
}

pub(super) fn policy(fields: &mut Section<'_>, findings: &mut Findings) -> Policy {
    Policy {
        name: fields.single("name", text, findings),
        when: fields.section("when", when, findings),
        use_model: fields.single("use", text, findings),
        strategy: fields.single("strategy", strategy, findings),
        regions: each(
            fields,
            "regions",
            |part, findings| single(&part, text, findings),
            findings,
        ),
        deny: fields.single("deny", text, findings),
    }
}

pub(super) fn balance(fields: &mut Section<'_>, findings: &mut Findings) -> Balance {
    Balance {
        cost: fields.single("cost", count, findings),
        latency: fields.single("latency", count, findings),
        reliability: fields.single("reliability", count, findings),
    }
}

pub(super) fn schedules(
    fields: &mut Section<'_>,
    findings: &mut Findings,
) -> Given<Vec<Given<Schedule>>> {
    let schedule = |fields: &mut Section<'_>, findings: &mut Findings| Schedule {
        from: fields.single("from", time_of_day, findings),
        to: fields.single("to", time_of_day, findings),
        balance: fields.section("balance", balance, findings),
    };
    each(
        fields,
        "schedules",
        |part, findings| section(part, schedule, findings),
        findings,
    )
}

pub(super) fn breaker(fields: &mut Section<'_>, findings: &mut Findings) -> Breaker {
    Breaker {
        disabled: fields.single("disabled", truth, findings),
        allowed_fails: fields.single("allowed_fails", count, findings),
        within: fields.single("within", duration, findings),
        share: fields.single("share", percent, findings),
        cooldown_time: fields.single("cooldown_time", duration, findings),
        cooldown_max: fields.single("cooldown_max", duration, findings),
    }
}

pub(super) fn capabilities(
    fields: &mut Section<'_>,
    name: &'static str,
    findings: &mut Findings,
) -> Given<Vec<Given<Capability>>> {
    each(
        fields,
        name,
        |part, findings| single(&part, capability, findings),
        findings,
    )
}

fn texts(fields: &mut Section<'_>, name: &'static str, findings: &mut Findings) -> Texts {
    match fields.part(name, findings) {
        Some(part) => text_or_list(part, findings),
        None => Given::Absent,
    }
}

fn text_or_list(part: super::super::reader::Part<'_>, findings: &mut Findings) -> Texts {
    let place = part.place.clone();
    let Value::List(nodes) = &part.node.value else {
        return match single(&part, text, findings) {
            Given::Written(text) => Given::Written(Written::at(place, vec![text])),
            Given::Absent => Given::Absent,
            Given::Mistaken => Given::Mistaken,
        };
    };
    let mut all = Vec::with_capacity(nodes.len());
    for (position, node) in nodes.iter().enumerate() {
        let place = place.item(position, node.line);
        let part = super::super::reader::Part { node, place };
        match single(&part, text, findings) {
            Given::Written(text) => all.push(text),
            Given::Absent | Given::Mistaken => return Given::Mistaken,
        }
    }
    Given::Written(Written::at(place, all))
}

pub(super) fn named_texts(
    fields: &mut Section<'_>,
    name: &'static str,
    findings: &mut Findings,
) -> Given<Vec<(Written<String>, Texts)>> {
    let entries = match fields.names(name, findings) {
        Given::Written(entries) => entries,
        Given::Absent => return Given::Absent,
        Given::Mistaken => return Given::Mistaken,
    };
    let all = entries.value.into_iter().map(|(name, part)| {
        let named = Written::at(part.place.clone(), name.to_owned());
        (named, text_or_list(part, findings))
    });
    let all = all.collect();
    Given::Written(Written::at(entries.place, all))
}

/// One of some words, by the names that serde gives them.
fn word<T: serde::de::DeserializeOwned>(
    scalar: &Scalar,
    what: &str,
    known: &[&'static str],
) -> Read<T> {
    let value = serde_json::Value::String(scalar.text.clone());
    serde_json::from_value(value).map_err(|_| Wrong {
        found: format!("no {what} is named {}", scalar.shown()),
        fix: match suggest::nearest(&scalar.text, known.iter().copied()) {
            Some(meant) => format!("write `{meant}`"),
            None => format!("write one of `{}`", known.join("`, `")),
        },
    })
}

pub(super) fn strategy(scalar: &Scalar) -> Read<Strategy> {
    let known = [
        "ordered",
        "weighted",
        "cheapest",
        "fastest",
        "least_busy",
        "balanced",
    ];
    word(scalar, "strategy", &known)
}

pub(super) fn sticky(scalar: &Scalar) -> Read<Sticky> {
    word(
        scalar,
        "way to stay",
        &["nobody", "user", "key", "conversation"],
    )
}

pub(super) fn when_too_long(scalar: &Scalar) -> Read<WhenTooLong> {
    word(scalar, "way out", &["refuse", "send"])
}

pub(super) fn on_untranslatable(scalar: &Scalar) -> Read<OnUntranslatable> {
    word(scalar, "way to go on", &["refuse", "skip_target", "drop"])
}

/// What `telemetry.explain` may be.
pub(super) fn explains(scalar: &Scalar) -> Read<Explains> {
    word(
        scalar,
        "place to explain",
        &["never", "in_record", "to_caller"],
    )
}

fn complexity(scalar: &Scalar) -> Read<Complexity> {
    word(
        scalar,
        "class of complexity",
        &["simple", "medium", "complex"],
    )
}

fn capability(scalar: &Scalar) -> Read<Capability> {
    word(scalar, "capability", &Capability::ALL.map(Capability::name))
}

/// `5` or `5%`, of a hundred.
pub(super) fn percent(scalar: &Scalar) -> Read<u32> {
    let text = scalar.text.trim();
    let digits = text.strip_suffix('%').unwrap_or(text).trim_end();
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u32>() {
        Ok(percent) if plain && percent <= 100 => Ok(percent),
        Ok(_) | Err(_) => Err(Wrong {
            found: format!("{} is no share of a hundred", scalar.shown()),
            fix: "write a whole number from 0 to 100, or `5%`".to_owned(),
        }),
    }
}

/// `08:30`, in minutes; `24:00` is the end of the day, which is its beginning.
fn time_of_day(scalar: &Scalar) -> Read<u16> {
    let number = |text: &str, max: u16| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>()
            .ok()
            .filter(|number| plain && *number <= max)
    };
    let parts = scalar.text.split_once(':');
    let time = parts.and_then(
        |(hour, minute)| match (number(hour, 24)?, number(minute, 59)?) {
            (24, 0) => Some(0),
            (24, _) => None,
            (hour, minute) => hour.checked_mul(60)?.checked_add(minute),
        },
    );
    time.ok_or_else(|| Wrong {
        found: format!("{} is no time of the day", scalar.shown()),
        fix: "write hours and minutes in quotes: \"08:30\"".to_owned(),
    })
}

/// `> 50000`, or several that must all hold: `> 1000, <= 5000`.
fn comparisons(scalar: &Scalar) -> Read<Vec<Comparison>> {
    let all: Option<Vec<Comparison>> = scalar.text.split(',').map(comparison).collect();
    let wrong = |found: String| Wrong {
        found,
        fix: "write a comparison in quotes, `\"> 50000\"`, or two: `\"> 1000, <= 5000\"`"
            .to_owned(),
    };
    let Some(all) = all else {
        return Err(wrong(format!("{} is no comparison", scalar.shown())));
    };
    let mut bounds = all.iter().map(|comparison| match comparison {
        Comparison::Less(than) => (0, than.checked_sub(1)),
        Comparison::AtMost(than) => (0, Some(*than)),
        Comparison::More(than) => (than.saturating_add(1), Some(u64::MAX)),
        Comparison::AtLeast(than) => (*than, Some(u64::MAX)),
    });
    let fits = bounds.try_fold((0, u64::MAX), |(least, most): (u64, u64), (low, high)| {
        let (least, most) = (least.max(low), most.min(high?));
        (least <= most).then_some((least, most))
    });
    match fits {
        Some(_) => Ok(all),
        None => Err(wrong(format!("no number is {}", scalar.shown()))),
    }
}

fn comparison(text: &str) -> Option<Comparison> {
    let text = text.trim();
    let number = |text: &str| {
        let digits: String = text.trim().chars().filter(|char| *char != '_').collect();
        digits.parse::<u64>().ok()
    };
    if let Some(rest) = text.strip_prefix("<=") {
        number(rest).map(Comparison::AtMost)
    } else if let Some(rest) = text.strip_prefix(">=") {
        number(rest).map(Comparison::AtLeast)
    } else if let Some(rest) = text.strip_prefix('<') {
        number(rest).map(Comparison::Less)
    } else {
        number(text.strip_prefix('>')?).map(Comparison::More)
    }
}
