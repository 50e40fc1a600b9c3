//! The whole service: opened, served, stopped in order.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tollgate_core::tenancy::Entity;

use crate::admin::token::AdminToken;
use crate::alerts::{Sender, Sink};
use crate::engine::{Engine, Running, Settings};
use crate::{admin, grpc, store};

/// Calls that run when the service is told to stop may take so long.
const DRAIN_WITHIN: Duration = Duration::from_secs(3);

/// What the service is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where filters ask.
    pub listen: SocketAddr,
    /// Where everything is kept; see [`store::open`].
    pub store: String,
    /// What the configuration says of tenants.
    pub tenants: Vec<Entity>,
    /// Where operators ask.
    pub admin: SocketAddr,
    /// Who may.
    pub admin_token: AdminToken,
    /// What callers can ask for, by name.
    pub models: BTreeSet<String>,
    /// Who hears of budgets.
    pub alerts: Vec<Sink>,
}

/// Serves until `told_to_stop`, which is no error, or until it cannot go on.
pub async fn run(options: Options, told_to_stop: impl Future<Output = ()>) -> Result<(), String> {
    // The address first: whoever opens the store takes it over, and the one who listens there may be using it.
    let incoming = grpc::bind(options.listen)?;
    let operators = TcpListener::bind(options.admin)
        .await
        .map_err(|error| format!("the admin API cannot listen on {}: {error}", options.admin))?;
    let (engine, mut running) = open(options.store, options.tenants).await?;
    let (stop, mut stopped) = watch::channel(());
    let mut stopped_too = stopped.clone();
    let serving = grpc::serve(engine.clone(), incoming, async move {
        // Gone or said: both mean stop.
        let _ = stopped.changed().await;
    });
    let mut server = tokio::spawn(serving);
    let api = admin::Settings {
        token: options.admin_token,
        context: admin::Context {
            backend: Arc::new(engine.clone()),
            models: Some(options.models),
        },
    };
    let mut api = tokio::spawn(admin::serve(operators, api, async move {
        let _ = stopped_too.changed().await;
    }));
    let outbox = engine.clone();
    let sender =
        (!options.alerts.is_empty()).then(|| Sender::start(Arc::new(outbox), options.alerts));
    let outcome = tokio::select! {
        () = told_to_stop => Ok(()),
        ended = running.ended() => Err(ended.map_or_else(|error| error.to_string(), |()| String::new())),
        served = &mut server => Err(match served {
            Ok(Err(why)) => why,
            Ok(Ok(())) | Err(_) => "the budget service answers no more".to_owned(),
        }),
    };
    // First no more calls, then what they asked for, then the store.
    let _ = stop.send(());
    if !server.is_finished() {
        let _ = timeout(DRAIN_WITHIN, &mut server).await;
        server.abort();
    }
    if timeout(DRAIN_WITHIN, &mut api).await.is_err() {
        api.abort();
    }
    // It may be waiting for a webhook.
    let _ = tokio::task::spawn_blocking(move || drop(sender)).await;
    engine.stop().await;
    running
        .ended()
        .await
        .map_err(|error| error.to_string())
        .and(outcome)
}

/// Databases answer in their own time: not on a thread that serves.
async fn open(address: String, tenants: Vec<Entity>) -> Result<(Engine, Running), String> {
    let opened = tokio::task::spawn_blocking(move || {
        let store = store::open(&address).map_err(|error| error.to_string())?;
        Engine::start(store, &tenants, Settings::default()).map_err(|trouble| trouble.to_string())
    });
    opened
        .await
        .map_err(|error| format!("the store could not be read: {error}"))?
}
