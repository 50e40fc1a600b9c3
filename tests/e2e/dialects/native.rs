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

fn count(gateway: &Gateway, model: &str, text: &str) -> u64 {
    let body = Client::Messages.question(model, text);
    let call = gateway.call("POST", "/v1/messages/count_tokens");
    let call = call.header("anthropic-version", "2023-06-01").json(body);
    let reply = call.header("x-api-key", "sk-tg-team-a").send();
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let json = reply.json();
    let fields = json.as_object().map(serde_json::Map::len);
    assert_eq!(fields, Some(1), "{json}");
    json["input_tokens"].as_u64().unwrap()
}

#[test]
fn tokens_are_counted_here_for_whoever_cannot_and_nobody_is_called() {
    let gateway = start();
    for model in ["by-openai", "by-gemini", "by-cohere", "by-bedrock"] {
        let count = |text: &str| count(&gateway, model, text);
        let (short, long) = (count("hi"), count("hi there, how are you all today?"));
        assert!((1..=12).contains(&short), "{model}: {short}");
        assert!((short + 5..=short + 12).contains(&long), "{model}: {long}");
    }
    assert_eq!(gateway.attempts(), Vec::<String>::new());
}

#[test]
fn anthropic_counts_its_own_tokens_and_if_it_fails_they_are_counted_here() {
    let gateway = start();
    // A word is a token there.
    assert_eq!(count(&gateway, "by-anthropic", "one, two, three!"), 3);
    let seen = gateway.provider("anthropic").requests().pop().unwrap();
    assert_eq!(seen.path, "/anthropic/v1/messages/count_tokens");
    let sent: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(sent["model"], "anthropic-small");
    gateway.provider("anthropic").next(Scripted::status(503));
    assert!(count(&gateway, "by-anthropic", "one, two, three!") > 3);
    for record in gateway.records(2) {
        let said = (&record["cost_nanousd"], &record["priced"]);
        assert!(said.0.is_null() || said.0 == 0, "{record}");
        assert!(said.1.is_null(), "{record}");
    }
}

#[test]
fn callers_of_anthropic_find_the_name_of_their_request_where_they_look() {
    let gateway = start();
    for (model, status) in [("by-openai", 200), ("by-anthropic", 200), ("nobody", 404)] {
        for shape in [Shape::Whole, Shape::Streamed] {
            let reply = Client::Messages.ask(&gateway, (model, "hi"), shape).send();
            assert_eq!(reply.status(), status);
            let id = reply.header("request-id").unwrap_or_default();
            assert_eq!(Some(id), reply.header("x-tollgate-trace-id"), "{model}");
            let other = Client::Chat.ask(&gateway, (model, "hi"), shape).send();
            assert_eq!(other.header("request-id"), None, "{model}");
        }
    }
    let theirs = Scripted::recorded("application/json", ODD_REPLY).header("request-id", "req_1");
    gateway.provider("anthropic").next(theirs);
    let reply = Client::Messages
        .ask(&gateway, ("by-anthropic", "hi"), Shape::Whole)
        .send();
    assert_eq!(reply.header("request-id"), Some("req_1"));
}

#[test]
fn models_are_listed_in_the_callers_shape() {
    let gateway = start();
    let list = |path: &str| {
        let call = gateway
            .call("GET", path)
            .header("x-api-key", "sk-tg-team-a");
        call.header("anthropic-version", "2023-06-01").send()
    };
    let all = list("/v1/models").json();
    assert_eq!(all["has_more"], false, "{all}");
    let names: Vec<_> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].clone())
        .collect();
    assert_eq!(
        (Some(&all["first_id"]), Some(&all["last_id"])),
        (names.first(), names.last())
    );
    let one = list("/v1/models/by-openai").json();
    assert_eq!(
        (&one["type"], &one["id"]),
        (&json!("model"), &json!("by-openai"))
    );
    assert_eq!(list("/v1/models/nobody").json()["type"], "error");
    let plain = gateway
        .call("GET", "/v1/models/by-openai")
        .key("team-a")
        .send()
        .json();
    assert_eq!(plain["object"], "model");
}

#[test]
fn what_cannot_be_said_is_refused_passed_on_or_left_out_as_the_operator_wants() {
    let gateway = start();
    let ask = |model: &str| {
        let call = Client::Chat.ask(&gateway, (model, "hi"), Shape::Whole);
        call.field("logprobs", true).send()
    };
    assert_eq!(
        ask("by-anthropic").error(),
        "400 invalid_request_error untranslatable_parameter"
    );
    assert_eq!(
        ask("refuses").error(),
        "400 invalid_request_error untranslatable_parameter"
    );
    assert_eq!(gateway.attempts(), Vec::<String>::new());
    let skipped = ask("anthropic-then-openai");
    assert_eq!(skipped.header("x-tollgate-provider"), Some("openai"));
    let dropped = ask("drops");
    assert_eq!(dropped.header("x-tollgate-provider"), Some("anthropic"));
    let record = gateway.record_of(dropped.header("x-tollgate-trace-id"));
    assert_eq!(record["dropped"], json!(["logprobs"]), "{record}");
    let record = gateway.record_of(skipped.header("x-tollgate-trace-id"));
    assert!(record["dropped"].is_null(), "{record}");
    // Who comes after somebody that can say it is only passed over.
    let biased = || {
        let call = Client::Chat.ask(&gateway, ("openai-then-gemini", "hi"), Shape::Whole);
        call.field("logit_bias", json!({"5": 1})).send()
    };
    assert_eq!(biased().header("x-tollgate-provider"), Some("openai"));
    gateway.provider("openai").next(Scripted::status(500));
    assert_eq!(biased().error(), "502 server_error provider_error");
    assert_eq!(gateway.provider("gemini").requests(), []);
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
    assert_eq!(ask("by-azure").status(), 200);
    let reply = ask("anthropic-then-openai");
    assert_eq!(reply.status(), 200, "whoever has them is asked");
}
