//! The simplest store: every row in memory, every transaction at once.

use std::collections::{BTreeMap, BTreeSet};

use super::ids::{AccountKey, Incarnation, LeaseId, OpenId, RecordNumber, ScopeId, StreamId};
use super::ledger::{
    Account, Alert, Changes, Lease, LeaseStanding, Needs, Opening, Record, Scope, View,
};
use super::message::SyncRequest;
use crate::units::NanoUsd;

/// Every row, in memory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    rows: View,
    /// Leases with something left, by scope and by holder.
    open: BTreeMap<ScopeId, BTreeMap<Incarnation, BTreeSet<LeaseId>>>,
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
        self.rows.scopes.insert(scope.id, scope);
    }

    /// The scope with its budgets.
    pub fn scope(&mut self, id: ScopeId) -> Option<&mut Scope> {
        self.rows.scopes.get_mut(&id)
    }

    /// What a decision about `batch` may look at.
    pub fn load(&self, batch: &SyncRequest) -> View {
        let needs = Needs::of(batch);
        let by = batch.incarnation;
        let mut view = View {
            counters: self.rows.counters,
            holders: pick(&self.rows.holders, [by]),
            streams: pick(&self.rows.streams, [(by, batch.stream)]),
            current: pick(
                &self.rows.current,
                needs.scopes.iter().map(|scope| (by, *scope)),
            ),
            leases: pick(&self.rows.leases, needs.leases),
            ..View::default()
        };
        let current: Vec<LeaseId> = view.current.values().copied().collect();
        view.leases.extend(pick(&self.rows.leases, current));
        let leased = view.leases.values().map(|lease| lease.scope);
        let scopes: BTreeSet<ScopeId> = needs.scopes.into_iter().chain(leased).collect();
        view.scopes = pick(&self.rows.scopes, scopes);
        for scope in view.scopes.values_mut() {
            let holders = self.open.get(&scope.id).map_or(0, BTreeMap::len);
            scope.holders = u32::try_from(holders).unwrap_or(u32::MAX);
        }
        view.accounts = pick(&self.rows.accounts, view.accounts_needed());
        view
    }

    /// What a decision about the silence of a holder may look at.
    pub fn load_holder(&self, by: Incarnation) -> View {
        let own = self.open.values().filter_map(|holders| holders.get(&by));
        let mut view = View {
            counters: self.rows.counters,
            holders: pick(&self.rows.holders, [by]),
            leases: pick(&self.rows.leases, own.flatten().copied()),
            ..View::default()
        };
        let scopes: Vec<ScopeId> = view.leases.values().map(|lease| lease.scope).collect();
        view.scopes = pick(&self.rows.scopes, scopes);
        view.accounts = pick(&self.rows.accounts, view.accounts_needed());
        view
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
        for (id, lease) in &changes.leases {
            self.index(*id, lease);
        }
        self.rows.absorb(&changes);
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
        &self.rows
    }

    /// A balance.
    pub fn account(&self, key: AccountKey) -> Account {
        self.rows.accounts.get(&key).copied().unwrap_or_default()
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

    fn index(&mut self, id: LeaseId, lease: &Lease) {
        let is_open = lease.standing == LeaseStanding::Active
            && lease.remainder().is_ok_and(|rest| rest > NanoUsd::ZERO);
        let holders = self.open.entry(lease.scope).or_default();
        let leases = holders.entry(lease.incarnation).or_default();
        if is_open {
            leases.insert(id);
        } else {
            leases.remove(&id);
        }
        if leases.is_empty() {
            holders.remove(&lease.incarnation);
        }
    }
}

fn pick<Key: Ord + Copy, Row: Clone>(
    rows: &BTreeMap<Key, Row>,
    keys: impl IntoIterator<Item = Key>,
) -> BTreeMap<Key, Row> {
    let found = |key| rows.get(&key).map(|row| (key, row.clone()));
    keys.into_iter().filter_map(found).collect()
}
