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
    /// Prompt tokens read from the provider's cache; the input price where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<PricePerMillion>,
    /// Prompt tokens written to the provider's cache; the input price where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<PricePerMillion>,
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
        let lines: [(PricePerMillion, Tokens); 5] = [
            (self.input, usage.input),
            (cached, usage.cached_input),
            (written, usage.cache_write),
            (self.output, usage.output),
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
        }
    }

    #[test]
    fn classes_are_priced_apart_and_rounded_up_once() {
        let usage = Usage {
            input: Tokens(10),
            cached_input: Tokens(90),
            cache_write: Tokens(0),
            output: Tokens(5),
            reasoning: Tokens(3),
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
