//! What is told about requests afterwards: one record each, metrics that agree with it, and never what was said.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "in tests a failure is what an unwrap is for"
)]

use std::collections::BTreeMap;
use std::{fs, thread};

use serde_json::{Value, json};
use tollgate::fake::{Ending, Reply, UsageClaim};
use tollgate_tests::{Gateway, PATIENCE, Setup, wait_for};

/// Alpha's prices are 150, 75, 600 and 1200 nano-dollars a token; a token of `cents` is 50.1, and `unpriced` has no price.
const CONFIG: &str = "
listen: {address: {listen}}
admin: {address: {admin}}
providers:
  alpha: {dialect: openai, url: http://{alpha}/v1}
  beta: {dialect: openai, url: http://{beta}/v1}
models:
  small:
    targets: [{provider: alpha, model: alpha-small}, {provider: beta, model: beta-small}]
  alone:
    targets: [{provider: alpha, model: alpha-small}]
  cents:
    targets: [{provider: beta, model: beta-cents}]
  unpriced:
    targets: [{provider: beta, model: beta-new}]
tenants:
  keys:
  - {name: red-1, sha256: {key red-1}, org: acme, team: red, user: ann}
  - {name: red-2, sha256: {key red-2}, org: acme, team: red, user: bob}
  - {name: blue-1, sha256: {key blue-1}, team: blue}
prices:
  alpha/alpha-small: {input: 0.15, cached_input: 0.075, output: 0.60, reasoning: 1.20}
  beta/beta-small: {input: 0.20, output: 0.80}
  beta/beta-cents: {input: 0.0501, output: 0.0501}
telemetry:
  access_log: {log}
";

/// The fields of a record that are named, as a list.
fn fields(record: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| record[name].clone()).collect()
}

/// Those that are there at all, in their order of the alphabet.
fn names(record: &Value) -> String {
    let names: Vec<_> = record.as_object().unwrap().keys().cloned().collect();
    names.join(" ")
}

#[test]
fn every_kind_of_end_has_its_name() {
    let gateway = Gateway::with(CONFIG);
    let alpha = gateway.provider("alpha");
    let chat = |model| gateway.chat(model, "one two three").key("red-1");
    let mut count = 0;
    let mut end = |what: &str| {
        count += 1;
        let record = gateway.records(count).pop().unwrap();
        let told = fields(
            &record,
            &["end", "status", "code", "model", "attempts", "usage_source"],
        );
        (record, what.to_owned(), told)
    };
    let mut ends = Vec::new();

    chat("small").send();
    ends.push((
        end("served"),
        json!(["ok", 200, null, "small", [["alpha", "200"]], "provider"]),
    ));
    gateway.call("GET", "/v1/models").key("red-1").send();
    ends.push((
        end("a list of models"),
        json!(["answered", 200, null, null, null, null]),
    ));
    gateway.chat("small", "hi").send();
    ends.push((
        end("no key"),
        json!(["refused", 401, "missing_api_key", null, null, null]),
    ));
    chat("nothing").send();
    ends.push((
        end("unknown model"),
        json!(["refused", 404, "model_not_found", null, null, null]),
    ));
    alpha.next(Reply::status(400));
    chat("small").send();
    ends.push((
        end("the provider refuses the request"),
        json!([
            "provider_refused",
            400,
            "provider_refused",
            "small",
            [["alpha", "400"]],
            null
        ]),
    ));
    alpha.next(Reply::status(500));
    chat("alone").send();
    ends.push((
        end("the provider fails"),
        json!([
            "failed",
            502,
            "provider_error",
            "alone",
            [["alpha", "500", "status"]],
            null
        ]),
    ));
    alpha.next(Reply::text("a b c").breaks("end@2"));
    chat("small").field("stream", true).send();
    ends.push((
        end("the provider stops early"),
        json!(["cut", 200, null, "small", [["alpha", "200"]], "counted"]),
    ));
    alpha.next(Reply::text("a b c").breaks("stall@2"));
    let mut stream = chat("small").stream();
    stream.read_tokens(2);
    stream.leave();
    ends.push((
        end("the caller leaves"),
        json!([
            "client_left",
            200,
            null,
            "small",
            [["alpha", "200"]],
            "counted"
        ]),
    ));
    alpha.next(Reply::breaking("stall@start"));
    let call = chat("small").to_bytes();
    let mut wire = gateway.wire();
    wire.send(call);
    alpha
        .wait(PATIENCE, |seen| {
            seen.iter().any(|seen| seen.ending == Ending::Open)
        })
        .unwrap();
    drop(wire);
    ends.push((
        end("the caller leaves before an answer"),
        json!([
            "client_left",
            0,
            null,
            "small",
            [["alpha", "pending"]],
            null
        ]),
    ));

    for ((record, what, mut told), want) in ends {
        if let Some(attempts) = told[4].as_array_mut() {
            for attempt in attempts {
                let mut list = vec![attempt["provider"].clone(), attempt["end"].clone()];
                list.extend(attempt.get("why").cloned());
                *attempt = list.into();
            }
        }
        assert_eq!(told, want, "{what}: {record:#}");
        // What was not served costs nothing, and does not say it did.
        let served = ["ok", "cut", "client_left"]
            .iter()
            .any(|end| record["end"] == *end)
            && record["status"] == 200;
        assert_eq!(
            record.get("cost_nanousd").is_some(),
            served,
            "{what}: {record:#}"
        );
    }
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

#[test]
fn a_cost_is_exact_with_every_class_of_token_at_its_own_price() {
    let gateway = Gateway::with(CONFIG);
    let (alpha, beta) = (gateway.provider("alpha"), gateway.provider("beta"));
    let claims = |prompt_tokens, completion_tokens| UsageClaim::Claimed {
        prompt_tokens,
        completion_tokens,
    };
    let ten = "1 2 3 4 5 6 7 8 9 10";
    let plain = Reply::text("a b c");
    for (stream, model, provider, reply, tokens, cost) in [
        (
            false,
            "small",
            alpha,
            plain.clone(),
            [10, 0, 0, 3, 0],
            json!(10 * 150 + 3 * 600),
        ),
        (
            true,
            "small",
            alpha,
            plain.clone(),
            [10, 0, 0, 3, 0],
            json!(10 * 150 + 3 * 600),
        ),
        (
            false,
            "small",
            alpha,
            plain.clone().cached_tokens(4).reasoning_tokens(5),
            [6, 4, 0, 3, 5],
            json!(6 * 150 + 4 * 75 + 3 * 600 + 5 * 1200),
        ),
        (
            true,
            "small",
            alpha,
            plain.clone().cached_tokens(10).reasoning_tokens(7),
            [0, 10, 0, 3, 7],
            json!(10 * 75 + 3 * 600 + 7 * 1200),
        ),
        // 350.7 nano-dollars are 351, not 352: rounded up once, not in each class.
        (
            false,
            "cents",
            beta,
            plain.clone().usage(claims(3, 4)),
            [3, 0, 0, 4, 0],
            json!(351),
        ),
        (
            true,
            "cents",
            beta,
            plain.clone().usage(claims(11, 0)),
            [11, 0, 0, 0, 0],
            json!(552),
        ),
        (
            false,
            "small",
            alpha,
            plain.clone().usage(claims(4_000_000_000, 3)),
            [4_000_000_000_u64, 0, 0, 3, 0],
            json!(600_000_001_800_u64),
        ),
        // What has no known price is not free: it says so.
        (
            false,
            "unpriced",
            beta,
            plain.clone(),
            [10, 0, 0, 3, 0],
            json!(null),
        ),
        (true, "unpriced", beta, plain, [10, 0, 0, 3, 0], json!(null)),
    ] {
        let done = gateway.records_now().len();
        provider.next(reply.clone());
        gateway
            .chat(model, ten)
            .key("red-1")
            .field("stream", stream)
            .send();
        let record = gateway.records(done + 1).pop().unwrap();
        let classes = [
            "input",
            "cached_input",
            "cache_write",
            "output",
            "reasoning",
        ];
        assert_eq!(
            fields(&record["tokens"], &classes),
            json!(tokens),
            "{reply:?}: {record:#}"
        );
        assert_eq!(record["cost_nanousd"], cost, "{reply:?}: {record:#}");
        let priced = if cost.is_null() {
            json!("unknown")
        } else {
            json!(null)
        };
        assert_eq!(
            (&record["priced"], &record["usage_source"]),
            (&priced, &json!("provider")),
            "{reply:?}"
        );
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

/// A series of Prometheus' text format: its name, its labels, its value.
type Metrics = BTreeMap<(String, BTreeMap<String, String>), u64>;

/// Every line of the page, read strictly; of the values those of ours.
fn metrics(gateway: &Gateway) -> Metrics {
    let page = gateway.ask_envoy("/stats/prometheus").text();
    let mut metrics = Metrics::new();
    for line in page
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
    {
        let (name, labels, value) =
            series(line).unwrap_or_else(|| panic!("no line of the format: {line}"));
        if name.starts_with("tollgate_") {
            let last = metrics.insert((name, labels), value.parse().unwrap_or(u64::MAX));
            assert_eq!(last, None, "a series stands twice: {line}");
        }
    }
    metrics
}

/// `name{label="value",...} 12`, with `\\`, `\"` and `\n` in values.
fn series(line: &str) -> Option<(String, BTreeMap<String, String>, &str)> {
    let is_name = |text: &str| {
        let plain = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == ':';
        !text.is_empty()
            && text.chars().all(plain)
            && !text.starts_with(|char: char| char.is_ascii_digit())
    };
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, behind) = rest.split_once("=\"")?;
            let mut value = String::new();
            let mut chars = behind.chars();
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => value.push(match chars.next()? {
                        'n' => '\n',
                        char @ ('\\' | '"') => char,
                        _ => return None,
                    }),
                    char => value.push(char),
                }
            }
            rest = chars.as_str();
            rest = rest
                .strip_prefix(',')
                .or(rest.starts_with('}').then_some(rest))?;
            if !is_name(label) || labels.insert(label.to_owned(), value).is_some() {
                return None;
            }
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.strip_prefix(' ')?;
    let number = value.parse::<f64>().is_ok();
    (is_name(name) && number).then(|| (name.to_owned(), labels, value))
}

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
    thread::scope(|scope| {
        for thread in 0..10_usize {
            let gateway = &gateway;
            scope.spawn(move || {
                for number in 0..10_usize {
                    let key = ["red-1", "red-2", "blue-1"][(thread + number) % 3];
                    let model =
                        ["small", "small", "small", "cents", "unpriced"][(thread * 3 + number) % 5];
                    let text = "several words ".repeat(number + 1);
                    match number {
                        0 => gateway.chat("nothing", &text).key(key).send(),
                        1 => gateway.chat(model, &text).key("nobody").send(),
                        2 => gateway
                            .call("POST", "/v1/embeddings")
                            .key(key)
                            .json(json!({"model": model, "input": text}))
                            .send(),
                        _ => gateway
                            .chat(model, &text)
                            .key(key)
                            .field("stream", number % 2 == 0)
                            .send(),
                    };
                }
            });
        }
    });

    let records = gateway.records(100);
    assert_eq!(records.len(), 100);
    let want = expected(&records);
    // Both workers add what they counted to the page within a moment.
    let comparable = |mut metrics: Metrics| {
        metrics.retain(|(name, _), _| !name.ends_with("_bucket") && !name.ends_with("_sum"));
        metrics
    };
    let ours = |metrics: &Metrics| -> u64 {
        let counted = [
            "tollgate_requests_total",
            "tollgate_request_duration_ms_count",
            "tollgate_time_to_first_token_ms_count",
        ];
        let found = metrics
            .iter()
            .filter(|((name, _), _)| counted.contains(&name.as_str()));
        found.map(|(_, value)| value).sum()
    };
    let got = wait_for("all requests in the metrics", || {
        let got = comparable(metrics(&gateway));
        (ours(&got) >= ours(&want)).then_some(got)
    });
    assert_eq!(got, want);

    let sum = |provider: &str, classes: &[&str]| -> u64 {
        let served = records
            .iter()
            .filter(|record| record["provider"] == provider);
        served
            .flat_map(|record| {
                classes
                    .iter()
                    .map(|class| record["tokens"][class].as_u64().unwrap_or_default())
            })
            .sum()
    };
    for (name, fake) in [("alpha", alpha), ("beta", beta)] {
        let totals = fake.totals();
        let prompt = sum(name, &["input", "cached_input", "cache_write"]);
        let completion = sum(name, &["output", "reasoning"]);
        assert_eq!(
            (prompt, completion),
            (totals.prompt_tokens, totals.completion_tokens),
            "{name}"
        );
    }
    // The run was as mixed as it means to be.
    for (name, label) in [
        ("tollgate_fallbacks_total", ("kind", "rate_limited")),
        ("tollgate_fallbacks_total", ("kind", "error_in_reply")),
        ("tollgate_requests_total", ("status", "400")),
        ("tollgate_requests_total", ("status", "401")),
        ("tollgate_requests_total", ("status", "404")),
        ("tollgate_requests_total", ("status", "502")),
        ("tollgate_tokens_total", ("kind", "cached_input")),
        ("tollgate_tokens_total", ("kind", "reasoning")),
        ("tollgate_cost_nanousd_total", ("user", "none")),
        ("tollgate_unpriced_total", ("provider", "beta")),
    ] {
        assert!(gateway.metric(name, &[label]) > 0, "{name} {label:?}");
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
    let metrics = metrics(&gateway);
    let by = |metric: &str, label: &str| {
        let mut counts = BTreeMap::<String, u64>::new();
        for ((name, labels), value) in &metrics {
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

#[test]
fn the_reader_of_metrics_takes_no_nonsense() {
    for (line, taken) in [
        ("a 1", true),
        ("a{b=\"c\",d=\"\"} 1.5", true),
        ("a{b=\"c\\\"d\\\\\\n\"} NaN", true),
        ("a{} 1", true),
        ("a", false),
        ("a{b=\"c\"d\"} 1", false),
        ("a{b=\"c\\d\"} 1", false),
        ("a{b=\"c\",b=\"c\"} 1", false),
        ("a{1b=\"c\"} 1", false),
        ("a{b=\"c\"}1", false),
        ("a b 1", false),
        ("ü 1", false),
    ] {
        assert_eq!(series(line).is_some(), taken, "{line}");
    }
}
