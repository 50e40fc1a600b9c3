//! How many requests run at each deployment, over all workers: each counts its own in its own memory, and now and then
//! writes them into one value for the others.

use std::collections::BTreeMap;

use super::DeploymentId;
use super::row::Cursor;

const MAGIC: &[u8; 8] = b"tg-busy1";

/// A worker that was not heard of for so long is gone, and what it counted with it.
pub const GONE_AFTER_MS: u64 = 5_000;

/// What the workers have told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    workers: BTreeMap<u64, Worker>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Worker {
    seen_ms: u64,
    counts: BTreeMap<DeploymentId, u32>,
}

impl Told {
    /// Of the value in shared data.
    pub fn read(bytes: &[u8]) -> Self {
        let mut cursor = Cursor(bytes.strip_prefix(MAGIC).unwrap_or_default());
        let mut told = Self::default();
        while let Some((worker, counted)) = read_worker(&mut cursor) {
            told.workers.insert(worker, counted);
        }
        told
    }

    /// For shared data.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for (worker, counted) in &self.workers {
            bytes.extend(worker.to_le_bytes());
            bytes.extend(counted.seen_ms.to_le_bytes());
            let length = u32::try_from(counted.counts.len()).unwrap_or(u32::MAX);
            bytes.extend(length.to_le_bytes());
            for (id, count) in &counted.counts {
                bytes.extend(id.0.to_le_bytes());
                bytes.extend(count.to_le_bytes());
            }
        }
        bytes
    }

    /// A worker's own counts anew, and those of the dead are dropped.
    pub fn tell(&mut self, worker: u64, now_ms: u64, counts: &BTreeMap<DeploymentId, u32>) {
        let since = now_ms.saturating_sub(GONE_AFTER_MS);
        self.workers.retain(|_, counted| counted.seen_ms >= since);
        let counts = counts.iter().filter(|(_, count)| **count > 0);
        let counted = Worker {
            seen_ms: now_ms,
            counts: counts.map(|(id, count)| (*id, *count)).collect(),
        };
        if counted.counts.is_empty() {
            self.workers.remove(&worker);
        } else {
            self.workers.insert(worker, counted);
        }
    }

    /// What all but this worker count at each deployment.
    pub fn of_others(&self, worker: u64, now_ms: u64) -> BTreeMap<DeploymentId, u32> {
        let since = now_ms.saturating_sub(GONE_AFTER_MS);
        let others = self
            .workers
            .iter()
            .filter(|(other, counted)| **other != worker && counted.seen_ms >= since);
        let mut sums: BTreeMap<DeploymentId, u32> = BTreeMap::new();
        for (id, count) in others.flat_map(|(_, counted)| &counted.counts) {
            let sum = sums.entry(*id).or_default();
            *sum = sum.saturating_add(*count);
        }
        sums
    }
}

fn read_worker(cursor: &mut Cursor<'_>) -> Option<(u64, Worker)> {
    let worker = cursor.u64()?;
    let seen_ms = cursor.u64()?;
    let length = cursor.u32()?;
    let mut counts = BTreeMap::new();
    for _ in 0..length {
        counts.insert(DeploymentId(cursor.u64()?), cursor.u32()?);
    }
    Some((worker, Worker { seen_ms, counts }))
}
