//! Rows of leases in slots of shared data: one table for all workers of the process.

use std::collections::BTreeMap;

use tollgate_core::metrics::Metric;
use tollgate_core::money::holder::{LeaseRow, Place, Rows, place, ways};
use tollgate_core::money::ids::{LeaseId, ScopeId};

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
    /// What rows say of leases before this one is of a life that the budget service forgot.
    pub(crate) leases_from: LeaseId,
    /// What this worker's changes did to the sums of all rows.
    pub(crate) moved: Moved,
}

/// Sums over rows, in the order of [`Moved::METRICS`]: how far they moved since somebody asked.
#[derive(Debug, Default)]
pub(crate) struct Moved([i64; 4]);

impl Moved {
    const METRICS: [Metric; 4] = [
        Metric::LeaseFree,
        Metric::LeaseHeld,
        Metric::Uncovered,
        Metric::Leases,
    ];

    fn note(&mut self, before: &LeaseRow, after: &LeaseRow) {
        for (sum, (old, new)) in self
            .0
            .iter_mut()
            .zip(sums(before).into_iter().zip(sums(after)))
        {
            let by = i64::try_from(new.abs_diff(old)).unwrap_or(i64::MAX);
            *sum = if new > old {
                sum.saturating_add(by)
            } else {
                sum.saturating_sub(by)
            };
        }
    }

    /// From now on it has moved by nothing.
    pub(crate) fn take(&mut self) -> [(Metric, i64); 4] {
        let mut moved = Self::METRICS.map(|metric| (metric, 0));
        for ((_, by), sum) in moved.iter_mut().zip(std::mem::take(&mut self.0)) {
            *by = sum;
        }
        moved
    }
}

fn sums(row: &LeaseRow) -> [u64; 4] {
    let uncovered = row.uncovered.0;
    [
        row.free.0,
        row.in_flight.0,
        uncovered,
        u64::from(!row.is_closed()),
    ]
}

impl Rows for Slots {
    fn change<Said>(
        &mut self,
        scope: ScopeId,
        mut change: impl FnMut(LeaseRow) -> (LeaseRow, Said),
    ) -> (Option<u32>, Said) {
        if let Some(row) = self.own.get_mut(&scope) {
            let before = row.since(self.leases_from);
            let (changed, said) = change(before);
            self.moved.note(row, &changed);
            *row = changed;
            return (None, said);
        }
        if let Some(slot) = self.places.get(&scope).copied() {
            if let Some(changed) = change_here(slot, scope, self.leases_from, &mut change) {
                return (Some(slot), self.noted(changed));
            }
            self.places.remove(&scope);
        }
        if let Some(slot) = find(scope)
            && let Some(changed) = change_here(slot, scope, self.leases_from, &mut change)
        {
            self.places.insert(scope, slot);
            return (Some(slot), self.noted(changed));
        }
        let (changed, said) = change(LeaseRow::new(scope));
        self.moved.note(&LeaseRow::new(scope), &changed);
        self.own.insert(scope, changed);
        (None, said)
    }
}

impl Slots {
    fn noted<Said>(&mut self, changed: Changed<Said>) -> Said {
        self.moved.note(&changed.before, &changed.after);
        changed.said
    }
}

/// A row that was swapped.
struct Changed<Said> {
    before: LeaseRow,
    after: LeaseRow,
    said: Said,
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
    leases_from: LeaseId,
    change: &mut impl FnMut(LeaseRow) -> (LeaseRow, Said),
) -> Option<Changed<Said>> {
    let swapped = shared::change(&key(slot), |bytes| {
        let before = match LeaseRow::from_bytes(bytes) {
            Ok(row) if row.scope == scope => row,
            Ok(row) if !row.is_closed() => return (None, None),
            // Closed, or new.
            Ok(_) | Err(_) => LeaseRow::new(scope),
        };
        let (after, said) = change(before.since(leases_from));
        let changed = Changed {
            before,
            after,
            said,
        };
        (Some(after.to_bytes().to_vec()), Some(changed))
    });
    swapped.ok().flatten()
}
