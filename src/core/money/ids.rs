//! Names of what the money protocol speaks about, so that none is taken for another.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One life of one proxy process. The service assigns it, and never twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// One line of batches of an incarnation: each worker that talks to the service has its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// The place of a batch in its stream; the first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// The place of a record in its stream; the first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordNumber(pub u64);

/// Whose money it is: a user, a key, a team, an organisation, a tag. The order of these ids is the canonical order of holds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ScopeId(pub u64);

impl ScopeId {
    /// The id of a scope follows from its name, so that nobody has to ask for it: the first bytes of the SHA-256. The
    /// budget service refuses two names with the same id.
    pub fn named(name: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(name.as_bytes()).into();
        let first = digest.first_chunk().copied().unwrap_or_default();
        Self(u64::from_le_bytes(first))
    }
}

/// One limit of a scope: its day's, its month's, its total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetId(pub u64);

/// Money that one incarnation may spend for one scope. The first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

impl LeaseId {
    /// No lease: what is spent in its name is a debt.
    pub const UNCOVERED: Self = Self(0);
}

/// Which day, week or month; see [`crate::money::window`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowId(pub u32);

/// One budget in one window: what has a balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey {
    /// The budget.
    pub budget: BudgetId,
    /// The window.
    pub window: WindowId,
}

/// The opening of a request, under `strict_records`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpenId {
    /// The stream that carried the opening.
    pub stream: StreamId,
    /// Its number in that stream.
    pub number: u64,
}

/// A moment on the monotonic clock of a holder, in milliseconds. It decides when idle money goes home, never whether money is safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// Milliseconds since `earlier`; a clock that stepped back counts as none.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whether what began at `began` and lasts `milliseconds` is over. A clock that stepped back says so at once: to wait
    /// until it has caught up could take for ever.
    pub fn is_over(self, began: Self, milliseconds: u64) -> bool {
        self < began || self.since(began) >= milliseconds
    }

    /// The moment `milliseconds` later.
    pub fn after(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }
}

/// The digest of a batch as it was sent: a retry must be the same bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyHash(pub [u8; 32]);
