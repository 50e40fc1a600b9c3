//! `tollgate up`: everything on this machine, in the foreground, until Ctrl-C.

use std::path::PathBuf;

use crate::{config, up};

/// Checks the configuration, starts what it needs, and says `ready` when the gateway answers.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "gateway.yaml")]
    pub config: PathBuf,
    /// Where rendered files and logs go.
    #[arg(long, value_name = "DIR", default_value = ".tollgate")]
    pub data: PathBuf,
    /// Envoy; else TOLLGATE_ENVOY, one on PATH, or the newest below .tools.
    #[arg(long, value_name = "PATH")]
    pub envoy: Option<PathBuf>,
    /// The filter; else TOLLGATE_WASM, one beside this program, or what was built last.
    #[arg(long, value_name = "PATH")]
    pub wasm: Option<PathBuf>,
    /// Worker threads of Envoy; else one for each processor.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: Option<u32>,
}

/// Runs until it is told to stop.
pub fn run(args: &Args) -> Result<(), String> {
    let checked = config::load(&args.config).map_err(|refused| refused.to_string())?;
    let program = std::env::current_exe()
        .map_err(|error| format!("cannot tell where this program is: {error}"))?;
    let options = up::Options {
        config: args.config.clone(),
        data: args.data.clone(),
        envoy: args.envoy.clone(),
        wasm: args.wasm.clone(),
        concurrency: args.concurrency,
        program,
    };
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| format!("cannot start worker threads: {error}"))?;
    // On this very thread: Envoy is told to die with the thread that starts it.
    runtime.block_on(up::up(&checked, &options, &|name| std::env::var(name).ok()))
}
