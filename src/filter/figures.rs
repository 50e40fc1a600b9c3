//! The figures of this process as Envoy's gauges show them. Every worker tells by how much it moved them.

use std::collections::VecDeque;

use tollgate_core::metrics::Metric;

use crate::counters::Shift;

/// What one worker takes, another may have brought: what goes down is told so many ticks later than what goes up, or the
/// sum would be below nothing for a moment.
const LATER_TICKS: usize = 2;

/// What was told of this worker.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    waiting: u64,
    away: u64,
    failures: u64,
    /// What goes down, by the tick at which it was seen.
    later: VecDeque<Vec<Shift>>,
}

/// How it is now.
#[derive(Debug)]
pub(crate) struct Now {
    /// By how much the sums over rows moved.
    pub(crate) moved: [(Metric, i64); 4],
    /// Requests that wait for money.
    pub(crate) waiting: usize,
    /// 1 if the service is away.
    pub(crate) away: u64,
    /// Calls that failed so far.
    pub(crate) failures: u64,
}

impl Figures {
    /// What to tell at this tick.
    pub(crate) fn shifts(&mut self, now: Now) -> Vec<Shift> {
        let waiting = u64::try_from(now.waiting).unwrap_or(u64::MAX);
        let all = now.moved.into_iter().chain([
            (Metric::Waiting, by(&mut self.waiting, waiting)),
            (Metric::Away, by(&mut self.away, now.away)),
            (Metric::CallsFailed, by(&mut self.failures, now.failures)),
        ]);
        let shifts = all.map(|(metric, by)| Shift { metric, by });
        let (mut up, down): (Vec<Shift>, Vec<Shift>) = shifts
            .filter(|shift| shift.by != 0)
            .partition(|shift| shift.by > 0);
        self.later.push_back(down);
        if self.later.len() > LATER_TICKS {
            up.extend(self.later.pop_front().into_iter().flatten());
        }
        up
    }
}

/// From what was told to what is.
fn by(told: &mut u64, is: u64) -> i64 {
    let was = std::mem::replace(told, is);
    let distance = i64::try_from(is.abs_diff(was)).unwrap_or(i64::MAX);
    if is < was {
        distance.saturating_neg()
    } else {
        distance
    }
}
