//! What a request used, in classes that do not overlap: their sum is the total.

use serde::{Deserialize, Serialize};

use crate::units::Tokens;

/// Tokens by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    /// Prompt tokens at the full price.
    pub input: Tokens,
    /// Prompt tokens that were heard: most ask more for them.
    pub audio_input: Tokens,
    /// Prompt tokens read from the provider's cache.
    pub cached_input: Tokens,
    /// Prompt tokens written to the provider's cache.
    pub cache_write: Tokens,
    /// Prompt tokens written to it for an hour, which some ask more for.
    pub cache_write_hour: Tokens,
    /// Answered tokens that the caller sees.
    pub output: Tokens,
    /// Answered tokens that the caller hears.
    pub audio_output: Tokens,
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
    pub fn classes(&self) -> [(&'static str, Tokens); 8] {
        [
            ("input", self.input),
            ("audio_input", self.audio_input),
            ("cached_input", self.cached_input),
            ("cache_write", self.cache_write),
            ("cache_write_hour", self.cache_write_hour),
            ("output", self.output),
            ("audio_output", self.audio_output),
            ("reasoning", self.reasoning),
        ]
    }

    /// The whole prompt.
    pub fn prompt(&self) -> Tokens {
        self.input
            .plus(self.audio_input)
            .plus(self.cached_input)
            .plus(self.written())
    }

    /// What went into the provider's cache, for however long.
    pub fn written(&self) -> Tokens {
        self.cache_write.plus(self.cache_write_hour)
    }

    /// Everything the model produced.
    pub fn answer(&self) -> Tokens {
        self.output.plus(self.audio_output).plus(self.reasoning)
    }

    /// The same prompt with another answer: only its sum is known.
    pub fn with_answer(self, output: Tokens) -> Self {
        Self {
            output,
            audio_output: Tokens(0),
            reasoning: Tokens(0),
            ..self
        }
    }

    /// All of them.
    pub fn total(&self) -> Tokens {
        self.prompt().plus(self.answer())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_sum_of_all_classes() {
        let usage = Usage {
            input: Tokens(1),
            audio_input: Tokens(20),
            cached_input: Tokens(300),
            cache_write: Tokens(4_000),
            cache_write_hour: Tokens(50_000),
            output: Tokens(600_000),
            audio_output: Tokens(7_000_000),
            reasoning: Tokens(80_000_000),
        };
        assert_eq!(usage.total(), Tokens(87_654_321));
        let classes = usage.classes().iter().map(|(_, tokens)| tokens.0).sum();
        assert_eq!(usage.total(), Tokens(classes));
        assert_eq!(usage.prompt(), Tokens(54_321));
        let answered = usage.with_answer(Tokens(1));
        assert_eq!(
            (answered.prompt(), answered.answer()),
            (Tokens(54_321), Tokens(1))
        );
    }
}
