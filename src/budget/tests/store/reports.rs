//! Records and their sums: what reports say, how records are found, and what happens to both when a price was wrong.

use tollgate_budget::store::{
    Commit, Dimension, Every, Order, Page, Reader, RecordFilter, Report, ReportQuery, Reprice,
    Store, StoreError, reprice,
};
use tollgate_core::money::ledger::Changes;
use tollgate_core::units::{NanoUsd, Timestamp};

use crate::places::everywhere;
use crate::stories::{ledger, named, pages, record, write};
use crate::workload::{NOON, Service};

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
            let found = pages(2, |page| reader.records(&filter, page));
            let numbers = found.iter().map(|row| row.name.number.0);
            numbers.collect::<Vec<u64>>()
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
        let mut failed = RecordFilter {
            status: Some(502),
            ..RecordFilter::default()
        };
        assert_eq!(numbers(failed.clone()), [5]);
        failed.end = Some("failed".to_owned());
        assert_eq!(numbers(failed.clone()), [5]);
        failed.trace = Some("trace-7".to_owned());
        assert_eq!(numbers(failed), [0; 0]);
        let mut traced = RecordFilter::default();
        for (trace, want) in [("trace-7", vec![7]), ("nobody", vec![])] {
            traced.trace = Some(trace.to_owned());
            assert_eq!(numbers(traced.clone()), want);
        }
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
fn a_wrong_price_is_taken_back_from_everyone_who_paid_it() {
    everywhere(|place| {
        let mut store = place.open();
        let mut service = Service::new(store.live().unwrap(), 3);
        let hello = service.hello(NOON);
        write(store.as_mut(), hello);
        for _ in 0..20 {
            let batch = service.batch(NOON, 32);
            write(store.as_mut(), batch);
        }
        let mut reader = store.reader().unwrap();
        let newest = |reader: &mut dyn Reader| {
            let found = reader.records(&RecordFilter::default(), &Page::default());
            found
                .unwrap()
                .rows
                .into_iter()
                .find(|row| row.charges.len() == 3)
                .unwrap()
        };
        let posted = |store: &mut dyn Store| {
            let accounts = store.live().unwrap().accounts;
            accounts
                .values()
                .map(|account| account.posted.0)
                .sum::<u64>()
        };
        let before = posted(store.as_mut());
        let first = newest(reader.as_mut()).facts.cost;
        for new in [first.0 / 2, 7, first.0 * 3] {
            let record = newest(reader.as_mut());
            let ids = record.charges.iter().map(|charge| charge.lease).collect();
            let view = store.leases(&ids).unwrap();
            let entry = reprice(&view, &record, NanoUsd(new), "why", &|_| Vec::new()).unwrap();
            store
                .commit(NOON, &[Commit::Reprice(Box::new(entry))])
                .unwrap();
            // Everyone, the team by both of its budgets.
            let accounts = 4 * (i128::from(new) - i128::from(first.0));
            let after = i128::from(posted(store.as_mut()));
            assert_eq!(after - i128::from(before), accounts, "{}", place.name());
        }
        reader.check().unwrap();
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
