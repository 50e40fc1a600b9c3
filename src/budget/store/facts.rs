//! What is known of a record: its line of JSON, read once when it comes in.

use serde::Deserialize;
use tollgate_core::money::ledger::Record;
use tollgate_core::money::message::{Charge, Debt};
use tollgate_core::units::{NanoUsd, Timestamp, Tokens};
use tollgate_core::usage::Usage;

use super::commit::RecordName;
use super::figures::Figures;
use super::series::{Series, Tags, name};

const NANOS: u64 = 1_000_000_000;

/// What is known of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// When the request began; when it was written, if its line does not say.
    pub at: Timestamp,
    /// What it is told apart by.
    pub series: Series,
    /// Its trace.
    pub trace: String,
    /// The status the caller got; 0 if it left before one.
    pub status: u16,
    /// How it ended.
    pub end: String,
    /// Tokens by class.
    pub tokens: Usage,
    /// What it cost when it was reported.
    pub cost: NanoUsd,
    /// Whether its cost is known.
    pub pricing: Pricing,
    /// From the request's first byte to the reply's last.
    pub duration_ms: u64,
    /// From the request's first byte to the first token.
    pub first_token_ms: Option<u64>,
    /// How many targets were asked.
    pub attempts: u64,
    /// What the cache did.
    pub cache: CacheUse,
    /// What the cache saved.
    pub saved: NanoUsd,
}

/// Whether the cost of a request is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pricing {
    /// It is.
    #[default]
    Known,
    /// There was no price: the cost is not zero, it is unknown.
    Unknown,
}

/// What the cache did for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheUse {
    /// Nobody asked it.
    #[default]
    Unused,
    /// It had the answer.
    Hit,
    /// It had not.
    Miss,
}

/// A record, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// What it is called.
    pub name: RecordName,
    /// What is known of it.
    pub facts: Facts,
    /// What it costs since it was corrected; none if it was not.
    pub corrected: Option<NanoUsd>,
    /// What each lease paid.
    pub charges: Vec<Charge>,
    /// What was spent without a lease.
    pub debts: Vec<Debt>,
    /// The line, as it came.
    pub line: String,
}

/// The fields of the line that reports need. The rest rides along in the line.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Line {
    time: String,
    trace_id: String,
    org: String,
    team: String,
    user: String,
    key: String,
    endpoint: String,
    model: String,
    provider: String,
    model_served: String,
    status: u16,
    end: String,
    attempts: Vec<serde::de::IgnoredAny>,
    tags: Vec<String>,
    feature: String,
    tokens: LineTokens,
    priced: String,
    duration_ms: u64,
    first_token_ms: Option<u64>,
    cache: String,
    saved_nanousd: u64,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(default)]
struct LineTokens {
    input: u64,
    cached_input: u64,
    cache_write: u64,
    cache_write_hour: u64,
    audio_input: u64,
    audio_output: u64,
    output: u64,
    reasoning: u64,
}

impl LineTokens {
    /// The classes that reports know: rarer ones count as their plain class. The line itself keeps them apart.
    fn classes(self) -> Usage {
        let sum = |one: u64, other: u64| Tokens(one.saturating_add(other));
        Usage {
            input: sum(self.input, self.audio_input),
            cached_input: Tokens(self.cached_input),
            cache_write: sum(self.cache_write, self.cache_write_hour),
            output: sum(self.output, self.audio_output),
            reasoning: Tokens(self.reasoning),
            ..Usage::default()
        }
    }
}

impl StoredRecord {
    /// A record as it will be kept. One whose line cannot be read is kept all the same, under empty names: its money
    /// was spent.
    pub fn of(record: &Record, now: Timestamp) -> Self {
        // No database takes a zero byte in a text, and JSON has none.
        let line = String::from_utf8_lossy(&record.usage.record).replace('\0', "\u{FFFD}");
        let facts = Facts {
            cost: record.usage.cost,
            ..Facts::of(&line, now)
        };
        Self {
            name: RecordName {
                incarnation: record.incarnation,
                stream: record.stream,
                number: record.usage.number,
            },
            facts,
            corrected: None,
            charges: record.usage.charges.clone(),
            debts: record.usage.debts.clone(),
            line,
        }
    }

    /// What it costs, as far as is known today.
    pub fn cost(&self) -> NanoUsd {
        self.corrected.unwrap_or(self.facts.cost)
    }
}

impl Facts {
    fn of(line: &str, now: Timestamp) -> Self {
        // An array would be read as a line without a single field.
        let object = Some(line).filter(|line| line.trim_start().starts_with('{'));
        let read = object.and_then(|line| serde_json::from_str::<Line>(line).ok());
        let Some(line) = read else {
            return Self {
                at: now,
                pricing: Pricing::Unknown,
                ..Self::default()
            };
        };
        let tags = line.tags.iter().map(String::as_str);
        let series = Series {
            org: name(&line.org),
            team: name(&line.team),
            user: name(&line.user),
            key: name(&line.key),
            model: name(&line.model),
            model_served: name(&line.model_served),
            provider: name(&line.provider),
            endpoint: name(&line.endpoint),
            tags: Tags::new(tags.chain([line.feature.as_str()])),
            status_class: u8::try_from(line.status / 100).unwrap_or(u8::MAX).min(9),
        };
        Self {
            at: read_time(&line.time).unwrap_or(now),
            series,
            trace: name(&line.trace_id),
            status: line.status,
            end: name(&line.end),
            tokens: line.tokens.classes(),
            cost: NanoUsd::ZERO,
            pricing: match line.priced.as_str() {
                "unknown" => Pricing::Unknown,
                _ => Pricing::Known,
            },
            duration_ms: line.duration_ms,
            first_token_ms: line.first_token_ms,
            attempts: u64::try_from(line.attempts.len()).unwrap_or(u64::MAX),
            cache: match line.cache.as_str() {
                "" | "off" | "skipped" => CacheUse::Unused,
                "miss" => CacheUse::Miss,
                _ => CacheUse::Hit,
            },
            saved: NanoUsd(line.saved_nanousd),
        }
    }

    /// The hour it belongs to, counted from the epoch.
    pub fn hour(&self) -> u64 {
        hour_of(self.at)
    }

    /// What it adds to the sums of its hour.
    pub fn figures(&self) -> Figures {
        let one = |is: bool| u64::from(is);
        let left = self.end == "client_left";
        let broken = matches!(self.end.as_str(), "cut" | "failed");
        let mut figures = Figures {
            requests: 1,
            errors: one(!left && (broken || !(200..400).contains(&self.status))),
            client_left: one(left),
            fallbacks: one(self.attempts > 1),
            tokens: self.tokens,
            cost: self.cost,
            unpriced: one(self.pricing == Pricing::Unknown),
            cache_hits: one(self.cache == CacheUse::Hit),
            cache_misses: one(self.cache == CacheUse::Miss),
            saved: self.saved,
            ..Figures::default()
        };
        figures.durations.note(self.duration_ms);
        if let Some(milliseconds) = self.first_token_ms {
            figures.first_tokens.note(milliseconds);
        }
        figures
    }
}

/// The hour of a moment, counted from the epoch.
pub(super) fn hour_of(at: Timestamp) -> u64 {
    at.0 / NANOS / 3_600
}

/// When an hour begins.
pub(super) fn start_of(hour: u64) -> Timestamp {
    Timestamp(hour.saturating_mul(NANOS.saturating_mul(3_600)))
}

/// `2026-11-20T09:30:00.125Z`, as the line has it.
fn read_time(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<u64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut clock = clock.splitn(3, ':').map(str::parse::<u64>);
    let (hours, minutes, seconds) = (
        clock.next()?.ok()?,
        clock.next()?.ok()?,
        clock.next()?.ok()?,
    );
    let valid = (1970..2262).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (hours < 24 && minutes < 60 && seconds < 61)
        && fraction.len() <= 9;
    if !valid {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<9}").parse().ok()?;
    let seconds = days(year, month, day)
        .checked_mul(86_400)?
        .checked_add(hours.checked_mul(3_600)?)?
        .checked_add(minutes.checked_mul(60)?)?
        .checked_add(seconds)?;
    Some(Timestamp(
        seconds.checked_mul(NANOS)?.checked_add(fraction)?,
    ))
}

/// Days from 1970-01-01 to a date after it, with years that begin in March so that the leap day is the last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    const EPOCH_FROM_MARCH_0: u64 = 719_468;
    let before_march = u64::from(month < 3);
    let year = year.saturating_sub(before_march);
    let month = month.saturating_add(9) % 12;
    let in_year = month.saturating_mul(153).saturating_add(2) / 5;
    let leaps = (year / 4)
        .saturating_sub(year / 100)
        .saturating_add(year / 400);
    year.saturating_mul(365)
        .saturating_add(leaps)
        .saturating_add(in_year)
        .saturating_add(day)
        .saturating_sub(EPOCH_FROM_MARCH_0.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_line_has_them() {
        for (text, want) in [
            ("1970-01-01T00:00:00.125Z", Some(125_000_000)),
            ("2000-02-29T00:00:00.125Z", Some(951_782_400_125_000_000)),
            ("2026-11-20T09:30:00.125Z", Some(1_795_167_000_125_000_000)),
            ("2026-11-20T09:30:00Z", Some(1_795_167_000_000_000_000)),
            ("2100-02-28T23:59:59.125Z", Some(4_107_542_399_125_000_000)),
            ("2026-11-20", None),
            ("2026-13-20T09:30:00Z", None),
            ("2026-11-20T09:30:00.1234567891Z", None),
            ("9999-11-20T09:30:00Z", None),
            ("", None),
        ] {
            assert_eq!(read_time(text), want.map(Timestamp), "{text}");
        }
    }

    #[test]
    fn a_line_is_read_for_what_reports_need() {
        let line = r#"{"time":"2026-11-20T09:30:00.125Z","trace_id":"abc","org":"acme","team":"search","user":"alice",
            "key":"demo","endpoint":"/v1/chat/completions","model":"small","provider":"beta","model_served":"gpt-x",
            "stream":true,"status":200,"end":"ok","attempts":[{"provider":"alpha"},{"provider":"beta"}],"routed":"fallback",
            "tags":["chat"],"tokens":{"input":7,"cached_input":1,"cache_write":0,"output":3,"reasoning":2},
            "usage_source":"provider","cost_nanousd":45000,"duration_ms":812,"first_token_ms":90,"tokens_per_second":9}"#;
        let facts = Facts::of(line, Timestamp(0));
        let figures = facts.figures();
        assert_eq!(facts.hour(), 498_657);
        assert_eq!(facts.series.values(Dimension::Tag), ["chat"]);
        assert_eq!(facts.series.values(Dimension::StatusClass), ["2xx"]);
        assert_eq!((facts.trace.as_str(), facts.attempts), ("abc", 2));
        assert_eq!(
            (figures.requests, figures.errors, figures.fallbacks),
            (1, 0, 1)
        );
        assert_eq!(figures.tokens_total(), Tokens(13));
        assert_eq!(figures.first_tokens.count(), 1);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_a_record_without_names() {
        for line in ["", "{", "[]", "\u{FFFD}", r#"{"status":"many"}"#] {
            let facts = Facts::of(line, Timestamp(5));
            assert_eq!((facts.at, facts.pricing), (Timestamp(5), Pricing::Unknown));
            assert_eq!(facts.figures().errors, 1, "{line}");
        }
    }

    #[test]
    fn a_caller_who_leaves_is_no_error() {
        for (status, end, errors) in [
            (200, "ok", 0),
            (200, "cut", 1),
            (0, "client_left", 0),
            (502, "failed", 1),
            (429, "refused", 1),
            (400, "provider_refused", 1),
        ] {
            let line = format!(r#"{{"status":{status},"end":"{end}"}}"#);
            let figures = Facts::of(&line, Timestamp(0)).figures();
            assert_eq!(figures.errors, errors, "{line}");
        }
    }

    use super::super::query::Dimension;
}
