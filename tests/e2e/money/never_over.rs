//! Two Envoys with two workers each, 64 callers at once, one budget: the providers never do more work than it pays for,
//! and almost all of it is spent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tollgate::fake::Reply as Scripted;
use tollgate_tests::{Gateway, Setup, wait_for};

use crate::books::balance;
use crate::{served, team};

const BUDGET: u64 = 1_000_000_000;
const CALLERS: u64 = 64;
/// A caller who was refused so often has understood.
const REFUSALS: u32 = 2;

#[test]
fn two_envoys_and_sixty_four_callers_never_spend_more_than_the_budget_and_almost_all_of_it() {
    let first = Setup::of(&team("{max_budget: 1}")).start();
    let there = format!("budget_service: {{url: http://{}}}", first.budget());
    let second = team("{max_budget: 1}").replace(
        "budget_service: {listen: {budget}, admin: {budget-admin}, store: sqlite}",
        &there,
    );
    let second = Setup::of(&second).start();
    for gateway in [&first, &second] {
        let alpha = gateway.provider("alpha");
        alpha.always(Scripted::tokens(60).pace_ms(1));
    }
    let asked = AtomicU64::new(0);
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let gateway = if caller % 2 == 0 { &first } else { &second };
            let asked = &asked;
            scope.spawn(move || ask_until_refused(gateway, caller, asked));
        }
    });
    let spent = || served(&first) + served(&second);
    let books = wait_for("everything to be settled", || {
        let books = balance(&first);
        (books.posted >= spent() && books.posted * 100 >= BUDGET * 98).then_some(books)
    });
    let (spent, asked) = (spent(), asked.load(Ordering::Relaxed));
    println!("{asked} requests; spent {spent}, {books:?}");
    assert!(spent <= BUDGET, "spent {spent} of {BUDGET}");
    assert!(books.sum() <= BUDGET, "{books:?} of {BUDGET}");
    assert!(books.posted * 100 >= BUDGET * 98, "{books:?} of {BUDGET}");
}

fn ask_until_refused(gateway: &Gateway, caller: u64, asked: &AtomicU64) {
    let mut refusals = 0;
    for number in 0..10_000_u64 {
        if refusals == REFUSALS {
            return;
        }
        asked.fetch_add(1, Ordering::Relaxed);
        let size = 20 + (caller * 7 + number * 13) % 41;
        let words = "word ".repeat(usize::try_from(1 + (caller + number) % 50).unwrap());
        let call = gateway
            .chat("small", &words)
            .key("one")
            .field("max_tokens", size)
            .patience(std::time::Duration::from_secs(60));
        let status = match (caller + number) % 6 {
            0 | 1 => {
                let mut stream = call.stream();
                let status = stream.status();
                let _whole = stream.text();
                status
            }
            2 => {
                let mut stream = call.stream();
                let status = stream.status();
                if status == 200 {
                    stream.next();
                }
                stream.leave();
                status
            }
            _ => call.send().status(),
        };
        match status {
            200 => {}
            429 => refusals += 1,
            other => panic!("caller {caller} got {other}"),
        }
    }
}
