//! Chance as an input: numbers from a seed, the same for the same seed.

/// The next of a sequence (SplitMix64): one call mixes well enough to use any of its bits.
pub fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number below a bound; 0 for no bound.
pub fn below(seed: u64, bound: u64) -> u64 {
    mix(seed).checked_rem(bound).unwrap_or_default()
}

/// A seed of a text: the same text is the same seed.
pub fn of_text(text: &[u8]) -> u64 {
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
    let step = |hash: u64, word: u64| {
        (hash ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
    };
    let (words, rest) = text.as_chunks();
    let hash = words
        .iter()
        .fold(length, |hash, word| step(hash, u64::from_le_bytes(*word)));
    mix(rest
        .iter()
        .fold(hash, |hash, byte| step(hash, u64::from(*byte))))
}
