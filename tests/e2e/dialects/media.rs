//! What is not said in words: it passes byte for byte but for the model, and is metered by a rule that is known.

use serde_json::{Value, json};
use tollgate::fake::{Lines, Reply as Scripted};
use tollgate_tests::{Call, End, Gateway};

use crate::start;

const BOUNDARY: &str = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

fn ask(gateway: &Gateway, path: &str, body: Value) -> Call {
    gateway.call("POST", path).key("team-a").json(body)
}

/// A form: its fields, then a file of bytes that are no text.
fn form(fields: &[(&str, &str)], file: (&str, &[u8])) -> Vec<u8> {
    let mut body = Vec::new();
    let mut part = |head: &str, content: &[u8]| {
        body.extend_from_slice(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    };
    for (name, value) in fields {
        part(&format!("name=\"{name}\""), value.as_bytes());
    }
    let (name, content) = file;
    part(
        &format!("name=\"{name}\"; filename=\"a b.wav\"\r\nContent-Type: audio/wav"),
        content,
    );
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

fn send(gateway: &Gateway, path: &str, body: &[u8]) -> Call {
    gateway
        .call("POST", path)
        .key("team-a")
        .header(
            "content-type",
            &format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .bytes(body)
}

fn sound(bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect()
}

/// The record: tokens in, tokens out, whose figures.
fn metered(gateway: &Gateway, trace: Option<&str>) -> (u64, u64, String) {
    let record = gateway.record_of(trace);
    assert_eq!(record["end"], "ok", "{record}");
    let tokens = |name: &str| record["tokens"][name].as_u64().unwrap();
    let source = record["usage_source"].as_str().unwrap().to_owned();
    (tokens("input"), tokens("output"), source)
}

#[test]
fn a_form_arrives_as_it_was_written_but_for_the_model() {
    let gateway = start();
    // The model first, in the middle and last; small, and larger than what is kept or read in one piece.
    for size in [10, 100_000, 300_000] {
        let file = sound(size);
        for (path, provider, want) in [
            ("/v1/audio/transcriptions", "openai", "audio/transcriptions"),
            (
                "/v1/audio/translations",
                "azure",
                "audio/translations?api-version=2025-01-01-preview",
            ),
        ] {
            let model = format!("by-{provider}");
            let fields = [
                ("temperature", "0"),
                ("model", model.as_str()),
                ("prompt", "model"),
            ];
            let body = form(&fields, ("file", &file));
            let reply = send(&gateway, path, &body).send();
            let case = format!("{path}, {size}: {}", reply.text());
            assert_eq!(
                (reply.status(), reply.end()),
                (200, End::Complete),
                "{case}"
            );
            assert_eq!(
                reply.json()["text"],
                format!("{provider} heard {size} bytes"),
                "{case}"
            );
            let seen = gateway.provider(provider).requests().pop().unwrap();
            assert!(seen.path.ends_with(want), "{}", seen.path);
            let fields = [
                ("temperature", "0"),
                ("model", &format!("{provider}-small")),
                ("prompt", "model"),
            ];
            assert!(seen.body == form(&fields, ("file", &file)), "{case}");
            let (input, output, source) = metered(&gateway, reply.header("x-tollgate-trace-id"));
            assert_eq!(
                (input, output > 0, source.as_str()),
                (u64::try_from(size).unwrap(), true, "provider")
            );
        }
    }
}

#[test]
fn a_form_is_sent_again_whole_to_the_next() {
    let gateway = start();
    let file = sound(200_000);
    gateway.provider("openai").next(Scripted::status(503));
    let body = form(&[("model", "openai-then-azure")], ("file", &file));
    let reply = send(&gateway, "/v1/audio/transcriptions", &body).send();
    assert_eq!(reply.status(), 200, "{}", reply.text());
    for provider in ["openai", "azure"] {
        let seen = gateway.provider(provider).requests().pop().unwrap();
        let model = format!("{provider}-small");
        assert!(
            seen.body == form(&[("model", &model)], ("file", &file)),
            "{provider}"
        );
    }
}

#[test]
fn sound_pictures_and_scores_come_back_byte_for_byte() {
    let gateway = start();
    let odd = b"\x00\xffdata: {\"error\":{}}\n\nnot an event";
    for (path, body, content_type) in [
        (
            "/v1/audio/speech",
            json!({"model": "by-openai", "input": "say this aloud", "voice": "alloy"}),
            "audio/mpeg",
        ),
        (
            "/v1/images/generations",
            json!({"model": "by-openai", "prompt": "a gate"}),
            "image/png",
        ),
        (
            "/v1/moderations",
            json!({"model": "by-openai", "input": "harmless"}),
            "application/octet-stream",
        ),
    ] {
        for pieces in [1, 7, 10_000] {
            let recorded = Scripted::recorded(content_type, odd);
            gateway
                .provider("openai")
                .next(recorded.in_pieces_of(pieces));
            let reply = ask(&gateway, path, body.clone()).send();
            let case = format!("{path} in pieces of {pieces}");
            assert_eq!(
                (reply.status(), reply.end()),
                (200, End::Complete),
                "{case}"
            );
            assert_eq!(reply.header("content-type"), Some(content_type), "{case}");
            assert_eq!(reply.body(), odd, "{case}");
        }
    }
    let stream = "event: transcript.text.delta\ndata: {\"type\":\"transcript.text.delta\",\"delta\":\"a\"}\n\n\
        data: {\"type\":\"transcript.text.done\",\"text\":\"a\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"output_tokens\":2,\"total_tokens\":16}}\n\n: no blank line";
    for pieces in [1, 7, 10_000] {
        let recorded = Scripted::recorded("text/event-stream", stream).lines(Lines::Lf);
        gateway
            .provider("openai")
            .next(recorded.in_pieces_of(pieces));
        let body = form(
            &[("stream", "true"), ("model", "by-openai")],
            ("file", b"x"),
        );
        let reply = send(&gateway, "/v1/audio/transcriptions", &body).send();
        let told = String::from_utf8_lossy(reply.body());
        assert_eq!(told, stream, "in pieces of {pieces}");
        let trace = reply.header("x-tollgate-trace-id");
        assert_eq!(metered(&gateway, trace), (14, 2, "provider".to_owned()));
    }
}

#[test]
fn each_is_metered_by_its_rule() {
    let gateway = start();
    let documents = json!(["one two three", {"text": "four five"}]);
    for (path, body, want) in [
        // Free there, and so nobody says anything: its text is counted.
        (
            "/v1/moderations",
            json!({"model": "by-openai", "input": "how are you"}),
            (3, 0, "counted"),
        ),
        (
            "/v1/audio/speech",
            json!({"model": "by-openai", "input": "how are you", "voice": "alloy"}),
            (3, 0, "counted"),
        ),
        (
            "/v1/rerank",
            json!({"model": "by-openai", "query": "how many", "documents": documents}),
            (7, 0, "provider"),
        ),
        // Cohere bills searches: what it is asked is counted, in tokens.
        (
            "/v1/rerank",
            json!({"model": "by-cohere", "query": "how many", "documents": documents}),
            (7, 0, "counted"),
        ),
        (
            "/v2/rerank",
            json!({"model": "by-cohere", "query": "how many", "documents": ["one two three"]}),
            (5, 0, "counted"),
        ),
        (
            "/v1/images/generations",
            json!({"model": "by-openai", "prompt": "a gate"}),
            (2, 100, "provider"),
        ),
    ] {
        let reply = ask(&gateway, path, body.clone()).send();
        assert_eq!(reply.status(), 200, "{path}: {}", reply.text());
        let (input, output, source) = metered(&gateway, reply.header("x-tollgate-trace-id"));
        assert_eq!((output, source.as_str()), (want.1, want.2), "{path} {body}");
        // A word is a token for the provider; ours is an estimate where it does not say whose words they are.
        let most = if source == "counted" {
            want.0 * 2
        } else {
            want.0
        };
        assert!((want.0..=most).contains(&input), "{path} {body}: {input}");
    }
    // Neither figures nor text: known as a request, at no known price, and never as free.
    gateway
        .provider("openai")
        .next(Scripted::recorded("text/plain", "hello"));
    let body = form(
        &[("model", "by-openai"), ("response_format", "text")],
        ("file", b"x"),
    );
    let reply = send(&gateway, "/v1/audio/translations", &body).send();
    assert_eq!(reply.text(), "hello");
    let record = gateway.record_of(reply.header("x-tollgate-trace-id"));
    assert_eq!(
        (
            &record["usage_source"],
            &record["priced"],
            &record["cost_nanousd"]
        ),
        (&json!("none"), &json!("unknown"), &Value::Null),
        "{record}"
    );
}

#[test]
fn the_order_of_documents_is_asked_of_cohere_in_its_own_words() {
    let gateway = start();
    let body = json!({"model": "by-cohere", "query": "q", "documents": [{"text": "a"}, "b", "c"], "top_n": 2, "return_documents": false});
    let reply = ask(&gateway, "/v1/rerank", body).send();
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let order: Vec<_> = reply.json()["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["index"].clone())
        .collect();
    assert_eq!(order, [2, 1]);
    let seen = gateway.provider("cohere").requests().pop().unwrap();
    assert_eq!(seen.path, "/cohere/v2/rerank");
    let sent: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(
        sent,
        json!({"model": "cohere-small", "documents": ["a", "b", "c"], "query": "q", "top_n": 2})
    );
    for (model, want) in [
        (
            "by-cohere",
            "400 invalid_request_error untranslatable_parameter",
        ),
        (
            "by-gemini",
            "400 invalid_request_error untranslatable_endpoint",
        ),
    ] {
        let body =
            json!({"model": model, "query": "q", "documents": ["a"], "return_documents": true});
        assert_eq!(ask(&gateway, "/v1/rerank", body).send().error(), want);
    }
}

#[test]
fn forms_that_could_be_read_in_two_ways_reach_nobody() {
    let gateway = start();
    let good = form(&[("model", "by-openai")], ("file", b"x"));
    let mut twice = form(
        &[("model", "by-openai"), ("model", "by-azure")],
        ("file", b"x"),
    );
    let path = "/v1/audio/transcriptions";
    let wanted = "400 invalid_request_error invalid_multipart";
    assert_eq!(send(&gateway, path, &twice).send().error(), wanted);
    twice.truncate(twice.len() - 10);
    assert_eq!(send(&gateway, path, &twice).send().error(), wanted);
    let other = gateway
        .call("POST", path)
        .key("team-a")
        .header("content-type", "multipart/form-data; boundary=other");
    assert_eq!(other.bytes(good.as_slice()).send().error(), wanted);
    let json = ask(&gateway, path, json!({"model": "by-openai"}));
    assert_eq!(json.send().error(), wanted);
    let unknown = form(&[("model", "nobody")], ("file", b"x"));
    let reply = send(&gateway, path, &unknown).send();
    assert_eq!(reply.error(), "404 invalid_request_error model_not_found");
    assert_eq!(gateway.attempts(), Vec::<String>::new());
    assert_eq!(send(&gateway, path, &good).send().status(), 200);
}
