//! The running service, asked over the wire: what is right, and what is wrong in every way.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test that goes wrong should fail loudly"
)]

use std::net::SocketAddr;

use tokio::sync::oneshot;
use tollgate_budget::engine::{Engine, Running, Settings};
use tollgate_budget::grpc::calls::budget_client::BudgetClient;
use tollgate_budget::{grpc, store};
use tollgate_core::config::{Commons, Key};
use tollgate_core::money::ids::ScopeId;
use tollgate_core::money::message::AMOUNT_MAX;
use tollgate_core::tenancy::{Budget, Entity, KeyHash, Level, Secret, Tenant};
use tollgate_core::units::NanoUsd;
use tollgate_wire::proto::sync_reply::Outcome;
use tollgate_wire::proto::{self, RefusalKind};
use tonic::Code;
use tonic::transport::Channel;

const LIMIT: u64 = 1_000_000;

struct Service {
    client: BudgetClient<Channel>,
    engine: Engine,
    running: Running,
    _stop: oneshot::Sender<()>,
}

/// A team with a budget, and a key of it.
fn tenants() -> Vec<Entity> {
    let budget = Budget {
        max: NanoUsd(LIMIT),
        ..Budget::default()
    };
    let team = Tenant {
        budgets: vec![budget],
        ..Tenant::default()
    };
    let secret = Secret {
        sha256: KeyHash::of(b"sk-tg-demo"),
        ..Secret::default()
    };
    let key = Tenant {
        team: "search".to_owned(),
        secrets: vec![secret],
        ..Tenant::default()
    };
    vec![
        Entity::Tenant(Level::Team, "search".to_owned(), Some(Box::new(team))),
        Entity::Tenant(Level::Key, "demo".to_owned(), Some(Box::new(key))),
    ]
}

impl Service {
    async fn start() -> Self {
        let store = store::open("memory:").unwrap();
        let (engine, running) = Engine::start(store, &tenants(), Settings::default()).unwrap();
        let incoming = grpc::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = incoming.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = grpc::serve(engine.clone(), incoming, async {
            let _ = stopped.await;
        });
        tokio::spawn(serving);
        assert!(grpc::answers(address).await);
        let client = BudgetClient::connect(format!("http://{address}")).await;
        Self {
            client: client.unwrap(),
            engine,
            running,
            _stop: stop,
        }
    }

    async fn hello(&mut self) -> u64 {
        let request = proto::HelloRequest {
            node: "test".to_owned(),
            version: "1".to_owned(),
        };
        self.client
            .hello(request)
            .await
            .unwrap()
            .into_inner()
            .incarnation
    }

    async fn sync(&mut self, batch: proto::SyncRequest) -> Result<proto::Applied, proto::Refusal> {
        let seq = batch.seq;
        let reply = self.client.sync(batch).await.unwrap().into_inner();
        assert_eq!(reply.seq, seq);
        match reply.outcome.unwrap() {
            Outcome::Applied(applied) => Ok(applied),
            Outcome::Refusal(refusal) => Err(refusal),
        }
    }
}

fn scope() -> u64 {
    ScopeId::named("team:search").0
}

fn batch(incarnation: u64, seq: u64) -> proto::SyncRequest {
    proto::SyncRequest {
        incarnation,
        stream: 1,
        seq,
        ..proto::SyncRequest::default()
    }
}

fn wanting(incarnation: u64, seq: u64, need: u64) -> proto::SyncRequest {
    let want = proto::Want {
        scope: scope(),
        need,
        want: need,
    };
    proto::SyncRequest {
        wants: vec![want],
        ..batch(incarnation, seq)
    }
}

fn paying(incarnation: u64, seq: u64, lease: u64, nanos: u64) -> proto::SyncRequest {
    let charge = proto::Charge {
        lease,
        nanos,
        over: 0,
    };
    let usage = proto::Usage {
        number: seq,
        charges: vec![charge],
        cost: nanos,
        record: br#"{"status":200}"#.to_vec(),
        ..proto::Usage::default()
    };
    proto::SyncRequest {
        usage: vec![usage],
        ..batch(incarnation, seq)
    }
}

#[tokio::test]
async fn money_is_lent_spent_and_never_over_the_limit() {
    let mut service = Service::start().await;
    let (one, other) = (service.hello().await, service.hello().await);
    assert_ne!(one, other);
    let lent = service.sync(wanting(one, 1, 600_000)).await.unwrap();
    assert_eq!(
        (lent.grants[0].nanos, lent.grants[0].scope),
        (600_000, scope())
    );
    let refused = service.sync(wanting(other, 1, 600_000)).await.unwrap();
    assert_eq!(refused.denied, [scope()]);
    let lease = lent.grants[0].lease;
    let called_back = service.sync(paying(one, 2, lease, 250_000)).await.unwrap();
    assert_eq!(called_back.recall, [scope()]);
    let back = proto::Return {
        lease,
        nanos: 350_000,
    };
    let returning = proto::SyncRequest {
        returns: vec![back],
        ..batch(one, 3)
    };
    service.sync(returning).await.unwrap();
    let lent = service.sync(wanting(other, 2, 750_000)).await.unwrap();
    assert_eq!(lent.status[0].spent, 250_000);
    assert_eq!(lent.grants[0].nanos, 750_000);
    assert_eq!(service.engine.figures().records, 1);
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_name_and_changes_nothing() {
    let mut service = Service::start().await;
    let (one, other) = (service.hello().await, service.hello().await);
    let lent = service.sync(wanting(one, 1, 400_000)).await.unwrap();
    let lease = lent.grants[0].lease;
    let absurd = AMOUNT_MAX.0 + 1;
    let back = |nanos| proto::SyncRequest {
        returns: vec![proto::Return { lease, nanos }],
        ..batch(one, 2)
    };
    let debt = proto::SyncRequest {
        usage: vec![proto::Usage {
            number: 1,
            debts: vec![proto::Debt {
                scope: scope(),
                nanos: u64::MAX,
            }],
            ..proto::Usage::default()
        }],
        ..batch(one, 2)
    };
    for (batch, kind, argument) in [
        (paying(one, 2, 77, 1), RefusalKind::UnknownLease, 77),
        (paying(one, 2, 0, 1), RefusalKind::UnknownLease, 0),
        (
            paying(one, 2, u64::MAX, 1),
            RefusalKind::UnknownLease,
            u64::MAX,
        ),
        (paying(other, 1, lease, 1), RefusalKind::ForeignLease, lease),
        (wanting(one, 1, 400_001), RefusalKind::ReplayDiffers, 0),
        (wanting(one, 0, 1), RefusalKind::Stale, 1),
        (wanting(one, 9, 1), RefusalKind::Gap, 2),
        (wanting(0, 1, 1), RefusalKind::UnknownHolder, 0),
        (wanting(4_711, 1, 1), RefusalKind::UnknownHolder, 0),
        (wanting(u64::MAX, 1, 1), RefusalKind::UnknownHolder, 0),
        (wanting(one, 2, absurd), RefusalKind::AbsurdAmount, 0),
        (paying(one, 2, lease, absurd), RefusalKind::AbsurdAmount, 0),
        (debt, RefusalKind::AbsurdAmount, 0),
        (back(u64::MAX), RefusalKind::AbsurdAmount, 0),
        (back(400_001), RefusalKind::ReturnsTooMuch, lease),
    ] {
        let told = format!("{batch:?}");
        let refusal = service.sync(batch).await.unwrap_err();
        assert_eq!(
            (refusal.kind(), refusal.argument),
            (kind, argument),
            "{told}"
        );
    }
    // Whoever was refused goes on where it was; the same again is answered the same.
    assert_eq!(service.sync(wanting(one, 1, 400_000)).await, Ok(lent));
    let rest = service
        .sync(wanting(other, 1, LIMIT - 400_000))
        .await
        .unwrap();
    assert_eq!(rest.grants[0].nanos, LIMIT - 400_000);
}

#[tokio::test]
async fn what_cannot_be_understood_is_an_invalid_argument() {
    let mut service = Service::start().await;
    let by = service.hello().await;
    let open = proto::Open {
        trace: vec![1, 2, 3],
        ..proto::Open::default()
    };
    let odd = proto::SyncRequest {
        opens: vec![open],
        ..batch(by, 1)
    };
    let many = proto::SyncRequest {
        wants: vec![proto::Want::default(); 1_025],
        ..batch(by, 1)
    };
    for (batch, why) in [(odd, "16 bytes"), (many, "1025 entries")] {
        let status = service.client.sync(batch).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(why), "{status:?}");
    }
    let huge = proto::SyncRequest {
        usage: vec![proto::Usage {
            record: vec![b'x'; 3 << 20],
            ..proto::Usage::default()
        }],
        ..batch(by, 1)
    };
    let status = service.client.sync(huge).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    let hashes = |key_sha256| proto::LookupRequest { key_sha256 };
    for asked in [vec![vec![0; 31]], vec![vec![0; 32]; 1_025]] {
        let status = service.client.lookup(hashes(asked)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    // And it lives.
    service.sync(wanting(by, 1, 1)).await.unwrap();
}

#[tokio::test]
async fn keys_are_found_and_changes_are_told() {
    let mut service = Service::start().await;
    let known = KeyHash::of(b"sk-tg-demo").0.to_vec();
    let unknown = vec![7; 32];
    let request = proto::LookupRequest {
        key_sha256: vec![known.clone(), unknown.clone()],
    };
    let found = service.client.lookup(request).await.unwrap().into_inner();
    let key: Key = serde_json::from_slice(&found.keys[0].key_json).unwrap();
    assert_eq!((key.name.as_str(), key.team.as_str()), ("demo", "search"));
    assert_eq!(key.purses[0].scope.0, scope());
    assert_eq!(found.keys[1].key_sha256, unknown);
    assert_eq!(found.keys[1].key_json, b"");
    let watch = |since| proto::WatchRequest { since };
    let quiet = service.client.watch(watch(found.revision)).await.unwrap();
    let quiet = quiet.into_inner();
    assert_eq!(
        (quiet.reset, quiet.keys.len(), quiet.commons_json.len()),
        (false, 0, 0)
    );
    let engine = service.engine.clone();
    let gone = move || {
        engine.change::<()>(|_| {
            Ok(tollgate_budget::engine::Plan {
                entities: vec![Entity::Tenant(Level::Key, "demo".to_owned(), None)],
                audit: Vec::new(),
            })
        })
    };
    tokio::task::spawn_blocking(gone)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let changed = service.client.watch(watch(found.revision)).await.unwrap();
    let changed = changed.into_inner();
    assert!(changed.revision > found.revision);
    assert_eq!(changed.keys[0].key_sha256, known);
    assert_eq!(changed.keys[0].key_json, b"");
    let ahead = service
        .client
        .watch(watch(u64::MAX))
        .await
        .unwrap()
        .into_inner();
    assert!(ahead.reset);
    let commons: Commons = serde_json::from_slice(&ahead.commons_json).unwrap();
    assert_eq!(commons, Commons::default());
}

#[tokio::test]
async fn shares_of_a_minute_are_given_out_once() {
    let mut service = Service::start().await;
    let want = proto::RateWant {
        limit: 5,
        amount: 60,
        per_minute: 1,
        burst: 100,
        unused: 0,
        in_use: None,
    };
    let request = proto::RatesRequest {
        incarnation: 1,
        wants: vec![want, want],
    };
    let reply = service.client.rates(request).await.unwrap().into_inner();
    let amounts: Vec<u64> = reply.grants.iter().map(|grant| grant.amount).collect();
    assert_eq!(amounts, [60, 40]);
    assert!(reply.grants[1].retry_ms > 0);
}

#[tokio::test]
async fn a_service_that_stops_says_so_and_has_done_what_it_answered() {
    let mut service = Service::start().await;
    let by = service.hello().await;
    service.sync(wanting(by, 1, 1)).await.unwrap();
    service.engine.stop().await;
    service.running.ended().await.unwrap();
    let status = service.client.sync(wanting(by, 2, 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "the budget service is stopping");
}
