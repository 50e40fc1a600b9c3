//! What is written can be read again, and nothing that is read does harm.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use tollgate_core::money::holder::BATCH_ENTRIES_MAX;
use tollgate_core::money::ids::{
    Incarnation, LeaseId, OpenId, RecordNumber, ScopeId, Seq, StreamId, WindowId,
};
use tollgate_core::money::message::{
    Charge, Debt, Grant, Open, Refusal, Return, Status, SyncReply, SyncRequest, Usage, Want,
};
use tollgate_core::money::thresholds::Action;
use tollgate_core::units::NanoUsd;

use crate::{Answer, MESSAGE_BYTES_MAX, decode, decode_batch, digest, encode_batch, proto};

fn nanos() -> impl Strategy<Value = NanoUsd> {
    any::<u64>().prop_map(NanoUsd)
}

fn open() -> impl Strategy<Value = Open> {
    (any::<u64>(), any::<[u8; 16]>(), nanos()).prop_map(|(number, trace, reserved)| Open {
        number,
        trace,
        reserved,
    })
}

fn usage() -> impl Strategy<Value = Usage> {
    let closes = option::of((any::<u32>(), any::<u64>()));
    let charges = vec((any::<u64>(), nanos(), nanos()), 0..4);
    let debts = vec((any::<u64>(), nanos()), 0..4);
    let record = vec(any::<u8>(), 0..40);
    let parts = (any::<u64>(), closes, charges, debts, nanos(), record);
    parts.prop_map(|(number, closes, charges, debts, cost, record)| {
        let charge = |(lease, nanos, over)| Charge {
            lease: LeaseId(lease),
            nanos,
            over,
        };
        let debt = |(scope, nanos)| Debt {
            scope: ScopeId(scope),
            nanos,
        };
        Usage {
            number: RecordNumber(number),
            closes: closes.map(|(stream, number)| OpenId {
                stream: StreamId(stream),
                number,
            }),
            charges: charges.into_iter().map(charge).collect(),
            debts: debts.into_iter().map(debt).collect(),
            cost,
            record,
        }
    })
}

fn batch() -> impl Strategy<Value = SyncRequest> {
    let name = (any::<u64>(), any::<u32>(), any::<u64>());
    let back = (any::<u64>(), nanos()).prop_map(|(lease, nanos)| Return {
        lease: LeaseId(lease),
        nanos,
    });
    let want = (any::<u64>(), nanos(), nanos()).prop_map(|(scope, need, want)| Want {
        scope: ScopeId(scope),
        need,
        want,
    });
    let lists = (
        vec(open(), 0..4),
        vec(usage(), 0..4),
        vec(back, 0..4),
        vec(want, 0..4),
    );
    (name, lists).prop_map(|(name, (opens, usage, returns, wants))| SyncRequest {
        incarnation: Incarnation(name.0),
        stream: StreamId(name.1),
        seq: Seq(name.2),
        opens,
        usage,
        returns,
        wants,
    })
}

fn reply() -> impl Strategy<Value = SyncReply> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>());
    let grant = (numbers, nanos()).prop_map(|((scope, lease, window, ttl_ms), nanos)| Grant {
        scope: ScopeId(scope),
        lease: LeaseId(lease),
        window: WindowId(window),
        nanos,
        ttl_ms,
    });
    let actions = prop_oneof![
        Just(Action::None),
        Just(Action::Log),
        Just(Action::Warn),
        Just(Action::Downgrade),
        Just(Action::Refuse),
    ];
    let parts = (
        any::<u64>(),
        actions,
        nanos(),
        nanos(),
        option::of(any::<u64>()),
        option::of(nanos()),
    );
    let status = parts.prop_map(|(scope, action, spent, limit, resets_in_ms, left)| Status {
        scope: ScopeId(scope),
        action,
        spent,
        limit,
        resets_in_ms,
        left,
    });
    let scopes = || vec(any::<u64>().prop_map(ScopeId), 0..4);
    let parts = (
        any::<u64>(),
        vec(grant, 0..4),
        scopes(),
        scopes(),
        vec(status, 0..4),
    );
    parts.prop_map(|(seq, grants, denied, recall, status)| SyncReply {
        seq: Seq(seq),
        grants,
        denied,
        recall,
        status,
    })
}

/// Each refusal, with a number where it has one.
fn refusals(number: u64) -> Vec<Refusal> {
    let lease = LeaseId(number);
    vec![
        Refusal::UnknownHolder,
        Refusal::ReplayDiffers,
        Refusal::Stale {
            answered: Seq(number),
        },
        Refusal::Gap {
            expected: Seq(number),
        },
        Refusal::RecordRepeated {
            number: RecordNumber(number),
        },
        Refusal::UnknownLease { lease },
        Refusal::ForeignLease { lease },
        Refusal::StillActive { lease },
        Refusal::ReturnsTooMuch { lease },
        Refusal::AbsurdAmount,
        Refusal::BooksDiffer,
    ]
}

fn through_bytes(answer: Answer) -> Answer {
    let bytes = proto::SyncReply::from(answer).encode_to_vec();
    let message = decode::<proto::SyncReply>("SyncReply", &bytes).unwrap();
    message.try_into().unwrap()
}

proptest! {
    #[test]
    fn a_batch_is_read_as_it_was_written(batch in batch()) {
        prop_assert_eq!(decode_batch(&encode_batch(batch.clone())), Ok(batch));
    }

    #[test]
    fn an_answer_is_read_as_it_was_written(reply in reply()) {
        let answer = Answer { seq: reply.seq, result: Ok(reply) };
        prop_assert_eq!(through_bytes(answer.clone()), answer);
    }

    #[test]
    fn a_refusal_is_read_as_it_was_written(number: u64, seq: u64) {
        for refusal in refusals(number) {
            let answer = Answer { seq: Seq(seq), result: Err(refusal) };
            prop_assert_eq!(through_bytes(answer.clone()), answer);
        }
    }

    #[test]
    fn two_batches_have_one_digest_only_if_they_are_one(one in batch(), other in batch()) {
        let is_same = one == other;
        let (one, other) = (proto::SyncRequest::from(one), proto::SyncRequest::from(other));
        prop_assert_eq!(digest(&one), digest(&one.clone()));
        prop_assert_eq!(digest(&one) == digest(&other), is_same);
    }

    #[test]
    fn no_bytes_do_harm(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(batch) = decode_batch(&bytes) {
            prop_assert_eq!(decode_batch(&encode_batch(batch.clone())), Ok(batch));
        }
        let answer = decode::<proto::SyncReply>("SyncReply", &bytes);
        let _ = answer.map(Answer::try_from);
    }

    #[test]
    fn a_batch_with_one_bit_wrong_does_no_harm(batch in batch(), place: usize, bit in 0_u8..8) {
        let mut bytes = encode_batch(batch);
        let length = bytes.len();
        if let Some(byte) = bytes.get_mut(place % length.max(1)) {
            *byte ^= 1 << bit;
        }
        let _ = decode_batch(&bytes);
        bytes.truncate(place % length.max(1));
        let _ = decode_batch(&bytes);
    }
}

#[test]
fn what_is_unreadable_says_where_and_why() {
    let many = vec![proto::Want::default(); BATCH_ENTRIES_MAX + 1];
    let open = proto::Open {
        trace: vec![0; 15],
        ..proto::Open::default()
    };
    let status = proto::Status {
        action: 9,
        ..proto::Status::default()
    };
    let reply = |outcome| proto::SyncReply { seq: 1, outcome };
    let refusal = |kind| {
        reply(Some(proto::sync_reply::Outcome::Refusal(proto::Refusal {
            kind,
            argument: 0,
        })))
    };
    let applied = proto::Applied {
        status: vec![status],
        ..proto::Applied::default()
    };
    let batch = |opens, wants| proto::SyncRequest {
        opens,
        wants,
        ..proto::SyncRequest::default()
    };
    let of_batch =
        |batch: proto::SyncRequest| SyncRequest::try_from(batch).unwrap_err().to_string();
    let of_reply = |reply: proto::SyncReply| Answer::try_from(reply).unwrap_err().to_string();
    for (came, want) in [
        (
            of_batch(batch(vec![open], Vec::new())),
            "Open.trace: a trace has 16 bytes, not 15",
        ),
        (
            of_batch(batch(Vec::new(), many)),
            "SyncRequest.wants: 1025 entries are more than 1024",
        ),
        (of_reply(reply(None)), "SyncReply.outcome: is missing"),
        (of_reply(refusal(0)), "Refusal.kind: nobody knows kind 0"),
        (of_reply(refusal(99)), "Refusal.kind: nobody knows kind 99"),
        (
            of_reply(reply(Some(proto::sync_reply::Outcome::Applied(applied)))),
            "Status.action: nobody knows action 9",
        ),
        (
            decode_batch(&vec![0; MESSAGE_BYTES_MAX + 1])
                .unwrap_err()
                .to_string(),
            "SyncRequest: 2097153 bytes are more than 2097152",
        ),
    ] {
        assert_eq!(came, want);
    }
    let torn = decode_batch(&[0x22, 0x7f]).unwrap_err();
    assert_eq!(torn.at, "SyncRequest");
}
