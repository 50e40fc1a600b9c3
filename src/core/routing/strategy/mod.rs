//! Who of several is asked first: one strategy, one file.

use crate::config::routing::{Routing, Strategy as Name};

use super::{Ask, Candidate};

mod balanced;
mod cheapest;
mod fastest;
mod least_busy;
mod ordered;
pub mod sticky;
mod weighted;

/// The lowest is asked first; of equals the one with the lower tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score {
    /// What the strategy looks at.
    pub value: u64,
    /// Between equals.
    pub tie: u64,
}

/// What a strategy may look at, beside the candidates.
pub struct Inputs<'a> {
    /// The request.
    pub ask: &'a Ask<'a>,
    /// What is configured for the model.
    pub routing: &'a Routing,
    /// How often each target of the model was chosen so far, as [`weighted`] keeps it; one for each target.
    pub turns: &'a mut Vec<i64>,
}

/// Puts candidates in an order.
pub trait Strategy: Sync {
    /// As written in a configuration.
    fn name(&self) -> Name;

    /// A score for each candidate, in their order.
    fn scores(&self, inputs: &mut Inputs<'_>, candidates: &[Candidate<'_>]) -> Vec<Score>;
}

/// Every strategy; tests walk it.
pub static STRATEGIES: &[&dyn Strategy] = &[
    &ordered::Ordered,
    &weighted::Weighted,
    &cheapest::Cheapest,
    &fastest::Fastest,
    &least_busy::LeastBusy,
    &balanced::Balanced,
];

/// The strategy of this name.
pub fn named(name: Name) -> &'static dyn Strategy {
    let known = STRATEGIES.iter().find(|strategy| strategy.name() == name);
    known.copied().unwrap_or(&ordered::Ordered)
}

/// Scores that need no tie: the position decides.
fn by_position(values: impl Iterator<Item = u64>) -> Vec<Score> {
    values
        .zip(0..)
        .map(|(value, tie)| Score { value, tie })
        .collect()
}

/// Equals take turns by chance.
fn by_chance(random: u64, values: impl Iterator<Item = u64>) -> Vec<Score> {
    values
        .zip(0_u64..)
        .map(|(value, position)| Score {
            value,
            tie: super::random::mix(random ^ position),
        })
        .collect()
}
