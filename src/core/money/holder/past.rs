//! What outlives the memory of the budget service. Where its store was lost, replaced or restored, it does not know this
//! process any more: all leases are gone, and the process asks for another name. What was spent meanwhile was spent all the
//! same, so it is said again, and what no lease covers is owed.

use std::collections::BTreeMap;

use super::keeper::Rows;
use crate::money::ids::{LeaseId, ScopeId};
use crate::money::message::{Charge, Debt, Usage};
use crate::units::NanoUsd;

/// Leases of which is known whose they were.
const REMEMBERED_MAX: usize = 65_536;
/// Reports that wait for a name: a service that never answered lent nothing, so little depends on them.
const UNSAID_MAX: usize = 8_192;

/// What one worker knows of lives before.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Leases before this one are of a life that the service forgot.
    leases_from: LeaseId,
    /// Whose money each lease was.
    scopes: BTreeMap<LeaseId, ScopeId>,
    /// What ended while nobody knew who this process is.
    unsaid: Vec<Usage>,
}

impl Past {
    /// Whether the lease went with the memory of who gave it.
    pub(super) fn has(&self, lease: LeaseId) -> bool {
        lease != LeaseId::UNCOVERED && lease < self.leases_from
    }

    /// Somebody was paid for by this lease.
    pub(super) fn note(&mut self, lease: LeaseId, scope: ScopeId) {
        if lease != LeaseId::UNCOVERED && self.scopes.insert(lease, scope).is_none() {
            while self.scopes.len() > REMEMBERED_MAX {
                self.scopes.pop_first();
            }
        }
    }

    /// There is nobody to tell it to.
    pub(super) fn keep(&mut self, usage: Usage) {
        if self.unsaid.len() < UNSAID_MAX {
            self.unsaid.push(usage);
        }
    }

    /// A new life begins, whose leases begin here.
    pub(super) fn ends(&mut self, leases_from: LeaseId) {
        self.leases_from = leases_from;
    }

    /// What is yet to be said.
    pub(super) fn unsaid(&mut self, rows: &mut impl Rows) -> Vec<Usage> {
        let unsaid = std::mem::take(&mut self.unsaid);
        let said = unsaid.into_iter().map(|usage| self.said_anew(rows, usage));
        said.collect()
    }

    fn said_anew(&self, rows: &mut impl Rows, usage: Usage) -> Usage {
        let charges = usage.charges.into_iter();
        let (gone, charges): (Vec<Charge>, Vec<Charge>) =
            charges.partition(|charge| self.has(charge.lease));
        let mut debts = usage.debts;
        for charge in gone {
            // Of a lease that only a lost VM knew, the record alone tells.
            if let Some(scope) = self.scopes.get(&charge.lease).copied() {
                let nanos = NanoUsd(charge.nanos.0.saturating_add(charge.over.0));
                rows.change(scope, |row| (row.owing(nanos), ()));
                debts.push(Debt { scope, nanos });
            }
        }
        Usage {
            closes: None,
            charges,
            debts,
            ..usage
        }
    }
}
