//! What one request holds, from one row or several.

use std::collections::BTreeMap;

use super::row::Short;
use crate::money::ids::{LeaseId, ScopeId};
use crate::money::message::{Charge, Debt, Return};
use crate::units::NanoUsd;

/// What a request holds of one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The slot whose row it was taken from; none if that row is the worker's own.
    pub slot: Option<u32>,
    /// For whom.
    pub scope: ScopeId,
    /// Which lease pays; [`LeaseId::UNCOVERED`] if it was borrowed.
    pub lease: LeaseId,
    /// How much.
    pub nanos: NanoUsd,
}

/// What a request holds. Every scope of the request holds the same amount, in one part or more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    /// The parts.
    pub parts: Vec<Part>,
}

impl Hold {
    /// Adds what was taken later, for a fallback that costs more.
    pub fn join(&mut self, more: Self) {
        self.parts.extend(more.parts);
    }

    /// Keeps `amount` for each scope, and says what is to be released: a stream that proceeds needs less and less.
    pub fn shrink_to(&mut self, amount: NanoUsd) -> Vec<Part> {
        let mut kept: BTreeMap<ScopeId, NanoUsd> = BTreeMap::new();
        let mut released = Vec::new();
        for part in &mut self.parts {
            let left = kept.entry(part.scope).or_insert(amount);
            let keep = part.nanos.min(*left);
            *left = NanoUsd(left.0.saturating_sub(keep.0));
            let nanos = NanoUsd(part.nanos.0.saturating_sub(keep.0));
            part.nanos = keep;
            if nanos > NanoUsd::ZERO {
                released.push(Part { nanos, ..*part });
            }
        }
        self.parts.retain(|part| part.nanos > NanoUsd::ZERO);
        released
    }
}

/// Takes the same amount from every scope of a request, or from none.
///
/// No transaction spans the rows. The order is canonical, and each step is safe alone: what is taken is held, and what is
/// held is given back if a later scope is short.
#[derive(Debug)]
pub struct Taking {
    amount: NanoUsd,
    /// The last is the next.
    ahead: Vec<ScopeId>,
    taken: Hold,
    short: Option<(ScopeId, Short)>,
}

/// What the shell does next for a [`Taking`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakingStep {
    /// Take this from the row of this scope; then say [`Taking::took`] or [`Taking::fell_short`].
    Take {
        /// The scope.
        scope: ScopeId,
        /// The amount.
        amount: NanoUsd,
    },
    /// Release this part into its row; the next step follows at once.
    GiveBack(Part),
    /// All of it is held.
    Held(Hold),
    /// Nothing is held.
    Short {
        /// Where it was missing first.
        scope: ScopeId,
        /// How much.
        missing: NanoUsd,
    },
}

impl Taking {
    /// Begins to take `amount` from each of `scopes`.
    pub fn new(mut scopes: Vec<ScopeId>, amount: NanoUsd) -> Self {
        scopes.sort_unstable_by(|one, other| other.cmp(one));
        scopes.dedup();
        Self {
            amount,
            ahead: scopes,
            taken: Hold::default(),
            short: None,
        }
    }

    /// What to do now.
    pub fn next_step(&mut self) -> TakingStep {
        if let Some((scope, short)) = self.short {
            let missing = short.missing;
            let part = self.taken.parts.pop();
            return part.map_or(TakingStep::Short { scope, missing }, TakingStep::GiveBack);
        }
        match self.ahead.last() {
            Some(scope) => TakingStep::Take {
                scope: *scope,
                amount: self.amount,
            },
            None => TakingStep::Held(std::mem::take(&mut self.taken)),
        }
    }

    /// The step was done: the amount is held in the row of this slot, or in the worker's own. What was borrowed was taken
    /// from [`LeaseId::UNCOVERED`].
    pub fn took(&mut self, slot: Option<u32>, lease: LeaseId) {
        if let Some(scope) = self.ahead.pop() {
            self.taken.parts.push(Part {
                slot,
                scope,
                lease,
                nanos: self.amount,
            });
        }
    }

    /// The row had too little.
    pub fn fell_short(&mut self, short: Short) {
        if let Some(scope) = self.ahead.last() {
            self.short = Some((*scope, short));
        }
    }
}

/// Pays what a request cost from what it held, in every scope.
#[derive(Debug)]
pub struct Settling {
    /// The last is the next.
    ahead: Vec<(Part, NanoUsd)>,
    finished: Finished,
}

/// What the shell does next for a [`Settling`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettlingStep {
    /// Settle this part with this cost in its row; then say [`Settling::paid`].
    Pay {
        /// The part.
        part: Part,
        /// What it pays.
        cost: NanoUsd,
    },
    /// All is paid.
    Finished(Finished),
}

/// What the service is told of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// What each lease paid.
    pub charges: Vec<Charge>,
    /// What was spent without a lease.
    pub debts: Vec<Debt>,
    /// What goes back past the rows.
    pub returns: Vec<Return>,
}

impl Settling {
    /// Begins to pay `cost` in every scope of `hold`.
    pub fn new(hold: Hold, cost: NanoUsd) -> Self {
        let mut due: BTreeMap<ScopeId, NanoUsd> = BTreeMap::new();
        let mut ahead: Vec<(Part, NanoUsd)> = Vec::new();
        for part in hold.parts {
            let left = due.entry(part.scope).or_insert(cost);
            let pays = part.nanos.min(*left);
            *left = NanoUsd(left.0.saturating_sub(pays.0));
            ahead.push((part, pays));
        }
        // What no part covers is asked of the last one of the scope: its row may have something free.
        for (part, pays) in ahead.iter_mut().rev() {
            if let Some(left) = due.remove(&part.scope) {
                *pays = NanoUsd(pays.0.saturating_add(left.0));
            }
        }
        ahead.reverse();
        Self {
            ahead,
            finished: Finished::default(),
        }
    }

    /// What to do now.
    pub fn next_step(&mut self) -> SettlingStep {
        match self.ahead.last() {
            Some((part, cost)) => SettlingStep::Pay {
                part: *part,
                cost: *cost,
            },
            None => SettlingStep::Finished(std::mem::take(&mut self.finished)),
        }
    }

    /// The step was done without the lease, which is gone.
    pub fn owed(&mut self, nanos: NanoUsd) {
        if let Some((part, _)) = self.ahead.pop()
            && nanos > NanoUsd::ZERO
        {
            let scope = part.scope;
            self.finished.debts.push(Debt { scope, nanos });
        }
    }

    /// The step was done.
    pub fn paid(&mut self, charge: Charge, back: Option<Return>) {
        let Some((part, _)) = self.ahead.pop() else {
            return;
        };
        if charge.lease == LeaseId::UNCOVERED {
            let debt = Debt {
                scope: part.scope,
                nanos: charge.nanos,
            };
            self.finished.debts.push(debt);
        } else if charge.nanos > NanoUsd::ZERO || charge.over > NanoUsd::ZERO {
            self.finished.charges.push(charge);
        }
        self.finished.returns.extend(back);
    }
}
