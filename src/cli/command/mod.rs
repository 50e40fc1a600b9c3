//! The commands, one file each.

use tollgate_core::config::deploy::Problem;

pub mod accounts;
pub mod budget_service;
pub mod budgets;
pub mod check;
pub mod explain;
pub mod fake;
pub mod keys;
pub mod prices;
pub mod render;
pub mod reprice;
pub mod spend;
pub mod switch;
pub mod tenants;
pub mod up;

/// Problems that have no line in a file, as text.
pub(crate) fn told(problems: &[Problem]) -> String {
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    told.join("\n")
}
