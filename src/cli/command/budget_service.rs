//! `tollgate budget-service`: keeps keys, budgets and records for any number of gateways.

use std::fs;
use std::path::{Path, PathBuf};

use tollgate_budget::service;
use tollgate_core::config::deploy::Checked;

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
    })
}
