//! What everything rests on, on every Envoy that is supported.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "in tests a failure is what an unwrap is for, in their helpers too"
)]

use std::env;
use std::thread::{self, JoinHandle};

use tollgate::fake::{Ending, Reply as Scripted, Seen};
use tollgate_tests::{Call, End, Envoy, Gateway, PATIENCE, Setup, tried, wait_for};

const ALPHA_KEY: &str = "sk-alpha-Zq3vW8nLxT";
const BETA_KEY: &str = "sk-beta-Hk7cR2mYpD";

/// A promise, and the proof that it is kept.
type Promise = (&'static str, fn(&Gateway));

const PROMISES: &[Promise] = &[
    ("an answer in one piece is passed on and recorded", plain),
    ("a stream is passed on as it comes and recorded", stream),
    ("who fails before the first token is replaced", fallback),
    (
        "who falls silent before the first token is replaced",
        silence,
    ),
    ("what is wrong everywhere is tried once", no_fallback),
    ("a large request is sent again whole", large),
    ("a torn stream is no success", torn),
    ("who leaves is counted", left),
    ("nobody gets the key of another", keys),
    ("everything is counted", metrics),
];

#[test]
fn every_supported_envoy_keeps_every_promise() {
    let named = env::var("TOLLGATE_ENVOY_VERSIONS").unwrap_or_default();
    let mut versions: Vec<String> = named.split_whitespace().map(str::to_owned).collect();
    if versions.is_empty() {
        versions = Envoy::fetched();
    }
    assert!(!versions.is_empty(), "no Envoy at all: run `make setup`");
    // Most of the time is spent waiting, so they wait together; what fails names its thread.
    let running: Vec<_> = versions
        .into_iter()
        .map(|version| {
            let thread = thread::Builder::new().name(format!("Envoy {version}"));
            thread.spawn(move || keeps_every_promise(&version)).unwrap()
        })
        .collect();
    let kept: Vec<_> = running.into_iter().map(JoinHandle::join).collect();
    assert!(kept.iter().all(Result::is_ok), "not by every Envoy");
}

fn keeps_every_promise(version: &str) {
    let gateway = Setup::named("with-keys.yaml")
        .env("ALPHA_KEY", ALPHA_KEY)
        .file("beta.key", BETA_KEY)
        .envoy(Envoy::version(version))
        .start();
    let info = gateway.ask_envoy("/server_info").text();
    assert!(info.contains(&format!("/{version}/")), "{info}");
    for (promise, keep) in PROMISES {
        // What fails in it is told after this line.
        eprintln!("Envoy {version}: {promise}");
        keep(&gateway);
        for name in ["alpha", "beta", "gamma"] {
            gateway.provider(name).heal();
            gateway.provider(name).listen_again().unwrap();
        }
    }
}

fn ask(gateway: &Gateway) -> Call {
    gateway.chat("small", "hi").key("team-a")
}

fn plain(gateway: &Gateway) {
    let reply = ask(gateway).send();
    assert_eq!(
        (reply.status(), reply.text().as_str()),
        (200, "alpha heard: hi")
    );
    let record = gateway.record_of(reply.header("x-tollgate-trace-id"));
    assert_eq!(tried(&record), ["alpha 200"]);
    assert_eq!(
        (
            &record["end"],
            &record["tokens"]["input"],
            &record["tokens"]["output"]
        ),
        (&"ok".into(), &1.into(), &3.into())
    );
    // A dollar for a million tokens of the question, two for those of the answer.
    assert_eq!(record["cost_nanousd"], 7_000);
}

fn stream(gateway: &Gateway) {
    let alpha = gateway.provider("alpha");
    alpha.next(Scripted::text("one two").pace_ms(10));
    let mut whole = ask(gateway).stream();
    let trace = whole.header("x-tollgate-trace-id").map(str::to_owned);
    assert_eq!(
        (whole.text().as_str(), whole.end()),
        ("one two", Some(End::Complete))
    );
    let record = gateway.record_of(trace.as_deref());
    assert_eq!(
        (
            &record["end"],
            &record["usage_source"],
            &record["tokens"]["output"]
        ),
        (&"ok".into(), &"provider".into(), &2.into())
    );
    alpha.next(Scripted::text("one two").breaks("stall@1"));
    let first = ask(gateway).stream().read_tokens(1);
    assert_eq!(first.last().unwrap().delta(), "one");
}

fn fallback(gateway: &Gateway) {
    let alpha = gateway.provider("alpha");
    for (fault, why) in [
        ("503", "503"),
        ("429", "429"),
        ("refused", "connection"),
        ("reset@start", "connection"),
        ("cut@0", "connection"),
        ("reset@0", "connection"),
        ("end@0", "no_first_token"),
        ("error@0", "error_in_reply"),
    ] {
        match fault {
            "refused" => alpha.stop_listening().unwrap(),
            fault => alpha.next(fault.parse().unwrap()),
        }
        let mut stream = ask(gateway).stream();
        alpha.listen_again().unwrap();
        let trace = stream.header("x-tollgate-trace-id").map(str::to_owned);
        assert_eq!(
            (stream.text().as_str(), stream.end()),
            ("beta heard: hi", Some(End::Complete)),
            "{fault}"
        );
        let record = gateway.record_of(trace.as_deref());
        let want = [format!("alpha {why}"), "beta 200".to_owned()];
        assert_eq!(tried(&record), want, "{fault}");
    }
    alpha.next(Scripted::breaking("error@start"));
    assert_eq!(ask(gateway).send().text(), "beta heard: hi");
}

fn silence(gateway: &Gateway) {
    let alpha = gateway.provider("alpha");
    let before = alpha.requests().len();
    for fault in ["stall@start", "stall@0"] {
        alpha.next(fault.parse().unwrap());
        let mut stream = ask(gateway).stream();
        let trace = stream.header("x-tollgate-trace-id").map(str::to_owned);
        assert_eq!(stream.text(), "beta heard: hi", "{fault}");
        let record = gateway.record_of(trace.as_deref());
        assert_eq!(tried(&record), ["alpha timeout", "beta 200"], "{fault}");
    }
    let gone = |seen: &[Seen]| {
        let new = &seen[before..];
        new.iter().all(|seen| seen.ending == Ending::ClientLeft)
    };
    assert!(alpha.wait(PATIENCE, gone).is_ok());
}

fn no_fallback(gateway: &Gateway) {
    for (fault, want) in [
        ("400", "400 invalid_request_error -"),
        ("401", "502 server_error provider_credential_refused"),
    ] {
        gateway.provider("alpha").next(fault.parse().unwrap());
        let before = gateway.seen().len();
        assert_eq!(ask(gateway).send().error(), want);
        assert_eq!(gateway.seen().len(), before + 1);
    }
}

fn large(gateway: &Gateway) {
    gateway.provider("alpha").next(Scripted::status(503));
    let filler = "x".repeat(5_000_000);
    let reply = ask(gateway).field("filler", filler.clone()).send();
    assert_eq!(reply.text(), "beta heard: hi");
    let seen = gateway.provider("beta").requests().pop().unwrap();
    assert!(seen.json()["filler"] == filler.as_str());
}

fn torn(gateway: &Gateway) {
    for (fault, end) in [
        ("reset@1", None),
        ("cut@1", None),
        ("end@1", Some(End::Complete)),
    ] {
        let broken = Scripted::text("one two three").breaks(fault);
        gateway.provider("alpha").next(broken);
        let mut stream = ask(gateway).stream();
        let trace = stream.header("x-tollgate-trace-id").map(str::to_owned);
        let events: Vec<_> = stream.by_ref().collect();
        let told = events.last().unwrap().json()["error"].is_object();
        // Either it is seen to be torn, or an error says so.
        assert_eq!(told, end.is_some(), "{fault}");
        assert_eq!(
            stream.end() == Some(End::Complete),
            end.is_some(),
            "{fault}"
        );
        assert_eq!(gateway.record_of(trace.as_deref())["end"], "cut", "{fault}");
    }
}

fn left(gateway: &Gateway) {
    let alpha = gateway.provider("alpha");
    alpha.next(Scripted::tokens(10_000).pace_ms(5));
    let mut stream = ask(gateway).stream();
    let trace = stream.header("x-tollgate-trace-id").map(str::to_owned);
    stream.read_tokens(5);
    stream.leave();
    let record = gateway.record_of(trace.as_deref());
    assert_eq!(record["end"], "client_left");
    assert!(record["tokens"]["output"].as_u64() >= Some(5));
    let gone = |seen: &[Seen]| seen.last().unwrap().ending == Ending::ClientLeft;
    assert!(alpha.wait(PATIENCE, gone).is_ok());
}

fn keys(gateway: &Gateway) {
    let seen = gateway.seen().len();
    gateway.provider("alpha").next(Scripted::status(503));
    gateway.provider("beta").next(Scripted::status(429));
    let reply = ask(gateway).header("cookie", "private").send();
    assert_eq!(reply.text(), "gamma heard: hi");
    let told: Vec<_> = gateway.seen()[seen..]
        .iter()
        .map(|(name, seen)| {
            let key = seen.header("authorization").unwrap_or("none");
            assert_eq!(seen.header("cookie"), None);
            format!("{name} {key}")
        })
        .collect();
    let want = [
        format!("alpha Bearer {ALPHA_KEY}"),
        format!("beta Bearer {BETA_KEY}"),
        "gamma none".to_owned(),
    ];
    assert_eq!(told, want);
    let dump = gateway.ask_envoy("/config_dump").text();
    assert!(dump.contains("tollgate-alpha") && !dump.contains(ALPHA_KEY));
}

/// The last of them: it counts what all the others did.
fn metrics(gateway: &Gateway) {
    let of = |name: &str, labels: &[(&str, &str)]| gateway.metric(name, labels);
    let requests = "tollgate_requests_total";
    let records = wait_for("a record for each request that was counted", || {
        let records = gateway.records_now();
        let counted = usize::try_from(of(requests, &[("team", "a")])).unwrap();
        (records.len() == counted).then_some(records)
    });
    let count = |field: &str, wanted: &str| {
        let records = records.iter().filter(|record| record[field] == wanted);
        u64::try_from(records.count()).unwrap()
    };
    for provider in ["alpha", "beta", "gamma"] {
        let labels = [("provider", provider), ("team", "a"), ("model", "small")];
        assert_eq!(
            of(requests, &labels),
            count("provider", provider),
            "{provider}"
        );
    }
    let sum = |pointer: &str| {
        let values = records
            .iter()
            .filter_map(|record| record.pointer(pointer)?.as_u64());
        values.sum::<u64>()
    };
    for (metric, labels, pointer) in [
        (
            "tollgate_tokens_total",
            &[("kind", "output")][..],
            "/tokens/output",
        ),
        (
            "tollgate_tokens_total",
            &[("kind", "input")],
            "/tokens/input",
        ),
        ("tollgate_cost_nanousd_total", &[], "/cost_nanousd"),
    ] {
        assert_eq!(of(metric, labels), sum(pointer), "{metric} {labels:?}");
        assert!(sum(pointer) > 0, "{pointer}");
    }
    let again: usize = records.iter().map(|record| tried(record).len() - 1).sum();
    let fallbacks = of("tollgate_fallbacks_total", &[]);
    assert_eq!(fallbacks, u64::try_from(again).unwrap());
    assert!(of("tollgate_request_duration_ms_count", &[]) > 0);
    assert!(of("tollgate_time_to_first_token_ms_count", &[]) > 0);
}
