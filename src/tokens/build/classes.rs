//! The class of every character, as the patterns of the encodings tell them apart.

use std::collections::HashMap;

use regex_syntax::hir::{Class, HirKind};

use crate::Outcome;

/// Characters of a block; blocks that are alike are kept once. 128 makes the table smallest.
const BLOCK: usize = 128;

/// Later lines overrule earlier ones. The bits are those of `class.rs`.
const CLASSES: [(u8, &str); 7] = [
    (1 << 1, r"[\p{Lu}\p{Lt}]"),
    (1 << 2, r"\p{Ll}"),
    (1 << 3, r"[\p{Lm}\p{Lo}]"),
    (1 << 4, r"\p{M}"),
    (1 << 5, r"\p{N}"),
    (1 << 6, r"\s"),
    (1 << 7, r"[\r\n]"),
];

/// The number of the block of each 128 characters, then the blocks, one byte a character.
pub(crate) fn table() -> Outcome<Vec<u8>> {
    let mut classes = vec![1u8; char::MAX as usize + 1];
    for (class, pattern) in CLASSES {
        let parsed = regex_syntax::parse(pattern)?;
        let HirKind::Class(Class::Unicode(characters)) = parsed.kind() else {
            return Err(format!("{pattern} is not a class of characters").into());
        };
        for range in characters.ranges() {
            classes[range.start() as usize..=range.end() as usize].fill(class);
        }
    }
    let mut numbers = Vec::new();
    let mut blocks = Vec::new();
    let mut known = HashMap::new();
    for block in classes.chunks(BLOCK) {
        let next = known.len();
        let number = *known.entry(block).or_insert_with(|| {
            blocks.extend_from_slice(block);
            next
        });
        numbers.push(u8::try_from(number)?);
    }
    numbers.append(&mut blocks);
    Ok(numbers)
}
