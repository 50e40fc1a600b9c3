//! The rows of the ledger, as a store keeps them.

use crate::money::ids::{
    AccountKey, BodyHash, BudgetId, Incarnation, LeaseId, RecordNumber, ScopeId, Seq,
};
use crate::money::message::SyncReply;
use crate::money::thresholds::{Lines, Mode, Step, allowance, bound};
use crate::money::window::WindowNow;
use crate::units::{MoneyOverflow, NanoUsd, Timestamp};

/// Numbers that are given out once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The last incarnation.
    pub incarnation: Incarnation,
    /// The last lease.
    pub lease: LeaseId,
}

/// One limit of a scope, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Its name in account keys.
    pub id: BudgetId,
    /// What may be spent in a window.
    pub limit: NanoUsd,
    /// How far a window may run over, at the cost of the next one.
    pub overflow_percent: u32,
    /// Whether it binds.
    pub mode: Mode,
    /// What happens on the way to the limit.
    pub steps: Vec<Step>,
}

/// A budget with the window that is open now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenBudget {
    /// The budget.
    pub budget: Budget,
    /// Its window; the service derives it from the time in the budget's zone.
    pub window: WindowNow,
}

/// Whose money it is, and every limit on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Its name.
    pub id: ScopeId,
    /// Every limit on it. None at all: what is wanted is granted.
    pub budgets: Vec<OpenBudget>,
    /// How many holders have an open lease of it: money that is scarce is shared between them.
    pub holders: u32,
}

/// The balance of one budget in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What leases hold.
    pub held: NanoUsd,
    /// What is spent, and what is presumed so.
    pub posted: NanoUsd,
    /// What the window before ran over.
    pub carried: NanoUsd,
    /// Spent beyond what was held for it: by requests that cost more, and by those that were served uncovered.
    pub overrun: NanoUsd,
    /// The highest step that was announced, in percent.
    pub announced: u32,
}

/// Money moved from accounts to one holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who may spend it.
    pub incarnation: Incarnation,
    /// For whom.
    pub scope: ScopeId,
    /// The accounts it was taken from: they pay, also after their windows ended.
    pub accounts: Vec<AccountKey>,
    /// What was moved in.
    pub granted: NanoUsd,
    /// What requests cost.
    pub settled: NanoUsd,
    /// What came back.
    pub returned: NanoUsd,
    /// What requests cost beyond the lease.
    pub overrun: NanoUsd,
    /// Whether the rest is held or presumed spent.
    pub standing: LeaseStanding,
}

/// What is believed of the part of a lease that nobody accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseStanding {
    /// Its holder will account for it; until then it is held. Nothing left means the lease is closed.
    Active,
    /// Its holder was silent for too long: the rest counts as spent, until evidence says otherwise.
    Presumed,
}

/// One life of one proxy process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// When it said hello.
    pub joined_at: Timestamp,
    /// When it was heard last.
    pub heard_at: Timestamp,
    /// What is believed of it.
    pub standing: HolderStanding,
}

/// What is believed of a holder. A verdict is never final: whoever speaks is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderStanding {
    /// It speaks.
    Alive,
    /// It is silent; its leases are held as before.
    Suspect,
    /// It was silent for too long; its leases are presumed spent.
    Presumed,
}

/// How far a stream of batches is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The last batch applied.
    pub answered: Seq,
    /// Its digest.
    pub hash: BodyHash,
    /// What was answered.
    pub reply: SyncReply,
    /// The last record counted.
    pub last_record: RecordNumber,
}

impl Scope {
    /// The accounts of the windows that are open now.
    pub fn open_accounts(&self) -> impl Iterator<Item = AccountKey> {
        self.budgets.iter().map(|open| AccountKey {
            budget: open.budget.id,
            window: open.window.id,
        })
    }
}

impl Lease {
    /// What nobody accounted for yet.
    pub fn remainder(&self) -> Result<NanoUsd, MoneyOverflow> {
        self.granted.minus(self.settled)?.minus(self.returned)
    }
}

impl Account {
    /// The lines that spending under `budget` is measured against.
    pub fn lines(&self, budget: &Budget) -> Result<Lines, MoneyOverflow> {
        Ok(Lines {
            limit: budget.limit,
            allowance: allowance(budget.limit, budget.overflow_percent, self.carried)?,
        })
    }

    /// What may still be granted under `budget`: nothing if its limit was cut below what is out, and `None` if it does
    /// not bind.
    pub fn available(&self, budget: &Budget) -> Result<Option<NanoUsd>, MoneyOverflow> {
        let left = self.left(budget)?;
        Ok(left.map(|left| NanoUsd(left.0.saturating_sub(self.held.0))))
    }

    /// What is not spent under `budget`, whoever holds it; `None` if it does not bind.
    pub fn left(&self, budget: &Budget) -> Result<Option<NanoUsd>, MoneyOverflow> {
        let lines = self.lines(budget)?;
        let bound = bound(&budget.steps, budget.mode, lines.allowance);
        Ok(bound.map(|bound| NanoUsd(bound.0.saturating_sub(self.posted.0))))
    }
}
