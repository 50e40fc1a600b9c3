//! Places for what runs at the same time. Each worker counts its own, so that those of a worker that was lost come back.

use super::{Fed, Lack};
use crate::money::ids::Millis;
use crate::money::rates::RateId;

/// Nobody knows when a request ends: who is refused tries again after this.
const AGAIN_MS: u64 = 1_000;
/// The service is not asked again for so long after it had nothing.
const DENIED_MS: u64 = 100;
/// A worker that was not heard of for so long is gone.
pub const GONE_AFTER_MS: u64 = 5_000;
/// It is remembered that it is gone for so long.
const REMEMBERED_MS: u64 = 86_400_000;
/// And no more of them are.
const WORKERS_MAX: usize = 512;

/// Who takes a place: its number among all workers, and which of them live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workers {
    /// The one that asks.
    pub own: u64,
    /// Each with the moment it was seen last.
    pub seen: Vec<(u64, Millis)>,
}

impl Workers {
    /// Whether this one still works. One that nobody has heard of is new.
    pub fn lives(&self, worker: u64, now: Millis) -> bool {
        let mut seen = self.seen.iter().filter(|(known, _)| *known == worker);
        let fresh = |(_, at): &(u64, Millis)| now.since(*at) < GONE_AFTER_MS;
        worker == self.own || seen.next().is_none_or(fresh)
    }

    /// Of the value in shared data.
    pub fn read(&mut self, bytes: &[u8]) {
        let words: Vec<u64> = bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .collect();
        let pairs = words.as_chunks::<2>().0.iter();
        self.seen = pairs.map(|[worker, at]| (*worker, Millis(*at))).collect();
    }

    /// For shared data, with the worker itself as seen now. Those that are gone are remembered, because their places are
    /// found only when somebody looks at them.
    pub fn bytes(&self, now: Millis) -> Vec<u8> {
        let others = self
            .seen
            .iter()
            .filter(|(worker, at)| *worker != self.own && now.since(*at) < REMEMBERED_MS);
        let own = (self.own, now);
        others
            .take(WORKERS_MAX)
            .chain([&own])
            .flat_map(|(worker, at)| [worker.to_le_bytes(), at.0.to_le_bytes()])
            .flatten()
            .collect()
    }
}

/// Who is in the places of a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Which limit.
    pub limit: RateId,
    /// How many each worker has.
    taken: Vec<(u64, u64)>,
    /// What the service lets this process have, and until when.
    granted: u64,
    granted_until: Millis,
    denied_until: Millis,
    /// The most that were taken since the service was asked last.
    peak: u64,
}

impl Places {
    /// Nobody is in them.
    pub fn new(limit: RateId) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// How many are taken.
    pub fn in_use(&self) -> u64 {
        let counts = self.taken.iter().map(|(_, count)| *count);
        counts.fold(0, u64::saturating_add)
    }

    /// Without those of workers that are gone.
    #[must_use]
    pub fn at(mut self, workers: &Workers, now: Millis) -> Self {
        self.taken
            .retain(|(worker, count)| *count > 0 && workers.lives(*worker, now));
        self
    }

    /// Takes one.
    pub fn take(self, max: u64, fed: Fed, workers: &Workers, now: Millis) -> Result<Self, Lack> {
        let mut places = self.at(workers, now);
        let in_use = places.in_use();
        if max == 0 {
            return Err(Lack::Never);
        }
        if in_use >= max {
            return Err(Lack::Wait { ms: AGAIN_MS });
        }
        if fed == Fed::ByService {
            let lasts = places.granted_until > now;
            if !lasts || in_use >= places.granted {
                let denied = places.denied_until > now;
                return Err(if denied {
                    Lack::Wait { ms: AGAIN_MS }
                } else {
                    Lack::Ask
                });
            }
        }
        match places.taken.iter_mut().find(|(it, _)| *it == workers.own) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => places.taken.push((workers.own, 1)),
        }
        places.peak = places.peak.max(in_use.saturating_add(1));
        Ok(places)
    }

    /// Leaves one.
    #[must_use]
    pub fn leave(mut self, worker: u64) -> Self {
        if let Some((_, count)) = self.taken.iter_mut().find(|(it, _)| *it == worker) {
            *count = count.saturating_sub(1);
        }
        self.taken.retain(|(_, count)| *count > 0);
        self
    }

    /// How many this process wants to have, beside `more` that wait: as many as it lately needed.
    #[must_use]
    pub fn wanted(mut self, more: u64) -> (Self, u64) {
        let in_use = self.in_use();
        let wanted = in_use.saturating_add(more).max(self.peak);
        self.peak = in_use;
        (self, wanted)
    }

    /// The service answered.
    #[must_use]
    pub fn land(mut self, granted: u64, wanted: u64, valid_ms: u32, now: Millis) -> Self {
        self.granted = granted;
        self.granted_until = now.after(u64::from(valid_ms));
        self.denied_until = if granted < wanted {
            now.after(DENIED_MS)
        } else {
            Millis(0)
        };
        self
    }

    /// Whether the service counts places for this process.
    pub fn is_leased(&self, now: Millis) -> bool {
        self.granted > 0 && self.granted_until > now
    }

    /// Whether the row says nothing.
    pub fn is_idle(&self, now: Millis) -> bool {
        self.in_use() == 0 && self.granted_until <= now
    }

    /// For shared data.
    pub fn to_bytes(&self) -> Vec<u8> {
        let words = [
            self.limit.0,
            self.granted,
            self.granted_until.0,
            self.denied_until.0,
            self.peak,
        ];
        let taken = self
            .taken
            .iter()
            .flat_map(|(worker, count)| [*worker, *count]);
        // What a bucket begins with is no such byte.
        let mut bytes = vec![b'p'];
        bytes.extend(words.into_iter().chain(taken).flat_map(u64::to_le_bytes));
        bytes
    }

    /// None for what is no such row.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (b'p', words) = bytes.split_first()? else {
            return None;
        };
        let mut words = words
            .as_chunks::<8>()
            .0
            .iter()
            .map(|word| u64::from_le_bytes(*word));
        let mut places = Self {
            limit: RateId(words.next()?),
            granted: words.next()?,
            granted_until: Millis(words.next()?),
            denied_until: Millis(words.next()?),
            peak: words.next()?,
            taken: Vec::new(),
        };
        while let (Some(worker), Some(count)) = (words.next(), words.next()) {
            places.taken.push((worker, count));
        }
        Some(places)
    }
}
