//! Limits by the minute: figures that make sense, and nothing said that would have no effect.

use super::money::{known_model, place_of};
use super::tenant::Known;
use crate::config::problem::Problems;
use crate::config::raw::{self, Given, Written};
use crate::config::{Limits, Queue};

pub(super) fn check(written: &raw::Money, known: &Known, problems: &mut Problems) -> Limits {
    let optional = |given: &Given<u64>| given.written().map(|written| written.value);
    let rates = [&written.rpm_limit, &written.tpm_limit];
    let by_minute = rates.iter().any(|rate| !matches!(rate, Given::Absent));
    if let Given::Written(burst) = &written.burst {
        if !by_minute {
            problems.push(burst.place.problem(
                "there is no limit by the minute that could come at once",
                "write `rpm_limit` or `tpm_limit` beside it",
            ));
        } else if burst.value < 100 {
            problems.push(burst.place.problem(
                format!("{}% is less than the limit itself", burst.value),
                "write at least `100%`",
            ));
        }
    }
    for limit in rates.iter().filter_map(|given| given.written()) {
        too_large(limit, problems);
    }
    let any = by_minute || !matches!(written.max_parallel_requests, Given::Absent);
    let idle = [
        place_of(&written.limit_each),
        place_of(&written.queue),
        place_of(&written.downgrade_to),
    ];
    for place in idle.into_iter().flatten().filter(|_| !any) {
        problems.push(place.problem(
            "there is no limit that this could be about",
            "write `rpm_limit`, `tpm_limit` or `max_parallel_requests` beside it",
        ));
    }
    if let (Given::Written(_), Given::Written(model)) = (&written.queue, &written.downgrade_to) {
        problems.push(model.place.problem(
            "over the limit a request either waits or is answered by another model",
            "keep `queue` or `downgrade_to`",
        ));
    }
    let downgrade_to = written.downgrade_to.written().inspect(|model| {
        known_model(model, known, problems);
    });
    Limits {
        rpm_limit: optional(&written.rpm_limit),
        tpm_limit: optional(&written.tpm_limit),
        max_parallel_requests: optional(&written.max_parallel_requests),
        burst_percent: written.burst.written().map(|written| written.value),
        each: written.limit_each.written().map(|written| written.value),
        queue: queue(&written.queue, problems),
        downgrade_to: downgrade_to.map(|written| written.value.clone()),
    }
}

/// More than this in a minute is no limit, and its parts would not fit into a number.
const A_MINUTE_MAX: u64 = 1_000_000_000_000;

pub(super) fn too_large(limit: &Written<u64>, problems: &mut Problems) {
    if limit.value > A_MINUTE_MAX {
        problems.push(limit.place.problem(
            format!("{} a minute is no limit", limit.value),
            "remove it, or write at most 1000000000000",
        ));
    }
}

fn queue(given: &Given<raw::Queue>, problems: &mut Problems) -> Option<Queue> {
    let written = given.written()?;
    /// Clients give up before.
    const WAIT_MS_MAX: u64 = 60_000;
    /// Each of them costs about 20 kB of Envoy's memory.
    const WAITING_MAX: u64 = 10_000;
    let fields = &written.value;
    if let Given::Written(wait) = &fields.max_wait
        && !(1..=WAIT_MS_MAX).contains(&wait.value)
    {
        problems.push(wait.place.problem(
            "nobody waits for so long",
            "write a time up to a minute: `max_wait: 2s`",
        ));
    }
    if let Given::Written(waiting) = &fields.max_waiting
        && !(1..=WAITING_MAX).contains(&waiting.value)
    {
        problems.push(waiting.place.problem(
            format!("{} requests cannot wait here", waiting.value),
            "write 1 to 10000: `max_waiting: 100`",
        ));
    }
    Some(Queue {
        max_wait_ms: fields.max_wait.value_or(2_000),
        max_waiting: fields.max_waiting.value_or(100),
    })
}
