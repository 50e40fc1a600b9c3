//! How one input becomes another.

/// A small generator of our own, so that a seed says everything.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From 0, less than `below`; 0 of nothing.
    pub(crate) fn below(&mut self, below: usize) -> usize {
        let below = u64::try_from(below).unwrap();
        usize::try_from(self.next().checked_rem(below).unwrap_or(0)).unwrap()
    }

    pub(crate) fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Longer inputs are cut: bugs of length are for the tests of bounds.
const BYTES_MAX: usize = 16_384;

/// What readers look for, and what they stumble over.
const WORDS: &[&str] = &[
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "\"\"",
    "0",
    "-1",
    "1e400",
    "1.5",
    "18446744073709551616",
    "\"7\"",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\u{0}",
    "\u{feff}",
    "\n",
    "\r\n",
    "\n\n",
    "data: ",
    "event: ",
    "id: 1",
    ": keep-alive",
    "[DONE]",
    "é",
    "🙂",
    "\"type\":",
    "\"index\":",
    "\"error\":",
    "\"usage\":",
    "\"choices\":",
    "\"delta\":",
    "\"content\":",
    "\"text\":",
    "\"tool_calls\":",
    "\"function\":",
    "\"arguments\":",
    "\"id\":",
    "\"name\":",
    "\"role\":",
    "\"finish_reason\":",
    "\"message_start\"",
    "\"content_block_start\"",
    "\"content_block_stop\"",
    "\"message_stop\"",
    "\"tool_use\"",
    "\"tool_result\"",
    "\"thinking\"",
    "\"signature\":",
    "\"candidates\":",
    "\"parts\":",
    "\"functionCall\":",
    "\"usageMetadata\":",
    "\"contentBlockIndex\":",
    "\"message-end\"",
    "\"tool-call-start\"",
    "\"cache_control\":",
    "\"image_url\":",
    "\"schema\":",
    "\"reasoning\":",
    "\"input\":",
    "\"prompt\":",
    "data:image/png;base64,",
];

/// One to four changes.
pub(crate) fn mutate(input: &[u8], others: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=dice.below(4) {
        once(&mut bytes, others, dice);
        bytes.truncate(BYTES_MAX);
    }
    bytes
}

fn once(bytes: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    let from = dice.below(bytes.len() + 1);
    let longest = 1 << dice.below(8);
    let length = dice.below(longest);
    let to = (from + length).min(bytes.len());
    match dice.below(9) {
        0 => {
            bytes.drain(from..to);
        }
        1 => {
            let again = bytes[from..to].to_vec();
            bytes.splice(from..from, again);
        }
        2 | 3 => {
            let word = dice.of(WORDS).bytes();
            bytes.splice(from..from, word);
        }
        4 => {
            let word = dice.of(WORDS).bytes();
            bytes.splice(from..to, word);
        }
        5 => {
            if let Some(byte) = bytes.get_mut(from) {
                *byte ^= dice.of(&[1, 2, 4, 8, 16, 32, 64, 128]);
            }
        }
        6 => {
            let other = dice.of(others);
            let start = dice.below(other.len() + 1);
            let end = (start + dice.below(256)).min(other.len());
            bytes.splice(from..to, other[start..end].iter().copied());
        }
        7 => value(bytes, from, dice),
        _ => lines(bytes, dice),
    }
}

/// The value behind the next colon becomes another.
fn value(bytes: &mut Vec<u8>, from: usize, dice: &mut Dice) {
    let Some(colon) = bytes[from..].iter().position(|byte| *byte == b':') else {
        return;
    };
    let start = from + colon + 1;
    let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b'\n');
    let length = bytes[start..].iter().position(ends).unwrap_or(0);
    bytes.splice(start..start + length, dice.of(WORDS).bytes());
}

/// Events out of order, doubled, lost.
fn lines(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let mut lines: Vec<Vec<u8>> = bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let (one, two) = (dice.below(lines.len()), dice.below(lines.len()));
    match dice.below(3) {
        0 => lines.swap(one, two),
        1 => {
            lines.remove(one);
        }
        _ => lines.insert(two, lines[one].clone()),
    }
    *bytes = lines.join(&b'\n');
}
