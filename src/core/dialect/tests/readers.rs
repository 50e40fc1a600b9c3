//! Readers of every provider: cut anywhere, broken anyhow, they neither panic nor grow, and mean the same.

use proptest::prelude::*;
use proptest::sample::Index;

use super::{cut, read};
use crate::dialect::speak::Provider;
use crate::dialect::tables::{provider, providers};
use crate::eventstream::{self, FRAME_BYTES_MAX};
use crate::sse::EVENT_BYTES_MAX;

const ANTHROPIC: &[&str] = &[
    r#"{"type":"message_start","message":{"id":"m","model":"x","usage":{"input_tokens":3}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hé\n\"llo\""}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f"}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}"#,
    r#"{"type":"content_block_stop","index":1}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":5}}"#,
    r#"{"type":"message_stop"}"#,
];

const BEDROCK: &[(&str, &str)] = &[
    ("messageStart", r#"{"role":"assistant"}"#),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":0,"delta":{"text":"hé\n\"llo\""}}"#,
    ),
    (
        "contentBlockStart",
        r#"{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"t","name":"f"}}}"#,
    ),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"a\":1}"}}}"#,
    ),
    ("contentBlockStop", r#"{"contentBlockIndex":1}"#),
    ("messageStop", r#"{"stopReason":"tool_use"}"#),
    (
        "metadata",
        r#"{"usage":{"inputTokens":3,"outputTokens":5,"totalTokens":8}}"#,
    ),
];

const GEMINI: &[&str] = &[
    r#"{"candidates":[{"content":{"parts":[{"text":"hé\n\"llo\""}]}}],"responseId":"r"}"#,
    r#"{"candidates":[{"content":{"parts":[{"functionCall":{"id":"t","name":"f","args":{"a":1}}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":5,"totalTokenCount":8}}"#,
];

const COHERE: &[&str] = &[
    r#"{"type":"message-start","id":"m","delta":{}}"#,
    r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"hé\n\"llo\""}}}}"#,
    r#"{"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"t","function":{"name":"f","arguments":""}}}}}"#,
    r#"{"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{\"a\":1}"}}}}}"#,
    r#"{"type":"tool-call-end","index":0}"#,
    r#"{"type":"message-end","delta":{"finish_reason":"TOOL_CALL","usage":{"billed_units":{"input_tokens":3,"output_tokens":5}}}}"#,
];

const OPENAI: &[&str] = &[
    r#"{"id":"m","choices":[{"index":0,"delta":{"content":"hé\n\"llo\""}}]}"#,
    r#"{"id":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":"{\"a\":1}"}}]}}]}"#,
    r#"{"id":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
    r#"{"id":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}"#,
    "[DONE]",
];

/// One streamed reply in every dialect: two words, a call, an end with figures.
fn recording(provider: &str) -> Vec<u8> {
    match provider {
        "anthropic" | "anthropic_vertex" => sse(ANTHROPIC),
        "anthropic_bedrock" => ANTHROPIC
            .iter()
            .flat_map(|event| {
                let payload = format!(r#"{{"bytes":"{}"}}"#, encode(event.as_bytes()));
                eventstream::write(&[(":event-type", "chunk")], payload.as_bytes())
            })
            .collect(),
        "bedrock" => BEDROCK
            .iter()
            .flat_map(|(kind, payload)| {
                eventstream::write(&[(":event-type", kind)], payload.as_bytes())
            })
            .collect(),
        "gemini" | "gemini_vertex" => sse(GEMINI),
        "cohere" => sse(COHERE),
        _ => sse(OPENAI),
    }
}

fn sse(events: &[&str]) -> Vec<u8> {
    events
        .iter()
        .flat_map(|event| format!("data: {event}\r\n\r\n").into_bytes())
        .collect()
}

fn encode(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS[usize::try_from((bits >> (18 - 6 * place)) & 63).unwrap()];
            text.push(if place > u32::try_from(group.len()).unwrap() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    text
}

/// Its name: a strategy's values must show themselves.
fn any_provider() -> impl Strategy<Value = &'static str> {
    prop::sample::select(providers().map(Provider::name).collect::<Vec<_>>())
}

#[test]
fn every_provider_says_the_same_thing() {
    for provider in providers() {
        let bytes = recording(provider.name());
        let (events, reply) = read(&mut *provider.reader(), &[&bytes]);
        let end = events.last().unwrap();
        assert_eq!(end, "Done", "{}: {events:?}", provider.name());
        let said = format!("{:?}", reply.choices[0].said);
        assert_eq!(
            said,
            r#"[Text("hé\n\"llo\""), Call { call: 0, id: "t", name: "f", arguments: "{\"a\":1}", signature: None }]"#,
            "{}",
            provider.name()
        );
        let used = reply.report.unwrap();
        assert_eq!(
            (used.usage.input.0, used.usage.output.0, used.suspect),
            (3, 5, None),
            "{}",
            provider.name()
        );
    }
}

#[test]
fn a_stream_that_lost_its_end_is_never_done() {
    for provider in providers() {
        let bytes = recording(provider.name());
        // Without the last third there is no reason for an end in any of them.
        let part = &bytes[..bytes.len() / 3];
        let (events, _) = read(&mut *provider.reader(), &[part]);
        assert!(
            !events.contains(&"Done".to_owned()),
            "{}: {events:?}",
            provider.name()
        );
    }
}

#[test]
fn an_endless_event_is_an_error_and_is_not_held() {
    for provider in providers() {
        let mut reader = provider.reader();
        let mut errors = 0;
        reader.feed(b"data: \"", &mut |_| {});
        for _ in 0..100 {
            reader.feed(&[b'x'; 65_536], &mut |_| errors += 1);
            assert!(reader.held() <= EVENT_BYTES_MAX.max(FRAME_BYTES_MAX) + 65_536);
        }
        assert!(
            errors <= 1 && reader.held() < 70_000,
            "{} {errors}",
            provider.name()
        );
    }
}

proptest! {
    #[test]
    fn where_a_stream_is_cut_does_not_matter(name in any_provider(), places in prop::collection::vec(any::<Index>(), 0..12)) {
        let provider = provider(name).unwrap();
        let bytes = recording(provider.name());
        let whole = read(&mut *provider.reader(), &[&bytes]);
        prop_assert_eq!(read(&mut *provider.reader(), &cut(&bytes, &places)), whole);
    }

    #[test]
    fn a_broken_stream_breaks_nothing(
        name in any_provider(),
        wounds in prop::collection::vec((any::<Index>(), any::<Index>(), "[\\[\\]{}\":,0-9a-z\\\\\n]{0,4}"), 1..4),
        places in prop::collection::vec(any::<Index>(), 0..6),
    ) {
        let provider = provider(name).unwrap();
        let mut bytes = recording(provider.name());
        for (from, length, instead) in wounds {
            let from = from.index(bytes.len() + 1);
            let to = (from + length.index(20)).min(bytes.len());
            bytes.splice(from..to, instead.into_bytes());
        }
        let whole = read(&mut *provider.reader(), &[&bytes]);
        prop_assert_eq!(read(&mut *provider.reader(), &cut(&bytes, &places)), whole);
    }

    #[test]
    fn no_bytes_panic(name in any_provider(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let provider = provider(name).unwrap();
        read(&mut *provider.reader(), &[&bytes]);
        let _ = provider.read(&bytes, &mut |_| {});
        provider.complaint(500, &bytes);
    }

    #[test]
    fn no_json_panics(name in any_provider(), json in r#"\{("(choices|message|content|usage|error|delta|type|output|candidates|usageMetadata|finishReason|tool_calls|index)":(\[|\{|"a"|1|-1|null|\}|\]|,)){0,14}\}"#) {
        let provider = provider(name).unwrap();
        let _ = provider.read(json.as_bytes(), &mut |_| {});
        read(&mut *provider.reader(), &[format!("data: {json}\n\n").as_bytes()]);
        read(&mut *provider.reader(), &[&eventstream::write(&[(":event-type", "contentBlockDelta")], json.as_bytes())]);
        provider.complaint(400, json.as_bytes());
    }

    #[test]
    fn classes_add_up_to_what_the_provider_counted(prompt in 0_u64..10_000, cached in 0_u64..10_000, written in 0_u64..10_000, answer in 0_u64..10_000, thought in 0_u64..10_000) {
        let (cached_in, thought_in) = (cached.min(prompt), thought.min(answer));
        for (name, body, total) in [
            ("openai", format!(r#"{{"choices":[],"usage":{{"prompt_tokens":{prompt},"completion_tokens":{answer},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{cached_in}}},"completion_tokens_details":{{"reasoning_tokens":{thought_in}}}}}}}"#, prompt + answer), prompt + answer),
            ("xai", format!(r#"{{"choices":[],"usage":{{"prompt_tokens":{prompt},"completion_tokens":{answer},"total_tokens":{},"completion_tokens_details":{{"reasoning_tokens":{thought}}}}}}}"#, prompt + answer + thought), prompt + answer + thought),
            ("anthropic", format!(r#"{{"content":[],"usage":{{"input_tokens":{prompt},"cache_read_input_tokens":{cached},"cache_creation_input_tokens":{written},"output_tokens":{answer}}}}}"#), prompt + cached + written + answer),
            ("gemini", format!(r#"{{"candidates":[],"usageMetadata":{{"promptTokenCount":{prompt},"cachedContentTokenCount":{cached_in},"candidatesTokenCount":{answer},"thoughtsTokenCount":{thought},"totalTokenCount":{}}}}}"#, prompt + answer + thought), prompt + answer + thought),
            ("bedrock", format!(r#"{{"output":{{"message":{{"content":[]}}}},"usage":{{"inputTokens":{prompt},"cacheReadInputTokens":{cached},"cacheWriteInputTokens":{written},"outputTokens":{answer},"totalTokens":{}}}}}"#, prompt + cached + written + answer), prompt + cached + written + answer),
            ("cohere", format!(r#"{{"message":{{"role":"assistant"}},"usage":{{"billed_units":{{"input_tokens":{prompt},"output_tokens":{answer}}},"cached_tokens":{cached}}}}}"#), prompt + answer),
        ] {
            let provider = provider(name).unwrap();
            let mut report = None;
            provider.read(body.as_bytes(), &mut |event| {
                if let crate::dialect::event::Event::Usage(got) = event {
                    report = Some(got);
                }
            }).unwrap();
            let report = report.unwrap();
            prop_assert_eq!((report.usage.total().0, report.suspect), (total, None), "{}", body);
        }
    }
}
