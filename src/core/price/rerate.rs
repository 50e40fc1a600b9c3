//! A wrong price, corrected afterwards: what a request cost by the price that was charged, what it costs by the right one,
//! and the entry that makes up for the difference. What was posted is never changed.

use serde::Deserialize;

use super::Price;
use crate::money::window::start_of_day;
use crate::units::{MoneyOverflow, NanoUsd, Timestamp};
use crate::usage::Usage;

/// What a record says that a price can be applied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// When the request came: prices are those of then.
    pub at: Timestamp,
    /// Who answered.
    pub provider: String,
    /// Under which name of the provider's.
    pub model: String,
    /// How much.
    pub usage: Usage,
    /// What it cost; none where no price was known.
    pub charged: Option<NanoUsd>,
}

/// What becomes of a record under another price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rerated {
    /// It costs the same.
    Same,
    /// It is to be corrected by an entry of its own.
    Differs(Entry),
    /// It was not charged by its usage (a hold that was kept, an estimate): a person must judge it.
    NotByUsage,
}

/// Takes off what was charged and adds what should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What was charged.
    pub was: NanoUsd,
    /// What is right.
    pub is: NanoUsd,
}

impl Entry {
    /// What is added to the account, and what is taken off it; one of them is nothing.
    pub fn more_and_less(self) -> (NanoUsd, NanoUsd) {
        let over = |one: NanoUsd, other: NanoUsd| NanoUsd(one.0.saturating_sub(other.0));
        (over(self.is, self.was), over(self.was, self.is))
    }
}

/// A line that is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRecord(pub String);

#[derive(Deserialize)]
struct Line {
    time: String,
    #[serde(default)]
    provider: String,
    #[serde(default)]
    model_served: String,
    tokens: Option<Usage>,
    cost_nanousd: Option<NanoUsd>,
}

impl Recorded {
    /// Reads the JSON line of a record. Nothing where nobody answered, so that there is nothing to price.
    pub fn read(line: &str) -> Result<Option<Self>, NoRecord> {
        let line: Line = serde_json::from_str(line).map_err(|error| NoRecord(error.to_string()))?;
        let no_time = || NoRecord(format!("`{}` is no time", line.time));
        let at = moment(&line.time).ok_or_else(no_time)?;
        Ok(line.tokens.map(|usage| Self {
            at,
            provider: line.provider,
            model: line.model_served,
            usage,
            charged: line.cost_nanousd,
        }))
    }

    /// The price that was charged against the one that is right.
    pub fn rerate(&self, old: Option<&Price>, new: &Price) -> Result<Rerated, MoneyOverflow> {
        let by_usage = old.map(|old| old.cost(&self.usage, 1)).transpose()?;
        let is = new.cost(&self.usage, 1)?;
        let was = self.charged.unwrap_or(NanoUsd::ZERO);
        Ok(if self.charged != by_usage {
            Rerated::NotByUsage
        } else if was == is {
            Rerated::Same
        } else {
            Rerated::Differs(Entry { was, is })
        })
    }
}

/// Of `2026-11-20T09:30:00.125Z`.
fn moment(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, millis) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = clock.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let seconds = hours
        .checked_mul(3_600)?
        .checked_add(minutes.checked_mul(60)?)?
        .checked_add(seconds)?;
    let millis = seconds
        .checked_mul(1_000)?
        .checked_add(millis.parse().ok()?)?;
    let nanos = millis.checked_mul(1_000_000)?;
    start_of_day(date)?.0.checked_add(nanos).map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::Rates;
    use crate::units::{PricePerMillion, Tokens};

    fn price(input: u64, output: u64) -> Price {
        let rates = Rates {
            input: PricePerMillion(NanoUsd(input)),
            output: PricePerMillion(NanoUsd(output)),
            ..Rates::default()
        };
        Price {
            rates,
            ..Price::default()
        }
    }

    fn line(tokens: &str, cost: &str) -> String {
        format!(
            r#"{{"time":"2026-11-20T09:30:00.125Z","trace_id":"t","provider":"alpha","model_served":"m"{tokens}{cost},"duration_ms":3}}"#
        )
    }

    const TOKENS: &str =
        r#","tokens":{"input":10,"cached_input":0,"cache_write":0,"output":5,"reasoning":0}"#;

    #[test]
    fn a_record_is_read_as_it_was_logged() {
        let read = Recorded::read(&line(TOKENS, r#","cost_nanousd":20"#)).unwrap();
        let usage = Usage {
            input: Tokens(10),
            output: Tokens(5),
            ..Usage::default()
        };
        let want = Recorded {
            at: Timestamp(1_795_167_000_125_000_000),
            provider: "alpha".to_owned(),
            model: "m".to_owned(),
            usage,
            charged: Some(NanoUsd(20)),
        };
        assert_eq!(read, Some(want));
        assert_eq!(Recorded::read(&line("", "")), Ok(None));
        for wrong in [
            "",
            "[]",
            r#"{"time":"yesterday"}"#,
            r#"{"time":"2026-11-20T09:30:00"}"#,
            // a class that this version would leave out
            r#"{"time":"2026-11-20T09:30:00Z","tokens":{"input":1,"smell":9}}"#,
            r#"{"time":"2026-11-20T09:30:00Z","tokens":{"input":-1}}"#,
        ] {
            assert!(Recorded::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_entry_makes_up_for_the_difference_and_no_more() {
        let million = 1_000_000;
        let (old, dear, cheap) = (
            price(million, 2 * million),
            price(3 * million, 2 * million),
            price(0, million),
        );
        let recorded = |cost: &str| Recorded::read(&line(TOKENS, cost)).unwrap().unwrap();
        let charged = recorded(r#","cost_nanousd":20"#);
        let entry = |was, is| {
            Ok(Rerated::Differs(Entry {
                was: NanoUsd(was),
                is: NanoUsd(is),
            }))
        };
        assert_eq!(charged.rerate(Some(&old), &old), Ok(Rerated::Same));
        assert_eq!(charged.rerate(Some(&old), &dear), entry(20, 40));
        assert_eq!(charged.rerate(Some(&old), &cheap), entry(20, 5));
        // it had no price, and gets one
        assert_eq!(recorded("").rerate(None, &old), entry(0, 20));
        for kept in [r#","cost_nanousd":21"#, ""] {
            let kept = recorded(kept).rerate(Some(&old), &dear);
            assert_eq!(kept, Ok(Rerated::NotByUsage));
        }
        assert_eq!(charged.rerate(None, &old), Ok(Rerated::NotByUsage));
        for (was, is, want) in [(20, 40, (20, 0)), (20, 5, (0, 15)), (7, 7, (0, 0))] {
            let (more, less) = Entry {
                was: NanoUsd(was),
                is: NanoUsd(is),
            }
            .more_and_less();
            assert_eq!((more.0, less.0), want);
        }
    }
}
