//! What holders report of their leases: the only thing that moves money out of them.

use super::rows::{Lease, LeaseStanding};
use super::view::{Alert, Draft, add, take};
use crate::money::ids::{AccountKey, Incarnation, LeaseId};
use crate::money::message::{AMOUNT_MAX, Charge, Debt, Refusal, Return};
use crate::units::NanoUsd;

/// Posts what a request cost one lease. Evidence that comes after its holder was taken for dead turns what was presumed
/// into what was.
pub(super) fn charge(
    draft: &mut Draft<'_>,
    by: Incarnation,
    charge: Charge,
) -> Result<(), Refusal> {
    check(charge.nanos)?;
    check(charge.over)?;
    let mut lease = lease_of(draft, by, charge.lease)?;
    // A holder pays from what the lease has left; if it claims more, that was spent all the same.
    let covered = charge.nanos.min(remainder(&lease)?);
    let mut over = charge.over;
    add(&mut over, NanoUsd(charge.nanos.0.saturating_sub(covered.0)))?;
    add(&mut lease.settled, covered)?;
    add(&mut lease.overrun, over)?;
    let standing = lease.standing;
    draft.each_account(&lease.accounts, |account| {
        if standing == LeaseStanding::Active {
            take(&mut account.held, covered)?;
            add(&mut account.posted, covered)?;
        }
        add(&mut account.posted, over)?;
        add(&mut account.overrun, over)
    })?;
    if over > NanoUsd::ZERO {
        draft.changes.alerts.push(Alert::Overrun {
            scope: lease.scope,
            lease: charge.lease,
            over,
        });
    }
    draft.changes.leases.insert(charge.lease, lease);
    Ok(())
}

/// Posts what was spent without a lease. Of a scope that was deleted since, only the record tells of it.
pub(super) fn owe(draft: &mut Draft<'_>, by: Incarnation, debt: Debt) -> Result<(), Refusal> {
    check(debt.nanos)?;
    let Some(scope) = draft.view.scopes.get(&debt.scope) else {
        return Ok(());
    };
    let keys: Vec<AccountKey> = scope.open_accounts().collect();
    draft.each_account(&keys, |account| {
        add(&mut account.posted, debt.nanos)?;
        add(&mut account.overrun, debt.nanos)
    })?;
    draft.changes.alerts.push(Alert::Uncovered {
        incarnation: by,
        scope: debt.scope,
        nanos: debt.nanos,
    });
    Ok(())
}

/// Moves unspent money of a lease back to its accounts.
pub(super) fn give_back(
    draft: &mut Draft<'_>,
    by: Incarnation,
    back: Return,
) -> Result<(), Refusal> {
    check(back.nanos)?;
    let mut lease = lease_of(draft, by, back.lease)?;
    let rest = remainder(&lease)?;
    if back.nanos > rest && lease.standing == LeaseStanding::Active {
        return Err(Refusal::ReturnsTooMuch { lease: back.lease });
    }
    // Of a presumed lease a person may have reconciled the rest before its holder came back. Then the entries of both
    // stay posted, an alert of an overrun tells of it, and nothing is given back twice.
    let nanos = back.nanos.min(rest);
    add(&mut lease.returned, nanos)?;
    let standing = lease.standing;
    draft.each_account(&lease.accounts, |account| match standing {
        LeaseStanding::Active => take(&mut account.held, nanos),
        LeaseStanding::Presumed => take(&mut account.posted, nanos),
    })?;
    draft.changes.leases.insert(back.lease, lease);
    Ok(())
}

/// Counts the rest of a lease as spent, because nobody says what became of it.
pub(super) fn presume(draft: &mut Draft<'_>, id: LeaseId) -> Result<(), Refusal> {
    let Some(lease) = draft.lease(id) else {
        return Err(Refusal::UnknownLease { lease: id });
    };
    let mut lease = lease.clone();
    let rest = remainder(&lease)?;
    if lease.standing == LeaseStanding::Presumed || rest == NanoUsd::ZERO {
        return Ok(());
    }
    lease.standing = LeaseStanding::Presumed;
    draft.each_account(&lease.accounts, |account| {
        take(&mut account.held, rest)?;
        add(&mut account.posted, rest)
    })?;
    draft.changes.alerts.push(Alert::Presumed {
        incarnation: lease.incarnation,
        scope: lease.scope,
        nanos: rest,
    });
    draft.changes.leases.insert(id, lease);
    Ok(())
}

fn lease_of(draft: &Draft<'_>, by: Incarnation, id: LeaseId) -> Result<Lease, Refusal> {
    let Some(lease) = draft.lease(id) else {
        return Err(Refusal::UnknownLease { lease: id });
    };
    if lease.incarnation != by {
        return Err(Refusal::ForeignLease { lease: id });
    }
    Ok(lease.clone())
}

fn remainder(lease: &Lease) -> Result<NanoUsd, Refusal> {
    lease.remainder().map_err(|_| Refusal::BooksDiffer)
}

pub(super) fn check(amount: NanoUsd) -> Result<(), Refusal> {
    if amount > AMOUNT_MAX {
        return Err(Refusal::AbsurdAmount);
    }
    Ok(())
}
