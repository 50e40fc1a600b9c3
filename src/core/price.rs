//! What a deployment charges, and what a request cost there.

use serde::{Deserialize, Serialize};

use crate::units::{MoneyOverflow, NanoUsd, PricePerMillion, Tokens, round_up};
use crate::usage::Usage;

/// What a deployment charges, by class of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Prompt tokens.
    pub input: PricePerMillion,
    /// Answered tokens.
    pub output: PricePerMillion,
    /// Prompt tokens that were heard; the input price where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<PricePerMillion>,
    /// Answered tokens that are heard; the output price where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<PricePerMillion>,
    /// Prompt tokens read from the provider's cache; the input price where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<PricePerMillion>,
    /// Prompt tokens written to the provider's cache; the input price where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<PricePerMillion>,
    /// Prompt tokens written to it for an hour; the price of other writes where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_hour: Option<PricePerMillion>,
    /// Thought tokens; the output price where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<PricePerMillion>,
}

impl Price {
    /// What this usage costs. A class without a price of its own costs what its plain class costs: never nothing.
    pub fn cost(&self, usage: &Usage) -> Result<NanoUsd, MoneyOverflow> {
        let cached = self.cached_input.unwrap_or(self.input);
        let written = self.cache_write.unwrap_or(self.input);
        let thought = self.reasoning.unwrap_or(self.output);
        let lines: [(PricePerMillion, Tokens); 8] = [
            (self.input, usage.input),
            (self.audio_input.unwrap_or(self.input), usage.audio_input),
            (cached, usage.cached_input),
            (written, usage.cache_write),
            (
                self.cache_write_hour.unwrap_or(written),
                usage.cache_write_hour,
            ),
            (self.output, usage.output),
            (self.audio_output.unwrap_or(self.output), usage.audio_output),
            (thought, usage.reasoning),
        ];
        round_up(lines.iter().fold(0_u128, |sum, (price, tokens)| {
            sum.saturating_add(price.exact(*tokens))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(input: &str, output: &str, cached: Option<&str>) -> Price {
        let read = |text: &str| PricePerMillion(NanoUsd::from_dollars(text).unwrap());
        Price {
            input: read(input),
            output: read(output),
            cached_input: cached.map(read),
            cache_write: None,
            reasoning: None,
            audio_input: None,
            audio_output: None,
            cache_write_hour: None,
        }
    }

    #[test]
    fn a_class_without_a_price_costs_what_its_plain_class_costs() {
        let usage = Usage {
            audio_input: Tokens(10),
            audio_output: Tokens(10),
            cache_write: Tokens(10),
            cache_write_hour: Tokens(10),
            ..Usage::default()
        };
        let plain = price("1", "2", None);
        assert_eq!(plain.cost(&usage), Ok(NanoUsd(50_000)));
        let read = |text: &str| Some(PricePerMillion(NanoUsd::from_dollars(text).unwrap()));
        let written = Price {
            cache_write: read("3"),
            ..plain
        };
        assert_eq!(written.cost(&usage), Ok(NanoUsd(90_000)));
        let each = Price {
            audio_input: read("10"),
            audio_output: read("20"),
            cache_write_hour: read("4"),
            ..written
        };
        assert_eq!(each.cost(&usage), Ok(NanoUsd(370_000)));
    }

    #[test]
    fn classes_are_priced_apart_and_rounded_up_once() {
        let usage = Usage {
            input: Tokens(10),
            cached_input: Tokens(90),
            output: Tokens(5),
            reasoning: Tokens(3),
            ..Usage::default()
        };
        for (price, want) in [
            (
                price("1", "2", Some("0.1")),
                10_000 + 9_000 + 10_000 + 6_000,
            ),
            // no cached price: the input price, never nothing
            (price("1", "2", None), 100_000 + 10_000 + 6_000),
            // a third of a nano-dollar in each class: one rounding, not five
            (price("0.000000333", "0.000000333", None), 1),
        ] {
            assert_eq!(price.cost(&usage), Ok(NanoUsd(want)));
        }
    }
}
