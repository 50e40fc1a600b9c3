//! Why the engine did not do what it was asked. Nothing was applied.

use std::fmt;

use tollgate_core::tenancy::{Conflict, Unreadable};

use crate::calendar::UnknownZone;
use crate::store::StoreError;

/// Why the engine did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The store failed.
    Store(StoreError),
    /// The service is going to stop, or has.
    Stopping,
    /// No thread could be started.
    Thread(String),
    /// What the store says of tenants, or what they are to be, makes no sense.
    Tenants(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(out),
            Self::Stopping => out.write_str("the budget service is stopping"),
            Self::Thread(why) => write!(out, "cannot start a thread: {why}"),
            Self::Tenants(why) => out.write_str(why),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<UnknownZone> for Trouble {
    fn from(error: UnknownZone) -> Self {
        Self::Tenants(error.to_string())
    }
}

impl From<Conflict> for Trouble {
    fn from(error: Conflict) -> Self {
        Self::Tenants(error.to_string())
    }
}

impl From<Unreadable> for Trouble {
    fn from(error: Unreadable) -> Self {
        Self::Tenants(error.to_string())
    }
}
