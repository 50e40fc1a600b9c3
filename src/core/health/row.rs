//! What is known of one deployment, as bytes of one length.

use crate::config::routing::FAILURES_KEPT;
use crate::units::Tokens;

/// The time that failures count is cut into so many pieces, so that what was long ago falls out.
pub(super) const SLOTS: usize = 6;

/// One deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The breaker.
    pub breaker: Breaker,
    /// Failures since the last success.
    pub in_a_row: u32,
    /// How often the breaker opened without a long recovery between.
    pub trips: u32,
    /// When a rest or the time for a probe ends, or ended; milliseconds since the epoch.
    pub until_ms: u64,
    /// The provider asked not to be asked before this moment.
    pub cool_until_ms: u64,
    /// When the last failures were, the latest first; 0 for none.
    pub failed_ms: [u64; FAILURES_KEPT],
    /// What was asked lately.
    pub lately: Lately,
    /// How long streams take to their first token.
    pub first_token: Average,
    /// How long replies in one piece take.
    pub whole: Average,
    /// What the provider itself says is left.
    pub left: Left,
    /// When anything here changed.
    pub touched_ms: u64,
}

/// The state of the breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breaker {
    /// All is well.
    #[default]
    Closed,
    /// Two failures in a row: asked less.
    Degraded,
    /// Not asked until the rest is over.
    Open,
    /// One request finds out; the others wait for it.
    Probing,
}

/// Replies of the last minute, or of what the rules say, in slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lately {
    /// The number of the newest slot.
    pub(super) newest: u64,
    /// Good and failed ones; the newest first.
    pub(super) slots: [(u32, u32); SLOTS],
}

/// An average in which what was long ago counts little, and how far values lie from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Average {
    /// In microseconds.
    pub mean_us: u64,
    /// In square microseconds.
    pub variance: u64,
    /// How many values went into it.
    pub samples: u32,
}

/// What a provider says is left of its own limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Requests.
    pub requests: u32,
    /// Tokens.
    pub tokens: u64,
    /// Until when this holds; what is past says nothing.
    pub until_ms: u64,
}

/// Whether a deployment can be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Closed,
    /// Yes, but less.
    Degraded,
    /// Its rest is over: one request may find out.
    Due,
    /// It rests, or a probe is on its way.
    Resting {
        /// For how long yet.
        for_ms: u64,
    },
    /// The provider asked to be left alone, or has nothing left for us.
    Cooling {
        /// For how long yet.
        for_ms: u64,
    },
}

impl Standing {
    /// As it stands in records and explanations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Degraded => "degraded",
            Self::Due => "due",
            Self::Resting { .. } => "open",
            Self::Cooling { .. } => "cooling",
        }
    }
}

impl Row {
    /// How it stands for a request of this many tokens.
    pub fn standing(&self, now_ms: u64, tokens: Tokens) -> Standing {
        if self.cool_until_ms > now_ms {
            let for_ms = self.cool_until_ms.saturating_sub(now_ms);
            return Standing::Cooling { for_ms };
        }
        if self.left.until_ms > now_ms && (self.left.requests == 0 || self.left.tokens < tokens.0) {
            let for_ms = self.left.until_ms.saturating_sub(now_ms);
            return Standing::Cooling { for_ms };
        }
        let waits = self.until_ms > now_ms;
        let for_ms = self.until_ms.saturating_sub(now_ms);
        match self.breaker {
            Breaker::Closed => Standing::Closed,
            Breaker::Degraded => Standing::Degraded,
            Breaker::Open | Breaker::Probing if waits => Standing::Resting { for_ms },
            Breaker::Open | Breaker::Probing => Standing::Due,
        }
    }

    /// Failures among what was asked lately, in thousandths.
    pub fn failure_share(&self, now_ms: u64, within_ms: u64) -> u64 {
        let (good, failed) = self.lately.sums(slot(now_ms, within_ms));
        failed
            .saturating_mul(1_000)
            .checked_div(good.saturating_add(failed))
            .unwrap_or_default()
    }
}

/// The number of the slot that a moment falls into.
pub(super) fn slot(now_ms: u64, within_ms: u64) -> u64 {
    let width = within_ms.div_ceil(u64::try_from(SLOTS).unwrap_or(1)).max(1);
    now_ms.checked_div(width).unwrap_or_default()
}

impl Lately {
    /// Moves on to a slot; a clock that stepped back stays where it was.
    pub(super) fn at(mut self, slot: u64) -> Self {
        let steps = slot.saturating_sub(self.newest);
        if steps == 0 {
            return self;
        }
        self.newest = slot;
        let steps = usize::try_from(steps).unwrap_or(SLOTS).min(SLOTS);
        self.slots.rotate_right(steps);
        for old in self.slots.iter_mut().take(steps) {
            *old = (0, 0);
        }
        self
    }

    /// Good and failed ones, seen from a slot.
    pub(super) fn sums(self, slot: u64) -> (u64, u64) {
        self.at(slot)
            .slots
            .iter()
            .fold((0, 0), |(good, failed), (more, worse)| {
                (
                    u64::saturating_add(good, u64::from(*more)),
                    u64::saturating_add(failed, u64::from(*worse)),
                )
            })
    }

    pub(super) fn add(mut self, good: u32, failed: u32) -> Self {
        if let Some(newest) = self.slots.first_mut() {
            newest.0 = newest.0.saturating_add(good);
            newest.1 = newest.1.saturating_add(failed);
        }
        self
    }
}

impl Average {
    /// An eighth of what is new, seven of what was; the first value stands for itself.
    #[must_use]
    pub fn with(self, us: u64) -> Self {
        // A day: no reply takes longer, and its square stays far from the end of the type.
        let us = us.min(86_400_000_000);
        let samples = self.samples.saturating_add(1);
        if self.samples == 0 {
            return Self {
                mean_us: us,
                variance: 0,
                samples,
            };
        }
        let distance = us.abs_diff(self.mean_us);
        let eighth = distance.div_ceil(8);
        let mean_us = if us >= self.mean_us {
            self.mean_us.saturating_add(eighth)
        } else {
            self.mean_us.saturating_sub(eighth)
        };
        let square = distance.saturating_mul(distance);
        let variance = self
            .variance
            .saturating_sub(self.variance / 8)
            .saturating_add(square / 8);
        Self {
            mean_us,
            variance,
            samples,
        }
    }

    /// How far values usually lie from the mean.
    pub fn deviation_us(self) -> u64 {
        self.variance.isqrt()
    }
}

/// Of one row.
pub const ROW_BYTES: usize =
    1 + 4 + 4 + 8 + 8 + 8 * FAILURES_KEPT + 8 + 8 * SLOTS + 20 + 20 + 20 + 8;

impl Row {
    /// As it stands in shared data: little-endian, in the order of the fields.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ROW_BYTES);
        out.push(match self.breaker {
            Breaker::Closed => 0,
            Breaker::Degraded => 1,
            Breaker::Open => 2,
            Breaker::Probing => 3,
        });
        out.extend(self.in_a_row.to_le_bytes());
        out.extend(self.trips.to_le_bytes());
        out.extend(self.until_ms.to_le_bytes());
        out.extend(self.cool_until_ms.to_le_bytes());
        for at in self.failed_ms {
            out.extend(at.to_le_bytes());
        }
        out.extend(self.lately.newest.to_le_bytes());
        for (good, failed) in self.lately.slots {
            out.extend(good.to_le_bytes());
            out.extend(failed.to_le_bytes());
        }
        for average in [self.first_token, self.whole] {
            out.extend(average.mean_us.to_le_bytes());
            out.extend(average.variance.to_le_bytes());
            out.extend(average.samples.to_le_bytes());
        }
        out.extend(self.left.requests.to_le_bytes());
        out.extend(self.left.tokens.to_le_bytes());
        out.extend(self.left.until_ms.to_le_bytes());
        out.extend(self.touched_ms.to_le_bytes());
        out
    }

    /// None for what is no row.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        let row = Self {
            breaker: match cursor.take::<1>()? {
                [0] => Breaker::Closed,
                [1] => Breaker::Degraded,
                [2] => Breaker::Open,
                [3] => Breaker::Probing,
                [_] => return None,
            },
            in_a_row: cursor.u32()?,
            trips: cursor.u32()?,
            until_ms: cursor.u64()?,
            cool_until_ms: cursor.u64()?,
            failed_ms: cursor.each(Cursor::u64)?,
            lately: Lately {
                newest: cursor.u64()?,
                slots: cursor.each(|cursor| Some((cursor.u32()?, cursor.u32()?)))?,
            },
            first_token: cursor.average()?,
            whole: cursor.average()?,
            left: Left {
                requests: cursor.u32()?,
                tokens: cursor.u64()?,
                until_ms: cursor.u64()?,
            },
            touched_ms: cursor.u64()?,
        };
        cursor.0.is_empty().then_some(row)
    }
}

/// What is left of some bytes.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn average(&mut self) -> Option<Average> {
        Some(Average {
            mean_us: self.u64()?,
            variance: self.u64()?,
            samples: self.u32()?,
        })
    }

    fn each<T: Copy + Default, const N: usize>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<[T; N]> {
        let mut all = [T::default(); N];
        for one in &mut all {
            *one = read(self)?;
        }
        Some(all)
    }
}
