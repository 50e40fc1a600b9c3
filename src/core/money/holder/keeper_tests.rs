//! One worker with its rows in memory, and a service that is played by the test.

use std::collections::BTreeMap;

use super::*;
use crate::money::ids::{Incarnation, LeaseId, Millis, ScopeId, StreamId, WindowId};
use crate::money::message::{Grant, Status, SyncReply, SyncRequest, Usage};
use crate::money::thresholds::Action;
use crate::money::wanted::{Payer, Uncovered, Wanted};
use crate::units::NanoUsd;

#[derive(Default)]
struct Table {
    rows: BTreeMap<ScopeId, LeaseRow>,
    /// No row found a slot that workers share.
    is_full: bool,
}

impl Rows for Table {
    fn change<Said>(
        &mut self,
        scope: ScopeId,
        mut change: impl FnMut(LeaseRow) -> (LeaseRow, Said),
    ) -> (Option<u32>, Said) {
        let row = self
            .rows
            .entry(scope)
            .or_insert_with(|| LeaseRow::new(scope));
        let (changed, said) = change(*row);
        *row = changed;
        ((!self.is_full).then_some(0), said)
    }
}

/// Two scopes, a service with so much money for each, and a clock.
struct Stage {
    keeper: Keeper,
    rows: Table,
    now: Millis,
    left: BTreeMap<ScopeId, u64>,
    /// What is not spent of the team's, whoever holds it, if the service says so.
    unspent: Option<u64>,
    /// What came back unspent.
    returned: u64,
    batches: u32,
    /// Where the numbers of its leases begin.
    leases_from: u64,
}

const TEAM: ScopeId = ScopeId(1);
const KEY: ScopeId = ScopeId(2);

impl Stage {
    fn new(team: u64, key: u64) -> Self {
        let (mut keeper, mut rows) = (Keeper::default(), Table::default());
        let outbox = Outbox::new(Incarnation(1), StreamId(0));
        keeper.begin(&mut rows, outbox, LeaseId(1));
        Self {
            keeper,
            rows,
            now: Millis(1_000_000),
            left: [(TEAM, team), (KEY, key)].into(),
            unspent: None,
            returned: 0,
            batches: 0,
            leases_from: 0,
        }
    }

    fn hold(&mut self, amount: u64, wait_ms: u64) -> Option<Outcome> {
        let payer = |scope| Payer {
            scope,
            debt: Some(NanoUsd(50)),
        };
        let wanted = Wanted {
            payers: vec![payer(TEAM), payer(KEY)],
            amount: NanoUsd(amount),
            wait_ms,
        };
        self.keeper.hold(&mut self.rows, wanted, 7, self.now)
    }

    /// The service answers the batch that is due, if one is.
    fn answer(&mut self) -> Vec<(Ticket, Outcome)> {
        let Some(batch) = self.keeper.outbox().unwrap().poll(self.now).cloned() else {
            return Vec::new();
        };
        self.batches += 1;
        self.keeper.sent(self.now);
        let reply = self.reply(&batch);
        let outbox = self.keeper.outbox().unwrap();
        let arrival = outbox.on_reply(reply, self.now).unwrap();
        self.keeper.arrived(&mut self.rows, arrival, self.now)
    }

    fn reply(&mut self, batch: &SyncRequest) -> SyncReply {
        let mut reply = SyncReply {
            seq: batch.seq,
            ..SyncReply::default()
        };
        self.returned += batch.returns.iter().map(|back| back.nanos.0).sum::<u64>();
        for want in &batch.wants {
            reply.status.push(Status {
                scope: want.scope,
                action: Action::None,
                spent: NanoUsd::ZERO,
                limit: NanoUsd::ZERO,
                resets_in_ms: None,
                left: self.unspent.map(NanoUsd),
            });
            let left = self.left.get_mut(&want.scope).unwrap();
            let nanos = want.want.0.max(want.need.0).min(*left);
            if nanos < want.need.0 || nanos == 0 {
                reply.denied.push(want.scope);
                continue;
            }
            *left -= nanos;
            reply.grants.push(Grant {
                scope: want.scope,
                lease: LeaseId(self.leases_from + want.scope.0),
                window: WindowId(1),
                nanos: NanoUsd(nanos),
                ttl_ms: 60_000,
            });
        }
        reply
    }

    fn pass(&mut self, millis: u64) -> Vec<(Ticket, Outcome)> {
        self.now = self.now.after(millis);
        self.keeper.tick(&mut self.rows, self.now)
    }

    fn settle(&mut self, outcome: Outcome, cost: u64) {
        let Outcome::Held(hold) = outcome else {
            panic!("{outcome:?}");
        };
        let ending = Ending {
            cost: NanoUsd(cost),
            ..Ending::default()
        };
        self.keeper.settle(&mut self.rows, hold, ending);
    }

    fn free(&self, scope: ScopeId) -> u64 {
        self.rows.rows[&scope].free.0
    }
}

fn only(told: Vec<(Ticket, Outcome)>) -> Outcome {
    assert_eq!(told.len(), 1, "{told:?}");
    told.into_iter().next().unwrap().1
}

#[test]
fn a_dry_lease_costs_one_round_trip_for_all_payers_together() {
    let mut stage = Stage::new(10_000, 10_000);
    assert_eq!(stage.hold(100, 2_000), None);
    let held = only(stage.answer());
    assert_eq!(stage.batches, 1);
    stage.settle(held, 30);
    assert_eq!((stage.free(TEAM), stage.free(KEY)), (70, 70));
}

#[test]
fn what_is_free_stays_until_it_is_idle_and_more_is_fetched_before_it_is_dry() {
    let mut stage = Stage::new(10_000, 10_000);
    stage.hold(100, 2_000);
    let held = only(stage.answer());
    stage.settle(held, 30);
    stage.pass(50);
    stage.answer();
    assert!(stage.free(TEAM) > 100, "{}", stage.free(TEAM));
    for _ in 0..10 {
        stage.pass(1_000);
        stage.answer();
    }
    assert_eq!(stage.returned, 0);
    let held = stage.hold(100, 2_000).expect("no round trip");
    stage.settle(held, 100);
    for _ in 0..70 {
        stage.pass(1_000);
        stage.answer();
    }
    assert_eq!(stage.free(TEAM), 0, "idle money goes home");
}

#[test]
fn who_is_short_waits_as_long_as_its_terms_say_and_no_longer() {
    for (wait_ms, waits) in [(0, 1), (300, 4)] {
        let mut stage = Stage::new(10_000, 50);
        assert_eq!(stage.hold(100, wait_ms), None);
        let mut ticks = 0;
        let outcome = loop {
            ticks += 1;
            assert!(ticks < 20, "it waits for ever");
            let mut told = stage.answer();
            told.extend(stage.pass(100));
            if let Some((_, outcome)) = told.into_iter().next() {
                break outcome;
            }
        };
        assert!(
            matches!(
                outcome,
                Outcome::Uncovered(Uncovered::Exhausted { scope: KEY, .. })
            ),
            "{outcome:?}"
        );
        assert!(ticks <= waits, "{ticks} for {wait_ms}");
        assert_eq!(stage.rows.rows[&TEAM].in_flight, NanoUsd(0), "all or none");
    }
}

#[test]
fn whom_nothing_that_may_come_back_can_cover_is_refused_at_once() {
    for (unspent, is_hopeless) in [(Some(99), true), (Some(100), false), (None, false)] {
        let mut stage = Stage::new(50, 10_000);
        stage.unspent = unspent;
        assert_eq!(stage.hold(100, 60_000), None);
        let told = stage.answer();
        assert_eq!(
            told.len(),
            usize::from(is_hopeless),
            "{unspent:?}: {told:?}"
        );
        let want = unspent.map(NanoUsd);
        assert!(
            told.iter().all(|(_, outcome)| matches!(
                outcome,
                Outcome::Uncovered(Uncovered::Exhausted { scope: TEAM, standing }) if standing.left == want
            )),
            "{told:?}"
        );
    }
}

#[test]
fn a_service_that_is_away_lets_callers_owe_as_much_as_their_terms_allow() {
    let mut stage = Stage::new(10_000, 10_000);
    assert_eq!(stage.hold(40, 2_000), None);
    assert!(stage.keeper.outbox().unwrap().poll(stage.now).is_some());
    stage.keeper.sent(stage.now);
    let owed = (0..50).find_map(|_| stage.pass(100).into_iter().next());
    let (_, owed) = owed.expect("it is away at last");
    assert!(matches!(owed, Outcome::Held(_)), "{owed:?}");
    assert!(stage.keeper.is_away(stage.now));
    // 50 may be owed, and 40 are.
    assert_eq!(stage.hold(40, 2_000), None);
    let told = only(stage.pass(50));
    assert!(
        matches!(told, Outcome::Uncovered(Uncovered::Unreachable { .. })),
        "{told:?}"
    );
    stage.settle(owed, 25);
    let usage = {
        let outbox = stage.keeper.outbox().unwrap();
        outbox.newest().unwrap().clone()
    };
    let debts: Vec<u64> = usage.debts.iter().map(|debt| debt.nanos.0).collect();
    assert_eq!(debts, [25, 25]);
    assert_eq!(usage.charges, []);
}

#[test]
fn nothing_is_owed_where_the_other_workers_would_not_see_it() {
    let mut stage = Stage::new(10_000, 10_000);
    stage.rows.is_full = true;
    assert_eq!(stage.hold(40, 2_000), None);
    assert!(stage.keeper.outbox().unwrap().poll(stage.now).is_some());
    stage.keeper.sent(stage.now);
    let told = (0..50).find_map(|_| stage.pass(100).into_iter().next());
    assert!(stage.keeper.is_away(stage.now));
    assert!(
        matches!(
            told,
            Some((7, Outcome::Uncovered(Uncovered::Unreachable { .. })))
        ),
        "{told:?}"
    );
}

/// The store of the service was lost: it knows neither the process nor its leases, and gives out others.
#[test]
fn what_was_spent_is_said_again_to_a_service_that_forgot_who_spent_it() {
    let mut stage = Stage::new(10_000, 10_000);
    assert_eq!(stage.hold(40, 2_000), None);
    let running = stage.answer().remove(0).1;
    let ended = stage.hold(40, 2_000);
    let ended = ended.unwrap_or_else(|| stage.answer().remove(0).1);
    stage.settle(ended, 30);
    // It is in a batch that nobody ever answers.
    assert!(stage.keeper.outbox().unwrap().poll(stage.now).is_some());

    stage.keeper.start_over();
    assert!(!stage.keeper.has_begun());
    let outbox = Outbox::new(Incarnation(1_000), StreamId(1));
    stage.leases_from = 1_000;
    for row in stage.rows.rows.values_mut() {
        *row = row.since(LeaseId(1_000));
        assert_eq!((row.free.0, row.in_flight.0), (0, 0));
    }
    stage.keeper.begin(&mut stage.rows, outbox, LeaseId(1_000));
    stage.settle(running, 25);
    let batch = stage.keeper.outbox().unwrap().poll(stage.now).cloned();
    let batch = batch.unwrap();
    let owed = |usage: &Usage| {
        assert_eq!((usage.charges.len(), usage.debts.len()), (0, 2));
        assert!(usage.debts.iter().all(|debt| debt.nanos == usage.cost));
        usage.cost.0
    };
    let costs: Vec<u64> = batch.usage.iter().map(owed).collect();
    assert_eq!(costs, [30, 25]);
    assert_eq!(batch.returns, []);
    assert_eq!(stage.rows.rows[&TEAM].uncovered, NanoUsd(55));
    stage.now = stage.now.after(600);
    stage.answer();
    assert_eq!(stage.rows.rows[&TEAM].uncovered, NanoUsd(0));

    // It goes on with what it is given now.
    assert_eq!(stage.hold(40, 2_000), None);
    let held = stage.answer().remove(0).1;
    stage.settle(held, 10);
    let newest = stage.keeper.outbox().unwrap().newest().unwrap();
    let leases: Vec<u64> = newest.charges.iter().map(|charge| charge.lease.0).collect();
    assert_eq!(leases, [1_001, 1_002]);
}

#[test]
fn what_ends_before_the_process_has_a_name_is_said_when_it_has_one() {
    let (mut keeper, mut rows) = (Keeper::default(), Table::default());
    let ending = Ending {
        record: b"first".to_vec(),
        ..Ending::default()
    };
    keeper.settle(&mut rows, Hold::default(), ending);
    let outbox = Outbox::new(Incarnation(1), StreamId(0));
    keeper.begin(&mut rows, outbox, LeaseId(1));
    let newest = keeper.outbox().unwrap().newest().unwrap();
    assert_eq!(newest.record, b"first");
}
