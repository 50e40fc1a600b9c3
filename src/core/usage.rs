//! What a request used, in classes that do not overlap: their sum is the total.

use serde::Serialize;

use crate::config::Price;
use crate::units::{MoneyOverflow, NanoUsd, PricePerMillion, Tokens, round_up};

/// Tokens by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Prompt tokens at the full price.
    pub input: Tokens,
    /// Prompt tokens read from the provider's cache.
    pub cached_input: Tokens,
    /// Prompt tokens written to the provider's cache.
    pub cache_write: Tokens,
    /// Answered tokens that the caller sees.
    pub output: Tokens,
    /// Thought tokens.
    pub reasoning: Tokens,
}

/// Whose figures these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The provider's own.
    Provider,
    /// Ours, because the provider reported none.
    Counted,
    /// Nothing was produced.
    None,
}

impl Usage {
    /// Every class with its name; metrics and reports walk it.
    pub fn classes(&self) -> [(&'static str, Tokens); 5] {
        [
            ("input", self.input),
            ("cached_input", self.cached_input),
            ("cache_write", self.cache_write),
            ("output", self.output),
            ("reasoning", self.reasoning),
        ]
    }

    /// All of them.
    pub fn total(&self) -> Tokens {
        self.classes()
            .iter()
            .fold(Tokens(0), |sum, (_, tokens)| sum.plus(*tokens))
    }

    /// What it costs. A class without a price of its own costs what its plain class costs: never nothing.
    pub fn cost(&self, price: &Price) -> Result<NanoUsd, MoneyOverflow> {
        let cached = price.cached_input.unwrap_or(price.input);
        let written = price.cache_write.unwrap_or(price.input);
        let thought = price.reasoning.unwrap_or(price.output);
        let lines: [(PricePerMillion, Tokens); 5] = [
            (price.input, self.input),
            (cached, self.cached_input),
            (written, self.cache_write),
            (price.output, self.output),
            (thought, self.reasoning),
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
            assert_eq!(usage.cost(&price), Ok(NanoUsd(want)));
        }
        assert_eq!(usage.total(), Tokens(108));
    }
}
