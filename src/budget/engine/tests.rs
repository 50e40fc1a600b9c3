//! The engine over a store that fails at will.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::scratch::{Disk, Failing};
use super::*;
use tollgate_core::money::ids::{
    AccountKey, Incarnation, LeaseId, RecordNumber, ScopeId, Seq, StreamId, WindowId,
};
use tollgate_core::money::ledger::{Account, HolderStanding};
use tollgate_core::money::message::{Charge, Refusal, Return, SyncReply, Usage, Want};
use tollgate_core::money::window::Period;
use tollgate_core::tenancy::{Budget, Common, CommonScope, budget_id};

use crate::store::RecordName;

const LIMIT: u64 = 1_000_000;

/// Everyone has a budget, by the day.
fn everyone(limit: u64, time_zone: &str) -> Entity {
    let budget = Budget {
        max: NanoUsd(limit),
        window: Period::Day,
        time_zone: time_zone.to_owned(),
        ..Budget::default()
    };
    let common = Common {
        budgets: vec![budget],
        ..Common::default()
    };
    Entity::Common(CommonScope::Everyone, Some(common))
}

fn scope() -> ScopeId {
    ScopeId::named("everyone")
}

/// A service, and the clock it looks at.
struct Stage {
    disk: Disk,
    engine: Engine,
    running: Running,
    now: Arc<AtomicU64>,
    seqs: BTreeMap<Incarnation, u64>,
}

impl Stage {
    fn start(disk: Disk) -> Self {
        Self::start_at(disk, 1_795_132_800_000_000_000)
    }

    fn start_at(disk: Disk, now: u64) -> Self {
        let now = Arc::new(AtomicU64::new(now));
        let shown = Arc::clone(&now);
        let settings = Settings {
            clock: Arc::new(move || Timestamp(shown.load(Ordering::SeqCst))),
            ..Settings::default()
        };
        let file = [everyone(LIMIT, "UTC")];
        let store = Box::new(disk.clone());
        let (engine, running) = Engine::start(store, &file, settings).unwrap();
        Self {
            disk,
            engine,
            running,
            now,
            seqs: BTreeMap::new(),
        }
    }

    async fn restart(mut self) -> Self {
        self.engine.stop().await;
        self.running.ended().await.unwrap();
        let next = Self::start_at(self.disk, self.now.load(Ordering::SeqCst));
        Self {
            seqs: self.seqs,
            ..next
        }
    }

    fn batch(&mut self, by: Incarnation, fill: impl FnOnce(&mut SyncRequest)) -> SyncRequest {
        let seq = self.seqs.entry(by).or_default();
        *seq += 1;
        let mut batch = SyncRequest {
            incarnation: by,
            stream: StreamId(1),
            seq: Seq(*seq),
            ..SyncRequest::default()
        };
        fill(&mut batch);
        batch
    }

    async fn send(&self, batch: &SyncRequest) -> Result<Result<SyncReply, Refusal>, Trouble> {
        let mut hash = BodyHash::default();
        hash.0[0] = u8::try_from(batch.usage.len() + 2 * batch.wants.len()).unwrap();
        let answer = self.engine.sync(batch.clone(), hash).await?;
        assert_eq!(answer.seq, batch.seq);
        Ok(answer.result)
    }

    async fn want(&mut self, by: Incarnation, nanos: u64) -> SyncReply {
        let batch = self.batch(by, |batch| batch.wants.push(want(nanos)));
        self.send(&batch).await.unwrap().unwrap()
    }

    async fn hello(&self) -> Incarnation {
        self.engine.hello().await.unwrap().incarnation
    }

    fn account(&self) -> Account {
        let budgets = self.engine.directory();
        let budget = budget_id("everyone", &budgets.budgets("everyone").unwrap()[0]);
        let day = self.now.load(Ordering::SeqCst) / 86_400_000_000_000;
        self.disk.account(AccountKey {
            budget,
            window: WindowId(u32::try_from(day).unwrap()),
        })
    }
}

fn want(nanos: u64) -> Want {
    Want {
        scope: scope(),
        need: NanoUsd(nanos),
        want: NanoUsd(nanos),
    }
}

fn usage(number: u64, lease: LeaseId, nanos: u64) -> Usage {
    Usage {
        number: RecordNumber(number),
        charges: vec![Charge {
            lease,
            nanos: NanoUsd(nanos),
            over: NanoUsd::ZERO,
        }],
        cost: NanoUsd(nanos),
        record: b"{}".to_vec(),
        ..Usage::default()
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let mut stage = Stage::start(Disk::default());
    let by = stage.hello().await;
    let lease = stage.want(by, 600_000).await.grants[0].lease;
    let paid = stage.batch(by, |batch| {
        batch.usage.push(usage(1, lease, 250_000));
        batch.returns.push(Return {
            lease,
            nanos: NanoUsd(50_000),
        });
    });
    let reply = stage.send(&paid).await.unwrap().unwrap();
    let mut stage = stage.restart().await;
    // The answer got lost: the same again.
    assert_eq!(stage.send(&paid).await.unwrap(), Ok(reply));
    let account = stage.account();
    assert_eq!((account.posted.0, account.held.0), (250_000, 300_000));
    assert_eq!(stage.disk.records(), 1);
    assert_eq!(stage.want(by, 500_000).await.denied, [scope()]);
    let other = stage.hello().await;
    assert!(other > by, "an incarnation is never given twice");
}

#[tokio::test]
async fn nobody_is_answered_before_it_is_written_and_what_failed_counts_once() {
    for failing in [Failing::Before, Failing::After] {
        let mut stage = Stage::start(Disk::default());
        let by = stage.hello().await;
        let batch = stage.batch(by, |batch| batch.wants.push(want(600_000)));
        let full = StoreError::Full("no space left on device".to_owned());
        stage.disk.fail(Some((failing, full.clone())));
        assert_eq!(stage.send(&batch).await, Err(Trouble::Store(full.clone())));
        assert_eq!(stage.engine.health(), Err(Trouble::Store(full)));
        assert!(stage.engine.hello().await.is_err());
        stage.disk.fail(None);
        tokio::time::sleep(Duration::from_millis(250)).await;
        let reply = stage.send(&batch).await.unwrap().unwrap();
        assert_eq!(reply.grants[0].nanos, NanoUsd(600_000), "{failing:?}");
        assert_eq!(stage.engine.health(), Ok(()));
        assert_eq!(stage.account().held, NanoUsd(600_000), "{failing:?}");
        assert_eq!(stage.want(by, 600_000).await.denied, [scope()]);
    }
}

#[tokio::test]
async fn one_batch_that_cannot_be_written_does_not_stop_the_others() {
    let mut stage = Stage::start(Disk::default());
    let by = stage.hello().await;
    stage.want(by, 1_000).await;
    let name = RecordName::default();
    let poison = StoreError::RecordExists(name);
    stage.disk.fail(Some((Failing::Before, poison.clone())));
    let batch = stage.batch(by, |batch| batch.wants.push(want(1_000)));
    assert_eq!(stage.send(&batch).await, Err(Trouble::Store(poison)));
    stage.disk.fail(None);
    // At once: the store is well.
    assert!(stage.send(&batch).await.unwrap().is_ok());
}

#[tokio::test]
async fn many_that_come_together_are_one_transaction() {
    let mut stage = Stage::start(Disk::default());
    let mut batches = Vec::new();
    for _ in 0..50 {
        let by = stage.hello().await;
        batches.push(stage.batch(by, |batch| batch.wants.push(want(1_000))));
    }
    let before = stage.disk.commits();
    // The writer waits here until all of them have come.
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let engine = stage.engine.clone();
    let held = std::thread::spawn(move || {
        engine.with_store(move |_| {
            let _ = gate.recv();
            Ok(())
        })
    });
    let engine = &stage.engine;
    let sending = batches.iter().map(|batch| {
        let (engine, batch) = (engine.clone(), batch.clone());
        tokio::spawn(async move { engine.sync(batch, BodyHash::default()).await })
    });
    let sending: Vec<_> = sending.collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    open.send(()).unwrap();
    for sent in sending {
        sent.await.unwrap().unwrap().result.unwrap();
    }
    held.join().unwrap().unwrap();
    let groups = stage.disk.commits() - before;
    assert!(groups <= 4, "{groups} transactions");
    assert_eq!(stage.account().held, NanoUsd(50_000));
}

#[tokio::test]
async fn late_evidence_is_fetched_from_the_store() {
    let mut stage = Stage::start(Disk::default());
    let by = stage.hello().await;
    let lease = stage.want(by, 600_000).await.grants[0].lease;
    stage.disk.forget();
    let mut stage = stage.restart().await;
    let paid = stage.batch(by, |batch| batch.usage.push(usage(1, lease, 100_000)));
    stage.send(&paid).await.unwrap().unwrap();
    let account = stage.account();
    assert_eq!((account.posted.0, account.held.0), (100_000, 500_000));
    // And no account is taken for empty because it is not in memory.
    let mut stage = stage.restart().await;
    let other = stage.hello().await;
    assert_eq!(stage.want(other, 500_000).await.denied, [scope()]);
}

#[tokio::test]
async fn a_change_is_in_force_when_it_is_answered_and_idle_money_is_called_back() {
    let mut stage = Stage::start(Disk::default());
    let by = stage.hello().await;
    stage.want(by, 600_000).await;
    let revision = stage.engine.directory().revision();
    let engine = stage.engine.clone();
    let cut = move || {
        engine.change::<String>(|_| {
            Ok(Plan {
                entities: vec![everyone(500_000, "UTC")],
                audit: Vec::new(),
            })
        })
    };
    let committed = tokio::task::spawn_blocking(cut).await.unwrap();
    let committed = committed.unwrap().unwrap();
    assert!(committed.revision.0 > revision);
    let changed = stage.engine.directory().changed(revision);
    assert!(changed.commons, "{changed:?}");
    let reply = stage.want(by, 1).await;
    assert_eq!((reply.denied, reply.recall), (vec![scope()], vec![scope()]));
    let engine = stage.engine.clone();
    let wrong = move || {
        engine.change::<String>(|_| {
            Ok(Plan {
                entities: vec![everyone(1, "Europe/Atlantis")],
                audit: Vec::new(),
            })
        })
    };
    let refused = tokio::task::spawn_blocking(wrong).await.unwrap();
    assert!(matches!(refused, Err(Trouble::Tenants(_))), "{refused:?}");
    let engine = stage.engine.clone();
    let no = move || engine.change(|_| Err("no".to_owned()));
    let refused = tokio::task::spawn_blocking(no).await.unwrap();
    assert_eq!(refused, Ok(Err("no".to_owned())));
}

#[tokio::test]
async fn a_clock_that_jumps_loses_nothing_and_condemns_nobody() {
    let mut stage = Stage::start(Disk::default());
    let by = stage.hello().await;
    stage.want(by, 600_000).await;
    let day = 86_400_000_000_000;
    // A week ahead: another day, another account, and the old one holds what it held.
    stage.now.fetch_add(7 * day, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    let standing = stage.disk.standing(by);
    assert_eq!(standing, HolderStanding::Alive);
    assert_eq!(
        stage.want(by, 900_000).await.grants[0].nanos,
        NanoUsd(900_000)
    );
    stage.now.fetch_sub(7 * day, Ordering::SeqCst);
    assert_eq!(stage.account().held, NanoUsd(600_000));
    assert_eq!(stage.want(by, 900_000).await.denied, [scope()]);
}

#[tokio::test]
async fn a_service_that_was_replaced_ends() {
    let mut stage = Stage::start(Disk::default());
    stage.disk.fail(Some((Failing::Before, StoreError::Fenced)));
    let hello = stage.engine.hello().await;
    assert_eq!(hello, Err(Trouble::Store(StoreError::Fenced)));
    assert_eq!(stage.running.ended().await, Err(StoreError::Fenced));
    assert_eq!(stage.engine.hello().await, Err(Trouble::Stopping));
}

#[tokio::test]
async fn what_is_exposed_counts_the_living() {
    let stage = Stage::start(Disk::default());
    assert_eq!(stage.engine.exposed(), []);
    let engine = stage.engine.clone();
    let lend = move || {
        engine.change::<String>(|_| {
            let Entity::Common(name, Some(mut common)) = everyone(LIMIT, "UTC") else {
                return Err("not common".to_owned());
            };
            common.budgets[0].terms.debt = NanoUsd(700);
            Ok(Plan {
                entities: vec![Entity::Common(name, Some(common))],
                audit: Vec::new(),
            })
        })
    };
    tokio::task::spawn_blocking(lend)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    stage.hello().await;
    stage.hello().await;
    let exposed = Exposed {
        scope: "everyone".to_owned(),
        each: NanoUsd(700),
        all: NanoUsd(1_400),
    };
    assert_eq!(stage.engine.exposed(), [exposed]);
}
