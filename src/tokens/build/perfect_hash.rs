//! A perfect hash over the merges: one look finds a pair, or that there is none.

use crate::Outcome;
use crate::hash::{self, PAIR_BYTES};
use crate::vocabulary::Merge;

/// Pairs in a bucket on average. More make the pilots fewer and the search for them longer.
const BUCKET_PAIRS: u32 = 4;

pub(crate) struct Table {
    pub(crate) bucket_count: u32,
    pub(crate) slot_count: u32,
    /// A little-endian `u16` for each bucket.
    pub(crate) pilots: Vec<u8>,
    /// Left and right token of each merge, lowest merge first, and a little more so that the last can be read as a `u64`.
    pub(crate) pairs: Vec<u8>,
}

/// Takes the fullest buckets first, while the table is empty, and tries pilots for each until all
/// of its pairs fall into free slots.
pub(crate) fn build(merges: &[Merge]) -> Outcome<Table> {
    let pairs = u32::try_from(merges.len())?;
    // Three slots in a hundred stay free; without them the last buckets find no pilot.
    let slot_count = pairs + pairs * 3 / 100;
    let bucket_count = pairs / BUCKET_PAIRS;
    let mut buckets: Vec<Vec<&Merge>> = Vec::new();
    buckets.resize_with(bucket_count as usize, Vec::new);
    for merge in merges {
        buckets[hash::bucket(mixed(merge), bucket_count) as usize].push(merge);
    }
    let mut order: Vec<usize> = (0..buckets.len()).collect();
    order.sort_by_key(|bucket| std::cmp::Reverse(buckets[*bucket].len()));

    let mut taken = vec![false; slot_count as usize];
    let mut pilots = vec![0u16; buckets.len()];
    for at in order {
        let (pilot, places) =
            pilot(&buckets[at], &taken).ok_or("no pilot: leave more slots free")?;
        pilots[at] = pilot;
        for place in places {
            taken[place] = true;
        }
    }
    Ok(Table {
        bucket_count,
        slot_count,
        pilots: pilots
            .iter()
            .flat_map(|pilot| pilot.to_le_bytes())
            .collect(),
        pairs: merges
            .iter()
            .flat_map(pair_bytes)
            .chain([0; size_of::<u64>() - PAIR_BYTES])
            .collect(),
    })
}

fn mixed(merge: &Merge) -> u64 {
    hash::mix(hash::key(merge.left, merge.right))
}

fn pilot(bucket: &[&Merge], taken: &[bool]) -> Option<(u16, Vec<usize>)> {
    let slot_count = u32::try_from(taken.len()).ok()?;
    (0..=u16::MAX).find_map(|pilot| {
        let mut places = Vec::with_capacity(bucket.len());
        for merge in bucket {
            let place = hash::slot(mixed(merge), pilot, slot_count) as usize;
            if taken[place] || places.contains(&place) {
                return None;
            }
            places.push(place);
        }
        Some((pilot, places))
    })
}

fn pair_bytes(merge: &Merge) -> [u8; PAIR_BYTES] {
    let bytes = hash::key(merge.left, merge.right).to_le_bytes();
    std::array::from_fn(|at| bytes[at])
}
