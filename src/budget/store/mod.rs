//! What is durable: money, entities, records, alerts, the audit log. One trait, three stores, one behaviour.
//!
//! * [`Store`] is the one writer: blocking, called by one thread. What a call returns `Ok` for is on the disk.
//! * [`Reader`] is the read side, for the admin API and reports, on a connection of its own.
//!
//! Money is never deleted and never changed behind the ledger's back: a commit writes the rows that `core` decided about.

mod alert;
mod books;
mod commit;
mod error;
mod facts;
mod figures;
mod histogram;
mod memory;
mod page;
mod postgres;
mod query;
mod report;
mod reprice;
mod series;
mod sql;
mod sqlite;
mod tls;

use std::collections::BTreeSet;
use std::path::Path;

use tollgate_core::money::ids::{AccountKey, Incarnation, LeaseId, ScopeId};
use tollgate_core::money::ledger::{Opening, View};
use tollgate_core::units::Timestamp;

pub use alert::alert_body;
pub use commit::{
    AlertId, AlertOutcome, AuditEntry, Commit, Committed, EntityChange, Notice, RecordName,
    Reprice, Revision,
};
pub use error::StoreError;
pub use facts::{CacheUse, Facts, Pricing, StoredRecord};
pub use figures::Figures;
pub use histogram::Histogram;
pub use memory::Memory;
pub use query::{
    AccountRow, AlertRow, AlertStanding, AuditRow, CorrectionRow, Dimension, Entity, Every,
    LeaseRow, Order, Page, Paged, RecordFilter, ReportQuery,
};
pub use report::{Line, Report};
pub use reprice::reprice;
pub use series::{Series, SeriesId, Tags};

/// Opens the store at an address: `sqlite:PATH`, `postgres://USER@HOST/DATABASE`, or `memory:`. A database that is new gets
/// its tables, an older one is brought up to date, and whoever had it before can no longer write.
pub fn open(address: &str) -> Result<Box<dyn Store>, StoreError> {
    if address == "memory:" {
        return Ok(Box::new(Memory::default()));
    }
    if let Some(path) = address.strip_prefix("sqlite:") {
        let engine = sqlite::Sqlite::open(Path::new(path))?;
        return Ok(Box::new(sql::SqlStore::open(engine)?));
    }
    if address.starts_with("postgres:") || address.starts_with("postgresql:") {
        let engine = postgres::Postgres::open(address)?;
        return Ok(Box::new(sql::SqlStore::open(engine)?));
    }
    // Not more than its first word: there may be a password in it.
    let scheme = address.split_once(':').map_or(address, |parts| parts.0);
    Err(StoreError::Address(format!(
        "nobody knows a store by `{scheme}:`"
    )))
}

/// The write side. One at a time: whoever opens a store takes it over, and the one before is told so by
/// [`StoreError::Fenced`] when it next commits.
pub trait Store: Send {
    /// What the ledger must know at start: counters; holders that are not presumed dead, with their streams and
    /// current leases; every lease that is not closed; the accounts of these leases, and of every budget those of its
    /// last window and the one before. No scopes.
    ///
    /// Rows that are not here are not lost: ask for them before deciding, with [`Store::leases`], [`Store::holder`] and
    /// [`Store::accounts`]. An account that was not asked for must not be taken for zero.
    fn live(&mut self) -> Result<View, StoreError>;

    /// Leases that are not live any more, with their accounts, for evidence that comes late. Unknown ones are left out.
    fn leases(&mut self, ids: &BTreeSet<LeaseId>) -> Result<View, StoreError>;

    /// A holder that is not live any more, with its streams, its leases that are not closed, and their accounts.
    fn holder(&mut self, incarnation: Incarnation) -> Result<View, StoreError>;

    /// Balances. One that is not in the answer does not exist yet, which is zero.
    fn accounts(&mut self, keys: &BTreeSet<AccountKey>) -> Result<View, StoreError>;

    /// Writes a group in one transaction: all of it, or nothing. Later rows win over earlier ones of the same name.
    ///
    /// After [`StoreError::is_passing`] the same group may be tried again. What was committed although the answer was
    /// lost is found out before it would be written twice.
    fn commit(&mut self, now: Timestamp, group: &[Commit]) -> Result<Committed, StoreError>;

    /// Entities that changed after `since`, deleted ones too, by revision. From zero: everything.
    fn entities(&mut self, since: Revision) -> Result<Vec<Entity>, StoreError>;

    /// Alerts whose time to be sent has come, oldest first.
    fn due_alerts(&mut self, now: Timestamp, at_most: usize) -> Result<Vec<AlertRow>, StoreError>;

    /// Deletes about so many raw records that began before `before`, the oldest, and says how many. Their sums by hour stay, and so
    /// does all money. Called again and again in the background, so that no call takes long.
    fn forget_records(&mut self, before: Timestamp, at_most: usize) -> Result<usize, StoreError>;

    /// The read side, on a connection of its own.
    fn reader(&mut self) -> Result<Box<dyn Reader>, StoreError>;
}

/// The read side: what was committed, seen from another connection. Lists come in pages.
pub trait Reader: Send {
    /// Raw records, as long as they are kept.
    fn records(
        &mut self,
        filter: &RecordFilter,
        page: &Page,
    ) -> Result<Paged<StoredRecord>, StoreError>;

    /// Sums over any period, from what is kept by hour: raw records are not read.
    fn report(&mut self, query: &ReportQuery) -> Result<Report, StoreError>;

    /// Balances of these budgets and windows; those that do not exist are left out.
    fn accounts(&mut self, keys: &BTreeSet<AccountKey>) -> Result<Vec<AccountRow>, StoreError>;

    /// Every balance, by budget and window.
    fn all_accounts(&mut self, page: &Page) -> Result<Paged<AccountRow>, StoreError>;

    /// Leases that are not closed, presumed ones too; of one scope, or of all.
    fn open_leases(
        &mut self,
        scope: Option<ScopeId>,
        page: &Page,
    ) -> Result<Paged<LeaseRow>, StoreError>;

    /// Requests that began and did not end, under `strict_records`.
    fn openings(&mut self, page: &Page) -> Result<Paged<Opening>, StoreError>;

    /// The audit log, newest first.
    fn audit(&mut self, page: &Page) -> Result<Paged<AuditRow>, StoreError>;

    /// The outbox, newest first.
    fn alerts(&mut self, page: &Page) -> Result<Paged<AlertRow>, StoreError>;

    /// Entries beside records, newest first.
    fn corrections(&mut self, page: &Page) -> Result<Paged<CorrectionRow>, StoreError>;

    /// Reads everything and says whether it is sound. May take minutes.
    fn check(&mut self) -> Result<(), StoreError>;
}
