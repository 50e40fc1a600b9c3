//! Kill -9 of anything under load: what the providers did never exceeds what is posted and held, that never exceeds the
//! limit, and what was acknowledged is there, once. `make prove` runs 20 rounds of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tollgate::fake::Reply as Scripted;
use tollgate_tests::{BudgetService, Gateway};

use crate::books::Books;
use crate::promises::{child_of, signal};
use crate::server::Server;
use crate::{at, rounds, served, team};

const BUDGET: &str = "{max_budget: 100}";
const LIMIT: u64 = 100_000_000_000;
const CALLERS: u64 = 8;
/// Records between two kills.
const STRIDE: u64 = 25;
/// A database that was killed reads its log first, and the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is watched while things die.
struct Proof<'a> {
    gateway: &'a Gateway,
    books: &'a Books,
    /// Traces of the requests whose reply had begun.
    begun: Mutex<BTreeSet<String>>,
    samples: AtomicU64,
    is_over: AtomicBool,
}

/// Says that it is over, also when something panics: the others wait for it.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<'a> Proof<'a> {
    /// Callers call and the books are compared with what the providers did, as long as this acts.
    fn while_acting(gateway: &'a Gateway, books: &'a Books, act: impl FnOnce(&Proof<'_>)) -> Self {
        let alpha = gateway.provider("alpha");
        alpha.always(Scripted::tokens(30).pace_ms(2));
        let proof = Self {
            gateway,
            books,
            begun: Mutex::default(),
            samples: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        };
        thread::scope(|scope| {
            let _ends = Ends(&proof.is_over);
            for caller in 0..CALLERS {
                let proof = &proof;
                scope.spawn(move || proof.call(caller));
            }
            scope.spawn(|| {
                while !proof.is_over.load(Ordering::Relaxed) {
                    proof.compare();
                    thread::sleep(Duration::from_millis(20));
                }
            });
            act(&proof);
        });
        proof.compare();
        proof
    }

    fn call(&self, caller: u64) {
        let mut number = caller;
        while !self.is_over.load(Ordering::Relaxed) {
            number += 1;
            // Who finds nobody at home asks again.
            if self.ask(number).is_none() {
                thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// None where nobody answers, or not with a reply.
    fn ask(&self, number: u64) -> Option<()> {
        let call = self.gateway.chat("small", "hello there").key("one");
        let call = call.field("max_tokens", 40 + number % 7);
        if number.is_multiple_of(3) {
            let reply = call.try_send().ok()?;
            self.begun(reply.status(), reply.header("x-tollgate-trace-id"))
        } else {
            let mut stream = call.try_stream().ok()?;
            let begun = self.begun(stream.status(), stream.header("x-tollgate-trace-id"));
            let _whole = stream.text();
            begun
        }
    }

    fn begun(&self, status: u16, trace: Option<&str>) -> Option<()> {
        if status != 200 {
            return None;
        }
        let trace = trace.unwrap().to_owned();
        self.begun.lock().unwrap().insert(trace);
        Some(())
    }

    /// What the providers did is looked at first: it only grows, so what is known afterwards must cover it.
    fn compare(&self) {
        let served = served(self.gateway);
        let Some(known) = self.books.balance() else {
            return;
        };
        assert!(served <= known.sum(), "served {served}, known {known:?}");
        assert!(known.sum() <= LIMIT, "{known:?}");
        self.samples.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until more was recorded.
    fn progress(&self) {
        let count = || self.books.records().map(|(count, _)| count);
        let before = patiently("the database", count);
        patiently("more records", || {
            count().filter(|count| *count >= before + STRIDE)
        });
    }

    /// Where the gateway lived on, each of its requests is recorded, once, and costs what it cost.
    fn is_complete(&self, what: &str) {
        let recorded = patiently("all records", || {
            let recorded = self.books.traces();
            let logged = self.logged();
            let begun = self.begun.lock().unwrap();
            let is_known = |trace: &String| recorded.contains_key(trace);
            (logged.keys().all(is_known)
                && begun.iter().all(is_known)
                && logged.len() == recorded.len())
            .then_some(recorded)
        });
        assert_eq!(doubled(&recorded), [""; 0]);
        let balance = self.books.balance().unwrap();
        let (count, cost) = self.books.records().unwrap();
        let sums = [
            self.logged().values().sum(),
            cost,
            self.books.rolled_up().unwrap(),
            balance.posted,
        ];
        assert_eq!(sums, [served(self.gateway); 4]);
        self.tell(what, count);
    }

    fn logged(&self) -> BTreeMap<String, u64> {
        let records = self.gateway.records_now().into_iter();
        let paying = records.filter(|record| record["team"] == "search");
        paying
            .map(|record| {
                let trace = record["trace_id"].as_str().unwrap().to_owned();
                (trace, record["cost_nanousd"].as_u64().unwrap_or_default())
            })
            .collect()
    }

    fn tell(&self, what: &str, records: u64) {
        let balance = self.books.balance().unwrap();
        let begun = self.begun.lock().unwrap().len();
        eprintln!(
            "{} kills of {what}: {records} records, {begun} replies; {} comparisons; served {}, {balance:?}",
            rounds(2),
            self.samples.load(Ordering::Relaxed),
            served(self.gateway),
        );
    }
}

fn doubled(recorded: &BTreeMap<String, u64>) -> Vec<&str> {
    let doubled = recorded.iter().filter(|(_, count)| **count > 1);
    doubled.map(|(trace, _)| trace.as_str()).collect()
}

fn patiently<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_killed_envoy_leaves_its_money_held_and_nothing_that_a_client_saw_is_lost() {
    // Under strict records whoever got the first byte of a reply can be found again.
    let strict = team("{budgets: [{max: 100, window: total, strict_records: true}]}");
    let service = BudgetService::start(&strict);
    let books = Books::in_folder(&service.data());
    let gateway = Gateway::with(&at(service.address(), &strict));
    let proof = Proof::while_acting(&gateway, &books, |proof| {
        for _ in 0..rounds(2) {
            proof.progress();
            signal(child_of(&gateway, "envoy"), "-KILL");
            // `tollgate up` ends with its Envoy, so that whoever watches it starts both again.
            gateway.start_again();
        }
        proof.progress();
    });
    // In this order: what is closed meanwhile is in one of them.
    let open = books.openings();
    let recorded = books.traces();
    for trace in proof.begun.lock().unwrap().iter() {
        let bytes = trace.replace('-', "");
        let is_known = recorded.contains_key(trace) || open.contains(&bytes);
        assert!(is_known, "the client of {trace} got a reply");
    }
    assert_eq!(doubled(&recorded), [""; 0]);
    patiently("equal sums", || {
        let (count, cost) = books.records()?;
        let is_equal = cost == books.balance()?.posted && books.rolled_up()? == cost;
        is_equal.then(|| proof.tell("Envoy", count))
    });
}

#[test]
fn a_killed_budget_service_loses_nothing_and_counts_nothing_twice() {
    let mut service = BudgetService::start(&team(BUDGET));
    let books = Books::in_folder(&service.data());
    let gateway = Gateway::with(&at(service.address(), &team(BUDGET)));
    let proof = Proof::while_acting(&gateway, &books, |proof| {
        for _ in 0..rounds(2) {
            proof.progress();
            service.kill();
            service.start_again();
        }
        proof.progress();
    });
    proof.is_complete("the budget service");
}

#[test]
fn a_budget_service_that_is_asked_to_stop_has_done_what_it_was_asked() {
    let mut service = BudgetService::start(&team(BUDGET));
    let books = Books::in_folder(&service.data());
    let gateway = Gateway::with(&at(service.address(), &team(BUDGET)));
    let proof = Proof::while_acting(&gateway, &books, |proof| {
        for _ in 0..rounds(2) {
            proof.progress();
            assert_eq!(service.stop(), Some(0));
            service.start_again();
        }
        proof.progress();
    });
    proof.is_complete("nothing, but stops of the budget service");
}

#[test]
fn a_killed_postgresql_loses_nothing_and_counts_nothing_twice() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let address = server.database("money");
    let config = team(BUDGET).replace("store: sqlite", &format!("store: \"{address}\""));
    let service = BudgetService::start(&config);
    let books = Books::Postgres(address);
    let gateway = Gateway::with(&at(service.address(), &team(BUDGET)));
    let proof = Proof::while_acting(&gateway, &books, |proof| {
        for _ in 0..rounds(2) {
            proof.progress();
            server.kill();
            server.restart();
        }
        proof.progress();
    });
    proof.is_complete("PostgreSQL");
}
