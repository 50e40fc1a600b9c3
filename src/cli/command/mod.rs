//! The commands, one file each.

use tollgate_core::config::deploy::Problem;

pub mod check;
pub mod fake;
pub mod render;
pub mod up;

/// Problems that have no line in a file, as text.
pub(crate) fn told(problems: &[Problem]) -> String {
    let told = problems
        .iter()
        .map(|problem| format!("{}: {}\n  fix: {}", problem.at, problem.found, problem.fix));
    told.collect::<Vec<_>>().join("\n")
}
