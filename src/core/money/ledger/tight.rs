//! Scopes in which somebody was refused lately. Kept in memory: forgetting it costs a second of waiting, no money.

use std::collections::BTreeMap;

use crate::money::ids::ScopeId;
use crate::units::Timestamp;

/// A shortage is remembered for this long.
const TIGHT_MS: u64 = 2_000;

/// Scopes whose idle leases are called back.
#[derive(Clone, Debug, Default)]
pub struct Tight {
    since: BTreeMap<ScopeId, Timestamp>,
}

impl Tight {
    /// Notes that a scope had less than somebody needed, or that its limit was cut.
    pub fn note(&mut self, scope: ScopeId, now: Timestamp) {
        self.since.insert(scope, now);
    }

    /// The scopes that are tight now.
    pub fn scopes(&mut self, now: Timestamp) -> Vec<ScopeId> {
        self.since
            .retain(|_, since| now.millis_since(*since) < TIGHT_MS);
        self.since.keys().copied().collect()
    }
}
