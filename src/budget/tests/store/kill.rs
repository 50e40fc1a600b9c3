//! kill -9 under load: what was acknowledged is there, once, and the sums agree.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use tollgate_budget::store::{Commit, Order, Page, RecordFilter, ReportQuery, Store, StoredRecord};
use tollgate_core::money::ids::{AccountKey, Incarnation};
use tollgate_core::money::ledger::View;
use tollgate_core::units::Timestamp;

use crate::places::Place;
use crate::server::Server;
use crate::stories::ledger;
use crate::workload::{NOON, Service};

const ROUNDS: u64 = 20;
const BATCH: u64 = 8;

/// By holder: the last batch that was acknowledged.
type Acked = BTreeMap<Incarnation, u64>;

#[test]
fn a_service_that_is_killed_loses_nothing_and_doubles_nothing_on_sqlite() {
    let place = Place::sqlite();
    let mut acked = Acked::new();
    for round in 1..=ROUNDS {
        let (holder, seq) = commit_until_killed(&place.address(), round);
        acked.insert(holder, seq);
        check(place.open().as_mut(), &acked);
    }
    assert!(
        acked.values().sum::<u64>() > ROUNDS,
        "there was load: {acked:?}"
    );
}

/// What was acknowledged last before the kill.
fn commit_until_killed(address: &str, round: u64) -> (Incarnation, u64) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate-store-load"))
        .args(["commit", address, &BATCH.to_string(), &round.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().expect("it says what it does").unwrap();
    sleep(Duration::from_millis(round * 7919 % 83));
    child.kill().unwrap();
    child.wait().unwrap();
    let last = lines.map_while(Result::ok).last().unwrap_or(first);
    let words: Vec<&str> = last.split(' ').collect();
    assert_eq!(words[0], "acked", "{last}");
    (
        Incarnation(words[1].parse().unwrap()),
        words[2].parse().unwrap(),
    )
}

#[test]
fn a_postgresql_that_is_killed_loses_nothing_and_doubles_nothing() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let place = Place::Postgres(server.database("killed"));
    // Each round has commits, and the kill comes somewhere in the next.
    let progress = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    let mut store = place.open();
    let acked = thread::scope(|scope| {
        let load = scope.spawn(|| commit_through_kills(store.as_mut(), &progress, &is_over));
        let end = End(&is_over);
        for round in 0..ROUNDS {
            let before = progress.load(Ordering::Relaxed);
            while progress.load(Ordering::Relaxed) < before + 1 + round % 5 && !load.is_finished() {
                sleep(Duration::from_millis(1));
            }
            server.kill();
            server.restart();
        }
        drop(end);
        load.join().unwrap()
    });
    assert!(
        acked.values().sum::<u64>() > ROUNDS,
        "there was load: {acked:?}"
    );
    check(place.open().as_mut(), &acked);
}

/// Ends the load, also where the test fails.
struct End<'over>(&'over AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn commit_through_kills(
    store: &mut dyn Store,
    progress: &AtomicU64,
    is_over: &AtomicBool,
) -> Acked {
    let mut service = Service::new(View::default(), 11);
    let mut now = NOON;
    let mut seq = 0;
    let mut group = [ledger(service.hello(now))];
    while !is_over.load(Ordering::Relaxed) {
        persist(store, now, &group);
        now = Timestamp(now.0 + 1_000_000);
        group = [ledger(service.batch(now, BATCH))];
        seq += 1;
        progress.store(seq, Ordering::Relaxed);
    }
    persist(store, now, &group);
    [(service.holder, seq)].into()
}

/// The same group again until it is there.
fn persist(store: &mut dyn Store, now: Timestamp, group: &[Commit]) {
    while let Err(why) = store.commit(now, group) {
        assert!(why.is_passing(), "{why}");
        sleep(Duration::from_millis(10));
    }
}

fn check(store: &mut dyn Store, acked: &Acked) {
    let view = store.live().unwrap();
    let mut reader = store.reader().unwrap();
    reader.check().unwrap();
    let records = every_record(store);
    for (holder, seq) in acked {
        let stream = view
            .streams
            .iter()
            .find(|((by, _), _)| by == holder)
            .unwrap()
            .1;
        // One more may have been written whose answer was lost.
        let answered = stream.answered.0;
        assert!(
            answered == *seq || answered == seq + 1,
            "{seq} acked, {answered} there"
        );
        let own = records
            .iter()
            .filter(|record| record.name.incarnation == *holder);
        let numbers: Vec<u64> = own.map(|record| record.name.number.0).collect();
        let expected: BTreeSet<u64> = (1..=stream.last_record.0).collect();
        assert_eq!(numbers.len(), expected.len(), "each once");
        assert_eq!(numbers.into_iter().collect::<BTreeSet<_>>(), expected);
        assert_eq!(stream.last_record.0, answered * BATCH);
    }
    let query = ReportQuery {
        until: Timestamp(u64::MAX >> 1),
        ..ReportQuery::default()
    };
    let total = reader.report(&query).unwrap().total;
    let cost: u64 = records.iter().map(|record| record.facts.cost.0).sum();
    assert_eq!(
        (total.requests, total.cost.0),
        (u64::try_from(records.len()).unwrap(), cost)
    );
    let leases = records
        .iter()
        .flat_map(|record| &record.charges)
        .map(|charge| charge.lease);
    let paid = store.leases(&leases.collect()).unwrap();
    let mut posted: BTreeMap<AccountKey, u64> = BTreeMap::new();
    for charge in records.iter().flat_map(|record| &record.charges) {
        for key in &paid.leases[&charge.lease].accounts {
            *posted.entry(*key).or_default() += charge.nanos.0;
        }
    }
    let mut balances: BTreeMap<AccountKey, u64> = BTreeMap::new();
    for (key, account) in view
        .accounts
        .iter()
        .filter(|(_, account)| account.posted.0 > 0)
    {
        balances.insert(*key, account.posted.0);
    }
    assert_eq!(posted, balances);
}

fn every_record(store: &mut dyn Store) -> Vec<StoredRecord> {
    let mut reader = store.reader().unwrap();
    let filter = RecordFilter {
        order: Order::OldestFirst,
        ..RecordFilter::default()
    };
    let (mut records, mut page) = (
        Vec::new(),
        Page {
            size: 5_000,
            after: None,
        },
    );
    loop {
        let found = reader.records(&filter, &page).unwrap();
        records.extend(found.rows);
        page.after = found.next;
        if page.after.is_none() {
            return records;
        }
    }
}
