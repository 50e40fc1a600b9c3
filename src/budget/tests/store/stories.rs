//! What a store promises, told once and played in all of them.

use std::collections::BTreeSet;

use tollgate_budget::store::{
    AlertOutcome, AlertStanding, AuditEntry, Commit, Dimension, EntityChange, Every, Notice, Order,
    Page, RecordFilter, RecordName, Report, ReportQuery, Reprice, Revision, Store, StoreError,
};
use tollgate_core::money::ids::{Incarnation, LeaseId, OpenId, RecordNumber, StreamId};
use tollgate_core::money::ledger::{Changes, HolderStanding, Opening, Record, presume};
use tollgate_core::money::message::{Open, Usage};
use tollgate_core::units::{NanoUsd, Timestamp};

use crate::places::everywhere;
use crate::workload::{NOON, Service, account_of};

pub(crate) fn ledger(changes: Changes) -> Commit {
    Commit::Ledger(Box::new(changes))
}

fn write(store: &mut dyn Store, changes: Changes) {
    store.commit(NOON, &[ledger(changes)]).unwrap();
}

/// A record of one request, with nobody's money.
fn record(number: u64, line: &str, cost: u64) -> Changes {
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

fn named(number: u64) -> RecordName {
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
        let back = service.give_back(NOON, closed, rest);
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
        let mut page = Page {
            size: 10,
            after: None,
        };
        let (mut audit, mut openings) = (Vec::new(), Vec::new());
        loop {
            let found = reader.audit(&page).unwrap();
            audit.extend(
                found
                    .rows
                    .iter()
                    .map(|row| row.entry.id.parse::<u64>().unwrap()),
            );
            page.after = found.next;
            if page.after.is_none() {
                break;
            }
        }
        loop {
            let found = reader.openings(&page).unwrap();
            openings.extend(found.rows.iter().map(|row| row.open.number));
            page.after = found.next;
            if page.after.is_none() {
                break;
            }
        }
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
        page.after = Some("x".to_owned());
        assert_eq!(reader.audit(&page), Err(StoreError::Cursor("x".to_owned())));
    });
}

/// Twelve requests: two teams, two models, two tags, over three hours.
fn traffic(store: &mut dyn Store) {
    let mut number = 0;
    for hour in 9..12 {
        for (team, model) in [
            ("red", "small"),
            ("red", "large"),
            ("blue", "small"),
            ("blue", "small"),
        ] {
            number += 1;
            let tags = if number % 2 == 0 {
                r#"["chat","search"]"#
            } else {
                r#"["chat"]"#
            };
            let (status, end) = if number == 5 {
                (502, "failed")
            } else {
                (200, "ok")
            };
            let line = format!(
                r#"{{"time":"2026-11-20T{hour:02}:30:00.{number:03}Z","trace_id":"trace-{number}","team":"{team}",
                "model":"{model}","status":{status},"end":"{end}","tags":{tags},"attempts":[{{}},{{}}],
                "tokens":{{"input":10,"output":{number}}},"duration_ms":{},"cache":"miss"}}"#,
                number * 100
            );
            write(store, record(number, &line, 1_000 * number));
        }
    }
}

fn lines(report: &Report) -> Vec<String> {
    let line = |line: &tollgate_budget::store::Line| {
        let hour = line.from.0 / 3_600_000_000_000 % 24;
        let (values, figures) = (line.values.join("/"), &line.figures);
        format!("{hour} {values} {} {}", figures.requests, figures.cost)
    };
    report.lines.iter().map(line).collect()
}

const NINE: Timestamp = Timestamp(NOON.0 - 3 * 3_600_000_000_000);

#[test]
fn a_report_adds_up_whatever_it_is_cut_by() {
    everywhere(|place| {
        let mut store = place.open();
        traffic(store.as_mut());
        let mut reader = store.reader().unwrap();
        let whole = ReportQuery {
            from: NINE,
            until: NOON,
            ..ReportQuery::default()
        };
        let mut ask = |query: ReportQuery| reader.report(&query).unwrap();
        let total = ask(whole.clone()).total;
        assert_eq!(
            (total.requests, total.errors, total.fallbacks),
            (12, 1, 12),
            "{}",
            place.name()
        );
        assert_eq!((total.cost, total.tokens.input.0), (NanoUsd(78_000), 120));
        assert_eq!((total.cache_misses, total.durations.sum), (12, 7_800));
        assert!(total.durations.quantile(500).unwrap().abs_diff(600) <= 75);
        let by = |by: &[Dimension]| ReportQuery {
            by: by.to_vec(),
            ..whole.clone()
        };
        assert_eq!(
            lines(&ask(by(&[Dimension::Team, Dimension::Model]))),
            [
                "9 blue/small 6 $0.000045",
                "9 red/large 3 $0.000018",
                "9 red/small 3 $0.000015"
            ]
        );
        let tags = ask(by(&[Dimension::Tag]));
        assert_eq!(
            lines(&tags),
            ["9 chat 12 $0.000078", "9 search 6 $0.000042"]
        );
        assert_eq!(tags.total.requests, 12, "each once, whatever its tags");
        let hourly = ReportQuery {
            every: Every::Hours(2),
            only: vec![
                (Dimension::Team, "red".to_owned()),
                (Dimension::StatusClass, "2xx".to_owned()),
            ],
            ..by(&[Dimension::Team])
        };
        assert_eq!(
            lines(&ask(hourly)),
            ["9 red 3 $0.000009", "11 red 2 $0.000019"]
        );
        for (from, until) in [(NOON, NINE), (NOON, NOON), (NOON, Timestamp(u64::MAX))] {
            let report = ask(ReportQuery {
                from,
                until,
                ..by(&[])
            });
            assert_eq!(report, Report::default(), "{from:?} to {until:?}");
        }
    });
}

#[test]
fn records_are_found_by_what_is_known_of_them() {
    everywhere(|place| {
        let mut store = place.open();
        traffic(store.as_mut());
        write(store.as_mut(), record(13, "not a line", 7));
        let mut reader = store.reader().unwrap();
        let mut numbers = |filter: RecordFilter| {
            let (mut numbers, mut page) = (
                Vec::new(),
                Page {
                    size: 2,
                    after: None,
                },
            );
            loop {
                let found = reader.records(&filter, &page).unwrap();
                numbers.extend(found.rows.iter().map(|row| row.name.number.0));
                page.after = found.next;
                if page.after.is_none() {
                    return numbers;
                }
            }
        };
        let only = |dimension, value: &str| RecordFilter {
            only: vec![(dimension, value.to_owned())],
            order: Order::OldestFirst,
            ..RecordFilter::default()
        };
        let name = place.name();
        assert_eq!(
            numbers(RecordFilter::default()),
            (1..=13).rev().collect::<Vec<_>>(),
            "{name}"
        );
        assert_eq!(
            numbers(only(Dimension::Model, "large")),
            [2, 6, 10],
            "{name}"
        );
        assert_eq!(
            numbers(only(Dimension::Tag, "search")),
            [2, 4, 6, 8, 10, 12]
        );
        assert_eq!(numbers(only(Dimension::Team, "green")), [0; 0]);
        let newest = RecordFilter {
            order: Order::NewestFirst,
            from: Some(Timestamp(NINE.0 + 3_600_000_000_000)),
            until: Some(Timestamp(NINE.0 + 2 * 3_600_000_000_000)),
            ..only(Dimension::Team, "blue")
        };
        assert_eq!(numbers(newest), [8, 7]);
        let all = RecordFilter::default;
        assert_eq!(
            numbers(RecordFilter {
                status: Some(502),
                ..all()
            }),
            [5]
        );
        assert_eq!(
            numbers(RecordFilter {
                end: Some("failed".to_owned()),
                ..all()
            }),
            [5]
        );
        assert_eq!(
            numbers(RecordFilter {
                trace: Some("trace-7".to_owned()),
                ..all()
            }),
            [7]
        );
        assert_eq!(
            numbers(RecordFilter {
                trace: Some("nobody".to_owned()),
                ..all()
            }),
            [0; 0]
        );
        let found = reader
            .records(&only(Dimension::Model, "large"), &Page::default())
            .unwrap();
        assert_eq!(found.rows[0].facts.series.team, "red");
        assert!(found.rows[0].line.contains(r#""trace_id":"trace-2""#));
    });
}

#[test]
fn what_is_corrected_is_corrected_in_the_sums_too_and_only_from_what_it_was() {
    everywhere(|place| {
        let mut store = place.open();
        traffic(store.as_mut());
        let reprice = |number, old, new| {
            Commit::Reprice(Box::new(Reprice {
                name: named(number),
                old: NanoUsd(old),
                new: NanoUsd(new),
                reason: "wrong price".to_owned(),
                changes: Changes::default(),
            }))
        };
        store
            .commit(NOON, &[reprice(3, 3_000, 1_000), reprice(3, 1_000, 500)])
            .unwrap();
        for (number, old) in [(3, 3_000), (99, 0)] {
            let refused = store.commit(NOON, &[reprice(number, old, 1)]);
            assert_eq!(
                refused,
                Err(StoreError::RecordDiffers(named(number))),
                "{}",
                place.name()
            );
        }
        // In the group that brings the record as well.
        let line = r#"{"time":"2026-11-20T11:59:00Z","status":200,"end":"ok"}"#;
        store
            .commit(NOON, &[ledger(record(20, line, 10)), reprice(20, 10, 30)])
            .unwrap();
        drop(store);
        let mut store = place.open();
        let mut reader = store.reader().unwrap();
        let query = ReportQuery {
            from: NINE,
            until: NOON,
            ..ReportQuery::default()
        };
        assert_eq!(
            reader.report(&query).unwrap().total.cost,
            NanoUsd(78_000 - 2_500 + 30)
        );
        let entries = reader
            .corrections(&Page::default())
            .unwrap()
            .rows
            .into_iter();
        let entries = entries.map(|row| (row.name.number.0, row.old.0, row.new.0));
        assert_eq!(
            entries.collect::<Vec<_>>(),
            [(20, 10, 30), (3, 1_000, 500), (3, 3_000, 1_000)]
        );
        let records = reader
            .records(&RecordFilter::default(), &Page::default())
            .unwrap()
            .rows;
        let third = records.iter().find(|row| row.name == named(3)).unwrap();
        assert_eq!(
            (third.facts.cost, third.cost()),
            (NanoUsd(3_000), NanoUsd(500))
        );
    });
}

#[test]
fn old_records_go_in_small_parts_and_their_sums_stay() {
    everywhere(|place| {
        let mut store = place.open();
        traffic(store.as_mut());
        let ten = Timestamp(NINE.0 + 3_600_000_000_000);
        let mut parts = Vec::new();
        loop {
            let part = store.forget_records(ten, 3).unwrap();
            parts.push(part);
            if part == 0 {
                break;
            }
        }
        assert_eq!(parts, [3, 1, 0], "{}", place.name());
        let mut reader = store.reader().unwrap();
        let left = reader
            .records(&RecordFilter::default(), &Page::default())
            .unwrap();
        assert_eq!(left.rows.len(), 8);
        let query = ReportQuery {
            from: NINE,
            until: NOON,
            ..ReportQuery::default()
        };
        assert_eq!(reader.report(&query).unwrap().total.requests, 12);
        // A record that was forgotten cannot be corrected, and its name may come again: the stream refuses it before.
        write(store.as_mut(), record(30, "{}", 5));
        reader.check().unwrap();
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
