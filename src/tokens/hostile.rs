//! Texts made to be slow: the work for each is bounded by its length, whatever it is made of.

use crate::counter::{Counter, Encoding};
use crate::tally::Tally;
use crate::text::Text;
use crate::work;

/// Characters looked at, pairs looked up and entries taken off the heap, for each byte. The dearest
/// known text takes ten: blanks, which are looked at twice and all merged.
const STEPS_PER_BYTE_MAX: u64 = 12;
const MEGABYTE: usize = 1 << 20;

/// Each with what repeats in it; a number makes each repetition differ.
fn hostile(bytes: usize) -> Vec<(&'static str, String)> {
    let repeat = |text: &str| text.repeat(bytes.div_ceil(text.len()));
    let numbered = |text: fn(usize) -> String| {
        let mut all = String::new();
        for number in 0.. {
            if all.len() >= bytes {
                break;
            }
            all.push_str(&text(number));
        }
        all
    };
    let scattered = |number: usize, bound: u64| {
        let code = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        char::from_u32((code % bound) as u32).unwrap_or(' ')
    };
    vec![
        ("blanks", repeat(" ")),
        ("newlines", repeat("\n")),
        ("blanks between newlines", repeat(" \n \n  ")),
        ("one newline, then blanks", format!("\n{}x", repeat(" "))),
        ("no-break spaces", repeat("\u{a0}")),
        ("one letter", repeat("a")),
        ("one capital", repeat("A")),
        (
            "a letter without case, then capitals",
            format!("ʰ{}", repeat("A")),
        ),
        ("capitals and letters without case", repeat("Aʰ")),
        ("marks", repeat("\u{301}")),
        ("marks before capitals", repeat("\u{301}A")),
        ("dashes", repeat("-")),
        ("apostrophes", repeat("'")),
        ("contractions", repeat("'s'S'ſ're")),
        ("slashes and newlines", repeat("/\n")),
        ("digits", repeat("7")),
        ("a rope of two letters", repeat("ab")),
        ("CJK", repeat("中文字符编码测试")),
        ("emoji", repeat("👩‍👩‍👧")),
        (
            "long words",
            numbered(|number| format!("{number:b}").replace(['0', '1'], "qx") + "zk"),
        ),
        (
            "scattered characters",
            (0..bytes / 3).map(|at| scattered(at, 0x11_0000)).collect(),
        ),
        (
            "scattered letters",
            (0..bytes)
                .map(|at| char::from(b'a' + (scattered(at, 26) as u8)))
                .collect(),
        ),
    ]
}

#[test]
fn work_is_linear_and_every_text_is_answered() {
    let mut counter = Counter::new();
    for (name, text) in hostile(MEGABYTE) {
        for encoding in [Encoding::O200k, Encoding::Cl100k] {
            let mut tokens = 0;
            let steps = work::of(|| tokens = counter.count(encoding, &text));
            let bytes = text.len() as u64;
            assert!(
                0 < tokens && tokens <= bytes,
                "{name}: {tokens} tokens in {bytes} bytes"
            );
            assert!(
                steps <= STEPS_PER_BYTE_MAX * bytes,
                "{name}: {steps} steps for {bytes} bytes"
            );
        }
    }
}

/// Above the budget the size of a request is no matter at all.
#[test]
fn work_for_a_request_has_a_bound_of_its_own() {
    let mut counter = Counter::new();
    for (name, text) in hostile(4 * MEGABYTE) {
        let steps = work::of(|| {
            let length = text.len() as u64;
            let mut tally = Tally::new(&mut counter, Encoding::O200k, length, 7);
            tally.add(&[Text::Plain(&text)]);
            tally.total();
        });
        assert!(
            steps <= STEPS_PER_BYTE_MAX * 64 * 1200,
            "{name}: {steps} steps"
        );
    }
}

#[test]
fn memory_does_not_depend_on_content() {
    let mut counter = Counter::new();
    let before = counter.heap_bytes();
    for (_, text) in hostile(MEGABYTE) {
        counter.count(Encoding::O200k, &text);
        counter.count_joined(Encoding::O200k, &[Text::Escaped(&text)]);
    }
    assert_eq!(counter.heap_bytes(), before);
}
