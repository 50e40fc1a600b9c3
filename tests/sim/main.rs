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

use settings::{Binding, Mutant, Settings};
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
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
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

/// Money is plentiful: requests should not wait for the service.
#[test]
fn requests_wait_for_nobody_while_there_is_money() {
    for (proxies, at_least) in [(4, 9_950), (16, 9_600)] {
        let mut sum = Figures::default();
        for seed in 0..3 {
            let settings = Settings {
                org_limit: 1_000_000_000,
                ticks: 9_000,
                warm_ticks: 3_000,
                arrivals: 600_000 / u64::try_from(proxies).unwrap(),
                ..Settings::calm(seed, proxies)
            };
            match run(settings.clone()) {
                Ok(figures) => sum.add(&figures),
                Err(violation) => panic!("{}", explain(&violation, settings)),
            }
        }
        let share = sum.served_at_once * 10_000 / sum.requests;
        println!("{proxies} proxies: {share} of 10,000 without a round trip; {sum:?}");
        assert!(share > at_least, "{proxies} proxies: {share} of 10,000");
        assert_eq!(sum.refused, 0);
    }
}

/// Money runs out: all of it can be spent, and nobody is refused what is there.
#[test]
fn a_budget_is_spent_to_the_end() {
    for proxies in [4, 16] {
        let mut sum = Figures::default();
        for seed in 0..3 {
            let settings = Settings {
                org_limit: 400_000,
                binding: Binding::Organisation,
                ticks: 12_000,
                arrivals: 600_000 / u64::try_from(proxies).unwrap(),
                ..Settings::calm(seed, proxies)
            };
            match run(settings.clone()) {
                Ok(figures) => sum.add(&figures),
                Err(violation) => panic!("{}", explain(&violation, settings)),
            }
        }
        let share = sum.spent * 10_000 / sum.limit;
        println!("{proxies} proxies: {share} of 10,000 spent; {sum:?}");
        assert!(share > 9_900, "{proxies} proxies: {share} of 10,000");
    }
}
