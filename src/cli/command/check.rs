//! `tollgate check`: every mistake of a configuration file, with its place and its cure.

use std::path::PathBuf;

use tollgate_core::config::deploy::Checked;

use crate::config;

/// Says whether a configuration file is fit for use, and if not, everything that is wrong with it.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The file.
    #[arg(long, value_name = "FILE", default_value = "gateway.yaml")]
    pub config: PathBuf,
}

/// Prints one line where all is well; otherwise the error is the report.
pub fn run(args: &Args) -> Result<(), String> {
    let checked = config::load(&args.config).map_err(|refused| refused.to_string())?;
    #[allow(clippy::print_stdout, reason = "the answer of a command")]
    {
        println!("{}", summary(&args.config.display().to_string(), &checked));
    }
    Ok(())
}

fn summary(file: &str, checked: &Checked) -> String {
    let gateway = &checked.gateway;
    format!(
        "{file}: no mistakes ({}, {}, {})",
        counted(gateway.providers.len(), "provider"),
        counted(gateway.models.len(), "model"),
        counted(gateway.keys.len(), "key"),
    )
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
