//! What a worker does to rows, in single steps: each reads a row or swaps one. Between two steps other workers take theirs.

use tollgate_core::money::holder::{
    Hold, LeaseRow, Part, Settling, SettlingStep, Short, Taking, TakingStep,
};
use tollgate_core::money::ids::{AccountKey, LeaseId, Millis, ScopeId};
use tollgate_core::money::ledger::Lease;
use tollgate_core::money::message::{Detail, Grant, Return, Usage, Want};
use tollgate_core::units::NanoUsd;

use crate::oracle::{Oracle, trace};
use crate::proxy::Proxy;
use crate::request::{Running, Waiting, shares};
use crate::service::Service;
use crate::settings::Mutant;
use crate::table::{Seen, Table};

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
    Sweep(u32),
    Drain(u32),
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

/// Whether an operation is over.
pub(crate) enum Progress {
    Goes(Operation),
    Over,
}

/// What became of one step.
enum Attempt<Outcome> {
    /// Read, or lost a race.
    Again,
    /// There is no row, and no slot for one.
    Absent,
    Done(Option<u32>, Outcome),
}

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

    /// One step.
    pub(crate) fn advance(mut self, proxy: &mut Proxy, around: &mut Around<'_>) -> Progress {
        let now = proxy.now(around.tick);
        let worker = self.worker;
        let seen = &mut self.seen;
        let by_scope = |scope: ScopeId| move |table: &Table| table.find(scope);
        let by_slot = |slot: u32| move |table: &Table| table.read(slot);
        let back = match &self.kind {
            Kind::Take { .. } => return self.take(proxy, around),
            Kind::Finish { .. } => return self.finish(proxy, around),
            Kind::Release(part) => release(proxy, seen, *part),
            Kind::Land { grant, sent_at } => {
                let land = |row: LeaseRow| {
                    let landed = row.land(grant, *sent_at).unwrap();
                    (Some(landed.row), landed.back)
                };
                let landed = attempt(&mut proxy.table, seen, by_scope(grant.scope), land);
                if !matches!(landed, Attempt::Again) {
                    proxy.woken.insert(grant.scope);
                }
                match landed {
                    Attempt::Absent => {
                        let old = proxy.workers[worker].pocket.insert(grant.scope, *grant);
                        let back = old.map(|old| Return {
                            lease: old.lease,
                            nanos: old.nanos,
                        });
                        Attempt::Done(None, back)
                    }
                    landed => landed,
                }
            }
            Kind::Deny(scope) => {
                let deny = |row: LeaseRow| (Some(row.denied(now)), None);
                attempt(&mut proxy.table, seen, by_scope(*scope), deny)
            }
            Kind::Recall(scope) => {
                let recall = |row: LeaseRow| {
                    let recalled = row.recall(now);
                    (Some(recalled.row), recalled.back)
                };
                attempt(&mut proxy.table, seen, by_scope(*scope), recall)
            }
            Kind::Sweep(slot) => {
                let sweep = |row: LeaseRow| {
                    let swept = row.sweep(now);
                    (swept.back.map(|_| swept.row), swept.back)
                };
                attempt(&mut proxy.table, seen, by_slot(*slot), sweep)
            }
            Kind::Drain(slot) => {
                let drain = |row: LeaseRow| {
                    let drained = row.drain();
                    (drained.back.map(|_| drained.row), drained.back)
                };
                attempt(&mut proxy.table, seen, by_slot(*slot), drain)
            }
            Kind::Ask {
                scope,
                need,
                waiting,
            } => {
                let ask = |row: LeaseRow| {
                    let asked = row.ask(*need, *waiting, now);
                    asked.map_or((None, None), |(row, want)| (Some(row), Some(want)))
                };
                let asked = attempt(&mut proxy.table, seen, by_scope(*scope), ask);
                return self.asked(proxy, around.tick, asked);
            }
        };
        match back {
            Attempt::Again => Progress::Goes(self),
            Attempt::Absent => Progress::Over,
            Attempt::Done(_, back) => {
                back.into_iter().for_each(|back| proxy.give_back(back));
                Progress::Over
            }
        }
    }

    /// A want goes out with the next batch; without a slot, for just what is needed.
    fn asked(self, proxy: &mut Proxy, tick: u64, asked: Attempt<Option<Want>>) -> Progress {
        let Kind::Ask { scope, need, .. } = self.kind else {
            return Progress::Over;
        };
        match asked {
            Attempt::Again => return Progress::Goes(self),
            Attempt::Done(_, want) => {
                want.into_iter()
                    .for_each(|want| proxy.want(self.worker, want));
            }
            Attempt::Absent => {
                let asked = proxy.workers[self.worker].asked.insert(scope, tick);
                if asked.is_none_or(|asked| asked + 20 < tick) {
                    proxy.want(
                        self.worker,
                        Want {
                            scope,
                            need,
                            want: need,
                        },
                    );
                }
            }
        }
        Progress::Over
    }

    fn take(mut self, proxy: &mut Proxy, around: &mut Around<'_>) -> Progress {
        let worker = self.worker;
        let now = proxy.now(around.tick);
        let Kind::Take {
            job,
            mut taking,
            step,
        } = self.kind
        else {
            return Progress::Over;
        };
        match step.clone() {
            TakingStep::Take { scope, amount } => {
                let take = |row: LeaseRow| match row.take(amount, now) {
                    Ok(taken) => (Some(taken.row), Ok(taken)),
                    Err(short) => (None, Err(short)),
                };
                let find = |table: &Table| table.find(scope);
                match attempt(&mut proxy.table, &mut self.seen, find, take) {
                    Attempt::Again => {
                        let kind = Kind::Take { job, taking, step };
                        return Progress::Goes(Self { kind, ..self });
                    }
                    Attempt::Done(slot, Ok(taken)) => {
                        taking.took(slot, taken.row.lease);
                        taken
                            .ask
                            .into_iter()
                            .for_each(|want| proxy.want(worker, want));
                    }
                    Attempt::Done(_, Err(short)) => taking.fell_short(short),
                    Attempt::Absent => take_from_pocket(proxy, worker, scope, amount, &mut taking),
                }
            }
            TakingStep::GiveBack(part) if keeps(proxy.mutant) => self.kept.push(part),
            TakingStep::GiveBack(part) => match release(proxy, &mut self.seen, part) {
                Attempt::Again => {
                    let kind = Kind::Take { job, taking, step };
                    return Progress::Goes(Self { kind, ..self });
                }
                Attempt::Absent => {}
                Attempt::Done(_, back) => {
                    back.into_iter().for_each(|back| proxy.give_back(back));
                }
            },
            TakingStep::Held(hold) => {
                held(proxy, worker, job, hold, around);
                return Progress::Over;
            }
            TakingStep::Short { scope, .. } => {
                short(proxy, worker, job, (scope, self.kept), around);
                return Progress::Over;
            }
        }
        let step = taking.next_step();
        self.kind = Kind::Take { job, taking, step };
        self.seen = None;
        Progress::Goes(self)
    }

    fn finish(mut self, proxy: &mut Proxy, around: &mut Around<'_>) -> Progress {
        let Kind::Finish {
            running,
            mut settling,
            step,
        } = self.kind
        else {
            return Progress::Over;
        };
        match step.clone() {
            SettlingStep::Pay { part, cost } => {
                let settle = |row: LeaseRow| {
                    let settled = row.settle(part.lease, part.nanos, cost);
                    (Some(settled.row), (settled.charge, settled.back))
                };
                let paid = match part.slot {
                    Some(slot) => {
                        let find = |table: &Table| table.read(slot);
                        attempt(&mut proxy.table, &mut self.seen, find, settle)
                    }
                    None => Attempt::Done(None, settle(LeaseRow::default()).1),
                };
                let Attempt::Done(_, (charge, back)) = paid else {
                    let kind = Kind::Finish {
                        running,
                        settling,
                        step,
                    };
                    return Progress::Goes(Self { kind, ..self });
                };
                // What the hold did not cover came out of the lease: from now on that is truth as well.
                let extra = charge.nanos.0 - cost.0.min(part.nanos.0);
                let keys = &lease(around.service, charge.lease).accounts;
                around.oracle.spent(keys, extra, &around.service.memory);
                proxy.charged(charge);
                if let Some(back) = back {
                    proxy.books.entry(back.lease).or_default().given_back += back.nanos.0;
                }
                settling.paid(charge, back);
            }
            SettlingStep::Finished(finished) => {
                // Already in the books, step by step.
                proxy.returns.extend(finished.returns);
                let usage = Usage {
                    closes: running.opened,
                    charges: finished.charges,
                    detail: Detail {
                        trace: trace(running.request.id),
                        cost: NanoUsd(running.request.cost),
                        ..Detail::default()
                    },
                    ..Usage::default()
                };
                proxy.ended(self.worker, running.request.id, usage);
                return Progress::Over;
            }
        }
        let step = settling.next_step();
        self.kind = Kind::Finish {
            running,
            settling,
            step,
        };
        self.seen = None;
        Progress::Goes(self)
    }
}

fn keeps(mutant: Mutant) -> bool {
    matches!(mutant, Mutant::ForgottenRefund | Mutant::NonAtomicHierarchy)
}

fn attempt<Outcome>(
    table: &mut Table,
    seen: &mut Option<Seen>,
    find: impl FnOnce(&Table) -> Option<Seen>,
    change: impl FnOnce(LeaseRow) -> (Option<LeaseRow>, Outcome),
) -> Attempt<Outcome> {
    let Some(found) = seen.take() else {
        *seen = find(table);
        return if seen.is_some() {
            Attempt::Again
        } else {
            Attempt::Absent
        };
    };
    let (row, outcome) = change(found.row);
    if row.is_some_and(|row| !table.swap(found, row)) {
        return Attempt::Again;
    }
    Attempt::Done(Some(found.slot), outcome)
}

fn release(proxy: &mut Proxy, seen: &mut Option<Seen>, part: Part) -> Attempt<Option<Return>> {
    let release = |row: LeaseRow| {
        let released = row.release(part.lease, part.nanos);
        (Some(released.row), released.back)
    };
    match part.slot {
        Some(slot) => attempt(&mut proxy.table, seen, |table| table.read(slot), release),
        None => Attempt::Done(None, release(LeaseRow::default()).1),
    }
}

/// A grant without a slot becomes a hold at once; what is left of it goes back.
fn take_from_pocket(
    proxy: &mut Proxy,
    worker: usize,
    scope: ScopeId,
    amount: NanoUsd,
    taking: &mut Taking,
) {
    let pocket = &mut proxy.workers[worker].pocket;
    let found = pocket.get(&scope).copied().unwrap_or_default();
    match found.nanos.minus(amount) {
        Ok(rest) => {
            pocket.remove(&scope);
            taking.took(None, found.lease);
            if rest > NanoUsd::ZERO {
                proxy.give_back(Return {
                    lease: found.lease,
                    nanos: rest,
                });
            }
        }
        Err(_) => taking.fell_short(Short { missing: amount }),
    }
}

fn held(proxy: &mut Proxy, worker: usize, job: Job, hold: Hold, around: &mut Around<'_>) {
    match job {
        Job::Admit(waiting) => {
            bill(around, &hold, waiting.request.cost, &[]);
            proxy.serve(worker, &waiting, hold, around.tick);
        }
        Job::Raise { mut running, cost } => {
            let before = shares(&running.hold, running.request.cost);
            running.request.cost += cost;
            running.hold.join(hold);
            bill(around, &running.hold, running.request.cost, &before);
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
        bill(around, &hold, cost, &[]);
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
fn bill(around: &mut Around<'_>, hold: &Hold, cost: u64, before: &[(Part, u64)]) {
    for (place, (part, nanos)) in shares(hold, cost).into_iter().enumerate() {
        let known = before.get(place).map_or(0, |share| share.1);
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
