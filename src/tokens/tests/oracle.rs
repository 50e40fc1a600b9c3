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

mod corpora;

use std::panic;

use corpora::Random;
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

#[test]
fn corpora_in_many_scripts_count_as_the_oracle_counts_them() {
    let mut counter = Counter::new();
    check(&mut counter, &corpora::chat());
    for (_, text) in corpora::all(40_000) {
        check(&mut counter, &text);
        // Ends decide too: of the text, and of lines in it.
        for line in text.lines().take(200) {
            check(&mut counter, line);
        }
    }
}

#[test]
fn no_text_is_no_token() {
    check(&mut Counter::new(), "");
}

/// What we measure ourselves by cannot serve a gateway: this fits a default buffer, and there
/// a panic ends the worker's VM for everybody.
#[test]
fn a_megabyte_of_blanks_panics_elsewhere_and_is_counted_here() {
    let blanks = " ".repeat(1_000_000);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let elsewhere = panic::catch_unwind(|| o200k_base_singleton().encode_ordinary(&blanks).len());
    panic::set_hook(hook);
    assert!(
        elsewhere.is_err(),
        "the oracle has learned to count blanks: {elsewhere:?}"
    );
    for (encoding, _) in encodings() {
        let tokens = Counter::new().count(encoding, &blanks);
        assert!((1..=1_000_000).contains(&tokens), "{tokens}");
    }
}

/// A piece that is cut counts a little more, never less: nobody pays less for long words.
#[test]
fn pieces_over_a_kilobyte_count_up_to_a_hundredth_more() {
    let mut counter = Counter::new();
    let mut random = Random(11);
    let mut texts: Vec<String> = ["a", "-", "=", "ab", "A", "中", "你好世界", "ไทย", "é", "\\"]
        .iter()
        .map(|text| text.repeat(20_000 / text.len()))
        .collect();
    for alphabet in [
        "abcdefghijklmnopqrstuvwxyz",
        "etaoinshrdlu",
        "的一是在不了有和人这",
    ] {
        let letters: Vec<char> = alphabet.chars().collect();
        texts.push(
            (0..20_000)
                .map(|_| letters[random.below(letters.len())])
                .collect(),
        );
    }
    for text in texts {
        for (encoding, oracle) in encodings() {
            let ours = counter.count(encoding, &text);
            let theirs = oracle.count_ordinary(&text) as u64;
            let begin: String = text.chars().take(20).collect();
            let more = ours
                .checked_sub(theirs)
                .unwrap_or_else(|| panic!("{begin}: {ours} is under {theirs}"));
            assert!(
                more * 100 <= theirs,
                "{encoding:?} {begin}: {ours}, should be {theirs}"
            );
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
            .map(|it| format!("a{it}A{it}1{it} {it}.{it}\n{it}'s"))
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

/// What the fuzz makes texts of.
trait Mixture {
    fn edge(&mut self) -> &'static str;
    fn character(&mut self) -> char;
    fn text(&mut self) -> String;
}

impl Mixture for Random {
    fn edge(&mut self) -> &'static str {
        EDGES[self.below(EDGES.len())]
    }

    fn character(&mut self) -> char {
        let bound = [0x80, 0x800, 0x3000, 0x1_0000, 0x11_0000][self.below(5)];
        char::from_u32(self.below(bound) as u32).unwrap_or(' ')
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..=self.below(8) {
            match self.below(8) {
                0 => text.push(self.character()),
                1 => text.push_str(&self.edge().repeat(self.below(12))),
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
