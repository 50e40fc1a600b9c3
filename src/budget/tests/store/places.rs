//! The three stores, each to be opened again and again at the same place.

use tempfile::TempDir;
use tollgate_budget::store::{self, Memory, Store, StoreError};

use crate::server::{Server, folder};

pub(crate) enum Place {
    Memory(Memory),
    Sqlite(TempDir),
    Postgres(String),
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(folder())
    }

    /// As a service that starts would. The memory remembers, since it is the same.
    pub(crate) fn open(&self) -> Box<dyn Store> {
        self.try_open()
            .unwrap_or_else(|why| panic!("{}: {why}", self.name()))
    }

    pub(crate) fn try_open(&self) -> Result<Box<dyn Store>, StoreError> {
        match self {
            Self::Memory(memory) => Ok(Box::new(memory.clone())),
            Self::Sqlite(_) | Self::Postgres(_) => store::open(&self.address()),
        }
    }

    pub(crate) fn address(&self) -> String {
        match self {
            Self::Memory(_) => "memory:".to_owned(),
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("money.db").display()),
            Self::Postgres(address) => address.clone(),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }
}

/// The same test in every store.
pub(crate) fn everywhere(test: impl Fn(&Place)) {
    let server = Server::start();
    let postgres = server
        .as_ref()
        .map(|server| Place::Postgres(server.database("suite")));
    let places = [
        Some(Place::Memory(Memory::default())),
        Some(Place::sqlite()),
        postgres,
    ];
    for place in places.into_iter().flatten() {
        test(&place);
    }
}
