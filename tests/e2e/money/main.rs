//! Hard budgets through real Envoys: not one cent over, nothing lost, and callers who understand why.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "in tests a failure is what an unwrap is for, in their helpers too"
)]

mod away;
mod books;
mod crashes;
mod departures;
mod holds;
mod media;
mod never_over;
mod operators;
mod promises;
mod reprice;
mod round_trips;
#[path = "../../../src/budget/tests/store/server.rs"]
mod server;
mod service;

use std::net::SocketAddr;

use tollgate_tests::Gateway;

/// One provider, a team with a budget, and prices that make sums easy: $10 for a million tokens in, $40 out.
const TEAM: &str = "
listen: {address: {listen}}
admin: {address: {admin}}
budget_service: {listen: {budget}, admin: {budget-admin}, store: sqlite}
providers:
  alpha: {dialect: openai, url: http://{alpha}/v1}
models:
  small: {targets: [{provider: alpha, model: alpha-small}]}
tenants:
  teams: {search: BUDGET}
  keys:
  - {name: one, sha256: {key one}, team: search}
  - {name: free, sha256: {key free}}
prices:
  alpha/alpha-small: {input: 10, output: 40}
telemetry: {access_log: {log}}
";

fn team(budget: &str) -> String {
    TEAM.replace("BUDGET", budget)
}

/// The same with the budget service elsewhere.
fn at(service: SocketAddr, config: &str) -> String {
    config.replace(
        "budget_service: {listen: {budget}, admin: {budget-admin}, store: sqlite}",
        &format!("budget_service: {{url: http://{service}}}"),
    )
}

/// How often a proof is repeated: a few times, or as often as somebody asks.
fn rounds(usually: u64) -> u64 {
    let asked = std::env::var("ROUNDS").ok();
    asked.map_or(usually, |rounds| {
        rounds.parse().expect("ROUNDS is a number")
    })
}

/// What the providers of a gateway have done for money, in nano-dollars.
fn served(gateway: &Gateway) -> u64 {
    let totals = gateway.provider("alpha").totals();
    totals.prompt_tokens * 10_000 + totals.completion_tokens * 40_000
}
