//! How the providers are: one value for all workers, read now and then; and what this worker adds to it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tollgate_core::config::DeploymentId;
use tollgate_core::handoff::Tale;
use tollgate_core::health::busy;
use tollgate_core::health::row::Breaker;
use tollgate_core::health::{Attempted, Outcome, Row, Table};
use tollgate_core::routing::{Weather, random};
use tollgate_core::units::Timestamp;

use crate::host::{self, shared};

const HEALTH: &str = "tollgate.health";
const BUSY: &str = "tollgate.busy";

/// What was read is believed for so long: reading costs more than deciding.
const BELIEVED_MS: u64 = 20;

/// Good replies are told together, this often.
const GOOD_EVERY_MS: u64 = 250;

/// More of them are told at once.
const GOOD_MAX: usize = 64;

/// A worker that counts says so this often, or the others take it for dead.
const BUSY_EVERY_MS: u64 = 1_000;

#[derive(Default)]
struct Worker {
    /// Its number among all workers; 0 as long as it has none.
    number: u64,
    weather: Weather,
    read_ms: u64,
    /// Good replies that were not told yet.
    good: Vec<Tale>,
    good_told_ms: u64,
    /// Breakers that turned and were not counted yet.
    turns: Vec<Turn>,
    /// What runs through this worker.
    running: BTreeMap<DeploymentId, u32>,
    told: BTreeMap<DeploymentId, u32>,
    busy_told_ms: u64,
}

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::default();
}

/// A breaker that opened or closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// The position of the provider.
    pub(crate) provider: usize,
    /// `open` or `closed`.
    pub(crate) to: &'static str,
}

/// Gives `look` the weather as it is. None only for a callback inside a callback.
pub(crate) fn with<T>(now: Timestamp, look: impl FnOnce(&mut Weather) -> T) -> Option<T> {
    WORKER.with(|worker| {
        let mut worker = worker.try_borrow_mut().ok()?;
        worker.read(millis(now));
        Some(look(&mut worker.weather))
    })
}

/// What became of attempts.
pub(crate) fn tell(tales: Vec<Tale>, now: Timestamp) {
    WORKER.with(|worker| {
        let Ok(mut worker) = worker.try_borrow_mut() else {
            return;
        };
        let now_ms = millis(now);
        let mut urgent = Vec::new();
        for tale in tales {
            if tale.attempted == Attempted::Ordinary || tale.outcome != Outcome::Unknown {
                let memory = &mut worker.weather.memory;
                memory.asked(tale.provider, now_ms, tale.turn);
            }
            match (tale.outcome, tale.attempted, tale.left) {
                (Outcome::Good(_), Attempted::Ordinary, None) => worker.good.push(tale),
                (Outcome::Unknown, Attempted::Ordinary, None) => {}
                (..) => urgent.push(tale),
            }
        }
        if !urgent.is_empty() || worker.good.len() >= GOOD_MAX {
            worker.write(&urgent, now_ms);
        }
    });
}

/// Whether this request may find out how a deployment is: of all workers only one gets a yes.
pub(crate) fn claim(id: DeploymentId, now: Timestamp) -> bool {
    let now_ms = millis(now);
    let claimed = shared::change(HEALTH, |bytes| {
        let mut table = Table::read(bytes);
        match table.row(id).claim(now_ms) {
            Some(row) => {
                table.set(id, row, now_ms);
                (Some(table.bytes()), true)
            }
            None => (None, false),
        }
    });
    WORKER.with(|worker| {
        if let Ok(mut worker) = worker.try_borrow_mut() {
            worker.read_ms = 0;
        }
    });
    claimed.unwrap_or(false)
}

/// A request that runs at a deployment, as long as this lives.
#[derive(Debug)]
pub(crate) struct Running(DeploymentId);

impl Running {
    pub(crate) fn at(id: DeploymentId) -> Self {
        count(id, |count| count.saturating_add(1));
        Self(id)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        count(self.0, |count| count.saturating_sub(1));
    }
}

fn count(id: DeploymentId, change: fn(u32) -> u32) {
    WORKER.with(|worker| {
        if let Ok(mut worker) = worker.try_borrow_mut() {
            let own = worker.running.entry(id).or_default();
            *own = change(*own);
            let all = worker.weather.busy.entry(id).or_default();
            *all = change(*all);
        }
    });
}

/// What can wait is told now; the breakers that turned since the last time.
pub(crate) fn tick(now: Timestamp) -> Vec<Turn> {
    WORKER.with(|worker| {
        let Ok(mut worker) = worker.try_borrow_mut() else {
            return Vec::new();
        };
        let now_ms = millis(now);
        worker.tell_busy(now_ms);
        let due = now_ms.saturating_sub(worker.good_told_ms) >= GOOD_EVERY_MS;
        if due && !worker.good.is_empty() {
            worker.write(&[], now_ms);
        }
        std::mem::take(&mut worker.turns)
    })
}

fn millis(now: Timestamp) -> u64 {
    now.0 / 1_000_000
}

impl Worker {
    fn read(&mut self, now_ms: u64) {
        if self.number == 0 {
            // Workers begin at different nanoseconds, at different places of memory.
            let place = std::ptr::from_ref(self).addr();
            let place = u64::try_from(place).unwrap_or_default();
            self.number = random::mix(host::now().0 ^ place.rotate_left(32)).max(1);
            self.weather.random = random::mix(self.number);
        }
        if now_ms.saturating_sub(self.read_ms) < BELIEVED_MS {
            return;
        }
        self.read_ms = now_ms;
        if let Ok(Some(read)) = shared::read(HEALTH) {
            self.weather.health = Table::read(&read.value);
        }
        if let Ok(Some(read)) = shared::read(BUSY) {
            self.weather.busy = busy::Told::read(&read.value).of_others(self.number, now_ms);
            for (id, own) in &self.running {
                let all = self.weather.busy.entry(*id).or_default();
                *all = all.saturating_add(*own);
            }
        }
    }

    /// Writes what was gathered, and what is urgent.
    fn write(&mut self, urgent: &[Tale], now_ms: u64) {
        let good = std::mem::take(&mut self.good);
        self.good_told_ms = now_ms;
        self.weather.random = random::mix(self.weather.random);
        let chance = self.weather.random;
        let written = shared::change(HEALTH, |bytes| {
            let mut table = Table::read(bytes);
            let mut turns = Vec::new();
            for tale in good.iter().chain(urgent) {
                let row = table.row(tale.id);
                let changed = changed(row, tale, now_ms, chance);
                turns.extend(turn(&row, &changed, tale.provider));
                table.set(tale.id, changed, now_ms);
            }
            (Some(table.bytes()), (turns, table))
        });
        if let Ok((turns, table)) = written {
            self.weather.health = table;
            self.turns.extend(turns);
        }
    }

    fn tell_busy(&mut self, now_ms: u64) {
        self.running.retain(|_, count| *count > 0);
        let silent_ms = now_ms.saturating_sub(self.busy_told_ms);
        let alive = !self.running.is_empty() && silent_ms >= BUSY_EVERY_MS;
        if self.running == self.told && !alive {
            return;
        }
        self.busy_told_ms = now_ms;
        let (number, running) = (self.number, &self.running);
        let told = shared::change(BUSY, |bytes| {
            let mut told = busy::Told::read(bytes);
            told.tell(number, now_ms, running);
            (Some(told.bytes()), ())
        });
        if told.is_ok() {
            self.told = self.running.clone();
        }
    }
}

fn changed(row: Row, tale: &Tale, now_ms: u64, chance: u64) -> Row {
    let row = row.after(&tale.rules, now_ms, tale.attempted, tale.outcome, chance);
    match tale.left {
        Some(left) => row.told(&tale.rules, now_ms, left),
        None => row,
    }
}

fn turn(before: &Row, after: &Row, provider: usize) -> Option<Turn> {
    let is_open = |row: &Row| matches!(row.breaker, Breaker::Open | Breaker::Probing);
    let to = match (is_open(before), is_open(after)) {
        (false, true) => "open",
        (true, false) => "closed",
        (false, false) | (true, true) => return None,
    };
    Some(Turn { provider, to })
}
