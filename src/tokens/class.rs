//! Classes of characters, as the split patterns tell them apart.

/// One class or several, a bit each. The build script writes the same bits.
#[derive(Clone, Copy)]
pub(crate) struct Classes(u8);

/// Punctuation, symbols, controls and what is not assigned.
pub(crate) const OTHER: Classes = Classes(1);
/// `\p{Lu}` and `\p{Lt}`.
pub(crate) const UPPER: Classes = Classes(1 << 1);
/// `\p{Ll}`.
pub(crate) const LOWER: Classes = Classes(1 << 2);
/// `\p{Lm}` and `\p{Lo}`: letters without case.
pub(crate) const UNCASED: Classes = Classes(1 << 3);
/// `\p{M}`.
pub(crate) const MARK: Classes = Classes(1 << 4);
/// `\p{N}`.
pub(crate) const NUMBER: Classes = Classes(1 << 5);
/// `\s` without the two of [`NEWLINE`].
pub(crate) const BLANK: Classes = Classes(1 << 6);
/// `\r` and `\n`.
pub(crate) const NEWLINE: Classes = Classes(1 << 7);

/// Characters of a block of the table.
const BLOCK: u32 = 128;
const BLOCK_COUNT: usize = 0x11_0000 / 128;
static TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/classes.bin"));
/// The first block: most characters of most prompts need no look at the numbers.
static ASCII: &[u8; 128] = match TABLE.split_at(BLOCK_COUNT).1.first_chunk() {
    Some(block) => block,
    None => &[0; 128],
};

impl Classes {
    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The class of a character.
#[inline(always)]
pub(crate) fn of(character: char) -> Classes {
    let code = u32::from(character);
    match ASCII.get(index(code)) {
        Some(class) => Classes(*class),
        None => beyond_ascii(code),
    }
}

fn beyond_ascii(code: u32) -> Classes {
    let block = TABLE.get(index(code / BLOCK)).copied().unwrap_or(0);
    let at = u32::from(block)
        .wrapping_mul(BLOCK)
        .wrapping_add(code % BLOCK);
    let class = TABLE.get(BLOCK_COUNT.wrapping_add(index(at)));
    class.copied().map_or(OTHER, Classes)
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
