//! The outbox alone.

use super::*;
use crate::money::ids::{Incarnation, LeaseId, Millis, OpenId, ScopeId, Seq, StreamId};
use crate::money::message::{Charge, Debt, Open, Refusal, Return, SyncReply, Usage, Want};
use crate::units::NanoUsd;

const NOW: Millis = Millis(100_000);

fn back(nanos: u64) -> Return {
    Return {
        lease: LeaseId(1),
        nanos: NanoUsd(nanos),
    }
}

fn reply(seq: u64) -> SyncReply {
    SyncReply {
        seq: Seq(seq),
        ..SyncReply::default()
    }
}

#[test]
fn one_batch_is_on_its_way_and_a_retry_is_the_same() {
    let mut outbox = Outbox::new(Incarnation(5), StreamId(1));
    assert_eq!(outbox.poll(Millis(10)), None);
    outbox.report(Usage::default());
    outbox.give_back(back(4));
    outbox.give_back(back(5));
    let first = outbox.poll(Millis(20)).cloned().unwrap();
    assert_eq!(
        (first.seq, first.incarnation, first.stream),
        (Seq(1), Incarnation(5), StreamId(1))
    );
    assert_eq!(first.returns, [back(9)]);
    // What comes meanwhile waits.
    outbox.want(Want {
        scope: ScopeId(7),
        ..Want::default()
    });
    outbox.report(Usage::default());
    assert_eq!(outbox.poll(Millis(519)), None);
    assert_eq!(outbox.poll(Millis(520)), Some(&first));
    assert_eq!(outbox.on_reply(reply(2), Millis(530)), None);
    let arrival = outbox.on_reply(reply(1), Millis(530)).unwrap();
    assert_eq!((arrival.answered, arrival.sent_at), (first, Millis(20)));
    assert_eq!(outbox.on_reply(reply(1), Millis(531)), None);
    let second = outbox.poll(Millis(531)).unwrap();
    assert_eq!((second.seq, second.wants.len()), (Seq(2), 1));
    assert_eq!(second.usage[0].number.0, 2);
}

#[test]
fn a_batch_is_bounded_by_the_bytes_of_its_records() {
    let record = |bytes| Usage {
        record: vec![0; bytes],
        ..Usage::default()
    };
    let half = BATCH_BYTES_MAX / 2;
    let mut outbox = Outbox::new(Incarnation(5), StreamId(1));
    for bytes in [half, half, 1, 3 * BATCH_BYTES_MAX, 1] {
        outbox.report(record(bytes));
    }
    let mut sizes = Vec::new();
    for seq in 1..=4 {
        let batch = outbox.poll(NOW).unwrap();
        sizes.push(batch.usage.len());
        outbox.on_reply(reply(seq), NOW).unwrap();
    }
    assert_eq!(sizes, [2, 1, 1, 1]);
    assert!(outbox.is_empty());
}

#[test]
fn a_refused_batch_is_kept_and_tried_again() {
    let mut outbox = Outbox::new(Incarnation(5), StreamId(1));
    outbox.report(Usage::default());
    let batch = outbox.poll(Millis(20)).cloned().unwrap();
    outbox.on_refusal(Seq(9), Refusal::AbsurdAmount);
    assert_eq!(outbox.refusal(), None);
    outbox.on_refusal(Seq(1), Refusal::UnknownHolder);
    assert_eq!(outbox.refusal(), Some(Refusal::UnknownHolder));
    assert_eq!(outbox.poll(Millis(5_019)), None);
    assert_eq!(outbox.poll(Millis(5_020)), Some(&batch));
    assert!(outbox.on_reply(reply(1), Millis(5_030)).is_some());
    assert_eq!(outbox.refusal(), None);
    assert!(outbox.is_empty());
}

#[test]
fn a_batch_is_bounded_and_a_quiet_holder_is_heard() {
    let mut outbox = Outbox::new(Incarnation(5), StreamId(1));
    for _ in 0..BATCH_ENTRIES_MAX + 1 {
        outbox.report(Usage::default());
    }
    assert_eq!(outbox.poll(NOW).unwrap().usage.len(), BATCH_ENTRIES_MAX);
    outbox.on_reply(reply(1), NOW);
    assert_eq!(outbox.poll(NOW).unwrap().usage.len(), 1);
    outbox.on_reply(reply(2), NOW);
    assert_eq!(outbox.poll(NOW.after(999)), None);
    assert_eq!(outbox.poll(NOW.after(1_000)).unwrap().seq, Seq(3));
}

#[test]
fn nothing_is_closed_before_it_is_open() {
    let mut outbox = Outbox::new(Incarnation(5), StreamId(1));
    let opened: Vec<_> = (0..=BATCH_ENTRIES_MAX)
        .map(|_| outbox.open(Open::default()))
        .collect();
    assert_eq!((opened[0].number, opened[1].number), (1, 2));
    let closes = opened.last().copied();
    outbox.report(Usage {
        closes,
        ..Usage::default()
    });
    for lease in 0..=1_024 {
        outbox.give_back(Return {
            lease: LeaseId(lease),
            nanos: NanoUsd(1),
        });
        outbox.want(Want {
            scope: ScopeId(lease),
            ..Want::default()
        });
    }
    for (seq, want) in [(1, [BATCH_ENTRIES_MAX, 0, 1_024, 1_024]), (2, [1, 1, 1, 1])] {
        let batch = outbox.poll(NOW).unwrap();
        let counts = [
            &batch.opens.len(),
            &batch.usage.len(),
            &batch.returns.len(),
            &batch.wants.len(),
        ];
        assert_eq!(counts.map(|count| *count), want);
        outbox.on_reply(reply(seq), NOW);
    }
    assert!(outbox.is_empty());
}

#[test]
fn a_stream_goes_on_after_its_vm_was_lost() {
    let mut lost = Outbox::new(Incarnation(5), StreamId(1));
    lost.report(Usage::default());
    lost.poll(NOW);
    lost.on_reply(reply(1), NOW);
    lost.open(Open::default());
    lost.report(Usage::default());
    let batch = lost.poll(NOW).cloned();
    let mut outbox = Outbox::resume(Incarnation(5), StreamId(1), lost.bookmark(), batch.clone());
    assert_eq!(outbox.poll(NOW), batch.as_ref());
    assert!(outbox.on_reply(reply(2), NOW).is_some());
    outbox.report(Usage::default());
    let next = outbox.poll(NOW).unwrap();
    assert_eq!((next.seq, next.usage[0].number.0), (Seq(3), 3));
    assert_eq!(outbox.open(Open::default()).number, 2);
}

/// A service that is away for hours must not cost a worker its memory, nor a budget its money.
#[test]
fn of_too_many_reports_only_the_money_is_kept() {
    let mut outbox = Outbox::new(Incarnation(1), StreamId(0));
    let report = |closes| Usage {
        closes,
        charges: vec![Charge {
            lease: LeaseId(7),
            nanos: NanoUsd(3),
            over: NanoUsd(1),
        }],
        debts: vec![Debt {
            scope: ScopeId(9),
            nanos: NanoUsd(2),
        }],
        cost: NanoUsd(6),
        record: vec![b'x'; 1_000_000],
        ..Usage::default()
    };
    for _ in 0..100 {
        outbox.report(report(None));
    }
    let opened = OpenId {
        stream: StreamId(0),
        number: 1,
    };
    outbox.report(report(Some(opened)));
    let summed_up = outbox.summed_up();
    assert!((60..80).contains(&summed_up), "{summed_up}");
    let all = outbox.abandon();
    let bytes: usize = all.iter().map(|usage| usage.record.len()).sum();
    assert!(bytes <= BACKLOG_BYTES_MAX, "{bytes}");
    let sum = |of: fn(&Usage) -> u64| all.iter().map(of).sum::<u64>();
    assert_eq!(sum(|usage| usage.cost.0), 606);
    assert_eq!(sum(|usage| usage.charges[0].nanos.0), 303);
    assert_eq!(sum(|usage| usage.charges[0].over.0), 101);
    assert_eq!(sum(|usage| usage.debts[0].nanos.0), 202);
    let closing = all.iter().filter(|usage| usage.closes == Some(opened));
    assert_eq!(closing.count(), 1);
}
