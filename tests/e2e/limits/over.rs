//! What becomes of requests beyond a limit, and of what they hold.

use std::sync::mpsc;
use std::thread;

use tollgate::fake::Reply as Scripted;
use tollgate_tests::{Gateway, Reply, wait_for};

use crate::{alone, code, leased};

#[test]
fn places_come_back_however_a_request_ends() {
    for config in [
        alone("{max_parallel_requests: 2}"),
        leased("{max_parallel_requests: 2}"),
    ] {
        let gateway = Gateway::with(&config);
        let alpha = gateway.provider("alpha");
        let ask = || gateway.chat("small", "hi").key("one");
        let free = |why: &str| {
            wait_for(&format!("two places after {why}"), || {
                let replies: Vec<Reply> = thread::scope(|scope| {
                    let two = [scope.spawn(|| ask().send()), scope.spawn(|| ask().send())];
                    two.into_iter().map(|one| one.join().unwrap()).collect()
                });
                replies
                    .iter()
                    .all(|reply| reply.status() == 200)
                    .then_some(())
            });
        };
        alpha.always(Scripted::tokens(400).pace_ms(20));
        let mut streams = [ask().stream(), ask().stream()];
        for stream in &mut streams {
            stream.read_tokens(2);
        }
        let third = ask().send();
        assert_eq!(
            (third.status(), code(&third).as_str()),
            (429, "rate_limit_exceeded")
        );
        assert_eq!(third.header("retry-after"), Some("1"));
        alpha.heal();
        for stream in streams {
            stream.leave();
        }
        free("callers left");
        for fault in ["500", "cut@2", "reset"] {
            alpha.next(fault.parse().unwrap());
            ask().field("stream", true).send();
            free(fault);
        }
        let refused = ask().field("stream", "yes").send();
        assert_eq!(refused.status(), 400, "{}", refused.text());
        free("a refusal");
    }
}

#[test]
fn who_may_wait_waits_its_turn_and_no_more_than_may() {
    let gateway = Gateway::with(&alone(
        "{max_parallel_requests: 1, queue: {max_wait: 20s, max_waiting: 3}}",
    ));
    let alpha = gateway.provider("alpha");
    alpha.always(Scripted::tokens(400).pace_ms(20));
    let ask = |key: &str| gateway.chat("small", "hi").key(key);
    let mut first = ask("one").stream();
    first.read_tokens(2);
    alpha.heal();
    let (says, hears) = mpsc::channel();
    thread::scope(|scope| {
        for key in ["one", "one", "two", "two"] {
            let (says, ask) = (says.clone(), &ask);
            scope.spawn(move || says.send(ask(key).send()).unwrap());
        }
        // Three have room to wait. Which of four has none, nobody knows.
        let refused = hears.recv().unwrap();
        assert_eq!(
            (refused.status(), code(&refused).as_str()),
            (429, "rate_limit_exceeded")
        );
        let other = gateway.chat("small", "hi").key("free").send();
        assert_eq!(other.status(), 200, "who has no limit does not wait");
        first.leave();
        for _ in 0..3 {
            let reply = hears.recv().unwrap();
            assert_eq!(reply.status(), 200, "{}", reply.text());
        }
    });
}

#[test]
fn over_the_limit_of_a_model_a_cheaper_one_answers() {
    let gateway = Gateway::with(&alone("{rpm_limit: 100}"));
    let ask = || gateway.chat("large", "hi").key("one").send();
    let by = |reply: &Reply| reply.header("x-tollgate-model").unwrap().to_owned();
    assert_eq!(by(&ask()), "alpha-large");
    let second = ask();
    assert_eq!(
        (second.status(), by(&second).as_str()),
        (200, "alpha-small")
    );
    let record = gateway.record_of(second.header("x-tollgate-trace-id"));
    assert_eq!(
        (&record["model"], &record["routed"]),
        (&"large".into(), &"limit".into())
    );
}
