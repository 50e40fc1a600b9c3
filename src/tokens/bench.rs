//! How fast tokens are counted: `cargo bench -p tollgate-tokens --bench tokens`.

#[path = "tests/corpora/mod.rs"]
mod corpora;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use tollgate_tokens::{Counter, Encoding};

const BYTES: usize = 64 * 1024;
const CORPORA: &[&str] = &[
    "English",
    "code",
    "tool JSON",
    "German",
    "Russian",
    "Arabic",
    "Hindi",
    "Chinese",
    "Japanese",
    "Korean",
    "emoji",
    "base64",
    "log",
];

fn main() {
    divan::main();
}

fn corpus(name: &str) -> String {
    let found = corpora::all(BYTES)
        .into_iter()
        .find(|(known, _)| *known == name);
    found.map(|(_, text)| text).unwrap_or_default()
}

fn megabytes(bencher: Bencher<'_, '_>, encoding: Encoding, text: &str) {
    let mut counter = Counter::new();
    bencher
        .counter(BytesCount::of_str(text))
        .bench_local(|| counter.count(encoding, black_box(text)));
}

#[divan::bench(args = CORPORA)]
fn o200k(bencher: Bencher<'_, '_>, name: &str) {
    megabytes(bencher, Encoding::O200k, &corpus(name));
}

#[divan::bench(args = CORPORA)]
fn cl100k(bencher: Bencher<'_, '_>, name: &str) {
    megabytes(bencher, Encoding::Cl100k, &corpus(name));
}

#[divan::bench(args = ["a", "-", " ", "中", "qxz"])]
fn one_text_repeated(bencher: Bencher<'_, '_>, text: &str) {
    megabytes(bencher, Encoding::O200k, &text.repeat(BYTES));
}

#[divan::bench]
fn chat_of_one_kilobyte_warm(bencher: Bencher<'_, '_>) {
    megabytes(bencher, Encoding::O200k, &corpora::chat());
}

#[divan::bench]
fn chat_of_one_kilobyte_cold(bencher: Bencher<'_, '_>) {
    let chat = corpora::chat();
    bencher.bench_local(|| Counter::new().count(Encoding::O200k, black_box(&chat)));
}

#[divan::bench]
fn start() -> Counter {
    Counter::new()
}
