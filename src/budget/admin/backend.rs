//! What the API asks of the service behind it. All of it blocks, and is called on threads for that.

use tollgate_core::money::window::WindowNow;
use tollgate_core::tenancy::{Directory, ScopeSpec};
use tollgate_core::units::{NanoUsd, Timestamp};

use super::reply::Refused;
use crate::engine::Plan;
use crate::store::{AuditEntry, Reader, StoreError, StoredRecord};

/// The service behind the API.
pub trait Backend: Send + Sync + 'static {
    /// Shows the directory as it is now. Nothing else happens meanwhile, so `look` is quick.
    fn look(&self, look: &mut dyn FnMut(&Directory));

    /// Lets `decide` look at the directory and decide what changes. What it returns is durable, in force and in the audit
    /// log when this returns, all of it or nothing; no other change comes between.
    fn change(&self, decide: Decide) -> Result<(), Refused>;

    /// Writes entries beside records, so that each of them costs what is said here; all of it or nothing. How many of them
    /// could not be corrected, because nobody knows any more who paid.
    fn reprice(&self, reprice: Reprice) -> Result<usize, Refused>;

    /// The read side of the store.
    fn read(
        &self,
        read: &mut dyn FnMut(&mut dyn Reader) -> Result<(), StoreError>,
    ) -> Result<(), Refused>;

    /// The windows that are open now, one for each budget of a scope, in its order.
    fn windows(&self, scope: &ScopeSpec, now: Timestamp) -> Vec<WindowNow>;

    /// Has all holders give back the money that lies idle with them, and says of how many scopes. Who asks is noted.
    fn recall(&self, actor: &str) -> Result<u64, Refused>;

    /// Whether everything works; what does not, in words.
    fn health(&self) -> Result<(), String>;
}

/// Records that cost something else than was thought.
#[derive(Clone, Debug)]
pub struct Reprice {
    /// The records as they were read, and what each of them costs.
    pub records: Vec<(StoredRecord, NanoUsd)>,
    /// Why.
    pub reason: String,
    /// Who does it.
    pub audit: AuditEntry,
}

/// Decides about a change.
pub type Decide = Box<dyn FnOnce(&Directory) -> Result<Plan, Refused> + Send>;
