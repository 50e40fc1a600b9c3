//! What must be true of the rows that are loaded at start: a store whose books differ is not opened.

use std::collections::BTreeMap;

use tollgate_core::money::ids::AccountKey;
use tollgate_core::money::ledger::{Lease, LeaseStanding, View};
use tollgate_core::units::NanoUsd;

use super::error::StoreError;

/// Whether a lease still holds money. One whose figures contradict each other does, until somebody looks.
pub(super) fn is_live(lease: &Lease) -> bool {
    lease.standing == LeaseStanding::Active && lease.remainder() != Ok(NanoUsd::ZERO)
}

/// What an account holds is what its live leases have left: the view must have all of them.
pub(super) fn check(view: &View) -> Result<(), StoreError> {
    let mut held: BTreeMap<AccountKey, u128> = BTreeMap::new();
    for (id, lease) in &view.leases {
        if lease.standing != LeaseStanding::Active {
            continue;
        }
        let rest = lease.remainder().map_err(|_| {
            StoreError::Damaged(format!("lease {} gave out more than it had", id.0))
        })?;
        for key in &lease.accounts {
            let sum = held.entry(*key).or_default();
            *sum = sum.saturating_add(u128::from(rest.0));
        }
    }
    for (key, account) in &view.accounts {
        let leased = held.remove(key).unwrap_or_default();
        if leased != u128::from(account.held.0) {
            let (budget, window) = (key.budget.0, key.window.0);
            return Err(StoreError::Damaged(format!(
                "budget {budget} in window {window} holds {} nano-dollars, its leases hold {leased}",
                account.held.0
            )));
        }
    }
    match held.into_iter().find(|(_, leased)| *leased > 0) {
        Some((key, leased)) => Err(StoreError::Damaged(format!(
            "leases hold {leased} nano-dollars of budget {} in window {}, which has no balance",
            key.budget.0, key.window.0
        ))),
        None => Ok(()),
    }
}
