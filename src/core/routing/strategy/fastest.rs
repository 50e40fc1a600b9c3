//! By the time to the first token: the mean and how far values lie from it, and longer for who fails. Who was never
//! timed goes first, and now and then someone at random does: else one bad minute would count for ever.

use super::{Inputs, Name, Score, Strategy, by_chance};
use crate::routing::{Candidate, random};

pub(super) struct Fastest;

impl Strategy for Fastest {
    fn name(&self) -> Name {
        Name::Fastest
    }

    fn scores(&self, inputs: &mut Inputs<'_>, candidates: &[Candidate<'_>]) -> Vec<Score> {
        let ask = inputs.ask;
        let explores =
            random::below(ask.random ^ 1, 100) < u64::from(inputs.routing.explore_percent);
        let length = u64::try_from(candidates.len()).unwrap_or(u64::MAX);
        let at_random = explores.then(|| random::below(ask.random ^ 2, length));
        let pace = |(candidate, position): (&Candidate<'_>, u64)| {
            if at_random == Some(position) {
                return 0;
            }
            let Some((mean_us, deviation_us)) = candidate.pace(ask) else {
                return 0;
            };
            let works = 1_001_u64.saturating_sub(candidate.unreliability(ask.now_ms()));
            mean_us
                .saturating_add(deviation_us)
                .saturating_mul(1_000)
                .checked_div(works)
                .unwrap_or(u64::MAX)
                .max(1)
        };
        by_chance(ask.random, candidates.iter().zip(0..).map(pace))
    }
}
