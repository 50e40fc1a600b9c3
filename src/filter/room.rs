//! Limits by the minute, as one worker keeps them: rows in slots of shared data, and who waits for them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tollgate_core::config::{DeploymentId, Gateway};
use tollgate_core::limits::bucket::Bucket;
use tollgate_core::limits::places::Places;
use tollgate_core::limits::queue::Ticket;
use tollgate_core::limits::{Draw, Limiter, Outcome, Quota, Rows, Taken, Used};
use tollgate_core::money::ids::Millis;
use tollgate_core::money::rates::{RateGrant, RateId, RateWant};
use tollgate_core::routing::random;
use tollgate_core::units::{NanoUsd, Timestamp};

use crate::bank::{self, millis};
use crate::host::call::Context;
use crate::host::{self, shared};

/// Slots there may be, each about 70 bytes once it was used.
const SLOTS: u64 = 16_384;
/// Slots that a limit may stand in.
const WAYS: u64 = 4;
/// Who lives is told, and what lies idle looked after, this often.
const EVERY_MS: u64 = 1_000;
/// Which workers live.
const ALIVE: &str = "tollgate.alive";

#[derive(Default)]
struct Room {
    limiter: Limiter,
    table: Table,
    looked_at: Millis,
    told_at: Millis,
    /// Whether other workers must know that this one lives.
    is_known: bool,
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

fn with<Said>(run: impl FnOnce(&mut Room) -> Said) -> Option<Said> {
    ROOM.with(|room| Some(run(&mut *room.try_borrow_mut().ok()?)))
}

/// The plugin was configured: limits are those of all gateways.
pub(crate) fn share_with_others() {
    with(|room| room.limiter.share_with_others());
}

/// The plugin was configured: limits are those of this gateway.
pub(crate) fn count_alone() {
    with(|room| room.limiter.count_alone());
}

/// Takes what a request needs. None: it waits, and hears [`bank::News::Room`].
pub(crate) fn take(
    draws: Vec<Draw>,
    key: &str,
    request: Context,
    now: Timestamp,
) -> Option<Outcome> {
    let (outcome, asks) = with(|room| {
        let at = millis(now);
        room.begin(at);
        let Room { limiter, table, .. } = room;
        table.now = at;
        let outcome = limiter.take(table, draws, (request.0, key), at);
        let asks = limiter.asks(table, at);
        if room.limiter.holds_places() {
            room.introduce(at);
        }
        (outcome, asks)
    })?;
    if let Some(wants) = asks {
        bank::ask_rates(wants, request, now);
    }
    outcome
}

/// Deployments with a limit of their own.
pub(crate) type Quotas = BTreeMap<DeploymentId, Quota>;

/// Those of a configuration; of a deployment that is a target twice the first has the word.
pub(crate) fn quotas(config: &Gateway) -> Quotas {
    let mut quotas = Quotas::new();
    for target in config.models.iter().flat_map(|model| &model.targets) {
        if let Some(provider) = config.providers.get(target.provider)
            && !target.traits.quota.is_empty()
        {
            let id = target.deployment(provider);
            quotas.entry(id).or_insert(target.traits.quota);
        }
    }
    quotas
}

/// Which deployments have no room for more, and of what.
pub(crate) fn full(quotas: &Quotas, now: Timestamp) -> BTreeMap<DeploymentId, &'static str> {
    if quotas.is_empty() {
        return BTreeMap::new();
    }
    with(|room| {
        let at = millis(now);
        let Room { limiter, table, .. } = room;
        table.now = at;
        let full = quotas.iter().filter_map(|(id, quota)| {
            let what = limiter.full(table, *id, quota, at)?;
            Some((*id, what))
        });
        full.collect()
    })
    .unwrap_or_default()
}

/// An attempt at a deployment with a limit of its own, as long as this lives.
#[derive(Debug)]
pub(crate) struct Attempting {
    id: DeploymentId,
    quota: Quota,
    expected: u64,
    /// Tokens, and what they cost; nothing where nothing is known when it ends.
    pub(crate) used: (u64, NanoUsd),
}

impl Attempting {
    pub(crate) fn begin(id: DeploymentId, quota: Quota, expected: u64, now: Timestamp) -> Self {
        with(|room| {
            let at = millis(now);
            room.begin(at);
            let Room { limiter, table, .. } = room;
            table.now = at;
            limiter.attempt_begins(table, (id, &quota), expected, at);
            if quota.parallel.is_some() {
                room.introduce(at);
            }
        });
        Self {
            id,
            quota,
            expected,
            used: (0, NanoUsd::ZERO),
        }
    }
}

impl Drop for Attempting {
    fn drop(&mut self) {
        let (used, cost) = self.used;
        with(|room| {
            let at = millis(host::now());
            let Room { limiter, table, .. } = room;
            table.now = at;
            let whose = (self.id, &self.quota);
            limiter.attempt_ends(table, whose, (self.expected, used), cost, at);
        });
    }
}

/// A request is over.
pub(crate) fn settle(taken: Taken, used: Used, now: Timestamp) {
    with(|room| {
        let at = millis(now);
        room.table.now = at;
        room.limiter.settle(&mut room.table, taken, used, at);
    });
}

/// A request that may have waited is gone.
pub(crate) fn leave(request: Context) {
    with(|room| room.limiter.leave(&mut room.table, request.0));
}

/// Time passes: who has its turn, and who waited long enough.
pub(crate) fn tick(now: Timestamp) -> Vec<(Ticket, Outcome)> {
    with(|room| {
        let at = millis(now);
        room.table.now = at;
        if at.is_over(room.told_at, EVERY_MS) {
            room.told_at = at;
            room.limiter.forget(at);
            if room.is_known {
                room.tell_alive(at);
            }
        }
        room.limiter.tick(&mut room.table, at)
    })
    .unwrap_or_default()
}

/// What the budget service is to be asked now.
pub(crate) fn asks(now: Timestamp) -> Option<Vec<RateWant>> {
    with(|room| {
        let at = millis(now);
        let Room { limiter, table, .. } = room;
        table.now = at;
        let mut asks = limiter.asks(table, at);
        if at.is_over(room.looked_at, EVERY_MS) {
            room.looked_at = at;
            let home = room.limiter.goes_home(&mut room.table, at);
            if !home.is_empty() {
                asks.get_or_insert_default().extend(home);
            }
        }
        asks
    })
    .flatten()
}

/// The service answered.
pub(crate) fn arrived(
    wants: &[RateWant],
    grants: &[RateGrant],
    now: Timestamp,
) -> Vec<(Ticket, Outcome)> {
    with(|room| {
        let at = millis(now);
        room.table.now = at;
        room.limiter.arrived(&mut room.table, wants, grants, at)
    })
    .unwrap_or_default()
}

/// The service could not be asked.
pub(crate) fn lost(now: Timestamp) -> Vec<(Ticket, Outcome)> {
    with(|room| {
        let at = millis(now);
        room.table.now = at;
        room.limiter.lost(&mut room.table, at)
    })
    .unwrap_or_default()
}

impl Room {
    /// Workers begin at different nanoseconds, at different places of memory.
    fn begin(&mut self, now: Millis) {
        if self.limiter.workers.own == 0 {
            let place = std::ptr::from_ref(self).addr();
            let place = u64::try_from(place).unwrap_or_default();
            let number = random::mix(host::now().0 ^ place.rotate_left(32));
            self.limiter.workers.own = number.max(1);
            self.read_alive();
            self.looked_at = now;
            self.told_at = now;
        }
    }

    /// Who takes a place must be known to the others.
    fn introduce(&mut self, now: Millis) {
        if !self.is_known {
            self.is_known = true;
            self.tell_alive(now);
        }
    }

    fn read_alive(&mut self) {
        if let Ok(Some(read)) = shared::read(ALIVE) {
            self.limiter.workers.read(&read.value);
        }
    }

    fn tell_alive(&mut self, now: Millis) {
        let workers = &mut self.limiter.workers;
        let _ = shared::change(ALIVE, |bytes| {
            workers.read(bytes);
            (Some(workers.bytes(now)), ())
        });
    }
}

/// Rows, where they stand.
#[derive(Debug, Default)]
struct Table {
    now: Millis,
    /// Where a limit was found before.
    places: BTreeMap<RateId, u64>,
    /// Rows that found no slot.
    own: BTreeMap<RateId, Vec<u8>>,
}

impl Rows for Table {
    fn bucket<Said>(
        &mut self,
        limit: RateId,
        mut change: impl FnMut(Bucket) -> (Option<Bucket>, Said),
    ) -> Said {
        let mut said = None;
        self.change(limit, &mut |bytes| {
            let bucket = Bucket::from_bytes(bytes).filter(|bucket| bucket.limit == limit);
            let (changed, say) = change(bucket.unwrap_or_else(|| Bucket::new(limit)));
            said = Some(say);
            changed.map(Bucket::to_bytes)
        });
        // The table runs each change at least once.
        said.unwrap_or_else(|| change(Bucket::new(limit)).1)
    }

    fn places<Said>(
        &mut self,
        limit: RateId,
        mut change: impl FnMut(Places) -> (Option<Places>, Said),
    ) -> Said {
        let mut said = None;
        self.change(limit, &mut |bytes| {
            let places = Places::from_bytes(bytes).filter(|places| places.limit == limit);
            let (changed, say) = change(places.unwrap_or_else(|| Places::new(limit)));
            said = Some(say);
            changed.map(|places| places.to_bytes())
        });
        said.unwrap_or_else(|| change(Places::new(limit)).1)
    }
}

/// Gives the new bytes of a row, or none to leave it.
type Change<'a> = dyn FnMut(&[u8]) -> Option<Vec<u8>> + 'a;

impl Table {
    fn change(&mut self, limit: RateId, change: &mut Change<'_>) {
        if let Some(row) = self.own.get_mut(&limit) {
            if let Some(changed) = change(row) {
                *row = changed;
            }
            return;
        }
        let known = self.places.get(&limit).copied();
        if known.is_some_and(|slot| self.change_here(slot, limit, change)) {
            return;
        }
        if let Some(slot) = self.find(limit)
            && self.change_here(slot, limit, change)
        {
            self.places.insert(limit, slot);
            return;
        }
        let changed = change(&[]);
        self.own.insert(limit, changed.unwrap_or_default());
    }

    /// Whether the limit stands there, or may.
    fn is_free(&self, bytes: &[u8], limit: RateId) -> bool {
        if let Some(bucket) = Bucket::from_bytes(bytes) {
            return bucket.limit == limit || bucket.is_idle(self.now);
        }
        Places::from_bytes(bytes)
            .is_none_or(|places| places.limit == limit || places.is_idle(self.now))
    }

    fn find(&self, limit: RateId) -> Option<u64> {
        let first = limit.0.checked_rem(SLOTS / WAYS)?.saturating_mul(WAYS);
        let mut free = None;
        for slot in first..first.saturating_add(WAYS) {
            let read = shared::read(&key(slot)).ok()?;
            let bytes = read.map(|read| read.value).unwrap_or_default();
            if stands_there(&bytes, limit) {
                return Some(slot);
            }
            if free.is_none() && self.is_free(&bytes, limit) {
                free = Some(slot);
            }
        }
        free
    }

    /// Whether it could be changed here: not where another limit stands, and not if the host fails.
    fn change_here(&self, slot: u64, limit: RateId, change: &mut Change<'_>) -> bool {
        let swapped = shared::change(&key(slot), |bytes| {
            if self.is_free(bytes, limit) {
                (change(bytes), true)
            } else {
                (None, false)
            }
        });
        swapped.unwrap_or(false)
    }
}

fn stands_there(bytes: &[u8], limit: RateId) -> bool {
    let bucket = Bucket::from_bytes(bytes).is_some_and(|bucket| bucket.limit == limit);
    bucket || Places::from_bytes(bytes).is_some_and(|places| places.limit == limit)
}

fn key(slot: u64) -> String {
    format!("tollgate.R.{slot}")
}
