//! One proxy: workers that share a table of rows and a queue to the reporter, and talk to the service on streams of
//! their own.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::money::holder::{Arrival, Hold, Outbox, Part, Settling, Taking};
use tollgate_core::money::ids::{Incarnation, LeaseId, Millis, ScopeId, StreamId};
use tollgate_core::money::message::{Charge, Open, Return, SyncRequest, Usage, Want};
use tollgate_core::units::NanoUsd;

use crate::operation::{Kind, Operation};
use crate::oracle::{Oracle, number, trace};
use crate::random::Random;
use crate::request::{Request, Running, Turn, Waiting};
use crate::settings::{Mutant, Settings};
use crate::table::Table;

pub(crate) const WORKERS: usize = 2;
/// The reporter, which is worker 0, empties the queue this often.
const REPORT_MS: u64 = 50;
/// A request that waits tries again after this, if nothing comes before.
const TRY_AGAIN_MS: u64 = 100;

pub(crate) struct Proxy {
    pub(crate) mutant: Mutant,
    /// What may be spent of each scope without a lease.
    pub(crate) debt: u64,
    pub(crate) incarnation: Option<Incarnation>,
    pub(crate) table: Table,
    pub(crate) workers: Vec<Worker>,
    /// What goes to the reporter.
    pub(crate) reports: Vec<Usage>,
    pub(crate) returns: Vec<Return>,
    pub(crate) operations: Vec<Operation>,
    /// Where every grant went.
    pub(crate) books: BTreeMap<LeaseId, Book>,
    /// Scopes for which something came.
    pub(crate) woken: BTreeSet<ScopeId>,
    pub(crate) clock_ms: u64,
    tick_ms: u64,
    reported_at: u64,
    swept_at: u64,
    pub(crate) is_draining: bool,
    pub(crate) answers: Vec<Answer>,
}

pub(crate) struct Worker {
    pub(crate) outbox: Outbox,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) running: Vec<Running>,
    pub(crate) is_urgent: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Book {
    pub(crate) received: u64,
    pub(crate) charged: u64,
    pub(crate) given_back: u64,
    pub(crate) trapped: u64,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was sent on, having waited for so many ticks.
    Served {
        waited: u64,
        most: u64,
    },
    Refused {
        most: u64,
        scope: ScopeId,
    },
    /// It ended; its record must arrive as long as this process lives.
    Ended {
        id: u64,
    },
}

impl Worker {
    /// A new VM goes on with what the old one kept in shared data. What was in no batch yet is lost with the VM, so the
    /// simulator, which wants every record of a living process, has it happen only where nothing was.
    fn resume(&mut self) {
        let old = &self.outbox;
        let batch = old.unanswered().cloned();
        let resumed = Outbox::resume(old.incarnation(), old.stream(), old.bookmark(), batch);
        if old.has_collected_nothing() {
            self.outbox = resumed;
        }
    }
}

impl Proxy {
    pub(crate) fn new(settings: &Settings, random: &mut Random) -> Self {
        Self {
            mutant: settings.mutant,
            debt: settings.debt,
            incarnation: None,
            table: Table::new(settings.slots, settings.mutant),
            workers: Vec::new(),
            reports: Vec::new(),
            returns: Vec::new(),
            operations: Vec::new(),
            books: BTreeMap::new(),
            woken: BTreeSet::new(),
            clock_ms: random.within(1..1_000_000_000),
            tick_ms: settings.tick_ms,
            reported_at: 0,
            swept_at: 0,
            is_draining: false,
            answers: Vec::new(),
        }
    }

    /// The service said who this is.
    pub(crate) fn begin(&mut self, incarnation: Incarnation) {
        if self.incarnation.is_some() {
            return;
        }
        self.incarnation = Some(incarnation);
        let streams = (0..).map(StreamId).take(WORKERS);
        self.workers = streams
            .map(|stream| Worker {
                outbox: Outbox::new(incarnation, stream),
                waiting: Vec::new(),
                running: Vec::new(),
                is_urgent: false,
            })
            .collect();
    }

    /// What may be borrowed of a scope now: nothing while the service answers.
    pub(crate) fn may_borrow(&self, worker: usize, now: Millis) -> NanoUsd {
        let is_alone = self.workers[worker].outbox.is_unanswered(now);
        if !is_alone || self.debt == 0 {
            NanoUsd::ZERO
        } else if self.mutant == Mutant::BoundlessDebt {
            NanoUsd(u64::MAX)
        } else {
            NanoUsd(self.debt)
        }
    }

    pub(crate) fn now(&self, tick: u64) -> Millis {
        Millis(self.clock_ms + tick * self.tick_ms)
    }

    pub(crate) fn arrive(&mut self, worker: usize, request: Request, tick: u64) {
        self.workers[worker].waiting.push(Waiting {
            request,
            since: tick,
            short_of: None,
            tries_at: tick,
        });
    }

    /// What the workers begin to do in this tick.
    pub(crate) fn plan(&mut self, tick: u64, wait_ms: u64) {
        for worker in 0..self.workers.len() {
            self.admit_waiting(worker, tick, wait_ms);
            self.end_running(worker, tick);
        }
        self.woken.clear();
        if (tick - self.swept_at) * self.tick_ms >= 500 {
            self.swept_at = tick;
            for (worker, slot, scope) in self.table.places() {
                let kind = if self.is_draining {
                    Kind::Drain((slot, scope))
                } else {
                    Kind::Sweep((slot, scope))
                };
                self.operations.push(Operation::new(worker, kind));
            }
            for worker in 0..self.workers.len() {
                for scope in self.table.homecomers(worker) {
                    let kind = Kind::Drain((None, scope));
                    self.operations.push(Operation::new(worker, kind));
                }
            }
        }
    }

    fn admit_waiting(&mut self, worker: usize, tick: u64, wait_ms: u64) {
        let waiting = std::mem::take(&mut self.workers[worker].waiting);
        for mut waiting in waiting {
            let is_woken = waiting
                .short_of
                .is_some_and(|scope| self.woken.contains(&scope));
            let request = &waiting.request;
            if self.is_draining || (tick - waiting.since) * self.tick_ms > wait_ms {
                let scope = waiting.short_of.unwrap_or_default();
                self.answers.push(Answer::Refused {
                    most: request.most,
                    scope,
                });
            } else if is_woken || waiting.tries_at <= tick {
                waiting.tries_at = tick + TRY_AGAIN_MS.div_ceil(self.tick_ms);
                let taking = Taking::new(request.scopes.clone(), NanoUsd(request.most));
                let kind = Kind::admit(waiting, taking);
                self.operations.push(Operation::new(worker, kind));
            } else {
                self.workers[worker].waiting.push(waiting);
            }
        }
    }

    fn end_running(&mut self, worker: usize, tick: u64) {
        let running = std::mem::take(&mut self.workers[worker].running);
        for mut running in running {
            let request = &mut running.request;
            if running.ends_at <= tick {
                let settling = Settling::new(running.hold.clone(), NanoUsd(request.cost));
                let kind = Kind::finish(running, settling);
                self.operations.push(Operation::new(worker, kind));
                continue;
            }
            if running.turns_at > tick {
                self.workers[worker].running.push(running);
                continue;
            }
            match std::mem::replace(&mut request.turn, Turn::Straight) {
                Turn::Straight => {}
                Turn::Shrinks(most) => {
                    let parts = running.hold.shrink_to(NanoUsd(most)).into_iter();
                    let release = |part| Operation::new(worker, Kind::Release(part));
                    self.operations.extend(parts.map(release));
                }
                Turn::FallsBack { most, cost } => {
                    let taking = Taking::new(request.scopes.clone(), NanoUsd(most));
                    let kind = Kind::raise(running, taking, cost);
                    self.operations.push(Operation::new(worker, kind));
                    continue;
                }
            }
            self.workers[worker].running.push(running);
        }
    }

    /// The request goes on to its provider, which may bill it from now on.
    pub(crate) fn serve(&mut self, worker: usize, waiting: &Waiting, hold: Hold, tick: u64) {
        let Waiting { request, since, .. } = waiting.clone();
        self.answers.push(Answer::Served {
            waited: tick - since,
            most: request.most,
        });
        let opened = request.is_strict.then(|| {
            self.workers[worker].outbox.open(Open {
                number: 0,
                trace: trace(request.id),
                reserved: NanoUsd(request.most),
            })
        });
        self.workers[worker].running.push(Running {
            turns_at: tick + request.ticks / 2,
            ends_at: tick + request.ticks,
            request,
            hold,
            opened,
        });
    }

    /// The request is over and paid. What was opened on a stream is closed on the same, or it might be closed first.
    pub(crate) fn ended(&mut self, worker: usize, id: u64, usage: Usage) {
        self.answers.push(Answer::Ended { id });
        if usage.closes.is_some() {
            self.workers[worker].outbox.report(usage);
        } else {
            self.reports.push(usage);
        }
    }

    pub(crate) fn give_back(&mut self, back: Return) {
        self.books.entry(back.lease).or_default().given_back += back.nanos.0;
        self.returns.push(back);
    }

    pub(crate) fn charged(&mut self, charge: Charge) {
        if charge.lease == LeaseId::UNCOVERED {
            return;
        }
        self.books.entry(charge.lease).or_default().charged += charge.nanos.0;
    }

    pub(crate) fn want(&mut self, worker: usize, want: Want) {
        self.workers[worker].is_urgent |= want.need > NanoUsd::ZERO;
        self.workers[worker].outbox.want(want);
    }

    /// Reporter's work, and what is to be sent.
    pub(crate) fn poll(&mut self, tick: u64) -> Vec<SyncRequest> {
        let now = self.now(tick);
        let due = (tick - self.reported_at) * self.tick_ms >= REPORT_MS;
        if due {
            self.reported_at = tick;
            // Until it can be put into a batch, what is queued stays where a trap does not reach.
            let reporter = self.workers.first_mut();
            if let Some(reporter) = reporter.filter(|worker| worker.outbox.unanswered().is_none()) {
                self.reports
                    .drain(..)
                    .for_each(|usage| reporter.outbox.report(usage));
                self.returns
                    .drain(..)
                    .for_each(|back| reporter.outbox.give_back(back));
            }
        }
        let mut batches = Vec::new();
        for worker in &mut self.workers {
            if due || worker.is_urgent || worker.outbox.unanswered().is_some() {
                batches.extend(worker.outbox.poll(now).cloned());
                worker.is_urgent &= batches.is_empty();
            }
        }
        batches
    }

    pub(crate) fn arrived(&mut self, worker: usize, arrival: Arrival, oracle: &mut Oracle) {
        for usage in &arrival.answered.usage {
            oracle.acknowledged(number(&usage.record));
            for debt in &usage.debts {
                self.operations
                    .push(Operation::new(worker, Kind::Repaid(*debt)));
            }
        }
        for grant in arrival.grants {
            self.books.entry(grant.lease).or_default().received += grant.nanos.0;
            let sent_at = arrival.sent_at;
            self.operations
                .push(Operation::new(worker, Kind::Land { grant, sent_at }));
        }
        for scope in arrival.denied {
            self.operations
                .push(Operation::new(worker, Kind::Deny(scope)));
        }
        for scope in arrival.recall {
            let waiting = self.workers.iter().flat_map(|worker| &worker.waiting);
            let mut waiting = waiting.map(|waiting| &waiting.request);
            if !waiting.any(|request| request.scopes.contains(&scope)) {
                self.operations
                    .push(Operation::new(worker, Kind::Recall(scope)));
            }
        }
    }

    /// The VM of one worker starts anew: what it kept for itself is gone, what is shared is not.
    pub(crate) fn trap(&mut self, worker: usize) {
        let rows = self.table.trap(worker);
        let Some(worker) = self.workers.get_mut(worker) else {
            return;
        };
        worker.waiting.clear();
        worker.resume();
        let running = worker.running.drain(..);
        let parts: Vec<Part> = running.flat_map(|running| running.hold.parts).collect();
        let covered = |part: &Part| part.lease != LeaseId::UNCOVERED;
        for part in parts.into_iter().filter(covered) {
            self.books.entry(part.lease).or_default().trapped += part.nanos.0;
        }
        for row in rows {
            self.books.entry(row.lease).or_default().trapped += row.free.0;
        }
    }

    /// Nothing is left to do or to say.
    pub(crate) fn is_quiet(&self) -> bool {
        let quiet = |worker: &Worker| worker.outbox.is_empty() && worker.running.is_empty();
        let rows_are_empty = self.table.rows().all(|row| row.free == NanoUsd::ZERO);
        self.reports.is_empty()
            && self.returns.is_empty()
            && rows_are_empty
            && self.workers.iter().all(quiet)
    }

    /// Between operations: every grant is somewhere, and every row adds up.
    pub(crate) fn check_books(&self, oracle: &mut Oracle) {
        let mut here: BTreeMap<LeaseId, u64> = BTreeMap::new();
        for row in self.table.rows() {
            *here.entry(row.lease).or_default() += row.free.0;
            let sum = row.free.0 + row.in_flight.0 + row.settled.0 + row.returned.0;
            if sum != row.granted.0 {
                oracle.blame(format!("a row does not add up: {row:?}"));
            }
        }
        for worker in &self.workers {
            let parts = worker.running.iter();
            let parts = parts.flat_map(|running| &running.hold.parts);
            for part in parts.filter(|part| part.lease != LeaseId::UNCOVERED) {
                *here.entry(part.lease).or_default() += part.nanos.0;
            }
            if let Some(refusal) = worker.outbox.refusal() {
                oracle.blame(format!("a batch was refused: {refusal:?}"));
            }
        }
        for (lease, book) in &self.books {
            let here = here.get(lease).copied().unwrap_or_default();
            let sum = here + book.charged + book.given_back + book.trapped;
            if sum != book.received {
                oracle.blame(format!("lease {} has {here} here and {book:?}", lease.0));
            }
        }
    }
}
