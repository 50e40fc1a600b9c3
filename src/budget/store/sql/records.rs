//! Records, the sums by hour that follow from them, and the entries that correct both.

use std::collections::BTreeMap;

use tollgate_core::units::{NanoUsd, Timestamp};

use super::Known;
use super::engine::{Answer, Clash, Engine, Fault, Kind, Table, Value, damaged};
use super::record_form::{
    PENDING, RECORD, ROLLUP, ROLLUP_COLUMNS, SERIES, record_values, rollup, rollup_values,
    series_values,
};
use super::writes::{RecordEntry, Writes, name_values};
use crate::store::error::StoreError;
use crate::store::facts::hour_of;
use crate::store::figures::Figures;
use crate::store::series::SeriesId;

use Kind::{Int, Text};

/// Sums by hour and series.
type Sums = BTreeMap<(u64, SeriesId), Figures>;

/// So many rows may wait in `rollup_pending` until they are added to the sums.
const PENDING_MAX: usize = 2_048;
/// Names in one statement.
const NAMES_MAX: usize = 1_000;

/// Writes records and entries beside them.
pub(super) fn write(
    engine: &mut impl Engine,
    known: &mut Known,
    now: Timestamp,
    writes: &Writes,
) -> Answer<()> {
    let mut sums = Sums::new();
    let mut series = BTreeMap::new();
    let mut rows = Vec::with_capacity(writes.records.len());
    for record in &writes.records {
        let id = record.facts.series.id();
        rows.push(record_values(record, id, known.record));
        known.record = known.record.saturating_add(1);
        let name = (record.facts.hour(), id);
        sums.entry(name).or_default().add(&record.facts.figures());
        if !known.series.contains(&id) {
            series.insert(id, &record.facts.series);
        }
    }
    engine.write(&RECORD, rows)?;
    let rows = series.iter().map(|(id, row)| series_values(*id, row));
    engine.write(&SERIES, rows.collect())?;
    known.series.extend(series.into_keys());
    note_sums(engine, known, sums)?;
    correct(engine, known, now, &writes.record_entries)
}

/// Writes sums where they cost least: at the end of a table of their own.
fn note_sums(engine: &mut impl Engine, known: &mut Known, sums: Sums) -> Answer<()> {
    let mut rows = Vec::with_capacity(sums.len());
    for ((hour, series), figures) in sums {
        let mut row = vec![known.position.into()];
        row.extend(rollup_values(hour, series, &figures));
        rows.push(row);
        let pending = known.pending.entry((hour, series)).or_default();
        pending.add(&figures);
    }
    known.pending_rows = known.pending_rows.saturating_add(rows.len());
    engine.write(&PENDING, rows)?;
    if known.pending_rows > PENDING_MAX {
        fold(engine, known)?;
    }
    Ok(())
}

/// Adds what is pending to the sums.
fn fold(engine: &mut impl Engine, known: &mut Known) -> Answer<()> {
    if known.pending_rows == 0 {
        return Ok(());
    }
    let mut sums = read_sums(engine, known.pending.keys())?;
    for (name, figures) in &known.pending {
        sums.entry(*name).or_default().add(figures);
    }
    let rows = sums.iter();
    let rows = rows.map(|((hour, series), figures)| rollup_values(*hour, *series, figures));
    engine.write(&ROLLUP, rows.collect())?;
    engine.execute("delete from rollup_pending", &[])?;
    known.pending.clear();
    known.pending_rows = 0;
    Ok(())
}

/// Those of these sums that are there.
fn read_sums<'name>(
    engine: &mut impl Engine,
    names: impl Iterator<Item = &'name (u64, SeriesId)>,
) -> Answer<Sums> {
    let mut by_hour: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for (hour, series) in names {
        let of_hour = by_hour.entry(*hour).or_default();
        of_hour.push(series.0.cast_signed());
    }
    let sql =
        format!("select {ROLLUP_COLUMNS} from rollup_hour where hour = $1 and series in LIST($2)");
    let mut sums = Sums::new();
    for (hour, series) in by_hour {
        for some in series.chunks(NAMES_MAX) {
            let names = [hour.into(), Value::List(some.to_vec())];
            engine.each(&sql, &names, &mut |mut row| {
                sums.extend([rollup(&mut row)?]);
                Ok(())
            })?;
        }
    }
    Ok(sums)
}

const RECORD_ENTRY: Table = Table {
    name: "record_entry",
    columns: &[
        ("id", Int),
        ("at", Int),
        ("incarnation", Int),
        ("stream", Int),
        ("number", Int),
        ("old_cost", Int),
        ("new_cost", Int),
        ("reason", Text),
    ],
    keys: 1,
    clash: Clash::Fail,
};

/// Writes entries beside records, and takes the difference to the sums.
fn correct(
    engine: &mut impl Engine,
    known: &mut Known,
    now: Timestamp,
    entries: &[RecordEntry],
) -> Answer<()> {
    if entries.is_empty() {
        return Ok(());
    }
    // What is pending only grows: what is taken off must be taken off the sums.
    fold(engine, known)?;
    let mut differences: BTreeMap<(u64, SeriesId), i128> = BTreeMap::new();
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let place = correct_record(engine, entry)?;
        let difference = i128::from(entry.new.0).saturating_sub(i128::from(entry.old.0));
        let sum = differences.entry(place).or_default();
        *sum = sum.saturating_add(difference);
        known.entry = known.entry.saturating_add(1);
        let [incarnation, stream, number] = name_values(entry.name);
        rows.push(vec![
            known.entry.into(),
            now.0.into(),
            incarnation,
            stream,
            number,
            entry.old.0.into(),
            entry.new.0.into(),
            entry.reason.as_str().into(),
        ]);
    }
    engine.write(&RECORD_ENTRY, rows)?;
    let mut sums = read_sums(engine, differences.keys())?;
    let mut rows = Vec::with_capacity(sums.len());
    for ((hour, series), difference) in differences {
        let sum = sums.get_mut(&(hour, series));
        let sum = sum.ok_or_else(|| damaged(format!("hour {hour} has lost a sum")))?;
        let cost = i128::from(sum.cost.0).saturating_add(difference);
        let cost = u64::try_from(cost);
        sum.cost =
            NanoUsd(cost.map_err(|_| damaged(format!("a sum of hour {hour} is too small")))?);
        rows.push(rollup_values(hour, series, sum));
    }
    engine.write(&ROLLUP, rows)
}

/// Where the sum of the record is, if it costs what the entry says it does.
fn correct_record(engine: &mut impl Engine, entry: &RecordEntry) -> Answer<(u64, SeriesId)> {
    let sql = "select at, series, cost, corrected from record \
        where incarnation = $1 and stream = $2 and number = $3";
    let mut found = None;
    engine.each(sql, &name_values(entry.name), &mut |mut row| {
        let place = (hour_of(Timestamp(row.number()?)), SeriesId(row.number()?));
        let (cost, corrected) = (row.number()?, row.optional()?);
        found = Some((place, NanoUsd(corrected.unwrap_or(cost))));
        Ok(())
    })?;
    let place = match found {
        Some((place, cost)) if cost == entry.old => place,
        _ => return Err(Fault::Told(StoreError::RecordDiffers(entry.name))),
    };
    let sql = "update record set corrected = $4 \
        where incarnation = $1 and stream = $2 and number = $3";
    let [one, two, three] = name_values(entry.name);
    engine.execute(sql, &[one, two, three, entry.new.0.into()])?;
    Ok(place)
}
