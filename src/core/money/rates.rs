//! Limits by the minute over many processes: each takes a share of a bucket, uses it up locally, and comes again.
//!
//! This is no money. A share that nobody gives back is forgotten and comes back with time, so all of it is kept in memory,
//! and a service that starts again begins with full buckets: for a minute at most twice the limit may pass.

use std::collections::BTreeMap;

use super::ids::{Incarnation, Millis};

/// A share that is not used by then must be given back or forgotten.
pub const RATE_SHARE_MS: u32 = 5_000;
/// Places of a process that does not ask for them again within this time are free.
pub const PLACES_MS: u32 = 10_000;
/// Buckets at most. One that is full says nothing, and is forgotten first.
const BUCKETS_MAX: usize = 100_000;
const MINUTE_MS: u64 = 60_000;

/// A limit, by a hash of whose it is and what it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RateId(pub u64);

/// What a process asks of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateWant {
    /// Which limit.
    pub limit: RateId,
    /// How much would be good.
    pub amount: u64,
    /// How much comes in a minute.
    pub per_minute: u64,
    /// How much may be taken at once after a pause.
    pub burst: u64,
    /// Granted before, and not used.
    pub unused: u64,
    /// For limits on what runs at the same time: `amount` is how many places the process wants to have in all, and so many
    /// of them are in use. None for limits by the minute.
    pub in_use: Option<u64>,
}

/// What it gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateGrant {
    /// Which limit.
    pub limit: RateId,
    /// As much as was there.
    pub amount: u64,
    /// How long it may be used.
    pub valid_ms: u32,
    /// When the rest of what was wanted, or of a whole bucket, will be there.
    pub retry_ms: u32,
    /// What is left for others.
    pub left: u64,
}

/// Every bucket, and every place that is taken.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    buckets: BTreeMap<RateId, Bucket>,
    places: BTreeMap<RateId, BTreeMap<Incarnation, Held>>,
}

/// Places of one process.
#[derive(Clone, Copy, Debug)]
struct Held {
    count: u64,
    until: Millis,
}

/// What is left, in parts of a minute's worth: whole at `per_minute` tokens a minute, because a token takes
/// `MINUTE_MS / per_minute` milliseconds, which is often no whole number.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Tokens times [`MINUTE_MS`].
    level: u128,
    at: Millis,
    full_at: Millis,
}

impl Rates {
    /// Takes a share.
    pub fn take(&mut self, want: RateWant, holder: Incarnation, now: Millis) -> RateGrant {
        if let Some(in_use) = want.in_use {
            return self.take_places(want, in_use, holder, now);
        }
        let whole = scaled(want.burst);
        let fresh = Bucket {
            level: whole,
            at: now,
            full_at: now,
        };
        let bucket = self.buckets.get(&want.limit).copied().unwrap_or(fresh);
        let passed = u128::from(now.since(bucket.at));
        let gained = passed.saturating_mul(u128::from(want.per_minute));
        let level = bucket.level.saturating_add(gained);
        let level = level.saturating_add(scaled(want.unused)).min(whole);
        let there = level.checked_div(u128::from(MINUTE_MS)).unwrap_or_default();
        let amount = want.amount.min(u64::try_from(there).unwrap_or(u64::MAX));
        let level = level.saturating_sub(scaled(amount));
        let wanted = scaled(want.amount.saturating_sub(amount)).min(whole);
        let bucket = Bucket {
            level,
            at: now.max(bucket.at),
            full_at: now.after(time_of(whole.saturating_sub(level), want.per_minute)),
        };
        self.buckets.insert(want.limit, bucket);
        self.make_room(now);
        let missing = wanted.saturating_sub(level);
        let retry_ms = if amount == want.amount {
            0
        } else {
            time_of(missing, want.per_minute)
        };
        RateGrant {
            limit: want.limit,
            amount,
            valid_ms: RATE_SHARE_MS,
            retry_ms: u32::try_from(retry_ms).unwrap_or(u32::MAX),
            left: u64::try_from(level.div_euclid(u128::from(MINUTE_MS))).unwrap_or(u64::MAX),
        }
    }

    /// As many places as others leave. Those in use are nobody else's, whatever was granted; those of a process that fell
    /// silent are free.
    fn take_places(
        &mut self,
        want: RateWant,
        in_use: u64,
        holder: Incarnation,
        now: Millis,
    ) -> RateGrant {
        let holders = self.places.entry(want.limit).or_default();
        holders.retain(|other, held| *other != holder && held.until > now);
        let counts = holders.values().map(|held| held.count);
        let free = want
            .burst
            .saturating_sub(counts.fold(0, u64::saturating_add));
        let amount = want.amount.min(free).max(in_use);
        if amount > 0 {
            let until = now.after(u64::from(PLACES_MS));
            let held = Held {
                count: amount,
                until,
            };
            holders.insert(holder, held);
        }
        if self.places.len() > BUCKETS_MAX {
            self.places.retain(|_, holders| {
                holders.retain(|_, held| held.until > now);
                !holders.is_empty()
            });
        }
        RateGrant {
            limit: want.limit,
            amount,
            valid_ms: PLACES_MS,
            retry_ms: 0,
            left: free.saturating_sub(amount),
        }
    }

    /// A full bucket is what an unknown one is.
    fn make_room(&mut self, now: Millis) {
        if self.buckets.len() > BUCKETS_MAX {
            self.buckets.retain(|_, bucket| bucket.full_at > now);
        }
        while self.buckets.len() > BUCKETS_MAX {
            self.buckets.pop_first();
        }
    }
}

fn scaled(tokens: u64) -> u128 {
    u128::from(tokens).saturating_mul(u128::from(MINUTE_MS))
}

/// Milliseconds until so much has come, rounded up; for ever where nothing comes.
fn time_of(scaled: u128, per_minute: u64) -> u64 {
    if scaled == 0 {
        return 0;
    }
    if per_minute == 0 {
        return u64::MAX;
    }
    u64::try_from(scaled.div_ceil(u128::from(per_minute))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn want(amount: u64, unused: u64) -> RateWant {
        RateWant {
            limit: RateId(1),
            amount,
            per_minute: 600,
            burst: 100,
            unused,
            in_use: None,
        }
    }

    const HOLDER: Incarnation = Incarnation(1);

    #[test]
    fn a_share_is_what_is_there_and_comes_back_with_time() {
        let mut rates = Rates::default();
        // (at, amount, unused) -> (granted, when to ask again)
        for (at, amount, unused, granted, retry_ms) in [
            (0, 60, 0, 60, 0),
            (0, 60, 0, 40, 2_000),
            (0, 1, 0, 0, 100),
            (99, 1, 0, 0, 1),
            (100, 1, 0, 1, 0),
            (100, 30, 20, 20, 1_000),
            // A clock that stepped back gives nothing and takes nothing.
            (50, 1, 0, 0, 100),
            (1_100, 10, 0, 10, 0),
            // It never holds more than it is large, whatever is given back.
            (60_000, 0, 1_000, 0, 0),
            (60_000, 200, 0, 100, 10_000),
        ] {
            let grant = rates.take(want(amount, unused), HOLDER, Millis(at));
            assert_eq!(
                (grant.amount, grant.retry_ms),
                (granted, retry_ms),
                "{amount} at {at}"
            );
        }
    }

    #[test]
    fn a_limit_of_nothing_grants_nothing_for_ever() {
        let mut rates = Rates::default();
        let nothing = RateWant {
            per_minute: 0,
            burst: 0,
            ..want(5, u64::MAX)
        };
        let grant = rates.take(nothing, HOLDER, Millis(u64::MAX));
        assert_eq!((grant.amount, grant.retry_ms), (0, 0));
    }

    #[test]
    fn buckets_are_bounded() {
        let mut rates = Rates::default();
        for limit in 0..200_000 {
            let want = RateWant {
                limit: RateId(limit),
                ..want(1, 0)
            };
            rates.take(want, HOLDER, Millis(limit));
        }
        assert!(rates.buckets.len() <= BUCKETS_MAX);
    }

    #[test]
    fn places_are_shared_and_come_back_from_the_silent() {
        let mut rates = Rates::default();
        // (at, holder, wanted, in use) -> granted, of ten
        for (at, holder, amount, in_use, granted) in [
            (0, 1, 6, 0, 6),
            (0, 2, 6, 0, 4),
            (1_000, 1, 2, 2, 2),
            (1_000, 2, 9, 4, 8),
            // What runs is not taken away.
            (1_000, 1, 5, 4, 4),
            (1_000, 2, 0, 0, 0),
            (10_999, 3, 10, 0, 6),
            (11_000, 3, 10, 6, 10),
        ] {
            let want = RateWant {
                limit: RateId(7),
                amount,
                burst: 10,
                in_use: Some(in_use),
                ..RateWant::default()
            };
            let grant = rates.take(want, Incarnation(holder), Millis(at));
            assert_eq!(grant.amount, granted, "{holder} at {at}");
        }
    }

    proptest! {
        /// Whoever asks, in any order: in no span does more pass than the burst and what came meanwhile.
        #[test]
        fn no_more_passes_than_came(asked in prop::collection::vec((0_u64..3_000, 0_u64..80), 1..60)) {
            let mut rates = Rates::default();
            let (mut now, mut passed) = (0, 0);
            for (pause, amount) in asked {
                now += pause;
                passed += rates.take(want(amount, 0), HOLDER, Millis(now)).amount;
                prop_assert!(passed <= 100 + now * 600 / MINUTE_MS);
            }
        }
    }
}
