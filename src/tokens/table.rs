//! Which two tokens make which third. The pairs are data of the program, lowest merge first, so a merge is its place among
//! them; where a pair stands tells a perfect hash, whose slots are filled when a worker starts. That the slots are not
//! data as well saves a third of the filter.

use crate::hash;

include!(concat!(env!("OUT_DIR"), "/layouts.rs"));

/// Bytes of a slot: the place of a pair, and some bits of its hash.
const SLOT_BYTES: usize = 3;
const PLACE_BITS: u32 = 18;
const PLACE_MASK: u32 = (1 << PLACE_BITS) - 1;
/// Most pairs that make no token are told by these bits alone, without a look at the pair.
const MARK_MASK: u32 = (1 << 6) - 1;
const PAIR_MASK: u64 = (1 << (2 * hash::TOKEN_BITS)) - 1;

/// A vocabulary, as the build script laid it out.
pub(crate) struct Layout {
    /// The token of each single byte.
    pub(crate) byte_tokens: [u32; 256],
    /// The token that the first of the pairs makes.
    lowest: u32,
    pairs: &'static [u8],
    buckets: u32,
    /// For each bucket the number with which all of its pairs find slots of their own.
    pilots: &'static [u8],
    slots: u32,
}

impl Layout {
    fn pair(&self, place: u32) -> Option<u64> {
        let at = index(place.into()).wrapping_mul(hash::PAIR_BYTES);
        let bytes = self.pairs.get(at..)?.first_chunk()?;
        Some(u64::from_le_bytes(*bytes) & PAIR_MASK)
    }

    #[inline(always)]
    fn slot(&self, mixed: u64) -> Option<usize> {
        let bucket = index(hash::bucket(mixed, self.buckets));
        let pilot = self.pilots.get(bucket.wrapping_mul(2)..)?.first_chunk()?;
        let slot = hash::slot(mixed, u16::from_le_bytes(*pilot), self.slots);
        Some(index(slot).wrapping_mul(SLOT_BYTES))
    }
}

/// The slots of a vocabulary.
pub(crate) struct Table {
    slots: Vec<u8>,
}

impl Table {
    pub(crate) fn new(layout: &Layout) -> Self {
        // One byte more, so that the last slot can be read as a `u32`. A free slot names a place that is none.
        let bytes = index(layout.slots.into()).wrapping_mul(SLOT_BYTES);
        let mut slots = vec![u8::MAX; bytes.wrapping_add(1)];
        for place in 0..PLACE_MASK {
            let Some(key) = layout.pair(place) else {
                break;
            };
            let mixed = hash::mix(key);
            let [low, middle, high, _] =
                (place | mark(mixed).wrapping_shl(PLACE_BITS)).to_le_bytes();
            let slot = layout.slot(mixed).and_then(|at| slots.get_mut(at..));
            if let Some(slot) = slot.and_then(|slot| slot.first_chunk_mut()) {
                *slot = [low, middle, high];
            }
        }
        Self { slots }
    }

    /// The token that two make together.
    #[inline(always)]
    pub(crate) fn merged(&self, layout: &Layout, left: u32, right: u32) -> Option<u32> {
        let key = hash::key(left, right);
        let mixed = hash::mix(key);
        let packed = u32::from_le_bytes(*self.slots.get(layout.slot(mixed)?..)?.first_chunk()?);
        if packed.wrapping_shr(PLACE_BITS) & MARK_MASK != mark(mixed) {
            return None;
        }
        let place = packed & PLACE_MASK;
        // The whole key is compared, so a pair that is not in the table is never taken for another.
        (layout.pair(place)? == key).then(|| layout.lowest.wrapping_add(place))
    }
}

#[inline(always)]
fn mark(mixed: u64) -> u32 {
    u32::try_from(mixed & u64::from(MARK_MASK)).unwrap_or_default()
}

#[inline(always)]
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
