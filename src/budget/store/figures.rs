//! Sums over records: what a roll-up of an hour holds, and what a report shows.

use tollgate_core::units::{NanoUsd, Tokens};
use tollgate_core::usage::Usage;

use super::histogram::Histogram;

/// Sums over records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests.
    pub requests: u64,
    /// Those that did not get what they asked for, be it refused here, refused there, or broken off. A caller who leaves
    /// is no error.
    pub errors: u64,
    /// Those whose caller left.
    pub client_left: u64,
    /// Those that were answered by another target than the first.
    pub fallbacks: u64,
    /// Tokens by class.
    pub tokens: Usage,
    /// What they cost, corrected prices included.
    pub cost: NanoUsd,
    /// Those whose cost is not known.
    pub unpriced: u64,
    /// Those that the cache answered.
    pub cache_hits: u64,
    /// Those for which the cache was asked in vain.
    pub cache_misses: u64,
    /// What the cache saved.
    pub saved: NanoUsd,
    /// From the request's first byte to the reply's last, in milliseconds.
    pub durations: Histogram,
    /// From the request's first byte to the first token, in milliseconds, of those that had one.
    pub first_tokens: Histogram,
}

impl Figures {
    /// Adds what others counted. Counts stop at 2^64.
    pub fn add(&mut self, other: &Self) {
        let more = |count: &mut u64, by: u64| *count = count.saturating_add(by);
        more(&mut self.requests, other.requests);
        more(&mut self.errors, other.errors);
        more(&mut self.client_left, other.client_left);
        more(&mut self.fallbacks, other.fallbacks);
        more(&mut self.unpriced, other.unpriced);
        more(&mut self.cache_hits, other.cache_hits);
        more(&mut self.cache_misses, other.cache_misses);
        more(&mut self.cost.0, other.cost.0);
        more(&mut self.saved.0, other.saved.0);
        self.tokens = Usage {
            input: self.tokens.input.plus(other.tokens.input),
            cached_input: self.tokens.cached_input.plus(other.tokens.cached_input),
            cache_write: self.tokens.cache_write.plus(other.tokens.cache_write),
            output: self.tokens.output.plus(other.tokens.output),
            reasoning: self.tokens.reasoning.plus(other.tokens.reasoning),
            ..self.tokens
        };
        self.durations.add(&other.durations);
        self.first_tokens.add(&other.first_tokens);
    }

    /// Every token.
    pub fn tokens_total(&self) -> Tokens {
        self.tokens.total()
    }
}
