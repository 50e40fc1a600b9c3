//! What can be asked on the read side, and rows as they come back.

use tollgate_core::money::ids::{AccountKey, LeaseId};
use tollgate_core::money::ledger::{Account, Lease};
use tollgate_core::units::{NanoUsd, Timestamp};

use super::commit::{AlertId, AuditEntry, RecordName, Revision};

/// A page of a list: begin without a cursor, go on with the one that came with the page before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows at most.
    pub size: usize,
    /// Where the page before ended.
    pub after: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            size: 100,
            after: None,
        }
    }
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paged<Row> {
    /// Its rows.
    pub rows: Vec<Row>,
    /// Where the next page begins; none at the end.
    pub next: Option<String>,
}

/// In which order records come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// What began last comes first.
    #[default]
    NewestFirst,
    /// What began first comes first.
    OldestFirst,
}

/// By what records are told apart in reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The organisation.
    Org,
    /// The team.
    Team,
    /// The user.
    User,
    /// The key, by its name.
    Key,
    /// The model that was asked for.
    Model,
    /// The model that answered.
    ModelServed,
    /// The provider.
    Provider,
    /// The endpoint.
    Endpoint,
    /// The feature. A request with several tags counts under each of them.
    Tag,
    /// `2xx`, `4xx`, `5xx`; `none` for a caller who left before a status.
    StatusClass,
}

/// Which records. Times are when requests began; `from` is in, `until` is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// The beginning of the period.
    pub from: Option<Timestamp>,
    /// Its end.
    pub until: Option<Timestamp>,
    /// Each dimension must have this value.
    pub only: Vec<(Dimension, String)>,
    /// The trace.
    pub trace: Option<String>,
    /// The exact status.
    pub status: Option<u16>,
    /// How it ended: `ok`, `cut`, `client_left` ...
    pub end: Option<String>,
    /// In which order.
    pub order: Order,
}

/// How a report is cut along time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Every {
    /// Not at all.
    #[default]
    Whole,
    /// Into pieces of so many hours, the first beginning with the period.
    Hours(u32),
}

/// What a report is about. Periods are whole hours: `from` is rounded down, `until` up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportQuery {
    /// The beginning of the period.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// Each dimension must have this value.
    pub only: Vec<(Dimension, String)>,
    /// What gets a line of its own.
    pub by: Vec<Dimension>,
    /// How it is cut along time.
    pub every: Every,
}

/// A key, a team, a budget, a switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entity {
    /// Its kind.
    pub kind: String,
    /// Its name among its kind.
    pub id: String,
    /// When it changed last.
    pub revision: Revision,
    /// JSON; `None` if it was deleted.
    pub body: Option<String>,
}

/// Where an alert is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertStanding {
    /// It waits to be sent.
    Pending,
    /// It arrived.
    Sent,
    /// Nobody tries any more.
    GivenUp,
}

/// An alert of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRow {
    /// Its number.
    pub id: AlertId,
    /// When it was written.
    pub at: Timestamp,
    /// JSON.
    pub body: String,
    /// Where it is.
    pub standing: AlertStanding,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next.
    pub due: Timestamp,
    /// What the last try left.
    pub note: String,
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// Who changed what.
    pub entry: AuditEntry,
}

/// A lease, as it stands in the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRow {
    /// Its number.
    pub id: LeaseId,
    /// What is known of it.
    pub lease: Lease,
}

/// A balance, as it stands in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// The budget and its window.
    pub key: AccountKey,
    /// The balance.
    pub account: Account,
}

/// An entry beside a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectionRow {
    /// Its number.
    pub id: u64,
    /// When it was made.
    pub at: Timestamp,
    /// The record.
    pub name: RecordName,
    /// What it cost before.
    pub old: NanoUsd,
    /// What it costs since.
    pub new: NanoUsd,
    /// Why.
    pub reason: String,
}
