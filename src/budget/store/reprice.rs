//! Rating a record anew: what was posted stays, and entries beside it make up the difference.

use std::collections::BTreeMap;

use tollgate_core::money::ids::{AccountKey, ScopeId};
use tollgate_core::money::ledger::{Changes, Correction, View, correct};
use tollgate_core::money::message::Refusal;
use tollgate_core::units::NanoUsd;

use super::commit::Reprice;
use super::facts::StoredRecord;

/// What to commit so that `record` costs `new`. The view must have the leases that paid for it, with their accounts: see
/// [`super::Store::leases`]. What was spent without a lease was posted to the accounts that `owed` names for its scope, which
/// must be in the view as well.
pub fn reprice(
    view: &View,
    record: &StoredRecord,
    new: NanoUsd,
    reason: &str,
    owed: &dyn Fn(ScopeId) -> Vec<AccountKey>,
) -> Result<Reprice, Refusal> {
    // A balance may have paid in parts: by two leases, or by one and a debt.
    let mut paid: BTreeMap<AccountKey, NanoUsd> = BTreeMap::new();
    let mut add = |key: AccountKey, nanos: NanoUsd| {
        let whole = paid.entry(key).or_default();
        *whole = whole.plus(nanos).map_err(|_| Refusal::AbsurdAmount)?;
        Ok(())
    };
    for charge in &record.charges {
        let lease = view.leases.get(&charge.lease);
        let lease = lease.ok_or(Refusal::UnknownLease {
            lease: charge.lease,
        })?;
        for key in &lease.accounts {
            add(*key, charge.nanos)?;
            add(*key, charge.over)?;
        }
    }
    for debt in &record.debts {
        for key in owed(debt.scope) {
            add(key, debt.nanos)?;
        }
    }
    // Only what is touched: the view of a service is large.
    let found = |key: &AccountKey| Some((*key, *view.accounts.get(key)?));
    let mut books = View {
        accounts: paid.keys().filter_map(found).collect(),
        ..View::default()
    };
    let mut changes = Changes::default();
    for (account, whole) in paid {
        let correction = Correction {
            account,
            more: new,
            less: record.corrected.unwrap_or(whole),
        };
        let corrected = correct(&books, correction)?;
        books.absorb(&corrected);
        changes.accounts.extend(corrected.accounts);
        changes.corrections.extend(corrected.corrections);
    }
    Ok(Reprice {
        name: record.name,
        old: record.cost(),
        new,
        reason: reason.to_owned(),
        changes,
    })
}
