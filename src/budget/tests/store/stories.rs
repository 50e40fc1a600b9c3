//! What a store promises, told once and played in all of them.

use std::collections::BTreeSet;

use tollgate_budget::store::{
    AlertOutcome, AlertStanding, AuditEntry, Commit, EntityChange, Notice, Page, Paged,
    RecordFilter, RecordName, Revision, Store, StoreError,
};
use tollgate_core::money::ids::{
    AccountKey, BudgetId, Incarnation, LeaseId, OpenId, RecordNumber, Seq, StreamId, WindowId,
};
use tollgate_core::money::ledger::{Changes, HolderStanding, Opening, Record, presume};
use tollgate_core::money::message::{Open, Return, SyncRequest, Usage};
use tollgate_core::units::{NanoUsd, Timestamp};

use crate::places::everywhere;
use crate::workload::{NOON, Service};

/// Gives a lease back, whole or in part.
pub(crate) fn give_back(service: &mut Service, lease: LeaseId, nanos: NanoUsd) -> Changes {
    let batch = SyncRequest {
        incarnation: service.holder,
        seq: Seq(service.seq + 1),
        returns: vec![Return { lease, nanos }],
        ..SyncRequest::default()
    };
    service.decide(NOON, &batch)
}

/// The balance of a scope's first budget.
fn account_of(scope: u64) -> AccountKey {
    AccountKey {
        budget: BudgetId(scope),
        window: WindowId(0),
    }
}

/// Every row, through pages of so many.
pub(crate) fn pages<Row>(
    size: usize,
    mut ask: impl FnMut(&Page) -> Result<Paged<Row>, StoreError>,
) -> Vec<Row> {
    let (mut rows, mut page) = (Vec::new(), Page { size, after: None });
    loop {
        let found = ask(&page).unwrap();
        assert!(found.rows.len() <= size);
        rows.extend(found.rows);
        page.after = found.next;
        if page.after.is_none() {
            return rows;
        }
    }
}

pub(crate) fn ledger(changes: Changes) -> Commit {
    Commit::Ledger(Box::new(changes))
}

pub(crate) fn write(store: &mut dyn Store, changes: Changes) {
    store.commit(NOON, &[ledger(changes)]).unwrap();
}

/// A record of one request, with nobody's money.
pub(crate) fn record(number: u64, line: &str, cost: u64) -> Changes {
    let usage = Usage {
        number: RecordNumber(number),
        cost: NanoUsd(cost),
        record: line.as_bytes().to_vec(),
        ..Usage::default()
    };
    let record = Record {
        incarnation: Incarnation(1),
        stream: StreamId(0),
        usage,
    };
    Changes {
        records: vec![record],
        ..Changes::default()
    }
}

pub(crate) fn named(number: u64) -> RecordName {
    RecordName {
        incarnation: Incarnation(1),
        stream: StreamId(0),
        number: RecordNumber(number),
    }
}

#[test]
fn a_service_that_starts_again_finds_its_books_as_it_left_them() {
    everywhere(|place| {
        let mut store = place.open();
        let mut service = Service::new(store.live().unwrap(), 3);
        let hello = service.hello(NOON);
        write(store.as_mut(), hello);
        for _ in 0..20 {
            let batch = service.batch(NOON, 16);
            write(store.as_mut(), batch);
        }
        drop(store);
        let mut store = place.open();
        let found = store.live().unwrap();
        let view = &service.view;
        assert_eq!(found.counters, view.counters, "{}", place.name());
        assert_eq!(found.holders, view.holders);
        assert_eq!(found.streams, view.streams);
        assert_eq!(found.accounts, view.accounts);
        assert!(found.leases.len() > 100);
        for (id, lease) in &view.leases {
            let is_open = lease.remainder() != Ok(NanoUsd(0));
            assert_eq!(found.leases.get(id), is_open.then_some(lease));
        }
    });
}

#[test]
fn what_is_closed_or_presumed_is_found_when_late_evidence_comes() {
    everywhere(|place| {
        let mut store = place.open();
        let mut service = Service::new(store.live().unwrap(), 3);
        let hello = service.hello(NOON);
        write(store.as_mut(), hello);
        for _ in 0..3 {
            let batch = service.batch(NOON, 16);
            write(store.as_mut(), batch);
        }
        let (closed, lease) = service.view.leases.first_key_value().unwrap();
        let (closed, rest) = (*closed, lease.remainder().unwrap());
        let back = give_back(&mut service, closed, rest);
        write(store.as_mut(), back);
        let holder = service.holder;
        let dead = presume(&service.view, holder, HolderStanding::Presumed).unwrap();
        service.view.absorb(&dead);
        write(store.as_mut(), dead);
        let live = store.live().unwrap();
        assert!(
            live.leases.is_empty() && live.holders.is_empty(),
            "{}",
            place.name()
        );
        let ids: BTreeSet<LeaseId> = service.view.leases.keys().copied().collect();
        let late = store.leases(&ids).unwrap();
        assert_eq!(late.leases, service.view.leases);
        assert_eq!(late.accounts.len(), service.view.accounts.len());
        let unknown = store.leases(&[LeaseId(999_999)].into()).unwrap();
        assert!(unknown.leases.is_empty());
        let back = store.holder(holder).unwrap();
        assert_eq!(back.holders, service.view.holders);
        assert_eq!(back.streams, service.view.streams);
        assert!(store.holder(Incarnation(77)).unwrap().holders.is_empty());
        let keys = [account_of(1), account_of(999)].into();
        let accounts = store.accounts(&keys).unwrap().accounts;
        assert_eq!(accounts.keys().collect::<Vec<_>>(), [&account_of(1)]);
    });
}

#[test]
fn a_record_that_is_there_already_stops_all_of_its_group() {
    everywhere(|place| {
        let mut store = place.open();
        write(store.as_mut(), record(1, "{}", 5));
        let other = Commit::Entity(EntityChange {
            kind: "key".to_owned(),
            id: "a".to_owned(),
            body: Some("{}".to_owned()),
        });
        let group = [
            other.clone(),
            ledger(record(2, "{}", 5)),
            ledger(record(1, "{}", 5)),
        ];
        let refused = store.commit(NOON, &group);
        assert_eq!(
            refused,
            Err(StoreError::RecordExists(named(1))),
            "{}",
            place.name()
        );
        let twice = [ledger(record(3, "{}", 5)), ledger(record(3, "{}", 5))];
        assert_eq!(
            store.commit(NOON, &twice),
            Err(StoreError::RecordExists(named(3)))
        );
        let mut reader = store.reader().unwrap();
        let found = reader
            .records(&RecordFilter::default(), &Page::default())
            .unwrap();
        assert_eq!(found.rows.len(), 1);
        assert_eq!(store.entities(Revision(0)).unwrap(), []);
        // And it goes on.
        let done = store
            .commit(NOON, &[other, ledger(record(2, "{}", 5))])
            .unwrap();
        assert_eq!(done.revision, Revision(1));
    });
}

#[test]
fn entities_are_told_by_revision_and_deleted_ones_too() {
    everywhere(|place| {
        let mut store = place.open();
        let change = |id: &str, body: Option<&str>| {
            Commit::Entity(EntityChange {
                kind: "team".to_owned(),
                id: id.to_owned(),
                body: body.map(str::to_owned),
            })
        };
        store
            .commit(NOON, &[change("a", Some("1")), change("b", Some("1"))])
            .unwrap();
        store
            .commit(NOON, &[change("a", Some("2")), change("a", None)])
            .unwrap();
        store.commit(NOON, &[]).unwrap();
        let last = store
            .commit(NOON, &[change("c", Some("3"))])
            .unwrap()
            .revision;
        drop(store);
        let mut store = place.open();
        let told = |since: u64, store: &mut dyn Store| {
            let rows = store.entities(Revision(since)).unwrap().into_iter();
            rows.map(|row| format!("{} {} {:?}", row.revision.0, row.id, row.body))
                .collect::<Vec<_>>()
        };
        let all = [r#"1 b Some("1")"#, "2 a None", r#"3 c Some("3")"#];
        assert_eq!(told(0, store.as_mut()), all, "{}", place.name());
        assert_eq!(told(2, store.as_mut()), all[2..]);
        assert_eq!(last, Revision(3));
        assert!(told(3, store.as_mut()).is_empty());
    });
}

#[test]
fn an_alert_is_sent_once_and_tried_again_when_it_is_due() {
    everywhere(|place| {
        let mut store = place.open();
        let notice = |body: &str, once: Option<&str>| {
            Commit::Notice(Notice {
                body: body.to_owned(),
                once: once.map(str::to_owned),
            })
        };
        let group = [
            notice("1", None),
            notice("2", Some("x")),
            notice("3", Some("x")),
        ];
        store.commit(NOON, &group).unwrap();
        store
            .commit(NOON, &[notice("4", Some("x")), notice("5", None)])
            .unwrap();
        let later = Timestamp(NOON.0 + 1);
        let due = |now: Timestamp, store: &mut dyn Store| {
            let rows = store.due_alerts(now, 10).unwrap().into_iter();
            rows.map(|row| row.body).collect::<Vec<_>>()
        };
        assert_eq!(
            due(NOON, store.as_mut()),
            ["1", "2", "5"],
            "{}",
            place.name()
        );
        let ids: Vec<_> = store
            .due_alerts(NOON, 10)
            .unwrap()
            .iter()
            .map(|row| row.id)
            .collect();
        let again = AlertOutcome::Retry {
            at: later,
            note: "refused".to_owned(),
        };
        let never = AlertOutcome::GivenUp {
            note: "gone".to_owned(),
        };
        let group = [
            Commit::Alert(ids[0], AlertOutcome::Sent),
            Commit::Alert(ids[1], again),
            Commit::Alert(ids[2], never),
        ];
        store.commit(NOON, &group).unwrap();
        assert!(due(NOON, store.as_mut()).is_empty());
        drop(store);
        let mut store = place.open();
        let retried = store.due_alerts(later, 10).unwrap();
        assert_eq!((retried.len(), retried[0].tries), (1, 1));
        assert_eq!(
            (retried[0].note.as_str(), retried[0].due),
            ("refused", later)
        );
        let all = store
            .reader()
            .unwrap()
            .alerts(&Page::default())
            .unwrap()
            .rows;
        let standings: Vec<_> = all.iter().map(|row| row.standing).collect();
        use AlertStanding::{GivenUp, Pending, Sent};
        assert_eq!(standings, [GivenUp, Pending, Sent]);
    });
}

#[test]
fn lists_come_in_pages_that_join_without_a_gap() {
    everywhere(|place| {
        let mut store = place.open();
        for number in 0..25 {
            let entry = AuditEntry {
                actor: "admin".to_owned(),
                action: "create".to_owned(),
                kind: "key".to_owned(),
                id: number.to_string(),
                detail: "{\"text\":\"\0\"}".to_owned(),
            };
            store.commit(NOON, &[Commit::Audit(entry)]).unwrap();
        }
        let opened = (1..=25).map(|number| Opening {
            incarnation: Incarnation(2),
            stream: StreamId(3),
            open: Open {
                number,
                trace: [7; 16],
                reserved: NanoUsd(number),
            },
        });
        let changes = Changes {
            opened: opened.collect(),
            closed: vec![
                (
                    Incarnation(2),
                    OpenId {
                        stream: StreamId(3),
                        number: 4,
                    },
                ),
                (
                    Incarnation(9),
                    OpenId {
                        stream: StreamId(3),
                        number: 4,
                    },
                ),
            ],
            ..Changes::default()
        };
        write(store.as_mut(), changes);
        let mut reader = store.reader().unwrap();
        let audit = pages(10, |page| reader.audit(page));
        let audit = audit.iter().map(|row| row.entry.id.parse::<u64>().unwrap());
        let audit: Vec<u64> = audit.collect();
        let openings = pages(10, |page| reader.openings(page));
        let openings: Vec<u64> = openings.iter().map(|row| row.open.number).collect();
        assert_eq!(audit, (0..25).rev().collect::<Vec<_>>(), "{}", place.name());
        assert_eq!(
            openings,
            (1..=25).filter(|number| *number != 4).collect::<Vec<_>>()
        );
        let text = reader
            .audit(&Page::default())
            .unwrap()
            .rows
            .remove(0)
            .entry
            .detail;
        assert_eq!(text, "{\"text\":\"\u{FFFD}\"}");
        let page = Page {
            size: 10,
            after: Some("x".to_owned()),
        };
        assert_eq!(reader.audit(&page), Err(StoreError::Cursor("x".to_owned())));
    });
}

#[test]
fn whoever_opens_a_store_takes_it_over() {
    everywhere(|place| {
        if place.name() == "memory" {
            return;
        }
        let mut first = place.open();
        write(first.as_mut(), record(1, "{}", 5));
        let mut second = place.open();
        let late = first.commit(NOON, &[ledger(record(2, "{}", 5))]);
        assert_eq!(late, Err(StoreError::Fenced), "{}", place.name());
        assert_eq!(first.forget_records(NOON, 10), Err(StoreError::Fenced));
        write(second.as_mut(), record(2, "{}", 5));
        // Its readers may go on reading.
        let mut reader = first.reader().unwrap();
        let found = reader
            .records(&RecordFilter::default(), &Page::default())
            .unwrap();
        assert_eq!(found.rows.len(), 2);
    });
}
