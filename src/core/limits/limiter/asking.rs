//! What the budget service is asked for, and when.

use super::{BTreeMap, BTreeSet, Counts, Draw, Fed, Millis, Rate, RateId};

/// Asked and not answered for so long: it is asked again, or counts as away.
pub(super) const PATIENCE_MS: u64 = 1_500;
/// While it is away it is looked for this often.
const PROBE_MS: u64 = 1_000;
/// A bucket that this worker did not use for so long is not looked after any more.
const MINE_MS: u64 = 60_000;
/// A share is what comes in this part of a minute: two seconds.
const SHARES_A_MINUTE: u64 = 30;

/// A limit that this worker uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mine {
    pub(super) counts: Counts,
    pub(super) rate: Rate,
    /// The largest that was taken at once lately.
    pub(super) largest: u64,
    pub(super) used_at: Millis,
    asked_at: Option<Millis>,
}

/// How this worker stands with the service.
#[derive(Debug, Default)]
pub(super) struct Asking {
    service: Service,
    pub(super) mine: BTreeMap<RateId, Mine>,
    /// Those that run low.
    low: BTreeSet<RateId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Service {
    /// There is none.
    #[default]
    Absent,
    Present,
    Away {
        probed_at: Millis,
    },
}

impl Asking {
    pub(super) fn with_service() -> Self {
        Self {
            service: Service::Present,
            ..Self::default()
        }
    }

    pub(super) fn fed(&self) -> Fed {
        match self.service {
            Service::Present => Fed::ByService,
            Service::Absent | Service::Away { .. } => Fed::ByTime,
        }
    }

    /// Whether there is one, near or away.
    pub(super) fn has_service(&self) -> bool {
        self.service != Service::Absent
    }

    pub(super) fn heard(&mut self) {
        if self.has_service() {
            self.service = Service::Present;
        }
    }

    pub(super) fn lost(&mut self, now: Millis) {
        if self.has_service() {
            self.service = Service::Away { probed_at: now };
        }
        for mine in self.mine.values_mut() {
            mine.asked_at = None;
        }
    }

    /// Whether a service that is away is to be looked for now.
    pub(super) fn probes(&mut self, now: Millis) -> bool {
        match &mut self.service {
            Service::Away { probed_at } if now.is_over(*probed_at, PROBE_MS) => {
                *probed_at = now;
                true
            }
            Service::Absent | Service::Present | Service::Away { .. } => false,
        }
    }

    /// Something was taken, and so much is left here.
    pub(super) fn took(&mut self, draw: &Draw, here: u64, now: Millis) {
        if self.fed() != Fed::ByService {
            return;
        }
        let share = self.uses(draw, now).share();
        if here <= share / 2 {
            self.low.insert(draw.limit);
        } else {
            self.low.remove(&draw.limit);
        }
    }

    /// Somebody waits for it.
    pub(super) fn lacks(&mut self, draw: &Draw, now: Millis) {
        if self.fed() == Fed::ByService {
            self.uses(draw, now);
            self.low.insert(draw.limit);
        }
    }

    /// Those that run low.
    pub(super) fn low(&self) -> Vec<RateId> {
        self.low.iter().copied().collect()
    }

    /// A limit is used.
    pub(super) fn uses(&mut self, draw: &Draw, now: Millis) -> &mut Mine {
        let mine = self.mine.entry(draw.limit).or_insert(Mine {
            counts: draw.counts,
            rate: draw.rate,
            largest: 0,
            used_at: now,
            asked_at: None,
        });
        mine.rate = draw.rate;
        mine.largest = mine.largest.max(draw.amount);
        mine.used_at = now;
        mine
    }

    /// Notes that a limit is being asked for; not while it is already.
    pub(super) fn may_ask(&mut self, limit: RateId, now: Millis) -> bool {
        let Some(mine) = self.mine.get_mut(&limit) else {
            self.low.remove(&limit);
            return false;
        };
        let pending = mine
            .asked_at
            .is_some_and(|asked| !now.is_over(asked, PATIENCE_MS));
        if !pending {
            mine.asked_at = Some(now);
            self.low.remove(&limit);
        }
        !pending
    }

    pub(super) fn answered(&mut self, limit: RateId) {
        if let Some(mine) = self.mine.get_mut(&limit) {
            mine.asked_at = None;
        }
    }

    pub(super) fn forget_unused(&mut self, now: Millis) {
        self.mine
            .retain(|_, mine| !now.is_over(mine.used_at, MINE_MS));
    }
}

impl Mine {
    /// So much is good to have at hand.
    pub(super) fn share(&self) -> u64 {
        let share = (self.rate.per_minute / SHARES_A_MINUTE).max(self.largest);
        share.min(self.rate.burst / 4)
    }
}
