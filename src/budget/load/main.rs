//! Loads a store: for the tests that kill it, and for `make bench-budget`.
//!
//! * `tollgate-store-load commit ADDRESS BATCH SEED` commits until it is killed, and says after each commit what is durable:
//!   `acked INCARNATION SEQ RECORDS`.
//! * `tollgate-store-load bench ADDRESS` measures how fast records come in and how soon a million of them are recovered.
//! * `tollgate-store-load grants ADDRESS` measures how long holders wait for money.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a load for tests and benchmarks: whatever is wrong should end it"
)]

mod bench;
mod grants;
mod workload;

use std::io::{self, Write as _};
use std::process::ExitCode;

use tollgate_budget::store::{self, Commit, Store, StoreError};
use tollgate_core::units::Timestamp;
use workload::{NOON, Service};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match *words.as_slice() {
        ["commit", address, batch, seed] => match (batch.parse(), seed.parse()) {
            (Ok(batch), Ok(seed)) => commit(address, batch, seed),
            _ => return usage(),
        },
        ["bench", address] => bench::run(address),
        ["grants", address] => match grants::run(address) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(why) => {
                say(&format!("failed {why}"));
                return ExitCode::FAILURE;
            }
        },
        _ => return usage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&format!("failed {why}"));
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    say("usage: tollgate-store-load commit ADDRESS BATCH SEED | bench ADDRESS | grants ADDRESS");
    ExitCode::FAILURE
}

fn commit(address: &str, batch: u64, seed: u64) -> Result<(), StoreError> {
    let mut store = store::open(address)?;
    let mut service = Service::new(store.live()?, seed);
    let mut now = NOON;
    write(store.as_mut(), now, service.hello(now))?;
    for seq in 1.. {
        now = Timestamp(now.0 + 1_000_000);
        write(store.as_mut(), now, service.batch(now, batch))?;
        let (holder, records) = (service.holder.0, seq * batch);
        say(&format!("acked {holder} {seq} {records}"));
    }
    Ok(())
}

fn write(
    store: &mut dyn Store,
    now: Timestamp,
    changes: tollgate_core::money::ledger::Changes,
) -> Result<(), StoreError> {
    store.commit(now, &[Commit::Ledger(Box::new(changes))])?;
    Ok(())
}

/// A line at once: whoever listens may kill us after it.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    // Nobody listens any more: then nobody misses it.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
