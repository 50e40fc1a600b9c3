//! What a decision reads and what it writes.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{Account, Counters, Holder, Lease, Scope, Stream};
use crate::money::ids::{AccountKey, Incarnation, LeaseId, OpenId, ScopeId, StreamId, WindowId};
use crate::money::message::{Charge, Open, Refusal, SyncRequest, Usage};
use crate::money::thresholds::Action;
use crate::units::NanoUsd;

/// The rows a decision may look at. A store loads what [`Needs`] names, and may keep the view from batch to batch by
/// [`View::absorb`]ing what was decided, so that a group of batches is one transaction.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The numbers given out.
    pub counters: Counters,
    /// Holders by incarnation.
    pub holders: BTreeMap<Incarnation, Holder>,
    /// Streams of holders.
    pub streams: BTreeMap<(Incarnation, StreamId), Stream>,
    /// Leases, closed ones too.
    pub leases: BTreeMap<LeaseId, Lease>,
    /// The last lease that a holder got for a scope: the one a grant is added to.
    pub current: BTreeMap<(Incarnation, ScopeId), LeaseId>,
    /// Scopes with their budgets.
    pub scopes: BTreeMap<ScopeId, Scope>,
    /// Balances. One that does not exist yet is zero.
    pub accounts: BTreeMap<AccountKey, Account>,
}

/// The rows a batch touches. Accounts follow from the leases and scopes: see [`View::accounts_needed`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Leases that are charged or given back.
    pub leases: BTreeSet<LeaseId>,
    /// Scopes that are wanted or owe something, with the holder's current lease of each. Those of the leases are needed
    /// as well.
    pub scopes: BTreeSet<ScopeId>,
}

impl Needs {
    /// What must be loaded for a batch, besides its holder and its stream.
    pub fn of(batch: &SyncRequest) -> Self {
        let charges = batch.usage.iter().flat_map(|usage| &usage.charges);
        let charged = charges.map(|charge| charge.lease);
        let returned = batch.returns.iter().map(|back| back.lease);
        let wanted = batch.wants.iter().map(|want| want.scope);
        let debts = batch.usage.iter().flat_map(|usage| &usage.debts);
        Self {
            leases: charged.chain(returned).collect(),
            scopes: wanted.chain(debts.map(|debt| debt.scope)).collect(),
        }
    }
}

/// The rows a decision writes: all of them in one transaction, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New numbers were given out.
    pub counters: Option<Counters>,
    /// Holders as they are now.
    pub holders: BTreeMap<Incarnation, Holder>,
    /// Streams as they are now.
    pub streams: BTreeMap<(Incarnation, StreamId), Stream>,
    /// Leases as they are now.
    pub leases: BTreeMap<LeaseId, Lease>,
    /// New current leases.
    pub current: BTreeMap<(Incarnation, ScopeId), LeaseId>,
    /// Balances as they are now.
    pub accounts: BTreeMap<AccountKey, Account>,
    /// Records to insert; a second one of the same name is an error of the store.
    pub records: Vec<Record>,
    /// Openings to insert.
    pub opened: Vec<Opening>,
    /// Openings that are closed; one that is not there is no matter.
    pub closed: Vec<(Incarnation, OpenId)>,
    /// What was found out about leases that were presumed spent: entries to insert.
    pub reconciled: Vec<Charge>,
    /// What was corrected: entries to insert.
    pub corrections: Vec<Correction>,
    /// What somebody should hear of. Written with the rest, sent later, once.
    pub alerts: Vec<Alert>,
}

/// A request that ended, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who reported it.
    pub incarnation: Incarnation,
    /// On which stream; with the number it is the record's name.
    pub stream: StreamId,
    /// What was reported.
    pub usage: Usage,
}

/// A request that began, as it is kept until it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Who reported it.
    pub incarnation: Incarnation,
    /// On which stream.
    pub stream: StreamId,
    /// What was reported.
    pub open: Open,
}

/// An entry beside what was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The balance it changes.
    pub account: AccountKey,
    /// What is added to it.
    pub more: NanoUsd,
    /// What is taken off it.
    pub less: NanoUsd,
}

/// What somebody should hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert {
    /// A step of a budget was passed, for the first time in its window.
    Passed {
        /// Whose budget.
        scope: ScopeId,
        /// Which budget in which window.
        account: AccountKey,
        /// Which step.
        percent: u32,
        /// What happens from now on.
        action: Action,
        /// What is spent.
        spent: NanoUsd,
        /// Of how much.
        limit: NanoUsd,
    },
    /// A request cost more than was held for it.
    Overrun {
        /// Whose money.
        scope: ScopeId,
        /// The lease.
        lease: LeaseId,
        /// By how much.
        over: NanoUsd,
    },
    /// A request was served without cover, because the service was away.
    Uncovered {
        /// Who served it.
        incarnation: Incarnation,
        /// Whose money.
        scope: ScopeId,
        /// How much.
        nanos: NanoUsd,
    },
    /// A holder was silent for too long.
    Presumed {
        /// The holder.
        incarnation: Incarnation,
        /// For whom it held money.
        scope: ScopeId,
        /// How much of it counts as spent now.
        nanos: NanoUsd,
    },
}

impl View {
    /// The accounts that the leases and scopes of this view speak of, with the windows before them where an overflow may
    /// have been carried.
    pub fn accounts_needed(&self) -> BTreeSet<AccountKey> {
        let leases = self.leases.values();
        let mut keys: BTreeSet<AccountKey> = leases
            .flat_map(|lease| lease.accounts.iter().copied())
            .collect();
        for open in self.scopes.values().flat_map(|scope| &scope.budgets) {
            let key = AccountKey {
                budget: open.budget.id,
                window: open.window.id,
            };
            keys.insert(key);
            if open.budget.overflow_percent > 0 {
                keys.extend(before(key));
            }
        }
        keys
    }

    /// Takes what was decided, for the next decision.
    pub fn absorb(&mut self, changes: &Changes) {
        self.counters = changes.counters.unwrap_or(self.counters);
        self.holders.extend(&changes.holders);
        let streams = changes.streams.iter();
        self.streams
            .extend(streams.map(|(key, row)| (*key, row.clone())));
        let leases = changes.leases.iter();
        self.leases
            .extend(leases.map(|(key, row)| (*key, row.clone())));
        self.current.extend(&changes.current);
        self.accounts.extend(&changes.accounts);
    }
}

/// The same budget, one window earlier.
pub fn before(key: AccountKey) -> Option<AccountKey> {
    let window = WindowId(key.window.0.checked_sub(1)?);
    Some(AccountKey { window, ..key })
}

/// A view with what was decided so far on top of it.
pub(super) struct Draft<'view> {
    pub(super) view: &'view View,
    pub(super) changes: Changes,
}

impl<'view> Draft<'view> {
    pub(super) fn new(view: &'view View) -> Self {
        Self {
            view,
            changes: Changes::default(),
        }
    }

    pub(super) fn lease(&self, id: LeaseId) -> Option<&Lease> {
        let changed = self.changes.leases.get(&id);
        changed.or_else(|| self.view.leases.get(&id))
    }

    pub(super) fn account(&self, key: AccountKey) -> Account {
        let changed = self.changes.accounts.get(&key);
        let row = changed.or_else(|| self.view.accounts.get(&key));
        row.copied().unwrap_or_default()
    }

    pub(super) fn counters(&self) -> Counters {
        self.changes.counters.unwrap_or(self.view.counters)
    }

    /// Changes each account of a lease in the same way.
    pub(super) fn each_account(
        &mut self,
        keys: &[AccountKey],
        change: impl Fn(&mut Account) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        for key in keys {
            let mut account = self.account(*key);
            change(&mut account)?;
            self.changes.accounts.insert(*key, account);
        }
        Ok(())
    }
}

/// The sum; one that does not fit is absurd.
pub(super) fn add(to: &mut NanoUsd, amount: NanoUsd) -> Result<(), Refusal> {
    *to = to.plus(amount).map_err(|_| Refusal::AbsurdAmount)?;
    Ok(())
}

/// The difference; amounts are checked before they are taken off, so one that is missing was lost by the store.
pub(super) fn take(from: &mut NanoUsd, amount: NanoUsd) -> Result<(), Refusal> {
    *from = from.minus(amount).map_err(|_| Refusal::BooksDiffer)?;
    Ok(())
}
