//! `tollgate switch`: a provider, a deployment, a model off and on, everywhere.
#![allow(
    clippy::indexing_slicing,
    reason = "JSON by name: what is not there is null"
)]

use serde_json::{Value, json};

use crate::admin::{Access, Client, Column, Output, print_one, print_rows, segment};

const COLUMNS: &[Column] = &[("SWITCH", "switch"), ("OFF", "off"), ("REASON", "reason")];

/// Switches providers, deployments and models off and on; every Envoy knows within two seconds.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    /// How the answer is shown.
    #[arg(long, value_enum, default_value_t, global = true)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum What {
    /// What is off.
    List,
    /// Off: `provider alpha`, `deployment alpha/alpha-small`, `model small`.
    Off {
        #[arg(value_enum)]
        kind: Kind,
        name: String,
        /// Why, for whoever wonders.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// On again.
    On {
        #[arg(value_enum)]
        kind: Kind,
        name: String,
    },
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    Provider,
    Deployment,
    Model,
}

/// Asks the admin API and prints what it says.
pub fn run(args: &Args) -> Result<(), String> {
    let client = Client::of(&args.access)?;
    let answer = match &args.what {
        What::List => {
            let answer = client.get("/switches")?;
            let rows = answer["data"].as_array().cloned().unwrap_or_default();
            print_rows(&rows, COLUMNS, args.output);
            return Ok(());
        }
        What::Off { kind, name, reason } => {
            client.ask("PUT", &path(*kind, name), &json!({"reason": reason}))?
        }
        What::On { kind, name } => client.ask("DELETE", &path(*kind, name), &Value::Null)?,
    };
    print_one(&answer, args.output);
    Ok(())
}

fn path(kind: Kind, name: &str) -> String {
    let kind = match kind {
        Kind::Provider => "provider",
        Kind::Deployment => "deployment",
        Kind::Model => "model",
    };
    format!("/switches/{kind}:{}", segment(name))
}
