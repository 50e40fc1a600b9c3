//! `tollgate`: one tool for everything outside the filter.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tollgate::command::{
    accounts, budget_service, budgets, check, explain, fake, keys, prices, render, reprice, spend,
    switch, tenants, up,
};
use tollgate_core::tenancy::Level;

/// Budgets, fallbacks and accounts for LLM traffic, inside your Envoy.
#[derive(Parser)]
#[command(name = "tollgate", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Args),
    Check(check::Args),
    Explain(explain::Args),
    Render(render::Args),
    Fake(fake::Args),
    Prices(prices::Args),
    BudgetService(budget_service::Args),
    Keys(keys::Args),
    /// Organisations, while everything runs.
    Orgs(tenants::Args),
    /// Teams, while everything runs.
    Teams(tenants::Args),
    /// Users, while everything runs.
    Users(tenants::Args),
    Budgets(budgets::Args),
    Accounts(accounts::Args),
    Spend(spend::Args),
    Reprice(reprice::Args),
    Switch(switch::Args),
    /// Becomes PROGRAM, which ends when PARENT ends.
    #[command(hide = true)]
    ExecWithParent {
        parent: u32,
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Up(args) => up::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Render(args) => render::run(&args),
        Command::Fake(args) => fake::run(&args),
        Command::Prices(args) => prices::run(&args),
        Command::BudgetService(args) => budget_service::run(&args),
        Command::Keys(args) => keys::run(&args),
        Command::Orgs(args) => tenants::run(Level::Org, &args),
        Command::Teams(args) => tenants::run(Level::Team, &args),
        Command::Users(args) => tenants::run(Level::User, &args),
        Command::Budgets(args) => budgets::run(&args),
        Command::Accounts(args) => accounts::run(&args),
        Command::Spend(args) => spend::run(&args),
        Command::Reprice(args) => reprice::run(&args),
        Command::Switch(args) => switch::run(&args),
        Command::ExecWithParent {
            parent,
            program,
            arguments,
        } => {
            let error = tollgate::up::exec_with_parent(parent, &program, &arguments);
            Err(format!("cannot run {}: {error}", program.display()))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("tollgate: {message}");
            ExitCode::FAILURE
        }
    }
}
