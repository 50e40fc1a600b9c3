//! A wrong price, corrected afterwards: what a request that was served costs by the right one, and the entry that makes
//! up for the difference. What was posted is never changed.

use serde::Deserialize;

use super::Price;
use crate::units::{MoneyOverflow, NanoUsd};
use crate::usage::Usage;

/// What a record says that a price can be applied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Who answered.
    pub provider: String,
    /// Under which name of the provider's.
    pub model: String,
    /// How much.
    pub usage: Usage,
    /// By what it was charged.
    pub charged: Charged,
}

/// By what a request was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// By the usage that stands in its record, and by nothing else.
    ByUsage,
    /// By nothing: no price was known.
    Unpriced,
    /// By what was held for it, or for an attempt before: nobody knows what was used.
    Otherwise,
}

/// What becomes of a record under another price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rerated {
    /// It costs the same.
    Same,
    /// It is to be corrected by an entry of its own.
    Differs {
        /// What is right.
        is: NanoUsd,
    },
    /// It was not charged by its usage: a person must judge it.
    NotByUsage,
}

/// A line that is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRecord(pub String);

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    provider: String,
    #[serde(default)]
    model_served: String,
    tokens: Option<Usage>,
    cost_nanousd: Option<NanoUsd>,
    #[serde(default)]
    cost_basis: String,
    #[serde(default)]
    attempts: Vec<Tried>,
}

#[derive(Deserialize)]
struct Tried {
    #[serde(default)]
    why: String,
}

/// Attempts that ended so may have been billed, and were charged with all that was held for them.
const MAY_BILL: [&str; 4] = ["timeout", "no_first_token", "unreadable", "mid_stream"];

impl Recorded {
    /// Reads the JSON line of a record. Nothing where nobody answered, so that there is nothing to price.
    pub fn read(line: &str) -> Result<Option<Self>, NoRecord> {
        let line: Line = serde_json::from_str(line).map_err(|error| NoRecord(error.to_string()))?;
        let charged = line.charged();
        Ok(line.tokens.map(|usage| Self {
            provider: line.provider,
            model: line.model_served,
            usage,
            charged,
        }))
    }

    /// What it costs by the right price, where it costs `was` so far.
    pub fn rerate(&self, was: NanoUsd, price: &Price) -> Result<Rerated, MoneyOverflow> {
        if self.charged == Charged::Otherwise {
            return Ok(Rerated::NotByUsage);
        }
        let is = price.cost(&self.usage, 1)?;
        Ok(if is == was {
            Rerated::Same
        } else {
            Rerated::Differs { is }
        })
    }
}

impl Line {
    fn charged(&self) -> Charged {
        let before = self
            .attempts
            .split_last()
            .map_or(&[][..], |(_, before)| before);
        let held = before
            .iter()
            .any(|tried| MAY_BILL.contains(&tried.why.as_str()));
        match (self.cost_nanousd, self.cost_basis.as_str()) {
            (None, _) if !held => Charged::Unpriced,
            (Some(_), "reported" | "counted") if !held => Charged::ByUsage,
            (None | Some(_), _) => Charged::Otherwise,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::Rates;
    use crate::units::{PricePerMillion, Tokens};

    fn line(rest: &str) -> String {
        format!(
            r#"{{"time":"2026-11-20T09:30:00.125Z","trace_id":"t","provider":"alpha","model_served":"m","tokens":{{"input":10,"output":5}}{rest},"duration_ms":3}}"#
        )
    }

    fn read(rest: &str) -> Recorded {
        Recorded::read(&line(rest)).unwrap().unwrap()
    }

    #[test]
    fn a_record_is_read_as_it_was_logged() {
        let usage = Usage {
            input: Tokens(10),
            output: Tokens(5),
            ..Usage::default()
        };
        let want = Recorded {
            provider: "alpha".to_owned(),
            model: "m".to_owned(),
            usage,
            charged: Charged::Unpriced,
        };
        assert_eq!(read(""), want);
        assert_eq!(Recorded::read(r#"{"status":401}"#), Ok(None));
        for wrong in [
            "",
            "[]",
            // a class that this version would leave out
            r#"{"tokens":{"input":1,"smell":9}}"#,
            r#"{"tokens":{"input":-1}}"#,
        ] {
            assert!(Recorded::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_what_was_charged_by_its_usage_can_be_rated_again() {
        let cost = r#","cost_nanousd":20"#;
        let after =
            |why: &str| format!(r#","attempts":[{{"end":"x","why":"{why}"}},{{"end":"200"}}]"#);
        for (rest, want) in [
            (
                format!(r#"{cost},"cost_basis":"reported""#),
                Charged::ByUsage,
            ),
            (
                format!(r#"{cost},"cost_basis":"counted""#),
                Charged::ByUsage,
            ),
            (
                format!(r#"{cost},"cost_basis":"reserved""#),
                Charged::Otherwise,
            ),
            (
                format!(r#"{cost},"cost_basis":"seen_plus_margin""#),
                Charged::Otherwise,
            ),
            (
                format!(r#"{cost},"cost_basis":"reported"{}"#, after("status")),
                Charged::ByUsage,
            ),
            (
                format!(r#"{cost},"cost_basis":"reported"{}"#, after("timeout")),
                Charged::Otherwise,
            ),
            (r#","priced":"unknown""#.to_owned(), Charged::Unpriced),
        ] {
            assert_eq!(read(&rest).charged, want, "{rest}");
        }
    }

    #[test]
    fn the_right_price_says_what_it_costs() {
        let price = |input: u64, output: u64| Price {
            rates: Rates {
                input: PricePerMillion(NanoUsd(input * 1_000_000)),
                output: PricePerMillion(NanoUsd(output * 1_000_000)),
                ..Rates::default()
            },
            ..Price::default()
        };
        let differs = |is| Ok(Rerated::Differs { is: NanoUsd(is) });
        let charged = read(r#","cost_nanousd":20,"cost_basis":"reported""#);
        let reserved = read(r#","cost_nanousd":20,"cost_basis":"reserved""#);
        for (recorded, was, price, want) in [
            (&charged, 20, price(1, 2), Ok(Rerated::Same)),
            (&charged, 20, price(3, 2), differs(40)),
            (&charged, 20, price(0, 1), differs(5)),
            // What was corrected before counts as it is now.
            (&charged, 40, price(3, 2), Ok(Rerated::Same)),
            (&charged, 40, price(1, 2), differs(20)),
            (&read(""), 0, price(1, 2), differs(20)),
            (&reserved, 20, price(3, 2), Ok(Rerated::NotByUsage)),
        ] {
            assert_eq!(
                recorded.rerate(NanoUsd(was), &price),
                want,
                "{was} {price:?}"
            );
        }
    }
}
