//! Same dialect on both sides: bytes pass. And endpoints that only some providers have.

use serde_json::json;
use tollgate::fake::Reply as Scripted;
use tollgate_tests::{Call, Gateway};

use crate::client::{Client, Shape};
use crate::{start, used};

/// Oddly spaced, with fields nobody has heard of, a name escaped, numbers no float can hold.
const ODD_REPLY: &str = "{ \"id\" :\"m\",\n\t\"type\":\"message\",\"role\":\"assistant\",\"model\":\"x\",\"content\":[{\"type\":\"text\",\
    \"text\":\"h\\u00e9\",\"mood\":{\"deep\":[1,[2]]}},{\"type\":\"new_block\",\"x\":1e400}],\"stop_reason\":\"end_turn\",\
    \"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":5,\"cache_creation_input_tokens\":7,\"output_tokens\":2,\
    \"energy_joules\":12345678901234567890},\"x_new\":null }\n";

const ODD_STREAM: &str = ": first a comment\n\n\
    event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\n\
    event: content_block_start\r\nid: 7\r\ndata:  {\"type\":\"content_block_start\", \"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\",\"mood\":\"\\u00fc\"}}\r\n\r\n\
    event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\",\"x\":[]}}\n\n\
    event: novelty\ndata: {\"type\":\"novelty\",\"what\":1e400}\n\n\
    event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
    event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2,\"x\":0}}\n\n\
    event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

fn messages(gateway: &Gateway, body: &str) -> Call {
    Client::Messages.call(gateway, json!(null)).bytes(body)
}

#[test]
fn a_message_to_anthropic_arrives_as_it_was_written_but_for_the_model() {
    let gateway = start();
    for (sent, want) in [
        (
            " {\"x_new\":{\"a\":[1E40,12345678901234567890]},\n\"model\" : \"by-anthropi\\u0063\",\t\"max_tokens\":9, \"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"h\\u00e9\",\"cache_control\":{\"type\":\"ephemeral\"}}]}]} ",
            " {\"x_new\":{\"a\":[1E40,12345678901234567890]},\n\"model\" : \"anthropic-small\",\t\"max_tokens\":9, \"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"h\\u00e9\",\"cache_control\":{\"type\":\"ephemeral\"}}]}]} ",
        ),
        (
            "{\"stream\":true,\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"model\":\"by-anthropic\"}",
            "{\"stream\":true,\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"model\":\"anthropic-small\"}",
        ),
    ] {
        let call = messages(&gateway, sent).header("content-type", "application/json");
        let reply = call.header("anthropic-beta", "new-2026-01-01").send();
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let seen = gateway.provider("anthropic").requests().pop().unwrap();
        assert_eq!(seen.header("anthropic-beta"), Some("new-2026-01-01"));
        assert_eq!(String::from_utf8(seen.body).unwrap(), want);
    }
}

#[test]
fn a_message_of_anthropic_comes_back_byte_for_byte() {
    let gateway = start();
    let anthropic = gateway.provider("anthropic");
    anthropic.next(Scripted::recorded("application/json", ODD_REPLY));
    let ask = |shape| {
        let call = Client::Messages.ask(&gateway, ("by-anthropic", "hi"), shape);
        call.send()
    };
    let reply = ask(Shape::Whole);
    assert_eq!(String::from_utf8_lossy(reply.body()), ODD_REPLY);
    let record = gateway.record_of(reply.header("x-tollgate-trace-id"));
    let want = used(&[
        ("input", 3),
        ("cached_input", 5),
        ("cache_write", 7),
        ("output", 2),
    ]);
    assert_eq!(record["tokens"], want);
    for pieces in [1, 7, 10_000] {
        let stream = Scripted::recorded("text/event-stream", ODD_STREAM);
        anthropic.next(stream.in_pieces_of(pieces));
        let reply = ask(Shape::Streamed);
        let got = String::from_utf8_lossy(reply.body()).into_owned();
        assert_eq!(got, ODD_STREAM, "in pieces of {pieces}");
        let record = gateway.record_of(reply.header("x-tollgate-trace-id"));
        let want = used(&[("input", 3), ("cached_input", 5), ("output", 2)]);
        assert_eq!(record["tokens"], want, "in pieces of {pieces}");
    }
}

#[test]
fn tokens_are_counted_for_whoever_asks_and_nobody_is_called() {
    let gateway = start();
    for model in ["by-openai", "by-anthropic", "by-gemini", "by-cohere"] {
        let count = |text: &str| {
            let body = Client::Messages.question(model, text);
            let call = gateway.call("POST", "/v1/messages/count_tokens");
            let reply = call.json(body).header("x-api-key", "sk-tg-team-a").send();
            assert_eq!(reply.status(), 200, "{}", reply.text());
            let json = reply.json();
            assert_eq!(
                json.as_object().map(serde_json::Map::len),
                Some(1),
                "{json}"
            );
            json["input_tokens"].as_u64().unwrap()
        };
        let (short, long) = (count("hi"), count("hi there, how are you all today?"));
        assert!((1..=12).contains(&short), "{model}: {short}");
        assert!((short + 5..=short + 12).contains(&long), "{model}: {long}");
    }
    assert_eq!(gateway.attempts(), Vec::<String>::new());
}

#[test]
fn embeddings_are_for_those_who_have_them() {
    let gateway = start();
    let ask = |model: &str| {
        let call = gateway.call("POST", "/v1/embeddings").key("team-a");
        call.json(json!({"model": model, "input": "how are you"}))
            .send()
    };
    let reply = ask("by-openai");
    assert_eq!(reply.status(), 200, "{}", reply.text());
    assert!(reply.json()["data"][0]["embedding"].is_array());
    let record = gateway.record_of(reply.header("x-tollgate-trace-id"));
    assert_eq!(record["tokens"]["input"], 3);
    for provider in ["anthropic", "gemini", "cohere"] {
        let reply = ask(&crate::only(provider));
        let want = "400 invalid_request_error untranslatable_endpoint";
        assert_eq!(reply.error(), want, "{provider}");
        assert_eq!(gateway.provider(provider).requests(), []);
    }
    let reply = ask("anthropic-then-openai");
    assert_eq!(reply.status(), 200, "whoever has them is asked");
}
