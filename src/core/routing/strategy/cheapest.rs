//! By what this request costs there: its prompt as counted, and an answer of the length that is expected. Where no price
//! is known, nobody can say that it is cheap.

use super::{Inputs, Name, Score, Strategy, by_position};
use crate::routing::Candidate;

pub(super) struct Cheapest;

impl Strategy for Cheapest {
    fn name(&self) -> Name {
        Name::Cheapest
    }

    fn scores(&self, _inputs: &mut Inputs<'_>, candidates: &[Candidate<'_>]) -> Vec<Score> {
        let cost = |candidate: &Candidate<'_>| candidate.estimate.map_or(u64::MAX, |cost| cost.0);
        by_position(candidates.iter().map(cost))
    }
}
