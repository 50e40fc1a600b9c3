//! The data that the workers of one proxy share: rows that change by compare-and-swap, and one operation at a time on the
//! way through it, in steps that interleave with those of others.

use tollgate_core::money::holder::{LeaseRow, Place, place, ways};
use tollgate_core::money::ids::ScopeId;

pub(crate) struct Table {
    slots: Vec<(u64, Option<LeaseRow>)>,
    is_blind: bool,
    pub(crate) lost_races: u64,
}

/// A row as it was read, to be swapped if nobody else did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) slot: u32,
    version: u64,
    pub(crate) row: LeaseRow,
}

impl Table {
    pub(crate) fn new(slots: u32, is_blind: bool) -> Self {
        Self {
            slots: vec![(0, None); usize::try_from(slots).unwrap()],
            is_blind,
            lost_races: 0,
        }
    }

    /// The row of a scope, or an empty one where it could stand; none if two others stand there.
    pub(crate) fn find(&self, scope: ScopeId) -> Option<Seen> {
        let count = u32::try_from(self.slots.len()).unwrap();
        let [first, second] = ways(scope, count);
        let found = [
            (first, self.at(first).1.as_ref()),
            (second, self.at(second).1.as_ref()),
        ];
        match place(scope, found) {
            Place::Here(slot) => self.read(slot),
            Place::Vacant(slot) => Some(Seen {
                slot,
                version: self.at(slot).0,
                row: LeaseRow::new(scope),
            }),
            Place::Full => None,
        }
    }

    pub(crate) fn read(&self, slot: u32) -> Option<Seen> {
        let (version, row) = *self.at(slot);
        row.map(|row| Seen { slot, version, row })
    }

    pub(crate) fn swap(&mut self, seen: Seen, row: LeaseRow) -> bool {
        let is_blind = self.is_blind;
        let slot = &mut self.slots[usize::try_from(seen.slot).unwrap()];
        if slot.0 != seen.version && !is_blind {
            self.lost_races += 1;
            return false;
        }
        // What lies in shared data is bytes.
        let row = LeaseRow::from_bytes(&row.to_bytes()).unwrap();
        *slot = (slot.0 + 1, Some(row));
        true
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (u32, &LeaseRow)> {
        let slots = (0..).zip(&self.slots);
        slots.filter_map(|(slot, (_, row))| row.as_ref().map(|row| (slot, row)))
    }

    fn at(&self, slot: u32) -> &(u64, Option<LeaseRow>) {
        &self.slots[usize::try_from(slot).unwrap()]
    }
}
