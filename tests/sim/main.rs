//! The money protocol under everything that can go wrong, decided by a seed.
//!
//! `make sim SEEDS=100000` runs more of them; `SEED=17 make sim` runs one, and a history that fails is told to its end.
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

use std::ops::Range;

use settings::{Binding, Mutant, Settings};
use world::{Figures, Violation, run};

/// How many histories the ordinary test runs.
const SEEDS: u64 = 1_000;
/// A mutant must be caught within this many.
const MUTANT_SEEDS: u64 = 40;
/// They are divided between so many tests.
const PARTS: u64 = 4;

/// Runs these histories; the first that fails is told and ends the test.
fn sum(seeds: Range<u64>, settings: impl Fn(u64) -> Settings) -> Figures {
    let mut sum = Figures::default();
    for seed in seeds {
        match run(settings(seed)) {
            Ok(figures) => sum.add(&figures),
            Err(violation) => panic!("{}", explain(&violation, settings(seed))),
        }
    }
    sum
}

/// What went wrong, and the last that happened before.
fn explain(violation: &Violation, settings: Settings) -> String {
    let again = run(Settings {
        trace: true,
        ..settings
    });
    let trace = again.err().map(|violation| violation.trace);
    let trace = trace.unwrap_or_default();
    let last = trace.len().saturating_sub(20);
    let Violation {
        seed, tick, what, ..
    } = violation;
    format!(
        "SEED={seed} tick {tick}: {what}\n{}",
        trace[last..].join("\n")
    )
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs a part of the histories, so that a machine with more processors is done sooner.
fn no_history_breaks_an_invariant(part: u64) {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let all = number("SEEDS").unwrap_or(SEEDS);
            all * part / PARTS..all * (part + 1) / PARTS
        }
    };
    let sum = sum(seeds.clone(), |seed| Settings::hostile(seed, Mutant::None));
    println!("seeds {seeds:?}: {sum:#?}");
    let per_kill = sum.unaccounted / sum.kills.max(1);
    println!("written off per kill: {per_kill} nano-dollars, the mean request holds 250");
    if seeds.end - seeds.start >= 100 {
        let seen = sum.seen;
        for (what, count) in [
            ("kills", sum.kills),
            ("traps", sum.traps),
            ("lost races", sum.lost_races),
            ("rows without a slot", sum.homeless),
            ("refusals", sum.refused),
            ("overruns", seen.overruns),
            ("presumed leases", seen.presumed),
            ("late evidence", seen.late),
            ("new windows", seen.rolled_over),
            ("debts", seen.debts),
        ] {
            assert!(count >= 100, "only {count} {what}: nothing is proved");
        }
    }
}

#[test]
fn no_history_breaks_an_invariant_first_part() {
    no_history_breaks_an_invariant(0);
}

#[test]
fn no_history_breaks_an_invariant_second_part() {
    no_history_breaks_an_invariant(1);
}

#[test]
fn no_history_breaks_an_invariant_third_part() {
    no_history_breaks_an_invariant(2);
}

#[test]
fn no_history_breaks_an_invariant_fourth_part() {
    no_history_breaks_an_invariant(3);
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
        Mutant::BoundlessDebt,
        Mutant::ForgottenDebt,
    ] {
        let caught: Vec<Violation> = (0..MUTANT_SEEDS)
            .filter_map(|seed| run(Settings::hostile(seed, mutant)).err())
            .collect();
        let count = caught.len();
        let first = caught.first().map(|violation| &violation.what);
        println!("{mutant:?}: caught in {count} of {MUTANT_SEEDS}, first {first:?}");
        assert!(count > 0, "{mutant:?} was not caught");
    }
}

/// Money is plentiful: hardly any request waits for the service, but for the first of a user at a proxy.
#[test]
fn requests_wait_for_nobody_while_there_is_money() {
    for (proxies, at_least) in [(4, 9_950), (16, 9_600)] {
        let sum = sum(0..4, |seed| Settings {
            org_limit: 1_000_000_000,
            ticks: 9_000,
            warm_ticks: 3_000,
            arrivals: 600_000 / u64::try_from(proxies).unwrap(),
            ..Settings::calm(seed, proxies)
        });
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
        let sum = sum(0..4, |seed| Settings {
            org_limit: 400_000,
            binding: Binding::Organisation,
            ticks: 12_000,
            arrivals: 600_000 / u64::try_from(proxies).unwrap(),
            ..Settings::calm(seed, proxies)
        });
        let share = |spent: u64| spent * 10_000 / sum.limit;
        let at_first = share(sum.spent_at_first_refusal.unwrap());
        let at_end = share(sum.spent);
        println!(
            "{proxies} proxies: {at_first} of 10,000 spent at the first refusal, {at_end} in the end; {sum:?}"
        );
        assert!(at_end > 9_950, "{proxies} proxies: {at_end} of 10,000");
        assert_eq!(sum.refused_in_vain, 0);
    }
}
