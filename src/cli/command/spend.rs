//! `tollgate spend`: what was spent, on what, by whom.
#![allow(
    clippy::indexing_slicing,
    reason = "JSON by name: what is not there is null"
)]

use crate::admin::{Access, Client, Column, Output, print_one, print_rows, segment};

/// Sums requests, tokens and cost over a period.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    /// How the answer is shown.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// What gets a line of its own.
    #[arg(long, value_enum, value_delimiter = ',')]
    by: Vec<By>,
    /// The beginning: `2026-11-01`, `24h`; 30 days ago where nothing is said.
    #[arg(long, value_name = "MOMENT")]
    from: Option<String>,
    /// The end; now where nothing is said.
    #[arg(long, value_name = "MOMENT")]
    until: Option<String>,
    /// Pieces of so many hours or days: `1h`, `1d`.
    #[arg(long, value_name = "TIME")]
    every: Option<String>,
    /// Only these: `team=search`, `model=small`.
    #[arg(long = "only", value_name = "DIMENSION=VALUE")]
    only: Vec<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum By {
    Org,
    Team,
    User,
    Key,
    Model,
    ModelServed,
    Provider,
    Endpoint,
    Tag,
    StatusClass,
}

impl By {
    fn column(self) -> Column {
        match self {
            Self::Org => ("ORG", "org"),
            Self::Team => ("TEAM", "team"),
            Self::User => ("USER", "user"),
            Self::Key => ("KEY", "key"),
            Self::Model => ("MODEL", "model"),
            Self::ModelServed => ("MODEL_SERVED", "model_served"),
            Self::Provider => ("PROVIDER", "provider"),
            Self::Endpoint => ("ENDPOINT", "endpoint"),
            Self::Tag => ("TAG", "tag"),
            Self::StatusClass => ("STATUS", "status_class"),
        }
    }
}

/// Asks the admin API and prints what it says.
pub fn run(args: &Args) -> Result<(), String> {
    let client = Client::of(&args.access)?;
    let by: Vec<Column> = args.by.iter().map(|by| by.column()).collect();
    let names: Vec<&str> = by.iter().map(|(_, field)| *field).collect();
    let mut query = vec![format!("by={}", names.join(","))];
    let said = [
        ("from", &args.from),
        ("until", &args.until),
        ("every", &args.every),
    ];
    for (name, value) in said {
        query.extend(
            value
                .as_ref()
                .map(|value| format!("{name}={}", segment(value))),
        );
    }
    for only in &args.only {
        let (name, value) = only.split_once('=').ok_or_else(|| {
            format!("`{only}` is no filter\n  fix: write DIMENSION=VALUE: `team=search`")
        })?;
        query.push(format!("{}={}", segment(name), segment(value)));
    }
    let answer = client.get(&format!("/spend?{}", query.join("&")))?;
    if args.output == Output::Json {
        print_one(&answer, args.output);
        return Ok(());
    }
    let mut columns: Vec<Column> = Vec::new();
    columns.extend(args.every.as_ref().map(|_| ("FROM", "from")));
    columns.extend(by);
    columns.extend([
        ("REQUESTS", "requests"),
        ("ERRORS", "errors"),
        ("TOKENS", "tokens_total"),
        ("COST", "cost"),
        ("UNPRICED", "unpriced"),
    ]);
    let mut rows = answer["data"].as_array().cloned().unwrap_or_default();
    if args.by.is_empty() && args.every.is_none() {
        // The one line there is is the sum.
        rows.clear();
    }
    rows.push(answer["total"].clone());
    print_rows(&rows, &columns, args.output);
    Ok(())
}
