//! Disks that are full, read-only or damaged, databases that are newer, gone or none: a clear word, and nothing half done.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{Command, Output};

use rusqlite::Connection;
use tollgate_budget::store::{
    self, Commit, EntityChange, Page, RecordFilter, Revision, Store, StoreError,
};

use crate::places::{Place, everywhere};
use crate::server::Server;
use crate::stories::ledger;
use crate::workload::{NOON, Service};

fn load(store: &mut dyn Store, batches: u64) {
    let mut service = Service::new(store.live().unwrap(), 5);
    let hello = service.hello(NOON);
    store.commit(NOON, &[ledger(hello)]).unwrap();
    for _ in 0..batches {
        let batch = service.batch(NOON, 16);
        store.commit(NOON, &[ledger(batch)]).unwrap();
    }
}

fn file(place: &Place) -> String {
    place.address().strip_prefix("sqlite:").unwrap().to_owned()
}

/// The error of a store that must not open.
fn refusal(address: &str) -> StoreError {
    match store::open(address).and_then(|mut store| store.live()) {
        Ok(_) => panic!("{address} was opened"),
        Err(why) => why,
    }
}

#[test]
fn an_address_that_is_none_is_refused_without_its_password() {
    for address in [
        "",
        "money.db",
        "mysql://tollgate:secret@localhost/x",
        "postgres://a:secret@[/x",
    ] {
        let why = refusal(address);
        assert!(matches!(why, StoreError::Address(_)), "{address}: {why:?}");
        assert!(!why.to_string().contains("secret") && why.to_string().contains("fix: write"));
    }
}

#[test]
fn a_newer_database_is_left_alone() {
    everywhere(|place| {
        if place.name() == "memory" {
            return;
        }
        load(place.open().as_mut(), 1);
        let newer = "update schema_version set version = 99";
        match place {
            Place::Postgres(address) => postgres::Client::connect(address, postgres::NoTls)
                .unwrap()
                .batch_execute(newer)
                .unwrap(),
            Place::Sqlite(_) | Place::Memory(_) => {
                Connection::open(file(place))
                    .unwrap()
                    .execute_batch(newer)
                    .unwrap();
            }
        }
        assert_eq!(
            refusal(&place.address()),
            StoreError::Newer {
                found: 99,
                known: 1
            }
        );
    });
}

#[test]
fn books_that_differ_are_not_opened() {
    everywhere(|place| {
        if place.name() == "memory" {
            return;
        }
        load(place.open().as_mut(), 3);
        let wrong = "update account set held = held + 1 where budget = 1";
        match place {
            Place::Postgres(address) => postgres::Client::connect(address, postgres::NoTls)
                .unwrap()
                .batch_execute(wrong)
                .unwrap(),
            Place::Sqlite(_) | Place::Memory(_) => {
                Connection::open(file(place))
                    .unwrap()
                    .execute_batch(wrong)
                    .unwrap();
            }
        }
        let why = refusal(&place.address());
        assert!(
            matches!(&why, StoreError::Damaged(what) if what.contains("budget 1")),
            "{why:?}"
        );
    });
}

#[test]
fn a_file_that_is_no_database_or_a_damaged_one_is_refused() {
    let place = Place::sqlite();
    fs::write(
        file(&place),
        "this is a letter, and not a database".repeat(100),
    )
    .unwrap();
    let why = refusal(&place.address());
    assert!(matches!(why, StoreError::Damaged(_)), "{why:?}");

    let place = Place::sqlite();
    load(place.open().as_mut(), 8);
    let whole = fs::read(file(&place)).unwrap();
    let mut noticed = 0;
    for page in (0..whole.len() / 4_096).step_by(3) {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .open(file(&place))
            .unwrap();
        file.set_len(0).unwrap();
        file.write_all(&whole).unwrap();
        file.seek(SeekFrom::Start(u64::try_from(page * 4_096).unwrap()))
            .unwrap();
        file.write_all(&[0xA5; 4_096]).unwrap();
        drop(file);
        let opened = store::open(&place.address());
        let read = opened.and_then(|mut store| {
            store.live()?;
            store.reader()?.check()
        });
        let why = read.expect_err("the check reads every page");
        assert!(
            matches!(why, StoreError::Damaged(_)),
            "page {page}: {why:?}"
        );
        noticed += 1;
    }
    assert!(noticed > 10, "{noticed}");
}

#[test]
fn a_database_that_is_gone_is_an_error_that_passes() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let place = Place::Postgres(server.database("gone"));
    let mut store = place.open();
    let key = |id: &str| {
        [Commit::Entity(EntityChange {
            kind: "key".to_owned(),
            id: id.to_owned(),
            body: Some("{}".to_owned()),
        })]
    };
    store.commit(NOON, &key("a")).unwrap();
    let mut reader = store.reader().unwrap();
    server.kill();
    let gone = store.commit(NOON, &key("b")).unwrap_err();
    assert!(
        matches!(gone, StoreError::Unavailable(_)) && gone.is_passing(),
        "{gone:?}"
    );
    let unread = reader
        .records(&RecordFilter::default(), &Page::default())
        .unwrap_err();
    assert!(unread.is_passing(), "{unread:?}");
    assert!(place.try_open().is_err_and(|why| why.is_passing()));
    server.restart();
    // The same again, and it is written once.
    assert_eq!(store.commit(NOON, &key("b")).unwrap().revision, Revision(2));
    assert_eq!(store.entities(Revision(0)).unwrap().len(), 2);
    reader
        .records(&RecordFilter::default(), &Page::default())
        .unwrap();
}

/// Runs a load on a small file system of its own, with the rights to make one. Says loudly where that is not allowed.
fn on_a_small_disk(folder: &Path, then: &str) -> Option<Output> {
    let script = format!(
        "mount -t tmpfs -o size=1500k none {0} && cd {0} && {then}",
        folder.display()
    );
    let probe = Command::new("unshare")
        .args(["--map-root-user", "--mount", "true"])
        .output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        eprintln!("SKIPPED: no rights to mount a small file system here");
        return None;
    }
    let ran = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"])
        .arg(env!("CARGO_BIN_EXE_tollgate-store-load"))
        .output();
    Some(ran.unwrap())
}

#[test]
fn a_full_disk_is_told_and_what_was_acknowledged_stays() {
    let folder = tempfile::tempdir().unwrap();
    let kept = tempfile::tempdir().unwrap();
    let then = format!(
        "\"$1\" commit sqlite:{0}/money.db 8 3; cp {0}/money.db* {1}/",
        folder.path().display(),
        kept.path().display()
    );
    let Some(ran) = on_a_small_disk(folder.path(), &then) else {
        return;
    };
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let mut lines: Vec<&str> = said.lines().collect();
    let fix = lines.pop().unwrap();
    let failed = lines.pop().unwrap();
    assert!(
        failed.starts_with("failed the database has no room left"),
        "{said}\n{ran:?}"
    );
    assert!(fix.contains("free some space"), "{fix}");
    let acked: u64 = lines
        .last()
        .unwrap()
        .split(' ')
        .nth(3)
        .unwrap()
        .parse()
        .unwrap();
    let mut store = store::open(&format!("sqlite:{}/money.db", kept.path().display())).unwrap();
    let view = store.live().unwrap();
    let there = view.streams.values().next().unwrap().last_record.0;
    assert!(
        there == acked || there == acked + 8,
        "{acked} acknowledged, {there} there"
    );
    store.reader().unwrap().check().unwrap();
}

#[test]
fn a_disk_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let then = format!(
        "mkdir data && mount -o remount,ro {0} && \"$1\" commit sqlite:{0}/data/money.db 8 3",
        folder.path().display()
    );
    let Some(ran) = on_a_small_disk(folder.path(), &then) else {
        return;
    };
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        said.starts_with("failed the database cannot be written"),
        "{said}\n{ran:?}"
    );
}
