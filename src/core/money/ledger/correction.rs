//! What people correct: by entries beside what was posted, never by changing it.

use super::evidence;
use super::rows::LeaseStanding;
use super::status;
use super::view::{Changes, Correction, Draft, View, add, take};
use crate::money::ids::LeaseId;
use crate::money::message::{Charge, Refusal, Return};
use crate::units::NanoUsd;

/// Somebody found out (from the provider's bill, say) what a dead holder really spent of a lease that was presumed spent:
/// that is evidence, given by a person. A lease that is still active is its holder's to account for.
pub fn reconcile(view: &View, lease: LeaseId, spent: NanoUsd) -> Result<Changes, Refusal> {
    let row = view.leases.get(&lease);
    let row = row.ok_or(Refusal::UnknownLease { lease })?;
    if row.standing != LeaseStanding::Presumed {
        return Err(Refusal::StillActive { lease });
    }
    let rest = row.remainder().map_err(|_| Refusal::BooksDiffer)?;
    let nanos = spent.min(rest);
    let charge = Charge {
        lease,
        nanos,
        over: NanoUsd(spent.0.saturating_sub(nanos.0)),
    };
    let back = Return {
        lease,
        nanos: NanoUsd(rest.0.saturating_sub(nanos.0)),
    };
    let by = row.incarnation;
    let mut draft = Draft::new(view);
    evidence::charge(&mut draft, by, charge)?;
    evidence::give_back(&mut draft, by, back)?;
    draft.changes.reconciled.push(charge);
    status::announce(&mut draft)?;
    Ok(draft.changes)
}

/// Adds to what was posted, or takes off it: a wrong price, a credit of the provider.
pub fn correct(view: &View, correction: Correction) -> Result<Changes, Refusal> {
    evidence::check(correction.more)?;
    evidence::check(correction.less)?;
    let mut draft = Draft::new(view);
    let key = correction.account;
    draft.each_account(&[key], |account| {
        add(&mut account.posted, correction.more)?;
        take(&mut account.posted, correction.less)
    })?;
    draft.changes.corrections.push(correction);
    Ok(draft.changes)
}
