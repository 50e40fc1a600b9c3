//! The rows that decisions look at, in memory, with the indexes to find them. A service keeps them in step with its store;
//! a row that is not live any more is fetched from there when evidence of it comes late.

use std::collections::{BTreeMap, BTreeSet};

use super::ids::{AccountKey, Incarnation, LeaseId, ScopeId};
use super::ledger::{
    Account, Changes, HolderStanding, Lease, LeaseStanding, Needs, Scope, View, before,
};
use super::message::SyncRequest;
use crate::units::NanoUsd;

/// Rows by what they are asked for.
#[derive(Clone, Debug, Default)]
pub struct Live {
    rows: View,
    /// Leases with something left, by scope and by holder.
    open: BTreeMap<ScopeId, BTreeMap<Incarnation, BTreeSet<LeaseId>>>,
}

impl Live {
    /// What a store knows at start.
    pub fn of(rows: View) -> Self {
        let mut live = Self::default();
        live.fetched(rows);
        live
    }

    /// Every row, to be looked at.
    pub fn rows(&self) -> &View {
        &self.rows
    }

    /// Writes a scope with its budgets as they are now.
    pub fn set_scope(&mut self, scope: Scope) {
        self.rows.scopes.insert(scope.id, scope);
    }

    /// Forgets a scope that was deleted: what it holds stays in its accounts, and nothing more is granted.
    pub fn remove_scope(&mut self, scope: ScopeId) {
        self.rows.scopes.remove(&scope);
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
        self.complete(&mut view);
        view
    }

    /// What a decision about one lease may look at.
    pub fn load_lease(&self, lease: LeaseId) -> View {
        let mut view = View {
            counters: self.rows.counters,
            leases: pick(&self.rows.leases, [lease]),
            ..View::default()
        };
        self.complete(&mut view);
        view
    }

    /// What a decision about one balance may look at.
    pub fn load_account(&self, account: AccountKey) -> View {
        View {
            accounts: pick(&self.rows.accounts, [account]),
            ..View::default()
        }
    }

    /// The scopes and accounts of the view's leases.
    fn complete(&self, view: &mut View) {
        let scopes: Vec<ScopeId> = view.leases.values().map(|lease| lease.scope).collect();
        view.scopes = pick(&self.rows.scopes, scopes);
        view.accounts = pick(&self.rows.accounts, view.accounts_needed());
    }

    /// The leases of a batch that are not here, though they may have been given out.
    pub fn leases_missing(&self, batch: &SyncRequest) -> BTreeSet<LeaseId> {
        let mut missing = Needs::of(batch).leases;
        let last = self.rows.counters.lease;
        missing.retain(|id| *id <= last && !self.rows.leases.contains_key(id));
        missing
    }

    /// Whether a holder is not here, though its incarnation was given out.
    pub fn misses_holder(&self, by: Incarnation) -> bool {
        by <= self.rows.counters.incarnation && !self.rows.holders.contains_key(&by)
    }

    /// Takes what a store was asked for. Of rows that are here already the store knows nothing newer.
    pub fn fetched(&mut self, rows: View) {
        for (id, lease) in &rows.leases {
            self.index(*id, lease);
        }
        if self.rows.counters == Default::default() {
            self.rows.counters = rows.counters;
        }
        keep(&mut self.rows.holders, rows.holders);
        keep(&mut self.rows.streams, rows.streams);
        keep(&mut self.rows.leases, rows.leases);
        keep(&mut self.rows.current, rows.current);
        keep(&mut self.rows.scopes, rows.scopes);
        keep(&mut self.rows.accounts, rows.accounts);
    }

    /// Notes that these accounts were asked for: those that are not here do not exist yet.
    pub fn asked_for(&mut self, keys: BTreeSet<AccountKey>) {
        let accounts = keys.into_iter().map(|key| (key, Account::default()));
        keep(&mut self.rows.accounts, accounts.collect());
    }

    /// Takes what was decided.
    pub fn absorb(&mut self, changes: &Changes) {
        for (id, lease) in &changes.leases {
            self.index(*id, lease);
        }
        self.rows.absorb(changes);
    }

    /// Forgets what a store knows as well and no ordinary decision asks for: leases that are accounted for, holders that
    /// are presumed dead, accounts of windows long over.
    pub fn forget_settled(&mut self) {
        let rows = &mut self.rows;
        let dead = |by: &Incarnation, rows: &View| {
            let holder = rows.holders.get(by);
            holder.is_none_or(|holder| holder.standing == HolderStanding::Presumed)
        };
        let current = std::mem::take(&mut rows.current);
        let current = current.into_iter().filter(|((by, _), _)| !dead(by, rows));
        rows.current = current.collect();
        let streams = std::mem::take(&mut rows.streams);
        let streams = streams.into_iter().filter(|((by, _), _)| !dead(by, rows));
        rows.streams = streams.collect();
        rows.holders
            .retain(|_, holder| holder.standing != HolderStanding::Presumed);
        let in_use: BTreeSet<LeaseId> = rows.current.values().copied().collect();
        rows.leases
            .retain(|id, lease| is_open(lease) || in_use.contains(id));
        let mut accounts: BTreeSet<AccountKey> = rows
            .leases
            .values()
            .flat_map(|lease| lease.accounts.iter().copied())
            .collect();
        for key in rows.scopes.values().flat_map(Scope::open_accounts) {
            accounts.insert(key);
            accounts.extend(before(key));
        }
        rows.accounts.retain(|key, _| accounts.contains(key));
    }

    fn index(&mut self, id: LeaseId, lease: &Lease) {
        let holders = self.open.entry(lease.scope).or_default();
        let leases = holders.entry(lease.incarnation).or_default();
        if is_open(lease) {
            leases.insert(id);
        } else {
            leases.remove(&id);
        }
        if leases.is_empty() {
            holders.remove(&lease.incarnation);
        }
    }
}

/// Something is left of it, and its holder is to account for it. A lease whose figures contradict each other stays, until
/// somebody looks.
fn is_open(lease: &Lease) -> bool {
    lease.standing == LeaseStanding::Active && lease.remainder() != Ok(NanoUsd::ZERO)
}

fn keep<Key: Ord, Row>(rows: &mut BTreeMap<Key, Row>, more: BTreeMap<Key, Row>) {
    for (key, row) in more {
        rows.entry(key).or_insert(row);
    }
}

fn pick<Key: Ord + Copy, Row: Clone>(
    rows: &BTreeMap<Key, Row>,
    keys: impl IntoIterator<Item = Key>,
) -> BTreeMap<Key, Row> {
    let found = |key| rows.get(&key).map(|row| (key, row.clone()));
    keys.into_iter().filter_map(found).collect()
}
