//! No request waits for the budget service, once everything is under way.

use std::thread;

use tollgate_tests::{Gateway, Setup, wait_for};

use crate::team;

const WARMING: u64 = 400;
const REQUESTS: u64 = 1_600;

/// Once so many requests are counted: how many of them waited for nothing, to know whose key it is, for money.
fn waited(gateways: &[&Gateway], requests: u64) -> [u64; 3] {
    let waits = |labels: &[(&str, &str)]| -> u64 {
        let waits = |gateway: &&Gateway| gateway.metric("tollgate_waits_total", labels);
        gateways.iter().map(waits).sum()
    };
    wait_for("all requests to be counted", || {
        (waits(&[]) == requests).then_some(())
    });
    ["nothing", "identity", "money"].map(|kind| waits(&[("kind", kind)]))
}

fn ask(gateways: &[&Gateway], each: u64) {
    thread::scope(|scope| {
        for caller in 0..8_u64 {
            scope.spawn(move || {
                for number in 0..each / 8 {
                    let gateway = gateways[usize::try_from((caller + number) % 2).unwrap()];
                    let call = gateway.chat("small", "hi").key("one");
                    let call = call.field("max_tokens", 20 + number % 7);
                    assert_eq!(call.send().status(), 200);
                }
            });
        }
    });
}

#[test]
fn of_a_hundred_requests_at_two_envoys_with_two_workers_ninety_nine_wait_for_no_round_trip() {
    let first = Setup::of(&team("{max_budget: 1000}")).start();
    let there = format!("budget_service: {{url: http://{}}}", first.budget());
    let second = team("{max_budget: 1000}").replace(
        "budget_service: {listen: {budget}, admin: {budget-admin}, store: sqlite}",
        &there,
    );
    let second = Setup::of(&second).start();
    let gateways = [&first, &second];
    // Until every worker knows the key, and has seen how much is usually taken.
    ask(&gateways, WARMING);
    let before = waited(&gateways, WARMING);
    ask(&gateways, REQUESTS);
    let after = waited(&gateways, WARMING + REQUESTS);
    eprintln!("nothing, identity, money: {before:?} of {WARMING}, then {after:?}");
    let none = after[0] - before[0];
    assert!(none * 100 >= REQUESTS * 99, "{none} of {REQUESTS}");
    let log = first.directory().join("data/budget-service.log");
    let log = std::fs::read_to_string(log).unwrap();
    let told = log
        .lines()
        .filter(|line| line.contains(r#"node "tollgate""#));
    assert_eq!(told.count(), 2, "both processes say who they are: {log}");
}
