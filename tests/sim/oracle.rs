//! What must be true after every step, computed without the code that is tested.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::money::ids::{AccountKey, Incarnation, LeaseId, ScopeId, Seq, StreamId};
use tollgate_core::money::ledger::{Alert, Changes, Lease, LeaseStanding};
use tollgate_core::money::memory::Memory;
use tollgate_core::units::NanoUsd;

/// A request pays in each of so many.
const SCOPES: usize = 3;

/// What the accounts must say at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The truth.
    Exact,
    /// At least the truth: somebody died and cannot say what it spent.
    AtLeast,
}

#[derive(Default)]
pub(crate) struct Oracle {
    /// The first thing that was not true.
    violation: Option<String>,
    /// What providers may have billed: from the moment a request is sent, what it will cost in the end, as far as held.
    truth: BTreeMap<AccountKey, u64>,
    /// What records charged, by lease: within it and beyond.
    charged: BTreeMap<LeaseId, (u64, u64)>,
    /// Leases as they were committed last, and what they add up to.
    leases: BTreeMap<LeaseId, Lease>,
    held: BTreeMap<AccountKey, u64>,
    posted: BTreeMap<AccountKey, u64>,
    /// `posted + held`, without overruns, when the account was looked at last.
    used: BTreeMap<AccountKey, u64>,
    /// What processes spent without a lease and the service does not know of yet.
    owed: BTreeMap<(Incarnation, ScopeId), u64>,
    /// Requests whose records are stored.
    records: BTreeSet<u64>,
    /// The last batch of each stream that was applied.
    current: BTreeMap<(Incarnation, ScopeId), LeaseId>,
    streams: BTreeMap<(Incarnation, StreamId), Seq>,
    pub(crate) seen: Seen,
}

/// What a history went through: a simulator that avoids the difficult places proves nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) records: u64,
    pub(crate) overruns: u64,
    /// Leases presumed spent, and evidence of such leases that came after all.
    pub(crate) presumed: u64,
    pub(crate) late: u64,
    /// Leases of a scope in another window than the one before.
    pub(crate) rolled_over: u64,
    /// Requests that paid without a lease.
    pub(crate) debts: u64,
}

impl Oracle {
    pub(crate) fn blame(&mut self, what: impl Into<String>) {
        if self.violation.is_none() {
            self.violation = Some(what.into());
        }
    }

    pub(crate) fn violation(&self) -> Option<&String> {
        self.violation.as_ref()
    }

    /// A provider may bill this from now on.
    pub(crate) fn spent(&mut self, keys: &[AccountKey], nanos: u64, memory: &Memory) {
        for key in keys {
            *self.truth.entry(*key).or_default() += nanos;
            self.covers_truth(*key, memory);
        }
    }

    /// A provider may bill this, and no lease covers it. A request that costs more than was feared is not the bound's fault.
    pub(crate) fn owes(&mut self, name: (Incarnation, ScopeId), nanos: u64, allowed: u64) {
        let owed = self.owed.entry(name).or_default();
        *owed += nanos;
        if *owed > allowed {
            let owed = *owed;
            self.blame(format!(
                "{name:?} owes {owed}, which is more than {allowed}"
            ));
        }
    }

    pub(crate) fn truth(&self, key: AccountKey) -> u64 {
        self.truth.get(&key).copied().unwrap_or_default()
    }

    /// A batch was answered: its records are there.
    pub(crate) fn acknowledged(&mut self, request: u64) {
        if !self.records.contains(&request) {
            self.blame(format!(
                "request {request} was acknowledged and is not stored"
            ));
        }
    }

    pub(crate) fn has_record(&self, request: u64) -> bool {
        self.records.contains(&request)
    }

    /// Follows a transaction lease by lease.
    pub(crate) fn committing(&mut self, changes: &Changes, memory: &Memory) {
        for (name, stream) in &changes.streams {
            let before = self
                .streams
                .insert(*name, stream.answered)
                .unwrap_or_default();
            if stream.answered.0 != before.0 + 1 {
                self.blame(format!(
                    "{name:?} applied {:?} after {before:?}",
                    stream.answered
                ));
            }
        }
        for alert in &changes.alerts {
            match alert {
                Alert::Presumed { .. } => self.seen.presumed += 1,
                Alert::Overrun { .. } => self.seen.overruns += 1,
                Alert::Passed { .. } | Alert::Uncovered { .. } => {}
            }
        }
        for (name, id) in &changes.current {
            let before = self.current.insert(*name, *id);
            let old = before.and_then(|id| self.leases.get(&id));
            let rolled = old.is_some_and(|old| old.accounts != changes.leases[id].accounts);
            self.seen.rolled_over += u64::from(rolled);
        }
        self.seen.records += u64::try_from(changes.records.len()).unwrap();
        for record in &changes.records {
            let request = number(&record.usage.record);
            if !self.records.insert(request) {
                self.blame(format!("request {request} was recorded twice"));
            }
            let cost = record.usage.cost.0;
            let mut paid: BTreeMap<ScopeId, u64> = BTreeMap::new();
            for charge in &record.usage.charges {
                let scope = changes.leases[&charge.lease].scope;
                *paid.entry(scope).or_default() += charge.nanos.0 + charge.over.0;
                let sums = self.charged.entry(charge.lease).or_default();
                sums.0 += charge.nanos.0;
                sums.1 += charge.over.0;
            }
            for debt in &record.usage.debts {
                *paid.entry(debt.scope).or_default() += debt.nanos.0;
                self.repaid((record.incarnation, debt.scope), debt.nanos.0);
                for key in memory.rows().scopes[&debt.scope].open_accounts() {
                    *self.posted.entry(key).or_default() += debt.nanos.0;
                }
            }
            let pays_all = paid.len() == SCOPES && paid.values().all(|paid| *paid == cost);
            if cost > 0 && !pays_all {
                self.blame(format!(
                    "request {request} cost {cost}, scopes paid {paid:?}"
                ));
            }
        }
        for (id, lease) in &changes.leases {
            let sums = self.charged.get(id).copied().unwrap_or_default();
            if sums != (lease.settled.0, lease.overrun.0) {
                self.blame(format!(
                    "lease {} paid {sums:?} by its records: {lease:?}",
                    id.0
                ));
            }
            if let Some(old) = self.leases.insert(*id, lease.clone()) {
                self.seen.late += u64::from(old.standing == LeaseStanding::Presumed);
                self.count(*id, &old, |sum, amount| *sum -= amount);
            }
            self.count(*id, lease, |sum, amount| *sum += amount);
        }
    }

    /// The service knows of a debt.
    fn repaid(&mut self, name: (Incarnation, ScopeId), nanos: u64) {
        self.seen.debts += 1;
        let owed = self.owed.entry(name).or_default();
        match owed.checked_sub(nanos) {
            Some(rest) => *owed = rest,
            None => self.blame(format!("{name:?} was posted {nanos} that it does not owe")),
        }
    }

    /// Compares the accounts that a transaction touched with what follows from the leases, the limits and the truth.
    pub(crate) fn committed(&mut self, touched: &[AccountKey], memory: &Memory) {
        for key in touched {
            let account = memory.account(*key);
            let sum = |sums: &BTreeMap<AccountKey, u64>| sums.get(key).copied().unwrap_or_default();
            let (held, posted) = (sum(&self.held), sum(&self.posted));
            if (account.held.0, account.posted.0) != (held, posted) {
                self.blame(format!(
                    "{key:?} is {account:?}, its leases say {held} held, {posted} posted"
                ));
            }
            let used = account.posted.0 + account.held.0 - account.overrun.0;
            let before = self.used.insert(*key, used).unwrap_or_default();
            // The simulator numbers budgets by their scopes.
            let scope = &memory.rows().scopes[&ScopeId(key.budget.0 / 10)];
            let mut budgets = scope.budgets.iter().map(|open| &open.budget);
            let budget = budgets.find(|budget| budget.id == key.budget).unwrap();
            let allowance = account.lines(budget).unwrap().allowance.0;
            if used > before && account.posted.0 + account.held.0 > allowance {
                self.blame(format!(
                    "{key:?} was granted beyond {allowance}: {account:?}"
                ));
            }
            self.covers_truth(*key, memory);
        }
    }

    /// At the end, when nothing is on its way: what is posted is the truth, but for what is presumed.
    pub(crate) fn settled(&mut self, memory: &Memory, wanted: Wanted) {
        if wanted == Wanted::Exact && self.owed.values().any(|owed| *owed > 0) {
            self.blame(format!("nobody knows of {:?}", self.owed));
        }
        let keys: Vec<AccountKey> = memory.rows().accounts.keys().copied().collect();
        for key in keys {
            let account = memory.account(key);
            let posted = account.posted.0 - account.overrun.0;
            let truth = self.truth(key);
            if account.held.0 != 0 {
                self.blame(format!("{key:?} still holds {}", account.held.0));
            }
            if posted < truth || wanted == Wanted::Exact && posted != truth {
                self.blame(format!("{key:?} posted {posted}, truth is {truth}"));
            }
        }
    }

    fn covers_truth(&mut self, key: AccountKey, memory: &Memory) {
        let account = memory.account(key);
        let known = account.posted.0 + account.held.0 - account.overrun.0;
        let truth = self.truth(key);
        if truth > known {
            self.blame(format!(
                "{key:?}: {truth} may be billed, {account:?} knows {known}"
            ));
        }
    }

    fn count(&mut self, id: LeaseId, lease: &Lease, change: impl Fn(&mut u64, u64)) {
        let Ok(NanoUsd(rest)) = lease.remainder() else {
            return self.blame(format!("lease {} gave more than it had: {lease:?}", id.0));
        };
        let spent = lease.settled.0 + lease.overrun.0;
        let (held, posted) = match lease.standing {
            LeaseStanding::Active => (rest, spent),
            LeaseStanding::Presumed => (0, spent + rest),
        };
        for key in &lease.accounts {
            change(self.held.entry(*key).or_default(), held);
            change(self.posted.entry(*key).or_default(), posted);
        }
    }
}

/// Requests are numbered in their trace ids, which are all there is of their records.
pub(crate) fn number(trace: &[u8]) -> u64 {
    u64::from_le_bytes(trace[..8].try_into().unwrap())
}

pub(crate) fn trace(number: u64) -> [u8; 16] {
    let mut trace = [0; 16];
    trace[..8].copy_from_slice(&number.to_le_bytes());
    trace
}
