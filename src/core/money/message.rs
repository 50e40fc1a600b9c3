//! What holders and the budget service say to each other. The wire form is made elsewhere.

use super::ids::{Incarnation, LeaseId, OpenId, RecordNumber, ScopeId, Seq, StreamId, WindowId};
use super::thresholds::Action;
use crate::units::NanoUsd;

/// What the service answers to a process that begins: who it is from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloReply {
    /// Never given to anybody else.
    pub incarnation: Incarnation,
    /// Each lease of it has this number or a higher one: whatever is below is of a life before.
    pub leases_from: LeaseId,
}

/// One batch: what happened, what is given back, what is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SyncRequest {
    /// Who speaks.
    pub incarnation: Incarnation,
    /// On which of its streams.
    pub stream: StreamId,
    /// One more than the last batch that was answered.
    pub seq: Seq,
    /// Requests that began, under `strict_records`.
    pub opens: Vec<Open>,
    /// Requests that ended.
    pub usage: Vec<Usage>,
    /// Money given back unspent.
    pub returns: Vec<Return>,
    /// Money asked for.
    pub wants: Vec<Want>,
}

/// A request that began, with the most it may cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Open {
    /// Its number in this stream.
    pub number: u64,
    /// The trace it belongs to.
    pub trace: [u8; 16],
    /// What is held for it.
    pub reserved: NanoUsd,
}

/// A request that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage {
    /// Its number in this stream, each greater than the one before.
    pub number: RecordNumber,
    /// The opening it closes, if there was one.
    pub closes: Option<OpenId>,
    /// What each lease paid: every scope of the request, whole.
    pub charges: Vec<Charge>,
    /// What it spent of scopes whose leases were dry while the service was away, as far as their budgets allow it.
    pub debts: Vec<Debt>,
    /// What it cost, once.
    pub cost: NanoUsd,
    /// The request's record as one line of JSON, the same as in the access log. No balance depends on it.
    pub record: Vec<u8>,
}

/// What a request costs one lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Charge {
    /// The lease that pays.
    pub lease: LeaseId,
    /// Paid from the lease.
    pub nanos: NanoUsd,
    /// Spent beyond what was held: posted all the same, and an alarm. It takes nothing from the lease, whose money
    /// may be held for other requests.
    pub over: NanoUsd,
}

/// What a request costs a scope that had no lease for it: posted when it is reported, and an alarm. It is never refused,
/// since the provider has billed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Debt {
    /// Whose budgets pay.
    pub scope: ScopeId,
    /// How much.
    pub nanos: NanoUsd,
}

/// Money of a lease that goes back to its accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Return {
    /// The lease.
    pub lease: LeaseId,
    /// How much of it.
    pub nanos: NanoUsd,
}

/// Money asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Want {
    /// For whom.
    pub scope: ScopeId,
    /// Less than this is of no use; zero when nobody waits.
    pub need: NanoUsd,
    /// This much would be good.
    pub want: NanoUsd,
}

/// The answer to one batch. It is stored, and given again to a batch that comes again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncReply {
    /// The batch it answers.
    pub seq: Seq,
    /// Money that may be spent from now on.
    pub grants: Vec<Grant>,
    /// Wants that got nothing.
    pub denied: Vec<ScopeId>,
    /// Scopes in which money is tight: what lies idle should come back.
    pub recall: Vec<ScopeId>,
    /// How the wanted scopes stand.
    pub status: Vec<Status>,
}

/// Money that may be spent from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// For whom.
    pub scope: ScopeId,
    /// The lease it is added to.
    pub lease: LeaseId,
    /// The shortest window of that lease.
    pub window: WindowId,
    /// How much.
    pub nanos: NanoUsd,
    /// When what is idle should be given back, counted from the sending of the batch.
    pub ttl_ms: u32,
}

/// How a scope stands, one batch stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which scope.
    pub scope: ScopeId,
    /// What its steps ask for now.
    pub action: Action,
    /// Spent in the budget that is nearest to its limit.
    pub spent: NanoUsd,
    /// The limit of that budget.
    pub limit: NanoUsd,
    /// When that budget's window ends; none for a total.
    pub resets_in_ms: Option<u64>,
    /// What is not spent of the budget that has least of it, whoever holds it; none if no budget binds.
    pub left: Option<NanoUsd>,
}

/// Why a batch was not applied. Nothing of it was: the holder keeps it, and somebody has to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The service never gave out this incarnation, or lost its memory.
    UnknownHolder,
    /// A batch that was answered comes again with other contents.
    ReplayDiffers,
    /// A later batch of this stream was answered already.
    Stale {
        /// The last one answered.
        answered: Seq,
    },
    /// A batch is missing before this one.
    Gap {
        /// The one to send.
        expected: Seq,
    },
    /// A record's number is not above the one before: it was counted already.
    RecordRepeated {
        /// The record.
        number: RecordNumber,
    },
    /// No such lease.
    UnknownLease {
        /// The lease.
        lease: LeaseId,
    },
    /// The lease of another holder.
    ForeignLease {
        /// The lease.
        lease: LeaseId,
    },
    /// The lease is its holder's to account for.
    StillActive {
        /// The lease.
        lease: LeaseId,
    },
    /// More is given back than the lease has left.
    ReturnsTooMuch {
        /// The lease.
        lease: LeaseId,
    },
    /// More than [`AMOUNT_MAX`], or a sum that does not fit.
    AbsurdAmount,
    /// The rows contradict each other: an account holds less than its leases. The store is damaged.
    BooksDiffer,
}

impl Refusal {
    /// Whether the service has forgotten what it once answered: its store was lost, replaced or restored. Only the next
    /// batch of a stream is ever sent, so one that it does not expect is one of which it forgot the batch before.
    pub fn is_of_one_who_forgot(&self) -> bool {
        match self {
            Self::UnknownHolder | Self::Gap { .. } | Self::UnknownLease { .. } => true,
            Self::ReplayDiffers
            | Self::Stale { .. }
            | Self::RecordRepeated { .. }
            | Self::ForeignLease { .. }
            | Self::StillActive { .. }
            | Self::ReturnsTooMuch { .. }
            | Self::AbsurdAmount
            | Self::BooksDiffer => false,
        }
    }
}

/// No single amount is above this: a billion dollars.
pub const AMOUNT_MAX: NanoUsd = NanoUsd(1_000_000_000_000_000_000);
