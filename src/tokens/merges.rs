//! Byte pair encoding of one piece: of all neighbours that make a token, those that make the
//! lowest are merged first, and so on until none make one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::table::{Layout, Table};
use crate::work;

/// Longer pieces are cut here, which bounds time and memory. It costs a token or two for each
/// kilobyte without a blank, so a count may come out above the exact one there.
const PIECE_BYTES_MAX: usize = 1024;
/// Up to here a look at all pairs finds the lowest sooner than a heap does.
const SHORT_BYTES_MAX: usize = 24;
/// Stands for the token of two that make none: above all tokens, so never the lowest.
const NO_TOKEN: u32 = u32::MAX;

/// The merges of a vocabulary.
pub(crate) struct Merges {
    layout: &'static Layout,
    table: Table,
}

impl Merges {
    pub(crate) fn new(layout: &'static Layout) -> Self {
        Self {
            layout,
            table: Table::new(layout),
        }
    }

    /// The number of tokens of a piece.
    pub(crate) fn count(&self, piece: &[u8], scratch: &mut Scratch) -> usize {
        let mut count = 0usize;
        let mut rest = piece;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at_checked(cut(rest)).unwrap_or((rest, &[]));
            count = count.saturating_add(match chunk.len() {
                ..=SHORT_BYTES_MAX => self.count_short(chunk),
                _ => scratch.count_long(self, chunk),
            });
            rest = after;
        }
        count
    }

    fn byte_token(&self, byte: u8) -> u32 {
        self.layout
            .byte_tokens
            .get(usize::from(byte))
            .copied()
            .unwrap_or(NO_TOKEN)
    }

    /// The token that two make together, or [`NO_TOKEN`].
    #[inline(always)]
    fn merged(&self, left: u32, right: u32) -> u32 {
        work::step();
        self.table
            .merged(self.layout, left, right)
            .unwrap_or(NO_TOKEN)
    }

    /// Tokens stay where their first byte is; `live` has a bit for each that is left.
    pub(crate) fn count_short(&self, piece: &[u8]) -> usize {
        let mut tokens = [NO_TOKEN; SHORT_BYTES_MAX];
        for (token, byte) in tokens.iter_mut().zip(piece) {
            *token = self.byte_token(*byte);
        }
        let mut live = Positions::first(piece.len());
        let mut merges = [NO_TOKEN; SHORT_BYTES_MAX];
        for (at, pair) in (0..).zip(tokens.windows(2).take(piece.len().saturating_sub(1))) {
            if let [left, right] = pair {
                set(
                    &mut merges,
                    at,
                    entry(self.merged(*left, *right), at, SHORT_POSITION_BITS),
                );
            }
        }
        loop {
            let lowest = merges
                .iter()
                .copied()
                .take(piece.len())
                .min()
                .unwrap_or(NO_TOKEN);
            if lowest == NO_TOKEN {
                return live.count();
            }
            let (token, at) = token_and_position(lowest, SHORT_POSITION_BITS);
            if let Some(right) = live.after(at) {
                live.remove(right);
                set(&mut merges, right, NO_TOKEN);
            }
            set(&mut tokens, at, token);
            let with_next = live
                .after(at)
                .map_or(NO_TOKEN, |next| self.merged(token, get(&tokens, next)));
            set(&mut merges, at, entry(with_next, at, SHORT_POSITION_BITS));
            if let Some(previous) = live.before(at) {
                let with_previous = self.merged(get(&tokens, previous), token);
                set(
                    &mut merges,
                    previous,
                    entry(with_previous, previous, SHORT_POSITION_BITS),
                );
            }
        }
    }
}

/// Where a piece is cut: between two characters, for half of one is tokens that no text has.
fn cut(piece: &[u8]) -> usize {
    let continues = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    let Some((_, after)) = piece.split_at_checked(PIECE_BYTES_MAX) else {
        return piece.len();
    };
    // The first byte behind the cut tells whether a character goes across it; if so, it began at
    // most three bytes before.
    match after.first() {
        Some(first) if continues(first) => (PIECE_BYTES_MAX.saturating_sub(3)..PIECE_BYTES_MAX)
            .rev()
            .find(|at| piece.get(*at).is_some_and(|byte| !continues(byte)))
            .unwrap_or(PIECE_BYTES_MAX),
        _ => PIECE_BYTES_MAX,
    }
}

/// A merge and its place are kept in one number, so that the least of these is the lowest merge,
/// and of equal ones the first. These are the bits of the place: 32 places, 1,024 places.
const SHORT_POSITION_BITS: u32 = 5;
const LONG_POSITION_BITS: u32 = 10;

#[inline(always)]
fn entry(token: u32, at: u32, position_bits: u32) -> u32 {
    if token == NO_TOKEN {
        NO_TOKEN
    } else {
        token.wrapping_shl(position_bits) | at
    }
}

#[inline(always)]
fn token_and_position(entry: u32, position_bits: u32) -> (u32, u32) {
    let token = entry.wrapping_shr(position_bits);
    (token, entry ^ token.wrapping_shl(position_bits))
}

#[inline(always)]
fn get(tokens: &[u32], at: u32) -> u32 {
    tokens.get(index(at.into())).copied().unwrap_or(NO_TOKEN)
}

#[inline(always)]
fn set(tokens: &mut [u32], at: u32, token: u32) {
    if let Some(place) = tokens.get_mut(index(at.into())) {
        *place = token;
    }
}

#[inline(always)]
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A set of positions below 32.
#[derive(Clone, Copy)]
struct Positions(u32);

impl Positions {
    fn first(count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::BITS);
        Self(
            u32::MAX
                .checked_shr(u32::BITS.saturating_sub(count))
                .unwrap_or(0),
        )
    }

    fn count(self) -> usize {
        index(self.0.count_ones().into())
    }

    #[inline(always)]
    fn after(self, at: u32) -> Option<u32> {
        let rest = self.0 & (u32::MAX - 1).wrapping_shl(at);
        (rest != 0).then(|| rest.trailing_zeros())
    }

    #[inline(always)]
    fn before(self, at: u32) -> Option<u32> {
        let rest = self.0 & !u32::MAX.wrapping_shl(at);
        rest.checked_ilog2()
    }

    #[inline(always)]
    fn remove(&mut self, at: u32) {
        self.0 &= !1u32.wrapping_shl(at);
    }
}

/// What merging a long piece needs, kept from one piece to the next.
pub(crate) struct Scratch {
    parts: Vec<Part>,
    /// Least first. An entry whose part has changed meanwhile is skipped.
    merges: BinaryHeap<Reverse<u32>>,
}

/// A token of a long piece. It stays where its first byte is.
#[derive(Clone, Copy)]
struct Part {
    token: u32,
    /// What it makes with the next one.
    merge: u32,
    previous: u32,
    next: u32,
}

/// Stands for a neighbour that is not there.
const NOWHERE: u32 = u32::MAX;

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            parts: Vec::with_capacity(PIECE_BYTES_MAX),
            // One entry for each pair, and two for each merge.
            merges: BinaryHeap::with_capacity(PIECE_BYTES_MAX.saturating_mul(3)),
        }
    }

    fn count_long(&mut self, table: &Merges, piece: &[u8]) -> usize {
        self.start(table, piece);
        let mut count = piece.len();
        while let Some(Reverse(lowest)) = self.merges.pop() {
            work::step();
            let (token, at) = token_and_position(lowest, LONG_POSITION_BITS);
            let Some(part) = self.part(at).filter(|part| part.merge == token) else {
                continue;
            };
            let after = self.part(part.next).map_or(NOWHERE, |gone| gone.next);
            self.change(part.next, |gone| gone.merge = NO_TOKEN);
            self.change(at, |part| {
                part.token = token;
                part.next = after;
            });
            self.change(after, |next| next.previous = at);
            count = count.saturating_sub(1);
            self.pair_with_next(table, at);
            self.pair_with_next(table, part.previous);
        }
        count
    }

    fn start(&mut self, table: &Merges, piece: &[u8]) {
        self.parts.clear();
        self.parts
            .extend((0u32..).zip(piece).map(|(at, byte)| Part {
                token: table.byte_token(*byte),
                merge: NO_TOKEN,
                previous: at.checked_sub(1).unwrap_or(NOWHERE),
                next: at.saturating_add(1),
            }));
        self.merges.clear();
        for at in (0u32..).take(piece.len()) {
            self.pair_with_next(table, at);
        }
    }

    fn pair_with_next(&mut self, table: &Merges, at: u32) {
        let Some(part) = self.part(at) else {
            return;
        };
        let merge = self
            .part(part.next)
            .map_or(NO_TOKEN, |next| table.merged(part.token, next.token));
        self.change(at, |part| part.merge = merge);
        if merge != NO_TOKEN {
            self.merges
                .push(Reverse(entry(merge, at, LONG_POSITION_BITS)));
        }
    }

    fn part(&self, at: u32) -> Option<Part> {
        self.parts.get(index(at.into())).copied()
    }

    fn change(&mut self, at: u32, change: impl FnOnce(&mut Part)) {
        if let Some(part) = self.parts.get_mut(index(at.into())) {
            change(part);
        }
    }

    #[cfg(test)]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.parts.capacity() * size_of::<Part>() + self.merges.capacity() * size_of::<u32>()
    }
}
