//! The read side over SQL.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::money::ids::{AccountKey, RecordNumber, ScopeId};
use tollgate_core::money::ledger::{Opening, View};
use tollgate_core::units::{NanoUsd, Timestamp};

use super::engine::{Answer, Engine, Fault, Row, Value};
use super::record_form::{RECORD_COLUMNS, ROLLUP_COLUMNS, record, rollup, series, trace_hash};
use super::rows::{self, all};
use super::{form, rows::ALERTS};
use crate::store::Reader;
use crate::store::books;
use crate::store::commit::{AuditEntry, RecordName};
use crate::store::error::StoreError;
use crate::store::facts::{StoredRecord, hour_of, start_of};
use crate::store::page;
use crate::store::query::{
    AccountRow, AlertRow, AuditRow, CorrectionRow, LeaseRow, Order, Page, Paged, RecordFilter,
    ReportQuery,
};
use crate::store::report::{Builder, Report, hours};
use crate::store::series::{Series, SeriesId};

/// More series than these are not looked for hour by hour: then most hours have records of them.
const SERIES_FEW: usize = 500;
/// Rows that are read at once while looking for records that fit.
const STRIDE: u64 = 512;

/// The read side.
pub(super) struct SqlReader<E> {
    engine: E,
}

impl<E: Engine> SqlReader<E> {
    pub(super) fn new(engine: E) -> Self {
        Self { engine }
    }

    /// Once more if the connection was lost: a restart of the database is nobody's error.
    fn reading<T>(&mut self, mut read: impl FnMut(&mut E) -> Answer<T>) -> Result<T, StoreError> {
        let first = read(&mut self.engine);
        let answer = match first {
            Err(Fault::Gone(_)) => {
                let again = self.engine.reconnect();
                again.and_then(|()| read(&mut self.engine))
            }
            answer => answer,
        };
        answer.map_err(Fault::told)
    }

    /// A page of a table that is ordered by one number.
    fn page_by_id<T>(
        &mut self,
        sql: &str,
        page: &Page,
        read: fn(&mut Row) -> Answer<T>,
        id: fn(&T) -> u64,
    ) -> Result<Paged<T>, StoreError> {
        let after = page::numbers::<1>(page)?.map_or(u64::MAX >> 1, |[id]| id);
        let size = page::rows(page);
        let found = self.reading(|engine| {
            let sql = format!("{sql} where id < $1 order by id desc limit $2");
            all(engine, &sql, &[after.into(), size.into()], read)
        })?;
        Ok(page::cut(found, page, |row| id(row).to_string()))
    }
}

impl<E: Engine> Reader for SqlReader<E> {
    fn records(
        &mut self,
        filter: &RecordFilter,
        page: &Page,
    ) -> Result<Paged<StoredRecord>, StoreError> {
        let after = page::numbers::<4>(page)?;
        let found = self.reading(|engine| Search::new(engine, filter)?.run(engine, page, after))?;
        Ok(page::cut(found, page, page::record_cursor))
    }

    fn report(&mut self, query: &ReportQuery) -> Result<Report, StoreError> {
        self.reading(|engine| {
            let mut builder = Builder::new(query);
            engine.each(SERIES, &[], &mut |mut row| {
                let (id, series) = series(&mut row)?;
                builder.series(id, &series);
                Ok(())
            })?;
            let (first, end) = hours(query);
            let of = |table: &str| {
                format!("select {ROLLUP_COLUMNS} from {table} where hour >= $1 and hour < $2")
            };
            // In one statement, or what is just being folded would be seen twice, or not at all.
            let sql = format!("{} union all {}", of("rollup_hour"), of("rollup_pending"));
            engine.each(&sql, &[first.into(), end.into()], &mut |mut row| {
                let ((hour, id), figures) = rollup(&mut row)?;
                builder.sums(hour, id, &figures);
                Ok(())
            })?;
            Ok(builder.finish())
        })
    }

    fn accounts(&mut self, keys: &BTreeSet<AccountKey>) -> Result<Vec<AccountRow>, StoreError> {
        let found = self.reading(|engine| rows::accounts(engine, keys))?;
        let row = |(key, account)| AccountRow { key, account };
        Ok(found.into_iter().map(row).collect())
    }

    fn all_accounts(&mut self, page: &Page) -> Result<Paged<AccountRow>, StoreError> {
        let sql =
            "select budget, window_id, held, posted, carried, overrun, announced from account";
        let after = page::numbers::<2>(page)?;
        let size = page::rows(page);
        let found = self.reading(|engine| {
            let row = |row: &mut Row| {
                let (key, account) = form::account(row)?;
                Ok(AccountRow { key, account })
            };
            let order = "order by budget, window_id";
            match after {
                None => all(
                    engine,
                    &format!("{sql} {order} limit $1"),
                    &[size.into()],
                    row,
                ),
                Some([budget, window]) => {
                    let sql =
                        format!("{sql} where (budget, window_id) > ($1, $2) {order} limit $3");
                    let values = [budget.into(), window.into(), size.into()];
                    all(engine, &sql, &values, row)
                }
            }
        })?;
        let cursor = |row: &AccountRow| format!("{}.{}", row.key.budget.0, row.key.window.0);
        Ok(page::cut(found, page, cursor))
    }

    fn open_leases(
        &mut self,
        scope: Option<ScopeId>,
        page: &Page,
    ) -> Result<Paged<LeaseRow>, StoreError> {
        let after = page::numbers::<1>(page)?.map_or(0, |[id]| id);
        let size = page::rows(page);
        let sql = "select id, incarnation, scope, accounts, granted, settled, returned, overrun, standing from lease \
            where (is_live = 1 or standing = 1) and id > $1";
        let found = self.reading(|engine| {
            let row = |row: &mut Row| {
                let (id, lease) = form::lease(row)?;
                Ok(LeaseRow { id, lease })
            };
            let (more, mut values) = match scope {
                Some(scope) => (" and scope = $2", vec![after.into(), scope.0.into()]),
                None => ("", vec![after.into()]),
            };
            values.push(size.into());
            let sql = format!("{sql}{more} order by id limit ${}", values.len());
            all(engine, &sql, &values, row)
        })?;
        Ok(page::cut(found, page, |row| row.id.0.to_string()))
    }

    fn openings(&mut self, page: &Page) -> Result<Paged<Opening>, StoreError> {
        let after = page::numbers::<3>(page)?;
        let size = page::rows(page);
        let sql = "select incarnation, stream, number, trace, reserved from opening";
        let found = self.reading(|engine| {
            let order = "order by incarnation, stream, number";
            match after {
                None => {
                    let sql = format!("{sql} {order} limit $1");
                    all(engine, &sql, &[size.into()], form::opening)
                }
                Some([incarnation, stream, number]) => {
                    let sql = format!(
                        "{sql} where (incarnation, stream, number) > ($1, $2, $3) {order} limit $4"
                    );
                    let values = [incarnation, stream, number, size].map(Value::from);
                    all(engine, &sql, &values, form::opening)
                }
            }
        })?;
        Ok(page::cut(found, page, page::opening_cursor))
    }

    fn audit(&mut self, page: &Page) -> Result<Paged<AuditRow>, StoreError> {
        let sql = "select id, at, actor, action, kind, entity, detail from audit";
        self.page_by_id(sql, page, audit, |row| row.id)
    }

    fn alerts(&mut self, page: &Page) -> Result<Paged<AlertRow>, StoreError> {
        self.page_by_id(ALERTS, page, rows::alert, |row| row.id.0)
    }

    fn corrections(&mut self, page: &Page) -> Result<Paged<CorrectionRow>, StoreError> {
        let sql = "select id, at, incarnation, stream, number, old_cost, new_cost, reason from record_entry";
        self.page_by_id(sql, page, correction, |row| row.id)
    }

    fn check(&mut self) -> Result<(), StoreError> {
        let view: View = self.reading(|engine| {
            engine.check()?;
            rows::books(engine)
        })?;
        books::check(&view)
    }
}

const SERIES: &str = "select id, org, team, user_name, key_name, model, model_served, provider, endpoint, tags, \
    status_class from series";

fn audit(row: &mut Row) -> Answer<AuditRow> {
    Ok(AuditRow {
        id: row.number()?,
        at: Timestamp(row.number()?),
        entry: AuditEntry {
            actor: row.text()?,
            action: row.text()?,
            kind: row.text()?,
            id: row.text()?,
            detail: row.text()?,
        },
    })
}

fn correction(row: &mut Row) -> Answer<CorrectionRow> {
    Ok(CorrectionRow {
        id: row.number()?,
        at: Timestamp(row.number()?),
        name: RecordName {
            incarnation: tollgate_core::money::ids::Incarnation(row.number()?),
            stream: tollgate_core::money::ids::StreamId(row.small()?),
            number: RecordNumber(row.number()?),
        },
        old: NanoUsd(row.number()?),
        new: NanoUsd(row.number()?),
        reason: row.text()?,
    })
}

/// A search through raw records: in time, or through the hours in which sums say there are some.
struct Search<'filter> {
    filter: &'filter RecordFilter,
    /// The series that fit; `None` if all do.
    series: Option<BTreeMap<SeriesId, Series>>,
    /// From a moment to another, in the order asked for.
    spans: Vec<(Timestamp, Timestamp)>,
}

impl<'filter> Search<'filter> {
    fn new(engine: &mut impl Engine, filter: &'filter RecordFilter) -> Answer<Self> {
        let mut search = Self {
            filter,
            series: None,
            spans: Vec::new(),
        };
        let from = filter.from.unwrap_or_default();
        // Moments are signed in the database; the year 2262 will do.
        let until = filter
            .until
            .map_or(u64::MAX >> 1, |until| until.0.min(u64::MAX >> 1));
        search.spans = vec![(from, Timestamp(until))];
        if !filter.only.is_empty() {
            let mut found = BTreeMap::new();
            engine.each(SERIES, &[], &mut |mut row| {
                let (id, series) = series(&mut row)?;
                if series.fits(&filter.only) {
                    found.insert(id, series);
                }
                Ok(())
            })?;
            if found.len() <= SERIES_FEW {
                search.spans = search.hours(engine, &found)?;
            }
            search.series = Some(found);
        }
        Ok(search)
    }

    /// The hours in which these series have records.
    fn hours(
        &self,
        engine: &mut impl Engine,
        series: &BTreeMap<SeriesId, Series>,
    ) -> Answer<Vec<(Timestamp, Timestamp)>> {
        let Some((from, until)) = self.spans.first().copied() else {
            return Ok(Vec::new());
        };
        let direction = direction(self.filter.order);
        let ids = series.keys().map(|id| id.0.cast_signed()).collect();
        let of = |table: &str| {
            format!(
                "select hour from {table} where series in LIST($1) and hour >= $2 and hour <= $3"
            )
        };
        let (sums, pending) = (of("rollup_hour"), of("rollup_pending"));
        let sql = format!("{sums} union {pending} order by hour {direction}");
        let values = [
            Value::List(ids),
            hour_of(from).into(),
            hour_of(until).into(),
        ];
        let hours = all(engine, &sql, &values, Row::number)?;
        let span = |hour: u64| {
            let (start, end) = (start_of(hour), start_of(hour.saturating_add(1)));
            (start.max(from), end.min(until))
        };
        Ok(hours.into_iter().map(span).collect())
    }

    /// One row more than the page has, so that it is known whether there is another page.
    fn run(
        &self,
        engine: &mut impl Engine,
        page: &Page,
        mut after: Option<[u64; 4]>,
    ) -> Answer<Vec<StoredRecord>> {
        let wanted = usize::try_from(page::rows(page)).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        for (from, until) in &self.spans {
            loop {
                let rows = self.stride(engine, (*from, *until), after)?;
                let is_last = rows.len() < usize::try_from(STRIDE).unwrap_or(usize::MAX);
                if let Some((_, last)) = rows.last() {
                    after = Some(page::record_place(last));
                }
                for (id, mut record) in rows {
                    if let Some(series) = &self.series {
                        let Some(series) = series.get(&id) else {
                            continue;
                        };
                        record.facts.series = series.clone();
                    }
                    found.push((id, record));
                    if found.len() >= wanted {
                        return self.named(engine, found);
                    }
                }
                if is_last {
                    break;
                }
            }
        }
        self.named(engine, found)
    }

    /// The next rows of a span.
    fn stride(
        &self,
        engine: &mut impl Engine,
        (from, until): (Timestamp, Timestamp),
        after: Option<[u64; 4]>,
    ) -> Answer<Vec<(SeriesId, StoredRecord)>> {
        let filter = self.filter;
        let mut values: Vec<Value> = vec![from.0.into(), until.0.into()];
        // A plus keeps a column's index from being used: a trace has a better one.
        let at = if filter.trace.is_some() { "+at" } else { "at" };
        let mut sql = format!("select {RECORD_COLUMNS} from record where {at} >= $1 and {at} < $2");
        let mut and = |condition: &str, value: Value| {
            values.push(value);
            sql.push_str(&format!(" and {condition}${}", values.len()));
        };
        if let Some(status) = filter.status {
            and("status = ", u32::from(status).into());
        }
        if let Some(end) = &filter.end {
            and("ending = ", end.as_str().into());
        }
        let newest_first = filter.order == Order::NewestFirst;
        let few = self.series.as_ref().filter(|all| all.len() <= SERIES_FEW);
        if let Some(series) = few {
            let ids = series.keys().map(|id| id.0.cast_signed()).collect();
            values.push(Value::List(ids));
            sql.push_str(&format!(" and series in LIST(${})", values.len()));
        }
        if let Some(place) = after {
            // The bound on the time alone is what an index understands.
            let [began, ..] = place;
            let compare = if newest_first { "<" } else { ">" };
            values.push(began.into());
            sql.push_str(&format!(" and {at} {compare}= ${}", values.len()));
            let marks: Vec<String> = (1..=4_usize)
                .map(|mark| format!("${}", values.len().saturating_add(mark)))
                .collect();
            sql.push_str(&format!(
                " and (at, incarnation, stream, number) {compare} ({})",
                marks.join(", ")
            ));
            values.extend(place.map(Value::from));
        }
        if let Some(trace) = &filter.trace {
            values.push(Value::List(chunks(engine)?));
            sql.push_str(&format!(" and chunk in LIST(${})", values.len()));
            values.push(trace_hash(trace).into());
            sql.push_str(&format!(" and trace_hash = ${}", values.len()));
            values.push(trace.as_str().into());
            sql.push_str(&format!(" and trace = ${}", values.len()));
        }
        let direction = direction(filter.order);
        values.push(STRIDE.into());
        sql.push_str(&format!(
            " order by {at} {direction}, incarnation {direction}, stream {direction}, number {direction} limit ${}",
            values.len()
        ));
        all(engine, &sql, &values, record)
    }

    /// With the values of their series.
    fn named(
        &self,
        engine: &mut impl Engine,
        found: Vec<(SeriesId, StoredRecord)>,
    ) -> Answer<Vec<StoredRecord>> {
        let mut names: BTreeMap<SeriesId, Series> = BTreeMap::new();
        if self.series.is_none() {
            let ids: BTreeSet<i64> = found.iter().map(|(id, _)| id.0.cast_signed()).collect();
            let sql = format!("{SERIES} where id in LIST($1)");
            let list = [Value::List(ids.into_iter().collect())];
            names.extend(all(engine, &sql, &list, series)?);
        }
        let named = |(id, mut record): (SeriesId, StoredRecord)| {
            if let Some(series) = names.get(&id) {
                record.facts.series = series.clone();
            }
            record
        };
        Ok(found.into_iter().map(named).collect())
    }
}

/// Every chunk that has records: each has its part of the index of traces.
fn chunks(engine: &mut impl Engine) -> Answer<Vec<i64>> {
    let sql = "select (select min(chunk) from record), (select max(chunk) from record)";
    let bounds = all(engine, sql, &[], |row| {
        Ok((row.optional()?, row.optional()?))
    })?;
    let Some((Some(first), Some(last))) = bounds.first().copied() else {
        return Ok(Vec::new());
    };
    Ok((first..=last).map(u64::cast_signed).collect())
}

fn direction(order: Order) -> &'static str {
    match order {
        Order::NewestFirst => "desc",
        Order::OldestFirst => "asc",
    }
}
