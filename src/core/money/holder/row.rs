//! One row: the money of one process for one scope, and every way it may change.

use super::demand::Demand;
use crate::money::ids::{LeaseId, Millis, ScopeId, WindowId};
use crate::money::message::{AMOUNT_MAX, Charge, Grant, Return, Status, Want};
use crate::money::thresholds::Action;
use crate::units::{MoneyOverflow, NanoUsd};

/// Money that nobody touched for this long goes back. It may be long, since whoever needs money has it recalled; in the
/// simulator 10 s cost a round trip in one request of 23, 60 s in one of 400.
pub const IDLE_MS: u64 = 60_000;
/// A scope that was denied is not asked for again before this.
pub const ASK_AGAIN_MS: u64 = 100;
/// Whoever asked is taken for dead after this, and another may ask.
const ASKED_FOR_DEAD_MS: u64 = 2_000;
/// A scope that was recalled hoards nothing for this long.
const TIGHT_MS: u64 = 1_000;

/// The money of one process for one scope. Always `granted = free + in_flight + settled + returned`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseRow {
    /// Whose money it is.
    pub scope: ScopeId,
    /// The lease that pays; 0 before the first grant.
    pub lease: LeaseId,
    /// The window it was granted in.
    pub window: WindowId,
    /// What came in by this lease.
    pub granted: NanoUsd,
    /// What the next request may take.
    pub free: NanoUsd,
    /// What running requests hold.
    pub in_flight: NanoUsd,
    /// What requests cost.
    pub settled: NanoUsd,
    /// What went back unspent.
    pub returned: NanoUsd,
    /// What is usually taken.
    pub demand: Demand,
    /// When somebody last took.
    pub used_at: Millis,
    /// When the lease should be renewed.
    pub good_until: Millis,
    /// When it was recalled, because others were refused.
    pub tight_since: Millis,
    /// Who waits for the service.
    pub asking: Asking,
    /// How its budgets stood when the service last spoke of them.
    pub standing: Standing,
    /// Spent without a lease while the service was away, or held for that: until the service knows of it.
    pub uncovered: NanoUsd,
}

/// How the budgets of a scope stand, as far as this process has heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What their steps ask for.
    pub action: Action,
    /// Spent in the budget that is nearest to its limit.
    pub spent: NanoUsd,
    /// The limit of that budget; zero where none is known.
    pub limit: NanoUsd,
    /// When its window ends; zero for one that never does.
    pub resets_at: Millis,
    /// What is not spent of the budget that has least of it, whoever holds it; none if no budget binds.
    pub left: Option<NanoUsd>,
}

impl Standing {
    /// Whether so much could not be covered even if everything came back that others hold.
    pub fn is_hopeless(&self, amount: NanoUsd) -> bool {
        self.left.is_some_and(|left| left < amount)
    }

    /// How much of the limit is spent.
    pub fn percent(&self) -> Option<u64> {
        let percent = u128::from(self.spent.0).saturating_mul(100);
        let percent = percent.checked_div(u128::from(self.limit.0))?;
        u64::try_from(percent).ok()
    }
}

/// Whether somebody waits for the service on behalf of a scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asking {
    /// Nobody does.
    #[default]
    Nobody,
    /// A want is on its way.
    ExpectGrant {
        /// Since when.
        since: Millis,
    },
    /// The last want got nothing.
    Denied {
        /// When.
        since: Millis,
    },
}

/// The row has less than was to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// How much is missing.
    pub missing: NanoUsd,
}

/// A row from which something was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The row to swap in.
    pub row: LeaseRow,
    /// What to ask for after the swap, before it is dry.
    pub ask: Option<Want>,
}

/// A row after something was put back, or taken away to be put back at the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// The row to swap in.
    pub row: LeaseRow,
    /// What to give back to the service after the swap.
    pub back: Option<Return>,
}

/// A row after a request was paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The row to swap in.
    pub row: LeaseRow,
    /// What to report after the swap.
    pub charge: Charge,
    /// What to give back to the service after the swap.
    pub back: Option<Return>,
}

// No sum below can overflow: each is a part of `granted`, and `land` refuses what would make that overflow.
impl LeaseRow {
    /// A row without money.
    pub fn new(scope: ScopeId) -> Self {
        Self {
            scope,
            ..Self::default()
        }
    }

    /// Takes `amount` out of what is free, whole or not at all.
    pub fn take(self, amount: NanoUsd, now: Millis) -> Result<Taken, Short> {
        let Ok(free) = self.free.minus(amount) else {
            return Err(Short {
                missing: less(amount, self.free),
            });
        };
        let row = Self {
            free,
            in_flight: more(self.in_flight, amount),
            demand: self.demand.and(amount, now),
            used_at: now,
            ..self
        };
        let half = NanoUsd(row.demand.target(now).0 / 2);
        let wanting = row.free < half && !row.is_tight(now) || now > row.good_until;
        let asked = if wanting {
            row.ask(NanoUsd::ZERO, NanoUsd::ZERO, now)
        } else {
            None
        };
        let (row, ask) = asked.map_or((row, None), |(row, want)| (row, Some(want)));
        Ok(Taken { row, ask })
    }

    /// Takes `amount` without a lease, because the service is away, if all that is uncovered stays within what is
    /// `allowed`. Only for rows that all workers share: each sees what the others have taken.
    pub fn borrow(self, amount: NanoUsd, allowed: NanoUsd, now: Millis) -> Result<Self, Short> {
        let uncovered = more(self.uncovered, amount);
        if uncovered > allowed {
            return Err(Short {
                missing: less(uncovered, allowed),
            });
        }
        Ok(Self {
            uncovered,
            demand: self.demand.and(amount, now),
            used_at: now,
            ..self
        })
    }

    /// As a process has it that was named anew: leases before `first` are gone with the memory of who gave them.
    #[must_use]
    pub fn since(self, first: LeaseId) -> Self {
        if self.lease == LeaseId::UNCOVERED || self.lease >= first {
            return self;
        }
        Self {
            demand: self.demand,
            used_at: self.used_at,
            standing: self.standing,
            uncovered: self.uncovered,
            ..Self::new(self.scope)
        }
    }

    /// This was spent, and no lease covers it.
    #[must_use]
    pub fn owing(self, nanos: NanoUsd) -> Self {
        Self {
            uncovered: more(self.uncovered, nanos),
            ..self
        }
    }

    /// The service has posted what was uncovered: as much may be borrowed again.
    #[must_use]
    pub fn repaid(self, nanos: NanoUsd) -> Self {
        Self {
            uncovered: less(self.uncovered, nanos),
            ..self
        }
    }

    /// Asks the service for more, unless somebody does already. `need` must be free for the first who waits, `waiting`
    /// for all who do.
    pub fn ask(self, need: NanoUsd, waiting: NanoUsd, now: Millis) -> Option<(Self, Want)> {
        let is_silent = match self.asking {
            Asking::Nobody => false,
            Asking::ExpectGrant { since } => !now.is_over(since, ASKED_FOR_DEAD_MS),
            Asking::Denied { since } => !now.is_over(since, ASK_AGAIN_MS),
        };
        if is_silent {
            return None;
        }
        let target = if self.is_tight(now) {
            waiting.max(need)
        } else {
            self.demand.target(now).max(waiting).max(need)
        };
        // What is free of a lease that is due may be of a window that is over, and go home when the new one comes.
        let stays = if now > self.good_until {
            NanoUsd::ZERO
        } else {
            self.free
        };
        let want = Want {
            scope: self.scope,
            need: less(need, self.free),
            want: less(target.min(AMOUNT_MAX), stays),
        };
        let asking = Asking::ExpectGrant { since: now };
        Some((Self { asking, ..self }, want))
    }

    /// Puts a grant in. Another lease than before means another window: what is free of the old one goes back, and what
    /// is in flight will go back past this row.
    pub fn land(self, grant: &Grant, sent_at: Millis) -> Result<Released, MoneyOverflow> {
        let (old, back) = if self.lease == grant.lease {
            (self, None)
        } else {
            let fresh = Self {
                lease: grant.lease,
                granted: NanoUsd::ZERO,
                free: NanoUsd::ZERO,
                in_flight: NanoUsd::ZERO,
                settled: NanoUsd::ZERO,
                returned: NanoUsd::ZERO,
                ..self
            };
            (fresh, give_back(self.lease, self.free))
        };
        let row = Self {
            window: grant.window,
            granted: old.granted.plus(grant.nanos)?,
            free: more(old.free, grant.nanos),
            good_until: sent_at.after(u64::from(grant.ttl_ms)),
            asking: Asking::Nobody,
            ..old
        };
        Ok(Released { row, back })
    }

    /// Notes how the budgets stand.
    #[must_use]
    pub fn stands(self, status: &Status, now: Millis) -> Self {
        let resets_at = status.resets_in_ms.map(|millis| now.after(millis));
        Self {
            standing: Standing {
                action: status.action,
                spent: status.spent,
                limit: status.limit,
                resets_at: resets_at.unwrap_or_default(),
                left: status.left,
            },
            ..self
        }
    }

    /// Notes that a want got nothing.
    #[must_use]
    pub fn denied(self, now: Millis) -> Self {
        Self {
            asking: Asking::Denied { since: now },
            ..self
        }
    }

    /// Puts back what a request held of `lease` and does not need. Money of a lease that is no longer here goes to the
    /// service.
    pub fn release(self, lease: LeaseId, held: NanoUsd) -> Released {
        if lease == LeaseId::UNCOVERED {
            let row = self.repaid(held);
            return Released { row, back: None };
        }
        let here = self.in_flight_here(lease, held);
        let row = Self {
            in_flight: less(self.in_flight, here),
            free: more(self.free, here),
            ..self
        };
        let back = give_back(lease, less(held, here));
        Released { row, back }
    }

    /// Pays `cost` out of the `held` of `lease`; the rest is free again. What the hold does not cover comes out of what
    /// is free; what that does not cover is reported as spent beyond the lease.
    pub fn settle(self, lease: LeaseId, held: NanoUsd, cost: NanoUsd) -> Settled {
        if lease == LeaseId::UNCOVERED {
            return self.owe(held, cost);
        }
        let here = self.in_flight_here(lease, held);
        let paid = cost.min(held);
        let paid_here = paid.min(here);
        let excess = less(cost, paid);
        let extra = if self.lease == lease {
            excess.min(self.free)
        } else {
            NanoUsd::ZERO
        };
        let row = Self {
            in_flight: less(self.in_flight, here),
            free: more(less(self.free, extra), less(here, paid_here)),
            settled: more(more(self.settled, paid_here), extra),
            ..self
        };
        let charge = Charge {
            lease,
            nanos: more(paid, extra),
            over: less(excess, extra),
        };
        let paid_elsewhere = less(paid, paid_here);
        let back = give_back(lease, less(less(held, here), paid_elsewhere));
        Settled { row, charge, back }
    }

    /// What was held uncovered cost so much: from now on that is what the service has to be told.
    fn owe(self, held: NanoUsd, cost: NanoUsd) -> Settled {
        let row = Self {
            uncovered: more(less(self.uncovered, held), cost),
            ..self
        };
        let charge = Charge {
            lease: LeaseId::UNCOVERED,
            nanos: cost,
            over: NanoUsd::ZERO,
        };
        Settled {
            row,
            charge,
            back: None,
        }
    }

    /// Gives back all that is free, because money is tight, and hoards nothing for a while.
    pub fn recall(self, now: Millis) -> Released {
        let row = Self {
            tight_since: now,
            ..self
        };
        row.give_up(self.free)
    }

    /// Gives back what lies idle: everything if nobody came for long, else what is far above the demand.
    pub fn sweep(self, now: Millis) -> Released {
        let target = self.demand.target(now);
        if now.is_over(self.used_at, IDLE_MS) {
            self.give_up(self.free)
        } else if self.free.0 > target.0.saturating_mul(2) {
            self.give_up(less(self.free, target))
        } else {
            self.give_up(NanoUsd::ZERO)
        }
    }

    /// Gives back all that is free, because the process is going to stop.
    pub fn drain(self) -> Released {
        self.give_up(self.free)
    }

    /// Nothing depends on this row: another scope may have its slot.
    pub fn is_closed(&self) -> bool {
        self.free == NanoUsd::ZERO
            && self.in_flight == NanoUsd::ZERO
            && self.uncovered == NanoUsd::ZERO
            && !matches!(self.asking, Asking::ExpectGrant { .. })
    }

    fn is_tight(&self, now: Millis) -> bool {
        !now.is_over(self.tight_since, TIGHT_MS)
    }

    fn give_up(self, amount: NanoUsd) -> Released {
        let row = Self {
            free: less(self.free, amount),
            returned: more(self.returned, amount),
            ..self
        };
        let back = give_back(self.lease, amount);
        Released { row, back }
    }

    /// How much of a hold this row counts as in flight. Within one lease it does not matter whose hold is whose: a row
    /// that lost sight of a hold (its slot was reused, or its lease came back) lets it pass by.
    fn in_flight_here(&self, lease: LeaseId, held: NanoUsd) -> NanoUsd {
        if self.lease == lease {
            held.min(self.in_flight)
        } else {
            NanoUsd::ZERO
        }
    }
}

fn give_back(lease: LeaseId, nanos: NanoUsd) -> Option<Return> {
    (nanos > NanoUsd::ZERO).then_some(Return { lease, nanos })
}

fn less(amount: NanoUsd, part: NanoUsd) -> NanoUsd {
    NanoUsd(amount.0.saturating_sub(part.0))
}

fn more(amount: NanoUsd, part: NanoUsd) -> NanoUsd {
    NanoUsd(amount.0.saturating_add(part.0))
}
