//! `tollgate budget-service`: keeps keys, budgets and records for any number of gateways.

use std::fs;
use std::path::{Path, PathBuf};

use tollgate_budget::admin::token::{self, AdminToken};
use tollgate_budget::alerts::Sink;
use tollgate_budget::service;
use tollgate_core::config::deploy::{AlertSink, Checked, LocalBudget, Secret};

use crate::{config, up};

/// Serves what stands under `budget_service`, until it is told to stop. `tollgate up` starts it by itself.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "gateway.yaml")]
    pub config: PathBuf,
    /// Where the database is, if the configuration names no other place.
    #[arg(long, value_name = "DIR", default_value = ".tollgate")]
    pub data: PathBuf,
}

/// Serves until it is told to stop.
pub fn run(args: &Args) -> Result<(), String> {
    let checked = config::load(&args.config).map_err(|refused| refused.to_string())?;
    let options = options(&checked, &args.data)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| format!("cannot start worker threads: {error}"))?;
    runtime.block_on(async {
        let mut told_to_stop = up::Stop::listen()?;
        service::run(options, told_to_stop.come()).await
    })
}

fn options(checked: &Checked, data: &Path) -> Result<service::Options, String> {
    let place = checked.deployment.budget.as_ref();
    let local = place.and_then(|place| place.local.as_ref());
    let Some(local) = local else {
        return Err(match place {
            Some(place) => format!("budget_service.url: the service is at {}", place.authority),
            None => {
                "the configuration has no `budget_service`: write `budget_service: {store: sqlite}`"
                    .to_owned()
            }
        });
    };
    let store = match local.store.as_str() {
        "memory" => "memory:".to_owned(),
        "sqlite" => {
            fs::create_dir_all(data)
                .map_err(|error| format!("cannot use {} for data: {error}", data.display()))?;
            format!("sqlite:{}", data.join("budget.sqlite3").display())
        }
        other => other.to_owned(),
    };
    Ok(service::Options {
        listen: local.listen,
        store,
        tenants: checked.tenants.clone(),
        admin: local.admin,
        admin_token: token(local, data)?,
        models: checked
            .gateway
            .models
            .iter()
            .map(|model| model.name.clone())
            .collect(),
        alerts: local.alerts.iter().map(sink).collect::<Result<_, _>>()?,
    })
}

/// As it is configured; else one from the data folder, made there if there is none.
fn token(local: &LocalBudget, data: &Path) -> Result<AdminToken, String> {
    let token = match &local.admin_token {
        Some(secret) => read("budget_service.admin_token", secret)?,
        None => fs::create_dir_all(data)
            .and_then(|()| token::in_folder(data))
            .map_err(|error| {
                let file = data.join(token::FILE_NAME);
                format!("cannot make an admin token in {}: {error}", file.display())
            })?,
    };
    AdminToken::of(&token)
}

fn sink(alert: &AlertSink) -> Result<Sink, String> {
    Ok(Sink {
        url: read("budget_service.alerts", &alert.url)?,
        shape: alert.shape,
        at: alert.at.clone(),
    })
}

fn read(at: &str, secret: &Secret) -> Result<String, String> {
    let read = match secret {
        Secret::Env(name) => std::env::var(name).map_err(|_| {
            format!("{at}: the environment variable {name} is not set\n  fix: export {name}=...")
        }),
        Secret::File(path) => fs::read_to_string(path).map_err(|error| {
            let file = path.display();
            format!(
                "{at}: {file} cannot be read: {error}\n  fix: write it there, or name another file"
            )
        }),
    };
    Ok(read?.trim().to_owned())
}
