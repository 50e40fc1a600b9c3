//! The store in memory: what the others must do, in the fewest words. Nothing of it outlives the process.

mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tollgate_core::money::ids::{AccountKey, Incarnation, LeaseId, OpenId};
use tollgate_core::money::ledger::{Account, Changes, HolderStanding, Lease, Opening, View};
use tollgate_core::units::{NanoUsd, Timestamp};

use crate::store::commit::{
    AlertId, AlertOutcome, AuditEntry, Commit, Committed, RecordName, Reprice, Revision,
};
use crate::store::error::StoreError;
use crate::store::facts::StoredRecord;
use crate::store::figures::Figures;
use crate::store::query::{AlertRow, AlertStanding, AuditRow, CorrectionRow, Entity};
use crate::store::series::{Series, SeriesId};
use crate::store::{Reader, Store, alert_body, books, page};

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

fn changes_of(commit: &Commit) -> Option<&Changes> {
    match commit {
        Commit::Ledger(changes) => Some(changes),
        Commit::Reprice(reprice) => Some(&reprice.changes),
        Commit::Entity(_) | Commit::Notice(_) | Commit::Alert(..) | Commit::Audit(_) => None,
    }
}

/// As every database takes it.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}
