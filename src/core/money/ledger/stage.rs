//! The stage on which stories of the ledger are played: a scope with one budget by the day, over the store in memory.

use std::collections::BTreeMap;

use super::*;
use crate::money::ids::{AccountKey, BudgetId, LeaseId, RecordNumber, ScopeId};
use crate::money::memory::Memory;
use crate::money::message::{Charge, Debt, Return, Usage, Want};
use crate::money::thresholds::{Mode, STEPS};
use crate::money::window::{FixedOffset, Period, WindowNow, window_at};

pub(super) const SCOPE: ScopeId = ScopeId(1);
const PATIENCE: Patience = Patience {
    suspect_after_ms: 10_000,
    presume_after_ms: 60_000,
};

/// A scope with one budget by the day, and the holders that use it.
pub(super) struct Story {
    pub(super) memory: Memory,
    pub(super) now: Timestamp,
    pub(super) limit: NanoUsd,
    overflow_percent: u32,
    mode: Mode,
    pub(super) holders: BTreeMap<String, Talker>,
    /// What was reserved under which name.
    reserved: BTreeMap<String, (LeaseId, NanoUsd)>,
    /// What was owed without a lease.
    owed: BTreeMap<AccountKey, u64>,
}

#[derive(Default)]
pub(super) struct Talker {
    pub(super) batch: SyncRequest,
    records: u64,
}

impl Story {
    pub(super) fn new() -> Self {
        Self {
            memory: Memory::default(),
            now: Timestamp(1_795_132_800_000_000_000),
            limit: NanoUsd::ZERO,
            overflow_percent: 0,
            mode: Mode::Enforce,
            holders: BTreeMap::new(),
            reserved: BTreeMap::new(),
            owed: BTreeMap::new(),
        }
    }

    pub(super) fn play(&mut self, words: &[&str]) -> String {
        match *words {
            ["limit", amount] => self.limit = dollars(amount),
            ["overflow", percent] => self.overflow_percent = percent.parse().unwrap(),
            ["audit"] => self.mode = Mode::Audit,
            ["tick", seconds] => self.tick(seconds.parse().unwrap()),
            ["reserve", holder, name, amount] => {
                return self.reserve(holder, name, dollars(amount));
            }
            ["settle", holder, name, amount] => return self.settle(holder, name, dollars(amount)),
            ["resend", holder] => return self.resend(holder, |_| {}),
            ["resend", holder, "changed"] => {
                return self.resend(holder, |batch| batch.wants.clear());
            }
            ["resend", holder, seq] => {
                return self.resend(holder, |batch| batch.seq.0 = seq.parse().unwrap());
            }
            ["owe", holder, amount] => return self.owe(holder, dollars(amount)),
            ["reconcile", name, amount] => return self.reconcile(name, dollars(amount)),
            ["balance"] => {
                let account = self.account();
                return format!("{} {}", account.posted, account.held);
            }
            ["alerts"] => return self.alerts(),
            ["standing", holder] => {
                let incarnation = self.holders[holder].batch.incarnation;
                return format!("{:?}", self.memory.rows().holders[&incarnation].standing);
            }
            _ => panic!("nobody knows how to {words:?}"),
        }
        self.open_window();
        String::new()
    }

    fn tick(&mut self, seconds: u64) {
        self.now.0 += seconds * 1_000_000_000;
        for (incarnation, holder) in self.memory.rows().holders.clone() {
            let standing = judge(&holder, PATIENCE, Timestamp(0), self.now);
            if standing != holder.standing {
                let view = self.memory.load_holder(incarnation);
                let changes = presume(&view, incarnation, standing).unwrap();
                self.memory.commit(changes).unwrap();
            }
        }
    }

    fn reserve(&mut self, holder: &str, name: &str, amount: NanoUsd) -> String {
        let want = Want {
            scope: SCOPE,
            need: amount,
            want: amount,
        };
        let result = self.send(holder, |batch, _| batch.wants.push(want));
        match result {
            Ok(reply) => match reply.grants.first() {
                Some(grant) => {
                    let held = (grant.lease, grant.nanos);
                    self.reserved.insert(name.to_owned(), held);
                    "Ok".to_owned()
                }
                None => "Refused".to_owned(),
            },
            Err(refusal) => format!("{refusal:?}"),
        }
    }

    /// Pays from what was reserved and gives the rest back.
    fn settle(&mut self, holder: &str, name: &str, cost: NanoUsd) -> String {
        let (lease, held) = self.reserved[name];
        let standing = self.memory.rows().leases[&lease].standing;
        let nanos = cost.min(held);
        let over = NanoUsd(cost.0 - nanos.0);
        let result = self.send(holder, |batch, number| {
            let charges = vec![Charge { lease, nanos, over }];
            batch.usage.push(Usage {
                number,
                charges,
                ..Usage::default()
            });
            let rest = NanoUsd(held.0 - nanos.0);
            batch.returns.push(Return { lease, nanos: rest });
        });
        match (result, standing) {
            (Err(refusal), _) => format!("{refusal:?}"),
            (Ok(_), LeaseStanding::Presumed) => "Late".to_owned(),
            (Ok(_), LeaseStanding::Active) if over > NanoUsd::ZERO => "Over".to_owned(),
            (Ok(_), LeaseStanding::Active) => "Ok".to_owned(),
        }
    }

    /// Reports what was served without a lease while the service was away.
    fn owe(&mut self, holder: &str, nanos: NanoUsd) -> String {
        let debt = Debt {
            scope: SCOPE,
            nanos,
        };
        let result = self.send(holder, |batch, number| {
            batch.usage.push(Usage {
                number,
                debts: vec![debt],
                ..Usage::default()
            });
        });
        if result.is_ok() {
            *self.owed.entry(self.open_account()).or_default() += nanos.0;
        }
        result.map_or_else(|refusal| format!("{refusal:?}"), |_| "Ok".to_owned())
    }

    fn reconcile(&mut self, name: &str, spent: NanoUsd) -> String {
        match reconcile(self.memory.rows(), self.reserved[name].0, spent) {
            Ok(changes) => {
                self.memory.commit(changes).unwrap();
                "Ok".to_owned()
            }
            Err(refusal) => format!("{refusal:?}"),
        }
    }

    pub(super) fn send(
        &mut self,
        holder: &str,
        fill: impl FnOnce(&mut SyncRequest, RecordNumber),
    ) -> Result<SyncReply, Refusal> {
        if !self.holders.contains_key(holder) {
            let (reply, changes) = hello(self.memory.rows(), self.now).unwrap();
            self.memory.commit(changes).unwrap();
            let mut talker = Talker::default();
            talker.batch.incarnation = reply.incarnation;
            self.holders.insert(holder.to_owned(), talker);
        }
        self.open_window();
        let talker = self.holders.get_mut(holder).unwrap();
        talker.records += 1;
        let mut batch = SyncRequest {
            incarnation: talker.batch.incarnation,
            seq: Seq(talker.batch.seq.0 + 1),
            ..SyncRequest::default()
        };
        fill(&mut batch, RecordNumber(talker.records));
        let outcome = self.apply(&batch);
        if outcome.is_ok() {
            self.holders.get_mut(holder).unwrap().batch = batch;
        }
        outcome.map(|(reply, _)| reply)
    }

    fn resend(&mut self, holder: &str, change: impl FnOnce(&mut SyncRequest)) -> String {
        let mut batch = self.holders[holder].batch.clone();
        change(&mut batch);
        match self.apply(&batch) {
            Ok((_, true)) => "Repeated".to_owned(),
            Ok((_, false)) => "Applied".to_owned(),
            Err(refusal) => format!("{refusal:?}"),
        }
    }

    /// The reply, and whether it was given before.
    pub(super) fn apply(&mut self, batch: &SyncRequest) -> Result<(SyncReply, bool), Refusal> {
        let mut hash = BodyHash::default();
        hash.0[0] = u8::try_from(batch.wants.len() + 2 * batch.usage.len()).unwrap();
        let view = self.memory.load(batch);
        match apply(&view, batch, hash, self.now, &[])? {
            Outcome::Repeated(reply) => Ok((reply, true)),
            Outcome::Applied(applied) => {
                self.memory.commit(applied.changes).unwrap();
                Ok((applied.reply, false))
            }
        }
    }

    pub(super) fn knows(&self, holder: usize) -> bool {
        self.holders.contains_key(&holder.to_string())
    }

    pub(super) fn window(&self) -> WindowNow {
        window_at(Period::Day, &FixedOffset(0), self.now)
    }

    fn open_window(&mut self) {
        let budget = Budget {
            id: BudgetId(1),
            limit: self.limit,
            overflow_percent: self.overflow_percent,
            mode: self.mode,
            steps: STEPS.to_vec(),
        };
        let window = self.window();
        self.memory.set_scope(Scope {
            id: SCOPE,
            budgets: vec![OpenBudget { budget, window }],
            holders: 0,
        });
    }

    pub(super) fn account(&self) -> Account {
        self.memory.account(self.open_account())
    }

    fn open_account(&self) -> AccountKey {
        let window = self.window().id;
        let budget = BudgetId(1);
        AccountKey { budget, window }
    }

    fn alerts(&mut self) -> String {
        let alerts = self.memory.take_alerts().into_iter();
        let words = alerts.map(|alert| match alert {
            Alert::Passed {
                percent, action, ..
            } => format!("{percent}:{action:?}"),
            Alert::Overrun { over, .. } => format!("over:{over}"),
            Alert::Presumed { nanos, .. } => format!("presumed:{nanos}"),
            Alert::Uncovered { nanos, .. } => format!("uncovered:{nanos}"),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// What is held and posted follows from the leases.
    pub(super) fn check_invariants(&self, line: &str) {
        for (key, account) in &self.memory.rows().accounts {
            let owed = self.owed.get(key).copied().unwrap_or_default();
            let (mut held, mut posted) = (0, owed);
            for lease in self.memory.rows().leases.values() {
                if lease.accounts.contains(key) {
                    let rest = lease.remainder().unwrap().0;
                    posted += lease.settled.0 + lease.overrun.0;
                    match lease.standing {
                        LeaseStanding::Active => held += rest,
                        LeaseStanding::Presumed => posted += rest,
                    }
                }
            }
            assert_eq!((account.held.0, account.posted.0), (held, posted), "{line}");
        }
    }
}

pub(super) fn dollars(text: &str) -> NanoUsd {
    NanoUsd::from_dollars(text).unwrap()
}
