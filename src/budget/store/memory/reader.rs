//! What can be asked of the store in memory.

use std::collections::BTreeSet;

use tollgate_core::money::ids::{AccountKey, LeaseId, ScopeId};
use tollgate_core::money::ledger::{Account, Lease, LeaseStanding, Opening};

use super::Memory;
use crate::store::error::StoreError;
use crate::store::facts::StoredRecord;
use crate::store::query::{
    AccountRow, AlertRow, AuditRow, CorrectionRow, LeaseRow, Order, Page, Paged, RecordFilter,
    ReportQuery,
};
use crate::store::report::{Builder, Report, hours};
use crate::store::{Reader, books, page};

impl Reader for Memory {
    fn records(
        &mut self,
        filter: &RecordFilter,
        page: &Page,
    ) -> Result<Paged<StoredRecord>, StoreError> {
        let after = page::numbers::<4>(page)?;
        let rows = self.rows();
        let newest_first = filter.order == Order::NewestFirst;
        let behind = |place: &[u64; 4]| {
            after.is_none_or(|after| {
                if newest_first {
                    *place < after
                } else {
                    *place > after
                }
            })
        };
        let names = rows.by_time.iter();
        let found = names
            .filter(|(place, _)| behind(place))
            .filter_map(|(_, name)| rows.records.get(name))
            .filter(|record| fits(filter, record))
            .cloned();
        let mut found: Vec<StoredRecord> = found.collect();
        if newest_first {
            found.reverse();
        }
        Ok(page::cut(found, page, page::record_cursor))
    }

    fn report(&mut self, query: &ReportQuery) -> Result<Report, StoreError> {
        let rows = self.rows();
        let mut builder = Builder::new(query);
        for (id, series) in &rows.series {
            builder.series(*id, series);
        }
        let (first, end) = hours(query);
        for ((hour, id), figures) in &rows.sums {
            if (first..end).contains(hour) {
                builder.sums(*hour, *id, figures);
            }
        }
        Ok(builder.finish())
    }

    fn accounts(&mut self, keys: &BTreeSet<AccountKey>) -> Result<Vec<AccountRow>, StoreError> {
        let found = self.rows().accounts(keys).into_iter();
        Ok(found
            .map(|(key, account)| AccountRow { key, account })
            .collect())
    }

    fn all_accounts(&mut self, page: &Page) -> Result<Paged<AccountRow>, StoreError> {
        let after = page::numbers::<2>(page)?;
        let place = |key: &AccountKey| (key.budget.0.cast_signed(), u64::from(key.window.0));
        let after = after.map(|[budget, window]| (budget.cast_signed(), window));
        let rows = self.rows();
        let accounts = rows.ledger.accounts.iter();
        let behind = accounts.filter(|(key, _)| after.is_none_or(|after| place(key) > after));
        let row = |(key, account): (&AccountKey, &Account)| AccountRow {
            key: *key,
            account: *account,
        };
        let mut found: Vec<AccountRow> = behind.map(row).collect();
        // As the databases order them, to whom the numbers are signed.
        found.sort_by_key(|row| place(&row.key));
        let cursor = |row: &AccountRow| format!("{}.{}", row.key.budget.0, row.key.window.0);
        Ok(page::cut(found, page, cursor))
    }

    fn open_leases(
        &mut self,
        scope: Option<ScopeId>,
        page: &Page,
    ) -> Result<Paged<LeaseRow>, StoreError> {
        let after = page::numbers::<1>(page)?.map_or(0, |[id]| id);
        let rows = self.rows();
        let leases = rows.ledger.leases.iter();
        let open = leases.filter(|(id, row)| {
            let is_open = books::is_live(row) || row.standing == LeaseStanding::Presumed;
            is_open && id.0 > after && scope.is_none_or(|scope| row.scope == scope)
        });
        let row = |(id, lease): (&LeaseId, &Lease)| LeaseRow {
            id: *id,
            lease: lease.clone(),
        };
        let found = open.map(row).collect();
        Ok(page::cut(found, page, |row: &LeaseRow| {
            row.id.0.to_string()
        }))
    }

    fn openings(&mut self, page: &Page) -> Result<Paged<Opening>, StoreError> {
        let after = page::numbers::<3>(page)?;
        let place = |row: &Opening| [row.incarnation.0, u64::from(row.stream.0), row.open.number];
        let rows = self.rows();
        let openings = rows.openings.values();
        let behind = openings.filter(|row| after.is_none_or(|after| place(row) > after));
        let found = behind.cloned().collect();
        Ok(page::cut(found, page, page::opening_cursor))
    }

    fn audit(&mut self, page: &Page) -> Result<Paged<AuditRow>, StoreError> {
        newest_first(&self.rows().audit, page, |row| row.id)
    }

    fn alerts(&mut self, page: &Page) -> Result<Paged<AlertRow>, StoreError> {
        let all: Vec<AlertRow> = self.rows().alerts.values().cloned().collect();
        newest_first(&all, page, |row| row.id.0)
    }

    fn corrections(&mut self, page: &Page) -> Result<Paged<CorrectionRow>, StoreError> {
        newest_first(&self.rows().corrections, page, |row| row.id)
    }

    fn check(&mut self) -> Result<(), StoreError> {
        books::check(&self.rows().ledger)
    }
}

fn fits(filter: &RecordFilter, record: &StoredRecord) -> bool {
    let facts = &record.facts;
    filter.from.is_none_or(|from| facts.at >= from)
        && filter.until.is_none_or(|until| facts.at < until)
        && filter.status.is_none_or(|status| facts.status == status)
        && filter.end.as_ref().is_none_or(|end| facts.end == *end)
        && filter
            .trace
            .as_ref()
            .is_none_or(|trace| facts.trace == *trace)
        && facts.series.fits(&filter.only)
}

fn newest_first<Row: Clone>(
    rows: &[Row],
    page: &Page,
    id: fn(&Row) -> u64,
) -> Result<Paged<Row>, StoreError> {
    let after = page::numbers::<1>(page)?.map_or(u64::MAX, |[id]| id);
    let behind = rows.iter().rev().filter(|row| id(row) < after);
    Ok(page::cut(behind.cloned().collect(), page, |row| {
        id(row).to_string()
    }))
}
