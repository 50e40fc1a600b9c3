//! What translation costs: `cargo bench -p tollgate-core --bench dialects`.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a benchmark may stop at the first surprise"
)]

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use tollgate_core::dialect::gaps::Policy;
use tollgate_core::dialect::passage::Passage;
use tollgate_core::dialect::speak::{Asked, Target};
use tollgate_core::dialect::tables::{client, provider};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Every client with tools and turns to every dialect.
const PAIRS: &[(&str, &str)] = &[
    ("openai", "openai"),
    ("openai", "anthropic"),
    ("openai", "gemini"),
    ("openai", "bedrock"),
    ("openai", "cohere"),
    ("anthropic", "openai"),
    ("anthropic", "anthropic"),
    ("anthropic", "gemini"),
    ("anthropic", "bedrock"),
    ("anthropic", "cohere"),
    ("openai_responses", "openai"),
    ("openai_responses", "anthropic"),
    ("openai_responses", "gemini"),
    ("openai_responses", "bedrock"),
    ("openai_responses", "cohere"),
];

/// A conversation of about so many bytes, with a tool.
fn request(client: &str, bytes: usize) -> Vec<u8> {
    let text = "The quick brown fox says \\\"hello\\\" to the lazy dog.\\n".repeat(4);
    let turns = bytes.saturating_sub(400) / (text.len() + 40);
    let schema = r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#;
    let messages: Vec<String> = (0..turns.max(1))
        .map(|turn| {
            let role = if turn % 2 == 0 { "user" } else { "assistant" };
            format!(r#"{{"role":"{role}","content":"{text}"}}"#)
        })
        .collect();
    let messages = messages.join(",");
    let body = match client {
        "anthropic" => format!(
            r#"{{"model":"m","max_tokens":100,"messages":[{messages}],"tools":[{{"name":"weather","input_schema":{schema}}}]}}"#
        ),
        "openai_responses" => format!(
            r#"{{"model":"m","input":[{messages}],"tools":[{{"type":"function","name":"weather","parameters":{schema}}}]}}"#
        ),
        _ => format!(
            r#"{{"model":"m","messages":[{messages}],"tools":[{{"type":"function","function":{{"name":"weather","parameters":{schema}}}}}]}}"#
        ),
    };
    body.into_bytes()
}

fn translate(bencher: Bencher<'_, '_>, (from, to): (&str, &str), bytes: usize) {
    let body = request(from, bytes);
    let (from, to) = (client(from).unwrap(), provider(to).unwrap());
    let target = Target {
        model: "m",
        ..Target::default()
    };
    bencher.counter(BytesCount::new(body.len())).bench(|| {
        let chat = from.read(black_box(&body)).unwrap();
        to.write(&chat, &target, Policy::Drop).unwrap()
    });
}

#[divan::bench(args = PAIRS)]
fn request_of_1_kb(bencher: Bencher<'_, '_>, pair: &(&str, &str)) {
    translate(bencher, *pair, 1_024);
}

#[divan::bench(args = PAIRS)]
fn request_of_100_kb(bencher: Bencher<'_, '_>, pair: &(&str, &str)) {
    translate(bencher, *pair, 102_400);
}

fn event(provider: &str) -> &'static str {
    match provider {
        "anthropic" => {
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" word\"}}\n\n"
        }
        "gemini" => {
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" word\"}],\"role\":\"model\"},\"index\":0}],\"responseId\":\"r\"}\n\n"
        }
        "cohere" => {
            "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\" word\"}}}}\n\n"
        }
        _ => {
            "data: {\"id\":\"c\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n"
        }
    }
}

/// Those of Bedrock come in frames, which tests write and nobody else.
const STREAMED: &[(&str, &str)] = &[
    ("openai", "openai"),
    ("openai", "anthropic"),
    ("openai", "gemini"),
    ("openai", "cohere"),
    ("anthropic", "openai"),
    ("anthropic", "anthropic"),
    ("anthropic", "gemini"),
    ("anthropic", "cohere"),
    ("openai_responses", "openai"),
    ("openai_responses", "anthropic"),
    ("openai_responses", "gemini"),
    ("openai_responses", "cohere"),
];

#[divan::bench(args = STREAMED)]
fn one_event(bencher: Bencher<'_, '_>, pair: &(&str, &str)) {
    let (to, from) = *pair;
    let bytes = event(from).as_bytes();
    let (from, to) = (provider(from).unwrap(), client(to).unwrap());
    let mut passage = Passage::new(from, to, Asked::default());
    let mut out = Vec::with_capacity(4_096);
    bencher.bench_local(|| {
        out.clear();
        passage.feed(black_box(bytes), &mut out, &mut |_| None);
    });
}
