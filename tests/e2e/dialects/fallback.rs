//! From one dialect to another when a provider fails, or cannot be asked at all.

use serde_json::json;
use tollgate::fake::{Reply as Scripted, Seen};
use tollgate_tests::{Gateway, Reply, tried};

use crate::client::{Client, SHAPES, Shape};
use crate::{PROVIDERS, secret, start, used};

/// Where a provider is asked, and in which header it gets its key.
fn asked(provider: &str, shape: Shape) -> (&'static str, &'static str) {
    match (provider, shape) {
        ("openai", _) => ("/openai/v1/chat/completions", "authorization"),
        ("anthropic", _) => ("/anthropic/v1/messages", "x-api-key"),
        ("gemini", Shape::Whole) => (
            "/gemini/v1beta/models/gemini-small:generateContent",
            "x-goog-api-key",
        ),
        ("gemini", Shape::Streamed) => (
            "/gemini/v1beta/models/gemini-small:streamGenerateContent?alt=sse",
            "x-goog-api-key",
        ),
        _ => ("/cohere/v2/chat", "authorization"),
    }
}

const KEY_HEADERS: [&str; 4] = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];

/// Its own path, headers and credential, and nothing of another provider's or of the caller's.
fn is_for(provider: &str, shape: Shape, seen: &Seen) {
    let (path, header) = asked(provider, shape);
    assert_eq!(seen.path, path);
    let secret = secret(provider);
    let key = match header {
        "authorization" => format!("Bearer {secret}"),
        _ => secret,
    };
    for name in KEY_HEADERS {
        let want = (name == header).then_some(key.as_str());
        assert_eq!(seen.header(name), want, "{provider}: {name}");
    }
    let version = (provider == "anthropic").then_some("2023-06-01");
    assert_eq!(seen.header("anthropic-version"), version, "{provider}");
    let length = seen.body.len().to_string();
    assert_eq!(seen.header("content-length"), Some(length.as_str()));
    let whole = format!("{:?} {}", seen.headers, String::from_utf8_lossy(&seen.body));
    for other in PROVIDERS.iter().filter(|other| **other != provider) {
        assert!(
            !whole.contains(&crate::secret(other)),
            "{provider}: {whole}"
        );
        assert!(!whole.contains(&format!("{other}-small")), "{provider}");
    }
    assert!(!whole.contains("sk-tg-"), "{provider}: {whole}");
}

fn answered(client: Client, shape: Shape, reply: &Reply) {
    let heard = client.hear(reply, shape);
    assert_eq!(heard.text, "hello you", "{client:?} {shape:?}");
}

/// A record to come. Envoy writes them in batches: whoever waits for each waits long.
struct Owed {
    trace: Option<String>,
    tried: [String; 2],
    case: String,
}

/// What both attempts came to, and the tokens of the second alone.
fn all_are_recorded(gateway: &Gateway, owed: &[Owed]) {
    for owed in owed {
        let record = gateway.record_of(owed.trace.as_deref());
        assert_eq!(tried(&record), owed.tried, "{}", owed.case);
        let tokens = used(&[("input", 2), ("output", 2)]);
        assert_eq!(record["tokens"], tokens, "{}", owed.case);
    }
}

#[test]
fn another_dialect_answers_when_the_first_fails() {
    let gateway = start();
    let mut owed = Vec::new();
    for (model, fault, failed, [first, second]) in [
        (
            "anthropic-then-openai",
            "503",
            "503",
            ["anthropic", "openai"],
        ),
        (
            "anthropic-then-openai",
            "429;retry_after=60",
            "429",
            ["anthropic", "openai"],
        ),
        (
            "anthropic-then-openai",
            "cut@start",
            "connection",
            ["anthropic", "openai"],
        ),
        ("openai-then-gemini", "500", "500", ["openai", "gemini"]),
        (
            "openai-then-gemini",
            "reset@head",
            "connection",
            ["openai", "gemini"],
        ),
        (
            "openai-then-gemini",
            "error@start",
            "error_in_reply",
            ["openai", "gemini"],
        ),
    ] {
        for client in [Client::Chat, Client::Messages, Client::Responses] {
            for shape in SHAPES {
                gateway.provider(first).next(fault.parse().unwrap());
                gateway.provider(second).next(Scripted::text("hello you"));
                let before = gateway.seen().len();
                let reply = client.ask(&gateway, (model, "hi you"), shape).send();
                answered(client, shape, &reply);
                owed.push(Owed {
                    trace: reply.header("x-tollgate-trace-id").map(str::to_owned),
                    tried: [format!("{first} {failed}"), format!("{second} 200")],
                    case: format!("{client:?} {shape:?} {fault}"),
                });
                let seen = gateway.seen().split_off(before);
                let names: Vec<_> = seen.iter().map(|(name, _)| name.as_str()).collect();
                assert_eq!(names, [first, second], "{fault}");
                for (name, seen) in &seen {
                    is_for(name, shape, seen);
                }
            }
        }
    }
    all_are_recorded(&gateway, &owed);
}

#[test]
fn a_stream_that_dies_before_its_first_token_is_answered_in_another_dialect() {
    let gateway = start();
    let mut owed = Vec::new();
    for (model, [first, second]) in [
        ("openai-then-gemini", ["openai", "gemini"]),
        ("anthropic-then-openai", ["anthropic", "openai"]),
    ] {
        for client in [Client::Chat, Client::Messages, Client::Responses] {
            for (fault, failed) in [
                ("cut@0", "connection"),
                ("end@0", "no_first_token"),
                ("error@0", "error_in_reply"),
                ("error@0;piece_bytes=1", "error_in_reply"),
            ] {
                gateway.provider(first).next(fault.parse().unwrap());
                gateway.provider(second).next(Scripted::text("hello you"));
                let call = client.ask(&gateway, (model, "hi you"), Shape::Streamed);
                let reply = call.send();
                answered(client, Shape::Streamed, &reply);
                owed.push(Owed {
                    trace: reply.header("x-tollgate-trace-id").map(str::to_owned),
                    tried: [format!("{first} {failed}"), format!("{second} 200")],
                    case: format!("{client:?} {fault}"),
                });
            }
        }
    }
    all_are_recorded(&gateway, &owed);
}

#[test]
fn a_chain_of_all_dialects_leaves_nothing_of_one_with_the_next() {
    let gateway = start();
    for client in [Client::Chat, Client::Messages, Client::Responses] {
        for shape in SHAPES {
            let before = gateway.seen().len();
            for failing in ["anthropic", "gemini", "cohere"] {
                gateway.provider(failing).next(Scripted::status(503));
            }
            gateway.provider("openai").next(Scripted::text("hello you"));
            let reply = client
                .ask(&gateway, ("all-in-turn", "hi you"), shape)
                .send();
            answered(client, shape, &reply);
            let seen = gateway.seen().split_off(before);
            let names: Vec<_> = seen.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["anthropic", "gemini", "cohere", "openai"]);
            for (name, seen) in &seen {
                is_for(name, shape, seen);
            }
        }
    }
}

#[test]
fn what_a_target_cannot_express_is_refused_by_name_or_asked_of_another() {
    let gateway = start();
    for (field, value) in [("logprobs", json!(true)), ("logit_bias", json!({"5": 1}))] {
        for shape in SHAPES {
            let ask = |model| {
                let call = Client::Chat.ask(&gateway, (model, "hi you"), shape);
                call.field(field, value.clone()).send()
            };
            let reply = ask("by-anthropic");
            let want = "400 invalid_request_error untranslatable_parameter";
            assert_eq!(reply.error(), want, "{field}");
            let error = &reply.json()["error"];
            let said = error["message"].as_str().unwrap();
            assert!(said.contains(&format!("`{field}`")), "{said}");

            gateway.provider("openai").next(Scripted::text("hello you"));
            let reply = ask("anthropic-then-openai");
            answered(Client::Chat, shape, &reply);
            let record = gateway.record_of(reply.header("x-tollgate-trace-id"));
            assert_eq!(tried(&record), ["openai 200"], "{field}");
            let asked = gateway.provider("openai").requests().pop().unwrap();
            assert_eq!(asked.json()[field], value);
        }
    }
    assert_eq!(gateway.provider("anthropic").requests(), []);
}
