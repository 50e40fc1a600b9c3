//! What passes through costs no allocation for an event: neither where bytes are only looked at, nor where they are read.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

use allocation_counter::measure;
use tollgate_core::dialect::event::Event;
use tollgate_core::dialect::openai::{self, Look};
use tollgate_core::dialect::passage::Passage;
use tollgate_core::dialect::speak::Asked;
use tollgate_core::dialect::tables::{client, provider};
use tollgate_core::sse::{Output, Splitter, Verdict};

const OPENAI: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n";
const ANTHROPIC: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" word\"}}\n\n";
const GEMINI: &str = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" word\"}],\"role\":\"model\"},\"index\":0}],\"modelVersion\":\"m\",\"responseId\":\"r\"}\n\n";
const COHERE: &str = "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\" word\"}}}}\n\n";

fn count(run: impl FnOnce()) -> u64 {
    measure(run).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(count(|| drop(std::hint::black_box(Box::new(7)))), 1);
}

#[test]
fn openais_own_events_pass_without_an_allocation() {
    let chunk = OPENAI.repeat(50);
    let mut splitter = Splitter::default();
    let mut seen = 0;
    let allocated = count(|| {
        for _ in 0..20 {
            let output = splitter.feed(chunk.as_bytes(), |data| {
                assert_eq!(
                    openai::event(data, Look::Quickly),
                    openai::Event::Content(5)
                );
                seen += 1;
                Verdict::Keep
            });
            assert_eq!(output, Output::Same);
        }
    });
    assert_eq!((seen, allocated), (1_000, 0));
}

#[test]
fn an_event_that_is_cut_in_two_costs_something_but_not_those_beside_it() {
    let stream = OPENAI.repeat(100);
    let mut splitter = Splitter::default();
    let pieces: Vec<&[u8]> = stream.as_bytes().chunks(OPENAI.len() * 10 + 7).collect();
    let allocated = count(|| {
        for piece in &pieces {
            splitter.feed(piece, |_| Verdict::Keep);
        }
    });
    // The end that is held, the whole with it in front, and what goes on, which grows: for each callback of ten events.
    let callbacks = u64::try_from(pieces.len()).unwrap();
    assert!(allocated <= callbacks * 8, "{allocated} for {callbacks}");
}

#[test]
fn events_of_others_are_read_without_an_allocation() {
    for (name, event) in [
        ("openai", OPENAI),
        ("anthropic", ANTHROPIC),
        ("gemini", GEMINI),
        ("cohere", COHERE),
    ] {
        let mut reader = provider(name).unwrap().reader();
        let (mut texts, chunk) = (0, event.repeat(50));
        let mut sink = |event: Event<'_>| {
            texts += u64::from(matches!(event, Event::Text { text: " word", .. }))
        };
        // The first grows what is used again.
        reader.feed(event.as_bytes(), &mut sink);
        let allocated = count(|| reader.feed(chunk.as_bytes(), &mut sink));
        assert_eq!((texts, allocated), (51, 0), "{name}");
    }
}

#[test]
fn translated_events_allocate_only_what_goes_out() {
    for (name, event) in [
        ("anthropic", ANTHROPIC),
        ("gemini", GEMINI),
        ("cohere", COHERE),
    ] {
        let from = provider(name).unwrap();
        let mut passage = Passage::new(from, client("openai").unwrap(), Asked::default());
        let mut out = Vec::with_capacity(65_536);
        passage.feed(event.as_bytes(), &mut out, &mut |_| None);
        let chunk = event.repeat(50);
        let allocated = count(|| passage.feed(chunk.as_bytes(), &mut out, &mut |_| None));
        assert_eq!(allocated, 0, "{name}");
    }
}
