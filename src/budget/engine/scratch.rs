//! A store for tests of the engine: rows in memory, and failures at will.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tollgate_core::money::ids::{AccountKey, Incarnation, LeaseId, ScopeId};
use tollgate_core::money::ledger::{Account, Opening, View};
use tollgate_core::money::memory::Memory;
use tollgate_core::units::Timestamp;

use crate::store::{
    AccountRow, AlertRow, AuditRow, Commit, Committed, CorrectionRow, Entity, LeaseRow, Page,
    Paged, Reader, RecordFilter, RecordName, Report, ReportQuery, Revision, Store, StoreError,
    StoredRecord,
};

/// What outlives the service.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    memory: Memory,
    entities: Vec<Entity>,
    revision: u64,
    commits: usize,
    failing: Option<(Failing, StoreError)>,
    /// Rows are live only if a decision could not do without them.
    forgets: bool,
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
        self.state().failing = failing;
    }

    /// From now on little is live.
    pub(crate) fn forget(&self) {
        self.state().forgets = true;
    }

    pub(crate) fn commits(&self) -> usize {
        self.state().commits
    }

    pub(crate) fn records(&self) -> usize {
        self.state().memory.records().count()
    }

    pub(crate) fn account(&self, key: AccountKey) -> Account {
        self.state().memory.account(key)
    }

    pub(crate) fn rows(&self) -> View {
        self.state().memory.rows().clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Disk {
    fn live(&mut self) -> Result<View, StoreError> {
        let state = self.state();
        let mut rows = state.memory.rows().clone();
        if state.forgets {
            rows = View {
                counters: rows.counters,
                ..View::default()
            };
        }
        Ok(rows)
    }

    fn leases(&mut self, ids: &BTreeSet<LeaseId>) -> Result<View, StoreError> {
        let mut rows = self.rows();
        rows.leases.retain(|id, _| ids.contains(id));
        Ok(View {
            leases: rows.leases,
            ..View::default()
        })
    }

    fn holder(&mut self, incarnation: Incarnation) -> Result<View, StoreError> {
        let mut rows = self.rows();
        rows.holders.retain(|by, _| *by == incarnation);
        rows.streams.retain(|(by, _), _| *by == incarnation);
        rows.current.retain(|(by, _), _| *by == incarnation);
        let current: BTreeSet<LeaseId> = rows.current.values().copied().collect();
        rows.leases.retain(|id, _| current.contains(id));
        rows.accounts.clear();
        Ok(rows)
    }

    fn accounts(&mut self, keys: &BTreeSet<AccountKey>) -> Result<View, StoreError> {
        let mut rows = self.rows();
        rows.accounts.retain(|key, _| keys.contains(key));
        Ok(View {
            accounts: rows.accounts,
            ..View::default()
        })
    }

    fn commit(&mut self, _now: Timestamp, group: &[Commit]) -> Result<Committed, StoreError> {
        let mut state = self.state();
        let failing = state.failing.clone();
        if let Some((Failing::Before, error)) = failing {
            return Err(error);
        }
        let mut memory = state.memory.clone();
        let mut entities = state.entities.clone();
        let revision = state.revision + 1;
        let mut is_changed = false;
        for commit in group {
            match commit {
                Commit::Ledger(changes) => {
                    let first = changes.records.first();
                    let name = first.map(|record| RecordName {
                        incarnation: record.incarnation,
                        stream: record.stream,
                        number: record.usage.number,
                    });
                    memory
                        .commit(changes.as_ref().clone())
                        .map_err(|_| StoreError::RecordExists(name.unwrap_or_default()))?;
                }
                Commit::Entity(change) => {
                    is_changed = true;
                    entities.retain(|it| (&it.kind, &it.id) != (&change.kind, &change.id));
                    entities.push(Entity {
                        kind: change.kind.clone(),
                        id: change.id.clone(),
                        revision: Revision(revision),
                        body: change.body.clone(),
                    });
                }
                Commit::Notice(_) | Commit::Alert(..) | Commit::Audit(_) | Commit::Reprice(_) => {}
            }
        }
        state.memory = memory;
        state.entities = entities;
        state.revision += u64::from(is_changed);
        state.commits += 1;
        if let Some((Failing::After, error)) = failing {
            return Err(error);
        }
        Ok(Committed {
            revision: Revision(state.revision),
        })
    }

    fn entities(&mut self, since: Revision) -> Result<Vec<Entity>, StoreError> {
        let mut entities = self.state().entities.clone();
        entities.retain(|entity| entity.revision > since);
        Ok(entities)
    }

    fn due_alerts(&mut self, _: Timestamp, _: usize) -> Result<Vec<AlertRow>, StoreError> {
        Ok(Vec::new())
    }

    fn forget_records(&mut self, _: Timestamp, _: usize) -> Result<usize, StoreError> {
        Ok(0)
    }

    fn reader(&mut self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(Unread))
    }
}

/// Nobody reads in tests of the engine.
struct Unread;

fn unread<Row>() -> Result<Row, StoreError> {
    Err(StoreError::Failed(
        "a scratch store has no read side".to_owned(),
    ))
}

impl Reader for Unread {
    fn records(&mut self, _: &RecordFilter, _: &Page) -> Result<Paged<StoredRecord>, StoreError> {
        unread()
    }
    fn report(&mut self, _: &ReportQuery) -> Result<Report, StoreError> {
        unread()
    }
    fn accounts(&mut self, _: &BTreeSet<AccountKey>) -> Result<Vec<AccountRow>, StoreError> {
        unread()
    }
    fn all_accounts(&mut self, _: &Page) -> Result<Paged<AccountRow>, StoreError> {
        unread()
    }
    fn open_leases(&mut self, _: Option<ScopeId>, _: &Page) -> Result<Paged<LeaseRow>, StoreError> {
        unread()
    }
    fn openings(&mut self, _: &Page) -> Result<Paged<Opening>, StoreError> {
        unread()
    }
    fn audit(&mut self, _: &Page) -> Result<Paged<AuditRow>, StoreError> {
        unread()
    }
    fn alerts(&mut self, _: &Page) -> Result<Paged<AlertRow>, StoreError> {
        unread()
    }
    fn corrections(&mut self, _: &Page) -> Result<Paged<CorrectionRow>, StoreError> {
        unread()
    }
    fn check(&mut self) -> Result<(), StoreError> {
        unread()
    }
}
