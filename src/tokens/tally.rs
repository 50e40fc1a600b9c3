//! Adds up the texts of one request, with a bound on the work whatever its size: up to
//! [`EXACT_BYTES_MAX`] every text is counted, above it windows are, and the rest is inferred.

use memchr::memchr2;

use crate::counter::{Counter, Encoding};
use crate::text::Text;

/// Requests with no more text than this are counted exactly: two milliseconds at most.
pub const EXACT_BYTES_MAX: u64 = 128 * 1024;
/// A window for each of so many equal stretches of the request.
const WINDOWS: u64 = 64;
const WINDOW_BYTES: u64 = 1024;
/// How far from its place a window may begin or end, to do so where pieces do.
const SNAP_BYTES_MAX: usize = 64;

/// The sum so far.
pub struct Tally<'c> {
    counter: &'c mut Counter,
    encoding: Encoding,
    work: Work,
}

/// The sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// The tokens of all texts.
    pub tokens: u64,
    /// How that is known.
    pub known: Known,
}

/// How a sum is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Every text was counted.
    Counted,
    /// Inferred from windows: about one in a hundred off, in either direction.
    Sampled,
}

enum Work {
    Count { tokens: u64 },
    Sample(Sample),
}

impl<'c> Tally<'c> {
    /// `written_bytes` is the length of all texts that will come, as written. The seed places the
    /// windows: if it could be guessed, so could they, and a prompt be made that is only dear
    /// between them.
    pub fn new(
        counter: &'c mut Counter,
        encoding: Encoding,
        written_bytes: u64,
        seed: u64,
    ) -> Self {
        let work = if written_bytes <= EXACT_BYTES_MAX {
            Work::Count { tokens: 0 }
        } else {
            Work::Sample(Sample::new(written_bytes, seed))
        };
        Self {
            counter,
            encoding,
            work,
        }
    }

    /// Adds texts that stand together as one.
    pub fn add(&mut self, texts: &[Text<'_>]) {
        match &mut self.work {
            Work::Count { tokens } => {
                let more = self.counter.count_joined(self.encoding, texts);
                *tokens = tokens.saturating_add(more);
            }
            Work::Sample(sample) => {
                for text in texts {
                    sample.add(self.counter, self.encoding, *text);
                }
            }
        }
    }

    /// What all of it came to.
    pub fn total(self) -> Total {
        match self.work {
            Work::Count { tokens } => Total {
                tokens,
                known: Known::Counted,
            },
            Work::Sample(sample) => Total {
                tokens: sample.inferred(),
                known: Known::Sampled,
            },
        }
    }
}

/// A stratified sample: positions are those of all texts laid end to end.
struct Sample {
    seed: u64,
    stretch: u64,
    /// Of the stretch whose window comes next.
    number: u64,
    /// Where that window begins.
    window: u64,
    seen: u64,
    window_bytes: u64,
    window_tokens: u64,
}

impl Sample {
    fn new(written_bytes: u64, seed: u64) -> Self {
        let mut sample = Self {
            seed,
            stretch: written_bytes / WINDOWS,
            number: 0,
            window: 0,
            seen: 0,
            window_bytes: 0,
            window_tokens: 0,
        };
        sample.place();
        sample
    }

    /// Puts the window of a stretch somewhere in it.
    fn place(&mut self) {
        let room = self.stretch.saturating_sub(WINDOW_BYTES).saturating_add(1);
        let offset = random(self.seed, self.number)
            .checked_rem(room)
            .unwrap_or(0);
        self.window = self
            .number
            .saturating_mul(self.stretch)
            .saturating_add(offset);
    }

    fn add(&mut self, counter: &mut Counter, encoding: Encoding, text: Text<'_>) {
        let begin = self.seen;
        let end = begin.saturating_add(length(text.written()));
        self.seen = end;
        while self.number < WINDOWS && self.window < end {
            let window_end = self.window.saturating_add(WINDOW_BYTES);
            let from = self.window.max(begin).saturating_sub(begin);
            let to = window_end.min(end).saturating_sub(begin);
            let part = between(text, from, to);
            let tokens = counter.count_joined(encoding, &[part]);
            self.window_tokens = self.window_tokens.saturating_add(tokens);
            self.window_bytes = self.window_bytes.saturating_add(length(part.written()));
            if window_end > end {
                break;
            }
            self.number = self.number.saturating_add(1);
            self.place();
        }
    }

    /// Rounded up. If no window met a text, the bound stands in: a token for each byte.
    fn inferred(&self) -> u64 {
        let tokens = u128::from(self.window_tokens).saturating_mul(self.seen.into());
        match self.window_bytes {
            0 => self.seen,
            bytes => u64::try_from(tokens.div_ceil(bytes.into())).unwrap_or(u64::MAX),
        }
    }
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// The part of a text between two positions, as near to them as it can be cut well.
fn between(text: Text<'_>, from: u64, to: u64) -> Text<'_> {
    let part = |written: &'_ str| -> std::ops::Range<usize> {
        cut_near(written, from)..cut_near(written, to)
    };
    match text {
        Text::Plain(text) => Text::Plain(text.get(part(text)).unwrap_or_default()),
        Text::Escaped(text) => Text::Escaped(text.get(part(text)).unwrap_or_default()),
    }
}

/// Before the next blank, where a piece begins, or escape, which must not be torn; if none is
/// near, before the character.
fn cut_near(text: &str, at: u64) -> usize {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    if at == 0 || at >= text.len() {
        return at.min(text.len());
    }
    let near = at..at.saturating_add(SNAP_BYTES_MAX).min(text.len());
    let found = text
        .as_bytes()
        .get(near)
        .and_then(|near| memchr2(b' ', b'\\', near));
    found.map_or_else(
        || text.floor_char_boundary(at),
        |ahead| at.saturating_add(ahead),
    )
}

/// The `number`th of the random numbers of a seed (SplitMix64).
fn random(seed: u64, number: u64) -> u64 {
    let state = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
