//! `tollgate render`: what Envoy needs, as files.

use std::path::{Path, PathBuf};

use crate::render::{self, EnvoyVersion, Options, supported_range};
use crate::{command, config};

/// What can be rendered.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub enum Target {
    /// A complete bootstrap for an Envoy of one's own.
    Envoy,
}

/// Writes envoy.yaml, a file for each provider's key, and the filter's JSON.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "gateway.yaml")]
    pub config: PathBuf,
    /// For whom.
    #[arg(long, value_enum)]
    pub target: Target,
    /// Where the files go.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// The Envoy that will read them.
    #[arg(long, value_name = "VERSION", default_value_t = EnvoyVersion::NEWEST, value_parser = supported)]
    pub envoy_version: EnvoyVersion,
    /// Where the filter stands at run time.
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/etc/tollgate/tollgate.wasm"
    )]
    pub wasm: PathBuf,
    /// Where DIR stands at run time, if not where it is now.
    #[arg(long, value_name = "PATH")]
    pub base: Option<PathBuf>,
    /// Stay, and write each provider's key again when the file behind it changes.
    #[arg(long)]
    pub watch: bool,
}

/// Writes the files.
pub fn run(args: &Args) -> Result<(), String> {
    let checked = config::load(&args.config).map_err(|refused| refused.to_string())?;
    let Target::Envoy = args.target;
    let options = Options {
        version: args.envoy_version,
        wasm: args.wasm.clone(),
        base: match &args.base {
            Some(base) => base.clone(),
            None => absolute(&args.output)?,
        },
    };
    let environment = |name: &str| std::env::var(name).ok();
    let files = render::render(&checked, &options, &environment)
        .map_err(|problems| command::told(&problems))?;
    render::write(&files, &args.output).map_err(|error| error.to_string())?;
    if args.watch {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| format!("cannot wait: {error}"))?;
        runtime.block_on(render::watch(&checked, &args.output, &environment));
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn supported(written: &str) -> Result<EnvoyVersion, String> {
    let version: EnvoyVersion = written.parse()?;
    if version.supported() {
        Ok(version)
    } else {
        Err(format!("supported are {}", supported_range()))
    }
}
