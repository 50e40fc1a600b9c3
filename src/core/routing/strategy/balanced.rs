//! By cost, latency and reliability together, each measured against the worst of the candidates; what counts how much
//! may follow the time of day.

use super::{Inputs, Name, Score, Strategy, by_position};
use crate::config::routing::{Balance, Routing};
use crate::routing::Candidate;

pub(super) struct Balanced;

impl Strategy for Balanced {
    fn name(&self) -> Name {
        Name::Balanced
    }

    fn scores(&self, inputs: &mut Inputs<'_>, candidates: &[Candidate<'_>]) -> Vec<Score> {
        let ask = inputs.ask;
        let seconds = i64::try_from(ask.now_ms() / 1_000).unwrap_or_default();
        let balance = at(inputs.routing, seconds);
        let pace = |candidate: &Candidate<'_>| {
            let pace = candidate.pace(ask);
            pace.map(|(mean_us, deviation_us)| mean_us.saturating_add(deviation_us))
        };
        let cost = |candidate: &Candidate<'_>| candidate.estimate.map(|cost| cost.0);
        let worst_cost = candidates.iter().filter_map(cost).max();
        let worst_pace = candidates.iter().filter_map(pace).max();
        let share = |value: u64, worst: Option<u64>| {
            let worst = u128::from(worst.unwrap_or_default());
            let thousandths = u128::from(value).saturating_mul(1_000).checked_div(worst);
            u64::try_from(thousandths.unwrap_or_default()).unwrap_or(1_000)
        };
        by_position(candidates.iter().map(|candidate| {
            // No price is no low price; no time is one to find out.
            let cost = cost(candidate).map_or(1_000, |cost| share(cost, worst_cost));
            let latency = pace(candidate).map_or(0, |pace| share(pace, worst_pace));
            let failing = candidate.unreliability(ask.now_ms());
            [
                (balance.cost, cost),
                (balance.latency, latency),
                (balance.reliability, failing),
            ]
            .into_iter()
            .fold(0, |sum: u64, (weight, value)| {
                sum.saturating_add(u64::from(weight).saturating_mul(value))
            })
        }))
    }
}

/// What counts at this moment.
fn at(routing: &Routing, utc_seconds: i64) -> Balance {
    let minute = routing.clock.minute_of_day(utc_seconds);
    let scheduled = routing
        .schedules
        .iter()
        .find(|schedule| schedule.holds(minute));
    scheduled.map_or(routing.balance, |schedule| schedule.balance)
}
