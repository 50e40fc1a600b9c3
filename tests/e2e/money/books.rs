//! What the budget service has written down, read from its database beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use postgres::NoTls;
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

/// Where it is written down.
pub(crate) enum Books {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Books {
    /// Of the service that this gateway started.
    pub(crate) fn of(gateway: &Gateway) -> Self {
        Self::in_folder(&gateway.directory().join("data"))
    }

    /// Of a service with this folder for data.
    pub(crate) fn in_folder(data: &Path) -> Self {
        Self::Sqlite(data.join("budget.sqlite3"))
    }

    /// The balance as it is now; none while nobody can read it.
    pub(crate) fn balance(&self) -> Option<Balance> {
        let [held, posted] = self.sums(
            "SELECT CAST(coalesce(sum(held), 0) AS BIGINT), CAST(coalesce(sum(posted), 0) AS BIGINT) FROM account",
        )?;
        Some(Balance { held, posted })
    }

    /// How many records there are, and what they cost together.
    pub(crate) fn records(&self) -> Option<(u64, u64)> {
        let [count, cost] =
            self.sums("SELECT count(*), CAST(coalesce(sum(cost), 0) AS BIGINT) FROM record")?;
        Some((count, cost))
    }

    /// What the sums by hour say that the records cost together.
    pub(crate) fn rolled_up(&self) -> Option<u64> {
        let [written, noted] = self.sums(
            "SELECT CAST((SELECT coalesce(sum(cost), 0) FROM rollup_hour) AS BIGINT), \
             CAST((SELECT coalesce(sum(cost), 0) FROM rollup_pending) AS BIGINT)",
        )?;
        Some(written + noted)
    }

    /// How often each trace was recorded.
    pub(crate) fn traces(&self) -> BTreeMap<String, u64> {
        let mut traces = BTreeMap::new();
        for trace in self.texts("SELECT trace FROM record") {
            *traces.entry(trace).or_default() += 1;
        }
        traces
    }

    /// Requests of which only the beginning is known.
    pub(crate) fn openings(&self) -> BTreeSet<String> {
        let hex = match self {
            Self::Sqlite(_) => "SELECT lower(hex(trace)) FROM opening",
            Self::Postgres(_) => "SELECT encode(trace, 'hex') FROM opening",
        };
        self.texts(hex).into_iter().collect()
    }

    fn sums(&self, query: &str) -> Option<[u64; 2]> {
        let [one, other] = match self {
            Self::Sqlite(path) => sqlite(path)?
                .query_row(query, [], |row| Ok([row.get(0)?, row.get(1)?]))
                .ok()?,
            Self::Postgres(address) => {
                let mut client = postgres::Client::connect(address, NoTls).ok()?;
                let row = client.query_one(query, &[]).ok()?;
                [row.get::<_, i64>(0), row.get(1)]
            }
        };
        Some([one.unsigned_abs(), other.unsigned_abs()])
    }

    fn texts(&self, query: &str) -> Vec<String> {
        match self {
            Self::Sqlite(path) => {
                let connection = sqlite(path).unwrap();
                let mut rows = connection.prepare(query).unwrap();
                let rows = rows.query_map([], |row| row.get(0)).unwrap();
                rows.map(Result::unwrap).collect()
            }
            Self::Postgres(address) => {
                let mut client = postgres::Client::connect(address, NoTls).unwrap();
                let rows = client.query(query, &[]).unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }
}

fn sqlite(path: &Path) -> Option<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    connection.busy_timeout(Duration::from_secs(5)).ok()?;
    Some(connection)
}

/// The balance as it is now.
pub(crate) fn balance(gateway: &Gateway) -> Balance {
    Books::of(gateway).balance().unwrap()
}

/// How many records there are, and what they cost together.
pub(crate) fn records(gateway: &Gateway) -> (u64, u64) {
    Books::of(gateway).records().unwrap()
}

/// Waits until so many records have arrived.
pub(crate) fn settled(gateway: &Gateway, requests: u64) -> Balance {
    wait_for(&format!("{requests} records"), || {
        let (count, _) = records(gateway);
        (count >= requests).then(|| balance(gateway))
    })
}
