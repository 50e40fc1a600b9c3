//! What a worker remembers from request to request: whose turn it is, and who was asked again how often.

use std::collections::BTreeMap;

/// Times in which asking again is counted.
const WINDOW_MS: u64 = 10_000;

/// So many times in one of them may always be asked again, however few requests there are.
const AGAIN_MIN: u64 = 10;

/// A worker's own.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// For each model: how far each target is ahead of its share.
    turns: BTreeMap<usize, Vec<i64>>,
    /// For each provider.
    again: BTreeMap<usize, Again>,
    /// When a probe was last planned behind others.
    aside_ms: u64,
}

/// So often a request may claim a probe that it most likely does not need.
const ASIDE_EVERY_MS: u64 = 1_000;

/// How often a provider was asked, and how often after it had failed the same request.
#[derive(Clone, Copy, Debug, Default)]
struct Again {
    window: u64,
    asked: u64,
    again: u64,
}

impl Memory {
    /// Of a model.
    pub fn turns(&mut self, model: usize) -> &mut Vec<i64> {
        self.turns.entry(model).or_default()
    }

    /// A provider is asked; whether for the second time by the same request.
    pub fn asked(&mut self, provider: usize, now_ms: u64, how: Asked) {
        let again = self.of(provider, now_ms);
        match how {
            Asked::First => again.asked = again.asked.saturating_add(1),
            Asked::Again => again.again = again.again.saturating_add(1),
        }
    }

    /// Whether a provider that has failed a request may be asked by it once more: in an outage this would double what it
    /// has to bear.
    pub fn may_ask_again(&mut self, provider: usize, now_ms: u64, percent: u32) -> bool {
        let again = self.of(provider, now_ms);
        let share = again.asked.saturating_mul(u64::from(percent)) / 100;
        percent > 0 && again.again < share.saturating_add(AGAIN_MIN)
    }

    /// Whether a probe may be planned behind others, which costs two writes to what all workers share.
    pub fn may_claim_aside(&mut self, now_ms: u64) -> bool {
        let may = now_ms.saturating_sub(self.aside_ms) >= ASIDE_EVERY_MS;
        if may {
            self.aside_ms = now_ms;
        }
        may
    }

    fn of(&mut self, provider: usize, now_ms: u64) -> &mut Again {
        let window = now_ms / WINDOW_MS;
        let again = self.again.entry(provider).or_default();
        if again.window != window {
            *again = Again {
                window,
                ..Again::default()
            };
        }
        again
    }
}

/// For which time a request asks a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The first.
    First,
    /// It has failed this request already.
    Again,
}
