//! What is held for a request: the worst case, more where a fallback costs more, less once more is known.

use serde_json::json;
use tollgate::fake::Reply as Scripted;
use tollgate_tests::{Gateway, Reply};

use crate::promises::code;
use crate::team;

/// `alpha` is cheap; `beta` costs a thousand times as much.
fn cheap_then_dear(budget: &str) -> String {
    team(budget)
        .replace(
            "models:",
            "  beta: {dialect: openai, url: http://{beta}/v1}\nmodels:",
        )
        .replace(
            "model: alpha-small}]",
            "model: alpha-small}, {provider: beta, model: beta-small}]",
        )
        .replace(
            "alpha/alpha-small: {input: 10, output: 40}",
            "alpha/alpha-small: {input: 0.1, output: 0.4}\n  beta/beta-small: {input: 100, output: 400}",
        )
}

fn ask(gateway: &Gateway) -> Reply {
    let call = gateway.chat("small", "hi").key("one");
    call.field("max_tokens", 100).send()
}

#[test]
fn a_fallback_that_costs_more_holds_more_and_waits_for_it_where_the_lease_is_dry() {
    // 100 tokens for $400 a million, and the prompt beside: the first lease had a hundredth of a cent.
    let gateway = Gateway::with(&cheap_then_dear("{max_budget: 1}"));
    gateway.provider("alpha").always(Scripted::status(500));
    let reply = ask(&gateway);
    assert_eq!(reply.status(), 200, "{}", reply.text());
    assert_eq!(gateway.attempts(), ["alpha 500", "beta 200"]);
    let record = gateway.record();
    let reserved = record["reserved_nanousd"].as_u64().unwrap();
    assert!(reserved >= 40_000_000, "{record}");
    assert_eq!(
        gateway.metric("tollgate_waits_total", &[("kind", "money")]),
        1
    );
}

#[test]
fn a_fallback_that_the_budget_does_not_cover_is_not_asked() {
    let gateway = Gateway::with(&cheap_then_dear(
        "{budgets: [{max: 0.03, window: total, when_tight: refuse}]}",
    ));
    gateway.provider("alpha").always(Scripted::status(500));
    let reply = ask(&gateway);
    assert_eq!(
        (reply.status(), code(&reply).as_str()),
        (429, "budget_exceeded")
    );
    assert_eq!(gateway.attempts(), ["alpha 500"]);
    // What it costs nobody was charged for.
    gateway.provider("alpha").heal();
    assert_eq!(ask(&gateway).status(), 200);
}

#[test]
fn every_answer_that_is_asked_for_is_held() {
    let gateway = Gateway::with(&team("{max_budget: 1}"));
    for (number, choices) in [1_u64, 3].into_iter().enumerate() {
        let call = gateway.chat("small", "hi").key("one");
        let reply = call.field("max_tokens", 100).field("n", choices).send();
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let record = &gateway.records(number + 1)[number];
        let reserved = record["reserved_nanousd"].as_u64().unwrap();
        let answers = choices * 100 * 40_000;
        assert!(
            (answers..answers + 4_000_000).contains(&reserved),
            "{record}"
        );
    }
}

/// Anthropic tells at the beginning of a stream what of the prompt came from its cache.
fn cached(budget: &str) -> String {
    team(budget)
        .replace(
            "{dialect: openai, url: http://{alpha}/v1}",
            "{dialect: anthropic, url: http://{alpha}/anthropic}",
        )
        .replace(
            "alpha/alpha-small: {input: 10, output: 40}",
            "alpha/alpha-small: {input: 1, output: 1, cache_write: 1000}",
        )
}

#[test]
fn what_a_running_stream_does_not_need_any_more_is_there_for_others() {
    let call = |gateway: &Gateway| {
        let call = gateway.call("POST", "/v1/messages").key("one");
        let call = call.header("anthropic-version", "2023-06-01");
        let message = json!({"role": "user", "content": "word ".repeat(100)});
        call.json(json!({"model": "small", "max_tokens": 50, "messages": [message]}))
    };
    let held = {
        let gateway = Gateway::with(&cached("{max_budget: 100}"));
        let reply = call(&gateway).send();
        assert_eq!(reply.status(), 200, "{}", reply.text());
        gateway.record()["reserved_nanousd"].as_u64().unwrap()
    };
    // One such request fits into the budget, two do not.
    let budget = held + held / 2;
    let dollars = format!("{}.{:09}", budget / 1_000_000_000, budget % 1_000_000_000);
    let gateway = Gateway::with(&cached(&format!(
        "{{budgets: [{{max: {dollars}, window: total, when_tight: wait 8s}}]}}"
    )));
    let alpha = gateway.provider("alpha");
    alpha.next(Scripted {
        pace_ms: Some(60_000),
        ..Scripted::tokens(40)
    });
    let mut first = call(&gateway).stream();
    assert_eq!(first.status(), 200);
    first.next().expect("its beginning");
    let second = call(&gateway).stream();
    assert_eq!(second.status(), 200, "while the first still runs");
    assert_eq!(first.end(), None);
}

#[test]
fn a_reply_in_one_piece_says_what_it_costs_as_its_record_does() {
    let gateway = Gateway::with(&team("{max_budget: 1}"));
    let call = || {
        gateway
            .chat("small", "hi")
            .key("one")
            .field("max_tokens", 20)
    };
    let reply = call().send();
    let told = reply.header("x-tollgate-cost").unwrap().to_owned();
    let nanos = gateway.record()["cost_nanousd"].as_u64().unwrap();
    let (whole, digits) = told.split_once('.').unwrap();
    let fraction: u64 = format!("{digits:0<9}").parse().unwrap();
    assert_eq!((whole, fraction), ("0", nanos), "{told}");
    let stream = call().stream();
    assert_eq!(stream.header("x-tollgate-cost"), None);
}

#[test]
fn who_cannot_be_covered_whatever_comes_back_is_refused_at_once() {
    // The test would wait for a minute, and its client does not.
    let gateway = Gateway::with(&team(
        "{budgets: [{max: 0.001, window: day, when_tight: wait 60s}]}",
    ));
    let reply = ask(&gateway);
    assert_eq!(
        (reply.status(), code(&reply).as_str()),
        (429, "budget_exceeded")
    );
    assert_eq!(gateway.attempts(), Vec::<String>::new());
}
