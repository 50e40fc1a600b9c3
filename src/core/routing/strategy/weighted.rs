//! By weight, exact over time: each worker deals its requests out as smoothly as whole numbers allow (nginx's way), not
//! by chance. One that is failing gets half.

use super::{Inputs, Name, Score, Strategy, by_position};
use crate::health::Standing;
use crate::routing::Candidate;

pub(super) struct Weighted;

impl Strategy for Weighted {
    fn name(&self) -> Name {
        Name::Weighted
    }

    fn scores(&self, inputs: &mut Inputs<'_>, candidates: &[Candidate<'_>]) -> Vec<Score> {
        let weight = |candidate: &Candidate<'_>| {
            let weight = i64::from(candidate.of.traits.weight).saturating_mul(2);
            match candidate.standing {
                Standing::Degraded => weight / 2,
                Standing::Closed
                | Standing::Due
                | Standing::Resting { .. }
                | Standing::Cooling { .. } => weight,
            }
        };
        let mut total = 0_i64;
        let mut most: Option<(i64, usize)> = None;
        for candidate in candidates {
            let weight = weight(candidate);
            total = total.saturating_add(weight);
            if weight == 0 {
                continue;
            }
            if inputs.turns.len() <= candidate.target {
                inputs.turns.resize(candidate.target.saturating_add(1), 0);
            }
            if let Some(turn) = inputs.turns.get_mut(candidate.target) {
                *turn = turn.saturating_add(weight);
                if most.is_none_or(|(most, _)| *turn > most) {
                    most = Some((*turn, candidate.target));
                }
            }
        }
        let chosen = most.map(|(_, target)| target);
        if let Some(turn) = chosen.and_then(|target| inputs.turns.get_mut(target)) {
            *turn = turn.saturating_sub(total);
        }
        // Behind the chosen one the heavier come first.
        by_position(candidates.iter().map(|candidate| {
            if Some(candidate.target) == chosen {
                0
            } else {
                let weight = u64::try_from(weight(candidate)).unwrap_or_default();
                u64::MAX.saturating_sub(weight)
            }
        }))
    }
}
