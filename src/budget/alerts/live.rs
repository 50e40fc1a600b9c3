//! The engine's outbox.

use std::collections::BTreeSet;

use tollgate_core::money::ids::ScopeId;
use tollgate_core::units::Timestamp;

use super::sender::Outbox;
use crate::engine::{Edit, Engine, Trouble};
use crate::store::{AlertId, AlertOutcome, AlertRow, Commit};

impl Outbox for Engine {
    fn due(&self, now: Timestamp, at_most: usize) -> Result<Vec<AlertRow>, Trouble> {
        self.with_store(move |store| store.due_alerts(now, at_most))
    }

    fn mark(&self, id: AlertId, outcome: AlertOutcome) -> Result<(), Trouble> {
        let edit = Edit {
            leases: BTreeSet::new(),
            accounts: BTreeSet::new(),
            decide: Box::new(move |_| Ok(vec![Commit::Alert(id, outcome)])),
        };
        // Nothing refuses it.
        let _ = self.edit(edit)?;
        Ok(())
    }

    fn scope_name(&self, scope: ScopeId) -> Option<String> {
        self.directory().scope_name(scope).map(str::to_owned)
    }
}
