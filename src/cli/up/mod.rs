//! `tollgate up`: the fakes, the rendered files, the budget service and Envoy, from one command until Ctrl-C.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tollgate_core::config::deploy::Checked;

use crate::fake::{Fake, Settings};
use crate::render::{self, Environment};

mod address;
mod budget;
mod child;
mod envoy;
mod greeting;
mod ports;
mod tools;

pub use child::exec_with_parent;

use child::Child;
use tools::Tools;

/// How long Envoy may take until the gateway answers.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What the caller wants other than the defaults.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration, for the budget service to read.
    pub config: PathBuf,
    /// Where rendered files and logs go.
    pub data: PathBuf,
    /// This Envoy and no other.
    pub envoy: Option<PathBuf>,
    /// This filter and no other.
    pub wasm: Option<PathBuf>,
    /// Worker threads of Envoy; as many as it finds processors where nothing is said.
    pub concurrency: Option<u32>,
    /// This program: Envoy is started through it, so that none outlives the other.
    pub program: PathBuf,
}

/// Runs until it is told to stop, which is no error, or until something fails.
pub async fn up(
    checked: &Checked,
    options: &Options,
    environment: Environment<'_>,
) -> Result<(), String> {
    // First of all, so that a Ctrl-C during the start leaves nothing behind either.
    let mut told_to_stop = Stop::listen()?;
    ports::check_free(checked)?;
    let tools = Tools::find(options, environment).await?;
    let directory = prepare(checked, options, &tools, environment)?;
    let _fakes = start_fakes(checked)?;
    let mut budget = tokio::select! {
        () = told_to_stop.come() => return Ok(()),
        budget = start_budget(checked, &directory, options) => budget?,
    };
    let mut envoy = envoy::start(&tools.envoy, &directory, options)?;

    let outcome = tokio::select! {
        () = told_to_stop.come() => Ok(()),
        ended = ended(&mut budget) => Err(ended),
        outcome = serve(checked, environment, &mut envoy) => outcome,
        () = render::watch(checked, &directory, environment) => Ok(()),
    };
    envoy.stop().await;
    // Last, because the filter reports to it until Envoy is gone.
    if let Some(budget) = &mut budget {
        budget.stop().await;
    }
    outcome
}

/// Starts the budget service, if the configuration wants one here.
async fn start_budget(
    checked: &Checked,
    directory: &Path,
    options: &Options,
) -> Result<Option<Child>, String> {
    let place = checked.deployment.budget.as_ref();
    match place.and_then(|place| place.local.as_ref()) {
        Some(local) => budget::start(local, directory, options).await.map(Some),
        None => Ok(None),
    }
}

/// Returns when it has ended; never, if there is none.
async fn ended(child: &mut Option<Child>) -> String {
    match child {
        Some(child) => child.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits for the gateway, says so, and stays until Envoy ends.
async fn serve(
    checked: &Checked,
    environment: Environment<'_>,
    envoy: &mut Child,
) -> Result<(), String> {
    let (listen, admin) = (checked.deployment.listen, checked.deployment.admin);
    tokio::select! {
        ended = envoy.ended() => return Err(ended),
        answers = timeout(READY_WITHIN, address::answers(listen, admin)) => {
            if answers.is_err() {
                return Err(envoy.with_its_last_words(&format!(
                    "the gateway did not answer within {} s",
                    READY_WITHIN.as_secs()
                )));
            }
        }
    }
    #[allow(
        clippy::print_stdout,
        reason = "what a person at a terminal, and a test, waits for"
    )]
    {
        println!("{}", greeting::text(checked, environment));
    }
    Err(envoy.ended().await)
}

/// Renders into the data directory.
fn prepare(
    checked: &Checked,
    options: &Options,
    tools: &Tools,
    environment: Environment<'_>,
) -> Result<PathBuf, String> {
    let data = &options.data;
    let cannot = |error| format!("cannot use {} for data: {error}", data.display());
    fs::create_dir_all(data).map_err(cannot)?;
    let base = fs::canonicalize(data).map_err(cannot)?;
    let settings = render::Options {
        version: tools.version,
        wasm: tools.wasm.clone(),
        base: base.clone(),
    };
    let files = render::render(checked, &settings, environment)
        .map_err(|problems| crate::command::told(&problems))?;
    render::write(&files, &base).map_err(|error| error.to_string())?;
    Ok(base)
}

fn start_fakes(checked: &Checked) -> Result<Vec<Fake>, String> {
    let mut fakes = Vec::new();
    let providers = checked.gateway.providers.iter();
    for (provider, upstream) in providers.zip(&checked.deployment.upstreams) {
        let Some(address) = upstream.fake else {
            continue;
        };
        let settings = Settings {
            name: provider.name.clone(),
            ..Settings::default()
        };
        let fake = Fake::start(&address.to_string(), settings).map_err(|error| {
            let name = &provider.name;
            format!("cannot play providers.{name} at {address}: {error}")
        })?;
        fakes.push(fake);
    }
    Ok(fakes)
}

/// Ctrl-C, or the polite way to end a process.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// From now on they are heard.
    pub fn listen() -> Result<Self, String> {
        let on = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
        })
    }

    /// Returns when the first of them has come.
    pub async fn come(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
