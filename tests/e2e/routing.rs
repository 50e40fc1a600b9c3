//! Requests find who is cheapest, fastest, idle or alive; who fails is left alone for a while and asked again by one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "in tests a failure is what an unwrap is for, in their helpers too"
)]

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tollgate::fake::Reply as Scripted;
use tollgate_tests::{Call, Gateway, Reply, program, tried};

fn ask(gateway: &Gateway, model: &str) -> Call {
    gateway.chat(model, "hi").key("team-a")
}

/// The provider that answered.
fn by(reply: &Reply) -> String {
    assert_eq!(reply.status(), 200, "{}", reply.text());
    reply.header("x-tollgate-provider").unwrap().to_owned()
}

fn asked(gateway: &Gateway, model: &str, times: usize) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for _ in 0..times {
        *count.entry(by(&ask(gateway, model).send())).or_default() += 1;
    }
    count
}

fn attempts(gateway: &Gateway, reply: &Reply) -> Vec<String> {
    tried(&gateway.record_of(reply.header("x-tollgate-trace-id")))
}

#[test]
fn the_first_is_who_the_strategy_says() {
    let gateway = Gateway::start("routed.yaml");
    assert_eq!(
        asked(&gateway, "ordered", 5),
        BTreeMap::from([("alpha".to_owned(), 5)])
    );
    assert_eq!(
        asked(&gateway, "dear", 5),
        BTreeMap::from([("beta".to_owned(), 5)])
    );
    // Two workers deal out each for itself: whole rounds of four in each.
    let dealt = asked(&gateway, "dealt", 40);
    assert!((28..=32).contains(&dealt["alpha"]), "{dealt:?}");
    let record = gateway.record_of(ask(&gateway, "dear").send().header("x-tollgate-trace-id"));
    assert_eq!(
        (&record["routed"], &record["experiment"]),
        (&"cheapest".into(), &"cheaper-first".into())
    );
}

#[test]
fn a_user_stays_with_one_target_in_every_worker() {
    let gateway = Gateway::start("routed.yaml");
    let mut all = BTreeMap::new();
    for user in 0..12 {
        let call = ask(&gateway, "kept").field("user", format!("user-{user}"));
        let first = by(&call.clone().send());
        for _ in 0..5 {
            assert_eq!(by(&call.clone().send()), first, "{user}");
        }
        *all.entry(first).or_insert(0) += 1;
    }
    assert!(all.len() > 1, "{all:?}");
}

#[test]
fn who_is_slow_or_busy_is_asked_less() {
    let gateway = Gateway::start("routed.yaml");
    gateway
        .provider("alpha")
        .always(Scripted::text("slow").first_token_ms(300));
    for _ in 0..6 {
        ask(&gateway, "quick").field("stream", true).send();
    }
    thread::sleep(Duration::from_millis(600));
    let streamed = || by(&ask(&gateway, "quick").field("stream", true).send());
    assert!((0..5).all(|_| streamed() == "beta"));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| ask(&gateway, "ordered").send());
        }
        // Longer than the workers need to tell each other.
        thread::sleep(Duration::from_millis(150));
        assert_eq!(by(&ask(&gateway, "idle").send()), "beta");
    });
}

#[test]
fn three_failures_give_a_rest_and_one_request_finds_out() {
    let gateway = Gateway::start("routed.yaml");
    let alpha = gateway.provider("alpha");
    alpha.always(Scripted::status(500));
    for _ in 0..3 {
        let reply = ask(&gateway, "ordered").send();
        assert_eq!(attempts(&gateway, &reply), ["alpha 500", "beta 200"]);
    }
    let rest = || ask(&gateway, "ordered").send();
    thread::sleep(Duration::from_millis(100));
    for _ in 0..4 {
        assert_eq!(attempts(&gateway, &rest()), ["beta 200"]);
    }
    thread::sleep(Duration::from_millis(2_400));
    // It still fails: of many at once only one finds out, and nobody notices.
    let before = alpha.totals().requests;
    let replies: Vec<Reply> = thread::scope(|scope| {
        let asking: Vec<_> = (0..20).map(|_| scope.spawn(rest)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(replies.iter().all(|reply| by(reply) == "beta"));
    assert_eq!(alpha.totals().requests - before, 1);
    alpha.heal();
    thread::sleep(Duration::from_millis(4_800));
    assert_eq!(by(&rest()), "alpha");
    thread::sleep(Duration::from_millis(400));
    assert_eq!(
        asked(&gateway, "ordered", 5),
        BTreeMap::from([("alpha".to_owned(), 5)])
    );
    let turns = |to| {
        gateway.metric(
            "tollgate_breaker_turns_total",
            &[("provider", "alpha"), ("kind", to)],
        )
    };
    assert!(turns("open") >= 1 && turns("closed") == 1);
}

#[test]
fn a_provider_that_says_when_to_come_back_is_left_alone_until_then() {
    let gateway = Gateway::start("routed.yaml");
    let alpha = gateway.provider("alpha");
    alpha.next("429;retry_after=2".parse().unwrap());
    assert_eq!(by(&ask(&gateway, "ordered").send()), "beta");
    thread::sleep(Duration::from_millis(100));
    let replies: Vec<Reply> = thread::scope(|scope| {
        let asking: Vec<_> = (0..30)
            .map(|_| scope.spawn(|| ask(&gateway, "ordered").send()))
            .collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(replies.iter().all(|reply| by(reply) == "beta"));
    assert_eq!(alpha.totals().requests, 1, "a storm of 429 is one 429");
    thread::sleep(Duration::from_millis(2_100));
    assert_eq!(by(&ask(&gateway, "ordered").send()), "alpha");
}

#[test]
fn fallbacks_lead_to_other_models() {
    let gateway = Gateway::start("routed.yaml");
    let alpha = gateway.provider("alpha");
    let error = |code: &str| {
        let body = serde_json::json!({"error": {"message": "no", "type": "invalid_request_error", "code": code}});
        serde_json::json!({"status": 400, "body": body.to_string()}).to_string()
    };
    for (fault, want) in [
        ("503".to_owned(), ["alpha 503", "beta 200"]),
        (
            error("context_length_exceeded"),
            ["alpha context_window", "gamma 200"],
        ),
        (
            error("content_policy_violation"),
            ["alpha content_policy", "beta 200"],
        ),
    ] {
        for stream in [false, true] {
            alpha.next(fault.parse().unwrap());
            let reply = ask(&gateway, "alone").field("stream", stream).send();
            assert_eq!(reply.status(), 200, "{fault}");
            assert_eq!(attempts(&gateway, &reply), want, "{fault} {stream}");
        }
    }
    let heard = gateway.provider("beta").requests().pop().unwrap();
    assert_eq!(heard.json()["model"], "free");
    // The caller's own list, which no provider hears of.
    alpha.next("500".parse().unwrap());
    let reply = ask(&gateway, "last").field("models", vec!["long"]).send();
    assert_eq!(attempts(&gateway, &reply), ["alpha 500", "gamma 200"]);
    let heard = gateway.provider("gamma").requests().pop().unwrap();
    assert_eq!(
        (&heard.json()["model"], &heard.json()["models"]),
        (&"long".into(), &Value::Null)
    );
}

#[test]
fn the_last_resort_is_an_answer_of_the_operator() {
    let gateway = Gateway::start("routed.yaml");
    gateway.provider("alpha").always(Scripted::status(500));
    for stream in [false, true] {
        let reply = ask(&gateway, "last").field("stream", stream).send();
        assert_eq!(
            (reply.status(), reply.text().as_str()),
            (200, "Please come back later."),
            "{stream}"
        );
        let record = gateway.record_of(reply.header("x-tollgate-trace-id"));
        assert_eq!(
            (&record["code"], &record["end"]),
            (&"last_resort".into(), &"failed".into())
        );
    }
}

#[test]
fn policies_and_filters_decide_where_a_request_may_go() {
    let gateway = Gateway::start("routed.yaml");
    let long = "word ".repeat(2_100);
    assert_eq!(
        by(&gateway.chat("ordered", &long).key("team-a").send()),
        "gamma"
    );
    assert_eq!(
        by(&ask(&gateway, "apart").header("x-data", "eu-only").send()),
        "beta"
    );
    assert_eq!(
        by(&ask(&gateway, "apart")
            .header("x-tollgate-region", "eu-west")
            .send()),
        "beta"
    );
    let refused = ask(&gateway, "apart")
        .header("x-tollgate-region", "mars")
        .send();
    assert_eq!(refused.status(), 403);
    let denied = ask(&gateway, "ordered")
        .header("x-tollgate-tags", "forbidden")
        .send();
    assert_eq!(
        (denied.status(), denied.text().contains("Not here.")),
        (403, true)
    );
}

#[test]
fn the_tool_explains_what_the_filter_decides() {
    let gateway = Gateway::start("routed.yaml");
    for model in ["ordered", "dear", "alone", "apart"] {
        let call = ask(&gateway, model).field("max_tokens", 50);
        let told: Value =
            serde_json::from_str(call.clone().send().header("x-tollgate-route").unwrap()).unwrap();
        let body = serde_json::json!({"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]});
        let file = gateway.directory().join("request.json");
        std::fs::write(&file, body.to_string()).unwrap();
        let config = gateway.directory().join("gateway.yaml");
        let output = Command::new(program())
            .args(["explain", "--key", "team-a", "--config"])
            .arg(config)
            .arg(file)
            .output()
            .unwrap();
        let said: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        let numbers = |route: &Value| -> Vec<String> {
            let all = route["candidates"].as_array().unwrap().iter();
            all.map(|one| {
                format!(
                    "{} {} {} {}",
                    one["provider"], one["estimate_nanousd"], one["place"], one["passed_over"]
                )
            })
            .collect()
        };
        assert_eq!(numbers(&said["route"]), numbers(&told), "{model}");
        assert_eq!(said["route"]["reason"], told["reason"], "{model}");
    }
}
