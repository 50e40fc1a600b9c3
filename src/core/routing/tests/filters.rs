//! Who is kept out and what is then said; policies and budgets.

use std::collections::BTreeSet;

use super::super::explanation::Verdict;
use super::*;
use crate::config::routing::{
    Capability, Comparison, Complexity, Policy, Strategy as Name, Subject, When,
};
use crate::health::row::Left;
use crate::health::{Attempted, Outcome, Rules, Trouble};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_filter_keeps_out_what_it_is_for() {
    type Bend = fn(&mut World);
    let table: &[(&str, Bend, &str)] = &[
        (
            "switched_off",
            |world| world.off.providers = vec!["alpha".to_owned()],
            "b c",
        ),
        (
            "switched_off",
            |world| world.off.deployments = vec!["alpha/a".to_owned()],
            "b c",
        ),
        (
            "condition",
            |world| {
                world.of(0).traits.when.texts = vec![(Subject::Tier, vec!["premium".to_owned()])];
            },
            "b c",
        ),
        (
            "condition",
            |world| {
                world.of(0).traits.when.prompt_tokens = vec![Comparison::Less(100)];
            },
            "b c",
        ),
        (
            "region",
            |world| {
                world.of(1).traits.region = "eu-west".to_owned();
                world.of(2).traits.region = "eu-north".to_owned();
                world.wishes.regions = vec!["eu-*".to_owned()];
            },
            "b c",
        ),
        (
            "lacks_tools",
            |world| {
                world.of(0).capabilities = Some([Capability::Vision.of_catalogue()].into());
                world.body.needs = vec![Capability::Tools];
            },
            "b c",
        ),
        (
            "context_window",
            |world| {
                world.of(0).context_window = Some(Tokens(109));
                world.of(1).context_window = Some(Tokens(110));
                world.body.output_max = Some(10);
            },
            "b c",
        ),
        (
            "output_limit",
            |world| {
                world.of(0).max_output = Some(Tokens(9));
                world.body.output_max = Some(10);
            },
            "b c",
        ),
        (
            "tokens_per_minute",
            |world| world.full = BTreeMap::from([(world.id(0), "tokens_per_minute")]),
            "b c",
        ),
        ("breaker_open", |world| world.fails(0, 3), "b c"),
        (
            "cooling_down",
            |world| {
                let now = world.now_ms;
                let busy = Outcome::Failed(Trouble::Busy {
                    retry_after_ms: Some(1_000),
                });
                world.change(0, |row| {
                    row.after(&Rules::default(), now, Attempted::Ordinary, busy, 0)
                });
            },
            "b c",
        ),
        (
            "cooling_down",
            |world| {
                let now = world.now_ms;
                let left = Left {
                    requests: 9,
                    tokens: 99,
                    until_ms: now + 1,
                };
                world.change(0, |row| row.told(&Rules::default(), now, left));
            },
            "b c",
        ),
        (
            "too_slow",
            |world| {
                world.takes(0, 800_001);
                world.takes(1, 800_000);
                world.wishes.latency_ms = Some(800);
            },
            "b c",
        ),
    ];
    let mut told = BTreeSet::new();
    for (why, bend, want) in table {
        let mut world = world();
        bend(&mut world);
        let (picks, explanation) = world.route();
        let first = explanation.considered[0];
        let name = match first.verdict {
            Verdict::Passed(why) => why.name(),
            Verdict::Asked(_) => "asked",
        };
        assert_eq!(name, *why, "{want} {picks:?}");
        assert_eq!(world.chain(), *want, "{why}");
        told.insert(*why);
    }
    assert_eq!(told.len(), 10, "{told:?}");
}

#[test]
fn who_has_nobody_left_is_told_the_reason_that_helps() {
    type Bend = fn(&mut World);
    let table: &[(&str, Bend)] = &[
        ("Never(SwitchedOff)", |world| {
            world.off.models = vec!["m".to_owned()]
        }),
        ("Never(ContextWindow)", |world| {
            for position in 0..3 {
                world.of(position).context_window = Some(Tokens(99));
            }
        }),
        ("Never(Lacks(Vision))", |world| {
            world.body.needs = vec![Capability::Vision];
            for position in 0..3 {
                world.of(position).capabilities = Some([Capability::Tools.of_catalogue()].into());
            }
            world.of(0).traits.region = "eu".to_owned();
        }),
        ("Never(Region)", |world| {
            world.wishes.regions = vec!["eu".to_owned()]
        }),
        (
            "Later { wait_ms: 2000, why: Cooling { for_ms: 2000 } }",
            |world| {
                let now = world.now_ms;
                for (position, wait) in [(0, 9_000), (1, 2_000)] {
                    let busy = Outcome::Failed(Trouble::Busy {
                        retry_after_ms: Some(wait),
                    });
                    world.change(position, |row| {
                        row.after(&Rules::default(), now, Attempted::Ordinary, busy, 0)
                    });
                }
                world.of(2).capabilities = Some([].into());
                world.body.needs = vec![Capability::Tools];
            },
        ),
        ("Denied(\"not today\")", |world| {
            world.config.policies = vec![Policy {
                deny: Some("not today".to_owned()),
                ..Policy::default()
            }];
        }),
    ];
    for (want, bend) in table {
        let mut world = world();
        bend(&mut world);
        assert_eq!(world.chain(), *want);
    }
}

#[test]
fn rather_the_best_of_the_bad_than_nobody() {
    let mut slow = world();
    for (position, us) in [(0, 900), (1, 300), (2, 600)] {
        slow.takes(position, us);
    }
    slow.wishes.latency_ms = Some(0);
    assert_eq!(slow.chain(), "b");

    let mut down = world();
    down.fails(1, 3);
    down.now_ms += 5_000;
    down.fails(0, 3);
    down.fails(2, 3);
    assert_eq!(down.chain(), "b", "it has rested longest");
}

#[test]
fn policies_say_who_answers_and_where() {
    let mut world = world();
    let long = world.add_model("long", &[(2, "long-c")]);
    let policy = |when: When| Policy {
        when,
        ..Policy::default()
    };
    let tokens = When {
        prompt_tokens: vec![Comparison::More(50_000)],
        ..When::default()
    };
    let free = When {
        texts: vec![
            (Subject::Tier, vec!["free".to_owned(), "trial".to_owned()]),
            (
                Subject::Header("x-team".to_owned()),
                vec!["sear*".to_owned()],
            ),
        ],
        complexity: vec![Complexity::Simple],
        ..When::default()
    };
    world.config.policies = vec![
        Policy {
            name: "long".to_owned(),
            use_model: Some(long),
            ..policy(tokens)
        },
        Policy {
            name: "cheap".to_owned(),
            strategy: Some(Name::Cheapest),
            ..policy(free)
        },
    ];
    (world.of(0).price, world.of(1).price) = (Some(price(3)), Some(price(2)));
    assert_eq!(world.chain(), "a b c");
    world.prompt = 50_001;
    let (_, explanation) = world.route();
    assert_eq!(
        (explanation.reason(), explanation.policies.as_slice()),
        ("policy", &[0][..])
    );
    assert_eq!(world.chain(), "long-c");
    world.prompt = 50_000;
    world.wishes.headers = vec![("x-team".to_owned(), "search".to_owned())];
    assert_eq!(world.chain(), "a b c", "nobody has looked how hard it is");
    world.complexity = Some(19);
    assert_eq!(world.chain(), "b a c");
    world.complexity = Some(20);
    assert_eq!(world.chain(), "a b c");
    world.config.policies.push(Policy {
        regions: Some(vec!["eu".to_owned()]),
        ..Policy::default()
    });
    world.of(1).traits.region = "eu".to_owned();
    assert_eq!(world.chain(), "b");
}

#[test]
fn a_budget_that_is_nearly_spent_leads_to_the_cheaper_model() {
    let mut world = world();
    let small = world.add_model("small", &[(0, "s")]);
    let other = world.add_model("other", &[(0, "o")]);
    world.instead = vec![other];
    world.routing().fallbacks = vec![other];
    world.downgraded_to = Some((small, Because::Budget));
    assert_eq!(world.route().1.reason(), "budget");
    assert_eq!(world.chain(), "s");
}
