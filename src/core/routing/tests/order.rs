//! Who is asked first: every strategy, those who stay, and the clock.

use std::collections::BTreeMap;

use super::super::strategy::STRATEGIES;
use super::super::*;
use super::*;
use crate::config::Price;
use crate::config::routing::{Balance, Clock, Schedule, Sticky, Strategy as Name};
use crate::units::{NanoUsd, PricePerMillion};

#[test]
fn every_strategy_is_in_the_table_once() {
    let all = [
        Name::Ordered,
        Name::Weighted,
        Name::Cheapest,
        Name::Fastest,
        Name::LeastBusy,
        Name::Balanced,
    ];
    let names: Vec<Name> = STRATEGIES.iter().map(|strategy| strategy.name()).collect();
    assert_eq!(names, all);
    for name in all {
        let mut world = world();
        world.routing().strategy = name;
        world.routing().explore_percent = 0;
        let mut chain: Vec<String> = world.chain().split(' ').map(str::to_owned).collect();
        chain.sort();
        assert_eq!(chain, ["a", "b", "c"], "{name:?}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn an_order_follows_what_its_strategy_looks_at() {
    type Bend = fn(&mut World);
    let table: &[(&str, Name, Bend, &str)] = &[
        ("as written", Name::Ordered, |_| {}, "a b c"),
        (
            "heavier first",
            Name::Weighted,
            |world| {
                world.of(0).traits.weight = 1;
                world.of(1).traits.weight = 3;
                world.of(2).traits.weight = 2;
            },
            "b c a",
        ),
        (
            "no weight is asked last",
            Name::Weighted,
            |world| {
                world.of(0).traits.weight = 0;
            },
            "b c a",
        ),
        (
            "the cheaper first",
            Name::Cheapest,
            |world| {
                world.of(0).price = Some(price(3));
                world.of(1).price = Some(price(1));
                world.of(2).price = Some(price(2));
            },
            "b c a",
        ),
        (
            "no price is not cheap",
            Name::Cheapest,
            |world| {
                world.of(0).price = None;
                world.of(1).price = Some(price(9));
                world.of(2).price = Some(price(8));
            },
            "c b a",
        ),
        (
            "the prompt decides what is cheap",
            Name::Cheapest,
            |world| {
                world.prompt = 100_000;
                world.of(0).price = Some(priced(2, 0));
                world.of(1).price = Some(priced(1, 90_000_000_000));
                world.of(2).price = Some(price(9));
            },
            "b a c",
        ),
        (
            "the answer decides what is cheap",
            Name::Cheapest,
            |world| {
                world.prompt = 10;
                world.of(0).price = Some(priced(2, 0));
                world.of(1).price = Some(priced(1, 90_000_000_000));
                world.of(2).price = Some(price(9));
            },
            "a c b",
        ),
        (
            "the quicker first",
            Name::Fastest,
            |world| {
                world.takes(0, 900);
                world.takes(1, 300);
                world.takes(2, 600);
            },
            "b c a",
        ),
        (
            "who was never timed goes first",
            Name::Fastest,
            |world| {
                world.takes(0, 900);
                world.takes(1, 300);
            },
            "c b a",
        ),
        (
            "who varies much is not quick",
            Name::Fastest,
            |world| {
                for turn in 0..20 {
                    world.takes(0, if turn % 2 == 0 { 100 } else { 900 });
                    world.takes(1, 600);
                    world.takes(2, 2_000);
                }
            },
            "b a c",
        ),
        (
            "who fails is not quick",
            Name::Fastest,
            |world| {
                world.takes(0, 900);
                world.takes(1, 600);
                world.takes(2, 2_000);
                world.fails(1, 2);
            },
            "a b c",
        ),
        (
            "the idle first",
            Name::LeastBusy,
            |world| {
                world.busy = BTreeMap::from([(world.id(0), 5), (world.id(1), 0), (world.id(2), 2)]);
            },
            "b c a",
        ),
        (
            "the larger bears more",
            Name::LeastBusy,
            |world| {
                world.of(0).traits.weight = 10;
                world.busy =
                    BTreeMap::from([(world.id(0), 15), (world.id(1), 2), (world.id(2), 3)]);
            },
            "a b c",
        ),
        (
            "cost alone",
            Name::Balanced,
            |world| {
                world.routing().balance = Balance {
                    cost: 1,
                    latency: 0,
                    reliability: 0,
                };
                (world.of(0).price, world.of(1).price, world.of(2).price) =
                    (Some(price(3)), Some(price(2)), Some(price(1)));
            },
            "c b a",
        ),
        (
            "latency alone",
            Name::Balanced,
            |world| {
                world.routing().balance = Balance {
                    cost: 0,
                    latency: 1,
                    reliability: 0,
                };
                world.takes(0, 900);
                world.takes(1, 300);
                world.takes(2, 600);
            },
            "b c a",
        ),
        (
            "reliability alone",
            Name::Balanced,
            |world| {
                world.routing().balance = Balance {
                    cost: 0,
                    latency: 0,
                    reliability: 1,
                };
                world.fails(0, 2);
                world.fails(1, 1);
                world.takes(1, 300);
            },
            "c b a",
        ),
        (
            "twice as dear, a tenth of the time",
            Name::Balanced,
            |world| {
                (world.of(0).price, world.of(1).price, world.of(2).price) =
                    (Some(price(1)), Some(price(2)), Some(price(9)));
                world.takes(0, 10_000);
                world.takes(1, 1_000);
                world.takes(2, 10_000);
            },
            "b a c",
        ),
    ];
    for (name, strategy, bend, want) in table {
        let mut world = world();
        world.routing().strategy = *strategy;
        world.routing().explore_percent = 0;
        bend(&mut world);
        assert_eq!(world.chain(), *want, "{name}");
    }
}

#[test]
fn weights_are_exact_over_time() {
    let mut world = world();
    world.routing().strategy = Name::Weighted;
    for (position, weight) in [(0, 97), (1, 2), (2, 1)] {
        world.of(position).traits.weight = weight;
    }
    let want = BTreeMap::from([
        ("a".to_owned(), 970),
        ("b".to_owned(), 20),
        ("c".to_owned(), 10),
    ]);
    assert_eq!(world.firsts(1_000), want);
    world.fails(0, 2);
    let firsts = world.firsts(1_030);
    // Half its weight while it is failing: 97 of 103.
    assert_eq!(firsts["a"], 970, "{firsts:?}");
}

#[test]
fn who_is_sticky_stays_and_only_those_of_a_sick_target_move() {
    let mut world = world();
    world.routing().strategy = Name::Weighted;
    world.routing().sticky = Sticky::User;
    for (position, weight) in [(0, 90), (1, 9), (2, 1)] {
        world.of(position).traits.weight = weight;
    }
    let at = |world: &mut World, user: u32| {
        world.body.user = Some(format!("user-{user}"));
        world.chain().split(' ').next().unwrap().to_owned()
    };
    let before: Vec<String> = (0..10_000).map(|user| at(&mut world, user)).collect();
    let of = |name: &str| before.iter().filter(|at| *at == name).count();
    assert!((8_900..9_100).contains(&of("a")), "{}", of("a"));
    assert!((60..140).contains(&of("c")), "{}", of("c"));
    world.fails(1, 3);
    for (user, was) in (0..10_000).zip(&before) {
        let now = at(&mut world, user);
        assert!(
            if was == "b" { now != "b" } else { now == *was },
            "{user}: {was} -> {now}"
        );
    }
    // The canary grows from 1% to 5%: nobody who was there leaves it.
    world.health = Table::default();
    world.of(0).traits.weight = 86;
    world.of(2).traits.weight = 5;
    for (user, was) in (0..10_000).zip(&before) {
        assert!(was != "c" || at(&mut world, user) == "c", "{user}");
    }
}

#[test]
fn a_conversation_stays_where_its_prompt_is_cached() {
    let mut world = world();
    world.routing().sticky = Sticky::Conversation;
    let mut seen = BTreeMap::new();
    for conversation in 0..300 {
        world.said = format!(r#"{{"messages":[{{"role":"user","content":"{conversation}"}}]}}"#);
        let first = world.chain();
        assert_eq!(world.chain(), first);
        *seen
            .entry(first.split(' ').next().unwrap().to_owned())
            .or_insert(0) += 1;
    }
    assert!(seen.values().all(|times| *times > 60), "{seen:?}");
}

#[test]
fn exploration_is_as_frequent_as_asked_for() {
    let mut world = world();
    world.routing().strategy = Name::Fastest;
    world.routing().explore_percent = 10;
    for (position, us) in [(0, 900), (1, 300), (2, 600)] {
        world.takes(position, us);
    }
    let firsts = world.firsts(9_000);
    // A tenth goes to each of the three alike.
    for name in ["a", "c"] {
        assert!((220..380).contains(&firsts[name]), "{firsts:?}");
    }
}

#[test]
fn what_counts_follows_the_clock_on_the_wall() {
    let mut world = world();
    world.routing().strategy = Name::Balanced;
    world.routing().balance = Balance {
        cost: 1,
        latency: 0,
        reliability: 0,
    };
    world.routing().schedules = vec![Schedule {
        from: 9 * 60,
        to: 17 * 60,
        balance: Balance {
            cost: 0,
            latency: 1,
            reliability: 0,
        },
    }];
    // Berlin: an hour ahead, two from 28 March 2027, 01:00 UTC.
    world.routing().clock = Clock {
        offset: 3_600,
        turns: vec![(1_806_195_600, 7_200)],
    };
    (world.of(0).price, world.of(1).price, world.of(2).price) =
        (Some(price(1)), Some(price(2)), Some(price(3)));
    for (position, us) in [(0, 900), (1, 600), (2, 300)] {
        world.takes(position, us);
    }
    // 2026-11-20 and 2027-06-21.
    for (day, hour, minute, want) in [
        (1_795_132_800, 7, 59, "a b c"),
        (1_795_132_800, 8, 0, "c b a"),
        (1_795_132_800, 15, 59, "c b a"),
        (1_795_132_800, 16, 0, "a b c"),
        (1_813_536_000, 6, 59, "a b c"),
        (1_813_536_000, 7, 0, "c b a"),
        (1_813_536_000, 15, 0, "a b c"),
    ] {
        world.now_ms = (day + hour * 3_600 + minute * 60) * 1_000;
        assert_eq!(world.chain(), want, "{day} {hour}:{minute}");
    }
    let night = Schedule {
        from: 22 * 60,
        to: 6 * 60,
        balance: Balance::default(),
    };
    for (hour, want) in [(21, false), (22, true), (0, true), (5, true), (6, false)] {
        assert_eq!(night.holds(hour * 60), want, "{hour}");
    }
}

/// With another price for answers.
fn priced(dollars: u64, output: u64) -> Price {
    let mut price = price(dollars);
    price.rates.output = PricePerMillion(NanoUsd(output));
    price
}
