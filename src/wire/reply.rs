//! Answers.

use tollgate_core::money::ids::{LeaseId, RecordNumber, ScopeId, Seq, WindowId};
use tollgate_core::money::message::{Grant, Refusal, Status, SyncReply};
use tollgate_core::money::thresholds::Action;
use tollgate_core::units::NanoUsd;

use crate::proto::sync_reply::Outcome;
use crate::{Unreadable, proto};

/// What came back for a batch: the batch it is for, and how it fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The batch.
    pub seq: Seq,
    /// Its answer, or why it was not applied.
    pub result: Result<SyncReply, Refusal>,
}

impl From<Answer> for proto::SyncReply {
    fn from(answer: Answer) -> Self {
        let outcome = match answer.result {
            Ok(reply) => Outcome::Applied(reply.into()),
            Err(refusal) => Outcome::Refusal(refusal.into()),
        };
        Self {
            seq: answer.seq.0,
            outcome: Some(outcome),
        }
    }
}

impl TryFrom<proto::SyncReply> for Answer {
    type Error = Unreadable;

    fn try_from(answer: proto::SyncReply) -> Result<Self, Unreadable> {
        let seq = Seq(answer.seq);
        let result = match answer.outcome {
            None => return Err(Unreadable::new("SyncReply.outcome", "is missing")),
            Some(Outcome::Applied(applied)) => Ok(read_applied(seq, applied)?),
            Some(Outcome::Refusal(refusal)) => Err(refusal.try_into()?),
        };
        Ok(Self { seq, result })
    }
}

/// The batch is named outside.
impl From<SyncReply> for proto::Applied {
    fn from(reply: SyncReply) -> Self {
        Self {
            grants: reply.grants.into_iter().map(Into::into).collect(),
            denied: reply.denied.into_iter().map(|scope| scope.0).collect(),
            recall: reply.recall.into_iter().map(|scope| scope.0).collect(),
            status: reply.status.into_iter().map(Into::into).collect(),
        }
    }
}

fn read_applied(seq: Seq, applied: proto::Applied) -> Result<SyncReply, Unreadable> {
    let status = applied.status.into_iter().map(TryInto::try_into);
    Ok(SyncReply {
        seq,
        grants: applied.grants.into_iter().map(Into::into).collect(),
        denied: applied.denied.into_iter().map(ScopeId).collect(),
        recall: applied.recall.into_iter().map(ScopeId).collect(),
        status: status.collect::<Result<_, _>>()?,
    })
}

impl From<Grant> for proto::Grant {
    fn from(grant: Grant) -> Self {
        Self {
            scope: grant.scope.0,
            lease: grant.lease.0,
            window: grant.window.0,
            nanos: grant.nanos.0,
            ttl_ms: grant.ttl_ms,
        }
    }
}

impl From<proto::Grant> for Grant {
    fn from(grant: proto::Grant) -> Self {
        Self {
            scope: ScopeId(grant.scope),
            lease: LeaseId(grant.lease),
            window: WindowId(grant.window),
            nanos: NanoUsd(grant.nanos),
            ttl_ms: grant.ttl_ms,
        }
    }
}

impl From<Status> for proto::Status {
    fn from(status: Status) -> Self {
        let action = match status.action {
            Action::None => proto::Action::None,
            Action::Log => proto::Action::Log,
            Action::Warn => proto::Action::Warn,
            Action::Downgrade => proto::Action::Downgrade,
            Action::Refuse => proto::Action::Refuse,
        };
        Self {
            scope: status.scope.0,
            action: action.into(),
            spent: status.spent.0,
            limit: status.limit.0,
            resets_in_ms: status.resets_in_ms,
            left: status.left.map(|left| left.0),
        }
    }
}

impl TryFrom<proto::Status> for Status {
    type Error = Unreadable;

    fn try_from(status: proto::Status) -> Result<Self, Unreadable> {
        let unknown = |_| {
            let why = format!("nobody knows action {}", status.action);
            Unreadable::new("Status.action", why)
        };
        let action = match proto::Action::try_from(status.action).map_err(unknown)? {
            proto::Action::None => Action::None,
            proto::Action::Log => Action::Log,
            proto::Action::Warn => Action::Warn,
            proto::Action::Downgrade => Action::Downgrade,
            proto::Action::Refuse => Action::Refuse,
        };
        Ok(Self {
            scope: ScopeId(status.scope),
            action,
            spent: NanoUsd(status.spent),
            limit: NanoUsd(status.limit),
            resets_in_ms: status.resets_in_ms,
            left: status.left.map(NanoUsd),
        })
    }
}

impl From<Refusal> for proto::Refusal {
    fn from(refusal: Refusal) -> Self {
        use proto::RefusalKind as Kind;
        let (kind, argument) = match refusal {
            Refusal::UnknownHolder => (Kind::UnknownHolder, 0),
            Refusal::ReplayDiffers => (Kind::ReplayDiffers, 0),
            Refusal::Stale { answered } => (Kind::Stale, answered.0),
            Refusal::Gap { expected } => (Kind::Gap, expected.0),
            Refusal::RecordRepeated { number } => (Kind::RecordRepeated, number.0),
            Refusal::UnknownLease { lease } => (Kind::UnknownLease, lease.0),
            Refusal::ForeignLease { lease } => (Kind::ForeignLease, lease.0),
            Refusal::StillActive { lease } => (Kind::StillActive, lease.0),
            Refusal::ReturnsTooMuch { lease } => (Kind::ReturnsTooMuch, lease.0),
            Refusal::AbsurdAmount => (Kind::AbsurdAmount, 0),
            Refusal::BooksDiffer => (Kind::BooksDiffer, 0),
        };
        Self {
            kind: kind.into(),
            argument,
        }
    }
}

impl TryFrom<proto::Refusal> for Refusal {
    type Error = Unreadable;

    fn try_from(refusal: proto::Refusal) -> Result<Self, Unreadable> {
        use proto::RefusalKind as Kind;
        let argument = refusal.argument;
        let lease = LeaseId(argument);
        Ok(match Kind::try_from(refusal.kind) {
            Ok(Kind::UnknownHolder) => Self::UnknownHolder,
            Ok(Kind::ReplayDiffers) => Self::ReplayDiffers,
            Ok(Kind::Stale) => Self::Stale {
                answered: Seq(argument),
            },
            Ok(Kind::Gap) => Self::Gap {
                expected: Seq(argument),
            },
            Ok(Kind::RecordRepeated) => Self::RecordRepeated {
                number: RecordNumber(argument),
            },
            Ok(Kind::UnknownLease) => Self::UnknownLease { lease },
            Ok(Kind::ForeignLease) => Self::ForeignLease { lease },
            Ok(Kind::StillActive) => Self::StillActive { lease },
            Ok(Kind::ReturnsTooMuch) => Self::ReturnsTooMuch { lease },
            Ok(Kind::AbsurdAmount) => Self::AbsurdAmount,
            Ok(Kind::BooksDiffer) => Self::BooksDiffer,
            Ok(Kind::Unspecified) | Err(_) => {
                let why = format!("nobody knows kind {}", refusal.kind);
                return Err(Unreadable::new("Refusal.kind", why));
            }
        })
    }
}
