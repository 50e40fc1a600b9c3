//! Whole chains: probes, fallbacks, repeats; days with outages; and what holds for any chain.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::explanation::Verdict;
use super::super::memory::Asked;
use super::super::strategy::STRATEGIES;
use super::super::*;
use super::*;
use crate::config::routing::{Routing, Strategy as Name, WhenTooLong};
use crate::config::{Model, Target};
use crate::handoff::ATTEMPTS_MAX;
use crate::health::change::Took;
use crate::health::{Attempted, Outcome, Row, Rules, Trouble};

#[test]
fn one_request_finds_out_and_the_others_wait_for_it() {
    let mut world = world();
    world.fails(1, 3);
    world.now_ms += 29_000;
    assert_eq!(world.chain(), "a c");
    world.now_ms += 1_000;
    assert_eq!(world.chain(), "*b a c");
    let now = world.now_ms;
    world.change(1, |row| row.claim(now).unwrap());
    assert_eq!(world.chain(), "a c", "the probe is on its way");
    let good = Outcome::Good(Took::Whole { us: 1 });
    world.change(1, |row| {
        row.after(&Rules::default(), now, Attempted::AsProbe, good, 0)
    });
    assert_eq!(world.chain(), "a b c");
}

#[test]
fn behind_others_a_probe_is_planned_once_a_second() {
    let mut world = world();
    let other = world.add_model("other", &[(0, "x")]);
    world.routing().fallbacks = vec![other];
    let id = world.config.models[1].targets[0].deployment(&world.config.providers[0]);
    let broken = Outcome::Failed(Trouble::Broken {
        retry_after_ms: None,
    });
    let row = (0..3).fold(Row::default(), |row, _| {
        row.after(&Rules::default(), T0_MS, Attempted::Ordinary, broken, 0)
    });
    world.health.set(id, row, T0_MS);
    world.now_ms += 40_000;
    assert_eq!(world.chain(), "a b c *x");
    assert_eq!(world.chain(), "a b c");
    world.now_ms += 1_000;
    assert_eq!(world.chain(), "a b c *x");
}

#[test]
fn fallbacks_follow_and_nobody_is_asked_twice() {
    let mut world = world();
    let big = world.add_model("big", &[(0, "big-a"), (1, "b")]);
    let long = world.add_model("long", &[(2, "long-c")]);
    let free = world.add_model("free", &[(1, "free-b")]);
    let last = world.add_model("last", &[(0, "last-a")]);
    world.routing().fallbacks = vec![big];
    world.config.models[big].routing.fallbacks = vec![last, big];
    world.routing().context_window_fallbacks = vec![long];
    world.routing().content_policy_fallbacks = vec![free];
    assert_eq!(world.chain(), "a b c big-a last-a ^long-c !free-b");

    world.instead = vec![free];
    assert_eq!(world.chain(), "a b c free-b big-a last-a ^long-c !free-b");
    world.caller.models = Some(vec!["m".to_owned()]);
    assert_eq!(
        world.chain(),
        "a b c big-a last-a ^long-c !free-b",
        "not allowed to wish for it"
    );

    for position in 0..3 {
        world.of(position).context_window = Some(Tokens(99));
    }
    world.config.models[0].routing.fallbacks.clear();
    assert_eq!(world.chain(), "long-c !free-b");
    world.routing().when_too_long = WhenTooLong::Send;
    assert_eq!(world.chain(), "a b c ^long-c !free-b");
}

#[test]
fn an_outage_does_not_double_what_a_provider_bears() {
    let mut world = world();
    world.of(1).provider = 0;
    assert_eq!(world.chain(), "a b c");
    for _ in 0..100 {
        world.memory.asked(0, world.now_ms, Asked::First);
    }
    for _ in 0..29 {
        world.memory.asked(0, world.now_ms, Asked::Again);
    }
    assert_eq!(world.chain(), "a b c", "20% of 100, and 10");
    world.memory.asked(0, world.now_ms, Asked::Again);
    assert_eq!(world.chain(), "a c");
    world.now_ms += 10_000;
    assert_eq!(world.chain(), "a b c");
}

#[test]
fn the_same_target_is_asked_again_only_where_that_is_configured() {
    let mut world = world();
    world.routing().retries = 1;
    assert_eq!(world.chain(), "a a b b c c");
    world.config.providers[0].retry_percent = 0;
    assert_eq!(world.chain(), "a b b c c");
}

#[test]
fn an_explanation_has_the_numbers_and_moves_up_when_one_cannot() {
    let mut world = world();
    world.routing().strategy = Name::Cheapest;
    (world.of(0).price, world.of(1).price, world.of(2).price) =
        (Some(price(3)), Some(price(1)), Some(price(2)));
    world.fails(2, 3);
    let (_, mut explanation) = world.route();
    let json = explanation.json(&world.config);
    assert_eq!(json["reason"], "cheapest");
    let lines: Vec<String> = json["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            format!(
                "{} {} {} {}",
                one["target"],
                one["estimate_nanousd"],
                one["health"],
                one.get("place").or_else(|| one.get("passed_over")).unwrap()
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            r#""c" 1200000 "open" "breaker_open""#,
            r#""b" 600000 "closed" 1"#,
            r#""a" 1800000 "closed" 2"#,
        ]
    );
    explanation.pass_over((0, 1), Why::Untranslatable);
    let places: Vec<Verdict> = explanation
        .considered
        .iter()
        .map(|one| one.verdict)
        .collect();
    assert_eq!(
        places[1..],
        [Verdict::Passed(Why::Untranslatable), Verdict::Asked(0)]
    );
}

/// A day of requests over three deployments that fail in turns: nearly all are answered, by asking little more than once.
#[test]
fn a_day_with_outages_is_invisible_to_callers() {
    for strategy in STRATEGIES.iter().map(|strategy| strategy.name()) {
        let mut world = world();
        world.routing().strategy = strategy;
        let (mut answered, mut attempts, mut requests) = (0_u64, 0_u64, 0_u64);
        for step in 0..17_280_u64 {
            world.now_ms = T0_MS + step * 5_000;
            requests += 1;
            // Ten minutes of each hour each of them is down.
            let down = usize::try_from(step * 5 / 600 % 6).unwrap();
            let picks = world.route().0.unwrap();
            for pick in picks {
                let now = world.now_ms;
                if pick.attempted == Attempted::AsProbe {
                    world.change(pick.target, |row| row.claim(now).unwrap());
                }
                attempts += 1;
                let works = pick.target != down;
                let outcome = if works {
                    Outcome::Good(Took::FirstToken {
                        us: 1_000 * (step % 7 + 1),
                    })
                } else {
                    Outcome::Failed(Trouble::Broken {
                        retry_after_ms: None,
                    })
                };
                world.change(pick.target, |row| {
                    row.after(&Rules::default(), now, pick.attempted, outcome, step)
                });
                if works {
                    answered += 1;
                    break;
                }
            }
        }
        assert_eq!(answered, requests, "{strategy:?}");
        assert!(
            attempts * 100 < requests * 108,
            "{strategy:?}: {attempts} of {requests}"
        );
    }
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0_u32..50, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn weights_converge_whatever_they_are(weights in weights()) {
        let total: u32 = weights.iter().sum();
        prop_assume!(total > 0);
        let mut world = world();
        world.routing().strategy = Name::Weighted;
        world.config.models[0].targets = weights.iter().enumerate().map(|(position, weight)| {
            let mut one = target(&position.to_string());
            one.traits.weight = *weight;
            one
        }).collect();
        // One whole round is exact, and so is every further one.
        for _ in 0..2 {
            let firsts = world.firsts(total);
            for (position, weight) in weights.iter().enumerate() {
                let got = firsts.get(&position.to_string()).copied().unwrap_or_default();
                prop_assert_eq!(got, *weight);
            }
        }
    }

    #[test]
    fn a_chain_ends_and_names_nobody_twice(
        fallbacks in prop::collection::vec(prop::collection::vec(0_usize..8, 0..4), 8),
        targets in prop::collection::vec(prop::collection::vec((0_usize..3, 0_u8..6), 1..6), 8),
        failing in prop::collection::btree_set((0_usize..3, 0_u8..6), 0..10),
        retries in 0_u32..4,
        instead in prop::collection::vec(0_usize..9, 0..5),
        strategies in prop::collection::vec(0_usize..6, 8),
        random: u64,
    ) {
        let mut world = world();
        world.random = random;
        world.instead = instead;
        let named = |target: u8| format!("t{target}");
        world.config.models = (0..8).map(|model| Model {
            name: format!("m{model}"),
            targets: targets[model].iter().map(|(provider, name)| Target { provider: *provider, ..target(&named(*name)) }).collect(),
            routing: Routing {
                fallbacks: fallbacks[model].clone(),
                content_policy_fallbacks: fallbacks[7 - model].clone(),
                context_window_fallbacks: fallbacks[(model + 3) % 8].clone(),
                strategy: STRATEGIES[strategies[model]].name(),
                retries,
                ..Routing::default()
            },
        }).collect();
        for (provider, name) in failing {
            let one = Target { provider, ..target(&named(name)) };
            let id = one.deployment(&world.config.providers[provider]);
            let broken = Outcome::Failed(Trouble::Broken { retry_after_ms: None });
            let row = (0..3).fold(Row::default(), |row, _| row.after(&Rules::default(), T0_MS, Attempted::Ordinary, broken, 0));
            world.health.set(id, row, T0_MS);
        }
        world.now_ms += random % 60_000;
        let (picks, explanation) = world.route();
        let picks = picks.unwrap_or_default();
        prop_assert!(picks.len() <= ATTEMPTS_MAX);
        let probes = picks.iter().filter(|pick| pick.attempted == Attempted::AsProbe).count();
        prop_assert!(probes <= 1);
        let mut times: BTreeMap<(DeploymentId, After), u32> = BTreeMap::new();
        for pick in &picks {
            let one = &world.config.models[pick.model].targets[pick.target];
            let id = one.deployment(&world.config.providers[one.provider]);
            *times.entry((id, pick.after)).or_default() += 1;
        }
        prop_assert!(times.values().all(|times| *times <= retries + 1), "{:?}", picks);
        let asked = explanation.considered.iter().filter(|one| matches!(one.verdict, Verdict::Asked(_))).count();
        prop_assert!(asked <= picks.len());
        prop_assert!(picks.is_empty() == (asked == 0));
    }
}
