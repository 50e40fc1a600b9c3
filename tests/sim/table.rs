//! The data that the workers of one proxy share: rows that change by compare-and-swap, and one operation at a time on the
//! way through it, in steps that interleave with those of others.

use std::collections::BTreeMap;

use tollgate_core::money::holder::{LeaseRow, Place, place, ways};
use tollgate_core::money::ids::ScopeId;

use crate::proxy::WORKERS;
use crate::settings::Mutant;

pub(crate) struct Table {
    slots: Vec<Cell>,
    /// Rows that found no slot, by worker.
    own: Vec<BTreeMap<ScopeId, Cell>>,
    is_blind: bool,
    pub(crate) lost_races: u64,
    /// Rows written that have no slot.
    pub(crate) homeless: u64,
}

/// A row and how often it was written.
#[derive(Clone, Copy, Default)]
struct Cell {
    version: u64,
    row: Option<LeaseRow>,
}

/// A row as it was read, to be swapped if nobody else did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// None for a row of the worker's own.
    pub(crate) slot: Option<u32>,
    version: u64,
    pub(crate) row: LeaseRow,
}

impl Table {
    pub(crate) fn new(slots: u32, mutant: Mutant) -> Self {
        Self {
            slots: vec![Cell::default(); usize::try_from(slots).unwrap()],
            own: vec![BTreeMap::new(); WORKERS],
            is_blind: mutant == Mutant::BlindSwap,
            lost_races: 0,
            homeless: 0,
        }
    }

    /// The row of a scope, or an empty one where it could stand.
    pub(crate) fn find(&self, worker: usize, scope: ScopeId) -> Seen {
        if self.own[worker].contains_key(&scope) {
            return self.read(worker, None, scope);
        }
        let count = u32::try_from(self.slots.len()).unwrap();
        let [first, second] = ways(scope, count);
        let found = [
            (first, self.at(first).row.as_ref()),
            (second, self.at(second).row.as_ref()),
        ];
        match place(scope, found) {
            Place::Here(slot) => self.read(worker, Some(slot), scope),
            Place::Vacant(slot) => Seen {
                slot: Some(slot),
                version: self.at(slot).version,
                row: LeaseRow::new(scope),
            },
            Place::Full => self.read(worker, None, scope),
        }
    }

    /// The shared slot in which a scope's row stands.
    pub(crate) fn slot_of(&self, scope: ScopeId) -> Option<u32> {
        let count = u32::try_from(self.slots.len()).unwrap();
        let stands = |slot: &u32| self.at(*slot).row.is_some_and(|row| row.scope == scope);
        ways(scope, count).into_iter().find(stands)
    }

    /// The row that stands here; an empty one if none does.
    pub(crate) fn read(&self, worker: usize, slot: Option<u32>, scope: ScopeId) -> Seen {
        let own = self.own[worker].get(&scope).copied();
        let cell = slot.map_or_else(|| own.unwrap_or_default(), |slot| *self.at(slot));
        Seen {
            slot,
            version: cell.version,
            row: cell.row.unwrap_or_else(|| LeaseRow::new(scope)),
        }
    }

    pub(crate) fn swap(&mut self, worker: usize, seen: Seen, row: LeaseRow) -> bool {
        let cell = match seen.slot {
            Some(slot) => &mut self.slots[usize::try_from(slot).unwrap()],
            None => self.own[worker].entry(row.scope).or_default(),
        };
        if cell.version != seen.version && !self.is_blind {
            self.lost_races += 1;
            return false;
        }
        // What lies in shared data is bytes.
        cell.version += 1;
        self.homeless += u64::from(seen.slot.is_none());
        cell.row = Some(LeaseRow::from_bytes(&row.to_bytes()).unwrap());
        true
    }

    /// The rows of the worker's own that may have a slot again, or are no longer used.
    pub(crate) fn homecomers(&mut self, worker: usize) -> Vec<ScopeId> {
        let is_used = |cell: &Cell| cell.row.is_some_and(|row| !row.is_closed());
        self.own[worker].retain(|_, cell| is_used(cell));
        let own = std::mem::take(&mut self.own[worker]);
        let found = |scope: &ScopeId| self.find(worker, *scope).slot.is_some();
        let homecomers = own.keys().copied().filter(found).collect();
        self.own[worker] = own;
        homecomers
    }

    /// A worker forgets what was its own.
    pub(crate) fn trap(&mut self, worker: usize) -> Vec<LeaseRow> {
        let own = std::mem::take(&mut self.own[worker]);
        own.into_values().filter_map(|cell| cell.row).collect()
    }

    /// Where rows stand: worker, slot, scope.
    pub(crate) fn places(&self) -> Vec<(usize, Option<u32>, ScopeId)> {
        let slots = (0..).zip(&self.slots);
        let shared = slots.filter_map(|(slot, cell)| Some((0, Some(slot), cell.row?.scope)));
        let own = self.own.iter().enumerate();
        let own = own.flat_map(|(worker, own)| own.keys().map(move |scope| (worker, None, *scope)));
        shared.chain(own).collect()
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &LeaseRow> {
        let own = self.own.iter().flat_map(BTreeMap::values);
        self.slots
            .iter()
            .chain(own)
            .filter_map(|cell| cell.row.as_ref())
    }

    fn at(&self, slot: u32) -> &Cell {
        &self.slots[usize::try_from(slot).unwrap()]
    }
}
