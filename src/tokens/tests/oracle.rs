//! Counts equal those of tiktoken-rs, on text as people send it and on text as nobody would.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that goes wrong should fail loudly"
)]

use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};
use tollgate_tokens::{Counter, Encoding};

/// Both encodings with what counts for them elsewhere.
fn encodings() -> [(Encoding, &'static CoreBPE); 2] {
    [
        (Encoding::O200k, o200k_base_singleton()),
        (Encoding::Cl100k, cl100k_base_singleton()),
    ]
}

/// Panics on the first difference, and shows the shortest beginning of the text that has one.
fn check(counter: &mut Counter, text: &str) {
    for (encoding, oracle) in encodings() {
        let mut differs =
            |text: &str| counter.count(encoding, text) != oracle.count_ordinary(text) as u64;
        if differs(text) {
            let shortest = text
                .char_indices()
                .map(|(at, character)| &text[..at + character.len_utf8()])
                .find(|text| differs(text))
                .unwrap();
            let ours = counter.count(encoding, shortest);
            let theirs = oracle.split_by_token_ordinary(shortest);
            panic!("{encoding:?}: {shortest:?} is {ours} tokens, should be {theirs:?}");
        }
    }
}

/// Every character in every position that the patterns tell apart: so no class is wrong, and the
/// tables have the Unicode version of the oracle.
#[test]
fn every_character_is_classed_as_the_oracle_does() {
    let mut counter = Counter::new();
    for block in (0..=u32::from(char::MAX)).collect::<Vec<_>>().chunks(64) {
        let text: String = block
            .iter()
            .filter_map(|code| char::from_u32(*code))
            .map(|it| format!("a{it}a A{it}A 1{it}1 {it} {it}a .{it}.{it}{it}\n{it}'s\t{it}"))
            .collect();
        check(&mut counter, &text);
    }
}

/// Where the class of a character, a contraction or the end of the text decides.
const EDGES: &[&str] = &[
    " ",
    "  ",
    "   ",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "\t",
    "\u{a0}",
    "\u{85}",
    "\u{3000}",
    "\u{2028}",
    "'",
    "'s",
    "'S",
    "'ſ",
    "'t",
    "'re",
    "'RE",
    "'vE",
    "'m",
    "'ll",
    "'Ll",
    "'d",
    "'l",
    "'r",
    "''",
    "’s",
    "a",
    "b",
    "the",
    "The",
    "THE",
    "tHE",
    "hello",
    "World",
    "fooBar",
    "HTTPServer",
    "ǅ",
    "ʰ",
    "ª",
    "ß",
    "É",
    "é",
    "e\u{301}",
    "\u{301}",
    "\u{301}\u{302}",
    "न",
    "नमस्ते",
    "م",
    "مرحبا",
    "中",
    "文字",
    "日本語",
    "かな",
    "カナ",
    "한국어",
    "ไทย",
    "שלום",
    "Привет",
    "Ελλάδα",
    "1",
    "12",
    "123",
    "1234",
    "٣",
    "½",
    "Ⅷ",
    ".",
    ",",
    "/",
    "//",
    "/\n",
    "...",
    "!?",
    "-",
    "----",
    "=",
    "{",
    "}",
    "\"",
    "\\",
    "_",
    "#",
    "😀",
    "👩‍👩‍👧",
    "🇩🇪",
    "\u{200d}",
    "\u{fe0f}",
    "\0",
    "\u{7f}",
    "\u{fffd}",
    "\u{10ffff}",
    "<|endoftext|>",
    "<|im_start|>",
    "data:image/png;base64,",
    "iVBORw0K",
];

/// A small generator of our own, so that a seed means the same text for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn edge(&mut self) -> &'static str {
        EDGES[self.below(EDGES.len() as u64) as usize]
    }

    fn character(&mut self) -> char {
        let bound = [0x80, 0x800, 0x3000, 0x1_0000, 0x11_0000][self.below(5) as usize];
        char::from_u32(self.below(bound) as u32).unwrap_or(' ')
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..=self.below(12) {
            match self.below(8) {
                0 => text.push(self.character()),
                1 => text.push_str(&self.edge().repeat(self.below(30) as usize)),
                2 => {
                    let word = (0..self.below(40)).map(|_| (b'a' + self.below(26) as u8) as char);
                    text.extend(word);
                }
                _ => text.push_str(self.edge()),
            }
        }
        text
    }
}

/// `TOLLGATE_FUZZ_CASES=5000000 TOLLGATE_FUZZ_SEED=7` looks further.
#[test]
fn fuzzed_text_counts_as_the_oracle_counts_it() {
    let from_environment = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let seed = from_environment("TOLLGATE_FUZZ_SEED", 20_261_120);
    let mut counter = Counter::new();
    for case in 0..from_environment("TOLLGATE_FUZZ_CASES", 300_000) {
        let text = Random(seed ^ case.wrapping_mul(0xD134_2543_DE82_EF95)).text();
        check(&mut counter, &text);
    }
}
