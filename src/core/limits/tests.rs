//! Buckets, places and those who wait, by tables, stories and properties.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::bucket::{Bucket, Rate};
use super::draw::{Asked, draws, queue_of};
use super::limiter::{Limiter, Outcome, Rows, Taken, Used};
use super::places::Places;
use super::queue::{Queue as Line, Waiting};
use super::*;
use crate::config::{Commons, DeploymentId, Each, Key, Limited, Limits, Queue};
use crate::money::ids::{Incarnation, Millis, ScopeId};
use crate::money::rates::{RateId, Rates};
use crate::units::NanoUsd;

#[derive(Debug, Default)]
struct Memory {
    buckets: BTreeMap<RateId, Vec<u8>>,
    places: BTreeMap<RateId, Vec<u8>>,
}

/// As bytes, so that every story also tells whether rows survive being written.
impl Rows for Memory {
    fn bucket<Said>(
        &mut self,
        limit: RateId,
        mut change: impl FnMut(Bucket) -> (Option<Bucket>, Said),
    ) -> Said {
        let bytes = self.buckets.entry(limit).or_default();
        let bucket = Bucket::from_bytes(bytes).unwrap_or_else(|| Bucket::new(limit));
        let (changed, said) = change(bucket);
        if let Some(changed) = changed {
            *bytes = changed.to_bytes();
        }
        said
    }

    fn places<Said>(
        &mut self,
        limit: RateId,
        mut change: impl FnMut(Places) -> (Option<Places>, Said),
    ) -> Said {
        let bytes = self.places.entry(limit).or_default();
        let places = Places::from_bytes(bytes).unwrap_or_else(|| Places::new(limit));
        let (changed, said) = change(places);
        if let Some(changed) = changed {
            *bytes = changed.to_bytes();
        }
        said
    }
}

fn draw(limit: u64, counts: Counts, amount: u64, rate: (u64, u64), over: Over) -> Draw {
    Draw {
        limit: RateId(limit),
        name: format!("team:{limit}"),
        counts,
        amount,
        rate: Rate {
            per_minute: rate.0,
            burst: rate.1,
        },
        over,
    }
}

fn requests(limit: u64, per_minute: u64, burst: u64) -> Draw {
    draw(
        limit,
        Counts::Requests,
        1,
        (per_minute, burst),
        Over::Refuse,
    )
}

fn worker(number: u64) -> Limiter {
    let mut limiter = Limiter::default();
    limiter.workers.own = number;
    limiter
}

/// `taken`, `waits`, or when to come back.
fn told(outcome: Option<Outcome>) -> String {
    match outcome {
        Some(Outcome::Taken(_)) => "taken".to_owned(),
        Some(Outcome::Short(short)) => match short.wait_ms {
            Some(ms) => format!("{ms} ms"),
            None => "never".to_owned(),
        },
        None => "waits".to_owned(),
    }
}

#[test]
fn a_bucket_fills_with_time_and_says_exactly_when() {
    let rate = Rate {
        per_minute: 40,
        burst: 60,
    };
    let mut bucket = Bucket::new(RateId(1));
    // (at, amount) -> taken, or when
    for (at, amount, want) in [
        (0, 60, Ok(())),
        (0, 1, Err(Lack::Wait { ms: 1_500 })),
        (1_499, 1, Err(Lack::Wait { ms: 1 })),
        (1_500, 1, Ok(())),
        (1_500, 2, Err(Lack::Wait { ms: 3_000 })),
        (1_500, 61, Err(Lack::Never)),
        // A clock of another worker is a little behind: nothing comes twice.
        (1_000, 1, Err(Lack::Wait { ms: 1_500 })),
        (3_000, 1, Ok(())),
        (93_000, 60, Ok(())),
        // A clock that was turned back far begins anew.
        (10, 1, Err(Lack::Wait { ms: 1_500 })),
        (1_510, 1, Ok(())),
    ] {
        let got = bucket.take(amount, rate, Fed::ByTime, Millis(at));
        assert_eq!(got.map(|_| ()), want, "{amount} at {at}");
        let turned = bucket.turned_back(rate, Fed::ByTime, Millis(at));
        bucket = got.ok().or(turned).unwrap_or(bucket);
    }
    let nothing = Rate::default();
    let none = Bucket::new(RateId(2)).take(1, nothing, Fed::ByTime, Millis(0));
    assert_eq!(none, Err(Lack::Never));
}

#[test]
fn of_several_limits_all_are_taken_or_none() {
    let (mut rows, mut limiter) = (Memory::default(), worker(1));
    let both = || vec![requests(1, 60, 3), requests(2, 60, 1)];
    let mut take = |draws, at| told(limiter.take(&mut rows, draws, (1, "key"), Millis(at)));
    assert_eq!(take(both(), 0), "taken");
    assert_eq!(take(both(), 0), "1000 ms");
    assert_eq!(take(vec![requests(1, 60, 3)], 0), "taken");
    assert_eq!(take(vec![requests(1, 60, 3)], 0), "taken");
    // The longest wait is the right one; who waits so long is let through.
    assert_eq!(take(both(), 0), "1000 ms");
    assert_eq!(take(both(), 999), "1 ms");
    assert_eq!(take(both(), 1_000), "taken");
}

#[test]
fn what_was_not_used_comes_back_at_once_and_what_was_used_beyond_is_owed() {
    let (mut rows, mut limiter) = (Memory::default(), worker(1));
    let tokens = |amount| vec![draw(1, Counts::Tokens, amount, (6_000, 600), Over::Refuse)];
    let mut take = |limiter: &mut Limiter, amount| {
        limiter.take(&mut rows, tokens(amount), (1, "key"), Millis(0))
    };
    let Some(Outcome::Taken(first)) = take(&mut limiter, 500) else {
        panic!("there was enough");
    };
    assert_eq!(told(take(&mut limiter, 200)), "1000 ms");
    limiter.settle(&mut rows, first, Used::Tokens(100), Millis(0));
    let mut take = |limiter: &mut Limiter, amount| {
        limiter.take(&mut rows, tokens(amount), (1, "key"), Millis(0))
    };
    let Some(Outcome::Taken(second)) = take(&mut limiter, 500) else {
        panic!("400 came back");
    };
    // 700 more than was taken: the bucket owes no more than it holds.
    limiter.settle(&mut rows, second, Used::Tokens(10_000), Millis(0));
    let got = limiter.take(&mut rows, tokens(1), (1, "key"), Millis(0));
    assert_eq!(told(got), "6010 ms");
}

#[test]
fn places_are_left_on_every_way_and_come_back_from_a_lost_worker() {
    let mut rows = Memory::default();
    let (mut one, mut other) = (worker(1), worker(2));
    let parallel = || vec![draw(1, Counts::Parallel, 1, (0, 2), Over::Refuse)];
    let first = one.take(&mut rows, parallel(), (1, "key"), Millis(0));
    assert_eq!(
        told(other.take(&mut rows, parallel(), (1, "key"), Millis(0))),
        "taken"
    );
    assert_eq!(
        told(one.take(&mut rows, parallel(), (2, "key"), Millis(0))),
        "1000 ms"
    );
    let Some(Outcome::Taken(taken)) = first else {
        panic!("there were two places");
    };
    one.settle(&mut rows, taken, Used::Nothing, Millis(0));
    assert_eq!(
        told(one.take(&mut rows, parallel(), (3, "key"), Millis(0))),
        "taken"
    );
    // The other was seen, and then no more.
    one.workers.seen = vec![(2, Millis(1_000))];
    for (at, want) in [(5_999, "1000 ms"), (6_000, "taken"), (6_000, "1000 ms")] {
        let got = one.take(&mut rows, parallel(), (4, "key"), Millis(at));
        assert_eq!(told(got), want, "{at}");
    }
}

fn queued(amount: u64, max_waiting: u64) -> Vec<Draw> {
    let over = Over::Queue(Queue {
        max_wait_ms: 5_000,
        max_waiting,
    });
    vec![draw(1, Counts::Requests, amount, (60, 2), over)]
}

#[test]
fn who_waits_has_its_turn_by_age_and_by_key_and_newcomers_stand_behind() {
    let (mut rows, mut limiter) = (Memory::default(), worker(1));
    let mut take = |limiter: &mut Limiter, ticket, key, at| {
        told(limiter.take(&mut rows, queued(1, 4), (ticket, key), Millis(at)))
    };
    for (ticket, key, at, want) in [
        (1, "a", 0, "taken"),
        (2, "a", 0, "taken"),
        (3, "a", 10, "waits"),
        (4, "a", 20, "waits"),
        (5, "a", 30, "waits"),
        (6, "b", 40, "waits"),
        // There is no room for more to wait.
        (7, "b", 50, "4950 ms"),
        // It would overtake, although there is enough for one now.
        (8, "c", 1_000, "4000 ms"),
    ] {
        assert_eq!(take(&mut limiter, ticket, key, at), want, "{ticket}");
    }
    let mut turns = Vec::new();
    for at in [1_000, 1_999, 2_000, 3_000, 4_000] {
        for (ticket, outcome) in limiter.tick(&mut rows, Millis(at)) {
            turns.push(format!("{at} {ticket} {}", told(Some(outcome))));
        }
    }
    // The other key before the second of the first.
    assert_eq!(
        turns,
        [
            "1000 3 taken",
            "2000 6 taken",
            "3000 4 taken",
            "4000 5 taken"
        ]
    );
    assert_eq!(limiter.waiting(), 0);
}

#[test]
fn who_is_gone_waits_no_more_and_nobody_waits_in_vain() {
    let (mut rows, mut limiter) = (Memory::default(), worker(1));
    assert_eq!(
        told(limiter.take(&mut rows, queued(2, 1), (1, "a"), Millis(0))),
        "taken"
    );
    // It takes longer than anybody may wait.
    let slow = || {
        let mut draws = queued(1, 1);
        draws[0].rate.per_minute = 1;
        draws
    };
    assert_eq!(
        told(limiter.take(&mut rows, slow(), (2, "a"), Millis(0))),
        "60000 ms"
    );
    assert_eq!(
        told(limiter.take(&mut rows, queued(1, 1), (3, "a"), Millis(0))),
        "waits"
    );
    limiter.leave(&mut rows, 3);
    assert_eq!(limiter.waiting(), 0);
    assert_eq!(
        told(limiter.take(&mut rows, queued(1, 1), (4, "a"), Millis(0))),
        "waits",
        "its place is free"
    );
    let line = rows.places(queue_of(RateId(1)), |places| (None, places.in_use()));
    assert_eq!(line, 1);
    // Nobody knows when a place is left: who waits for one waits as long as he may.
    let mut place = queued(1, 5).remove(0);
    (place.limit, place.counts, place.rate.burst) = (RateId(9), Counts::Parallel, 1);
    for (ticket, want) in [(5, "taken"), (6, "waits")] {
        let got = limiter.take(&mut rows, vec![place.clone()], (ticket, "a"), Millis(10));
        assert_eq!(told(got), want);
    }
    assert_eq!(
        limiter.tick(&mut rows, Millis(1_000)).len(),
        1,
        "the fourth"
    );
    assert!(limiter.tick(&mut rows, Millis(5_009)).is_empty());
    let late = limiter.tick(&mut rows, Millis(5_010)).remove(0);
    assert_eq!((late.0, told(Some(late.1)).as_str()), (6, "1000 ms"));
}

/// Clocks do not begin with us.
const T0: u64 = 1_795_167_000_000;

/// Two gateways of two workers each, and the service that they share; calls take no time.
struct World {
    rates: Rates,
    gateways: Vec<(Memory, Vec<Limiter>)>,
}

impl World {
    fn new() -> Self {
        let gateway = |first| {
            let workers = [first, first + 1].map(|number| {
                let mut limiter = worker(number);
                limiter.share_with_others();
                limiter
            });
            (Memory::default(), workers.to_vec_of())
        };
        Self {
            rates: Rates::default(),
            gateways: vec![gateway(1), gateway(11)],
        }
    }

    /// What became of a request at one of the workers, once the service has answered.
    fn ask(&mut self, at: usize, draws: Vec<Draw>, now: u64) -> String {
        let now = Millis(T0 + now);
        let holder = Incarnation(u64::try_from(at % 2).unwrap() + 1);
        let (rows, workers) = &mut self.gateways[at % 2];
        let limiter = &mut workers[at / 2 % 2];
        let mut outcome = limiter.take(rows, draws, (1, "key"), now);
        while let Some(wants) = limiter.asks(rows, now) {
            let grants = wants
                .iter()
                .map(|want| self.rates.take(*want, holder, now))
                .collect::<Vec<_>>();
            let told = limiter.arrived(rows, &wants, &grants, now);
            outcome = told
                .into_iter()
                .map(|(_, outcome)| outcome)
                .next_back()
                .or(outcome);
        }
        told(outcome)
    }

    fn second(&mut self, now: u64) {
        let now = Millis(T0 + now);
        for (holder, (rows, workers)) in (1..).zip(&mut self.gateways) {
            for limiter in workers {
                let wants = limiter.goes_home(rows, now);
                let grants: Vec<_> = wants
                    .iter()
                    .map(|want| self.rates.take(*want, Incarnation(holder), now))
                    .collect();
                limiter.arrived(rows, &wants, &grants, now);
            }
        }
    }
}

trait ToVecOf<T> {
    fn to_vec_of(self) -> Vec<T>;
}

impl<T, const N: usize> ToVecOf<T> for [T; N] {
    fn to_vec_of(self) -> Vec<T> {
        self.into_iter().collect()
    }
}

#[test]
fn over_all_gateways_a_limit_is_one_limit() {
    let mut world = World::new();
    let told: Vec<String> = (0..100)
        .map(|at| world.ask(at, vec![requests(1, 1, 40)], 0))
        .collect();
    let taken = told.iter().filter(|told| *told == "taken").count();
    // What one gateway has at hand is missing to the other for a moment.
    assert!((38..=40).contains(&taken), "{taken}");
    for now in [1_000, 2_000, 3_000] {
        world.second(now);
    }
    let more = (0..100)
        .filter(|at| world.ask(*at, vec![requests(1, 1, 40)], 3_000) == "taken")
        .count();
    assert_eq!(taken + more, 40);
    // Exactly when the next is there.
    assert_eq!(world.ask(0, vec![requests(1, 1, 40)], 3_000), "57000 ms");
    assert_eq!(world.ask(1, vec![requests(1, 1, 40)], 59_999), "1 ms");
    assert_eq!(world.ask(0, vec![requests(1, 1, 40)], 60_000), "taken");
}

#[test]
fn places_are_shared_by_all_gateways() {
    let mut world = World::new();
    let parallel = || vec![draw(1, Counts::Parallel, 1, (0, 5), Over::Refuse)];
    let taken = (0..20)
        .filter(|at| world.ask(*at, parallel(), 0) == "taken")
        .count();
    assert_eq!(taken, 5);
    // They are kept as long as somebody is in them.
    for now in (1_000..30_000).step_by(1_000) {
        world.second(now);
    }
    assert_ne!(world.ask(0, parallel(), 30_000), "taken");
}

#[test]
fn while_the_service_is_away_each_gateway_counts_for_itself() {
    let (mut rows, mut limiter) = (Memory::default(), worker(1));
    limiter.share_with_others();
    let take = |limiter: &mut Limiter, rows: &mut Memory, at| {
        told(limiter.take(rows, vec![requests(1, 60, 2)], (1, "key"), Millis(at)))
    };
    assert_eq!(take(&mut limiter, &mut rows, 0), "waits");
    assert!(limiter.asks(&mut rows, Millis(0)).is_some());
    let answered: Vec<String> = limiter
        .lost(&mut rows, Millis(5))
        .into_iter()
        .map(|(_, outcome)| told(Some(outcome)))
        .collect();
    assert_eq!(answered, ["taken"]);
    assert_eq!(take(&mut limiter, &mut rows, 5), "taken");
    assert_eq!(take(&mut limiter, &mut rows, 5), "1000 ms");
    // It is looked for, and once it is back its shares count.
    assert_eq!(limiter.asks(&mut rows, Millis(500)), None);
    assert_eq!(limiter.asks(&mut rows, Millis(1_005)), Some(Vec::new()));
    limiter.arrived(&mut rows, &[], &[], Millis(1_006));
    assert_eq!(limiter.fed(), Fed::ByService);
    assert_eq!(take(&mut limiter, &mut rows, 1_100), "waits");
    // One that does not answer is away as well.
    limiter.asks(&mut rows, Millis(1_100));
    assert!(limiter.tick(&mut rows, Millis(2_599)).is_empty());
    let told: Vec<_> = limiter
        .tick(&mut rows, Millis(2_600))
        .into_iter()
        .map(|(_, outcome)| told(Some(outcome)))
        .collect();
    assert_eq!((told.len(), limiter.fed()), (1, Fed::ByTime));
}

fn limited(name: &str, limits: Limits) -> Limited {
    Limited {
        scope: ScopeId::named(name),
        name: name.to_owned(),
        limits,
    }
}

#[test]
fn a_request_draws_on_every_limit_that_concerns_it() {
    let rpm = |rpm| Limits {
        rpm_limit: Some(rpm),
        ..Limits::default()
    };
    let key = Key {
        name: "k".to_owned(),
        user: "ann".to_owned(),
        tier: "free".to_owned(),
        limits: vec![limited("key:k", rpm(1)), limited("team:t", rpm(2))],
        ..Key::default()
    };
    let names = [
        "everyone",
        "model:m",
        "model:other",
        "endpoint:/v1/e",
        "endpoint:/v1/f",
        "tier:free",
        "tier:paid",
        "tag:x",
        "tag:y",
    ];
    let commons = Commons {
        limits: names.map(|name| limited(name, rpm(9))).to_vec(),
        ..Commons::default()
    };
    let tags = ["x".to_owned()];
    let asked = Asked {
        model: "m",
        endpoint: "/v1/e",
        tags: &tags,
        tokens: 10,
    };
    let mut found: Vec<_> = draws(&key, &commons, asked)
        .into_iter()
        .map(|draw| draw.name)
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "endpoint:/v1/e",
            "everyone",
            "key:k",
            "model:m",
            "team:t",
            "tag:x",
            "tier:free"
        ]
        .map(str::to_owned)
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
    );
}

#[test]
fn everybody_of_a_kind_may_have_limits_of_his_own() {
    let of = |user: &str, each| {
        let key = Key {
            name: "k".to_owned(),
            user: user.to_owned(),
            limits: vec![limited(
                "team:t",
                Limits {
                    tpm_limit: Some(100),
                    each,
                    ..Limits::default()
                },
            )],
            ..Key::default()
        };
        let asked = Asked {
            model: "m",
            endpoint: "/v1/e",
            tags: &[],
            tokens: 7,
        };
        draws(&key, &Commons::default(), asked).remove(0)
    };
    assert_eq!(of("ann", None).limit, of("bob", None).limit);
    let each = Some(Each::User);
    assert_ne!(of("ann", each).limit, of("bob", each).limit);
    assert_eq!(of("ann", each).name, "team:t for user:ann");
    assert_eq!(of("", each).name, "team:t for key:k");
    let drawn = of("ann", each);
    assert_eq!((drawn.amount, drawn.rate.burst), (7, 150));
}

proptest! {
    /// Whatever is taken and given back: a bucket holds no more than its burst and owes no more than that, and no more
    /// passes than was there and came.
    #[test]
    fn a_bucket_stays_within_its_bounds(
        steps in prop::collection::vec((0_u64..4_000, 0_u64..70, 0_u64..90, 0_u64..90), 1..80),
    ) {
        let rate = Rate { per_minute: 600, burst: 50 };
        let mut bucket = Bucket::new(RateId(1));
        let (mut now, mut passed, mut back) = (0, 0, 0);
        for (pause, amount, more, less) in steps {
            now += pause;
            if let Ok(taken) = bucket.take(amount, rate, Fed::ByTime, Millis(now)) {
                bucket = taken;
                passed += amount;
            }
            // Nobody gives back what he has not taken.
            let more = more.min(passed - back);
            bucket = bucket.give(more, less, rate, Fed::ByTime, Millis(now));
            back += more;
            let left = bucket.here();
            let owed = bucket.missing(0);
            prop_assert!(left <= 50 && owed <= 50, "{left} {owed}");
            prop_assert!(passed - back <= 50 + now * 600 / 60_000);
        }
    }

    /// Who waits exactly as long as he is told is let through, by time and by service.
    #[test]
    fn whoever_waits_as_long_as_told_is_let_through(
        asked in prop::collection::vec((0_u64..3_000, 1_u64..40), 1..30),
        by_service in any::<bool>(),
    ) {
        let mut world = World::new();
        let (mut rows, mut alone) = (Memory::default(), worker(1));
        let mut now = 0;
        let mut ask = |amount, now: u64| {
            let draws = vec![draw(1, Counts::Tokens, amount, (600, 45), Over::Refuse)];
            if by_service {
                world.ask(0, draws, now)
            } else {
                told(alone.take(&mut rows, draws, (1, "key"), Millis(now)))
            }
        };
        for (pause, amount) in asked {
            now += pause;
            let told = ask(amount, now);
            if let Some(ms) = told.strip_suffix(" ms") {
                now += ms.parse::<u64>().unwrap();
                prop_assert_eq!(ask(amount, now), "taken", "{} after {}", amount, told);
            }
        }
    }

    /// However workers collide on several limits: what is taken is all of them, and nothing leaks.
    #[test]
    fn nothing_leaks_whatever_order_requests_end_in(
        steps in prop::collection::vec((any::<bool>(), 0_usize..4, 0_u64..500), 1..60),
    ) {
        let mut rows = Memory::default();
        let mut workers = [worker(1), worker(2)];
        let mut running: Vec<(usize, Taken)> = Vec::new();
        let mut now = 0;
        for (begins, which, pause) in steps {
            now += pause;
            if begins {
                let draws = vec![
                    draw(1, Counts::Parallel, 1, (0, 3), Over::Refuse),
                    draw(2, Counts::Tokens, 10, (600, 25), Over::Refuse),
                ];
                let at = which % 2;
                if let Some(Outcome::Taken(taken)) = workers[at].take(&mut rows, draws, (1, "k"), Millis(now)) {
                    running.push((at, taken));
                }
            } else if !running.is_empty() {
                let (at, taken) = running.remove(which % running.len());
                let used = if pause % 2 == 0 { Used::Nothing } else { Used::Tokens(pause) };
                workers[at].settle(&mut rows, taken, used, Millis(now));
            }
            prop_assert!(running.len() <= 3);
            let in_use = rows.places(RateId(1), |places| (None, places.in_use()));
            prop_assert_eq!(in_use, u64::try_from(running.len()).unwrap());
        }
        for (at, taken) in running {
            workers[at].settle(&mut rows, taken, Used::Nothing, Millis(now));
        }
        let in_use = rows.places(RateId(1), |places| (None, places.in_use()));
        prop_assert_eq!(in_use, 0);
        prop_assert!(!workers.iter().any(Limiter::holds_places));
    }

    /// Of those who wait no key comes twice before every other key that waits had its turn.
    #[test]
    fn turns_are_fair(keys in prop::collection::vec(0_u8..4, 1..30)) {
        let mut line = Line::default();
        for (ticket, key) in (0_u32..).zip(&keys) {
            line.push(Waiting {
                ticket,
                key: key.to_string(),
                draws: Vec::new(),
                since: Millis(u64::from(ticket)),
                until: Millis(u64::MAX),
                place: None,
            });
        }
        let order = line.by_turn();
        let mut had: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, waiting) in order.iter().enumerate() {
            let turns = *had.get(waiting.key.as_str()).unwrap_or(&0);
            let behind = order[at..].iter().map(|it| *had.get(it.key.as_str()).unwrap_or(&0));
            prop_assert!(behind.min().unwrap() >= turns, "{:?}", order);
            *had.entry(&waiting.key).or_default() += 1;
        }
    }
}

#[test]
fn a_deployment_that_is_nearly_used_up_is_full_until_time_or_an_end_gives_back() {
    let (mut rows, mut limiter) = (Memory::default(), worker(1));
    let id = DeploymentId(7);
    let quota = |rpm, tpm, parallel, day: Option<u64>| Quota {
        rpm,
        tpm,
        parallel,
        day: day.map(NanoUsd),
    };
    let nothing = NanoUsd::ZERO;
    let full = |limiter: &Limiter, rows: &mut Memory, quota: &Quota, at| {
        limiter.full(rows, id, quota, Millis(at)).unwrap_or("room")
    };
    // Of a hundred requests in a minute 95 leave, and the next after the time of one.
    let rpm = quota(Some(100), None, None, None);
    for _ in 0..95 {
        assert_eq!(full(&limiter, &mut rows, &rpm, 0), "room");
        limiter.attempt_begins(&mut rows, (id, &rpm), 10, Millis(0));
    }
    assert_eq!(full(&limiter, &mut rows, &rpm, 0), "room");
    limiter.attempt_begins(&mut rows, (id, &rpm), 10, Millis(0));
    assert_eq!(full(&limiter, &mut rows, &rpm, 599), "requests_per_minute");
    assert_eq!(full(&limiter, &mut rows, &rpm, 600), "room");
    let tpm = quota(None, Some(1_000), None, None);
    limiter.attempt_begins(&mut rows, (id, &tpm), 960, Millis(0));
    assert_eq!(full(&limiter, &mut rows, &tpm, 0), "tokens_per_minute");
    limiter.attempt_ends(&mut rows, (id, &tpm), (960, 100), nothing, Millis(0));
    assert_eq!(full(&limiter, &mut rows, &tpm, 0), "room");
    let parallel = quota(None, None, Some(2), None);
    for _ in 0..2 {
        assert_eq!(full(&limiter, &mut rows, &parallel, 0), "room");
        limiter.attempt_begins(&mut rows, (id, &parallel), 0, Millis(0));
    }
    assert_eq!(full(&limiter, &mut rows, &parallel, 0), "parallel_requests");
    limiter.attempt_ends(&mut rows, (id, &parallel), (0, 0), nothing, Millis(0));
    assert_eq!(full(&limiter, &mut rows, &parallel, 0), "room");
    // A dollar a day, until midnight.
    let day = quota(None, None, None, Some(1_000_000_000));
    let (evening, midnight) = (86_399_000, 86_400_000);
    let spent = NanoUsd(951_000_000);
    limiter.attempt_ends(&mut rows, (id, &day), (0, 0), spent, Millis(evening));
    assert_eq!(full(&limiter, &mut rows, &day, evening), "daily_budget");
    assert_eq!(full(&limiter, &mut rows, &day, midnight), "room");
}
