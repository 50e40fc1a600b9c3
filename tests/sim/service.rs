//! The budget service: the ledger over a store in memory, with a clock that jumps and a process that dies.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use tollgate_core::money::ids::{BodyHash, BudgetId, Incarnation, ScopeId, Seq};
use tollgate_core::money::ledger::{
    Alert, Budget, Changes, HolderStanding, LeaseStanding, Needs, OpenBudget, Outcome, Patience,
    Scope, Tight, View, apply, hello, judge, presume,
};
use tollgate_core::money::memory::Memory;
use tollgate_core::money::message::{Refusal, SyncReply, SyncRequest};
use tollgate_core::money::thresholds::{Mode, STEPS};
use tollgate_core::money::window::{FixedOffset, Period, window_at};
use tollgate_core::units::{NanoUsd, Timestamp};

use crate::oracle::Oracle;
use crate::random::Random;
use crate::settings::{Binding, Mutant, Settings};

/// Midnight before 2026-11-20, in milliseconds.
const MIDNIGHT_MS: u64 = 1_795_132_800_000;

pub(crate) struct Service {
    pub(crate) memory: Memory,
    tight: Tight,
    mutant: Mutant,
    patience: Patience,
    crash: u64,
    /// The wall clock at tick 0, and milliseconds per tick.
    clock_ms: u64,
    tick_ms: u64,
    listening_since: Timestamp,
    down_until: u64,
    periods: BTreeMap<BudgetId, Period>,
    /// Who was given which incarnation; only a mutant looks it up.
    met: BTreeMap<usize, Incarnation>,
}

impl Service {
    pub(crate) fn new(settings: &Settings, random: &mut Random) -> Self {
        let length_ms = settings.ticks * settings.tick_ms;
        let clock_ms = MIDNIGHT_MS - random.within(0..2 * length_ms);
        let mut service = Self {
            memory: Memory::default(),
            tight: Tight::default(),
            mutant: settings.mutant,
            patience: settings.patience,
            crash: settings.faults.crash,
            clock_ms,
            tick_ms: settings.tick_ms,
            listening_since: Timestamp(0),
            down_until: 0,
            periods: BTreeMap::new(),
            met: BTreeMap::new(),
        };
        let org = settings.org_limit;
        let below = |part: u64| match settings.binding {
            Binding::Every => part,
            Binding::Organisation => org,
        };
        for user in 1..=settings.users {
            service.add_scope(user, below((org / 12).max(4_000)), settings);
        }
        for team in 0..settings.teams {
            service.add_scope(1_000 + team, below(org * 2 / 5), settings);
        }
        service.add_scope(2_000, org, settings);
        service
    }

    /// A total, and where everything goes wrong, a day of two thirds of it that may run over.
    fn add_scope(&mut self, scope: u64, limit: u64, settings: &Settings) {
        let mut limits = vec![(Period::Total, limit, 0)];
        if settings.faults.delay_ticks > 0 && !scope.is_multiple_of(3) {
            limits.push((Period::Day, limit * 2 / 3, 10));
        }
        let mut budgets = Vec::new();
        for (place, (period, limit, overflow_percent)) in (0..).zip(limits) {
            let id = BudgetId(scope * 10 + place);
            self.periods.insert(id, period);
            budgets.push(OpenBudget {
                budget: Budget {
                    id,
                    limit: NanoUsd(limit),
                    overflow_percent,
                    mode: Mode::Enforce,
                    steps: STEPS.to_vec(),
                },
                window: window_at(period, &FixedOffset(0), self.now(0)),
            });
        }
        self.memory.set_scope(Scope {
            id: ScopeId(scope),
            budgets,
            holders: 0,
        });
    }

    pub(crate) fn now(&self, tick: u64) -> Timestamp {
        Timestamp((self.clock_ms + tick * self.tick_ms) * 1_000_000)
    }

    /// Up to two hours in either direction: over midnight, more often than not.
    pub(crate) fn jump_clock(&mut self, random: &mut Random) {
        let step = random.within(0..7_200_000);
        self.clock_ms = self.clock_ms + step - 3_600_000;
    }

    pub(crate) fn stop_until(&mut self, tick: u64) {
        self.down_until = tick;
        self.restart(tick);
    }

    /// What is not in the store is forgotten.
    fn restart(&mut self, tick: u64) {
        self.tight = Tight::default();
        self.listening_since = self.now(tick);
    }

    pub(crate) fn hello(&mut self, proxy: usize, tick: u64) -> Option<Incarnation> {
        if self.down_until > tick {
            return None;
        }
        if self.mutant == Mutant::ReusedIncarnation
            && let Some(incarnation) = self.met.get(&proxy)
        {
            return Some(*incarnation);
        }
        let (reply, changes) = hello(self.memory.rows(), self.now(tick)).unwrap();
        self.memory.commit(changes).unwrap();
        self.met.insert(proxy, reply.incarnation);
        Some(reply.incarnation)
    }

    /// What is answered to a batch, if anything.
    pub(crate) fn sync(
        &mut self,
        batch: &SyncRequest,
        tick: u64,
        random: &mut Random,
        oracle: &mut Oracle,
    ) -> Option<(Seq, Result<SyncReply, Refusal>)> {
        if self.down_until > tick {
            return None;
        }
        let now = self.now(tick);
        for scope in Needs::of(batch).scopes {
            self.open_windows(scope, now);
        }
        let mut view = self.memory.load(batch);
        let is_repeated = self.forget(&mut view, batch);
        let recall = self.tight.scopes(now);
        let outcome = apply(&view, batch, hash(batch), now, &recall);
        let mut applied = match outcome {
            Ok(Outcome::Applied(applied)) => applied,
            Ok(Outcome::Repeated(reply)) => return Some((batch.seq, Ok(reply))),
            Err(refusal) => return Some((batch.seq, Err(refusal))),
        };
        if is_repeated {
            applied.changes.records.clear();
        }
        for scope in applied.short {
            self.tight.note(scope, now);
        }
        let crashes = random.happens(self.crash);
        if crashes && random.happens(500_000) {
            // Dead between decision and commit.
            if self.mutant == Mutant::TornCommit {
                let torn = tear(applied.changes, random);
                self.commit(torn, oracle);
            }
            self.restart(tick);
            return None;
        }
        self.commit(applied.changes, oracle);
        if crashes {
            // Dead between commit and reply.
            self.restart(tick);
            return None;
        }
        Some((batch.seq, Ok(applied.reply)))
    }

    /// Judges every holder by its silence.
    pub(crate) fn reap(&mut self, tick: u64, oracle: &mut Oracle) {
        if self.down_until > tick {
            return;
        }
        let now = self.now(tick);
        let holders = self.memory.rows().holders.clone();
        for (incarnation, holder) in holders {
            let standing = judge(&holder, self.patience, self.listening_since, now);
            if standing != holder.standing {
                self.presume(incarnation, standing, oracle);
            }
        }
    }

    pub(crate) fn presume(
        &mut self,
        incarnation: Incarnation,
        standing: HolderStanding,
        oracle: &mut Oracle,
    ) {
        let view = self.memory.load_holder(incarnation);
        let mut changes = presume(&view, incarnation, standing).unwrap();
        if self.mutant == Mutant::RefundOnExpiry {
            refund(&mut changes);
        }
        self.commit(changes, oracle);
    }

    /// Sets a limit to half to one and a half times what it was.
    pub(crate) fn change_a_limit(&mut self, random: &mut Random, tick: u64) {
        let scopes: Vec<ScopeId> = self.memory.rows().scopes.keys().copied().collect();
        let id = scopes[random.index(scopes.len())];
        let scope = self.memory.scope(id).unwrap();
        let place = random.index(scope.budgets.len());
        let limit = &mut scope.budgets[place].budget.limit;
        limit.0 = limit.0 * random.within(50..150) / 100;
        let now = self.now(tick);
        self.tight.note(id, now);
    }

    pub(crate) fn open_windows(&mut self, scope: ScopeId, now: Timestamp) {
        let periods = &self.periods;
        for open in &mut self.memory.scope(scope).unwrap().budgets {
            let period = periods[&open.budget.id];
            open.window = window_at(period, &FixedOffset(0), now);
        }
    }

    fn commit(&mut self, changes: Changes, oracle: &mut Oracle) {
        oracle.committing(&changes, &self.memory);
        let touched: Vec<_> = changes.accounts.keys().copied().collect();
        if self.memory.commit(changes).is_err() {
            oracle.blame("a record was stored twice");
        }
        oracle.committed(&touched, &self.memory);
    }

    /// The mutant without dedupe takes every batch for a new one; says whether it was not.
    fn forget(&self, view: &mut View, batch: &SyncRequest) -> bool {
        let stream = view.streams.get_mut(&(batch.incarnation, batch.stream));
        match stream {
            Some(stream) if self.mutant == Mutant::NoDedupe => {
                let is_repeated = stream.answered >= batch.seq;
                if is_repeated {
                    stream.answered = Seq(batch.seq.0 - 1);
                    stream.last_record.0 = 0;
                }
                is_repeated
            }
            _ => false,
        }
    }
}

/// Half a transaction: either the balances without the records, or everything but that the batch was seen.
fn tear(changes: Changes, random: &mut Random) -> Changes {
    if random.happens(500_000) {
        Changes {
            records: Vec::new(),
            streams: BTreeMap::new(),
            ..changes
        }
    } else {
        Changes {
            streams: BTreeMap::new(),
            ..changes
        }
    }
}

/// What time must not do: give the rest of a silent holder's leases back.
fn refund(changes: &mut Changes) {
    for alert in &changes.alerts {
        let Alert::Presumed { scope, nanos, .. } = alert else {
            continue;
        };
        let leases = changes.leases.values();
        let own = leases.filter(|lease| {
            lease.scope == *scope
                && lease.standing == LeaseStanding::Presumed
                && lease.remainder() == Ok(*nanos)
        });
        let accounts = own.take(1).flat_map(|lease| lease.accounts.clone());
        for key in accounts.collect::<Vec<_>>() {
            let account = changes.accounts.get_mut(&key).unwrap();
            account.posted.0 -= nanos.0;
        }
    }
}

fn hash(batch: &SyncRequest) -> BodyHash {
    let mut hasher = DefaultHasher::new();
    batch.hash(&mut hasher);
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&hasher.finish().to_le_bytes());
    BodyHash(digest)
}
