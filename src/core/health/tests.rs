//! Rows by table, by story, by property; and days of traffic with outages.

use proptest::prelude::*;

use super::change::Took;
use super::row::{Average, Breaker, Left};
use super::*;
use crate::units::Tokens;

const RULES: Rules = Rules {
    failures: 3,
    within_ms: 60_000,
    share_percent: 10,
    rest_ms: 30_000,
    rest_max_ms: 600_000,
};

/// Later than any time that the rules look back.
const T0: u64 = 1_000_000_000;

const GOOD: Outcome = Outcome::Good(Took::FirstToken { us: 1_000 });
const BROKEN: Outcome = Outcome::Failed(Trouble::Broken {
    retry_after_ms: None,
});

fn named(row: &Row, now: u64) -> &'static str {
    row.standing(now, Tokens(10)).name()
}

/// One line a moment: seconds, what happens, how the row stands then.
fn story(lines: &str) {
    let mut row = Row::default();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let now = T0 + words[0].parse::<u64>().unwrap() * 1_000;
        let busy = |retry_after_ms| Outcome::Failed(Trouble::Busy { retry_after_ms });
        let ordinary = Attempted::Ordinary;
        row = match words[1] {
            "good" => row.after(&RULES, now, ordinary, GOOD, 0),
            "fails" => row.after(&RULES, now, ordinary, BROKEN, 0),
            "busy" => row.after(&RULES, now, ordinary, busy(None), 0),
            "busy10" => row.after(&RULES, now, ordinary, busy(Some(10_000)), 0),
            "busy2" => row.after(&RULES, now, ordinary, busy(Some(2_000)), 0),
            "claim" => row.claim(now).unwrap_or_else(|| panic!("{line}: not due")),
            "nobody" => {
                assert_eq!(row.claim(now), None, "{line}");
                row
            }
            "probe-good" => row.after(&RULES, now, Attempted::AsProbe, GOOD, 0),
            "probe-fails" => row.after(&RULES, now, Attempted::AsProbe, BROKEN, 0),
            "probe-lost" => row.after(&RULES, now, Attempted::AsProbe, Outcome::Unknown, 0),
            "looks" => row,
            other => panic!("{other}"),
        };
        assert_eq!(named(&row, now), words[2], "{line}: {row:?}");
    }
}

#[test]
fn three_failures_open_it_and_one_probe_closes_it() {
    story(
        "0   good        closed
         1   fails       closed
         2   fails       degraded
         3   fails       open
         4   good        open
         32  looks       open
         32  nobody      open
         33  looks       due
         33  claim       open
         34  nobody      open
         35  good        open
         36  probe-good  closed
         37  fails       closed
         38  fails       degraded
         39  good        closed",
    );
}

#[test]
fn a_failed_probe_doubles_the_rest() {
    story(
        "0   fails        closed
         1   fails        degraded
         2   fails        open
         32  claim        open
         33  probe-fails  open
         92  looks        open
         93  claim        open
         94  probe-fails  open
         213 looks        open
         214 claim        open
         215 probe-good   closed
         216 fails        closed
         217 fails        degraded
         218 fails        open
         457 looks        open
         458 looks        due",
    );
}

#[test]
fn a_probe_that_is_never_heard_of_makes_room_for_another() {
    story(
        "0   fails       closed
         0   fails       degraded
         0   fails       open
         30  claim       open
         31  probe-lost  due
         32  claim       open
         91  nobody      open
         92  claim       open",
    );
}

#[test]
fn a_time_to_come_back_is_kept_and_never_shortened() {
    story(
        "0   busy10  cooling
         1   busy2   cooling
         9   looks   cooling
         10  looks   closed
         11  busy    closed
         12  busy    degraded
         13  busy    open",
    );
}

#[test]
fn failures_that_are_far_apart_or_few_among_many_open_nothing() {
    story(
        "0   fails  closed
         31  good   closed
         32  fails  closed
         61  good   closed
         62  fails  closed
         95  fails  degraded",
    );
    let mut row = Row::default();
    for second in 0..200 {
        for _ in 0..50 {
            row = row.after(&RULES, T0 + second * 1_000, Attempted::Ordinary, GOOD, 0);
        }
        row = row.after(&RULES, T0 + second * 1_000, Attempted::Ordinary, BROKEN, 0);
        assert_eq!(row.breaker, Breaker::Closed, "second {second}");
    }
    assert_eq!(row.failure_share(T0 + 199_000, RULES.within_ms), 19);
}

#[test]
fn a_rest_ends_within_a_tenth_of_its_time() {
    for random in [0, 1, 12_345, u64::MAX] {
        let row = Row::default().open_for_test(random);
        let rest = row.until_ms - T0;
        assert!((30_000..33_000).contains(&rest), "{random}: {rest}");
    }
}

impl Row {
    fn open_for_test(self, random: u64) -> Self {
        (0..3).fold(self, |row, _| {
            row.after(&RULES, T0, Attempted::Ordinary, BROKEN, random)
        })
    }
}

#[test]
fn what_a_provider_says_is_left_is_believed_until_it_says_otherwise() {
    let left = |requests, tokens| Left {
        requests,
        tokens,
        until_ms: T0 + 5_000,
    };
    for (requests, tokens, needs, now, want) in [
        (1, 100, 100, T0, "closed"),
        (1, 100, 101, T0, "cooling"),
        (0, 100, 1, T0, "cooling"),
        (0, 0, 1, T0 + 5_000, "closed"),
    ] {
        let row = Row::default().told(&RULES, T0, left(requests, tokens));
        let standing = row.standing(now, Tokens(needs)).name();
        assert_eq!(standing, want, "{requests} {tokens} {needs}");
    }
}

#[test]
fn who_is_not_judged_is_asked_whatever_he_did() {
    let rules = Rules {
        failures: 0,
        ..RULES
    };
    let busy = Outcome::Failed(Trouble::Busy {
        retry_after_ms: Some(9_000),
    });
    let mut row = Row::default();
    for outcome in [BROKEN, BROKEN, BROKEN, busy] {
        row = row.after(&rules, T0, Attempted::Ordinary, outcome, 0);
    }
    assert_eq!(named(&row, T0), "closed");
    assert_eq!(row.failure_share(T0, rules.within_ms), 1_000);
}

#[test]
fn an_average_follows_and_knows_how_far_values_lie() {
    let steady = (0..100).fold(Average::default(), |average, _| average.with(2_000));
    assert_eq!((steady.mean_us, steady.deviation_us()), (2_000, 0));
    let moved = (0..60).fold(steady, |average, _| average.with(8_000));
    assert!((7_900..=8_000).contains(&moved.mean_us), "{moved:?}");
    let wild = (0..200).fold(Average::default(), |average, turn| {
        average.with(if turn % 2 == 0 { 1_000 } else { 9_000 })
    });
    assert!((4_000..=6_500).contains(&wild.mean_us), "{wild:?}");
    assert!(wild.deviation_us() > 3_000, "{wild:?}");
}

#[test]
fn others_counts_are_summed_and_the_dead_forgotten() {
    use std::collections::BTreeMap;
    let (one, two) = (DeploymentId(1), DeploymentId(2));
    let mut told = busy::Told::default();
    told.tell(7, T0, &BTreeMap::from([(one, 3), (two, 0)]));
    told.tell(8, T0 + 1_000, &BTreeMap::from([(one, 4), (two, 1)]));
    let told = busy::Told::read(&told.bytes());
    assert_eq!(
        told.of_others(9, T0 + 1_000),
        BTreeMap::from([(one, 7), (two, 1)])
    );
    assert_eq!(told.of_others(8, T0 + 1_000), BTreeMap::from([(one, 3)]));
    assert_eq!(
        told.of_others(9, T0 + 5_500),
        BTreeMap::from([(one, 4), (two, 1)])
    );
    let mut gone = told.clone();
    gone.tell(8, T0 + 9_000, &BTreeMap::new());
    assert_eq!(gone, busy::Told::default());
}

/// A day in which each of three deployments has outages: how many requests the breaker let go to one that was down.
#[test]
fn in_a_day_with_outages_few_requests_meet_one() {
    let (mut asked_while_down, mut probes, mut served) = (0, 0, 0);
    let mut rows = [Row::default(); 3];
    // Half a day in steps of 100 ms; deployment n is down for ten minutes in each hour.
    for step in 0..432_000_u64 {
        let now = T0 + step * 100;
        let minute = step / 600 % 60;
        for (number, row) in rows.iter_mut().enumerate() {
            let down = (minute / 10) == u64::try_from(number).unwrap();
            let attempted = match row.standing(now, Tokens(1)) {
                Standing::Closed | Standing::Degraded => Attempted::Ordinary,
                Standing::Due => {
                    *row = row.claim(now).unwrap();
                    probes += 1;
                    Attempted::AsProbe
                }
                Standing::Resting { .. } | Standing::Cooling { .. } => continue,
            };
            asked_while_down += u64::from(down);
            served += u64::from(!down);
            let outcome = if down { BROKEN } else { GOOD };
            *row = row.after(&RULES, now, attempted, outcome, step);
        }
    }
    // 36 outages: three failures open each if nobody else was asked lately, and 67 of 600 if all was well before.
    assert!(asked_while_down < 36 * 80, "{asked_while_down}");
    assert!(probes < 36 * 8, "{probes}");
    // 12 hours less the outages, and less the rests that outlast them.
    assert!(served > 432_000 * 3 * 5 / 6 * 85 / 100, "{served}");
}

fn outcomes() -> impl Strategy<Value = (u64, u8, u64)> {
    (0_u64..40_000, 0_u8..8, any::<u64>())
}

proptest! {
    #[test]
    fn the_breaker_never_lets_two_probes_through(steps in prop::collection::vec(outcomes(), 1..200)) {
        let mut row = Row::default();
        let mut now = T0;
        // When the probe that runs was let through.
        let mut running: Option<u64> = None;
        for (later, what, random) in steps {
            now += later;
            let as_probe = if running.is_some() { Attempted::AsProbe } else { Attempted::Ordinary };
            let retry_after_ms = Some(random % 20_000);
            match what {
                0 | 1 => {
                    if let Some(claimed) = row.claim(now) {
                        prop_assert!(running.is_none_or(|since| now - since >= 60_000), "two probes");
                        row = claimed;
                        running = Some(now);
                    }
                }
                2 => row = row.after(&RULES, now, Attempted::Ordinary, GOOD, random),
                3 => row = row.after(&RULES, now, Attempted::Ordinary, BROKEN, random),
                4 => row = row.after(&RULES, now, Attempted::Ordinary, Outcome::Failed(Trouble::Busy { retry_after_ms }), random),
                _ => {
                    let outcome = match what { 5 => GOOD, 6 => BROKEN, _ => Outcome::Unknown };
                    row = row.after(&RULES, now, as_probe, outcome, random);
                    running = None;
                }
            }
            prop_assert_eq!(Row::read(&row.bytes()), Some(row));
        }
    }

    #[test]
    fn a_rest_never_outlasts_its_bound(steps in prop::collection::vec(outcomes(), 1..100)) {
        let mut row = Row::default();
        let mut now = T0;
        for (later, what, random) in steps {
            now += later;
            row = row.claim(now).unwrap_or(row);
            let outcome = if what < 6 { BROKEN } else { GOOD };
            row = row.after(&RULES, now, Attempted::AsProbe, outcome, random);
            if let Standing::Resting { for_ms } = row.standing(now, Tokens(0)) {
                prop_assert!(for_ms <= 660_000, "{for_ms}");
            }
        }
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let table = Table::read(&bytes);
        prop_assert_eq!(Table::read(&table.bytes()), table);
        let mut framed = b"tg-hlth1".to_vec();
        framed.extend(&bytes);
        let table = Table::read(&framed);
        prop_assert_eq!(Table::read(&table.bytes()), table);
        let mut framed = b"tg-busy1".to_vec();
        framed.extend(&bytes);
        let _ = busy::Told::read(&framed);
    }

    #[test]
    fn a_table_gives_back_what_was_put_in(ids in prop::collection::btree_set(any::<u64>(), 0..20), failures in 0_u64..5) {
        let mut table = Table::default();
        for id in &ids {
            let row = (0..failures).fold(Row::default(), |row, at| row.after(&RULES, T0 + at + id % 100, Attempted::Ordinary, BROKEN, *id));
            table.set(DeploymentId(*id), row, T0);
        }
        prop_assert_eq!(Table::read(&table.bytes()), table);
    }
}
