//! How long a holder waits for money: over gRPC, with so many holders at once, each of which gives back what it got before.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tollgate_budget::engine::{Engine, Settings};
use tollgate_budget::grpc::calls::budget_client::BudgetClient;
use tollgate_budget::{grpc, store};
use tollgate_core::money::ids::ScopeId;
use tollgate_core::tenancy::{Budget, Entity, Level, Tenant};
use tollgate_core::units::NanoUsd;
use tollgate_wire::proto::{self, sync_reply::Outcome};

use crate::say;

const CALLERS: [usize; 3] = [1, 8, 64];
const TIME: Duration = Duration::from_secs(5);
/// So much is asked for, and nobody is ever refused it.
const WANT: u64 = 1_000_000;
const LIMIT: u64 = 1_000_000_000_000_000;

pub(crate) fn run(address: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(measure(address.to_owned()))
}

async fn measure(address: String) -> Result<(), String> {
    let opened = tokio::task::spawn_blocking(move || {
        let store = store::open(&address).map_err(|error| error.to_string())?;
        Engine::start(store, &tenants(), Settings::default()).map_err(|error| error.to_string())
    });
    let (engine, mut running) = opened.await.map_err(|error| error.to_string())??;
    let incoming = grpc::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listens = incoming.local_addr().map_err(|error| error.to_string())?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(grpc::serve(engine.clone(), incoming, async {
        // Gone or said: both mean stop.
        let _ = stopped.await;
    }));
    say("callers  grants/s  grant p50 us  grant p99 us");
    for callers in CALLERS {
        let mut holders = JoinSet::new();
        for _ in 0..callers {
            holders.spawn(hold(listens));
        }
        let mut took = Vec::new();
        while let Some(waited) = holders.join_next().await {
            took.extend(waited.map_err(|error| error.to_string())??);
        }
        took.sort_unstable();
        let at = |per_cent: usize| took[(took.len() - 1) * per_cent / 100].as_micros();
        say(&format!(
            "{callers:7}  {:8}  {:12}  {:12}",
            u128::try_from(took.len()).unwrap_or(u128::MAX) * 1_000 / TIME.as_millis(),
            at(50),
            at(99)
        ));
    }
    drop(stop);
    let _ = serving.await;
    engine.stop().await;
    running.ended().await.map_err(|error| error.to_string())
}

fn tenants() -> Vec<Entity> {
    let budget = Budget {
        max: NanoUsd(LIMIT),
        ..Budget::default()
    };
    let team = Tenant {
        budgets: vec![budget],
        ..Tenant::default()
    };
    vec![Entity::Tenant(
        Level::Team,
        "search".to_owned(),
        Some(Box::new(team)),
    )]
}

/// Asks again and again; how long each answer took.
async fn hold(address: SocketAddr) -> Result<Vec<Duration>, String> {
    let client = BudgetClient::connect(format!("http://{address}")).await;
    let mut client = client.map_err(|error| error.to_string())?;
    let hello = client.hello(proto::HelloRequest::default()).await;
    let incarnation = hello.map_err(|error| error.to_string())?.into_inner();
    let mut took = Vec::new();
    let mut returns = Vec::new();
    let began = Instant::now();
    while began.elapsed() < TIME {
        let seq = u64::try_from(took.len()).unwrap_or(u64::MAX) + 1;
        let batch = proto::SyncRequest {
            incarnation: incarnation.incarnation,
            seq,
            returns: std::mem::take(&mut returns),
            wants: vec![proto::Want {
                scope: ScopeId::named("team:search").0,
                need: WANT,
                want: WANT,
            }],
            ..proto::SyncRequest::default()
        };
        let asked = Instant::now();
        let reply = client
            .sync(batch)
            .await
            .map_err(|error| error.to_string())?;
        took.push(asked.elapsed());
        match reply.into_inner().outcome {
            Some(Outcome::Applied(applied)) => {
                let granted = applied.grants.into_iter();
                returns.extend(granted.map(|grant| proto::Return {
                    lease: grant.lease,
                    nanos: grant.nanos,
                }));
            }
            other => return Err(format!("no grant, but {other:?}")),
        }
    }
    Ok(took)
}
