//! What can be written.

use tollgate_core::money::ids::{Incarnation, RecordNumber, StreamId};
use tollgate_core::money::ledger::Changes;
use tollgate_core::units::{NanoUsd, Timestamp};

/// Grows by one with each commit that changes an entity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// An alert in the outbox. The first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId(pub u64);

/// What a record is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordName {
    /// Who reported it.
    pub incarnation: Incarnation,
    /// On which stream.
    pub stream: StreamId,
    /// Its number there.
    pub number: RecordNumber,
}

/// One thing to write. A group of them is one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// What the ledger decided.
    Ledger(Box<Changes>),
    /// A key, a team, a budget, a switch was changed.
    Entity(EntityChange),
    /// Somebody should hear of it.
    Notice(Notice),
    /// What became of sending an alert.
    Alert(AlertId, AlertOutcome),
    /// Who changed what.
    Audit(AuditEntry),
    /// A record costs something else than was thought.
    Reprice(Box<Reprice>),
}

/// An entity as it is from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityChange {
    /// `org`, `team`, `user`, `key`, `budget`, `limit`, `switch`, `setting`.
    pub kind: String,
    /// Its name among its kind.
    pub id: String,
    /// JSON; `None` deletes it.
    pub body: Option<String>,
}

/// An alert that does not come from the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// JSON.
    pub body: String,
    /// A second notice under the same name is not written: `forecast:team:search:2026-11`.
    pub once: Option<String>,
}

/// What became of sending an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertOutcome {
    /// It arrived.
    Sent,
    /// It did not arrive, and will be tried again.
    Retry {
        /// When.
        at: Timestamp,
        /// Why it did not, and what the sender wants to remember.
        note: String,
    },
    /// It did not arrive, and never will.
    GivenUp {
        /// Why.
        note: String,
    },
}

/// Who changed what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditEntry {
    /// Who.
    pub actor: String,
    /// `create`, `update`, `delete`, `rotate`, `reconcile`, `reprice`.
    pub action: String,
    /// The kind of what was changed.
    pub kind: String,
    /// Its name.
    pub id: String,
    /// JSON: before and after, as far as it is no secret.
    pub detail: String,
}

/// A record costs something else than was thought: an entry beside it, and entries beside the balances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reprice {
    /// The record.
    pub name: RecordName,
    /// What it cost until now: refused if that is not so.
    pub old: NanoUsd,
    /// What it costs.
    pub new: NanoUsd,
    /// Why.
    pub reason: String,
    /// What that does to balances.
    pub changes: Changes,
}

/// What a commit brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The last revision, also if this commit did not change it.
    pub revision: Revision,
}
