//! By how many requests run there, for its size: of two with weights 1 and 3 the second is as busy with three times as
//! many.

use super::{Inputs, Name, Score, Strategy, by_chance};
use crate::routing::Candidate;

pub(super) struct LeastBusy;

impl Strategy for LeastBusy {
    fn name(&self) -> Name {
        Name::LeastBusy
    }

    fn scores(&self, inputs: &mut Inputs<'_>, candidates: &[Candidate<'_>]) -> Vec<Score> {
        let load = |candidate: &Candidate<'_>| {
            u64::from(candidate.busy)
                .saturating_add(1)
                .saturating_mul(1_000)
                .checked_div(u64::from(candidate.of.traits.weight))
                .unwrap_or(u64::MAX)
        };
        by_chance(inputs.ask.random, candidates.iter().map(load))
    }
}
