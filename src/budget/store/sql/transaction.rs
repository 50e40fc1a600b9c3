//! One transaction: the fence, and the rows of every kind.

use tollgate_core::units::Timestamp;

use super::engine::{Answer, Clash, Engine, Fault, Kind, Table, Value};
use super::writes::Writes;
use super::{Known, form, records};
use crate::store::commit::AlertOutcome;
use crate::store::error::StoreError;

use Kind::{Int, Text};

/// Begins, raises the position, lets `write` write, and commits. What `write` says is known only afterwards.
pub(super) fn run<E: Engine>(
    engine: &mut E,
    known: &mut Known,
    epoch: u64,
    position: u64,
    write: impl FnOnce(&mut E, &mut Known) -> Answer<()>,
) -> Answer<()> {
    engine.begin()?;
    let fence = "update writer set position = $2 where id = 1 and epoch = $1 and position + 1 = $2";
    let mine = engine.execute(fence, &[epoch.into(), position.into()])?;
    if mine == 0 {
        // Either somebody took over, or a try of ours whose answer was lost has come through meanwhile: whoever looks next
        // will see which.
        return Err(Fault::Gone("another commit came in between".to_owned()));
    }
    known.position = position;
    write(engine, known)?;
    engine.commit()
}

pub(super) fn write<E: Engine>(
    engine: &mut E,
    known: &mut Known,
    now: Timestamp,
    writes: &Writes,
) -> Answer<()> {
    write_ledger(engine, writes)?;
    records::write(engine, known, now, writes)?;
    write_entries(engine, known, now, writes)?;
    write_alerts(engine, known, now, writes)?;
    write_entities(engine, known, writes)?;
    write_counters(engine, known, writes)
}

fn write_ledger(engine: &mut impl Engine, writes: &Writes) -> Answer<()> {
    let holders = writes.holders.iter();
    let rows = holders.map(|(by, row)| form::holder_values(*by, row));
    engine.write(&form::HOLDER, rows.collect())?;
    let streams = writes.streams.iter();
    let rows = streams.map(|(name, row)| form::stream_values(*name, row));
    engine.write(&form::STREAM, rows.collect())?;
    let leases = writes.leases.iter();
    let rows = leases.map(|(id, row)| form::lease_values(*id, row));
    engine.write(&form::LEASE, rows.collect())?;
    let current = writes.current.iter();
    let rows = current.map(|(name, id)| vec![name.0.into(), name.1.0.into(), id.0.into()]);
    engine.write(&form::CURRENT, rows.collect())?;
    let accounts = writes.accounts.iter();
    let rows = accounts.map(|(key, row)| form::account_values(*key, row));
    engine.write(&form::ACCOUNT, rows.collect())?;
    for (by, id) in &writes.closed {
        let sql = "delete from opening where incarnation = $1 and stream = $2 and number = $3";
        let name = [(*by).into(), id.stream.0.into(), id.number.into()];
        engine.execute(sql, &name)?;
    }
    let opened = writes.opened.iter();
    let rows = opened.map(|(name, row)| form::opening_values(*name, row));
    engine.write(&form::OPENING, rows.collect())
}

const ACCOUNT_ENTRY: Table = Table {
    name: "account_entry",
    columns: &[
        ("id", Int),
        ("at", Int),
        ("budget", Int),
        ("window_id", Int),
        ("more", Int),
        ("less", Int),
    ],
    keys: 1,
    clash: Clash::Fail,
};

const LEASE_ENTRY: Table = Table {
    name: "lease_entry",
    columns: &[
        ("id", Int),
        ("at", Int),
        ("lease", Int),
        ("nanos", Int),
        ("beyond", Int),
    ],
    keys: 1,
    clash: Clash::Fail,
};

const AUDIT: Table = Table {
    name: "audit",
    columns: &[
        ("id", Int),
        ("at", Int),
        ("actor", Text),
        ("action", Text),
        ("kind", Text),
        ("entity", Text),
        ("detail", Text),
    ],
    keys: 1,
    clash: Clash::Fail,
};

fn write_entries(
    engine: &mut impl Engine,
    known: &mut Known,
    now: Timestamp,
    writes: &Writes,
) -> Answer<()> {
    let mut rows = Vec::with_capacity(writes.account_entries.len());
    for entry in &writes.account_entries {
        known.entry = known.entry.saturating_add(1);
        rows.push(vec![
            known.entry.into(),
            now.0.into(),
            entry.account.budget.0.into(),
            entry.account.window.0.into(),
            entry.more.0.into(),
            entry.less.0.into(),
        ]);
    }
    engine.write(&ACCOUNT_ENTRY, rows)?;
    let mut rows = Vec::with_capacity(writes.lease_entries.len());
    for entry in &writes.lease_entries {
        known.entry = known.entry.saturating_add(1);
        rows.push(vec![
            known.entry.into(),
            now.0.into(),
            entry.lease.0.into(),
            entry.nanos.0.into(),
            entry.over.0.into(),
        ]);
    }
    engine.write(&LEASE_ENTRY, rows)?;
    let mut rows = Vec::with_capacity(writes.audit.len());
    for entry in &writes.audit {
        known.audit = known.audit.saturating_add(1);
        rows.push(vec![
            known.audit.into(),
            now.0.into(),
            entry.actor.as_str().into(),
            entry.action.as_str().into(),
            entry.kind.as_str().into(),
            entry.id.as_str().into(),
            entry.detail.as_str().into(),
        ]);
    }
    engine.write(&AUDIT, rows)
}

const ALERT: Table = Table {
    name: "alert",
    columns: &[
        ("id", Int),
        ("at", Int),
        ("body", Text),
        ("once", Text),
        ("standing", Int),
        ("tries", Int),
        ("due", Int),
        ("note", Text),
    ],
    keys: 0,
    clash: Clash::Keep,
};

fn write_alerts(
    engine: &mut impl Engine,
    known: &mut Known,
    now: Timestamp,
    writes: &Writes,
) -> Answer<()> {
    let mut rows = Vec::with_capacity(writes.notices.len());
    for notice in &writes.notices {
        known.alert = known.alert.saturating_add(1);
        rows.push(vec![
            known.alert.into(),
            now.0.into(),
            notice.body.as_str().into(),
            notice.once.as_deref().into(),
            0_u64.into(),
            0_u64.into(),
            now.0.into(),
            "".into(),
        ]);
    }
    engine.write(&ALERT, rows)?;
    for (id, outcome) in &writes.outcomes {
        let (standing, due, note) = match outcome {
            AlertOutcome::Sent => (1_u64, now, ""),
            AlertOutcome::Retry { at, note } => (0, *at, note.as_str()),
            AlertOutcome::GivenUp { note } => (2, now, note.as_str()),
        };
        let sql =
            "update alert set standing = $2, due = $3, note = $4, tries = tries + 1 where id = $1";
        let values = [id.0.into(), standing.into(), due.0.into(), note.into()];
        engine.execute(sql, &values)?;
    }
    Ok(())
}

const ENTITY: Table = Table {
    name: "entity",
    columns: &[
        ("kind", Text),
        ("id", Text),
        ("revision", Int),
        ("body", Text),
    ],
    keys: 2,
    clash: Clash::Replace,
};

fn write_entities(engine: &mut impl Engine, known: &mut Known, writes: &Writes) -> Answer<()> {
    if writes.entities.is_empty() {
        return Ok(());
    }
    known.revision = known.revision.saturating_add(1);
    let revision = known.revision;
    let entities = writes.entities.iter();
    let row = |((kind, id), body): (&(String, String), &Option<String>)| {
        vec![
            kind.as_str().into(),
            id.as_str().into(),
            revision.into(),
            body.as_deref().into(),
        ]
    };
    engine.write(&ENTITY, entities.map(row).collect())
}

fn write_counters(engine: &mut impl Engine, known: &Known, writes: &Writes) -> Answer<()> {
    let mut rows: Vec<Vec<Value>> = Vec::new();
    let mut note = |name: &str, value: u64| rows.push(vec![name.into(), value.into()]);
    if !writes.records.is_empty() {
        note("record", known.record);
    }
    if let Some(counters) = writes.counters {
        note("incarnation", counters.incarnation.0);
        note("lease", counters.lease.0);
    }
    if !writes.entities.is_empty() {
        note("revision", known.revision);
    }
    if !writes.notices.is_empty() {
        note("alert", known.alert);
    }
    if !writes.audit.is_empty() {
        note("audit", known.audit);
    }
    let entries = [
        writes.account_entries.is_empty(),
        writes.lease_entries.is_empty(),
        writes.record_entries.is_empty(),
    ];
    if entries.contains(&false) {
        note("entry", known.entry);
    }
    engine.write(&form::COUNTER, rows)
}

/// Deletes old records, as long as the store is ours.
pub(super) fn forget(
    engine: &mut impl Engine,
    epoch: u64,
    before: Timestamp,
    at_most: usize,
) -> Answer<usize> {
    engine.begin()?;
    // Written, not only read: so nobody can take over before this is committed.
    let fence = "update writer set epoch = epoch where id = 1 and epoch = $1";
    if engine.execute(fence, &[epoch.into()])? == 0 {
        return Err(Fault::Told(StoreError::Fenced));
    }
    let at_most = u64::try_from(at_most).unwrap_or(u64::MAX).min(1 << 32);
    // The oldest first, found by the index on time: those that began in the same moment as the last of them go too.
    let bound =
        "select max(at) from (select at from record where at < $1 order by at limit $2) as oldest";
    let before = before.0.min(u64::MAX >> 1);
    let mut last = None;
    engine.each(bound, &[before.into(), at_most.into()], &mut |mut row| {
        last = row.optional()?;
        Ok(())
    })?;
    let deleted = match last {
        Some(last) => engine.execute("delete from record where at <= $1", &[last.into()])?,
        None => 0,
    };
    engine.commit()?;
    Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
}
