//! A sample comes near the whole, for any text and any seed.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::float_arithmetic,
    clippy::print_stdout,
    reason = "a test that goes wrong should fail loudly"
)]

mod corpora;

use tollgate_tokens::{Counter, EXACT_BYTES_MAX, Encoding, Known, Tally, Text, Total};

fn tally(counter: &mut Counter, texts: &[&str], seed: u64) -> Total {
    let written = texts.iter().map(|text| text.len() as u64).sum();
    let mut tally = Tally::new(counter, Encoding::O200k, written, seed);
    for text in texts {
        tally.add(&[Text::Plain(text)]);
    }
    tally.total()
}

/// How far the sum is from the exact one, in percent.
fn off(counter: &mut Counter, texts: &[&str], seed: u64) -> f64 {
    let exact: u64 = texts
        .iter()
        .map(|text| counter.count(Encoding::O200k, text))
        .sum();
    let total = tally(counter, texts, seed);
    assert_eq!(total.known, Known::Sampled);
    (total.tokens as f64 / exact as f64 - 1.0) * 100.0
}

#[test]
fn a_sample_of_one_kind_of_text_is_near_the_whole() {
    let mut counter = Counter::new();
    for (name, text) in corpora::all(300_000) {
        let errors: Vec<f64> = (0..10)
            .map(|seed| off(&mut counter, &[&text], seed))
            .collect();
        assert!(
            errors.iter().all(|error| error.abs() < 5.0),
            "{name}: {errors:.2?}"
        );
        let mean = errors.iter().sum::<f64>() / 10.0;
        assert!(mean.abs() < 2.0, "{name} leans: {mean:.2}");
        println!("{name}: mean {mean:.2} %, each {errors:.2?}");
    }
}

/// Many short texts, long ones, and all kinds of them behind each other.
#[test]
fn a_sample_of_a_mixture_is_near_the_whole() {
    let mut counter = Counter::new();
    let corpora = corpora::all(20_000);
    let long: Vec<&str> = corpora.iter().map(|(_, text)| text.as_str()).collect();
    let short: Vec<&str> = long.iter().flat_map(|text| text.lines()).collect();
    for texts in [long, short] {
        let errors: Vec<f64> = (0..10)
            .map(|seed| off(&mut counter, &texts, seed))
            .collect();
        println!("{} texts: {errors:.2?}", texts.len());
        assert!(
            errors.iter().all(|error| error.abs() < 10.0),
            "{errors:.2?}"
        );
    }
}

#[test]
fn all_is_counted_up_to_the_budget_and_no_more_above_it() {
    let mut counter = Counter::new();
    let limit = EXACT_BYTES_MAX as usize;
    for (bytes, known) in [(limit, Known::Counted), (limit + 1, Known::Sampled)] {
        assert_eq!(tally(&mut counter, &[&"a".repeat(bytes)], 1).known, known);
    }
}

/// A prompt that is cheap where the windows of one seed are, is not where those of another are.
#[test]
fn the_seed_places_the_windows() {
    let mut counter = Counter::new();
    let mut text = String::new();
    for (_, corpus) in corpora::all(20_000) {
        text.push_str(&corpus);
    }
    let mut totals: Vec<u64> = (0..20)
        .map(|seed| tally(&mut counter, &[&text], seed).tokens)
        .collect();
    totals.sort_unstable();
    totals.dedup();
    assert!(totals.len() > 10, "{totals:?}");
    assert_eq!(
        tally(&mut counter, &[&text], 3),
        tally(&mut counter, &[&text], 3)
    );
}
