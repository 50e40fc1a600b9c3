//! A small service for tests and benchmarks: it decides with the real ledger over a view in memory, and leaves the
//! writing to whoever asked. Four scopes pay for each request, as in a deployment with an organisation, teams and users.

use tollgate_core::money::ids::{
    BodyHash, BudgetId, Incarnation, LeaseId, RecordNumber, ScopeId, Seq, StreamId, WindowId,
};
use tollgate_core::money::ledger::{
    Budget, Changes, OpenBudget, Outcome, Scope, View, apply, hello,
};
use tollgate_core::money::message::{Charge, SyncRequest, Usage, Want};
use tollgate_core::money::thresholds::{Mode, STEPS};
use tollgate_core::money::window::WindowNow;
use tollgate_core::units::{NanoUsd, Timestamp};

/// Noon on 2026-11-20, UTC.
pub(crate) const NOON: Timestamp = Timestamp(1_795_176_000_000_000_000);
/// A hundred thousand dollars: no load of ours comes to its end.
const LIMIT: NanoUsd = NanoUsd(100_000_000_000_000);
const USERS: u64 = 400;
const TEAMS: u64 = 20;

/// The rows as the service sees them, and the one holder that speaks.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) view: View,
    pub(crate) holder: Incarnation,
    pub(crate) seq: u64,
    number: u64,
    random: u64,
}

impl Service {
    /// Goes on with what a store knows.
    pub(crate) fn new(mut view: View, seed: u64) -> Self {
        let scopes = 1_u64..=1 + TEAMS + USERS;
        view.scopes
            .extend(scopes.map(|id| (ScopeId(id), scope(ScopeId(id)))));
        Self {
            view,
            holder: Incarnation(0),
            seq: 0,
            number: 0,
            random: seed | 1,
        }
    }

    /// A new process begins.
    pub(crate) fn hello(&mut self, now: Timestamp) -> Changes {
        let (reply, changes) = hello(&self.view, now).unwrap_or_else(refused);
        self.view.absorb(&changes);
        self.holder = reply.incarnation;
        (self.seq, self.number) = (0, 0);
        changes
    }

    /// A batch of so many requests that ended: their money was granted with the batch before.
    pub(crate) fn batch(&mut self, now: Timestamp, requests: u64) -> Changes {
        let mut batch = SyncRequest {
            incarnation: self.holder,
            stream: StreamId(0),
            seq: Seq(self.seq + 1),
            ..SyncRequest::default()
        };
        for _ in 0..requests {
            let user = self.random() % USERS;
            let payers = [1, 2 + user % TEAMS, 2 + TEAMS + user].map(ScopeId);
            let cost = NanoUsd(1_000 + self.random() % 1_000_000);
            let lease = |scope: &ScopeId| {
                let lease = self.view.current.get(&(self.holder, *scope));
                lease.copied().filter(|id| self.covers(*id, cost))
            };
            let leases: Vec<Option<LeaseId>> = payers.iter().map(lease).collect();
            for (scope, lease) in payers.iter().zip(&leases) {
                if lease.is_none() {
                    batch.wants.push(Want {
                        scope: *scope,
                        need: NanoUsd(64_000_000),
                        want: NanoUsd(2_000_000_000),
                    });
                }
            }
            let charge = |lease: LeaseId| Charge {
                lease,
                nanos: cost,
                over: NanoUsd(0),
            };
            self.number += 1;
            batch.usage.push(Usage {
                number: RecordNumber(self.number),
                charges: leases.into_iter().flatten().map(charge).collect(),
                cost,
                record: self.line(now, user, cost).into_bytes(),
                ..Usage::default()
            });
        }
        batch.wants.sort_by_key(|want| want.scope);
        batch.wants.dedup_by_key(|want| want.scope);
        self.decide(now, &batch)
    }

    pub(crate) fn decide(&mut self, now: Timestamp, batch: &SyncRequest) -> Changes {
        let mut hash = BodyHash::default();
        hash.0[0] = u8::try_from(batch.seq.0 % 251).unwrap_or_default();
        match apply(&self.view, batch, hash, now, &[]) {
            Ok(Outcome::Applied(applied)) => {
                self.view.absorb(&applied.changes);
                self.seq = batch.seq.0;
                applied.changes
            }
            Ok(Outcome::Repeated(reply)) => refused(reply),
            Err(why) => refused(why),
        }
    }

    fn covers(&self, lease: LeaseId, cost: NanoUsd) -> bool {
        // More requests of the same batch may draw on it: what is held must do for all of them.
        let lease = self.view.leases.get(&lease);
        let rest = lease.and_then(|lease| lease.remainder().ok());
        rest.is_some_and(|rest| rest.0 >= cost.0 + 64 * 1_001_000)
    }

    fn line(&mut self, now: Timestamp, user: u64, cost: NanoUsd) -> String {
        let model = self.random() % 5;
        let (high, low) = (self.random(), self.random());
        let (input, output) = (self.random() % 4_000, self.random() % 1_000);
        let seconds = now.0 / 1_000_000_000 % 86_400;
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let millis = now.0 / 1_000_000 % 1_000;
        let (team, nanos) = (user % TEAMS, cost.0);
        let duration = 200 + output * 12 + self.random() % 300;
        format!(
            r#"{{"time":"2026-11-20T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z","trace_id":"{high:016x}{low:016x}","org":"acme","team":"team-{team}","user":"user-{user}","key":"key-{user}","endpoint":"/v1/chat/completions","model":"model-{model}","provider":"provider-{model}","model_served":"vendor/model-{model}","stream":true,"status":200,"end":"ok","attempts":[{{"provider":"provider-{model}","model":"vendor/model-{model}","end":"200"}}],"routed":"first_in_order","tags":["feature-{model}"],"tokens":{{"input":{input},"cached_input":0,"cache_write":0,"output":{output},"reasoning":0}},"usage_source":"provider","cost_nanousd":{nanos},"duration_ms":{duration},"first_token_ms":187,"tokens_per_second":74}}"#
        )
    }

    /// xorshift: the same load for the same seed.
    pub(crate) fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// A budget for each scope, of the same number; teams have a second one by the day.
fn scope(id: ScopeId) -> Scope {
    let budget = |budget: u64, window: u32| OpenBudget {
        budget: Budget {
            id: BudgetId(budget),
            limit: LIMIT,
            overflow_percent: 0,
            mode: Mode::Enforce,
            steps: STEPS.to_vec(),
        },
        window: WindowNow {
            id: WindowId(window),
            ends_in_ms: Some(3_600_000),
        },
    };
    let mut budgets = vec![budget(id.0, 0)];
    if (2..2 + TEAMS).contains(&id.0) {
        budgets.push(budget(1_000 + id.0, 20_777));
    }
    Scope {
        id,
        budgets,
        holders: 1,
    }
}

fn refused<T>(why: impl std::fmt::Debug) -> T {
    panic!("the ledger refuses what this load does: {why:?}")
}
