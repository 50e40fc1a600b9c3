//! How much a scope spends, as far as one process sees: it sizes what is asked for.

use crate::money::ids::Millis;
use crate::units::NanoUsd;

/// A level that is left alone is halved in this time, along a straight line.
const HALF_LIFE_MS: u64 = 8_192;
/// So a level that is fed at a steady rate loses what it gains once it is 16.384 s of that rate, and five seconds' worth
/// of the rate are 305 thousandths of it.
const FIVE_SECONDS: u64 = 305;
/// The largest request is forgotten by a part in this many with each request.
const LARGEST_FADES: u64 = 64;

/// An average of what was taken lately, exponentially weighted, in whole numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// The sum of what was taken, old amounts counting less.
    pub level: u64,
    /// When the level was right.
    pub at: Millis,
    /// About the largest amount taken at once lately.
    pub largest: u64,
}

impl Demand {
    /// With one more request.
    #[must_use]
    pub fn and(self, amount: NanoUsd, now: Millis) -> Self {
        let faded = self.largest.saturating_sub(self.largest / LARGEST_FADES);
        Self {
            level: self.level_at(now).saturating_add(amount.0),
            at: self.at.max(now),
            largest: faded.max(amount.0),
        }
    }

    /// What should lie ready: four of the largest requests (two more fit when it is half empty and more is asked for), or
    /// five seconds of the rate, whichever is more.
    pub fn target(self, now: Millis) -> NanoUsd {
        let thousandths = u128::from(self.level_at(now)).saturating_mul(u128::from(FIVE_SECONDS));
        let seconds = u64::try_from(thousandths / 1_000).unwrap_or(u64::MAX);
        NanoUsd(seconds.max(self.largest.saturating_mul(4)))
    }

    /// Halved for each half-life that is over, and along a straight line within one.
    fn level_at(self, now: Millis) -> u64 {
        let passed = now.since(self.at);
        let halves = u32::try_from(passed / HALF_LIFE_MS).unwrap_or(u32::MAX);
        let level = self.level.checked_shr(halves).unwrap_or_default();
        let rest = u128::from(passed % HALF_LIFE_MS);
        let lost = u128::from(level)
            .saturating_mul(rest)
            .div_euclid(u128::from(HALF_LIFE_MS.saturating_mul(2)));
        level.saturating_sub(u64::try_from(lost).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_demand_counts_half_after_a_half_life() {
        let demand = Demand::default().and(NanoUsd(1_000), Millis(0));
        for (at, level) in [
            (0, 1_000),
            (4_096, 750),
            (8_192, 500),
            (16_384, 250),
            (8_192 * 64, 0),
            (u64::MAX, 0),
        ] {
            assert_eq!(demand.level_at(Millis(at)), level, "after {at} ms");
        }
    }

    #[test]
    fn a_steady_rate_asks_for_five_seconds_of_it() {
        let mut demand = Demand::default();
        for second in 0..120 {
            demand = demand.and(NanoUsd(1_000), Millis(second * 1_000));
        }
        let target = demand.target(Millis(119_500)).0;
        assert!((4_700..5_300).contains(&target), "{target}");
    }

    #[test]
    fn a_lonely_request_asks_for_four_of_its_kind() {
        let demand = Demand::default().and(NanoUsd(700), Millis(5));
        assert_eq!(demand.target(Millis(5)), NanoUsd(2_800));
    }

    #[test]
    fn nothing_overflows_and_a_clock_that_steps_back_changes_nothing() {
        let demand = Demand::default().and(NanoUsd(u64::MAX), Millis(100));
        let demand = demand.and(NanoUsd(u64::MAX), Millis(50));
        assert_eq!(demand.level, u64::MAX);
        assert_eq!(demand.at, Millis(100));
        assert_eq!(demand.target(Millis(0)).0, u64::MAX);
    }
}
