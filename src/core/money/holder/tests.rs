//! Rows, holds and slots, each alone. Together they are tested by the simulator.

use proptest::prelude::*;

use super::*;
use crate::money::ids::{LeaseId, Millis, ScopeId, WindowId};
use crate::money::message::{Charge, Debt, Grant, Return};
use crate::units::{MoneyOverflow, NanoUsd};

const NOW: Millis = Millis(100_000);

fn grant(lease: u64, nanos: u64) -> Grant {
    Grant {
        scope: ScopeId(7),
        lease: LeaseId(lease),
        window: WindowId(1),
        nanos: NanoUsd(nanos),
        ttl_ms: 60_000,
    }
}

/// A row with so much of lease 1.
fn row(nanos: u64) -> LeaseRow {
    let row = LeaseRow::new(ScopeId(7));
    row.land(&grant(1, nanos), NOW).unwrap().row
}

fn is_balanced(row: &LeaseRow) -> bool {
    row.granted.0 == row.free.0 + row.in_flight.0 + row.settled.0 + row.returned.0
}

fn back(lease: u64, nanos: u64) -> Option<Return> {
    Some(Return {
        lease: LeaseId(lease),
        nanos: NanoUsd(nanos),
    })
}

#[test]
fn a_request_is_paid_from_its_hold_then_from_what_is_free_then_from_nowhere() {
    // (lease of the hold, held, cost) -> (charged, over, free afterwards, given back), with 100 in flight and 50 free.
    for (lease, held, cost, charged, over, free, returned) in [
        (1, 100, 100, 100, 0, 50, None),
        (1, 100, 30, 30, 0, 120, None),
        (1, 100, 0, 0, 0, 150, None),
        (1, 100, 120, 120, 0, 30, None),
        (1, 100, 170, 150, 20, 0, None),
        // The row has moved on to another lease: the hold is settled past it.
        (9, 100, 30, 30, 0, 50, back(9, 70)),
        (9, 100, 130, 100, 30, 50, None),
        // The row lost sight of a part of the hold.
        (1, 160, 130, 130, 0, 50, back(1, 30)),
    ] {
        let row = row(150).take(NanoUsd(100), NOW).unwrap().row;
        let settled = row.settle(LeaseId(lease), NanoUsd(held), NanoUsd(cost));
        let charge = Charge {
            lease: LeaseId(lease),
            nanos: NanoUsd(charged),
            over: NanoUsd(over),
        };
        assert_eq!(settled.charge, charge, "{held} held, {cost} spent");
        assert_eq!(settled.row.free, NanoUsd(free), "{held} held, {cost} spent");
        assert_eq!(settled.back, returned, "{held} held, {cost} spent");
        assert!(is_balanced(&settled.row), "{:?}", settled.row);
    }
}

#[test]
fn a_row_asks_before_it_is_dry_and_only_once() {
    let mut row = row(1_000);
    let mut asked = Vec::new();
    for _ in 0..9 {
        let taken = row.take(NanoUsd(100), NOW).unwrap();
        row = taken.row;
        asked.push(taken.ask.map(|want| (want.need.0, want.want.0)));
    }
    // The target is five seconds of what was taken: 305 thousandths of 100 each, but at least four requests.
    let half_empty = Some((0, 300));
    assert_eq!(asked[..8], [None; 8]);
    assert_eq!(asked[8], half_empty);
    assert_eq!(row.take(NanoUsd(100), NOW).unwrap().ask, None);
    // Whoever asked never came back: another may.
    let later = NOW.after(2_000);
    assert!(row.take(NanoUsd(100), later).unwrap().ask.is_some());
}

#[test]
fn a_lease_that_is_due_is_renewed_by_whoever_uses_it() {
    let row = row(10_000);
    assert_eq!(row.take(NanoUsd(100), NOW.after(60_000)).unwrap().ask, None);
    let taken = row.take(NanoUsd(100), NOW.after(60_001)).unwrap();
    let want = taken.ask.unwrap();
    assert_eq!((want.need.0, want.want.0), (0, 400));
    // The next one leaves it to the first.
    assert_eq!(
        taken.row.take(NanoUsd(100), NOW.after(60_001)).unwrap().ask,
        None
    );
    let renewed = taken.row.land(&grant(2, 400), NOW.after(60_001)).unwrap();
    assert_eq!(renewed.back, back(1, 9_900));
    assert_eq!(
        renewed
            .row
            .take(NanoUsd(100), NOW.after(60_010))
            .unwrap()
            .ask,
        None
    );
}

#[test]
fn a_dry_row_asks_for_what_waits_and_not_again_at_once() {
    let row = row(30);
    assert_eq!(
        row.take(NanoUsd(100), NOW),
        Err(Short {
            missing: NanoUsd(70)
        })
    );
    let (asking, want) = row.ask(NanoUsd(100), NanoUsd(250), NOW).unwrap();
    assert_eq!((want.need, want.want), (NanoUsd(70), NanoUsd(220)));
    assert_eq!(asking.ask(NanoUsd(100), NanoUsd(250), NOW), None);
    let denied = asking.denied(NOW);
    assert_eq!(denied.ask(NanoUsd(100), NanoUsd(250), NOW.after(99)), None);
    assert!(
        denied
            .ask(NanoUsd(100), NanoUsd(250), NOW.after(100))
            .is_some()
    );
    // A clock that stepped back does not make anybody wait for it to catch up.
    assert!(denied.ask(NanoUsd(100), NanoUsd(250), Millis(5)).is_some());
}

#[test]
fn a_grant_of_another_window_sends_the_old_money_home() {
    let old = row(150).take(NanoUsd(100), NOW).unwrap().row;
    let landed = old.land(&grant(2, 500), NOW).unwrap();
    assert_eq!(landed.back, back(1, 50));
    assert_eq!(
        (landed.row.lease, landed.row.free),
        (LeaseId(2), NanoUsd(500))
    );
    // What was in flight is settled past the row.
    let settled = landed.row.settle(LeaseId(1), NanoUsd(100), NanoUsd(40));
    assert_eq!((settled.row, settled.back), (landed.row, back(1, 60)));
    // The same lease again is more of the same.
    let more = landed.row.land(&grant(2, 5), NOW).unwrap();
    assert_eq!((more.row.free, more.back), (NanoUsd(505), None));
}

#[test]
fn a_grant_that_does_not_fit_is_refused() {
    let landed = row(1).land(&grant(1, u64::MAX), NOW);
    assert_eq!(landed, Err(MoneyOverflow));
}

#[test]
fn idle_money_goes_home() {
    let busy = row(10_000).take(NanoUsd(100), NOW).unwrap().row;
    for (case, released, returned, left) in [
        // Four requests stay ready.
        ("much too much", busy.sweep(NOW), back(1, 9_500), 400),
        (
            "long unused",
            busy.sweep(NOW.after(IDLE_MS)),
            back(1, 9_900),
            0,
        ),
        ("recalled", busy.recall(NOW), back(1, 9_900), 0),
        ("stopping", busy.drain(), back(1, 9_900), 0),
        ("as it should be", busy.sweep(NOW).row.sweep(NOW), None, 400),
    ] {
        assert_eq!(released.back, returned, "{case}");
        assert_eq!(released.row.free, NanoUsd(left), "{case}");
        assert!(is_balanced(&released.row), "{case}");
    }
    // While money is tight only what is needed is asked for.
    let tight = busy.recall(NOW).row;
    let want = tight.ask(NanoUsd(70), NanoUsd(70), NOW).unwrap().1;
    assert_eq!((want.need, want.want), (NanoUsd(70), NanoUsd(70)));
}

#[test]
fn a_scope_keeps_its_slot_until_its_row_is_closed() {
    let [first, second] = ways(ScopeId(7), 16);
    let mine = row(5);
    let other = LeaseRow {
        scope: ScopeId(8),
        ..mine
    };
    let closed = LeaseRow::new(ScopeId(8));
    for (one, two, want) in [
        (None, None, Place::Vacant(first)),
        (Some(&other), None, Place::Vacant(second)),
        (Some(&closed), Some(&mine), Place::Here(second)),
        (Some(&closed), Some(&other), Place::Vacant(first)),
        (Some(&other), Some(&other), Place::Full),
    ] {
        assert_eq!(place(ScopeId(7), [(first, one), (second, two)]), want);
    }
    let paying = row(5).take(NanoUsd(5), NOW).unwrap().row;
    assert!(!paying.is_closed());
    let asking = closed.ask(NanoUsd(1), NanoUsd(1), NOW).unwrap().0;
    assert!(!asking.is_closed());
    assert!(asking.denied(NOW).is_closed());
}

#[test]
fn slots_are_inside_the_table() {
    for slots in [0, 1, 2, 3, 16, 16_384] {
        for scope in 0..1_000 {
            let [first, second] = ways(ScopeId(scope), slots);
            assert!(second < slots.max(2) && first + 1 == second, "{slots}");
        }
    }
}

/// Goes through a [`Taking`] with rows of so much each; says what was done and what came of it.
fn take_from(free: &[(u64, u64)], amount: u64) -> (Vec<String>, Option<Hold>) {
    let scopes = free.iter().map(|(scope, _)| ScopeId(*scope)).collect();
    let mut taking = Taking::new(scopes, NanoUsd(amount));
    let mut done = Vec::new();
    loop {
        match taking.next_step() {
            TakingStep::Take { scope, amount } => {
                done.push(format!("take {}", scope.0));
                let free = free.iter().find(|(id, _)| *id == scope.0).unwrap().1;
                match amount.0.checked_sub(free) {
                    None | Some(0) => taking.took(Some(0), LeaseId(scope.0)),
                    Some(missing) => taking.fell_short(Short {
                        missing: NanoUsd(missing),
                    }),
                }
            }
            TakingStep::GiveBack(part) => done.push(format!("back {}", part.scope.0)),
            TakingStep::Held(hold) => return (done, Some(hold)),
            TakingStep::Short { scope, missing } => {
                done.push(format!("short {} by {}", scope.0, missing.0));
                return (done, None);
            }
        }
    }
}

#[test]
fn a_request_holds_every_scope_or_none() {
    let (done, hold) = take_from(&[(3, 50), (1, 50), (2, 50), (1, 50)], 50);
    assert_eq!(done, ["take 1", "take 2", "take 3"]);
    assert_eq!(hold.unwrap().parts.len(), 3);
    let (done, hold) = take_from(&[(3, 20), (1, 50), (2, 50)], 50);
    assert_eq!(
        done,
        [
            "take 1",
            "take 2",
            "take 3",
            "back 2",
            "back 1",
            "short 3 by 30"
        ]
    );
    assert_eq!(hold, None);
    assert_eq!(take_from(&[], 50).1, Some(Hold::default()));
}

fn part(scope: u64, lease: u64, nanos: u64) -> Part {
    Part {
        slot: None,
        scope: ScopeId(scope),
        lease: LeaseId(lease),
        nanos: NanoUsd(nanos),
    }
}

#[test]
fn every_scope_pays_the_whole_cost_from_its_parts() {
    // Scope 1 holds in one part, scope 2 in two, because a fallback cost more.
    let hold = Hold {
        parts: vec![part(1, 11, 100), part(2, 21, 60), part(2, 22, 40)],
    };
    for (cost, want) in [
        (0, [0, 0, 0]),
        (50, [50, 50, 0]),
        (80, [80, 60, 20]),
        (100, [100, 60, 40]),
        // What no part covers is asked of the last one.
        (130, [130, 60, 70]),
    ] {
        let mut settling = Settling::new(hold.clone(), NanoUsd(cost));
        let mut paid = Vec::new();
        let finished = loop {
            match settling.next_step() {
                SettlingStep::Pay { part, cost } => {
                    paid.push(cost.0);
                    let over = NanoUsd::ZERO;
                    let charge = Charge {
                        lease: part.lease,
                        nanos: cost,
                        over,
                    };
                    settling.paid(charge, back(part.lease.0, 1));
                }
                SettlingStep::Finished(finished) => break finished,
            }
        };
        assert_eq!(paid, want, "{cost}");
        let charged = want.iter().filter(|nanos| **nanos > 0).count();
        assert_eq!(
            (finished.charges.len(), finished.returns.len()),
            (charged, 3)
        );
    }
}

#[test]
fn a_hold_shrinks_in_every_scope() {
    let mut hold = Hold {
        parts: vec![part(1, 11, 100), part(2, 21, 60)],
    };
    hold.join(Hold {
        parts: vec![part(2, 22, 40)],
    });
    assert_eq!(
        hold.shrink_to(NanoUsd(70)),
        [part(1, 11, 30), part(2, 22, 30)]
    );
    assert_eq!(hold.shrink_to(NanoUsd(70)), []);
    assert_eq!(hold.shrink_to(NanoUsd(0)).len(), 3);
    assert_eq!(hold, Hold::default());
}

/// One thing that happens to a row.
#[derive(Clone, Debug)]
enum Event {
    Land(u64, u64),
    Take(u64),
    Settle(usize, u64),
    Release(usize),
    Sweep(u64),
    Recall,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1_u64..4, 0_u64..1_000).prop_map(|(lease, nanos)| Event::Land(lease, nanos)),
        (1_u64..500).prop_map(Event::Take),
        (any::<usize>(), 0_u64..800).prop_map(|(hold, cost)| Event::Settle(hold, cost)),
        any::<usize>().prop_map(Event::Release),
        (0_u64..100_000).prop_map(Event::Sweep),
        Just(Event::Recall),
    ]
}

proptest! {
    /// Whatever happens to a row, in any order, even if leases come back: each lease's grants are what is free, what is
    /// held, what was charged and what was given back.
    #[test]
    fn no_order_of_events_makes_or_loses_money(events in prop::collection::vec(event(), 0..80)) {
        let mut row = LeaseRow::new(ScopeId(7));
        let mut holds: Vec<(LeaseId, u64)> = Vec::new();
        let mut books = [0_i64; 4];
        let mut count = |lease: LeaseId, nanos: u64, sign: i64| {
            books[usize::try_from(lease.0).unwrap()] += sign * i64::try_from(nanos).unwrap();
        };
        for event in events {
            let returned = match event {
                Event::Land(lease, nanos) => {
                    count(LeaseId(lease), nanos, 1);
                    let landed = row.land(&grant(lease, nanos), NOW).unwrap();
                    row = landed.row;
                    landed.back
                }
                Event::Take(nanos) => {
                    if let Ok(taken) = row.take(NanoUsd(nanos), NOW) {
                        row = taken.row;
                        holds.push((row.lease, nanos));
                    }
                    None
                }
                Event::Settle(hold, cost) if !holds.is_empty() => {
                    let (lease, held) = holds.swap_remove(hold % holds.len());
                    let settled = row.settle(lease, NanoUsd(held), NanoUsd(cost));
                    prop_assert_eq!(settled.charge.nanos.0 + settled.charge.over.0, cost);
                    count(lease, settled.charge.nanos.0, -1);
                    row = settled.row;
                    settled.back
                }
                Event::Release(hold) if !holds.is_empty() => {
                    let (lease, held) = holds.swap_remove(hold % holds.len());
                    let released = row.release(lease, NanoUsd(held));
                    row = released.row;
                    released.back
                }
                Event::Sweep(later) => {
                    let swept = row.sweep(NOW.after(later));
                    row = swept.row;
                    swept.back
                }
                Event::Recall => {
                    let recalled = row.recall(NOW);
                    row = recalled.row;
                    recalled.back
                }
                Event::Settle(..) | Event::Release(..) => None,
            };
            if let Some(back) = returned {
                count(back.lease, back.nanos.0, -1);
            }
            prop_assert!(is_balanced(&row), "{:?}", row);
            prop_assert_eq!(LeaseRow::from_bytes(&row.to_bytes()), Ok(row));
        }
        for (lease, nanos) in holds {
            count(lease, nanos, -1);
        }
        count(row.lease, row.free.0, -1);
        prop_assert_eq!(books, [0; 4]);
    }

    #[test]
    fn bytes_are_a_row_or_are_not(words in prop::collection::vec(0_u64..6, 21..24), cut in 0_usize..2) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).skip(cut).collect();
        let is_row = words.len() == 22 && cut == 0 && words[14] < 3 && words[16] < 5;
        prop_assert_eq!(LeaseRow::from_bytes(&bytes).is_ok(), is_row);
    }
}

#[test]
fn what_is_borrowed_is_bounded_until_the_service_knows_of_it() {
    let now = Millis(1_000);
    let allowed = NanoUsd(100);
    let row = LeaseRow::new(ScopeId(1));
    let row = row.borrow(NanoUsd(60), allowed, now).unwrap();
    let short = row.borrow(NanoUsd(50), allowed, now).unwrap_err();
    assert_eq!(short.missing, NanoUsd(10));
    let row = row.borrow(NanoUsd(40), allowed, now).unwrap();
    assert!(!row.is_closed());
    // One request does not come to pass, the other costs less than was feared.
    let released = row.release(LeaseId::UNCOVERED, NanoUsd(40));
    assert_eq!((released.row.uncovered, released.back), (NanoUsd(60), None));
    let settled = released
        .row
        .settle(LeaseId::UNCOVERED, NanoUsd(60), NanoUsd(25));
    assert_eq!(settled.row.uncovered, NanoUsd(25));
    assert_eq!(settled.charge.nanos, NanoUsd(25));
    assert!(settled.row.borrow(NanoUsd(80), allowed, now).is_err());
    let repaid = settled.row.repaid(NanoUsd(25));
    assert!(repaid.is_closed());
    assert_eq!(LeaseRow::from_bytes(&row.to_bytes()), Ok(row));
}

#[test]
fn a_request_may_be_covered_in_one_scope_and_owe_in_another() {
    let part = |scope, lease, nanos| Part {
        slot: Some(0),
        scope: ScopeId(scope),
        lease: LeaseId(lease),
        nanos: NanoUsd(nanos),
    };
    let hold = Hold {
        parts: vec![part(1, 7, 50), part(2, 0, 50)],
    };
    let mut settling = Settling::new(hold, NanoUsd(30));
    let finished = loop {
        match settling.next_step() {
            SettlingStep::Finished(finished) => break finished,
            SettlingStep::Pay { part, cost } => {
                let charge = Charge {
                    lease: part.lease,
                    nanos: cost,
                    over: NanoUsd::ZERO,
                };
                settling.paid(charge, None);
            }
        }
    };
    let charged: Vec<_> = finished
        .charges
        .iter()
        .map(|charge| charge.lease.0)
        .collect();
    assert_eq!(charged, [7]);
    let debt = Debt {
        scope: ScopeId(2),
        nanos: NanoUsd(30),
    };
    assert_eq!(finished.debts, [debt]);
}
