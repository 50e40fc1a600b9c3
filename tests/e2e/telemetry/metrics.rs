//! Metrics: what they sum up to, and what they are labelled with.

use std::collections::BTreeMap;
use std::thread;

use serde_json::{Value, json};
use tollgate::fake::Reply;
use tollgate_tests::{Gateway, Setup, wait_for};

use crate::CONFIG;
use crate::exposition::{Metrics, metrics};

/// What the metrics must be if the records are true: the labels of each, and nothing that is not in a record.
fn expected(records: &[Value]) -> Metrics {
    let mut metrics = Metrics::new();
    let mut add = |name: &str, labels: &[(&str, &Value)], value: u64| {
        let text = |(label, value): &(&str, &Value)| {
            let missing = if *label == "model" { "unknown" } else { "none" };
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (
                label.to_string(),
                if value == "null" {
                    missing.to_owned()
                } else {
                    value
                },
            )
        };
        let labels = labels.iter().map(text).collect();
        *metrics.entry((name.to_owned(), labels)).or_default() += value;
    };
    for record in records {
        let who = [
            ("provider", &record["provider"]),
            ("model", &record["model"]),
        ];
        let team = ("team", &record["team"]);
        add(
            "tollgate_requests_total",
            &[who[0], who[1], team, ("status", &record["status"])],
            1,
        );
        if record.get("endpoint").is_some() {
            add("tollgate_request_duration_ms_count", &who, 1);
        }
        if record.get("first_token_ms").is_some() {
            add("tollgate_time_to_first_token_ms_count", &who, 1);
        }
        for (kind, tokens) in record["tokens"].as_object().into_iter().flatten() {
            let tokens = tokens.as_u64().unwrap();
            if tokens > 0 {
                add(
                    "tollgate_tokens_total",
                    &[who[0], who[1], team, ("kind", &json!(kind))],
                    tokens,
                );
            }
        }
        if let Some(cost) = record["cost_nanousd"].as_u64() {
            add(
                "tollgate_cost_nanousd_total",
                &[who[0], who[1], team, ("user", &record["user"])],
                cost,
            );
        }
        if record.get("priced").is_some() {
            add("tollgate_unpriced_total", &who, 1);
        }
        let attempts = record["attempts"].as_array().cloned().unwrap_or_default();
        for pair in attempts.windows(2) {
            add(
                "tollgate_fallbacks_total",
                &[
                    ("provider", &pair[0]["provider"]),
                    who[1],
                    ("kind", &pair[0]["why"]),
                ],
                1,
            );
        }
    }
    metrics
}

/// Ten callers at once, ten requests each, of every kind.
fn ask_a_hundred_times(gateway: &Gateway) {
    let ask = |thread: usize, number: usize| {
        let key = ["red-1", "red-2", "blue-1"][(thread + number) % 3];
        let model = ["small", "small", "small", "cents", "unpriced"][(thread * 3 + number) % 5];
        let text = "several words ".repeat(number + 1);
        let chat = |model| gateway.chat(model, &text);
        let call = match number {
            0 => chat("nothing").key(key),
            1 => chat(model).key("nobody"),
            2 => gateway
                .call("POST", "/v1/embeddings")
                .key(key)
                .json(json!({"model": model, "input": text})),
            _ => chat(model)
                .key(key)
                .field("stream", number.is_multiple_of(2)),
        };
        call.send();
    };
    thread::scope(|scope| {
        for thread in 0..10 {
            scope.spawn(move || (0..10).for_each(|number| ask(thread, number)));
        }
    });
}

/// The counts of the page, once it has all that is wanted: Envoy adds up histograms every few seconds.
fn counts(gateway: &Gateway, want: &Metrics) -> Metrics {
    let sum = |metrics: &Metrics| -> u64 {
        let histograms = metrics
            .iter()
            .filter(|((name, _), _)| name.ends_with("_count"));
        histograms.map(|(_, value)| value).sum()
    };
    wait_for("all requests in the metrics", || {
        let mut got = metrics(gateway);
        got.retain(|(name, _), _| !name.ends_with("_bucket") && !name.ends_with("_sum"));
        (sum(&got) >= sum(want)).then_some(got)
    })
}

/// Tokens of these classes that records say a provider has served.
fn tokens(records: &[Value], provider: &str, classes: &[&str]) -> u64 {
    let served = records
        .iter()
        .filter(|record| record["provider"] == provider);
    served
        .flat_map(|record| {
            classes
                .iter()
                .filter_map(|class| record["tokens"][class].as_u64())
        })
        .sum()
}

#[test]
fn after_a_mixed_run_metrics_records_and_providers_agree_to_the_token_and_the_nano_dollar() {
    let gateway = Setup::of(CONFIG).workers(2).start();
    let (alpha, beta) = (gateway.provider("alpha"), gateway.provider("beta"));
    alpha.always(Reply::status(429).every(5));
    alpha.always(Reply::breaking("error@start").every(7));
    alpha.always(Reply::status(400).every(11));
    alpha.always(
        Reply::tokens(9)
            .cached_tokens(2)
            .reasoning_tokens(3)
            .every(2),
    );
    beta.always(Reply::status(500).every(6));
    ask_a_hundred_times(&gateway);

    let records = gateway.records(100);
    assert_eq!(records.len(), 100);
    let want = expected(&records);
    assert_eq!(counts(&gateway, &want), want);
    for (name, fake) in [("alpha", alpha), ("beta", beta)] {
        let prompt = tokens(&records, name, &["input", "cached_input", "cache_write"]);
        let completion = tokens(&records, name, &["output", "reasoning"]);
        let totals = fake.totals();
        assert_eq!(
            (prompt, completion),
            (totals.prompt_tokens, totals.completion_tokens),
            "{name}"
        );
    }
    // The run was as mixed as it means to be.
    for (name, label, value) in [
        ("fallbacks", "kind", "rate_limited"),
        ("fallbacks", "kind", "error_in_reply"),
        ("requests", "status", "400"),
        ("requests", "status", "401"),
        ("requests", "status", "404"),
        ("requests", "status", "502"),
        ("tokens", "kind", "cached_input"),
        ("tokens", "kind", "reasoning"),
        ("cost_nanousd", "user", "none"),
        ("unpriced", "provider", "beta"),
    ] {
        let name = format!("tollgate_{name}_total");
        assert!(
            gateway.metric(&name, &[(label, value)]) > 0,
            "{name} {label} {value}"
        );
    }
}

/// Five teams, each one user; the second name is as odd as the configuration takes.
fn many_teams(telemetry: &str) -> String {
    let (head, _) = CONFIG.split_once("tenants:").unwrap();
    let mut text = format!("{head}tenants:\n  keys:\n");
    for (number, name) in TEAMS.iter().enumerate() {
        text.push_str(&format!(
            "  - {{name: k{number}, sha256: {{key k{number}}}, team: '{name}', user: 'u-{name}'}}\n"
        ));
    }
    text + "prices:\n  alpha/alpha-small: {input: 0.15, output: 0.60}\ntelemetry:\n  access_log: {log}\n"
        + telemetry
}

const TEAMS: [&str; 5] = ["one", "a.b_c/d@e:f-g", "three", "four", "other"];

#[test]
fn teams_and_users_beyond_the_cap_are_counted_as_other() {
    let gateway = Setup::of(&many_teams("  label_values_max: 2\n"))
        .workers(2)
        .start();
    for _ in 0..4 {
        for number in 0..TEAMS.len() {
            gateway
                .chat("alone", "hi")
                .key(&format!("k{number}"))
                .send();
        }
    }
    gateway.records(20);
    wait_for("20 requests in the metrics", || {
        (gateway.metric("tollgate_requests_total", &[]) == 20).then_some(())
    });
    let page = metrics(&gateway);
    let by = |metric: &str, label: &str| {
        let mut counts = BTreeMap::<String, u64>::new();
        for ((name, labels), value) in &page {
            if name == metric {
                *counts.entry(labels[label].clone()).or_default() += value;
            }
        }
        counts.into_iter().collect::<Vec<_>>()
    };
    let want = |names: [&str; 3], values: [u64; 3]| {
        names
            .map(str::to_owned)
            .into_iter()
            .zip(values)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        by("tollgate_requests_total", "team"),
        want(["a.b_c/d@e:f-g", "one", "other"], [4, 4, 12])
    );
    // `alpha heard: hi`: one token in, three out.
    let cost = 4 * (150 + 3 * 600);
    assert_eq!(
        by("tollgate_cost_nanousd_total", "user"),
        want(
            ["other", "u-a.b_c/d@e:f-g", "u-one"],
            [3 * cost, cost, cost]
        )
    );
}

#[test]
fn a_name_that_would_break_a_metric_does_not_get_into_the_configuration() {
    for name in [
        "a\"b",
        "a;.b",
        "tgteam=.=x;.",
        "ünï",
        "a b",
        "a{B}",
        "a\\b",
        "a\\nb",
    ] {
        let odd = many_teams("").replace("three", name);
        assert!(odd.contains(name));
        let refused = Setup::of(&odd)
            .try_start()
            .err()
            .unwrap_or_else(|| panic!("{name} was taken"));
        assert_eq!(refused.code, Some(1));
        for field in ["tenants.keys[2].team", "tenants.keys[2].user"] {
            assert!(refused.message.contains(field), "{}", refused.message);
        }
    }
}
