//! A group of commits as rows, the last of each name: what is written in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::money::ids::{
    AccountKey, Incarnation, LeaseId, OpenId, RecordNumber, ScopeId, StreamId,
};
use tollgate_core::money::ledger::{
    Account, Changes, Correction, Counters, Holder, Lease, Opening, Stream,
};
use tollgate_core::money::message::Charge;
use tollgate_core::units::{NanoUsd, Timestamp};

use crate::store::alert::alert_body;
use crate::store::commit::{
    AlertId, AlertOutcome, AuditEntry, Commit, EntityChange, Notice, RecordName, Reprice,
};
use crate::store::error::StoreError;
use crate::store::facts::StoredRecord;

/// What a group writes.
#[derive(Debug, Default)]
pub(super) struct Writes {
    pub(super) counters: Option<Counters>,
    pub(super) holders: BTreeMap<Incarnation, Holder>,
    pub(super) streams: BTreeMap<(Incarnation, StreamId), Stream>,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    pub(super) current: BTreeMap<(Incarnation, ScopeId), LeaseId>,
    pub(super) accounts: BTreeMap<AccountKey, Account>,
    pub(super) records: Vec<StoredRecord>,
    /// Deleted before the others are written.
    pub(super) closed: BTreeSet<(Incarnation, OpenId)>,
    pub(super) opened: BTreeMap<(Incarnation, OpenId), Opening>,
    pub(super) account_entries: Vec<Correction>,
    pub(super) lease_entries: Vec<Charge>,
    pub(super) record_entries: Vec<RecordEntry>,
    pub(super) notices: Vec<Notice>,
    pub(super) outcomes: Vec<(AlertId, AlertOutcome)>,
    pub(super) audit: Vec<AuditEntry>,
    pub(super) entities: BTreeMap<(String, String), Option<String>>,
}

/// What a record costs from now on.
#[derive(Debug)]
pub(super) struct RecordEntry {
    pub(super) name: RecordName,
    pub(super) old: NanoUsd,
    pub(super) new: NanoUsd,
    pub(super) reason: String,
}

impl Writes {
    pub(super) fn of(now: Timestamp, group: &[Commit]) -> Result<Self, StoreError> {
        let mut writes = Self::default();
        for commit in group {
            match commit {
                Commit::Ledger(changes) => writes.ledger(now, changes),
                Commit::Entity(EntityChange { kind, id, body }) => {
                    let name = (kind.clone(), id.clone());
                    writes.entities.insert(name, body.clone());
                }
                Commit::Notice(notice) => writes.notices.push(notice.clone()),
                Commit::Alert(id, outcome) => writes.outcomes.push((*id, outcome.clone())),
                Commit::Audit(entry) => writes.audit.push(entry.clone()),
                Commit::Reprice(reprice) => writes.reprice(now, reprice),
            }
        }
        let mut names = BTreeSet::new();
        match writes
            .records
            .iter()
            .find(|record| !names.insert(record.name))
        {
            Some(twice) => Err(StoreError::RecordExists(twice.name)),
            None => Ok(writes),
        }
    }

    fn reprice(&mut self, now: Timestamp, reprice: &Reprice) {
        self.ledger(now, &reprice.changes);
        self.record_entries.push(RecordEntry {
            name: reprice.name,
            old: reprice.old,
            new: reprice.new,
            reason: reprice.reason.clone(),
        });
    }

    fn ledger(&mut self, now: Timestamp, changes: &Changes) {
        self.counters = changes.counters.or(self.counters);
        self.holders.extend(&changes.holders);
        let streams = changes.streams.iter();
        self.streams
            .extend(streams.map(|(name, row)| (*name, row.clone())));
        let leases = changes.leases.iter();
        self.leases
            .extend(leases.map(|(id, row)| (*id, row.clone())));
        self.current.extend(&changes.current);
        self.accounts.extend(&changes.accounts);
        let records = changes.records.iter();
        self.records
            .extend(records.map(|record| StoredRecord::of(record, now)));
        for opening in &changes.opened {
            let id = OpenId {
                stream: opening.stream,
                number: opening.open.number,
            };
            self.opened
                .insert((opening.incarnation, id), opening.clone());
        }
        for closed in &changes.closed {
            self.opened.remove(closed);
            self.closed.insert(*closed);
        }
        self.account_entries.extend(&changes.corrections);
        self.lease_entries.extend(&changes.reconciled);
        let notice = |alert| Notice {
            body: alert_body(alert),
            once: None,
        };
        self.notices.extend(changes.alerts.iter().map(notice));
    }

    /// The records that a group deletes, inserts or changes, for an error that must name one.
    pub(super) fn record_names(&self) -> impl Iterator<Item = RecordName> {
        self.records.iter().map(|record| record.name)
    }
}

/// The key of a record in its table.
pub(super) fn name_values(name: RecordName) -> [super::engine::Value; 3] {
    let RecordNumber(number) = name.number;
    [name.incarnation.into(), name.stream.0.into(), number.into()]
}
