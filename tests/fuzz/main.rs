//! Every reader of the core under mutated input: it may refuse, but not panic, hang, or hold more than its bound, and what
//! it writes must be legal. `make fuzz TIME=60` runs long from fresh seeds; without `TOLLGATE_FUZZ_SECONDS` each target
//! runs briefly, always the same. What breaks a target is left in `tests/fuzz/corpus`, where every run begins.
//!
//! There is no coverage to guide it on a stable compiler, so behaviour does: a mutant that is answered in a new way (other
//! events, another refusal) becomes a seed itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a test may stop at the first surprise, and this one runs by the clock"
)]

mod mutate;
mod run;
mod seeds;
mod targets;

use run::run;

#[test]
fn requests_of_every_client() {
    run("request", seeds::requests(), targets::request);
}

#[test]
fn streams_of_every_provider() {
    run("stream", seeds::streams(), targets::stream);
}

#[test]
fn whole_replies_of_every_provider() {
    run("whole", seeds::wholes(), targets::whole);
}

#[test]
fn errors_of_every_provider() {
    run("complaint", seeds::errors(), targets::complaint);
}

#[test]
fn json() {
    run("json", seeds::json(), targets::json);
}

#[test]
fn server_sent_events() {
    run("sse", seeds::wire(), targets::sse);
}

#[test]
fn binary_frames() {
    run("frames", seeds::wire(), targets::frames);
}

#[test]
fn what_passes_through() {
    run("native", seeds::native(), targets::native);
}

#[test]
fn bodies_that_are_spliced_and_counted() {
    run("splice", seeds::json(), targets::splice);
}

#[test]
fn forms() {
    run("form", seeds::forms(), targets::form);
}

#[test]
fn a_run_can_fail() {
    let outcome = std::panic::catch_unwind(|| {
        let seeds = vec![b"abc".to_vec()];
        run::attack("a_run_can_fail", seeds, 5_000, |input, _| {
            assert!(input.len() < 6, "too long");
            String::new()
        })
    });
    let found = outcome
        .unwrap()
        .expect("an input of six bytes is soon made of three");
    assert!(found.input.len() >= 6 && found.why.contains("too long"));
}
