//! What fails before its first token is somebody else's chance: the next provider answers, and the record says why.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "in tests a failure is what an unwrap is for, in their helpers too"
)]

use std::collections::BTreeSet;
use std::thread;

use tollgate::fake::{Ending, Fake, Reply as Scripted, Seen};
use tollgate_tests::{Call, End, Gateway, PATIENCE, Reply, Setup, tried, wait_for};

/// What may go wrong whether the caller streams or not, and what the record calls it.
const FAILURES: &[(&str, &str)] = &[
    // Nobody waits for half a minute while another provider is free.
    ("429;retry_after=30", "429"),
    ("408", "408"),
    ("500", "500"),
    ("502", "502"),
    ("503", "503"),
    ("504", "504"),
    ("529", "529"),
    ("refused", "connection"),
    ("hangs up", "connection"),
    ("cut@start", "connection"),
    ("reset@start", "connection"),
    ("cut@head", "connection"),
    ("reset@head", "connection"),
    ("error@start", "error_in_reply"),
    ("encoding=gzip", "unreadable"),
    (
        "body=<h1>It works!</h1>;content_type=text/html",
        "unreadable",
    ),
];

/// What may go wrong between the head of a stream and its first token.
const FAILURES_OF_STREAMS: &[(&str, &str)] = &[
    ("cut@0", "connection"),
    ("reset@0", "connection"),
    ("end@head", "no_first_token"),
    ("end@0", "no_first_token"),
    ("error@0", "error_in_reply"),
    ("end@0;between=comments", "no_first_token"),
    ("error@0;lines=crlf;piece_bytes=7", "error_in_reply"),
];

/// What may be wrong with an answer in one piece.
const FAILURES_OF_ANSWERS: &[(&str, &str)] = &[
    ("end@head", "unreadable"),
    (
        r#"{"body":"{\"error\":{\"message\":\"no\"}}"}"#,
        "error_in_reply",
    ),
    (
        r#"{"body":"{\"error\":\"no\",\"choices\":[]}"}"#,
        "error_in_reply",
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Whole,
    Streamed,
}

const SHAPES: [Shape; 2] = [Shape::Whole, Shape::Streamed];

impl Shape {
    fn call(self, gateway: &Gateway) -> Call {
        let call = gateway.chat("small", "hi").key("team-a");
        match self {
            Self::Whole => call,
            Self::Streamed => call.field("stream", true),
        }
    }
}

/// Makes a provider fail from now on.
fn fails(provider: &Fake, fault: &str) {
    match fault {
        "refused" => provider.stop_listening().unwrap(),
        "hangs up" => provider.hang_up().unwrap(),
        fault => provider.always(fault.parse::<Scripted>().unwrap()),
    }
}

fn recovers(provider: &Fake) {
    provider.heal();
    provider.listen_again().unwrap();
}

fn the_next_one_answers(gateway: &Gateway, shape: Shape, faults: &[(&str, &str)]) {
    gateway.provider("beta").always(Scripted::text("hello you"));
    for (fault, why) in faults {
        fails(gateway.provider("alpha"), fault);
        let reply = shape.call(gateway).send();
        recovers(gateway.provider("alpha"));
        assert_eq!(
            (reply.status(), reply.text().as_str(), reply.end()),
            (200, "hello you", End::Complete),
            "{fault} {shape:?}"
        );
        let record = gateway.record_of(reply.header("x-tollgate-trace-id"));
        assert_eq!(
            tried(&record),
            [format!("alpha {why}"), "beta 200".to_owned()],
            "{fault} {shape:?}"
        );
        assert_eq!(
            (&record["end"], &record["routed"], &record["provider"]),
            (&"ok".into(), &"fallback".into(), &"beta".into()),
            "{fault} {shape:?}"
        );
    }
}

#[test]
fn an_answer_that_fails_is_given_by_the_next_provider() {
    let gateway = Gateway::start("two-providers.yaml");
    the_next_one_answers(&gateway, Shape::Whole, FAILURES);
    the_next_one_answers(&gateway, Shape::Whole, FAILURES_OF_ANSWERS);
    let asked = FAILURES.len() + FAILURES_OF_ANSWERS.len();
    let fallbacks = gateway.metric("tollgate_fallbacks_total", &[("provider", "alpha")]);
    assert_eq!(usize::try_from(fallbacks).unwrap(), asked);
}

#[test]
fn a_stream_that_fails_before_its_first_token_is_given_by_the_next_provider() {
    let gateway = Gateway::start("two-providers.yaml");
    the_next_one_answers(&gateway, Shape::Streamed, FAILURES);
    the_next_one_answers(&gateway, Shape::Streamed, FAILURES_OF_STREAMS);
}

#[test]
fn who_is_silent_too_long_is_left_for_the_next_provider() {
    let gateway = Gateway::start("impatient.yaml");
    for (shape, fault) in [
        (Shape::Whole, "stall@start"),
        (Shape::Whole, "stall@head"),
        (Shape::Streamed, "stall@start"),
        (Shape::Streamed, "stall@head"),
        (Shape::Streamed, "stall@0"),
    ] {
        the_next_one_answers(&gateway, shape, &[(fault, "timeout")]);
    }
    let left = |seen: &[Seen]| seen.iter().all(|seen| seen.ending == Ending::ClientLeft);
    let seen = gateway.provider("alpha").wait(PATIENCE, left);
    assert_eq!(seen.map(|seen| seen.len()).ok(), Some(5));
}

#[test]
fn what_is_wrong_with_the_request_is_wrong_everywhere() {
    let gateway = Gateway::start("two-providers.yaml");
    for (fault, want) in [
        ("400", "400 invalid_request_error -"),
        ("404", "404 invalid_request_error unknown_url"),
        // Not the caller's credential: it must not look as if it were.
        ("401", "502 server_error provider_credential_refused"),
        ("403", "502 server_error provider_credential_refused"),
    ] {
        for shape in SHAPES {
            gateway.provider("alpha").next(fault.parse().unwrap());
            let reply = shape.call(&gateway).send();
            assert_eq!(reply.error(), want, "{fault} {shape:?}");
            assert_eq!(reply.header("content-type"), Some("application/json"));
            let record = gateway.record_of(reply.header("x-tollgate-trace-id"));
            assert_eq!(tried(&record), [format!("alpha {fault}")], "{shape:?}");
            assert_eq!(record["tokens"], serde_json::Value::Null);
        }
    }
    assert_eq!(gateway.provider("beta").requests(), []);
}

fn nobody_answers(gateway: &Gateway, cases: &[(&str, &str, &str, Option<&str>, &str)]) {
    for (alpha, beta, want, retry_after, said) in cases {
        for shape in SHAPES {
            fails(gateway.provider("alpha"), alpha);
            fails(gateway.provider("beta"), beta);
            let reply = shape.call(gateway).send();
            recovers(gateway.provider("alpha"));
            recovers(gateway.provider("beta"));
            let record = gateway.record_of(reply.header("x-tollgate-trace-id"));
            let case = format!("{alpha}, {beta}, {shape:?}: {record}");
            assert_eq!(reply.error(), *want, "{case}");
            assert_eq!(reply.header("retry-after"), *retry_after, "{case}");
            assert_eq!(reply.header("content-type"), Some("application/json"));
            let message = reply.json()["error"]["message"].to_string();
            assert!(message.contains(said), "{case}: {message}");
        }
    }
}

#[test]
fn when_nobody_answers_the_caller_learns_what_each_of_them_did() {
    let gateway = Gateway::start("two-providers.yaml");
    nobody_answers(
        &gateway,
        &[
            (
                "429;retry_after=7",
                "429;retry_after=3",
                "429 rate_limit_error provider_rate_limited",
                Some("3"),
                "alpha 429, beta 429",
            ),
            (
                "503",
                "500",
                "502 server_error provider_error",
                None,
                "alpha 503, beta 500",
            ),
            (
                "500",
                "503;retry_after=9",
                "503 server_error provider_error",
                Some("9"),
                "alpha 500, beta 503",
            ),
            (
                "429;retry_after=7",
                "refused",
                "503 server_error provider_unreachable",
                None,
                "alpha 429, beta connection",
            ),
            (
                "refused",
                "refused",
                "503 server_error provider_unreachable",
                None,
                "alpha connection, beta connection",
            ),
            (
                "reset@start",
                "cut@head",
                "503 server_error provider_unreachable",
                None,
                "alpha connection, beta connection",
            ),
            (
                "error@start",
                "encoding=gzip",
                "502 server_error provider_error",
                None,
                "alpha error_in_reply, beta unreadable",
            ),
            (
                "500",
                "401",
                "502 server_error provider_credential_refused",
                None,
                "`beta`",
            ),
            (
                "refused",
                "400",
                "400 invalid_request_error -",
                None,
                "The request is invalid.",
            ),
        ],
    );
}

#[test]
fn when_everybody_is_silent_the_caller_is_told_in_time() {
    let gateway = Gateway::start("impatient.yaml");
    nobody_answers(
        &gateway,
        &[(
            "stall@start",
            "stall@head",
            "504 server_error provider_timeout",
            None,
            "alpha timeout, beta timeout",
        )],
    );
}

#[test]
fn the_second_provider_gets_the_original_request_however_large_it_is() {
    let gateway = Gateway::start("two-providers.yaml");
    gateway.provider("alpha").always(Scripted::status(503));
    for size in [0, 64 * 1024, 64 * 1024 + 1, 5_000_000] {
        for shape in SHAPES {
            let filler = "x".repeat(size);
            let streamed = shape == Shape::Streamed;
            let body = format!(
                r#" {{"top_p" : 0.70,"model": "small", "stream":{streamed},"messages":[{{"role":"user","content":"caf\u00e9 ☕ {filler}"}}],"unknown":[1,{{}},null]}} "#
            );
            let call = gateway.call("POST", "/v1/chat/completions").key("team-a");
            let call = call.header("content-type", "application/json");
            let reply = call.bytes(body.clone()).send();
            assert_eq!(reply.status(), 200, "{size} {shape:?}");
            for name in ["alpha", "beta"] {
                let seen = gateway.provider(name).requests().pop().unwrap();
                let want = body.replace(r#""small""#, &format!(r#""{name}-small""#));
                let want = match shape {
                    Shape::Whole => want,
                    Shape::Streamed => {
                        want.replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1)
                    }
                };
                assert!(seen.body == want.as_bytes(), "{name} {size} {shape:?}");
                assert_eq!(
                    seen.header("content-length"),
                    Some(want.len().to_string().as_str())
                );
            }
        }
    }
}

#[test]
fn a_chain_is_tried_to_its_end_and_each_provider_gets_a_request_of_its_own() {
    let gateway = Gateway::start("chain-of-four.yaml");
    fails(gateway.provider("alpha"), "429");
    fails(gateway.provider("beta"), "refused");
    fails(gateway.provider("gamma"), "error@start");
    for (shape, count) in [(Shape::Whole, 1), (Shape::Streamed, 2)] {
        let reply = shape.call(&gateway).send();
        assert_eq!(reply.text(), "delta heard: hi", "{shape:?}");
        let record = gateway.record_of(reply.header("x-tollgate-trace-id"));
        let want = [
            "alpha 429",
            "beta connection",
            "gamma error_in_reply",
            "delta 200",
        ];
        assert_eq!(tried(&record), want, "{shape:?}");
        assert_eq!(reply.header("x-tollgate-attempts"), Some("4"));
        let fallbacks = gateway.metric("tollgate_fallbacks_total", &[]);
        assert_eq!(fallbacks, 3 * count, "{shape:?}");
    }
    let told = |name: &str| {
        let seen = gateway.provider(name).requests().pop().unwrap();
        let host = seen.header("host").unwrap().to_owned();
        (seen.path.clone(), host, seen.json()["model"].clone())
    };
    for (name, path) in [
        ("alpha", "/v1/chat/completions"),
        ("gamma", "/v1/chat/completions"),
        ("delta", "/openai/v1/chat/completions"),
    ] {
        let address = gateway.provider(name).address().to_string();
        let model = format!("{name}-small");
        assert_eq!(told(name), (path.to_owned(), address, model.into()));
    }
}

#[test]
fn many_requests_at_once_all_find_the_provider_that_works() {
    let gateway = Gateway::start("two-providers.yaml");
    gateway.provider("alpha").always(Scripted::status(503));
    let replies: Vec<Reply> = thread::scope(|scope| {
        let call = |number: usize| SHAPES[number % 2].call(&gateway);
        let asked: Vec<_> = (0..60)
            .map(|number| scope.spawn(move || call(number).send()))
            .collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let told: BTreeSet<_> = replies
        .iter()
        .map(|reply| (reply.status(), reply.text(), reply.end() == End::Complete))
        .collect();
    assert_eq!(
        told,
        BTreeSet::from([(200, "beta heard: hi".to_owned(), true)])
    );
    for record in gateway.records(60) {
        assert_eq!(tried(&record), ["alpha 503", "beta 200"], "{record}");
    }
}

#[test]
fn a_provider_that_dies_while_it_works_costs_nobody_an_answer() {
    let gateway = Setup::named("two-providers.yaml").start();
    // Long enough that some are being answered whenever it dies.
    let slow = Scripted::text("from alpha").first_token_ms(100);
    gateway.provider("alpha").always(slow);
    let ask = || -> Vec<(u16, String)> {
        let asked = (0..25).map(|_| Shape::Whole.call(&gateway).send());
        asked.map(|reply| (reply.status(), reply.text())).collect()
    };
    let replies: Vec<(u16, String)> = thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        let alpha = gateway.provider("alpha");
        wait_for("alpha in the middle of its work", || {
            (alpha.totals().requests >= 30).then_some(())
        });
        alpha.stop_listening().unwrap();
        asking
            .into_iter()
            .flat_map(|one| one.join().unwrap())
            .collect()
    });
    let by = |text: &str| {
        let told = (200, text.to_owned());
        replies.iter().filter(|reply| **reply == told).count()
    };
    let (alpha, beta) = (by("from alpha"), by("beta heard: hi"));
    assert_eq!(alpha + beta, 100, "{replies:?}");
    assert!(alpha >= 20 && beta >= 40, "{alpha} and {beta}");
    let cut = gateway.provider("alpha").requests();
    let cut = cut.iter().filter(|seen| seen.ending != Ending::Served);
    assert!(cut.count() > 0, "it died while it worked");
}
