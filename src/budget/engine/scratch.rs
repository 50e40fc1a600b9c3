//! A disk for tests of the engine: the store in memory, which outlives the service here, and fails at will.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tollgate_core::money::ids::{AccountKey, Incarnation, LeaseId};
use tollgate_core::money::ledger::{Account, HolderStanding, View};
use tollgate_core::units::Timestamp;

use crate::store::{
    AlertRow, Commit, Committed, Entity, Memory, Page, Reader, RecordFilter, Revision, Store,
    StoreError,
};

#[derive(Clone, Default)]
pub(crate) struct Disk {
    memory: Memory,
    whims: Arc<Mutex<Whims>>,
}

#[derive(Default)]
struct Whims {
    failing: Option<(Failing, StoreError)>,
    /// Nothing is live.
    forgets: bool,
    commits: usize,
}

/// When a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    /// Nothing was written.
    Before,
    /// Everything was, and the answer was lost.
    After,
}

impl Disk {
    /// From now on every commit fails; with none, all is well again.
    pub(crate) fn fail(&self, failing: Option<(Failing, StoreError)>) {
        self.whims().failing = failing;
    }

    /// From now on nothing is live: every row has to be asked for.
    pub(crate) fn forget(&self) {
        self.whims().forgets = true;
    }

    pub(crate) fn commits(&self) -> usize {
        self.whims().commits
    }

    pub(crate) fn records(&self) -> usize {
        let mut reader = self.memory.clone().reader().unwrap();
        let page = reader.records(&RecordFilter::default(), &Page::default());
        page.unwrap().rows.len()
    }

    pub(crate) fn account(&self, key: AccountKey) -> Account {
        let view = Store::accounts(&mut self.memory.clone(), &[key].into()).unwrap();
        view.accounts.get(&key).copied().unwrap_or_default()
    }

    pub(crate) fn standing(&self, by: Incarnation) -> HolderStanding {
        self.memory.clone().holder(by).unwrap().holders[&by].standing
    }

    fn whims(&self) -> MutexGuard<'_, Whims> {
        self.whims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Disk {
    fn live(&mut self) -> Result<View, StoreError> {
        let rows = self.memory.live()?;
        if !self.whims().forgets {
            return Ok(rows);
        }
        Ok(View {
            counters: rows.counters,
            ..View::default()
        })
    }

    fn leases(&mut self, ids: &BTreeSet<LeaseId>) -> Result<View, StoreError> {
        self.memory.leases(ids)
    }

    fn holder(&mut self, incarnation: Incarnation) -> Result<View, StoreError> {
        self.memory.holder(incarnation)
    }

    fn accounts(&mut self, keys: &BTreeSet<AccountKey>) -> Result<View, StoreError> {
        Store::accounts(&mut self.memory, keys)
    }

    fn commit(&mut self, now: Timestamp, group: &[Commit]) -> Result<Committed, StoreError> {
        let failing = self.whims().failing.clone();
        if let Some((Failing::Before, error)) = failing {
            return Err(error);
        }
        let committed = self.memory.commit(now, group)?;
        self.whims().commits += 1;
        match failing {
            Some((_, error)) => Err(error),
            None => Ok(committed),
        }
    }

    fn entities(&mut self, since: Revision) -> Result<Vec<Entity>, StoreError> {
        self.memory.entities(since)
    }

    fn due_alerts(&mut self, now: Timestamp, most: usize) -> Result<Vec<AlertRow>, StoreError> {
        self.memory.due_alerts(now, most)
    }

    fn forget_records(&mut self, before: Timestamp, most: usize) -> Result<usize, StoreError> {
        self.memory.forget_records(before, most)
    }

    fn reader(&mut self) -> Result<Box<dyn Reader>, StoreError> {
        self.memory.reader()
    }
}
