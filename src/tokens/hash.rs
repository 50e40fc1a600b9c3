//! Where a pair of tokens lies in its table. The build script and the library both include this
//! file, so what one writes the other finds.

/// Bytes of a pair: 18 bits each for the left and the right token.
pub(crate) const PAIR_BYTES: usize = 5;
/// Bits of a token; the larger vocabulary has 199,998 of them.
pub(crate) const TOKEN_BITS: u32 = 18;

/// Left and right token in one number.
pub(crate) fn key(left: u32, right: u32) -> u64 {
    u64::from(left) | (u64::from(right) << TOKEN_BITS)
}

/// Spreads the key over 64 bits.
pub(crate) fn mix(key: u64) -> u64 {
    let hash = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash ^ (hash >> 29)
}

/// The bucket of a mixed key. All pairs of a bucket share one pilot.
pub(crate) fn bucket(mixed: u64, buckets: u32) -> u64 {
    (mixed >> 32).wrapping_mul(u64::from(buckets)) >> 32
}

/// The slot of a mixed key, given the pilot of its bucket: the number for which the build script
/// found that no two pairs meet in one slot.
pub(crate) fn slot(mixed: u64, pilot: u16, slots: u32) -> u64 {
    let piloted = mixed ^ u64::from(pilot).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    let hash = piloted.wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    (hash >> 32).wrapping_mul(u64::from(slots)) >> 32
}
