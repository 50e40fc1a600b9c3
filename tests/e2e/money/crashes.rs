//! Kill -9 of anything under load: what the providers did never exceeds what is posted and held, and what was posted
//! stays posted.

use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tollgate::fake::Reply as Scripted;
use tollgate_tests::{Gateway, wait_for};

use crate::books::{balance, records};
use crate::promises::{child_of, service_of, signal};
use crate::{served, team};

const BUDGET: u64 = 100_000_000_000;

fn under_load(gateway: &Gateway, run: impl FnOnce()) {
    let done = AtomicBool::new(false);
    gateway
        .provider("alpha")
        .always(Scripted::tokens(30).pace_ms(2));
    thread::scope(|scope| {
        for caller in 0..8_u64 {
            let done = &done;
            scope.spawn(move || {
                let mut number = caller;
                while !done.load(Ordering::Relaxed) {
                    number += 1;
                    // Who finds nobody at home asks again.
                    if ask(gateway, number).is_none() {
                        thread::sleep(Duration::from_millis(20));
                    }
                }
            });
        }
        run();
        done.store(true, Ordering::Relaxed);
    });
}

/// None where nobody answers, or not to the end.
fn ask(gateway: &Gateway, number: u64) -> Option<u16> {
    let at_home = TcpStream::connect(gateway.address());
    drop(at_home.ok()?);
    let call = gateway.chat("small", "hello there").key("one");
    let call = call.field("max_tokens", 40 + number % 7);
    // The harness panics where a connection is refused, which may happen between the look and the call.
    let mut stream = catch_unwind(AssertUnwindSafe(|| call.try_stream()))
        .ok()?
        .ok()?;
    let _whole = stream.text();
    Some(stream.status()).filter(|status| *status == 200)
}

#[test]
fn a_killed_envoy_leaves_its_money_held_and_nothing_of_it_is_lost() {
    let gateway = Gateway::with(&team("{max_budget: 100}"));
    let envoy = child_of(&gateway, "envoy");
    under_load(&gateway, || {
        wait_for("some requests", || (records(&gateway).0 > 20).then_some(()));
        // `tollgate up` ends with its Envoy, so that whoever watches it starts both again.
        signal(envoy, "-KILL");
        thread::sleep(Duration::from_millis(300));
    });
    let books = balance(&gateway);
    assert!(
        served(&gateway) <= books.sum(),
        "{} {books:?}",
        served(&gateway)
    );
    assert!(books.sum() <= BUDGET);
    let (_, cost) = records(&gateway);
    assert_eq!(cost, books.posted, "each record was posted once");
}

#[test]
fn a_killed_budget_service_loses_nothing_that_it_answered() {
    let gateway = Gateway::with(&team("{max_budget: 100}"));
    let service = service_of(&gateway);
    under_load(&gateway, || {
        wait_for("some requests", || (records(&gateway).0 > 20).then_some(()));
        signal(service, "-KILL");
        thread::sleep(Duration::from_millis(300));
    });
    let books = balance(&gateway);
    let (_, cost) = records(&gateway);
    assert_eq!(cost, books.posted, "each record was posted once");
    assert!(
        served(&gateway) <= books.sum(),
        "{} {books:?}",
        served(&gateway)
    );
}
