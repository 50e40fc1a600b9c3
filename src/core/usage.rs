//! What a request used, in classes that do not overlap: their sum is the total.

use serde::Serialize;

use crate::units::Tokens;

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_sum_of_all_classes() {
        let usage = Usage {
            input: Tokens(1),
            cached_input: Tokens(20),
            cache_write: Tokens(300),
            output: Tokens(4_000),
            reasoning: Tokens(50_000),
        };
        assert_eq!(usage.total(), Tokens(54_321));
    }
}
