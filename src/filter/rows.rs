//! Rows of leases in slots of shared data: one table for all workers of the process.

use std::collections::BTreeMap;

use tollgate_core::money::holder::{LeaseRow, Place, Rows, place, ways};
use tollgate_core::money::ids::ScopeId;

use crate::host::shared;

/// Slots there may be. Each exists from its first use on: about 300 bytes.
const SLOTS: u32 = 16_384;

/// The table, as one worker sees it.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// Where a scope was found before.
    places: BTreeMap<ScopeId, u32>,
    /// Rows that found no slot.
    own: BTreeMap<ScopeId, LeaseRow>,
}

impl Rows for Slots {
    fn change<Said>(
        &mut self,
        scope: ScopeId,
        mut change: impl FnMut(LeaseRow) -> (LeaseRow, Said),
    ) -> (Option<u32>, Said) {
        if let Some(row) = self.own.get_mut(&scope) {
            let (changed, said) = change(*row);
            *row = changed;
            return (None, said);
        }
        if let Some(slot) = self.places.get(&scope).copied() {
            if let Some(said) = change_here(slot, scope, &mut change) {
                return (Some(slot), said);
            }
            self.places.remove(&scope);
        }
        if let Some(slot) = find(scope)
            && let Some(said) = change_here(slot, scope, &mut change)
        {
            self.places.insert(scope, slot);
            return (Some(slot), said);
        }
        let (changed, said) = change(LeaseRow::new(scope));
        self.own.insert(scope, changed);
        (None, said)
    }
}

fn key(slot: u32) -> String {
    format!("tollgate.L.{slot}")
}

/// The slot where a scope stands, or could.
fn find(scope: ScopeId) -> Option<u32> {
    let slots = ways(scope, SLOTS);
    let rows = slots.map(|slot| {
        let read = shared::read(&key(slot)).ok().flatten();
        read.and_then(|read| LeaseRow::from_bytes(&read.value).ok())
    });
    let [first, second] = slots;
    let [of_first, of_second] = &rows;
    let found = [(first, of_first.as_ref()), (second, of_second.as_ref())];
    match place(scope, found) {
        Place::Here(slot) | Place::Vacant(slot) => Some(slot),
        Place::Full => None,
    }
}

/// None if another scope stands there, or if the host fails.
fn change_here<Said>(
    slot: u32,
    scope: ScopeId,
    change: &mut impl FnMut(LeaseRow) -> (LeaseRow, Said),
) -> Option<Said> {
    let swapped = shared::change(&key(slot), |bytes| {
        let row = match LeaseRow::from_bytes(bytes) {
            Ok(row) if row.scope == scope => row,
            Ok(row) if !row.is_closed() => return (None, None),
            // Closed, or new.
            Ok(_) | Err(_) => LeaseRow::new(scope),
        };
        let (changed, said) = change(row);
        (Some(changed.to_bytes().to_vec()), Some(said))
    });
    swapped.ok().flatten()
}
