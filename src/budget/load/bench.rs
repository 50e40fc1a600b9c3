//! How fast a store is. The figures are of this machine and of this hour: several rounds, the median counts.

use std::time::{Duration, Instant};

use tollgate_budget::store::{self, Commit, Every, ReportQuery, StoreError};
use tollgate_core::units::Timestamp;

use crate::say;
use crate::workload::{NOON, Service};

const ROUNDS: usize = 5;
/// Batches, and how many of them the service puts into one transaction.
const SIZES: [(u64, usize); 4] = [(1, 1), (32, 1), (32, 8), (256, 1)];
const ROUND: Duration = Duration::from_secs(3);
const MILLION: u64 = 1_000_000;

pub(crate) fn run(address: &str) -> Result<(), StoreError> {
    let mut store = store::open(address)?;
    let mut service = Service::new(store.live()?, 7);
    let mut now = NOON;
    let hello = service.hello(now);
    store.commit(now, &[Commit::Ledger(Box::new(hello))])?;
    let mut written = 0_u64;
    say("batch  batches/commit  records/s  commit p50 us  commit p99 us  processor ns/record");
    for (batch, together) in SIZES {
        let (mut on_processor, before) = (0, written);
        let mut rates = Vec::new();
        let mut commits = Vec::new();
        for _ in 0..ROUNDS {
            let (mut records, mut spent) = (0_u64, Duration::ZERO);
            while spent < ROUND {
                now = Timestamp(now.0 + 1_000_000);
                let mut group = Vec::with_capacity(together);
                for _ in 0..together {
                    group.push(Commit::Ledger(Box::new(service.batch(now, batch))));
                    records += batch;
                }
                // Only the store is measured, not the load that decides.
                let (began, busy) = (Instant::now(), busy_nanos());
                store.commit(now, &group)?;
                let took = began.elapsed();
                on_processor += busy_nanos() - busy;
                spent += took;
                commits.push(took);
            }
            written += records;
            rates.push(u128::from(records) * 1_000_000 / spent.as_micros());
        }
        rates.sort_unstable();
        commits.sort_unstable();
        let at = |per_cent: usize| commits[(commits.len() - 1) * per_cent / 100].as_micros();
        say(&format!(
            "{batch:5}  {together:14}  {:9}  {:13}  {:13}  {:19}",
            rates[ROUNDS / 2],
            at(50),
            at(99),
            on_processor / (written - before)
        ));
    }
    while written < MILLION {
        now = Timestamp(now.0 + 1_000_000);
        let batch = service.batch(now, 1_024);
        store.commit(now, &[Commit::Ledger(Box::new(batch))])?;
        written += 1_024;
    }
    drop(store);
    let began = Instant::now();
    let mut store = store::open(address)?;
    let opened = began.elapsed();
    let view = store.live()?;
    say(&format!(
        "recovery at {written} records: open {opened:.1?}, open and live() {:.1?}, {} live leases",
        began.elapsed(),
        view.leases.len()
    ));
    report(store.as_mut())
}

fn report(store: &mut dyn store::Store) -> Result<(), StoreError> {
    let mut reader = store.reader()?;
    let query = ReportQuery {
        from: Timestamp(0),
        until: Timestamp(u64::MAX >> 1),
        by: vec![store::Dimension::Team, store::Dimension::Model],
        every: Every::Whole,
        ..ReportQuery::default()
    };
    let began = Instant::now();
    let report = reader.report(&query)?;
    say(&format!(
        "report by team and model: {:.1?}, {} lines over {} requests",
        began.elapsed(),
        report.lines.len(),
        report.total.requests
    ));
    Ok(())
}

/// How long this thread has been on a processor: what a busy machine does not change. Zero where the kernel does not say.
fn busy_nanos() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = told.split(' ').next().and_then(|word| word.parse().ok());
    first.unwrap_or_default()
}
