//! What a deployment may be asked, by the contract with its provider: nearly used up, it is passed over.
//!
//! Each gateway counts for itself. What others ask of the same deployment its provider tells: see
//! [`crate::health::retry_after`].

use serde::{Deserialize, Serialize};

use super::Fed;
use super::bucket::Rate;
use super::limiter::{Limiter, Rows};
use crate::config::DeploymentId;
use crate::money::ids::Millis;
use crate::money::rates::RateId;
use crate::routing::random;
use crate::units::NanoUsd;

const DAY_MS: u64 = 86_400_000;
/// Of so many parts one may be left: more requests than are counted may be on their way.
const PARTS: u64 = 20;
/// Money is counted in these, so that a day's worth fits into a bucket.
const MICRO: u64 = 1_000;

/// Nothing is left of a day's money.
pub const DAILY_BUDGET: &str = "daily_budget";

/// What is written of a deployment; what is not is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quota {
    /// Requests in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm: Option<u64>,
    /// Tokens in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<u64>,
    /// Requests at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u64>,
    /// Money in a day (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<NanoUsd>,
}

impl Quota {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A minute's worth at once and no more: that is how providers count.
fn minute(limit: u64) -> Rate {
    Rate {
        per_minute: limit,
        burst: limit,
    }
}

fn day(limit: NanoUsd) -> Rate {
    Rate {
        per_minute: 0,
        burst: limit.0 / MICRO,
    }
}

#[derive(Clone, Copy)]
enum What {
    Requests,
    Tokens,
    Parallel,
    Day(u64),
}

fn row(id: DeploymentId, what: What) -> RateId {
    let salt = match what {
        What::Requests => 11,
        What::Tokens => 12,
        What::Parallel => 13,
        What::Day(number) => number.saturating_add(1_000),
    };
    RateId(random::mix(id.0 ^ random::mix(salt)))
}

fn today(now: Millis) -> What {
    What::Day(now.0 / DAY_MS)
}

impl Limiter {
    /// What a deployment has no more room for, if there is something.
    pub fn full(
        &self,
        rows: &mut impl Rows,
        id: DeploymentId,
        quota: &Quota,
        now: Millis,
    ) -> Option<&'static str> {
        let mut low = |what, rate: Rate| {
            let left = rows.bucket(row(id, what), |bucket| {
                (None, bucket.at(rate, Fed::ByTime, now).here())
            });
            left.saturating_mul(PARTS) < rate.burst || rate.burst == 0
        };
        if quota
            .rpm
            .is_some_and(|limit| low(What::Requests, minute(limit)))
        {
            return Some("requests_per_minute");
        }
        if quota
            .tpm
            .is_some_and(|limit| low(What::Tokens, minute(limit)))
        {
            return Some("tokens_per_minute");
        }
        if quota.day.is_some_and(|limit| low(today(now), day(limit))) {
            return Some(DAILY_BUDGET);
        }
        let max = quota.parallel?;
        let in_use = rows.places(row(id, What::Parallel), |places| {
            (None, places.at(&self.workers, now).in_use())
        });
        let nearly = max.saturating_mul(PARTS.saturating_sub(1));
        (in_use.saturating_mul(PARTS) >= nearly).then_some("parallel_requests")
    }

    /// An attempt begins. It is counted whether there is room or not: its request was sent here because there was.
    pub fn attempt_begins(
        &mut self,
        rows: &mut impl Rows,
        (id, quota): (DeploymentId, &Quota),
        tokens: u64,
        now: Millis,
    ) {
        for (limit, what, amount) in [
            (quota.rpm, What::Requests, 1),
            (quota.tpm, What::Tokens, tokens),
        ] {
            let Some(limit) = limit else { continue };
            rows.bucket(row(id, what), |bucket| {
                let bucket = bucket.give(0, amount, minute(limit), Fed::ByTime, now);
                (Some(bucket), ())
            });
        }
        if quota.parallel.is_some() {
            let limit = row(id, What::Parallel);
            rows.places(limit, |places| {
                let taken = places.take(u64::MAX, Fed::ByTime, &self.workers, now);
                (taken.ok(), ())
            });
            self.holds(limit);
        }
    }

    /// It is over: so many tokens were used of those that were expected, for so much money.
    pub fn attempt_ends(
        &mut self,
        rows: &mut impl Rows,
        (id, quota): (DeploymentId, &Quota),
        (expected, used): (u64, u64),
        cost: NanoUsd,
        now: Millis,
    ) {
        if let Some(limit) = quota.tpm {
            let (more, less) = (expected.saturating_sub(used), used.saturating_sub(expected));
            rows.bucket(row(id, What::Tokens), |bucket| {
                let bucket = bucket.give(more, less, minute(limit), Fed::ByTime, now);
                (Some(bucket), ())
            });
        }
        if let (Some(limit), true) = (quota.day, cost > NanoUsd::ZERO) {
            rows.bucket(row(id, today(now)), |bucket| {
                let spent = cost.0.div_ceil(MICRO);
                let bucket = bucket.give(0, spent, day(limit), Fed::ByTime, now);
                (Some(bucket), ())
            });
        }
        if quota.parallel.is_some() {
            self.leave_place(rows, row(id, What::Parallel));
        }
    }
}
