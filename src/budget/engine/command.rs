//! What the writer is asked to do.

use std::collections::BTreeSet;

use tokio::sync::oneshot;
use tollgate_core::money::ids::{AccountKey, BodyHash, LeaseId};
use tollgate_core::money::live::Live;
use tollgate_core::money::message::{HelloReply, Refusal, SyncRequest};
use tollgate_core::tenancy::{Directory, Entity};
use tollgate_wire::Answer;

use super::trouble::Trouble;
use crate::store::{AuditEntry, Commit, Committed, Store};

pub(super) type Reply<Outcome> = oneshot::Sender<Result<Outcome, Trouble>>;

/// Looks at the directory and says what is to change; none if nothing is.
pub(super) type Planning = Box<dyn FnOnce(&Directory) -> Option<Plan> + Send>;

/// Does something with the store, between two transactions.
type OnStore = Box<dyn FnOnce(&mut dyn Store) + Send>;

/// Looks at the ledger and says what is to be written.
pub type Editing = Box<dyn FnOnce(&Live) -> Result<Vec<Commit>, EditRefused> + Send>;

pub(super) enum Command {
    /// Decided together with others.
    Work(Work),
    Change {
        /// None: nothing is to change.
        decide: Planning,
        reply: Reply<Option<Committed>>,
    },
    Edit {
        edit: Edit,
        reply: Reply<Result<Committed, EditRefused>>,
    },
    Store(OnStore),
    /// What lies idle is to come back; the number of scopes it lies in.
    Recall {
        audit: AuditEntry,
        reply: Reply<u64>,
    },
    Stop,
}

pub(super) enum Work {
    Hello {
        reply: Reply<HelloReply>,
    },
    Sync {
        batch: Box<SyncRequest>,
        hash: BodyHash,
        reply: Reply<Answer>,
    },
    /// A second is over.
    Tick,
}

/// A change of the directory.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What becomes of which entity.
    pub entities: Vec<Entity>,
    /// Who does it.
    pub audit: Vec<AuditEntry>,
}

/// A change by people: a correction, a reconciliation, another price; or a note of what became of an alert.
pub struct Edit {
    /// Leases that must be there to be looked at.
    pub leases: BTreeSet<LeaseId>,
    /// Balances that must be.
    pub accounts: BTreeSet<AccountKey>,
    /// Says what is written.
    pub decide: Editing,
}

/// Why an edit changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditRefused {
    /// The ledger says no.
    Ledger(Refusal),
    /// Somebody says no, in words.
    Because(String),
}
