//! What the budget service has written down, read from its database beside it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use tollgate_tests::{Gateway, wait_for};

/// The balance of the only budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    pub(crate) held: u64,
    pub(crate) posted: u64,
}

impl Balance {
    pub(crate) fn sum(self) -> u64 {
        self.held + self.posted
    }
}

fn open(directory: &Path) -> Connection {
    let path = directory.join("data/budget.sqlite3");
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection
        .busy_timeout(std::time::Duration::from_secs(5))
        .unwrap();
    connection
}

/// The balance as it is now.
pub(crate) fn balance(gateway: &Gateway) -> Balance {
    let sums = "SELECT coalesce(sum(held), 0), coalesce(sum(posted), 0) FROM account";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Balance {
            held: row.get::<_, i64>(0)?.unsigned_abs(),
            posted: row.get::<_, i64>(1)?.unsigned_abs(),
        })
    };
    open(gateway.directory()).query_row(sums, [], read).unwrap()
}

/// How many records there are, how many names they have, and what they cost together.
pub(crate) fn records(gateway: &Gateway) -> (u64, u64) {
    let sums = "SELECT count(*), coalesce(sum(cost), 0) FROM record";
    let read = |row: &rusqlite::Row<'_>| {
        Ok((
            row.get::<_, i64>(0)?.unsigned_abs(),
            row.get::<_, i64>(1)?.unsigned_abs(),
        ))
    };
    open(gateway.directory()).query_row(sums, [], read).unwrap()
}

/// Waits until so many records have arrived.
pub(crate) fn settled(gateway: &Gateway, requests: u64) -> Balance {
    wait_for(&format!("{requests} records"), || {
        let (count, _) = records(gateway);
        (count >= requests).then(|| balance(gateway))
    })
}
