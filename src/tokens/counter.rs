//! Counts the tokens of a text.

use std::fmt;

use crate::cache::{Cache, Key};
use crate::merges::{Merges, Scratch};
use crate::split;
use crate::table::{CL100K, O200K};
use crate::tally::EXACT_BYTES_MAX;
use crate::text::Text;

/// A vocabulary and the pattern that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `o200k_base`: gpt-4o and all that came after it.
    O200k,
    /// `cl100k_base`: gpt-4, gpt-3.5 and the embedding models.
    Cl100k,
}

/// What counting keeps from one text to the next: 1.1 MB, made once and kept for a worker's life.
pub struct Counter {
    o200k: Merges,
    cl100k: Merges,
    pieces: Pieces,
    /// Where escapes are undone. Pieces go across them, so they cannot be counted one by one.
    unescaped: String,
}

/// What it remembers is no one's business, and long.
impl fmt::Debug for Counter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Counter").finish_non_exhaustive()
    }
}

impl Counter {
    /// A counter that has seen nothing yet; it needs no warming to be right.
    #[expect(
        clippy::new_without_default,
        reason = "a default that allocates 1.1 MB surprises"
    )]
    pub fn new() -> Self {
        Self {
            o200k: Merges::new(&O200K),
            cl100k: Merges::new(&CL100K),
            pieces: Pieces {
                cache: Cache::new(),
                scratch: Scratch::new(),
            },
            unescaped: String::new(),
        }
    }

    /// The exact number of tokens, except that a piece without a blank and of more than a kilobyte
    /// may count up to one in a hundred more. Names of special tokens are text like any other.
    pub fn count(&mut self, encoding: Encoding, text: &str) -> u64 {
        // Two calls, so that each pattern is compiled into a loop of its own.
        match encoding {
            Encoding::O200k => self
                .pieces
                .count(1, &self.o200k, text, split::after_o200k_piece),
            Encoding::Cl100k => self
                .pieces
                .count(2, &self.cl100k, text, split::after_cl100k_piece),
        }
    }

    /// As [`Self::count`], of texts that stand together as one.
    pub fn count_joined(&mut self, encoding: Encoding, texts: &[Text<'_>]) -> u64 {
        if let [Text::Plain(text)] = texts {
            return self.count(encoding, text);
        }
        let mut joined = std::mem::take(&mut self.unescaped);
        joined.clear();
        for text in texts {
            text.append_to(&mut joined);
        }
        let tokens = self.count(encoding, &joined);
        // A worker lives long and its memory never shrinks: one large text must not set the floor.
        if u64::try_from(joined.capacity()).is_ok_and(|capacity| capacity <= EXACT_BYTES_MAX) {
            self.unescaped = joined;
        }
        tokens
    }

    #[cfg(test)]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.pieces.cache.heap_bytes()
            + self.pieces.scratch.heap_bytes()
            + self.unescaped.capacity()
    }
}

/// Pieces that were seen before, and room for long ones.
struct Pieces {
    cache: Cache,
    scratch: Scratch,
}

impl Pieces {
    #[inline(always)]
    fn count(
        &mut self,
        encoding: u8,
        merges: &Merges,
        text: &str,
        after_piece: impl Fn(&str) -> &str,
    ) -> u64 {
        let mut tokens = 0u64;
        let mut rest = text;
        while !rest.is_empty() {
            let next = after_piece(rest);
            let length = rest.len().saturating_sub(next.len());
            let piece = rest.as_bytes().get(..length).unwrap_or_default();
            let count = self.piece(encoding, merges, piece);
            tokens = tokens.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            rest = next;
        }
        tokens
    }

    #[inline(always)]
    fn piece(&mut self, encoding: u8, merges: &Merges, piece: &[u8]) -> usize {
        // Every byte is a token.
        if piece.len() == 1 {
            return 1;
        }
        match Key::new(piece, encoding) {
            Some(key) => self.cache.count_or(key, || merges.count_short(piece)),
            None => merges.count(piece, &mut self.scratch),
        }
    }
}
