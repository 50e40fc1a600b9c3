//! How a row changes: by what became of attempts, by what a provider says, by a probe that is let through.

use super::Rules;
use super::row::{Breaker, Left, Row, Standing, slot};
use crate::units::Tokens;

/// So many failures in a row degrade a deployment.
const DEGRADED_FROM: u32 = 2;

/// Whoever asked a deployment to find out and was not heard of for so long has been lost.
const PROBE_LOST_MS: u64 = 60_000;

/// After so many times the longest rest without trouble, the next rest is a first one again.
const FORGIVEN_AFTER_RESTS: u64 = 2;

/// A provider may ask for at most a day; whoever says more means something else.
const COOL_MAX_MS: u64 = 86_400_000;

/// As what an attempt was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attempted {
    /// Like any other.
    #[default]
    Ordinary,
    /// As the one that finds out whether the deployment is well again.
    AsProbe,
}

/// What became of an attempt, as far as it tells of the deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Good(Took),
    /// It is the deployment's fault.
    Failed(Trouble),
    /// It tells nothing: the caller's mistake, or the caller left.
    Unknown,
}

/// How long an answer took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Took {
    /// A stream, to its first token.
    FirstToken {
        /// Microseconds.
        us: u64,
    },
    /// An answer in one piece.
    Whole {
        /// Microseconds.
        us: u64,
    },
}

/// A failure of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It does not work.
    Broken {
        /// It asked to be left alone for so long.
        retry_after_ms: Option<u64>,
    },
    /// It works, and has too much to do.
    Busy {
        /// It asked to be left alone for so long.
        retry_after_ms: Option<u64>,
    },
}

impl Row {
    /// After an attempt. `random` spreads the ends of rests, so that many gateways do not come back at once.
    #[must_use]
    pub fn after(
        self,
        rules: &Rules,
        now_ms: u64,
        attempted: Attempted,
        outcome: Outcome,
        random: u64,
    ) -> Self {
        let row = Self {
            touched_ms: self.touched_ms.max(now_ms),
            lately: self.lately.at(slot(now_ms, rules.within_ms)),
            ..self
        };
        if rules.failures == 0 {
            return match outcome {
                Outcome::Good(took) => row.good(attempted, took),
                Outcome::Failed(_) => Self {
                    lately: row.lately.add(0, 1),
                    ..row
                },
                Outcome::Unknown => row,
            };
        }
        match outcome {
            Outcome::Good(took) => row.good(attempted, took),
            Outcome::Failed(trouble) => row.failed(rules, now_ms, attempted, trouble, random),
            Outcome::Unknown => row.unproven(now_ms, attempted),
        }
    }

    fn good(self, attempted: Attempted, took: Took) -> Self {
        let mut row = Self {
            lately: self.lately.add(1, 0),
            in_a_row: 0,
            ..self
        };
        match took {
            Took::FirstToken { us } => row.first_token = row.first_token.with(us),
            Took::Whole { us } => row.whole = row.whole.with(us),
        }
        match (row.breaker, attempted) {
            (Breaker::Degraded, _) => row.breaker = Breaker::Closed,
            (Breaker::Probing | Breaker::Open, Attempted::AsProbe) => {
                row.breaker = Breaker::Closed;
                row.failed_ms = Default::default();
            }
            // What was asked before the breaker opened says nothing of now.
            (Breaker::Closed | Breaker::Probing | Breaker::Open, _) => {}
        }
        row
    }

    fn failed(
        self,
        rules: &Rules,
        now_ms: u64,
        attempted: Attempted,
        trouble: Trouble,
        random: u64,
    ) -> Self {
        let asked_ms = match trouble {
            Trouble::Broken { retry_after_ms } | Trouble::Busy { retry_after_ms } => retry_after_ms,
        };
        let mut row = self;
        if let Some(wait_ms) = asked_ms {
            let until = now_ms.saturating_add(wait_ms.min(COOL_MAX_MS));
            row.cool_until_ms = row.cool_until_ms.max(until);
        }
        if matches!(trouble, Trouble::Busy { .. }) && asked_ms.is_some() {
            // It lives and said when to come back: that is all there is to know.
            return row.unproven(now_ms, attempted);
        }
        row.lately = row.lately.add(0, 1);
        row.in_a_row = row.in_a_row.saturating_add(1);
        row.failed_ms.rotate_right(1);
        if let Some(latest) = row.failed_ms.first_mut() {
            *latest = now_ms;
        }
        match (row.breaker, attempted) {
            (Breaker::Probing, Attempted::AsProbe) => row.open(rules, now_ms, random),
            (Breaker::Probing | Breaker::Open, _) => row,
            (Breaker::Closed | Breaker::Degraded, _) if row.is_too_much(rules, now_ms) => {
                row.open(rules, now_ms, random)
            }
            (Breaker::Closed | Breaker::Degraded, _) if row.in_a_row >= DEGRADED_FROM => {
                row.breaker = Breaker::Degraded;
                row
            }
            (Breaker::Closed | Breaker::Degraded, _) => row,
        }
    }

    /// So many failures within the time, and not just a few among very many good ones.
    fn is_too_much(&self, rules: &Rules, now_ms: u64) -> bool {
        let since = now_ms.saturating_sub(rules.within_ms);
        let failures = self.failed_ms.iter().filter(|at| **at > since).count();
        let (good, failed) = self.lately.sums(slot(now_ms, rules.within_ms));
        let share = u64::from(rules.share_percent);
        u32::try_from(failures).unwrap_or(u32::MAX) >= rules.failures
            && failed.saturating_mul(100) >= share.saturating_mul(good.saturating_add(failed))
    }

    fn open(mut self, rules: &Rules, now_ms: u64, random: u64) -> Self {
        let forgiven_ms = rules.rest_max_ms.saturating_mul(FORGIVEN_AFTER_RESTS);
        let forgiven = now_ms.saturating_sub(self.until_ms) > forgiven_ms;
        self.trips = if forgiven {
            1
        } else {
            self.trips.saturating_add(1)
        };
        let doublings = self.trips.saturating_sub(1).min(20);
        let rest_ms = rules
            .rest_ms
            .saturating_mul(1_u64.checked_shl(doublings).unwrap_or(u64::MAX))
            .min(rules.rest_max_ms);
        let jitter_ms = random
            .checked_rem(rest_ms.div_ceil(10).max(1))
            .unwrap_or_default();
        self.breaker = Breaker::Open;
        self.until_ms = now_ms.saturating_add(rest_ms).saturating_add(jitter_ms);
        self
    }

    /// Lets one request find out; none if it is not due, or another one does already.
    pub fn claim(self, now_ms: u64) -> Option<Self> {
        (self.standing(now_ms, Tokens(0)) == Standing::Due).then_some(Self {
            breaker: Breaker::Probing,
            until_ms: now_ms.saturating_add(PROBE_LOST_MS),
            touched_ms: now_ms,
            ..self
        })
    }

    /// A probe that told nothing: the next one may find out at once.
    fn unproven(mut self, now_ms: u64, attempted: Attempted) -> Self {
        if (self.breaker, attempted) == (Breaker::Probing, Attempted::AsProbe) {
            self.breaker = Breaker::Open;
            self.until_ms = now_ms;
        }
        self
    }

    /// What the provider says is left for us.
    #[must_use]
    pub fn told(self, rules: &Rules, now_ms: u64, left: Left) -> Self {
        if rules.failures == 0 {
            return self;
        }
        Self {
            left: Left {
                until_ms: left.until_ms.min(now_ms.saturating_add(COOL_MAX_MS)),
                ..left
            },
            touched_ms: self.touched_ms.max(now_ms),
            ..self
        }
    }
}
