//! The store in memory: what the others must do, in the fewest words. Nothing of it outlives the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tollgate_core::money::ids::{AccountKey, Incarnation, LeaseId, OpenId, ScopeId};
use tollgate_core::money::ledger::{Account, Changes, HolderStanding, Lease, LeaseStanding};
use tollgate_core::money::ledger::{Opening, View};
use tollgate_core::units::{NanoUsd, Timestamp};

use super::commit::{
    AlertId, AlertOutcome, AuditEntry, Commit, Committed, RecordName, Reprice, Revision,
};
use super::error::StoreError;
use super::facts::StoredRecord;
use super::figures::Figures;
use super::query::{
    AccountRow, AlertRow, AlertStanding, AuditRow, CorrectionRow, Entity, LeaseRow, Order, Page,
    Paged, RecordFilter, ReportQuery,
};
use super::report::{Builder, Report, hours};
use super::series::{Series, SeriesId};
use super::{Reader, Store, alert_body, books, page};

/// The store in memory. Its readers see the same rows.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    rows: Arc<Mutex<Rows>>,
}

#[derive(Debug, Default)]
struct Rows {
    ledger: View,
    openings: BTreeMap<(Incarnation, OpenId), Opening>,
    records: BTreeMap<RecordName, StoredRecord>,
    /// Records by the moment they began, and by name.
    by_time: BTreeMap<[u64; 4], RecordName>,
    series: BTreeMap<SeriesId, Series>,
    sums: BTreeMap<(u64, SeriesId), Figures>,
    corrections: Vec<CorrectionRow>,
    entries: u64,
    entities: BTreeMap<(String, String), Entity>,
    revision: Revision,
    alerts: BTreeMap<AlertId, AlertRow>,
    last_alert: AlertId,
    once: BTreeSet<String>,
    audit: Vec<AuditRow>,
}

impl Memory {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        // Whoever panicked with the lock did so before anything was applied: see `commit`.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn live(&mut self) -> Result<View, StoreError> {
        let view = self.rows().live();
        books::check(&view)?;
        Ok(view)
    }

    fn leases(&mut self, ids: &BTreeSet<LeaseId>) -> Result<View, StoreError> {
        let rows = self.rows();
        let mut view = View::default();
        let found = ids.iter().filter_map(|id| rows.lease(*id));
        view.leases.extend(found);
        rows.add_accounts(&mut view);
        Ok(view)
    }

    fn holder(&mut self, incarnation: Incarnation) -> Result<View, StoreError> {
        let rows = self.rows();
        let mut view = View::default();
        let row = rows.ledger.holders.get(&incarnation);
        view.holders.extend(row.map(|row| (incarnation, *row)));
        let leases = rows.ledger.leases.iter();
        let own = leases.filter(|(_, row)| row.incarnation == incarnation && books::is_live(row));
        view.leases.extend(own.map(|(id, row)| (*id, row.clone())));
        rows.add_of_holders(&mut view);
        rows.add_accounts(&mut view);
        Ok(view)
    }

    fn accounts(&mut self, keys: &BTreeSet<AccountKey>) -> Result<View, StoreError> {
        let accounts = self.rows().accounts(keys);
        Ok(View {
            accounts,
            ..View::default()
        })
    }

    fn commit(&mut self, now: Timestamp, group: &[Commit]) -> Result<Committed, StoreError> {
        let mut rows = self.rows();
        rows.allow(now, group)?;
        rows.apply(now, group);
        Ok(Committed {
            revision: rows.revision,
        })
    }

    fn entities(&mut self, since: Revision) -> Result<Vec<Entity>, StoreError> {
        let rows = self.rows();
        let changed = rows.entities.values().filter(|row| row.revision > since);
        let mut changed: Vec<Entity> = changed.cloned().collect();
        changed.sort_by_key(|row| row.revision);
        Ok(changed)
    }

    fn due_alerts(&mut self, now: Timestamp, at_most: usize) -> Result<Vec<AlertRow>, StoreError> {
        let rows = self.rows();
        let due = |row: &&AlertRow| row.standing == AlertStanding::Pending && row.due <= now;
        let mut due: Vec<AlertRow> = rows.alerts.values().filter(due).cloned().collect();
        due.sort_by_key(|row| (row.due, row.id));
        due.truncate(at_most);
        Ok(due)
    }

    fn forget_records(&mut self, before: Timestamp, at_most: usize) -> Result<usize, StoreError> {
        let mut rows = self.rows();
        let old = rows.by_time.range(..[before.0, 0, 0, 0]);
        let Some(last) = old.take(at_most).last().map(|(place, _)| *place) else {
            return Ok(0);
        };
        let [at, ..] = last;
        let kept = rows.by_time.split_off(&[at.saturating_add(1), 0, 0, 0]);
        let forgotten = std::mem::replace(&mut rows.by_time, kept);
        for name in forgotten.values() {
            rows.records.remove(name);
        }
        Ok(forgotten.len())
    }

    fn reader(&mut self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(self.clone()))
    }
}

impl Rows {
    fn live(&self) -> View {
        let mut view = View {
            counters: self.ledger.counters,
            ..View::default()
        };
        let leases = self.ledger.leases.iter();
        let live = leases.filter(|(_, row)| books::is_live(row));
        view.leases.extend(live.map(|(id, row)| (*id, row.clone())));
        let with_leases: BTreeSet<Incarnation> =
            view.leases.values().map(|row| row.incarnation).collect();
        let holders = self.ledger.holders.iter();
        let wanted = holders.filter(|(by, row)| {
            row.standing != HolderStanding::Presumed || with_leases.contains(by)
        });
        view.holders.extend(wanted);
        self.add_of_holders(&mut view);
        let mut newest = BTreeMap::new();
        for key in self.ledger.accounts.keys() {
            newest.insert(key.budget, key.window.0);
        }
        let accounts = self.ledger.accounts.iter();
        let last = accounts.filter(|(key, _)| {
            let newest = newest.get(&key.budget).copied().unwrap_or_default();
            key.window.0.saturating_add(1) >= newest
        });
        view.accounts.extend(last);
        self.add_accounts(&mut view);
        view
    }

    fn lease(&self, id: LeaseId) -> Option<(LeaseId, Lease)> {
        Some((id, self.ledger.leases.get(&id)?.clone()))
    }

    fn add_of_holders(&self, view: &mut View) {
        for ((by, stream), row) in &self.ledger.streams {
            if view.holders.contains_key(by) {
                view.streams.insert((*by, *stream), row.clone());
            }
        }
        for ((by, scope), id) in &self.ledger.current {
            if view.holders.contains_key(by) && view.leases.contains_key(id) {
                view.current.insert((*by, *scope), *id);
            }
        }
    }

    fn add_accounts(&self, view: &mut View) {
        let needed = view.leases.values().flat_map(|row| row.accounts.clone());
        let found = self.accounts(&needed.collect());
        view.accounts.extend(found);
    }

    fn accounts(&self, keys: &BTreeSet<AccountKey>) -> BTreeMap<AccountKey, Account> {
        let found = |key: &AccountKey| Some((*key, *self.ledger.accounts.get(key)?));
        keys.iter().filter_map(found).collect()
    }

    /// Whether all of a group can be applied.
    fn allow(&self, now: Timestamp, group: &[Commit]) -> Result<(), StoreError> {
        let mut costs: BTreeMap<RecordName, NanoUsd> = BTreeMap::new();
        for changes in group.iter().filter_map(changes_of) {
            for record in &changes.records {
                let record = StoredRecord::of(record, now);
                let is_new = !self.records.contains_key(&record.name);
                if !is_new || costs.insert(record.name, record.cost()).is_some() {
                    return Err(StoreError::RecordExists(record.name));
                }
            }
        }
        for commit in group {
            let Commit::Reprice(reprice) = commit else {
                continue;
            };
            let name = reprice.name;
            let stored = self.records.get(&name).map(StoredRecord::cost);
            let cost = costs.get(&name).copied().or(stored);
            if cost != Some(reprice.old) {
                return Err(StoreError::RecordDiffers(name));
            }
            costs.insert(name, reprice.new);
        }
        Ok(())
    }

    fn apply(&mut self, now: Timestamp, group: &[Commit]) {
        let mut alerts = Vec::new();
        let mut outcomes = Vec::new();
        let mut reprices = Vec::new();
        let mut entities = Vec::new();
        for commit in group {
            match commit {
                Commit::Ledger(changes) => self.ledger(now, changes, &mut alerts),
                Commit::Reprice(reprice) => {
                    self.ledger(now, &reprice.changes, &mut alerts);
                    reprices.push(reprice);
                }
                Commit::Entity(change) => entities.push(change),
                Commit::Notice(notice) => alerts.push((notice.body.clone(), notice.once.clone())),
                Commit::Alert(id, outcome) => outcomes.push((*id, outcome)),
                Commit::Audit(entry) => self.audit(now, entry),
            }
        }
        for reprice in reprices {
            self.reprice(now, reprice);
        }
        // Entries beside balances and leases are numbered in the same row as those beside records.
        for changes in group.iter().filter_map(changes_of) {
            let entries = changes.corrections.iter().map(|_| 1_u64);
            let entries = entries.chain(changes.reconciled.iter().map(|_| 1));
            self.entries = self.entries.saturating_add(entries.sum());
        }
        for (body, once) in alerts {
            self.alert(now, body, once);
        }
        for (id, outcome) in outcomes {
            self.outcome(now, id, outcome);
        }
        if !entities.is_empty() {
            self.revision.0 = self.revision.0.saturating_add(1);
        }
        for change in entities {
            let (kind, id) = (clean(&change.kind), clean(&change.id));
            let entity = Entity {
                kind: kind.clone(),
                id: id.clone(),
                revision: self.revision,
                body: change.body.as_deref().map(clean),
            };
            self.entities.insert((kind, id), entity);
        }
    }

    fn ledger(
        &mut self,
        now: Timestamp,
        changes: &Changes,
        alerts: &mut Vec<(String, Option<String>)>,
    ) {
        self.ledger.absorb(changes);
        for record in &changes.records {
            self.record(StoredRecord::of(record, now));
        }
        for opening in &changes.opened {
            let id = OpenId {
                stream: opening.stream,
                number: opening.open.number,
            };
            self.openings
                .insert((opening.incarnation, id), opening.clone());
        }
        for closed in &changes.closed {
            self.openings.remove(closed);
        }
        alerts.extend(changes.alerts.iter().map(|alert| (alert_body(alert), None)));
    }

    fn record(&mut self, record: StoredRecord) {
        let series = record.facts.series.clone();
        let name = (record.facts.hour(), series.id());
        self.sums
            .entry(name)
            .or_default()
            .add(&record.facts.figures());
        self.series.insert(series.id(), series);
        self.by_time
            .insert(page::record_place(&record), record.name);
        self.records.insert(record.name, record);
    }

    fn reprice(&mut self, now: Timestamp, reprice: &Reprice) {
        let Some(record) = self.records.get_mut(&reprice.name) else {
            return;
        };
        record.corrected = Some(reprice.new);
        let name = (record.facts.hour(), record.facts.series.id());
        let sum = self.sums.entry(name).or_default();
        let less = sum.cost.0.saturating_sub(reprice.old.0);
        sum.cost = NanoUsd(less.saturating_add(reprice.new.0));
        self.entries = self.entries.saturating_add(1);
        self.corrections.push(CorrectionRow {
            id: self.entries,
            at: now,
            name: reprice.name,
            old: reprice.old,
            new: reprice.new,
            reason: clean(&reprice.reason),
        });
    }

    fn alert(&mut self, now: Timestamp, body: String, once: Option<String>) {
        // A number is used up also by a notice that is not written.
        self.last_alert.0 = self.last_alert.0.saturating_add(1);
        if once.is_some_and(|once| !self.once.insert(clean(&once))) {
            return;
        }
        let row = AlertRow {
            id: self.last_alert,
            at: now,
            body: clean(&body),
            standing: AlertStanding::Pending,
            tries: 0,
            due: now,
            note: String::new(),
        };
        self.alerts.insert(self.last_alert, row);
    }

    fn outcome(&mut self, now: Timestamp, id: AlertId, outcome: &AlertOutcome) {
        let Some(row) = self.alerts.get_mut(&id) else {
            return;
        };
        row.tries = row.tries.saturating_add(1);
        let (standing, due, note) = match outcome {
            AlertOutcome::Sent => (AlertStanding::Sent, now, ""),
            AlertOutcome::Retry { at, note } => (AlertStanding::Pending, *at, note.as_str()),
            AlertOutcome::GivenUp { note } => (AlertStanding::GivenUp, now, note.as_str()),
        };
        row.standing = standing;
        row.due = due;
        row.note = clean(note);
    }

    fn audit(&mut self, now: Timestamp, entry: &AuditEntry) {
        let before = self.audit.last().map_or(0, |row| row.id);
        let entry = AuditEntry {
            actor: clean(&entry.actor),
            action: clean(&entry.action),
            kind: clean(&entry.kind),
            id: clean(&entry.id),
            detail: clean(&entry.detail),
        };
        self.audit.push(AuditRow {
            id: before.saturating_add(1),
            at: now,
            entry,
        });
    }
}

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

fn changes_of(commit: &Commit) -> Option<&Changes> {
    match commit {
        Commit::Ledger(changes) => Some(changes),
        Commit::Reprice(reprice) => Some(&reprice.changes),
        Commit::Entity(_) | Commit::Notice(_) | Commit::Alert(..) | Commit::Audit(_) => None,
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

/// As every database takes it.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}
