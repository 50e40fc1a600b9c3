//! Records: one line for each request.

use std::fs;

use serde_json::{Value, json};
use tollgate::fake::{Ending, Reply};
use tollgate_tests::{Gateway, PATIENCE};

use crate::CONFIG;

/// The fields of a record that are named, as a list.
fn fields(record: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| record[name].clone()).collect()
}

/// Those that are there at all, in their order of the alphabet.
fn names(record: &Value) -> String {
    let names: Vec<_> = record.as_object().unwrap().keys().cloned().collect();
    names.join(" ")
}

/// `end status code model [provider end why, ...] usage_source`, with `-` for what is not there.
fn told(record: &Value) -> String {
    let word = |value: &Value| {
        let other = || {
            if value.is_null() {
                "-".to_owned()
            } else {
                value.to_string()
            }
        };
        value.as_str().map_or_else(other, str::to_owned)
    };
    let attempts = record["attempts"].as_array().into_iter().flatten();
    let attempts: Vec<_> = attempts
        .map(|tried| {
            ["provider", "end", "why"]
                .map(|name| word(&tried[name]))
                .join(" ")
        })
        .collect();
    let [end, status, code, model, source] =
        ["end", "status", "code", "model", "usage_source"].map(|name| word(&record[name]));
    format!(
        "{end} {status} {code} {model} [{}] {source}",
        attempts.join(", ")
    )
}

/// The next record, which is the last; what is not said to have cost anything has no cost.
fn ends(gateway: &Gateway, count: usize, want: &str) {
    let record = gateway.records(count).pop().unwrap();
    assert_eq!(told(&record), want, "{record:#}");
    let used = !want.ends_with('-');
    assert_eq!(
        record.get("cost_nanousd").is_some(),
        used,
        "{want}: {record:#}"
    );
}

#[test]
fn every_kind_of_end_has_its_name() {
    let gateway = Gateway::with(CONFIG);
    let alpha = gateway.provider("alpha");
    let chat = |model| gateway.chat(model, "one two three").key("red-1");

    chat("small").send();
    ends(&gateway, 1, "ok 200 - small [alpha 200 -] provider");
    gateway.call("GET", "/v1/models").key("red-1").send();
    ends(&gateway, 2, "answered 200 - - [] -");
    gateway.chat("small", "hi").send();
    ends(&gateway, 3, "refused 401 missing_api_key - [] -");
    chat("nothing").send();
    ends(&gateway, 4, "refused 404 model_not_found - [] -");
    alpha.next(Reply::status(400));
    chat("small").send();
    ends(
        &gateway,
        5,
        "provider_refused 400 provider_refused small [alpha 400 -] -",
    );
    alpha.next(Reply::status(500));
    chat("alone").send();
    ends(
        &gateway,
        6,
        "failed 502 provider_error alone [alpha 500 status] -",
    );
    alpha.next(Reply::text("a b c").breaks("end@2"));
    chat("small").field("stream", true).send();
    ends(&gateway, 7, "cut 200 - small [alpha 200 -] counted");
    alpha.next(Reply::text("a b c").breaks("stall@2"));
    let mut stream = chat("small").stream();
    stream.read_tokens(2);
    stream.leave();
    ends(&gateway, 8, "client_left 200 - small [alpha 200 -] counted");
    alpha.next(Reply::breaking("stall@start"));
    let mut wire = gateway.wire();
    wire.send(chat("small").to_bytes());
    alpha
        .wait(PATIENCE, |seen| {
            seen.iter().any(|seen| seen.ending == Ending::Open)
        })
        .unwrap();
    drop(wire);
    ends(&gateway, 9, "client_left 0 - small [alpha pending -] -");
}

#[test]
fn a_record_says_who_asked_what_and_who_served_it() {
    let gateway = Gateway::with(CONFIG);
    gateway.provider("alpha").next(Reply::status(429));
    gateway
        .provider("beta")
        .next(Reply::text("a b c").pace_ms(20));
    gateway
        .chat("small", "hi")
        .key("red-1")
        .header("x-trace-id", "t-1")
        .field("stream", true)
        .send();
    let record = gateway.record();
    let want = json!([
        "t-1",
        "acme",
        "red",
        "ann",
        "red-1",
        "/v1/chat/completions",
        "small",
        "beta",
        "beta-small",
        true,
        "fallback"
    ]);
    let asked = [
        "trace_id",
        "org",
        "team",
        "user",
        "key",
        "endpoint",
        "model",
        "provider",
        "model_served",
        "stream",
        "routed",
    ];
    assert_eq!(fields(&record, &asked), want, "{record:#}");
    let number = |name: &str| record[name].as_u64().unwrap();
    // Two tokens come after the first, 20 ms apart.
    assert!(
        number("duration_ms") >= number("first_token_ms") + 40,
        "{record:#}"
    );
    assert!(
        (1..=75).contains(&number("tokens_per_second")),
        "{record:#}"
    );
    assert!(
        record["time"].as_str().unwrap().ends_with('Z'),
        "{record:#}"
    );

    // Who belongs to no org and is nobody in particular has no such fields, rather than empty ones.
    gateway.chat("nothing", "hi").key("blue-1").send();
    let refused = gateway.records(2).pop().unwrap();
    assert_eq!(
        names(&refused),
        "code duration_ms end key status stream team time trace_id"
    );
}

/// How it is asked, the model, what the provider replies to ten words, then the tokens by class (input, cached input,
/// cache write, output, reasoning) and the cost in nano-dollars.
const COSTS: &str = r#"
whole   | small    | text=a b c                                                                  | 10 0 0 3 0         | 3300
stream  | small    | text=a b c                                                                  | 10 0 0 3 0         | 3300
whole   | small    | text=a b c;cached_tokens=4;reasoning_tokens=5                               | 6 4 0 3 5          | 9000
stream  | small    | text=a b c;cached_tokens=10;reasoning_tokens=7                              | 0 10 0 3 7         | 10950
whole   | small    | usage={"claimed":{"prompt_tokens":900000000,"completion_tokens":3}}         | 900000000 0 0 3 0 | 135000001800
whole   | cents    | usage={"claimed":{"prompt_tokens":3,"completion_tokens":4}}                 | 3 0 0 4 0          | 351
stream  | cents    | usage={"claimed":{"prompt_tokens":11,"completion_tokens":0}}                | 11 0 0 0 0         | 552
whole   | unpriced | text=a b c                                                                  | 10 0 0 3 0         | unknown
stream  | unpriced | text=a b c                                                                  | 10 0 0 3 0         | unknown
"#;

#[test]
fn a_cost_is_exact_with_every_class_of_token_at_its_own_price() {
    let gateway = Gateway::with(CONFIG);
    let classes = [
        "input",
        "cached_input",
        "cache_write",
        "output",
        "reasoning",
    ];
    for (done, line) in COSTS.trim().lines().enumerate() {
        let columns: Vec<_> = line.split('|').map(str::trim).collect();
        let provider = if columns[1] == "small" {
            "alpha"
        } else {
            "beta"
        };
        gateway.provider(provider).next(columns[2].parse().unwrap());
        let chat = gateway
            .chat(columns[1], "1 2 3 4 5 6 7 8 9 10")
            .key("red-1");
        chat.field("stream", columns[0] == "stream").send();
        let record = gateway.records(done + 1).pop().unwrap();
        let tokens = classes
            .map(|class| record["tokens"][class].to_string())
            .join(" ");
        // 350.7 nano-dollars are 351: rounded up once, not in each class. What has no known price is not free.
        let cost = match record["priced"].as_str() {
            Some(said) if record.get("cost_nanousd").is_none() => said.to_owned(),
            _ => record["cost_nanousd"].to_string(),
        };
        assert_eq!(
            (tokens.as_str(), cost.as_str()),
            (columns[3], columns[4]),
            "{line}: {record:#}"
        );
        assert_eq!(record["usage_source"], "provider", "{line}");
    }
    let unpriced = [("provider", "beta"), ("model", "unpriced")];
    assert_eq!(gateway.metric("tollgate_unpriced_total", &unpriced), 2);
    assert_eq!(gateway.metric("tollgate_unpriced_total", &[]), 2);
    assert_eq!(
        gateway.metric("tollgate_cost_nanousd_total", &[("model", "unpriced")]),
        0
    );
    assert_eq!(gateway.metric("tollgate_tokens_total", &unpriced), 26);
}

#[test]
fn what_was_said_and_with_which_key_is_nowhere_in_log_or_metrics() {
    let gateway = Gateway::with(CONFIG);
    let (alpha, beta) = (gateway.provider("alpha"), gateway.provider("beta"));
    let chat = || gateway.chat("small", "SECRET prompt").key("red-1");
    alpha.always(Reply::text("SECRET reply"));
    chat().send();
    chat().field("stream", true).send();
    gateway
        .call("POST", "/v1/embeddings")
        .key("red-1")
        .json(json!({"model": "small", "input": "SECRET input"}))
        .send();
    alpha.heal();
    let words = r#"{"error":{"message":"SECRET words of the provider","type":"invalid_request_error","code":"SECRET_code"}}"#;
    alpha.next(Reply::status(400).body("application/json", words));
    chat().send();
    alpha.next(Reply::status(500).body("application/json", words));
    beta.next(Reply::status(500).body("application/json", words));
    chat().send();
    for body in [
        r#"{"model":"small","messages":"SECRET"#,
        r#"{"model":"small","SECRET":1,"model":"SECRET"}"#,
        r#"{"model":"SECRET"}"#,
        r#"{"model":"small","stream":"SECRET"}"#,
    ] {
        gateway
            .call("POST", "/v1/chat/completions")
            .key("red-1")
            .bytes(body)
            .send();
    }
    gateway
        .call("GET", "/v1/models/SECRET?SECRET=1")
        .key("red-1")
        .header("cookie", "SECRET")
        .send();
    gateway
        .call("GET", "/SECRET")
        .header("authorization", "Bearer sk-tg-SECRET")
        .send();

    assert_eq!(gateway.records(11).len(), 11);
    let log = fs::read_to_string(gateway.directory().join("access.log")).unwrap();
    for (place, text) in [
        ("access log", log),
        ("Envoy's log", gateway.envoy_log()),
        ("metrics", gateway.ask_envoy("/stats/prometheus").text()),
        ("stats", gateway.ask_envoy("/stats").text()),
    ] {
        assert!(!text.is_empty(), "{place}");
        let found: Vec<_> = text
            .lines()
            .filter(|line| line.contains("SECRET") || line.contains("sk-tg-"))
            .collect();
        assert!(found.is_empty(), "{place}: {found:#?}");
    }
}
