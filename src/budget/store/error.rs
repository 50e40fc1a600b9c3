//! Why a store did not do what it was asked. Nothing was applied, whatever the reason.

use std::fmt;

use super::commit::RecordName;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The address of the store is none that is known.
    Address(String),
    /// The database does not answer, or the connection broke: try again.
    Unavailable(String),
    /// No room is left.
    Full(String),
    /// It cannot be written.
    ReadOnly(String),
    /// What is stored contradicts itself, or cannot be read.
    Damaged(String),
    /// A newer program wrote it.
    Newer {
        /// The version that stands there.
        found: u64,
        /// The last one known here.
        known: u64,
    },
    /// The database engine is too old to be trusted.
    Engine(String),
    /// Another service took the store over: this one must stop.
    Fenced,
    /// A group whose answer was lost is there after all, and another one was tried in its place: what the caller
    /// knows is out of date, and must be loaded anew.
    Reload,
    /// A record of this name is there already.
    RecordExists(RecordName),
    /// There is no such record, or it costs something else by now.
    RecordDiffers(RecordName),
    /// This is no cursor of a page.
    Cursor(String),
    /// Anything else the database says.
    Failed(String),
}

impl StoreError {
    /// Whether the same call may succeed later, without anybody's help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Full(_) => true,
            Self::Address(_)
            | Self::ReadOnly(_)
            | Self::Damaged(_)
            | Self::Newer { .. }
            | Self::Engine(_)
            | Self::Fenced
            | Self::Reload
            | Self::RecordExists(_)
            | Self::RecordDiffers(_)
            | Self::Cursor(_)
            | Self::Failed(_) => false,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(what) => write!(
                out,
                "{what}\n  fix: write `sqlite:PATH`, `postgres://USER@HOST/DATABASE` or `memory:`"
            ),
            Self::Unavailable(what) => write!(out, "the database does not answer: {what}"),
            Self::Full(what) => write!(
                out,
                "the database has no room left: {what}\n  fix: free some space; nothing was lost"
            ),
            Self::ReadOnly(what) => write!(
                out,
                "the database cannot be written: {what}\n  fix: make the folder writable for this user"
            ),
            Self::Damaged(what) => write!(
                out,
                "the database is damaged: {what}\n  fix: restore a backup; nothing was changed"
            ),
            Self::Newer { found, known } => write!(
                out,
                "the database has version {found}, this program knows {known}\n  fix: start the newer program"
            ),
            Self::Engine(what) => write!(out, "{what}"),
            Self::Fenced => write!(
                out,
                "another budget service took over this database\n  fix: run only one of them"
            ),
            Self::Reload => write!(
                out,
                "what was thought to be lost had been written: everything must be loaded anew"
            ),
            Self::RecordExists(name) => {
                write!(out, "the record {name} is there already")
            }
            Self::RecordDiffers(name) => {
                write!(
                    out,
                    "the record {name} is gone, or costs something else by now"
                )
            }
            Self::Cursor(what) => write!(
                out,
                "`{what}` is no cursor\n  fix: begin without one, and go on with the one that came with the page before"
            ),
            Self::Failed(what) => write!(out, "the database says: {what}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// `incarnation-stream-number`.
impl fmt::Display for RecordName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (incarnation, stream) = (self.incarnation.0, self.stream.0);
        write!(out, "{incarnation}-{stream}-{}", self.number.0)
    }
}
