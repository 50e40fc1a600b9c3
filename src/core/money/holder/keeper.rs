//! What one worker does with the rows of its process: holds money for requests, lets them wait where there is none,
//! pays, gives back, and says through its [`Outbox`] what happened.
//!
//! Rows are changed through [`Rows`], which repeats a change until its swap succeeds. What must be said is queued after
//! the swap: who dies in between leaves money held, never money lost.

use std::collections::{BTreeMap, BTreeSet};

use super::hold::{Finished, Hold, Part, Settling, SettlingStep, Taking, TakingStep};
use super::outbox::{Arrival, Outbox};
use super::past::Past;
use super::row::{LeaseRow, Short, Standing};
use crate::money::ids::{LeaseId, Millis, OpenId, ScopeId};
use crate::money::message::{AMOUNT_MAX, Open, Return, Usage, Want};
use crate::money::wanted::{Standings, Uncovered, Wanted};
use crate::units::NanoUsd;

/// A request that waits tries again after this, if nothing comes before.
const TRY_AGAIN_MS: u64 = 100;
/// A service that was not heard for so long, though it was asked, is away.
const AWAY_AFTER_MS: u64 = 3_000;
/// Rows are looked through for idle money this often.
const SWEEP_MS: u64 = 500;
/// A scope that this worker did not use for so long is swept by others, or not at all any more.
const MINE_MS: u64 = 300_000;
/// More requests than this do not wait in one worker.
const WAITING_MAX: usize = 10_000;

/// Where rows are: shared by the workers of a process, or a worker's own.
pub trait Rows {
    /// Changes the row of a scope, wherever it may stand; gives the slot it stands in, if it is shared.
    fn change<Said>(
        &mut self,
        scope: ScopeId,
        change: impl FnMut(LeaseRow) -> (LeaseRow, Said),
    ) -> (Option<u32>, Said);
}

/// The name of a request that waits.
pub type Ticket = u32;

/// What became of a wish for money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is held.
    Held(Hold),
    /// It is not.
    Uncovered(Uncovered),
}

/// A request that ended, as the service hears of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// What it cost.
    pub cost: NanoUsd,
    /// The opening it closes.
    pub closes: Option<OpenId>,
    /// The line of its record.
    pub record: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Waiting {
    ticket: Ticket,
    wanted: Wanted,
    since: Millis,
    tries_at: Millis,
    short_of: ScopeId,
    /// The service said that it has nothing for it.
    denied: Denied,
}

/// What the service said to one who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Denied {
    /// Nothing yet: nobody is refused money that was not asked for.
    NotYet,
    /// There is too little now; what others hold may come back.
    ForNow,
    /// Whatever comes back, it will not be enough.
    ForGood,
}

impl Waiting {
    fn is_over(&self, now: Millis) -> bool {
        match self.denied {
            Denied::NotYet => false,
            Denied::ForNow => now.is_over(self.since, self.wanted.wait_ms),
            Denied::ForGood => true,
        }
    }
}

/// How it stands between this worker and the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// It answered all that it was asked.
    #[default]
    Heard,
    /// It has not answered what was sent since.
    Asked(Millis),
    /// The last call did not get through.
    CutOff,
}

/// One worker.
#[derive(Debug, Default)]
pub struct Keeper {
    outbox: Option<Outbox>,
    waiting: Vec<Waiting>,
    /// How the budgets stood when this worker last took from them.
    standings: BTreeMap<ScopeId, Standing>,
    /// Scopes this worker took from, and when last.
    mine: BTreeMap<ScopeId, Millis>,
    heard_at: Millis,
    line: Line,
    past: Past,
    swept_at: Millis,
    is_urgent: bool,
}

impl Standings for Keeper {
    fn of(&self, scope: ScopeId) -> Option<Standing> {
        self.standings.get(&scope).copied()
    }
}

impl Keeper {
    /// The service said who this process is, and with which lease its leases begin.
    pub fn begin(&mut self, rows: &mut impl Rows, mut outbox: Outbox, leases_from: LeaseId) {
        self.past.ends(leases_from);
        for usage in self.past.unsaid(rows) {
            outbox.report(usage);
        }
        self.outbox = Some(outbox);
    }

    /// The service has forgotten who this process is. What ended and was not answered is said again as soon as the
    /// process has a name.
    pub fn start_over(&mut self) {
        self.line = Line::Heard;
        if let Some(outbox) = self.outbox.take() {
            outbox
                .abandon()
                .into_iter()
                .for_each(|usage| self.past.keep(usage));
        }
    }

    /// Takes over what a stream that is forgotten had yet to say.
    pub fn inherit(&mut self, rows: &mut impl Rows, forgotten: Outbox) {
        for usage in forgotten.abandon() {
            self.past.keep(usage);
        }
        if let Some(outbox) = &mut self.outbox {
            for usage in self.past.unsaid(rows) {
                outbox.report(usage);
            }
        }
    }

    /// Whether it knows who it is.
    pub fn has_begun(&self) -> bool {
        self.outbox.is_some()
    }

    /// What goes to the service.
    pub fn outbox(&mut self) -> Option<&mut Outbox> {
        self.outbox.as_mut()
    }

    /// Whether somebody waits for the next batch.
    pub fn is_urgent(&self) -> bool {
        self.is_urgent
    }

    /// The batch was sent.
    pub fn sent(&mut self, now: Millis) {
        self.is_urgent = false;
        if self.line == Line::Heard {
            self.line = Line::Asked(now);
        }
    }

    /// Whether the service does not answer.
    pub fn is_away(&self, now: Millis) -> bool {
        match self.line {
            Line::Heard => false,
            Line::Asked(since) => now.is_over(since, AWAY_AFTER_MS),
            Line::CutOff => true,
        }
    }

    /// A call did not get through.
    pub fn cut_off(&mut self) {
        self.line = Line::CutOff;
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Holds what is wanted. None: the request waits, and [`Keeper::arrived`] or [`Keeper::tick`] tells what became of it.
    pub fn hold(
        &mut self,
        rows: &mut impl Rows,
        wanted: Wanted,
        ticket: Ticket,
        now: Millis,
    ) -> Option<Outcome> {
        let short_of = match self.take(rows, &wanted, now) {
            Ok(hold) => return Some(Outcome::Held(hold)),
            Err(scope) => scope,
        };
        if self.waiting.len() >= WAITING_MAX {
            return Some(self.refuse(short_of));
        }
        self.waiting.push(Waiting {
            ticket,
            wanted,
            since: now,
            tries_at: now.after(TRY_AGAIN_MS),
            short_of,
            denied: Denied::NotYet,
        });
        self.ask_for_all(rows, now);
        None
    }

    /// A request that waited is gone.
    pub fn leave(&mut self, ticket: Ticket) {
        self.waiting.retain(|waiting| waiting.ticket != ticket);
    }

    /// Puts back a part of a hold that is not needed any more.
    pub fn release(&mut self, rows: &mut impl Rows, parts: Vec<Part>) {
        for part in parts {
            if self.past.has(part.lease) {
                continue;
            }
            let (_, back) = rows.change(part.scope, |row| {
                let released = row.release(part.lease, part.nanos);
                (released.row, released.back)
            });
            self.give_back(back);
        }
    }

    /// A request is over: pays for it, puts the rest back, and reports it.
    pub fn settle(&mut self, rows: &mut impl Rows, hold: Hold, ending: Ending) {
        let mut settling = Settling::new(hold, ending.cost);
        let Finished {
            charges,
            debts,
            returns,
        } = loop {
            match settling.next_step() {
                SettlingStep::Pay { part, cost } if self.past.has(part.lease) => {
                    rows.change(part.scope, |row| (row.owing(cost), ()));
                    settling.owed(cost);
                }
                SettlingStep::Pay { part, cost } => {
                    let (_, (charge, back)) = rows.change(part.scope, |row| {
                        let settled = row.settle(part.lease, part.nanos, cost);
                        (settled.row, (settled.charge, settled.back))
                    });
                    settling.paid(charge, back);
                }
                SettlingStep::Finished(finished) => break finished,
            }
        };
        for back in returns {
            self.give_back(Some(back));
        }
        let usage = Usage {
            closes: ending.closes,
            charges,
            debts,
            cost: ending.cost,
            record: ending.record,
            ..Usage::default()
        };
        match &mut self.outbox {
            Some(outbox) => outbox.report(usage),
            None => self.past.keep(usage),
        }
    }

    /// Reports a request that begins. None as long as nobody knows who this process is.
    pub fn open(&mut self, open: Open) -> Option<OpenId> {
        let outbox = self.outbox.as_mut()?;
        self.is_urgent = true;
        Some(outbox.open(open))
    }

    /// The service answered a batch: lands what it brought, and tells who need not wait any more.
    pub fn arrived(
        &mut self,
        rows: &mut impl Rows,
        arrival: Arrival,
        now: Millis,
    ) -> Vec<(Ticket, Outcome)> {
        self.heard(now);
        for debt in arrival.answered.usage.iter().flat_map(|usage| &usage.debts) {
            rows.change(debt.scope, |row| (row.repaid(debt.nanos), ()));
        }
        for grant in &arrival.grants {
            let (_, landed) = rows.change(grant.scope, |row| {
                // What does not fit into a row would not be spent here in a thousand years: it stays held for us.
                row.land(grant, arrival.sent_at)
                    .map_or((row, None), |released| (released.row, released.back))
            });
            self.give_back(landed);
            self.mine.entry(grant.scope).or_insert(now);
        }
        for status in &arrival.status {
            let (_, standing) = rows.change(status.scope, |row| {
                let row = row.stands(status, now);
                (row, row.standing)
            });
            self.standings.insert(status.scope, standing);
        }
        for scope in &arrival.denied {
            rows.change(*scope, |row| (row.denied(now), ()));
            let wants = &arrival.answered.wants;
            let needed = wants.iter().find(|want| want.scope == *scope);
            let asked = needed.is_some_and(|want| want.need > NanoUsd::ZERO);
            let standing = self.standings.get(scope).copied().unwrap_or_default();
            for waiting in &mut self.waiting {
                let mut payers = waiting.wanted.payers.iter();
                let is_meant = asked
                    && arrival.sent_at >= waiting.since
                    && payers.any(|payer| payer.scope == *scope);
                if is_meant {
                    let denied = if standing.is_hopeless(waiting.wanted.amount) {
                        Denied::ForGood
                    } else {
                        Denied::ForNow
                    };
                    waiting.denied = waiting.denied.max(denied);
                }
            }
        }
        for scope in &arrival.recall {
            if !self.waits_for(*scope) {
                self.give_up(rows, *scope, now);
            }
        }
        let mut told = Vec::new();
        for waiting in std::mem::take(&mut self.waiting) {
            match self.take(rows, &waiting.wanted, now) {
                Ok(hold) => told.push((waiting.ticket, Outcome::Held(hold))),
                Err(scope) if waiting.is_over(now) => {
                    told.push((waiting.ticket, self.refuse(scope)));
                }
                Err(short_of) => self.waiting.push(Waiting {
                    short_of,
                    ..waiting
                }),
            }
        }
        self.ask_for_all(rows, now);
        told
    }

    /// The service spoke.
    pub fn heard(&mut self, now: Millis) {
        self.heard_at = now;
        self.line = Line::Heard;
    }

    /// Time passes: tries again for those who wait, refuses those who waited long enough, sends home what lies idle.
    pub fn tick(&mut self, rows: &mut impl Rows, now: Millis) -> Vec<(Ticket, Outcome)> {
        let mut told = Vec::new();
        for mut waiting in std::mem::take(&mut self.waiting) {
            if now >= waiting.tries_at || self.is_away(now) {
                match self.take(rows, &waiting.wanted, now) {
                    Ok(hold) => {
                        told.push((waiting.ticket, Outcome::Held(hold)));
                        continue;
                    }
                    Err(short_of) => waiting.short_of = short_of,
                }
                waiting.tries_at = now.after(TRY_AGAIN_MS);
            }
            if self.is_away(now) {
                let scope = waiting.short_of;
                let why = Uncovered::Unreachable { scope };
                told.push((waiting.ticket, Outcome::Uncovered(why)));
            } else if waiting.is_over(now) {
                told.push((waiting.ticket, self.refuse(waiting.short_of)));
            } else {
                self.waiting.push(waiting);
            }
        }
        self.ask_for_all(rows, now);
        if now.is_over(self.swept_at, SWEEP_MS) {
            self.swept_at = now;
            self.sweep(rows, now);
        }
        told
    }

    fn waits_for(&self, scope: ScopeId) -> bool {
        let mut wanted = self.waiting.iter().map(|waiting| &waiting.wanted);
        wanted.any(|wanted| wanted.payers.iter().any(|payer| payer.scope == scope))
    }

    fn take(
        &mut self,
        rows: &mut impl Rows,
        wanted: &Wanted,
        now: Millis,
    ) -> Result<Hold, ScopeId> {
        let mut taking = Taking::new(wanted.scopes(), wanted.amount);
        loop {
            match taking.next_step() {
                TakingStep::Take { scope, amount } => {
                    let (slot, (result, standing)) =
                        rows.change(scope, |row| match row.take(amount, now) {
                            Ok(taken) => (taken.row, (Ok((row.lease, taken.ask)), row.standing)),
                            Err(short) => (row, (Err(short), row.standing)),
                        });
                    self.standings.insert(scope, standing);
                    if result.is_err() && self.borrow(rows, wanted, (scope, slot), now) {
                        taking.took(slot, LeaseId::UNCOVERED);
                    } else {
                        self.took(&mut taking, scope, slot, result, now);
                    }
                }
                TakingStep::GiveBack(part) => self.release(rows, vec![part]),
                TakingStep::Held(hold) => return Ok(hold),
                TakingStep::Short { scope, .. } => return Err(scope),
            }
        }
    }

    /// While the service is away a request may go uncovered, as far as the terms of its purse allow it. What one process
    /// has borrowed stands in the row, for all its workers: where they do not share the row, none of them sees what the
    /// others have borrowed, so a bounded debt is not to be had there.
    fn borrow(
        &mut self,
        rows: &mut impl Rows,
        wanted: &Wanted,
        (scope, slot): (ScopeId, Option<u32>),
        now: Millis,
    ) -> bool {
        let payer = wanted.payers.iter().find(|payer| payer.scope == scope);
        let allowed = match payer {
            Some(payer) if self.is_away(now) => match payer.debt {
                None => AMOUNT_MAX,
                Some(debt) if slot.is_some() => debt,
                Some(_) => NanoUsd::ZERO,
            },
            Some(_) | None => NanoUsd::ZERO,
        };
        if allowed == NanoUsd::ZERO {
            return false;
        }
        let (_, borrowed) =
            rows.change(scope, |row| match row.borrow(wanted.amount, allowed, now) {
                Ok(row) => (row, true),
                Err(_) => (row, false),
            });
        borrowed
    }

    fn took(
        &mut self,
        taking: &mut Taking,
        scope: ScopeId,
        slot: Option<u32>,
        result: Result<(LeaseId, Option<Want>), Short>,
        now: Millis,
    ) {
        match result {
            Ok((lease, ask)) => {
                taking.took(slot, lease);
                self.past.note(lease, scope);
                self.mine.insert(scope, now);
                if let Some((outbox, want)) = self.outbox.as_mut().zip(ask) {
                    outbox.want(want);
                }
            }
            Err(short) => taking.fell_short(short),
        }
    }

    /// Asks for all who wait, in all their scopes at once: one round trip is enough.
    fn ask_for_all(&mut self, rows: &mut impl Rows, now: Millis) {
        let wanted = self.waiting.iter().map(|waiting| &waiting.wanted);
        let scopes: BTreeSet<ScopeId> = wanted.flat_map(Wanted::scopes).collect();
        for scope in scopes {
            self.ask(rows, scope, now);
        }
    }

    /// Asks for what all who wait for this scope need.
    fn ask(&mut self, rows: &mut impl Rows, scope: ScopeId, now: Millis) {
        let Some(outbox) = &mut self.outbox else {
            return;
        };
        let short = self
            .waiting
            .iter()
            .filter(|waiting| {
                let mut payers = waiting.wanted.payers.iter();
                payers.any(|payer| payer.scope == scope)
            })
            .map(|waiting| waiting.wanted.amount);
        let (mut need, mut all) = (NanoUsd::ZERO, NanoUsd::ZERO);
        for amount in short {
            if need == NanoUsd::ZERO {
                need = amount;
            }
            all = NanoUsd(all.0.saturating_add(amount.0));
        }
        let (_, want) = rows.change(scope, |row| {
            // One that has enough for all who wait is asked for nothing.
            let asked = (row.free < all || all == NanoUsd::ZERO).then(|| row.ask(need, all, now));
            match asked.flatten() {
                Some((row, want)) => (row, Some(want)),
                None => (row, None),
            }
        });
        if let Some(want) = want {
            self.is_urgent = true;
            outbox.want(want);
        }
    }

    fn refuse(&self, scope: ScopeId) -> Outcome {
        let standing = self.standings.get(&scope).copied().unwrap_or_default();
        Outcome::Uncovered(Uncovered::Exhausted { scope, standing })
    }

    fn sweep(&mut self, rows: &mut impl Rows, now: Millis) {
        for scope in self.mine.keys().copied().collect::<Vec<_>>() {
            let (_, back) = rows.change(scope, |row| {
                let released = row.sweep(now);
                (released.row, released.back)
            });
            self.give_back(back);
        }
        self.mine
            .retain(|_, used_at| !now.is_over(*used_at, MINE_MS));
    }

    fn give_up(&mut self, rows: &mut impl Rows, scope: ScopeId, now: Millis) {
        let (_, back) = rows.change(scope, |row| {
            let released = row.recall(now);
            (released.row, released.back)
        });
        self.give_back(back);
    }

    fn give_back(&mut self, back: Option<Return>) {
        let back = back.filter(|back| !self.past.has(back.lease));
        if let Some((outbox, back)) = self.outbox.as_mut().zip(back) {
            outbox.give_back(back);
        }
    }
}
