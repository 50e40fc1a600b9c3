//! The money protocol under everything that can go wrong, decided by a seed.
//!
//! `SEEDS=100000 cargo test -p tollgate-tests --test money_simulator --release` runs more of them; `SEED=17` runs one, and
//! prints what happened before it failed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a simulator that goes wrong should fail loudly"
)]

mod network;
mod operation;
mod oracle;
mod proxy;
mod random;
mod request;
mod service;
mod settings;
mod table;
mod world;

use settings::{Mutant, Settings};
use world::{Figures, Violation, run};

/// How many histories the ordinary test runs.
const SEEDS: u64 = 1_000;
/// A mutant must be caught within this many.
const MUTANT_SEEDS: u64 = 40;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn explain(violation: &Violation, settings: Settings) -> String {
    let again = run(Settings {
        trace: true,
        ..settings
    });
    let trace = again
        .err()
        .map(|violation| violation.trace)
        .unwrap_or_default();
    let last = trace.len().saturating_sub(20);
    let Violation {
        seed, tick, what, ..
    } = violation;
    format!(
        "SEED={seed} tick {tick}: {what}\n{}",
        trace[last..].join("\n")
    )
}

#[test]
fn no_history_breaks_an_invariant() {
    let seeds = number("SEED").map_or(0..number("SEEDS").unwrap_or(SEEDS), |seed| seed..seed + 1);
    let mut sum = Figures::default();
    for seed in seeds.clone() {
        let settings = Settings::hostile(seed, Mutant::None);
        match run(settings.clone()) {
            Ok(figures) => sum.add(&figures),
            Err(violation) => panic!("{}", explain(&violation, settings)),
        }
    }
    println!("{seeds:?}: {sum:?}");
    println!(
        "written off per kill: {} mean requests",
        sum.unaccounted / sum.kills.max(1) / 250
    );
}

impl Figures {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.served_at_once += other.served_at_once;
        self.refused += other.refused;
        self.refused_in_vain += other.refused_in_vain;
        self.kills += other.kills;
        self.traps += other.traps;
        self.lost_races += other.lost_races;
        self.unaccounted += other.unaccounted;
        self.spent += other.spent;
        self.limit += other.limit;
    }
}

#[test]
fn every_mutant_is_caught() {
    for mutant in [
        Mutant::RefundOnExpiry,
        Mutant::NoDedupe,
        Mutant::ReusedIncarnation,
        Mutant::TornCommit,
        Mutant::ChargeAfter,
        Mutant::NonAtomicHierarchy,
        Mutant::BlindSwap,
        Mutant::ForgottenRefund,
    ] {
        let caught: Vec<Violation> = (0..MUTANT_SEEDS)
            .filter_map(|seed| run(Settings::hostile(seed, mutant)).err())
            .collect();
        let first = caught.first().map(|violation| &violation.what);
        println!(
            "{mutant:?}: caught in {} of {MUTANT_SEEDS}, first {first:?}",
            caught.len()
        );
        assert!(!caught.is_empty(), "{mutant:?} was not caught");
    }
}
