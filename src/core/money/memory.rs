//! The simplest store: every row in memory, every transaction at once.

use std::collections::BTreeMap;

use super::ids::{AccountKey, Incarnation, OpenId, RecordNumber, ScopeId, StreamId};
use super::ledger::{Account, Alert, Changes, Opening, Record, Scope, View};
use super::live::Live;
use super::message::SyncRequest;

/// Every row, in memory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    live: Live,
    records: BTreeMap<(Incarnation, StreamId, RecordNumber), Record>,
    openings: BTreeMap<(Incarnation, OpenId), Opening>,
    alerts: Vec<Alert>,
}

/// A record that is there already: the whole transaction is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordExists;

impl Memory {
    /// Writes a scope with its budgets as they are now.
    pub fn set_scope(&mut self, scope: Scope) {
        self.live.set_scope(scope);
    }

    /// The scope with its budgets.
    pub fn scope(&mut self, id: ScopeId) -> Option<&mut Scope> {
        self.live.scope(id)
    }

    /// What a decision about `batch` may look at.
    pub fn load(&self, batch: &SyncRequest) -> View {
        self.live.load(batch)
    }

    /// What a decision about the silence of a holder may look at.
    pub fn load_holder(&self, by: Incarnation) -> View {
        self.live.load_holder(by)
    }

    /// Writes everything, or nothing.
    pub fn commit(&mut self, changes: Changes) -> Result<(), RecordExists> {
        let name = |record: &Record| (record.incarnation, record.stream, record.usage.number);
        if changes
            .records
            .iter()
            .any(|record| self.records.contains_key(&name(record)))
        {
            return Err(RecordExists);
        }
        self.live.absorb(&changes);
        let records = changes.records.into_iter();
        self.records
            .extend(records.map(|record| (name(&record), record)));
        for opening in changes.opened {
            let id = OpenId {
                stream: opening.stream,
                number: opening.open.number,
            };
            self.openings.insert((opening.incarnation, id), opening);
        }
        for closed in &changes.closed {
            self.openings.remove(closed);
        }
        self.alerts.extend(changes.alerts);
        Ok(())
    }

    /// Every row, to be looked at.
    pub fn rows(&self) -> &View {
        self.live.rows()
    }

    /// A balance.
    pub fn account(&self, key: AccountKey) -> Account {
        let accounts = &self.rows().accounts;
        accounts.get(&key).copied().unwrap_or_default()
    }

    /// Every record.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// Requests that began and did not end.
    pub fn openings(&self) -> impl Iterator<Item = &Opening> {
        self.openings.values()
    }

    /// What somebody should hear of, once.
    pub fn take_alerts(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.alerts)
    }
}
