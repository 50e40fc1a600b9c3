//! What passes through untouched, what is kept back, and what the gateway adds.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in tests a failure is what an unwrap is for"
)]

use serde_json::json;
use tollgate::fake::Reply;
use tollgate_tests::{End, Gateway, Reply as Answer, Setup};

/// Oddly spaced, with fields nobody has heard of, a name escaped, a number no float can hold.
const ODD_REPLY: &str = "{ \"id\" :\"x\",\n\t\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"h\\u00e9 \\ud83d\\ude00\",\
                         \"mood\":{\"deep\":[1,[2]]}},\"finish_reason\":\"stop\"}],\
                         \"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"energy_joules\":12345678901234567890},\"x_new\":null }\n";

const ODD_STREAM: &str = ": first a comment\n\n\
    data: {\"x\":1,\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n\
    event: custom\r\nid: 7\r\ndata:  {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\",\"mood\":\"\\u00fc\"}}] }\r\n\r\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const ODD_USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"x\":[]}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// Headers that begin with `prefix`, with their values, sorted.
fn headers(reply: &Answer, prefix: &str) -> Vec<(String, String)> {
    let mut headers = reply.headers().to_vec();
    headers.retain(|(name, _)| name.starts_with(prefix));
    headers.sort();
    headers
}

#[test]
fn a_request_reaches_the_provider_as_it_was_written_but_for_the_model() {
    let gateway = Gateway::start("two-providers.yaml");
    for (sent, want) in [
        (
            " {\"x_new\":{\"a\":[1e400,12345678901234567890]},\n\"model\" : \"sm\\u0061ll\",\t\"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9\"}], \"seed\":7} ",
            " {\"x_new\":{\"a\":[1e400,12345678901234567890]},\n\"model\" : \"alpha-small\",\t\"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9\"}], \"seed\":7} ",
        ),
        (
            "{\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true,\"x\":1},\"model\":\"small\"}",
            "{\"messages\":[],\"stream\":true,\"stream_options\":{\"include_usage\":true,\"x\":1},\"model\":\"alpha-small\"}",
        ),
        (
            "{\"messages\":[],\"stream\":true,\"model\":\"small\"}",
            "{\"stream_options\":{\"include_usage\":true},\"messages\":[],\"stream\":true,\"model\":\"alpha-small\"}",
        ),
    ] {
        let reply = gateway
            .call("POST", "/v1/chat/completions")
            .key("team-a")
            .header("content-type", "application/json; charset=utf-8")
            .bytes(sent)
            .send();
        let seen = gateway.seen().pop().unwrap().1;
        assert_eq!(
            String::from_utf8(seen.body.clone()).unwrap(),
            want,
            "{}",
            reply.text()
        );
        let length = seen.body.len().to_string();
        assert_eq!(
            (seen.header("content-length"), seen.header("content-type")),
            (
                Some(length.as_str()),
                Some("application/json; charset=utf-8")
            )
        );
    }
}

#[test]
fn a_reply_comes_back_byte_for_byte() {
    let gateway = Gateway::start("two-providers.yaml");
    let alpha = gateway.provider("alpha");
    alpha.next(Reply::recorded("application/json", ODD_REPLY));
    let reply = gateway.chat("small", "hi").key("team-a").send();
    assert_eq!(String::from_utf8_lossy(reply.body()), ODD_REPLY);

    let whole = [ODD_STREAM, ODD_USAGE, DONE].concat();
    let without_usage = [ODD_STREAM, DONE].concat();
    for pieces in [1, 7, 10_000] {
        for (options, want) in [
            (json!({"include_usage": true}), &whole),
            (json!({"include_usage": false}), &without_usage),
            (json!(null), &without_usage),
        ] {
            let stream = Reply::recorded("text/event-stream", whole.as_str());
            alpha.next(stream.in_pieces_of(pieces));
            let reply = gateway
                .chat("small", "hi")
                .field("stream_options", options.clone())
                .field("stream", true)
                .key("team-a")
                .send();
            assert_eq!(
                String::from_utf8_lossy(reply.body()),
                *want,
                "{options} in pieces of {pieces}"
            );
        }
    }
    let records = gateway.records(10);
    let tokens: Vec<_> = records
        .iter()
        .map(|record| &record["tokens"]["input"])
        .collect();
    assert_eq!(tokens, [3; 10], "hidden or not, the usage is read");
}

#[test]
fn tokens_reach_the_caller_while_the_provider_still_thinks() {
    let gateway = Gateway::start("two-providers.yaml");
    // After two tokens nothing more comes: whoever waits for the end would wait for ever.
    gateway
        .provider("alpha")
        .next(Reply::text("one two three").breaks("stall@2"));
    let mut stream = gateway.chat("small", "hi").key("team-a").stream();
    let text: String = stream
        .read_tokens(2)
        .iter()
        .map(tollgate_tests::Event::delta)
        .collect();
    assert_eq!((text.as_str(), stream.end()), ("one two", None));
    assert_eq!(
        stream.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
}

#[test]
fn a_reply_says_who_answered_and_under_which_trace() {
    let gateway = Gateway::start("two-providers.yaml");
    gateway
        .provider("alpha")
        .script([Reply::healthy(), Reply::status(503)]);
    let mut costs = Vec::new();
    for (provider, model, attempts) in [("alpha", "alpha-small", "1"), ("beta", "beta-small", "2")]
    {
        let reply = gateway
            .chat("small", "hi")
            .key("team-a")
            .header(
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            )
            .header("x-tollgate-provider", "forged")
            .send();
        let want = [
            ("x-tollgate-attempts", attempts),
            ("x-tollgate-model", model),
            ("x-tollgate-provider", provider),
            ("x-tollgate-trace-id", "0af7651916cd43dd8448eb211c80319c"),
        ];
        let want = want.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (cost, told): (Vec<_>, Vec<_>) = headers(&reply, "x-tollgate-")
            .into_iter()
            .partition(|(name, _)| name == "x-tollgate-cost");
        assert_eq!(told, want);
        costs.extend(cost.into_iter().map(|(_, cost)| format!("${cost}")));
    }
    let refused = gateway
        .chat("nothing", "hi")
        .key("team-a")
        .header("x-trace-id", "mine-1")
        .send();
    let want = ("x-tollgate-trace-id".to_owned(), "mine-1".to_owned());
    assert_eq!(
        headers(&refused, "x-tollgate-"),
        [want],
        "also what was refused can be found"
    );

    let records = gateway.records(3);
    let recorded = records.iter().take(2).map(|record| {
        let nanos = record["cost_nanousd"].as_u64().unwrap();
        tollgate_core::units::NanoUsd(nanos).to_string()
    });
    assert_eq!(costs, recorded.collect::<Vec<_>>());
    let traces: Vec<_> = records
        .iter()
        .map(|record| record["trace_id"].clone())
        .collect();
    assert_eq!(traces[1..], ["0af7651916cd43dd8448eb211c80319c", "mine-1"]);
    let seen = gateway.seen();
    assert!(
        seen.iter()
            .all(|(_, seen)| seen.header("x-tollgate-provider").is_none())
    );
}

#[test]
fn headers_of_ours_can_be_switched_off_and_those_of_a_providers_account_never_pass() {
    let silent = "telemetry:\n  response_headers: false\n  access_log: {log}";
    let config = include_str!("../harness/gateways/two-providers.yaml");
    let config = config.replace("telemetry:\n  access_log: {log}", silent);
    assert!(config.contains(silent));
    let gateway = Setup::of(&config).start();
    let account = [
        ("openai-organization", "acme-prod"),
        ("openai-project", "proj_1"),
        ("set-cookie", "__cf_bm=secret; path=/"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-remaining-tokens", "149984"),
        ("cf-ray", "8f1"),
        ("server", "cloudflare"),
        ("via", "1.1 somewhere"),
        ("x-tollgate-provider", "forged"),
    ];
    let with_account = |reply: Reply| {
        account
            .iter()
            .fold(reply, |reply, (name, value)| reply.header(name, value))
    };
    let alpha = gateway.provider("alpha");
    alpha.always(with_account(
        Reply::text("hello").header("openai-processing-ms", "12"),
    ));
    let chat = || gateway.chat("small", "hi").key("team-a");
    let reply = chat().send();
    assert_eq!(
        (reply.text().as_str(), reply.header("openai-processing-ms")),
        ("hello", Some("12"))
    );
    let streamed = chat().field("stream", true).send();
    assert_eq!(
        (streamed.text().as_str(), streamed.end()),
        ("hello", End::Complete)
    );
    alpha.heal();
    alpha.next(with_account(Reply::status(400)));
    let error = chat().send();
    assert_eq!(error.status(), 400);
    let refused = gateway.chat("nothing", "hi").key("team-a").send();
    for reply in [reply, streamed, error, refused] {
        for (name, value) in account {
            assert_ne!(reply.header(name), Some(value), "{:?}", reply.headers());
        }
        assert_eq!(headers(&reply, "x-tollgate-"), []);
        assert_eq!(headers(&reply, "x-envoy-"), []);
    }
}

#[test]
fn each_key_is_shown_the_models_it_may_use_and_no_others() {
    let gateway = Gateway::start("two-providers.yaml");
    let models = |path: &str, key: &str| gateway.call("GET", path).key(key).send();
    for (key, want) in [
        ("team-a", vec!["only-beta", "small"]),
        ("beta-only", vec!["only-beta"]),
    ] {
        let list = models("/v1/models", key).json();
        let entries = list["data"].as_array().unwrap();
        let names: Vec<_> = entries
            .iter()
            .map(|entry| entry["id"].as_str().unwrap())
            .collect();
        assert_eq!(
            (list["object"].as_str(), names),
            (Some("list"), want),
            "{key}"
        );
        assert!(
            entries
                .iter()
                .all(|entry| entry["object"] == "model" && entry["created"].is_u64())
        );
    }
    assert_eq!(models("/v1/models/small", "team-a").json()["id"], "small");
    // For a key that may not use it, a model is as good as not there.
    for (path, key) in [
        ("/v1/models/small", "beta-only"),
        ("/v1/models/nothing", "beta-only"),
    ] {
        assert_eq!(
            models(path, key).error(),
            "404 invalid_request_error model_not_found"
        );
    }
    assert_eq!(gateway.attempts(), [""; 0], "no provider is asked for that");
}

#[test]
fn embeddings_and_legacy_completions_are_metered_like_chats() {
    let gateway = Gateway::start("two-providers.yaml");
    let ask = |path: &str, body| gateway.call("POST", path).key("team-a").json(body).send();
    let vectors = ask(
        "/v1/embeddings",
        json!({"model": "small", "input": ["one two three", "four"], "dimensions": 8}),
    );
    assert_eq!(
        vectors.json()["data"][1]["embedding"]
            .as_array()
            .unwrap()
            .len(),
        8
    );
    gateway.provider("alpha").always(Reply::text(" and so on"));
    let whole = ask(
        "/v1/completions",
        json!({"model": "small", "prompt": "once upon a time"}),
    );
    let streamed = ask(
        "/v1/completions",
        json!({"model": "small", "prompt": "once upon a time", "stream": true}),
    );
    assert_eq!(
        [whole.text(), streamed.text()],
        [" and so on", " and so on"]
    );

    // Dollars for a million tokens are thousands of nano-dollars for one: 150 in, 600 out.
    let told: Vec<_> = gateway
        .records(3)
        .iter()
        .map(|record| {
            let tokens = &record["tokens"];
            json!([
                record["endpoint"],
                record["stream"],
                record["end"],
                tokens["input"],
                tokens["output"],
                record["cost_nanousd"]
            ])
        })
        .collect();
    assert_eq!(
        told,
        [
            json!(["/v1/embeddings", false, "ok", 4, 0, 4 * 150]),
            json!(["/v1/completions", false, "ok", 4, 3, 4 * 150 + 3 * 600]),
            json!(["/v1/completions", true, "ok", 4, 3, 4 * 150 + 3 * 600]),
        ]
    );
    let paths: Vec<_> = gateway
        .seen()
        .into_iter()
        .map(|(_, seen)| seen.path)
        .collect();
    assert_eq!(
        paths,
        ["/v1/embeddings", "/v1/completions", "/v1/completions"]
    );
}
