//! What breaks around a request does not break the request, or ends it in order.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "this is test code: it fails a test by panicking"
)]

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::thread;

use serde_json::Value;
use tollgate::fake::{Ending, Fake, Reply as Scripted, Settings};
use tollgate_tests::{Call, End, Envoy, Gateway, PATIENCE, Reply, Setup, wait_for};

/// Of each way to fall back the Envoys that are there.
fn envoys() -> Vec<(&'static str, Envoy)> {
    let known = Envoy::fetched();
    let wanted = ["1.38.2", "1.39.3", "1.40.0"];
    let found: Vec<_> = wanted
        .into_iter()
        .filter(|version| known.iter().any(|known| known == version))
        .map(|version| (version, Envoy::version(version)))
        .collect();
    assert!(!found.is_empty(), "no Envoy: run `make setup`");
    found
}

fn fake(name: &str) -> Fake {
    let settings = Settings {
        name: name.to_owned(),
        ..Settings::default()
    };
    Fake::start("127.0.0.1:0", settings).unwrap()
}

/// Providers by name: one that has no address, one that resolves and wants a key of its own, and one by address.
const NAMES: &str = "
listen: {address: {listen}}
admin: {address: {admin}}
providers:
  gone: {dialect: openai, url: 'http://nobody.invalid/v1', key: {env: GONE_KEY}, allow_plaintext: true}
  named: {dialect: openai, url: 'http://localhost:PORT/v1', key: {env: NAMED_KEY}}
  beta: {dialect: openai, url: 'http://{beta}/v1'}
models:
  first: {targets: [{provider: gone, model: m}, {provider: beta, model: m}]}
  middle: {targets: [{provider: beta, model: m}, {provider: gone, model: m}, {provider: named, model: m}]}
  last: {targets: [{provider: beta, model: m}, {provider: gone, model: m}]}
  only: {targets: [{provider: gone, model: m}]}
  named: {targets: [{provider: named, model: m}, {provider: beta, model: m}]}
tenants:
  keys: [{name: team-a, sha256: {key team-a}, team: a}]
telemetry: {access_log: {log}}
";

#[test]
fn a_provider_whose_name_cannot_be_resolved_is_passed_over_wherever_it_stands() {
    for (shown, envoy) in envoys() {
        let unreachable = "503 server_error provider_unreachable";
        let named = fake("named");
        named.set(|settings| settings.api_key = Some("secret-of-named".to_owned()));
        let gateway = Setup::of(&NAMES.replace("PORT", &named.address().port().to_string()))
            .envoy(envoy)
            .env("GONE_KEY", "secret-of-gone")
            .env("NAMED_KEY", "secret-of-named")
            .start();
        let beta = gateway.provider("beta");
        beta.script([
            Scripted::text("from beta"),
            Scripted::status(503),
            Scripted::status(429),
        ]);
        named.always(Scripted::text("from named"));
        let ask = |model: &str| gateway.chat(model, "hi").key("team-a").send();
        let told = |reply: &Reply| format!("{} {}", reply.status(), reply.text());
        assert_eq!(told(&ask("first")), "200 from beta", "{shown}");
        assert_eq!(told(&ask("middle")), "200 from named", "{shown}");
        assert_eq!(ask("last").error(), unreachable, "{shown}");
        assert_eq!(ask("only").error(), unreachable, "{shown}");
        // A name that resolves serves as before: with its own key, in one piece, streamed, and in a chain.
        let call = gateway.chat("named", "hi").key("team-a");
        assert_eq!(told(&call.clone().send()), "200 from named", "{shown}");
        let mut stream = call.clone().stream();
        assert_eq!(
            (stream.text().as_str(), stream.end()),
            ("from named", Some(End::Complete)),
            "{shown}"
        );
        named.stop_listening().unwrap();
        beta.next(Scripted::text("from beta"));
        assert_eq!(told(&call.send()), "200 from beta", "{shown}");
        let heard = format!("{:?}{:?}", beta.requests(), named.requests());
        assert!(!heard.contains("secret-of-gone"), "{shown}");
        let of_beta = format!("{:?}", beta.requests());
        assert!(
            !of_beta.contains("secret-of-named"),
            "{shown}: a key went to another provider"
        );
        let want = [
            "gone connection, beta 200",
            "beta 503, gone connection, named 200",
            "beta 429, gone connection",
            "gone connection",
            "named 200",
            "named 200",
            "named connection, beta 200",
        ];
        assert_eq!(tried(&gateway, want.len()), want, "{shown}");
    }
}

/// What was tried for each of so many requests: providers and ends.
fn tried(gateway: &Gateway, count: usize) -> Vec<String> {
    let records = wait_for(&format!("{count} records"), || {
        let mut records = gateway.records_now();
        records.retain(|record| record["endpoint"].is_string());
        (records.len() >= count).then_some(records)
    });
    let told = records.iter().map(|record| {
        let attempts = record["attempts"].as_array().unwrap().iter();
        let told = attempts.map(|attempt| format!("{} {}", attempt["provider"], attempt["end"]));
        told.collect::<Vec<_>>().join(", ").replace('"', "")
    });
    told.collect()
}

#[test]
fn what_clients_say_in_the_gateways_own_headers_changes_nothing() {
    for (_, envoy) in envoys() {
        let gateway = Setup::named("two-providers.yaml")
            .envoy(envoy)
            .workers(1)
            .start();
        gateway.provider("alpha").always(Scripted::status(500));
        let mut call = gateway.chat("small", "hi").key("team-a");
        for (name, value) in [
            ("x-tollgate-exchange", "p-1-1"),
            ("x-tollgate-cluster", "nobody"),
            ("x-tollgate-next", "nobody"),
            ("x-envoy-max-retries", "0"),
            ("x-envoy-retry-on", "none"),
            ("x-envoy-upstream-rq-timeout-ms", "1"),
            ("x-envoy-upstream-rq-per-try-timeout-ms", "1"),
            ("x-envoy-attempt-count", "9"),
            ("x-envoy-original-path", "/elsewhere"),
            ("x-envoy-decorator-operation", "x"),
            ("x-forwarded-proto", "gopher"),
        ] {
            call = call.header(name, value);
        }
        assert_eq!(call.send().status(), 200);
        assert_eq!(gateway.attempts(), ["alpha 500", "beta 200"]);
        for (name, seen) in gateway.seen() {
            let mut names = seen.headers.iter().map(|(name, _)| name.as_str());
            let ours =
                names.find(|name| name.starts_with("x-tollgate") || name.starts_with("x-envoy"));
            assert!(
                ours.is_none_or(|ours| ours == "x-envoy-expected-rq-timeout-ms"),
                "{name} saw {ours:?}"
            );
        }
    }
}

#[test]
fn a_filter_that_failed_would_be_started_again() {
    let gateway = Gateway::start("two-providers.yaml");
    let dump = gateway.ask_envoy("/config_dump").json();
    let mut plugins = Vec::new();
    find_plugins(&dump, &mut plugins);
    let mut names: Vec<_> = plugins
        .iter()
        .filter_map(|plugin| plugin["name"].as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["tollgate_attempt", "tollgate_gateway"]);
    for plugin in plugins {
        assert_eq!(plugin["failure_policy"], "FAIL_RELOAD", "{plugin}");
        assert_eq!(plugin["reload_config"]["backoff"]["base_interval"], "1s");
    }
}

fn find_plugins<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) if fields.contains_key("vm_config") => found.push(value),
        Value::Object(fields) => fields.values().for_each(|value| find_plugins(value, found)),
        Value::Array(values) => values.iter().for_each(|value| find_plugins(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

const THREADS: usize = 20;
const REQUESTS_EACH: usize = 100;

#[test]
fn two_thousand_requests_with_every_kind_of_fault_get_two_thousand_legal_replies() {
    let gateway = Setup::named("two-providers.yaml").workers(2).start();
    let alpha = gateway.provider("alpha");
    for (fault, nth) in [
        ("429;retry_after=1", 5),
        ("500", 7),
        ("reset@start", 11),
        ("cut@start", 13),
        ("error@0", 17),
        ("end@0", 19),
        ("end@2", 23),
        ("error@2", 29),
        ("400", 31),
        ("usage=none", 37),
        ("encoding=gzip", 41),
    ] {
        alpha.always(fault.parse::<Scripted>().unwrap().every(nth));
    }
    let beta = gateway.provider("beta");
    beta.always(Scripted::status(503).every(9));
    beta.always(Scripted::healthy().first_token_ms(3).every(2));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let gateway = &gateway;
            scope.spawn(move || ask_many(gateway, thread));
        }
    });
    let asked = THREADS * REQUESTS_EACH;
    let records = wait_for("all records", || {
        let mut records = gateway.records_now();
        records.retain(|record| record["key"] == "team-a");
        (records.len() >= asked).then_some(records)
    });
    assert_eq!(records.len(), asked);
    let attempts = records
        .iter()
        .flat_map(|record| record["attempts"].as_array().unwrap());
    let (unseen, seen): (Vec<_>, Vec<_>) =
        attempts.partition(|attempt| attempt["why"] == "connection");
    let heard = usize::try_from(alpha.totals().requests + beta.totals().requests).unwrap();
    assert!(
        (seen.len()..=seen.len() + unseen.len()).contains(&heard),
        "{heard}, {}",
        seen.len()
    );
    let counted = gateway.metric("tollgate_requests_total", &[("team", "a")]);
    assert_eq!(counted, u64::try_from(asked).unwrap());
    let sum = |class: &str| -> u64 {
        let tokens = records
            .iter()
            .filter_map(|record| record["tokens"][class].as_u64());
        tokens.sum()
    };
    for (class, kind) in [("input", "input"), ("output", "output")] {
        let counted = gateway.metric("tollgate_tokens_total", &[("team", "a"), ("kind", kind)]);
        assert_eq!(counted, sum(class), "{class}");
    }
    let reloads = gateway.ask_envoy("/stats?filter=vm_reload").text();
    assert!(
        !reloads.lines().any(|line| !line.ends_with(": 0")),
        "{reloads}"
    );
}

/// One connection, request after request, half of them streamed.
fn ask_many(gateway: &Gateway, thread: usize) {
    let mut wire = gateway.wire();
    for number in 0..REQUESTS_EACH {
        let call = gateway
            .chat("small", &format!("question {thread} {number}"))
            .key("team-a");
        let streamed = number % 2 == 0;
        wire.send(call.field("stream", streamed).to_bytes());
        let reply = wire
            .reply("POST")
            .unwrap_or_else(|end| panic!("{thread} {number}: {end:?}"));
        assert_eq!(reply.end(), End::Complete);
        let right_kind = reply.status() != 200 || is_stream(&reply) == streamed;
        assert!(right_kind, "{}", reply.text());
        legal(&reply);
        if reply.header("connection") == Some("close") {
            wire = gateway.wire();
        }
    }
}

fn is_stream(reply: &Reply) -> bool {
    let kind = reply.header("content-type").unwrap_or_default();
    kind.starts_with("text/event-stream")
}

fn legal(reply: &Reply) {
    let error =
        |json: &Value| json["error"]["message"].is_string() && json["error"]["type"].is_string();
    if reply.status() != 200 {
        assert!(
            [400, 502, 503].contains(&reply.status()),
            "{}",
            reply.status()
        );
        assert!(error(&reply.json()), "{}", reply.text());
    } else if is_stream(reply) {
        let last = reply.events().pop().unwrap();
        assert!(
            last.data == "[DONE]" || error(&last.json()),
            "{}",
            last.data
        );
    } else {
        assert!(reply.text().contains("heard: question"), "{}", reply.text());
    }
}

#[test]
fn streams_that_run_come_to_their_end_while_envoy_drains_and_nobody_new_is_let_in() {
    let gateway = Gateway::start("two-providers.yaml");
    let alpha = gateway.provider("alpha");
    alpha.always(Scripted::tokens(60).pace_ms(20));
    let call = gateway.chat("small", "hi").key("team-a");
    let mut streams: Vec<_> = (0..5).map(|_| call.clone().stream()).collect();
    for stream in &mut streams {
        stream.read_tokens(2);
    }
    let drained = Call::new(gateway.admin(), "POST", "/drain_listeners").send();
    assert_eq!(drained.status(), 200);
    wait_for("the door to be shut", || {
        TcpStream::connect(gateway.address()).err()
    });
    for stream in &mut streams {
        stream.read_tokens(58);
        let done = stream.last().unwrap();
        assert_eq!(done.data, "[DONE]");
    }
    let records = gateway.records(5);
    let ended = records.iter().filter(|record| record["end"] == "ok");
    assert_eq!(ended.count(), 5, "{records:#?}");
}

#[test]
fn a_gateway_that_is_stopped_ends_its_streams_and_leaves_nothing_running() {
    let gateway = Gateway::start("two-providers.yaml");
    gateway
        .provider("alpha")
        .always(Scripted::tokens(10_000).pace_ms(20));
    let mut stream = gateway.chat("small", "hi").key("team-a").stream();
    stream.read_tokens(2);
    let envoy = envoy_of(&gateway);
    signal("-TERM", gateway.process());
    let seen = gateway
        .provider("alpha")
        .wait(PATIENCE, |seen| seen[0].ending == Ending::ClientLeft);
    assert!(seen.is_ok(), "the provider goes on for nobody: {seen:?}");
    stream.by_ref().for_each(drop);
    assert!(
        matches!(stream.end(), Some(End::Closed | End::Reset)),
        "{:?}",
        stream.end()
    );
    let (code, _) = gateway.ended();
    assert_eq!(code, Some(0));
    wait_for("Envoy to be gone", || (!runs(envoy)).then_some(()));
}

#[test]
fn when_envoy_is_killed_the_gateway_ends_and_says_so() {
    let gateway = Gateway::start("two-providers.yaml");
    let envoy = envoy_of(&gateway);
    signal("-KILL", envoy);
    let (code, said) = gateway.ended();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Envoy has ended (signal: 9"), "{said}");
}

/// The only child of `tollgate up`.
fn envoy_of(gateway: &Gateway) -> u32 {
    let parent = gateway.process().to_string();
    let children = Command::new("ps")
        .args(["-o", "pid=", "--ppid", &parent])
        .output();
    let text = match children {
        Ok(output) => String::from_utf8(output.stdout).unwrap(),
        Err(_) => fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap(),
    };
    text.trim().parse().unwrap()
}

fn signal(name: &str, process: u32) {
    let sent = Command::new("kill")
        .args([name, &process.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

fn runs(process: u32) -> bool {
    let alive = Command::new("kill")
        .args(["-0", &process.to_string()])
        .output();
    alive.unwrap().status.success()
}
