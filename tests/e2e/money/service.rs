//! The budget service starts, stops, and loses its memory, while an Envoy goes on.

use std::fs;

use tollgate::fake::Reply as Scripted;
use tollgate_tests::{BudgetService, Gateway, wait_for};

use crate::books::Books;
use crate::{at, served, team};

fn ask(gateway: &Gateway) -> u16 {
    let call = gateway.chat("small", "hi").key("one");
    call.field("max_tokens", 5).send().status()
}

/// Its store is gone, or is an old backup: it knows neither the process nor its leases.
#[test]
fn an_envoy_goes_on_with_a_service_that_lost_its_store_and_says_again_what_was_spent() {
    let config = team("{max_budget: 1}");
    let mut service = BudgetService::start(&config);
    let gateway = Gateway::with(&at(service.address(), &config));
    for _ in 0..3 {
        assert_eq!(ask(&gateway), 200);
    }
    let books = Books::in_folder(&service.data());
    wait_for("three records", || (books.records()?.0 == 3).then_some(()));
    let before = served(&gateway);

    let alpha = gateway.provider("alpha");
    alpha.next(Scripted::tokens(100).pace_ms(30));
    let call = gateway.chat("small", "hi").key("one");
    let mut running = call.field("max_tokens", 200).stream();
    running.read_tokens(3);
    assert_eq!(service.stop(), Some(0));
    for file in ["budget.sqlite3", "budget.sqlite3-wal", "budget.sqlite3-shm"] {
        // Whoever closed it in order left only the first.
        let _ = fs::remove_file(service.data().join(file));
    }
    service.start_again();
    let _whole = running.text();
    let trace = running.header("x-tollgate-trace-id").unwrap().to_owned();
    wait_for("the record of what ran meanwhile", || {
        books.traces().contains_key(&trace).then_some(())
    });
    wait_for("money of the new store", || {
        (ask(&gateway) == 200).then_some(())
    });
    wait_for("the sums", || {
        let posted = books.balance()?.posted;
        (posted == served(&gateway) - before).then_some(())
    });
    assert!(books.traces().values().all(|count| *count == 1));
}

#[test]
fn a_file_that_is_no_database_is_told_with_its_cure_and_left_as_it_is() {
    let mut service = BudgetService::start(&team("{max_budget: 1}"));
    assert_eq!(service.stop(), Some(0));
    let file = service.data().join("budget.sqlite3");
    let garbage = b"this is no database".repeat(1_000);
    fs::write(&file, &garbage).unwrap();
    let said = service.try_start().unwrap_err();
    assert!(
        said.contains("damaged") && said.contains("fix: restore a backup"),
        "{said}"
    );
    assert_eq!(fs::read(&file).unwrap(), garbage);
}
