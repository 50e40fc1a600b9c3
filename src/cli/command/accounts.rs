//! `tollgate accounts`: how the budgets stand.
#![allow(
    clippy::indexing_slicing,
    reason = "JSON by name: what is not there is null"
)]

use crate::admin::{Access, Client, Column, Output, print_rows, segment};

const COLUMNS: &[Column] = &[
    ("SCOPE", "scope"),
    ("BUDGET", "budget"),
    ("WINDOW", "window"),
    ("MODE", "mode"),
    ("LIMIT", "limit"),
    ("SPENT", "spent"),
    ("HELD", "held"),
    ("PRESUMED", "presumed"),
    ("AVAILABLE", "available"),
    ("RESETS", "resets"),
];

/// Shows what is spent, held and left of every budget in the window that is open now, in dollars.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    /// How the answer is shown.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// Only this scope: `team:search`.
    scope: Option<String>,
}

/// Asks the admin API and prints what it says.
pub fn run(args: &Args) -> Result<(), String> {
    let client = Client::of(&args.access)?;
    let query = args
        .scope
        .as_ref()
        .map(|scope| format!("?scope={}", segment(scope)));
    let answer = client.get(&format!("/accounts{}", query.unwrap_or_default()))?;
    let rows = answer["data"].as_array().cloned().unwrap_or_default();
    print_rows(&rows, COLUMNS, args.output);
    Ok(())
}
