//! What a worker does to rows, in single steps: each reads a row or swaps one. Between two steps other workers take theirs.

use tollgate_core::money::holder::{
    Hold, LeaseRow, Part, Settling, SettlingStep, Taking, TakingStep,
};
use tollgate_core::money::ids::{AccountKey, LeaseId, Millis, ScopeId};
use tollgate_core::money::ledger::Lease;
use tollgate_core::money::message::{Debt, Grant, Return, Usage};
use tollgate_core::units::NanoUsd;

use crate::oracle::{Oracle, trace};
use crate::proxy::Proxy;
use crate::request::{Running, Waiting, shares};
use crate::service::Service;
use crate::settings::Mutant;
use crate::table::Seen;

pub(crate) struct Operation {
    pub(crate) worker: usize,
    kind: Kind,
    seen: Option<Seen>,
    /// What a mutant does not give back.
    kept: Vec<Part>,
}

pub(crate) enum Kind {
    Take {
        job: Job,
        taking: Taking,
        step: TakingStep,
    },
    Finish {
        running: Running,
        settling: Settling,
        step: SettlingStep,
    },
    Release(Part),
    Land {
        grant: Grant,
        sent_at: Millis,
    },
    Deny(ScopeId),
    Recall(ScopeId),
    /// The service has posted what was spent without a lease.
    Repaid(Debt),
    Sweep((Option<u32>, ScopeId)),
    Drain((Option<u32>, ScopeId)),
    Ask {
        scope: ScopeId,
        need: NanoUsd,
        waiting: NanoUsd,
    },
}

/// What money is taken for.
pub(crate) enum Job {
    Admit(Waiting),
    Raise { running: Running, cost: u64 },
}

/// The world around an operation.
pub(crate) struct Around<'world> {
    pub(crate) tick: u64,
    pub(crate) service: &'world Service,
    pub(crate) oracle: &'world mut Oracle,
}

/// The slot and what came of it; none if the row was only read, or somebody else wrote it since.
type Attempt<Outcome> = Option<(Option<u32>, Outcome)>;

impl Kind {
    pub(crate) fn admit(waiting: Waiting, mut taking: Taking) -> Self {
        let step = taking.next_step();
        Self::Take {
            job: Job::Admit(waiting),
            taking,
            step,
        }
    }

    pub(crate) fn raise(running: Running, mut taking: Taking, cost: u64) -> Self {
        let step = taking.next_step();
        Self::Take {
            job: Job::Raise { running, cost },
            taking,
            step,
        }
    }

    pub(crate) fn finish(running: Running, mut settling: Settling) -> Self {
        let step = settling.next_step();
        Self::Finish {
            running,
            settling,
            step,
        }
    }
}

impl Operation {
    pub(crate) fn new(worker: usize, kind: Kind) -> Self {
        Self {
            worker,
            kind,
            seen: None,
            kept: Vec::new(),
        }
    }

    /// One step; what is left to do, if anything is.
    pub(crate) fn advance(self, proxy: &mut Proxy, around: &mut Around<'_>) -> Option<Self> {
        match &self.kind {
            Kind::Take { .. } => self.take(proxy, around),
            Kind::Finish { .. } => self.finish(proxy, around),
            Kind::Ask { .. } => self.ask(proxy, around.tick),
            Kind::Release(..)
            | Kind::Land { .. }
            | Kind::Deny(..)
            | Kind::Recall(..)
            | Kind::Repaid(..)
            | Kind::Sweep(..)
            | Kind::Drain(..) => self.change(proxy, around.tick),
        }
    }

    /// A change of one row that may send money home.
    fn change(mut self, proxy: &mut Proxy, tick: u64) -> Option<Self> {
        let now = proxy.now(tick);
        let back = match &self.kind {
            Kind::Release(part) => self.release(proxy, *part),
            Kind::Land { grant, sent_at } => {
                let (grant, sent_at) = (*grant, *sent_at);
                proxy.woken.insert(grant.scope);
                self.at_scope(proxy, grant.scope, |row| {
                    let landed = row.land(&grant, sent_at).unwrap();
                    (Some(landed.row), landed.back)
                })
            }
            Kind::Deny(scope) => self.at_scope(proxy, *scope, |row| (Some(row.denied(now)), None)),
            Kind::Recall(scope) => self.at_scope(proxy, *scope, |row| {
                let recalled = row.recall(now);
                (Some(recalled.row), recalled.back)
            }),
            Kind::Repaid(debt) => {
                let debt = *debt;
                // What was borrowed stands where all workers see it, and stays there as long as it is owed.
                let found = proxy.table.slot_of(debt.scope);
                let slot = self.seen.map_or(found, |seen| seen.slot)?;
                self.at_slot(proxy, Some(slot), debt.scope, |row| {
                    (Some(row.repaid(debt.nanos)), None)
                })
            }
            Kind::Sweep((slot, scope)) => self.at_slot(proxy, *slot, *scope, |row| {
                let swept = row.sweep(now);
                (swept.back.map(|_| swept.row), swept.back)
            }),
            Kind::Drain((slot, scope)) => self.at_slot(proxy, *slot, *scope, |row| {
                let drained = row.drain();
                (drained.back.map(|_| drained.row), drained.back)
            }),
            Kind::Take { .. } | Kind::Finish { .. } | Kind::Ask { .. } => return None,
        };
        let Some((_, back)) = back else {
            return Some(self);
        };
        back.into_iter().for_each(|back| proxy.give_back(back));
        None
    }

    /// A want goes out with the next batch.
    fn ask(mut self, proxy: &mut Proxy, tick: u64) -> Option<Self> {
        let now = proxy.now(tick);
        let Kind::Ask {
            scope,
            need,
            waiting,
        } = self.kind
        else {
            return None;
        };
        let asked = self.at_scope(proxy, scope, |row| {
            let asked = row.ask(need, waiting, now);
            asked.map_or((None, None), |(row, want)| (Some(row), Some(want)))
        });
        let Some((_, want)) = asked else {
            return Some(self);
        };
        want.into_iter()
            .for_each(|want| proxy.want(self.worker, want));
        None
    }

    fn take(mut self, proxy: &mut Proxy, around: &mut Around<'_>) -> Option<Self> {
        let worker = self.worker;
        let now = proxy.now(around.tick);
        let kind = std::mem::replace(&mut self.kind, Kind::Deny(ScopeId(0)));
        let Kind::Take {
            job,
            mut taking,
            step,
        } = kind
        else {
            return None;
        };
        match step.clone() {
            TakingStep::Take { scope, amount } => {
                let allowed = proxy.may_borrow(worker, now);
                // What is a worker's own is seen by no other, so nothing is borrowed there.
                let shared = self.seen.is_some_and(|seen| seen.slot.is_some());
                let taken = self.at_scope(proxy, scope, |row| match row.take(amount, now) {
                    Ok(taken) => (Some(taken.row), Ok((taken.row.lease, taken.ask))),
                    Err(short) if allowed == NanoUsd::ZERO || !shared => (None, Err(short)),
                    Err(_) => match row.borrow(amount, allowed, now) {
                        Ok(row) => (Some(row), Ok((LeaseId::UNCOVERED, None))),
                        Err(short) => (None, Err(short)),
                    },
                });
                match taken {
                    None => {
                        self.kind = Kind::Take { job, taking, step };
                        return Some(self);
                    }
                    Some((slot, Ok((lease, ask)))) => {
                        taking.took(slot, lease);
                        ask.into_iter().for_each(|want| proxy.want(worker, want));
                    }
                    Some((_, Err(short))) => taking.fell_short(short),
                }
            }
            TakingStep::GiveBack(part) if keeps(proxy.mutant) => self.kept.push(part),
            TakingStep::GiveBack(part) => match self.release(proxy, part) {
                None => {
                    self.kind = Kind::Take { job, taking, step };
                    return Some(self);
                }
                Some((_, back)) => back.into_iter().for_each(|back| proxy.give_back(back)),
            },
            TakingStep::Held(hold) => {
                held(proxy, worker, job, hold, around);
                return None;
            }
            TakingStep::Short { scope, .. } => {
                short(proxy, worker, job, (scope, self.kept), around);
                return None;
            }
        }
        let step = taking.next_step();
        self.kind = Kind::Take { job, taking, step };
        Some(self)
    }

    fn finish(mut self, proxy: &mut Proxy, around: &mut Around<'_>) -> Option<Self> {
        let kind = std::mem::replace(&mut self.kind, Kind::Deny(ScopeId(0)));
        let Kind::Finish {
            running,
            mut settling,
            step,
        } = kind
        else {
            return None;
        };
        let (part, cost) = match step.clone() {
            SettlingStep::Pay { part, cost } => (part, cost),
            SettlingStep::Finished(finished) => {
                // The returns are in the books already, step by step.
                proxy.returns.extend(finished.returns);
                let usage = Usage {
                    closes: running.opened,
                    charges: finished.charges,
                    debts: if proxy.mutant == Mutant::ForgottenDebt {
                        Vec::new()
                    } else {
                        finished.debts
                    },
                    cost: NanoUsd(running.request.cost),
                    record: trace(running.request.id).to_vec(),
                    ..Usage::default()
                };
                proxy.ended(self.worker, running.request.id, usage);
                return None;
            }
        };
        let paid = self.at_slot(proxy, part.slot, part.scope, |row| {
            let settled = row.settle(part.lease, part.nanos, cost);
            (Some(settled.row), (settled.charge, settled.back))
        });
        let Some((_, (charge, back))) = paid else {
            self.kind = Kind::Finish {
                running,
                settling,
                step,
            };
            return Some(self);
        };
        // What the hold did not cover came out of the lease: from now on that is truth as well.
        let extra = charge.nanos.0 - cost.0.min(part.nanos.0);
        if charge.lease == LeaseId::UNCOVERED {
            // A request that costs more than was feared is never refused: the bound does not hold for the excess.
            let name = (proxy.incarnation.unwrap(), part.scope);
            around.oracle.owes(name, extra, u64::MAX);
        } else {
            let keys = &lease(around.service, charge.lease).accounts;
            around.oracle.spent(keys, extra, &around.service.memory);
        }
        proxy.charged(charge);
        if let Some(back) = back {
            proxy.books.entry(back.lease).or_default().given_back += back.nanos.0;
        }
        settling.paid(charge, back);
        let step = settling.next_step();
        self.kind = Kind::Finish {
            running,
            settling,
            step,
        };
        Some(self)
    }

    fn release(&mut self, proxy: &mut Proxy, part: Part) -> Attempt<Option<Return>> {
        self.at_slot(proxy, part.slot, part.scope, |row| {
            let released = row.release(part.lease, part.nanos);
            (Some(released.row), released.back)
        })
    }

    /// One step towards changing the row of a scope.
    fn at_scope<Outcome>(
        &mut self,
        proxy: &mut Proxy,
        scope: ScopeId,
        change: impl FnOnce(LeaseRow) -> (Option<LeaseRow>, Outcome),
    ) -> Attempt<Outcome> {
        let Some(seen) = self.seen.take() else {
            self.seen = Some(proxy.table.find(self.worker, scope));
            return None;
        };
        swap(proxy, self.worker, seen, change)
    }

    /// One step towards changing the row that stands in a slot.
    fn at_slot<Outcome>(
        &mut self,
        proxy: &mut Proxy,
        slot: Option<u32>,
        scope: ScopeId,
        change: impl FnOnce(LeaseRow) -> (Option<LeaseRow>, Outcome),
    ) -> Attempt<Outcome> {
        let Some(seen) = self.seen.take() else {
            self.seen = Some(proxy.table.read(self.worker, slot, scope));
            return None;
        };
        swap(proxy, self.worker, seen, change)
    }
}

fn swap<Outcome>(
    proxy: &mut Proxy,
    worker: usize,
    seen: Seen,
    change: impl FnOnce(LeaseRow) -> (Option<LeaseRow>, Outcome),
) -> Attempt<Outcome> {
    let (row, outcome) = change(seen.row);
    if row.is_some_and(|row| !proxy.table.swap(worker, seen, row)) {
        return None;
    }
    Some((seen.slot, outcome))
}

fn keeps(mutant: Mutant) -> bool {
    matches!(mutant, Mutant::ForgottenRefund | Mutant::NonAtomicHierarchy)
}

fn held(proxy: &mut Proxy, worker: usize, job: Job, hold: Hold, around: &mut Around<'_>) {
    match job {
        Job::Admit(waiting) => {
            bill(proxy, around, &hold, waiting.request.cost, &[]);
            proxy.serve(worker, &waiting, hold, around.tick);
        }
        Job::Raise { mut running, cost } => {
            let before = shares(&running.hold, running.request.cost);
            running.request.cost += cost;
            running.hold.join(hold);
            bill(proxy, around, &running.hold, running.request.cost, &before);
            proxy.workers[worker].running.push(running);
        }
    }
}

fn short(
    proxy: &mut Proxy,
    worker: usize,
    job: Job,
    (scope, kept): (ScopeId, Vec<Part>),
    around: &mut Around<'_>,
) {
    let mut waiting = match job {
        Job::Admit(waiting) => waiting,
        // It goes on with what it has: the fallback is not tried.
        Job::Raise { running, .. } => return proxy.workers[worker].running.push(running),
    };
    let is_served = proxy.mutant == Mutant::ChargeAfter
        || proxy.mutant == Mutant::NonAtomicHierarchy && !kept.is_empty();
    if is_served {
        let hold = Hold { parts: kept };
        let cost = waiting.request.cost;
        for scope in &waiting.request.scopes {
            if hold.parts.iter().all(|part| part.scope != *scope) {
                bill_unheld(around, *scope, cost);
            }
        }
        bill(proxy, around, &hold, cost, &[]);
        return proxy.serve(worker, &waiting, hold, around.tick);
    }
    waiting.short_of = Some(scope);
    let need = NanoUsd(waiting.request.most);
    let own = &mut proxy.workers[worker];
    own.waiting.push(waiting);
    let same = own
        .waiting
        .iter()
        .filter(|waiting| waiting.short_of == Some(scope));
    let all = NanoUsd(same.map(|waiting| waiting.request.most).sum());
    let kind = Kind::Ask {
        scope,
        need,
        waiting: all,
    };
    proxy.operations.push(Operation::new(worker, kind));
}

/// What the parts of a hold pay becomes truth, beyond what already was.
fn bill(proxy: &Proxy, around: &mut Around<'_>, hold: &Hold, cost: u64, before: &[(Part, u64)]) {
    for (place, (part, nanos)) in shares(hold, cost).into_iter().enumerate() {
        let known = before.get(place).map_or(0, |share| share.1);
        if part.lease == LeaseId::UNCOVERED {
            let name = (proxy.incarnation.unwrap(), part.scope);
            around.oracle.owes(name, nanos - known, proxy.debt);
            continue;
        }
        let keys = &lease(around.service, part.lease).accounts;
        around
            .oracle
            .spent(keys, nanos - known, &around.service.memory);
    }
}

fn bill_unheld(around: &mut Around<'_>, scope: ScopeId, cost: u64) {
    let scope = &around.service.memory.rows().scopes[&scope];
    for open in &scope.budgets {
        let key = AccountKey {
            budget: open.budget.id,
            window: open.window.id,
        };
        around.oracle.spent(&[key], cost, &around.service.memory);
    }
}

fn lease(service: &Service, id: LeaseId) -> &Lease {
    &service.memory.rows().leases[&id]
}
