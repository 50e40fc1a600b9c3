//! How deployments are, judged by real traffic: a row for each, in one value that all workers share.
//!
//! A row changes only by pure transitions ([`change`]), so the shell may try them again in a compare-and-swap loop.

pub mod busy;
pub mod change;
pub mod retry_after;
pub mod row;
pub mod table;

pub use crate::config::routing::{DeploymentId, Rules};
pub use change::{Attempted, Outcome, Trouble};
pub use row::{Row, Standing};
pub use table::Table;

#[cfg(test)]
mod tests;
