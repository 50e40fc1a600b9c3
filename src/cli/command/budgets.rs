//! `tollgate budgets`: who may spend how much.

use serde_json::Value;

use super::tenants::body;
use crate::admin::{Access, Client, Column, Output, print_one, print_rows, segment};

const COLUMNS: &[Column] = &[
    ("SCOPE", "scope"),
    ("MAX_BUDGET", "max_budget"),
    ("SOFT_BUDGET", "soft_budget"),
    ("DURATION", "budget_duration"),
    ("TIME_ZONE", "time_zone"),
    ("MORE", "budgets"),
    ("MANAGED", "managed"),
];

/// Lists, shows and sets budgets. A scope is `everyone`, `org:NAME`, `team:NAME`, `user:NAME`, `key:NAME`, `model:NAME`
/// or `tag:NAME`.
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
    /// All scopes that have budgets.
    List,
    /// The budgets and limits of one scope.
    Show { scope: String },
    /// Replaces the budgets of one scope.
    Set {
        scope: String,
        /// As in gateway.yaml: `max_budget=100 budget_duration=month time_zone=Europe/Berlin`, or `budgets=[...]`.
        #[arg(value_name = "FIELD=VALUE", required = true)]
        fields: Vec<String>,
    },
    /// Takes away all budgets of one scope.
    Delete { scope: String },
    /// Has every Envoy give back the money that lies idle with it: a second before one is stopped.
    Recall,
}

/// Asks the admin API and prints what it says.
pub fn run(args: &Args) -> Result<(), String> {
    let client = Client::of(&args.access)?;
    let one = |scope: &str| format!("/budgets/{}", segment(scope));
    let answer = match &args.what {
        What::List => {
            let rows = client.list("/budgets")?;
            print_rows(&rows, COLUMNS, args.output);
            return Ok(());
        }
        What::Show { scope } => client.get(&one(scope))?,
        What::Set { scope, fields } => {
            client.ask("PUT", &one(scope), &Value::Object(body(fields)?))?
        }
        What::Delete { scope } => client.ask("DELETE", &one(scope), &Value::Null)?,
        What::Recall => client.ask("POST", "/recall", &Value::Null)?,
    };
    print_one(&answer, args.output);
    Ok(())
}
