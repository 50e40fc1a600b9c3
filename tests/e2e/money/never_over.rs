//! Two Envoys with two workers each, 64 callers at once, one budget: the providers never do more work than it pays for,
//! almost all of it is spent, and nobody is refused what is there. `make prove` runs 20 rounds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tollgate::fake::Reply as Scripted;
use tollgate_tests::{Gateway, Setup, wait_for};

use crate::books::{Books, balance};
use crate::{at, rounds, served, team};

const BUDGET: u64 = 1_000_000_000;
const CALLERS: u64 = 64;
/// A caller who was refused so often has understood.
const REFUSALS: u32 = 2;
/// No request needs more than this: 60 tokens out at $40 for a million, and a prompt of less than 300 bytes at $10.
const NEED: u64 = 60 * 40_000 + 300 * 10_000;

/// What the callers did, and how much nobody held while they did it.
#[derive(Default)]
struct Told {
    asked: AtomicU64,
    refused: Mutex<Vec<(Instant, Instant)>>,
    available: Mutex<Vec<(Instant, u64)>>,
    is_over: AtomicBool,
}

impl Told {
    /// Refusals of money that lay there all the while that their requests waited.
    fn in_vain(&self) -> usize {
        let available = self.available.lock().unwrap();
        let refused = self.refused.lock().unwrap();
        let in_vain = refused.iter().filter(|(asked, told)| {
            let meanwhile = available.iter().filter(|(at, _)| asked <= at && at <= told);
            let least = meanwhile.map(|(_, nanos)| *nanos).min();
            least.is_some_and(|least| least >= NEED)
        });
        in_vain.count()
    }
}

#[test]
fn two_envoys_and_sixty_four_callers_never_spend_more_than_the_budget_and_almost_all_of_it() {
    for round in 1..=rounds(1) {
        let first = Setup::of(&team("{max_budget: 1}")).start();
        let second = at(first.budget(), &team("{max_budget: 1}"));
        let second = Setup::of(&second).start();
        let told = spend_it(&first, &second);
        let spent = || served(&first) + served(&second);
        let books = wait_for("everything to be settled", || {
            let books = balance(&first);
            (books.posted >= spent() && books.posted * 100 >= BUDGET * 99).then_some(books)
        });
        let (spent, asked) = (spent(), told.asked.load(Ordering::Relaxed));
        let refused = told.refused.lock().unwrap().len();
        let in_vain = told.in_vain();
        eprintln!(
            "round {round}: {asked} requests, {refused} refused, {in_vain} in vain; spent {spent}, {books:?}"
        );
        assert!(spent <= BUDGET, "spent {spent} of {BUDGET}");
        assert!(books.sum() <= BUDGET, "{books:?} of {BUDGET}");
        assert_eq!(in_vain, 0);
    }
}

fn spend_it(first: &Gateway, second: &Gateway) -> Told {
    for gateway in [first, second] {
        let alpha = gateway.provider("alpha");
        alpha.always(Scripted::tokens(60).pace_ms(1));
    }
    let told = Told::default();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let gateway = if caller % 2 == 0 { first } else { second };
                let told = &told;
                scope.spawn(move || ask_until_refused(gateway, caller, told))
            })
            .collect();
        scope.spawn(|| watch(&Books::of(first), &told));
        let ended: Vec<_> = callers.into_iter().map(|caller| caller.join()).collect();
        told.is_over.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok), "a caller failed");
    });
    told
}

fn watch(books: &Books, told: &Told) {
    while !told.is_over.load(Ordering::Relaxed) {
        let known = books.balance().unwrap().sum();
        assert!(known <= BUDGET, "{known} of {BUDGET}");
        let mut available = told.available.lock().unwrap();
        available.push((Instant::now(), BUDGET - known));
        drop(available);
        thread::sleep(Duration::from_millis(20));
    }
}

fn ask_until_refused(gateway: &Gateway, caller: u64, told: &Told) {
    let mut refusals = 0;
    for number in 0..10_000_u64 {
        if refusals == REFUSALS {
            return;
        }
        told.asked.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        match ask(gateway, caller, number) {
            200 => {}
            429 => {
                refusals += 1;
                let mut refused = told.refused.lock().unwrap();
                refused.push((began, Instant::now()));
            }
            other => panic!("caller {caller} got {other}"),
        }
    }
}

/// In one piece, as a stream, or as a stream that the caller leaves.
fn ask(gateway: &Gateway, caller: u64, number: u64) -> u16 {
    let size = 20 + (caller * 7 + number * 13) % 41;
    let words = "word ".repeat(usize::try_from(1 + (caller + number) % 50).unwrap());
    let call = gateway
        .chat("small", &words)
        .key("one")
        .field("max_tokens", size)
        .patience(Duration::from_secs(60));
    match (caller + number) % 6 {
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
    }
}
