//! Crossings are what a filter costs, and those that return bytes most of all (about 2 microseconds each, an
//! integer 0.1): a request has a budget of them.

use crate::host::Host;

pub(crate) const GATEWAY: i32 = 1;
pub(crate) const ATTEMPT: i32 = 2;

const CONFIGURATION: &str = r#"{
  "role": "gateway", "body_bytes_max": 8388608, "idle_timeout_ms": 10000,
  "providers": [
    {"name": "alpha", "dialect": "openai", "cluster": "tollgate-alpha", "authority": "alpha.example", "path": "/v1",
     "first_token_timeout_ms": 5000, "reply_timeout_ms": 600000},
    {"name": "beta", "dialect": "openai", "cluster": "tollgate-beta", "authority": "beta.example", "path": "/v1",
     "first_token_timeout_ms": 5000, "reply_timeout_ms": 600000}],
  "models": [{"name": "small", "targets": [
    {"provider": 0, "model": "alpha-small", "price": {"rates": {"input": 150000000, "output": 600000000}}},
    {"provider": 1, "model": "beta-small", "price": {"rates": {"input": 150000000, "output": 600000000}}}]}],
  "keys": [{"sha256": "KEY", "name": "team-a", "team": "a"}],
  "telemetry": {"label_values_max": 1000, "response_headers": true}
}"#;

pub(crate) const WORD: &[u8] = b"data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word\"}}],\"usage\":null}\n\n";
const END: &[u8] = b"data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n";

/// The filter that `make build` made, with both roles configured.
pub(crate) fn loaded() -> Host {
    let path = std::env::var("TOLLGATE_WASM")
        .expect("TOLLGATE_WASM names the filter; `make test` sets it");
    let mut host = Host::load(&std::fs::read(path).expect("the filter"));
    let key = tollgate_core::auth::hash(b"sk-tg-team-a");
    let configuration = CONFIGURATION.replace("KEY", std::str::from_utf8(&key).unwrap());
    host.plugin(GATEWAY, &configuration);
    host.plugin(ATTEMPT, r#"{"role":"attempt","hop":null}"#.replace(r#""hop":null"#, r#""cluster":{"provider":"alpha"}"#).as_str());
    host
}

/// As Envoy and an SDK send it.
pub(crate) const HEAD: [(&str, &str); 12] = [
    (":authority", "gateway:10000"),
    (":path", "/v1/chat/completions"),
    (":method", "POST"),
    (":scheme", "http"),
    ("authorization", "Bearer sk-tg-team-a"),
    ("content-type", "application/json"),
    ("user-agent", "OpenAI/Python 3.52.0"),
    ("x-stainless-lang", "python"),
    ("accept-encoding", "gzip, deflate"),
    ("x-forwarded-for", "10.0.0.1"),
    ("x-forwarded-proto", "http"),
    ("x-request-id", "6206ed7b-7117-44bd-a7af-e09fddf4dc44"),
];

/// From the head of the request to the provider; gives the two contexts.
fn sent(host: &mut Host, number: i32, body: &[u8]) -> (i32, i32) {
    let (gateway, attempt) = (number * 10, number * 10 + 1);
    host.set_request(&HEAD, body);
    host.stream(gateway, GATEWAY);
    assert_eq!(
        host.request_head(gateway, false),
        1,
        "held until its body is whole"
    );
    assert_eq!(
        host.request_body(gateway, true),
        0,
        "{:?}",
        host.world().answered
    );
    assert!(host.request("authorization").is_none() && host.request("x-forwarded-for").is_none());
    host.stream(attempt, ATTEMPT);
    assert_eq!(host.request_head(attempt, false), 0);
    assert_eq!(host.request_body(attempt, true), 0);
    assert_eq!(host.request("x-tollgate-exchange"), None);
    let length = host.body_of_request().len().to_string();
    assert_eq!(host.request("content-length"), Some(length.as_str()));
    (gateway, attempt)
}

/// Both streams are over; gives the record of the request.
fn ended(host: &mut Host, gateway: i32, attempt: i32) -> serde_json::Value {
    host.end(gateway, true);
    host.end(attempt, false);
    let record = host.world().properties.remove("tollgate_record");
    serde_json::from_slice(&record.expect("a record")).expect("JSON")
}

fn plain(host: &mut Host, number: i32) {
    let body = br#"{"model":"small","messages":[{"role":"user","content":"hi"}]}"#;
    let (gateway, attempt) = sent(host, number, body);
    let reply = br#"{"id":"1","choices":[{"message":{"content":"hello"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    host.set_reply(
        &[
            (":status", "200"),
            ("content-type", "application/json"),
            ("server", "alpha"),
        ],
        reply,
    );
    assert_eq!(
        host.reply_head(attempt, false),
        1,
        "held until its body proves it"
    );
    assert_eq!(host.reply_body(attempt, true), 0);
    assert_eq!(host.reply_head(gateway, false), 0);
    assert_eq!(host.reply_body(gateway, true), 0);
    let record = ended(host, gateway, attempt);
    assert_eq!(
        (&record["end"], &record["tokens"]["input"]),
        (&"ok".into(), &3.into()),
        "{record}"
    );
}

#[test]
fn a_request_crosses_the_border_no_more_than_it_must() {
    let mut host = loaded();
    plain(&mut host, 1);
    host.crossings();
    plain(&mut host, 2);
    let (calls, returning_bytes) = host.crossings();
    assert!(
        returning_bytes <= 5,
        "{returning_bytes} calls return bytes: {calls:?}"
    );
    assert_eq!(
        calls.get("define_metric"),
        None,
        "series are defined once: {calls:?}"
    );
    let all: u32 = calls.values().sum();
    assert!(all <= 42, "{all} calls: {calls:?}");
}

#[test]
fn an_event_of_a_stream_crosses_once_to_be_read_and_is_not_written() {
    let mut host = loaded();
    let body = br#"{"model":"small","stream":true,"messages":[]}"#;
    let (gateway, attempt) = sent(&mut host, 1, body);
    host.set_reply(
        &[(":status", "200"), ("content-type", "text/event-stream")],
        WORD,
    );
    assert_eq!(host.reply_head(attempt, false), 1);
    assert_eq!(host.reply_body(attempt, false), 0);
    assert_eq!(host.reply_head(gateway, false), 0);
    host.crossings();
    for _ in 0..10 {
        host.set_reply_body(WORD);
        assert_eq!(host.reply_body(attempt, false), 0);
        assert_eq!(host.reply_body(gateway, false), 0);
    }
    let (calls, returning_bytes) = host.crossings();
    assert_eq!(
        (returning_bytes, calls.get("set_buffer_bytes")),
        (10, None),
        "{calls:?}"
    );
    let all: u32 = calls.values().sum();
    assert!(all <= 20, "{all} calls for ten events: {calls:?}");
    host.set_reply_body(END);
    assert_eq!(host.reply_body(attempt, true), 0);
    let record = ended(&mut host, gateway, attempt);
    assert_eq!(
        (&record["end"], &record["tokens"]["output"]),
        (&"ok".into(), &4.into()),
        "{record}"
    );
}

#[test]
fn memory_does_not_grow_with_requests() {
    let mut host = loaded();
    for number in 1..50 {
        plain(&mut host, number);
    }
    let before = host.memory_bytes();
    for number in 50..1_000 {
        plain(&mut host, number);
    }
    assert_eq!(host.memory_bytes(), before);
    assert!(before <= 4 * 1_024 * 1_024, "{before} bytes");
}

#[test]
fn the_filter_is_not_heavy() {
    let path = std::env::var("TOLLGATE_WASM")
        .expect("TOLLGATE_WASM names the filter; `make test` sets it");
    let bytes = std::fs::metadata(&path).expect("the filter").len();
    assert!(bytes <= 4_000_000, "{bytes} bytes");
    let packed = std::process::Command::new("gzip")
        .args(["-9", "-c", &path])
        .output();
    let packed = packed.expect("gzip").stdout.len();
    assert!(packed > 0 && packed <= 2_500_000, "{packed} bytes by gzip");
}
