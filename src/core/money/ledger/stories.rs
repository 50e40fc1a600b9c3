//! Stories of the ledger, over the store in memory. One line is one call and what came of it.

use super::stage::{SCOPE, Story, dollars};
use super::*;
use crate::money::ids::{AccountKey, BudgetId, LeaseId, OpenId, RecordNumber, StreamId, WindowId};
use crate::money::message::{AMOUNT_MAX, Charge, Open, Return, Usage, Want};

/// Plays a story: each line is a call, its arguments, and after two blanks what must come of it.
fn check(story: &str) {
    let mut stage = Story::new();
    for line in story.lines().map(str::trim) {
        let (call, want) = line.rsplit_once("  ").unwrap_or((line, ""));
        let words: Vec<&str> = call.split_whitespace().collect();
        let got = stage.play(&words);
        assert_eq!(got, want.trim(), "{line}\n in{story}");
        stage.check_invariants(line);
    }
}

#[test]
fn a_limit_holds_and_a_batch_counts_once() {
    check(
        "limit $1
         reserve a r1 $0.60  Ok
         reserve b r2 $0.60  Refused
         balance  $0 $0.6
         settle a r1 $0.25  Ok
         balance  $0.25 $0
         resend a  Repeated
         balance  $0.25 $0
         reserve b r2 $0.60  Ok
         reserve a r3 $0.20  Refused
         reserve a r3 $0.15  Ok
         balance  $0.25 $0.75",
    );
}

#[test]
fn time_presumes_and_only_evidence_releases() {
    check(
        "limit $1
         reserve a r1 $0.60  Ok
         tick 11
         standing a  Suspect
         balance  $0 $0.6
         tick 50
         standing a  Presumed
         balance  $0.6 $0
         alerts  presumed:$0.6 50:Log
         reserve b r2 $0.60  Refused
         settle a r1 $0.10  Late
         standing a  Alive
         balance  $0.1 $0
         reserve b r2 $0.60  Ok",
    );
}

#[test]
fn a_person_may_say_what_a_dead_holder_spent() {
    check(
        "limit $1
         reserve a r1 $0.60  Ok
         reconcile r1 $0.10  StillActive { lease: LeaseId(1) }
         tick 61
         reconcile r1 $0.10  Ok
         balance  $0.1 $0
         reserve b r2 $0.90  Ok
         reconcile r1 $0.05  Ok
         balance  $0.15 $0.9
         alerts  presumed:$0.6 50:Log over:$0.05
         settle a r1 $0.10  Late
         alerts  over:$0.1
         balance  $0.25 $0.9",
    );
}

#[test]
fn a_correction_is_an_entry_and_moves_only_what_is_posted() {
    let mut story = Story::new();
    for line in ["limit $1", "reserve a r1 $0.60", "settle a r1 $0.50"] {
        story.play(&line.split_whitespace().collect::<Vec<_>>());
    }
    let account = AccountKey {
        budget: BudgetId(1),
        window: story.window().id,
    };
    let correction = |more, less| Correction {
        account,
        more: dollars(more),
        less: dollars(less),
    };
    let rows = story.memory.rows();
    for (more, less, want) in [
        ("$0", "$0.20", Ok("$0.3")),
        ("$0.25", "$0", Ok("$0.75")),
        ("$0", "$0.60", Err(Refusal::BooksDiffer)),
        ("$1000000001", "$0", Err(Refusal::AbsurdAmount)),
    ] {
        let changes = correct(rows, correction(more, less));
        let posted = changes.map(|changes| changes.accounts[&account].posted.to_string());
        assert_eq!(posted, want.map(str::to_owned), "{more} {less}");
    }
}

#[test]
fn a_holder_that_comes_back_gets_a_new_lease() {
    check(
        "limit $1
         reserve a r1 $0.20  Ok
         tick 61
         reserve a r2 $0.30  Ok
         balance  $0.2 $0.3
         settle a r1 $0.05  Late
         settle a r2 $0.30  Ok
         balance  $0.35 $0",
    );
}

#[test]
fn what_ran_over_is_posted_and_flagged_and_never_refused() {
    check(
        "limit $1
         reserve a r1 $0.60  Ok
         reserve a r2 $0.40  Ok
         settle a r1 $0.90  Over
         alerts  over:$0.3 50:Log 75:Warn 80:Warn 90:Downgrade
         balance  $0.9 $0.4
         settle a r2 $0.40  Ok
         alerts  100:Refuse
         balance  $1.3 $0
         reserve a r3 $0.01  Refused",
    );
}

#[test]
fn what_was_served_uncovered_is_posted_and_flagged_and_never_refused() {
    check(
        "limit $1
         reserve a r1 $0.90  Ok
         owe a $0.30  Ok
         alerts  uncovered:$0.3
         balance  $0.3 $0.9
         owe a $0.30  Ok
         alerts  uncovered:$0.3 50:Log
         settle a r1 $0.90  Ok
         alerts  75:Warn 80:Warn 90:Downgrade 100:Refuse
         balance  $1.5 $0
         reserve b r2 $0.01  Refused
         tick 86400
         reserve b r2 $0.01  Ok
         owe a $1000000001  AbsurdAmount",
    );
}

#[test]
fn a_limit_that_is_cut_stops_grants_and_takes_nothing_back() {
    check(
        "limit $1
         reserve a r1 $0.60  Ok
         limit $0.50
         balance  $0 $0.6
         reserve b r2 $0.01  Refused
         settle a r1 $0.40  Ok
         reserve b r2 $0.10  Ok
         limit $2
         reserve b r3 $1.50  Ok
         balance  $0.4 $1.6",
    );
}

#[test]
fn a_new_day_has_its_own_account_and_the_old_lease_pays_the_old_one() {
    check(
        "limit $1
         reserve a r1 $0.90  Ok
         alerts
         tick 86400
         balance  $0 $0
         reserve b r2 $1  Ok
         settle a r1 $0.90  Late
         alerts  presumed:$0.9 50:Log 75:Warn 80:Warn 90:Downgrade
         balance  $0 $1",
    );
}

#[test]
fn what_ran_into_the_overflow_is_missing_the_next_day() {
    check(
        "limit $1
         overflow 10
         reserve a r1 $1.10  Ok
         reserve a r2 $0.01  Refused
         settle a r1 $1.10  Ok
         alerts  50:Log 75:Warn 80:Warn 90:Downgrade 100:Refuse
         tick 86400
         reserve a r2 $1.01  Refused
         reserve a r2 $1  Ok",
    );
}

#[test]
fn an_audited_budget_refuses_nothing_and_says_what_it_would_have_done() {
    check(
        "limit $1
         audit
         reserve a r1 $1.50  Ok
         settle a r1 $1.50  Ok
         alerts  50:Log 75:Log 80:Log 90:Log 100:Log
         reserve a r2 $9  Ok",
    );
}

#[test]
fn a_step_is_announced_once_a_day() {
    check(
        "limit $1
         reserve a r1 $0.55  Ok
         settle a r1 $0.55  Ok
         alerts  50:Log
         reserve a r2 $0.01  Ok
         settle a r2 $0.01  Ok
         alerts
         limit $10
         limit $1
         reserve a r3 $0.20  Ok
         settle a r3 $0.20  Ok
         alerts  75:Warn
         tick 86400
         reserve a r4 $0.60  Ok
         settle a r4 $0.60  Ok
         alerts  50:Log",
    );
}

#[test]
fn a_batch_out_of_order_is_refused_by_name() {
    check(
        "limit $1
         reserve a r1 $0.10  Ok
         reserve a r2 $0.10  Ok
         resend a changed  ReplayDiffers
         resend a 1  Stale { answered: Seq(2) }
         resend a 0  Stale { answered: Seq(2) }
         resend a 4  Gap { expected: Seq(3) }
         resend a  Repeated
         balance  $0 $0.2",
    );
}

/// What `spoil` makes of a holder's next batch; nothing may change.
fn refused(spoil: impl FnOnce(&mut SyncRequest)) -> Refusal {
    let mut story = Story::new();
    for line in [
        "limit $1",
        "reserve a r1 $0.40",
        "reserve b r2 $0.40",
        "settle a r1 $0.10",
    ] {
        story.play(&line.split_whitespace().collect::<Vec<_>>());
    }
    let before = format!("{:?}", story.memory);
    let mut batch = story.holders["a"].batch.clone();
    batch.seq.0 += 1;
    batch.usage.clear();
    batch.returns.clear();
    spoil(&mut batch);
    let refusal = story.apply(&batch).unwrap_err();
    assert_eq!(format!("{:?}", story.memory), before);
    refusal
}

fn usage(number: u64, lease: u64, nanos: u64, over: u64) -> Usage {
    let charge = Charge {
        lease: LeaseId(lease),
        nanos: NanoUsd(nanos),
        over: NanoUsd(over),
    };
    Usage {
        number: RecordNumber(number),
        charges: vec![charge],
        ..Usage::default()
    }
}

#[test]
fn bad_input_is_refused_whole_and_by_name() {
    let lease = |id| LeaseId(id);
    let absurd = AMOUNT_MAX.0 + 1;
    let back = |id, nanos| Return {
        lease: LeaseId(id),
        nanos: NanoUsd(nanos),
    };
    let want = |need, want| Want {
        scope: SCOPE,
        need: NanoUsd(need),
        want: NanoUsd(want),
    };
    type Spoil<'spoil> = Box<dyn Fn(&mut SyncRequest) + 'spoil>;
    let cases: Vec<(Spoil<'_>, Refusal)> = vec![
        (
            Box::new(|batch| batch.incarnation.0 = 77),
            Refusal::UnknownHolder,
        ),
        (
            Box::new(|batch| batch.usage.push(usage(9, 77, 1, 0))),
            Refusal::UnknownLease { lease: lease(77) },
        ),
        (
            Box::new(|batch| batch.usage.push(usage(9, 2, 1, 0))),
            Refusal::ForeignLease { lease: lease(2) },
        ),
        (
            Box::new(|batch| batch.usage.push(usage(2, 1, 1, 0))),
            Refusal::RecordRepeated {
                number: RecordNumber(2),
            },
        ),
        (
            Box::new(|batch| batch.usage.push(usage(9, 1, absurd, 0))),
            Refusal::AbsurdAmount,
        ),
        (
            Box::new(|batch| batch.usage.push(usage(9, 1, 0, u64::MAX))),
            Refusal::AbsurdAmount,
        ),
        (
            Box::new(|batch| batch.returns.push(back(77, 1))),
            Refusal::UnknownLease { lease: lease(77) },
        ),
        (
            Box::new(|batch| batch.returns.push(back(2, 1))),
            Refusal::ForeignLease { lease: lease(2) },
        ),
        (
            Box::new(|batch| batch.returns.push(back(1, 1))),
            Refusal::ReturnsTooMuch { lease: lease(1) },
        ),
        (
            Box::new(|batch| batch.returns.push(back(1, absurd))),
            Refusal::AbsurdAmount,
        ),
        (
            Box::new(|batch| batch.wants.push(want(absurd, 0))),
            Refusal::AbsurdAmount,
        ),
        (
            Box::new(|batch| batch.wants.push(want(0, absurd))),
            Refusal::AbsurdAmount,
        ),
    ];
    for (spoil, refusal) in cases {
        assert_eq!(refused(spoil), refusal);
    }
}

#[test]
fn damaged_books_are_noticed() {
    let mut story = Story::new();
    for line in ["limit $1", "reserve a r1 $0.40"] {
        story.play(&line.split_whitespace().collect::<Vec<_>>());
    }
    let mut batch = story.holders["a"].batch.clone();
    batch.seq.0 += 1;
    batch.wants.clear();
    batch.usage.push(usage(9, 1, 400_000_000, 0));
    let mut view = story.memory.load(&batch);
    for account in view.accounts.values_mut() {
        account.held = NanoUsd(1);
    }
    let outcome = apply(&view, &batch, BodyHash::default(), story.now, &[]);
    assert_eq!(outcome, Err(Refusal::BooksDiffer));
}

#[test]
fn an_opening_stays_until_its_usage_comes() {
    let mut story = Story::new();
    let open = Open {
        number: 4,
        ..Open::default()
    };
    story.send("a", |batch, _| batch.opens.push(open)).unwrap();
    assert_eq!(story.memory.openings().count(), 1);
    let closes = Some(OpenId {
        stream: StreamId(0),
        number: 4,
    });
    let close = |batch: &mut SyncRequest, number| {
        batch.usage.push(Usage {
            number,
            closes,
            ..Usage::default()
        });
    };
    story.send("a", close).unwrap();
    assert_eq!(story.memory.openings().count(), 0);
    assert_eq!(story.memory.records().count(), 1);
}

#[test]
fn an_unknown_scope_is_denied_and_the_rest_goes_on() {
    let mut story = Story::new();
    story.limit = dollars("$1");
    let want = |scope| Want {
        scope: ScopeId(scope),
        need: NanoUsd(1),
        want: NanoUsd(1),
    };
    let reply = story
        .send("a", |batch, _| batch.wants.extend([want(77), want(1)]))
        .unwrap();
    assert_eq!(reply.denied, [ScopeId(77)]);
    assert_eq!(reply.grants.len(), 1);
    assert_ne!(reply.grants[0].window, WindowId(0));
    assert_eq!(reply.status.len(), 1);
}
