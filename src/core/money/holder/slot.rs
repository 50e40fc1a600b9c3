//! Where rows live: a table of fixed slots, because shared data never shrinks.
//!
//! A scope may stand in one of two slots. A slot is reused when its row is closed. If neither can be, the worker keeps a row
//! of its own in its own memory: the rules are the same, it is only not shared, so the process holds a little more.

use super::demand::Demand;
use super::row::{Asking, LeaseRow, Standing};
use crate::money::ids::{LeaseId, Millis, ScopeId, WindowId};
use crate::money::thresholds::Action;
use crate::units::NanoUsd;

/// Slots a scope may stand in.
pub const PLACE_WAYS: usize = 2;
/// The size of a row in shared data.
pub const ROW_BYTES: usize = 176;

/// Where a scope's row is, or could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is here.
    Here(u32),
    /// It could be here.
    Vacant(u32),
    /// Two other scopes are using its slots: the row is the worker's own.
    Full,
}

/// The slots a scope may stand in, in a table of `slots`.
pub fn ways(scope: ScopeId, slots: u32) -> [u32; PLACE_WAYS] {
    // Ids are handed out in order, so they are mixed; the odd factor is 2^64 / golden ratio.
    let mixed = scope.0.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let pairs = u64::from(slots / 2).max(1);
    let pair = (mixed >> 32).checked_rem(pairs).unwrap_or_default();
    let first = u32::try_from(pair).unwrap_or_default().saturating_mul(2);
    [first, first.saturating_add(1)]
}

/// Chooses between the two slots of a scope, by the rows that stand there.
pub fn place(scope: ScopeId, found: [(u32, Option<&LeaseRow>); PLACE_WAYS]) -> Place {
    let is_mine = |row: &LeaseRow| row.scope == scope;
    let mut mine = found.iter().filter(|(_, row)| row.is_some_and(is_mine));
    let mut free = found
        .iter()
        .filter(|(_, row)| row.is_none_or(LeaseRow::is_closed));
    match (mine.next(), free.next()) {
        (Some((slot, _)), _) => Place::Here(*slot),
        (None, Some((slot, _))) => Place::Vacant(*slot),
        (None, None) => Place::Full,
    }
}

/// Bytes that are no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadableRow;

impl LeaseRow {
    /// The row as bytes for shared data.
    pub fn to_bytes(&self) -> [u8; ROW_BYTES] {
        let (asking, since) = match self.asking {
            Asking::Nobody => (0, 0),
            Asking::ExpectGrant { since } => (1, since.0),
            Asking::Denied { since } => (2, since.0),
        };
        let words: [u64; ROW_BYTES / 8] = [
            self.scope.0,
            self.lease.0,
            u64::from(self.window.0),
            self.granted.0,
            self.free.0,
            self.in_flight.0,
            self.settled.0,
            self.returned.0,
            self.demand.level,
            self.demand.at.0,
            self.demand.largest,
            self.used_at.0,
            self.good_until.0,
            self.tight_since.0,
            asking,
            since,
            self.standing.action.number(),
            self.standing.spent.0,
            self.standing.limit.0,
            self.standing.resets_at.0,
            // No amount is so large.
            self.standing.left.map_or(u64::MAX, |left| left.0),
            self.uncovered.0,
        ];
        let mut bytes = [0; ROW_BYTES];
        for (place, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    /// The row of such bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, UnreadableRow> {
        let bytes: &[u8; ROW_BYTES] = bytes.try_into().map_err(|_| UnreadableRow)?;
        let mut words = bytes.as_chunks::<8>().0.iter();
        let mut next = || {
            words
                .next()
                .copied()
                .map(u64::from_le_bytes)
                .ok_or(UnreadableRow)
        };
        Ok(Self {
            scope: ScopeId(next()?),
            lease: LeaseId(next()?),
            window: WindowId(u32::try_from(next()?).map_err(|_| UnreadableRow)?),
            granted: NanoUsd(next()?),
            free: NanoUsd(next()?),
            in_flight: NanoUsd(next()?),
            settled: NanoUsd(next()?),
            returned: NanoUsd(next()?),
            demand: Demand {
                level: next()?,
                at: Millis(next()?),
                largest: next()?,
            },
            used_at: Millis(next()?),
            good_until: Millis(next()?),
            tight_since: Millis(next()?),
            asking: match (next()?, Millis(next()?)) {
                (0, _) => Asking::Nobody,
                (1, since) => Asking::ExpectGrant { since },
                (2, since) => Asking::Denied { since },
                _ => return Err(UnreadableRow),
            },
            standing: Standing {
                action: Action::numbered(next()?).ok_or(UnreadableRow)?,
                spent: NanoUsd(next()?),
                limit: NanoUsd(next()?),
                resets_at: Millis(next()?),
                left: Some(next()?).filter(|left| *left < u64::MAX).map(NanoUsd),
            },
            uncovered: NanoUsd(next()?),
        })
    }
}
