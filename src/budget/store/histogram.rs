//! How often a duration fell where: buckets that are a quarter of a power of two wide.

use std::collections::BTreeMap;

/// Durations above this, more than four hours, fall into the last bucket.
const MILLISECONDS_MAX: u64 = (1 << 24) - 1;

/// Counts of durations in milliseconds. A bucket is at most a quarter of its lower bound wide, so that what is said of a
/// quantile is off by an eighth at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: BTreeMap<u8, u64>,
    /// The sum of all durations.
    pub sum: u64,
}

impl Histogram {
    /// Counts one duration.
    pub fn note(&mut self, milliseconds: u64) {
        let count = self.counts.entry(bucket(milliseconds)).or_default();
        *count = count.saturating_add(1);
        self.sum = self.sum.saturating_add(milliseconds);
    }

    /// Adds what another counted.
    pub fn add(&mut self, other: &Self) {
        for (bucket, more) in &other.counts {
            let count = self.counts.entry(*bucket).or_default();
            *count = count.saturating_add(*more);
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        let counts = self.counts.values();
        counts.fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The duration that so many thousandths did not pass, from within its bucket; `None` where nothing was counted.
    pub fn quantile(&self, per_mille: u64) -> Option<u64> {
        let all = u128::from(self.count());
        let rank = all
            .saturating_mul(u128::from(per_mille.min(1_000)))
            .div_ceil(1_000);
        let rank = rank.max(1);
        let mut below = 0_u128;
        for (bucket, count) in &self.counts {
            let count = u128::from(*count);
            let upto = below.saturating_add(count);
            if upto >= rank {
                let (low, high) = bounds(*bucket);
                let width = u128::from(high.saturating_sub(low));
                let into = width.saturating_mul(rank.saturating_sub(below));
                let into = into.checked_div(count).unwrap_or_default();
                return Some(low.saturating_add(u64::try_from(into).unwrap_or_default()));
            }
            below = upto;
        }
        None
    }

    /// Pairs of a bucket and its count, as they are stored.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.counts.len().saturating_mul(3));
        for (bucket, count) in &self.counts {
            bytes.push(*bucket);
            let mut rest = *count;
            while rest >= 0x80 {
                bytes.push(low_bits(rest) | 0x80);
                rest >>= 7;
            }
            bytes.push(low_bits(rest));
        }
        bytes
    }

    /// The reverse; `None` if these are not its bytes.
    pub(super) fn from_bytes(bytes: &[u8], sum: u64) -> Option<Self> {
        let mut counts = BTreeMap::new();
        let mut rest = bytes.iter();
        while let Some(bucket) = rest.next() {
            let (mut count, mut shift) = (0_u64, 0_u32);
            loop {
                let byte = *rest.next()?;
                count |= u64::from(byte & 0x7F).checked_shl(shift)?;
                shift = shift.saturating_add(7);
                if byte & 0x80 == 0 {
                    break;
                }
            }
            counts.insert(*bucket, count);
        }
        Some(Self { counts, sum })
    }
}

fn low_bits(value: u64) -> u8 {
    u8::try_from(value & 0x7F).unwrap_or_default()
}

/// Up to 7 ms each has its own; then four to a power of two.
fn bucket(milliseconds: u64) -> u8 {
    let value = milliseconds.min(MILLISECONDS_MAX);
    if value < 8 {
        return u8::try_from(value).unwrap_or_default();
    }
    let power = u64::from(value.ilog2());
    let quarter = value.checked_shr(value.ilog2().saturating_sub(2));
    let quarter = quarter.unwrap_or_default() & 3;
    let index = power.saturating_mul(4).saturating_add(quarter);
    // The first bucket of the power 3 is the eighth.
    u8::try_from(index.saturating_sub(4)).unwrap_or(u8::MAX)
}

/// The least and the greatest duration of a bucket.
fn bounds(bucket: u8) -> (u64, u64) {
    if bucket < 8 {
        return (u64::from(bucket), u64::from(bucket));
    }
    let index = u32::from(bucket).saturating_add(4);
    let (power, quarter) = (index / 4, index % 4);
    let step = 1_u64.checked_shl(power.saturating_sub(2)).unwrap_or(0);
    let quarters = u64::from(quarter).saturating_add(4);
    let low = step.saturating_mul(quarters);
    (low, low.saturating_add(step).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut next = 0;
        for bucket_number in 0..=bucket(u64::MAX) {
            let (low, high) = bounds(bucket_number);
            assert_eq!(low, next, "bucket {bucket_number}");
            assert_eq!((bucket(low), bucket(high)), (bucket_number, bucket_number));
            assert!((high - low) * 4 <= low.max(1), "bucket {bucket_number}");
            next = high + 1;
        }
        assert_eq!(next, MILLISECONDS_MAX + 1);
    }

    #[test]
    fn quantiles_are_the_durations_that_so_many_did_not_pass() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(500), None);
        for milliseconds in 1..=1_000 {
            histogram.note(milliseconds);
        }
        for (per_mille, exact) in [
            (0, 1),
            (3, 3),
            (500, 500),
            (950, 950),
            (990, 990),
            (1_000, 1_000),
        ] {
            let said = histogram.quantile(per_mille).unwrap();
            assert!(said.abs_diff(exact) * 8 <= exact, "{per_mille}: {said}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_sums_do_not_depend_on_their_order(
            one in prop::collection::vec(any::<u64>(), 0..40),
            other in prop::collection::vec(0_u64..5_000, 0..400),
        ) {
            let (mut first, mut second, mut both) = <(Histogram, Histogram, Histogram)>::default();
            one.iter().for_each(|value| first.note(*value));
            other.iter().for_each(|value| second.note(*value));
            one.iter().chain(&other).for_each(|value| both.note(*value));
            second.add(&first);
            prop_assert_eq!(&second, &both);
            prop_assert_eq!(both.count(), u64::try_from(one.len() + other.len()).unwrap());
            prop_assert_eq!(Histogram::from_bytes(&both.to_bytes(), both.sum), Some(both));
        }

        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>) {
            let _ = Histogram::from_bytes(&bytes, 0);
        }
    }
}
