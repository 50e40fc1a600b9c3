//! The budget service is away: who is still known, what is still served, what metrics say of it.

use std::process::Command;
use std::thread;

use tollgate::fake::{Ending, Reply as Scripted};
use tollgate_tests::{Gateway, Reply, Setup, program, wait_for};

use crate::books::settled;
use crate::promises::{code, service_of, signal};
use crate::team;

#[test]
fn under_strict_records_a_reply_that_is_ready_is_held_until_there_is_a_record() {
    let gateway = Gateway::with(&team(
        "{budgets: [{max: 1, window: total, strict_records: true}]}",
    ));
    let call = || {
        gateway
            .chat("small", "hi")
            .key("one")
            .field("max_tokens", 5)
    };
    for requests in [1, 2] {
        assert_eq!(call().send().status(), 200);
        settled(&gateway, requests);
    }
    let service = service_of(&gateway);
    signal(service, "-STOP");
    thread::scope(|scope| {
        let caller = scope.spawn(|| {
            let mut stream = call().stream();
            (stream.status(), stream.text())
        });
        wait_for("the provider to have said everything", || {
            let seen = gateway.seen();
            let last = seen.get(2)?;
            (last.1.ending != Ending::Open).then_some(())
        });
        assert!(!caller.is_finished(), "nothing is durable yet");
        signal(service, "-CONT");
        let (status, text) = caller.join().unwrap();
        assert_eq!(status, 200);
        assert!(!text.is_empty());
    });
    settled(&gateway, 3);
}

fn tollgate(gateway: &Gateway, arguments: &str) -> String {
    let output = Command::new(program())
        .args(arguments.split_whitespace())
        .args(["--url", &format!("http://{}", gateway.budget_admin())])
        .arg("--data")
        .arg(gateway.directory().join("data"))
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn keys_stay_known_for_a_while_and_no_longer_and_who_was_disabled_stays_out() {
    let config = team("{max_budget: 1}").replace("store: sqlite", "store: sqlite, keys_kept: 2s");
    // One worker: it has seen all there is to see.
    let gateway = Setup::of(&config).workers(1).start();
    let made = tollgate(&gateway, "keys create bot --output json");
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let secret = made["secret"].as_str().unwrap().to_owned();
    let bot = || {
        let call = gateway.chat("small", "hi");
        call.header("authorization", &format!("Bearer {secret}"))
            .send()
    };
    let free = || gateway.chat("small", "hi").key("free").send();
    assert_eq!((bot().status(), free().status()), (200, 200));
    tollgate(&gateway, "keys disable free");
    let refused = wait_for("the key to be disabled", || {
        let reply = free();
        (reply.status() != 200).then(|| code(&reply))
    });
    let service = service_of(&gateway);
    signal(service, "-STOP");
    let known = bot();
    assert_eq!(known.status(), 200, "{}", known.text());
    let forgotten = wait_for("the key to be forgotten", || {
        let reply = bot();
        (reply.status() != 200).then_some(reply)
    });
    assert_eq!(
        (forgotten.status(), code(&forgotten).as_str()),
        (503, "identity_unavailable")
    );
    assert_eq!(code(&free()), refused);
    signal(service, "-CONT");
    wait_for("the key to be known again", || {
        (bot().status() == 200).then_some(())
    });
}

#[test]
fn metrics_say_what_is_held_and_what_is_exposed_while_the_service_is_away() {
    let gateway = Gateway::with(&team(
        "{budgets: [{max: 0.01, window: total, when_unreachable: {debt: $0.01}}]}",
    ));
    let figure = |name: &str| gateway.metric(&format!("tollgate_{name}"), &[]);
    let becomes = |name: &str, want: fn(u64) -> bool| {
        wait_for(name, || Some(figure(name)).filter(|value| want(*value)));
    };
    let ask = || -> Reply {
        let call = gateway.chat("small", "hi").key("one");
        call.field("max_tokens", 50).send()
    };
    assert_eq!(ask().status(), 200);
    becomes("lease_held_nanousd", |nanos| nanos == 0);
    becomes("leases", |leases| leases == 1);
    becomes("lease_free_nanousd", |nanos| {
        nanos > 0 && nanos < 10_000_000
    });
    gateway
        .provider("alpha")
        .next(Scripted::tokens(40).pace_ms(60_000));
    let call = gateway.chat("small", "hi").key("one");
    let stream = call.field("max_tokens", 50).stream();
    becomes("lease_held_nanousd", |nanos| nanos >= 50 * 40_000);
    stream.leave();
    becomes("lease_held_nanousd", |nanos| nanos == 0);
    let service = service_of(&gateway);
    signal(service, "-STOP");
    wait_for("money to be owed", || {
        let served = ask().status() == 200;
        (figure("uncovered_nanousd") > 0 || !served).then_some(())
    });
    assert!(figure("uncovered_nanousd") > 0);
    becomes("budget_service_away", |workers| workers > 0);
    becomes("budget_calls_failed_total", |calls| calls > 0);
    signal(service, "-CONT");
    becomes("budget_service_away", |workers| workers == 0);
    becomes("uncovered_nanousd", |nanos| nanos == 0);
}
