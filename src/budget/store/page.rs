//! Pages: a cursor is where the page before ended, as numbers with dots between them.

use tollgate_core::money::ledger::Opening;

use super::error::StoreError;
use super::facts::StoredRecord;
use super::query::{Page, Paged};

/// More rows than these are never in one page.
const ROWS_MAX: usize = 10_000;

/// One row more than asked for, so that it is known whether there is another page.
pub(super) fn rows(page: &Page) -> u64 {
    let size = page.size.clamp(1, ROWS_MAX);
    u64::try_from(size).unwrap_or(u64::MAX).saturating_add(1)
}

/// The numbers of the cursor.
pub(super) fn numbers<const COUNT: usize>(page: &Page) -> Result<Option<[u64; COUNT]>, StoreError> {
    let Some(after) = &page.after else {
        return Ok(None);
    };
    let numbers: Result<Vec<u64>, _> = after.split('.').map(str::parse).collect();
    let numbers = numbers.ok().and_then(|numbers| numbers.try_into().ok());
    numbers
        .map(Some)
        .ok_or_else(|| StoreError::Cursor(after.clone()))
}

/// The page, and where the next one begins.
pub(super) fn cut<Row>(
    mut rows: Vec<Row>,
    page: &Page,
    cursor: impl Fn(&Row) -> String,
) -> Paged<Row> {
    let size = page.size.clamp(1, ROWS_MAX);
    let mut next = None;
    if rows.len() > size {
        rows.truncate(size);
        next = rows.last().map(cursor);
    }
    Paged { rows, next }
}

/// Where a record stands: records are ordered by these.
pub(super) fn record_place(record: &StoredRecord) -> [u64; 4] {
    let name = record.name;
    [
        record.facts.at.0,
        name.incarnation.0,
        u64::from(name.stream.0),
        name.number.0,
    ]
}

pub(super) fn record_cursor(record: &StoredRecord) -> String {
    record_place(record)
        .map(|number| number.to_string())
        .join(".")
}

pub(super) fn opening_cursor(opening: &Opening) -> String {
    let (incarnation, stream) = (opening.incarnation.0, opening.stream.0);
    format!("{incarnation}.{stream}.{}", opening.open.number)
}
