//! What a request used, in classes that do not overlap: their sum is the total.

use serde::{Deserialize, Serialize};

use crate::units::Tokens;

/// Tokens by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    /// Prompt tokens at the full price.
    pub input: Tokens,
    /// Prompt tokens read from the provider's cache.
    pub cached_input: Tokens,
    /// Prompt tokens written to the provider's cache for a few minutes.
    pub cache_write: Tokens,
    /// Prompt tokens written to the provider's cache for an hour: some ask more for it.
    #[serde(skip_serializing_if = "is_none")]
    pub cache_write_hour: Tokens,
    /// Heard tokens that came from no cache.
    #[serde(skip_serializing_if = "is_none")]
    pub audio_input: Tokens,
    /// Answered tokens that the caller reads.
    pub output: Tokens,
    /// Thought tokens.
    pub reasoning: Tokens,
    /// Spoken tokens.
    #[serde(skip_serializing_if = "is_none")]
    pub audio_output: Tokens,
}

fn is_none(tokens: &Tokens) -> bool {
    *tokens == Tokens(0)
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
    pub fn classes(&self) -> [(&'static str, Tokens); 8] {
        [
            ("input", self.input),
            ("cached_input", self.cached_input),
            ("cache_write", self.cache_write),
            ("cache_write_hour", self.cache_write_hour),
            ("audio_input", self.audio_input),
            ("output", self.output),
            ("reasoning", self.reasoning),
            ("audio_output", self.audio_output),
        ]
    }

    /// What the model was given, of all classes.
    pub fn prompt(&self) -> Tokens {
        let cache = self.cached_input.plus(self.cache_write);
        let cache = cache.plus(self.cache_write_hour);
        self.input.plus(cache).plus(self.audio_input)
    }

    /// What the model produced, of all classes.
    pub fn answer(&self) -> Tokens {
        self.output.plus(self.reasoning).plus(self.audio_output)
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
            cache_write_hour: Tokens(4_000),
            audio_input: Tokens(50_000),
            output: Tokens(600_000),
            reasoning: Tokens(7_000_000),
            audio_output: Tokens(80_000_000),
        };
        assert_eq!(usage.total(), Tokens(87_654_321));
        assert_eq!(usage.prompt(), Tokens(54_321));
        assert_eq!(usage.answer(), Tokens(87_600_000));
    }
}
