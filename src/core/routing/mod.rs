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
use crate::money::usual::Usual;

/// How the world is when a request comes, as one worker knows it.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    /// The health of all deployments.
    pub health: Table,
    /// Requests that run at each.
    pub busy: BTreeMap<DeploymentId, u32>,
    /// Deployments without room, and what they lack.
    pub full: BTreeMap<DeploymentId, &'static str>,
    /// What the worker remembers from request to request.
    pub memory: Memory,
    /// How long answers usually are.
    pub usual: Usual,
    /// Chance: another number for each request.
    pub random: u64,
}

/// The part of it that a request only looks at.
pub struct Sky<'a> {
    /// The health of all deployments.
    pub health: &'a Table,
    /// Requests that run at each.
    pub busy: &'a BTreeMap<DeploymentId, u32>,
    /// Deployments without room, and what they lack.
    pub full: &'a BTreeMap<DeploymentId, &'static str>,
}

impl Weather {
    /// To look at, and to write into.
    pub fn parts(&mut self) -> (Sky<'_>, &mut Memory) {
        let sky = Sky {
            health: &self.health,
            busy: &self.busy,
            full: &self.full,
        };
        (sky, &mut self.memory)
    }
}

#[cfg(test)]
mod tests;
