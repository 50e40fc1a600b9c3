//! What callers and operators are promised about money, one test each.

use tollgate::fake::Reply as Scripted;
use tollgate_tests::{Gateway, Reply, wait_for};

use crate::books::{balance, records, settled};
use crate::{served, team};

#[test]
fn what_a_request_cost_is_posted_to_the_nano_dollar() {
    let gateway = Gateway::with(&team("{max_budget: 1}"));
    for stream in [false, true] {
        let call = gateway.chat("small", "what is it").key("one");
        let reply = call.field("max_tokens", 20).field("stream", stream).send();
        assert_eq!(reply.status(), 200, "{}", reply.text());
    }
    let free = gateway.chat("small", "and this").key("free").send();
    assert_eq!(free.status(), 200);
    settled(&gateway, 3);
    let (count, cost) = records(&gateway);
    assert_eq!((count, cost), (3, served(&gateway)));
    let logged: u64 = gateway
        .records(3)
        .iter()
        .filter(|record| record["team"] == "search")
        .map(|record| record["cost_nanousd"].as_u64().unwrap())
        .sum();
    assert_eq!(balance(&gateway).posted, logged);
}

#[test]
fn who_has_no_money_left_is_told_so_and_not_to_try_again() {
    let gateway = Gateway::with(&team(
        "{budgets: [{max: 0.001, window: day, when_tight: refuse, refuse_with: 402}]}",
    ));
    let ask = |max: u64| {
        let call = gateway.chat("small", "hi").key("one");
        call.field("max_tokens", max).send()
    };
    let reply = ask(1_000);
    assert_eq!(
        (reply.status(), code(&reply).as_str()),
        (402, "budget_exceeded")
    );
    assert_eq!(reply.header("x-should-retry"), Some("false"));
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&seconds), "{seconds}");
    let told = reply.text();
    assert!(
        told.contains("team:search") && told.contains("max_tokens"),
        "{told}"
    );
    assert_eq!(gateway.attempts(), Vec::<String>::new());
    // What it covers goes on.
    assert_eq!(ask(2).status(), 200);
}

#[test]
fn a_request_without_a_cap_gets_one_that_binds_at_the_provider() {
    let gateway = Gateway::with(&team("{max_budget: 1}"));
    gateway.chat("small", "hi").key("one").send();
    gateway.chat("small", "hi").key("free").send();
    let bodies: Vec<_> = gateway.seen().iter().map(|(_, seen)| seen.json()).collect();
    assert_eq!(bodies[0]["max_completion_tokens"], 4_096, "{}", bodies[0]);
    assert!(
        bodies[1].get("max_completion_tokens").is_none(),
        "{}",
        bodies[1]
    );
}

#[test]
fn a_warning_comes_with_the_reply_and_at_the_end_a_cheaper_model_answers() {
    let config = team(
        "{budgets: [{max: 0.1, window: total, steps: {50: warn, 80: downgrade, 100: refuse}, downgrade_to: tiny}]}",
    )
    .replace(
        "prices:",
        "prices:\n  alpha/alpha-tiny: {input: 0.01, output: 0.04}",
    )
    .replace(
        "models:",
        "models:\n  tiny: {targets: [{provider: alpha, model: alpha-tiny}]}",
    );
    let gateway = Gateway::with(&config);
    let alpha = gateway.provider("alpha");
    alpha.always(Scripted::tokens(50));
    let mut warned = None;
    let mut downgraded = false;
    for _ in 0..200 {
        let call = gateway.chat("small", "hi").key("one");
        let reply = call.field("max_tokens", 50).send();
        if reply.status() != 200 {
            break;
        }
        warned = warned.or_else(|| reply.header("x-tollgate-budget-warning").map(str::to_owned));
        downgraded |= reply.header("x-tollgate-model") == Some("alpha-tiny");
    }
    let warned = warned.expect("a warning");
    assert!(warned.starts_with("team:search "), "{warned}");
    assert!(downgraded, "nobody was served by the cheaper model");
}

#[test]
fn a_soft_budget_and_an_audited_one_refuse_nobody() {
    for budget in [
        "{budgets: [{max: 0.0001, window: day, mode: soft, steps: {50: warn}}]}",
        "{budgets: [{max: 0.0001, window: day, mode: audit}]}",
    ] {
        let gateway = Gateway::with(&team(budget));
        for _ in 0..5 {
            let call = gateway.chat("small", "hi").key("one");
            let reply = call.field("max_tokens", 50).send();
            assert_eq!(reply.status(), 200, "{budget}: {}", reply.text());
        }
        let posted = settled(&gateway, 5).posted;
        assert_eq!(posted, served(&gateway), "{budget}");
    }
}

#[test]
fn a_caller_who_leaves_a_stream_pays_what_was_seen_and_a_margin() {
    let gateway = Gateway::with(&team("{max_budget: 1}"));
    gateway
        .provider("alpha")
        .always(Scripted::tokens(400).pace_ms(10));
    let call = gateway.chat("small", "hi").key("one");
    let mut stream = call.field("max_tokens", 500).stream();
    stream.read_tokens(5);
    stream.leave();
    let posted = settled(&gateway, 1).posted;
    let record = gateway.record();
    assert_eq!(record["end"], "client_left", "{record}");
    assert_eq!(record["cost_basis"], "seen_plus_margin", "{record}");
    let true_cost = wait_for("the provider to notice", || {
        let seen = gateway.seen();
        (seen[0].1.ending != tollgate::fake::Ending::Open).then(|| served(&gateway))
    });
    let whole = 500 * 40_000;
    assert!(
        true_cost <= posted && posted < whole / 2,
        "{true_cost} {posted}"
    );
}

#[test]
fn without_the_budget_service_leases_go_on_and_strangers_are_not_called_unknown() {
    let gateway = Gateway::with(&team("{max_budget: 100}"));
    let ask = |key: &str| {
        let call = gateway.chat("small", "hi").key(key);
        call.field("max_tokens", 5).send()
    };
    assert_eq!(ask("one").status(), 200);
    // With the next batch comes money for more than one request.
    settled(&gateway, 1);
    assert_eq!(ask("one").status(), 200);
    settled(&gateway, 2);
    let service = service_of(&gateway);
    signal(service, "-STOP");
    let known = ask("one");
    assert_eq!(known.status(), 200, "{}", known.text());
    let stranger = ask("stranger");
    assert_eq!(
        (stranger.status(), code(&stranger).as_str()),
        (503, "identity_unavailable")
    );
    signal(service, "-CONT");
    let told = wait_for("the service to answer again", || {
        let stranger = ask("stranger");
        (stranger.status() != 503).then_some(stranger)
    });
    assert_eq!(
        (told.status(), code(&told).as_str()),
        (401, "invalid_api_key")
    );
    settled(&gateway, 2);
}

#[test]
fn what_may_be_owed_while_the_service_is_away_is_bounded_and_posted_afterwards() {
    let gateway = Gateway::with(&team(
        "{budgets: [{max: 0.005, window: total, when_unreachable: {debt: $0.01}}]}",
    ));
    let ask = |max: u64| {
        let call = gateway.chat("small", "hi").key("one");
        call.field("max_tokens", max).send()
    };
    assert_eq!(ask(2).status(), 200);
    gateway.provider("alpha").always(Scripted::tokens(100));
    let service = service_of(&gateway);
    signal(service, "-STOP");
    let mut statuses = Vec::new();
    for _ in 0..20 {
        let reply = ask(100);
        statuses.push(reply.status());
        if reply.status() != 200 {
            assert_eq!(code(&reply), "budget_unavailable");
            break;
        }
    }
    signal(service, "-CONT");
    assert!(
        statuses.contains(&200) && statuses.contains(&503),
        "{statuses:?}"
    );
    let requests = u64::try_from(statuses.len()).unwrap() + 1;
    let posted = settled(&gateway, requests).posted;
    assert_eq!(posted, served(&gateway));
    assert!(posted <= 15_000_000, "{posted}");
}

#[test]
fn under_strict_records_nobody_is_answered_before_there_is_a_record() {
    let gateway = Gateway::with(&team(
        "{budgets: [{max: 1, window: total, strict_records: true}]}",
    ));
    for stream in [false, true] {
        let call = gateway.chat("small", "hi").key("one");
        let reply = call.field("max_tokens", 5).field("stream", stream).send();
        assert_eq!(reply.status(), 200, "{}", reply.text());
    }
    settled(&gateway, 2);
    let service = service_of(&gateway);
    signal(service, "-STOP");
    let call = gateway.chat("small", "hi").key("one");
    let reply = call.field("max_tokens", 5).send();
    signal(service, "-CONT");
    assert_eq!(
        (reply.status(), code(&reply).as_str()),
        (503, "record_unavailable")
    );
}

/// The code of a refusal.
pub(crate) fn code(reply: &Reply) -> String {
    let code = &reply.json()["error"]["code"];
    code.as_str().unwrap_or_default().to_owned()
}

/// The process of the budget service that this gateway started.
pub(crate) fn service_of(gateway: &Gateway) -> u32 {
    child_of(gateway, "budget-service")
}

/// The child of `tollgate up` whose command line has this word.
pub(crate) fn child_of(gateway: &Gateway, word: &str) -> u32 {
    let parent = gateway.process();
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let children = children.unwrap();
    let of = |process: &&str| {
        let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(word)
    };
    let found = children.split_whitespace().find(of);
    found
        .unwrap_or_else(|| panic!("no child of {parent} has `{word}`: {children}"))
        .parse()
        .unwrap()
}

pub(crate) fn signal(process: u32, signal: &str) {
    let mut kill = std::process::Command::new("kill");
    let status = kill.args([signal, &process.to_string()]).status();
    assert!(status.unwrap().success());
}
