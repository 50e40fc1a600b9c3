//! Who is asked, in which order, and why: policies, then filters, then a strategy, for each model of the chain.
//!
//! Everything that decides is an input, so that the filter, `tollgate explain` and tests take the same decision.

pub mod ask;
pub mod candidate;
pub mod chain;
pub mod complexity;
pub mod elastic;
pub mod explanation;
pub mod filter;
pub mod memory;
pub mod policy;
pub mod random;
pub mod strategy;
pub mod traits;
pub mod wishes;

pub use ask::Ask;
pub use candidate::{Candidate, Why};
pub use chain::{After, Impossible, Pick, Routed, route};
pub use explanation::Explanation;
pub use memory::Memory;

use std::collections::BTreeMap;

use crate::health::{DeploymentId, Table};

/// How the world is when a request comes.
pub struct Sky<'a> {
    /// The health of all deployments.
    pub health: &'a Table,
    /// Requests that run at each.
    pub busy: &'a BTreeMap<DeploymentId, u32>,
    /// Which deployments have no room for this request, and what they lack.
    pub full: &'a dyn Fn(DeploymentId) -> Option<&'static str>,
}

#[cfg(test)]
mod tests;
