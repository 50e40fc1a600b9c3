//! What the writer reads: at start, for late evidence, and after something failed.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::money::ids::{AccountKey, BudgetId, Incarnation, LeaseId, ScopeId};
use tollgate_core::money::ledger::{Account, Lease, View};
use tollgate_core::units::Timestamp;

use super::Known;
use super::engine::{Answer, Engine, Fault, Row, Value, damaged};
use super::form;
use super::record_form::{ROLLUP_COLUMNS, rollup};
use super::writes::name_values;
use crate::store::commit::{AlertId, RecordName, Revision};
use crate::store::error::StoreError;
use crate::store::query::{AlertRow, AlertStanding, Entity};

const HOLDERS: &str = "select incarnation, joined_at, heard_at, standing from holder";
const STREAMS: &str =
    "select incarnation, stream, answered, hash, reply, last_record from stream where incarnation";
const LEASES: &str = "select id, incarnation, scope, accounts, granted, settled, returned, overrun, standing from lease";
const CURRENT: &str = "select incarnation, scope, lease from current_lease where incarnation";
const ACCOUNTS: &str =
    "select budget, window_id, held, posted, carried, overrun, announced from account";
/// Names in one statement.
const NAMES_MAX: usize = 1_000;

/// Where the database is, as long as it is ours.
pub(super) fn known(engine: &mut impl Engine, epoch: u64) -> Answer<Known> {
    let mut known = Known::default();
    let mut mine = false;
    let sql = "select epoch, position from writer where id = 1";
    engine.each(sql, &[], &mut |mut row| {
        mine = row.number()? == epoch;
        known.position = row.number()?;
        Ok(())
    })?;
    if !mine {
        return Err(Fault::Told(StoreError::Fenced));
    }
    for (name, value) in counters(engine)? {
        match name.as_str() {
            "revision" => known.revision = value,
            "alert" => known.alert = value,
            "audit" => known.audit = value,
            "entry" => known.entry = value,
            "record" => known.record = value,
            _ => {}
        }
    }
    let sql = format!("select {ROLLUP_COLUMNS} from rollup_pending");
    for (name, figures) in all(engine, &sql, &[], rollup)? {
        known.pending.entry(name).or_default().add(&figures);
        known.pending_rows = known.pending_rows.saturating_add(1);
    }
    Ok(known)
}

fn counters(engine: &mut impl Engine) -> Answer<Vec<(String, u64)>> {
    all(engine, "select name, value from counter", &[], |row| {
        Ok((row.text()?, row.number()?))
    })
}

pub(super) fn live(engine: &mut impl Engine) -> Answer<View> {
    let mut view = View::default();
    for (name, value) in counters(engine)? {
        match name.as_str() {
            "incarnation" => view.counters.incarnation = Incarnation(value),
            "lease" => view.counters.lease = LeaseId(value),
            _ => {}
        }
    }
    let sql = format!("{LEASES} where is_live = 1");
    view.leases.extend(all(engine, &sql, &[], form::lease)?);
    let sql = format!("{HOLDERS} where standing <> $1");
    let presumed = [form::PRESUMED_HOLDER.into()];
    view.holders
        .extend(all(engine, &sql, &presumed, form::holder)?);
    let of_leases: BTreeSet<Incarnation> = view
        .leases
        .values()
        .map(|lease| lease.incarnation)
        .collect();
    let missing = of_leases.iter().filter(|by| !view.holders.contains_key(by));
    let missing: Vec<i64> = missing.map(|by| by.0.cast_signed()).collect();
    let sql = format!("{HOLDERS} where incarnation in LIST($1)");
    let found = in_parts(engine, &sql, missing, form::holder)?;
    view.holders.extend(found);
    of_holders(engine, &mut view)?;
    // Of each budget its last window and the one before; and what leases of older windows hold.
    let sql = format!(
        "{ACCOUNTS} join (select budget, max(window_id) as newest from account group by budget) as last \
        using (budget) where window_id >= newest - 1"
    );
    view.accounts.extend(all(engine, &sql, &[], form::account)?);
    add_accounts(engine, &mut view)?;
    Ok(view)
}

/// All that says what is held: every live lease, every balance.
pub(super) fn books(engine: &mut impl Engine) -> Answer<View> {
    let mut view = View::default();
    let sql = format!("{LEASES} where is_live = 1");
    view.leases.extend(all(engine, &sql, &[], form::lease)?);
    view.accounts
        .extend(all(engine, ACCOUNTS, &[], form::account)?);
    Ok(view)
}

pub(super) fn leases(engine: &mut impl Engine, ids: &BTreeSet<LeaseId>) -> Answer<View> {
    let mut view = View::default();
    let ids = ids.iter().map(|id| id.0.cast_signed()).collect();
    let sql = format!("{LEASES} where id in LIST($1)");
    view.leases
        .extend(in_parts(engine, &sql, ids, form::lease)?);
    add_accounts(engine, &mut view)?;
    Ok(view)
}

pub(super) fn holder(engine: &mut impl Engine, by: Incarnation) -> Answer<View> {
    let mut view = View::default();
    let sql = format!("{HOLDERS} where incarnation = $1");
    view.holders
        .extend(all(engine, &sql, &[by.into()], form::holder)?);
    let sql = format!("{LEASES} where incarnation = $1 and is_live = 1");
    view.leases
        .extend(all(engine, &sql, &[by.into()], form::lease)?);
    of_holders(engine, &mut view)?;
    add_accounts(engine, &mut view)?;
    Ok(view)
}

/// The streams of the holders of a view, and which of its leases they add to.
fn of_holders(engine: &mut impl Engine, view: &mut View) -> Answer<()> {
    let by: Vec<i64> = view.holders.keys().map(|by| by.0.cast_signed()).collect();
    let sql = format!("{STREAMS} in LIST($1)");
    let streams = in_parts(engine, &sql, by.clone(), form::stream)?;
    view.streams.extend(streams);
    let sql = format!("{CURRENT} in LIST($1)");
    let current = in_parts(engine, &sql, by, |row| {
        let name = (Incarnation(row.number()?), ScopeId(row.number()?));
        Ok((name, LeaseId(row.number()?)))
    })?;
    let leases = &view.leases;
    let here = |(_, id): &(_, LeaseId)| leases.contains_key(id);
    view.current.extend(current.into_iter().filter(here));
    Ok(())
}

/// The accounts that the leases of a view were taken from.
fn add_accounts(engine: &mut impl Engine, view: &mut View) -> Answer<()> {
    let of_lease = |lease: &Lease| lease.accounts.clone();
    let needed = view.leases.values().flat_map(of_lease);
    let missing = needed.filter(|key| !view.accounts.contains_key(key));
    let found = accounts(engine, &missing.collect())?;
    view.accounts.extend(found);
    Ok(())
}

pub(super) fn accounts(
    engine: &mut impl Engine,
    keys: &BTreeSet<AccountKey>,
) -> Answer<BTreeMap<AccountKey, Account>> {
    let mut windows: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for key in keys {
        let BudgetId(budget) = key.budget;
        let of_window = windows.entry(key.window.0).or_default();
        of_window.push(budget.cast_signed());
    }
    let mut found = BTreeMap::new();
    let sql = format!("{ACCOUNTS} where window_id = $1 and budget in LIST($2)");
    for (window, budgets) in windows {
        for some in budgets.chunks(NAMES_MAX) {
            let names = [window.into(), Value::List(some.to_vec())];
            found.extend(all(engine, &sql, &names, form::account)?);
        }
    }
    Ok(found)
}

pub(super) fn entities(engine: &mut impl Engine, since: Revision) -> Answer<Vec<Entity>> {
    let sql = "select kind, id, revision, body from entity where revision > $1";
    let mut changed = all(engine, sql, &[since.0.into()], |row| {
        Ok(Entity {
            kind: row.text()?,
            id: row.text()?,
            revision: Revision(row.number()?),
            body: row.optional_text()?,
        })
    })?;
    // Not by the database: it may know another order of letters.
    changed.sort_by(|one, other| {
        let place = |row: &Entity| (row.revision, row.kind.clone(), row.id.clone());
        place(one).cmp(&place(other))
    });
    Ok(changed)
}

pub(super) const ALERTS: &str = "select id, at, body, standing, tries, due, note from alert";

pub(super) fn alert(row: &mut Row) -> Answer<AlertRow> {
    Ok(AlertRow {
        id: AlertId(row.number()?),
        at: Timestamp(row.number()?),
        body: row.text()?,
        standing: match row.int()? {
            0 => AlertStanding::Pending,
            1 => AlertStanding::Sent,
            2 => AlertStanding::GivenUp,
            other => return Err(damaged(format!("an alert stands {other}"))),
        },
        tries: row.small()?,
        due: Timestamp(row.number()?),
        note: row.text()?,
    })
}

pub(super) fn due_alerts(
    engine: &mut impl Engine,
    now: Timestamp,
    at_most: usize,
) -> Answer<Vec<AlertRow>> {
    let sql = format!("{ALERTS} where standing = 0 and due <= $1 order by due, id limit $2");
    let at_most = u64::try_from(at_most).unwrap_or(u64::MAX).min(1 << 32);
    all(engine, &sql, &[now.0.into(), at_most.into()], alert)
}

pub(super) fn has_record(engine: &mut impl Engine, name: RecordName) -> Answer<bool> {
    let sql = "select number from record where incarnation = $1 and stream = $2 and number = $3";
    let found = all(engine, sql, &name_values(name), Row::number)?;
    Ok(!found.is_empty())
}

/// Every row of an answer.
pub(super) fn all<T>(
    engine: &mut impl Engine,
    sql: &str,
    parameters: &[Value],
    mut read: impl FnMut(&mut Row) -> Answer<T>,
) -> Answer<Vec<T>> {
    let mut rows = Vec::new();
    engine.each(sql, parameters, &mut |mut row| {
        rows.push(read(&mut row)?);
        Ok(())
    })?;
    Ok(rows)
}

/// Every row of a statement whose only parameter is a list, however long.
fn in_parts<T>(
    engine: &mut impl Engine,
    sql: &str,
    names: Vec<i64>,
    mut read: impl FnMut(&mut Row) -> Answer<T>,
) -> Answer<Vec<T>> {
    let mut rows = Vec::new();
    for some in names.chunks(NAMES_MAX) {
        let list = [Value::List(some.to_vec())];
        rows.extend(all(engine, sql, &list, &mut read)?);
    }
    Ok(rows)
}
