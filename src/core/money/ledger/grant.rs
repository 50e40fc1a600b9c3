//! How much of what is left goes to whom.

use super::rows::{Account, Budget, Lease, LeaseStanding, Scope};
use super::view::{Draft, add, before};
use crate::money::ids::{AccountKey, Incarnation, LeaseId, WindowId};
use crate::money::message::{Grant, Refusal, Want};
use crate::money::thresholds::carry;
use crate::units::NanoUsd;

/// Idle money comes back after this.
const LEASE_TTL_MS: u64 = 60_000;
/// Holders renew their leases within this after a window ends, not all at once.
const RENEWAL_SPREAD_MS: u64 = 2_000;
/// A holder younger than this gets smaller leases: one that crashes and starts again should not burn a budget.
pub(super) const YOUNG_MS: u64 = 10_000;

/// What is known of the one who asks.
pub(super) struct Asker {
    pub(super) incarnation: Incarnation,
    pub(super) age_ms: u64,
}

/// Moves money from the accounts of a scope into the lease of the one who asks; `None` if there is too little.
pub(super) fn grant(
    draft: &mut Draft<'_>,
    asker: &Asker,
    scope: &Scope,
    want: &Want,
) -> Result<Option<Grant>, Refusal> {
    let keys = open_accounts(draft, scope)?;
    let nanos = size(want, available(draft, scope)?, scope.holders, asker.age_ms);
    if nanos == NanoUsd::ZERO {
        return Ok(None);
    }
    draft.each_account(&keys, |account| add(&mut account.held, nanos))?;
    let id = add_to_lease(draft, asker.incarnation, scope, keys, nanos)?;
    let ends = |open: &super::rows::OpenBudget| Some((open.window.ends_in_ms?, open.window.id));
    let first = scope.budgets.iter().filter_map(ends).min();
    let (ends_in_ms, window) = first.unwrap_or((u64::MAX, WindowId(0)));
    let spread =
        id.0.wrapping_mul(0x9E37_79B9)
            .wrapping_rem(RENEWAL_SPREAD_MS);
    let ttl_ms = LEASE_TTL_MS.min(ends_in_ms.saturating_add(spread));
    Ok(Some(Grant {
        scope: scope.id,
        lease: id,
        window,
        nanos,
        ttl_ms: u32::try_from(ttl_ms).unwrap_or(u32::MAX),
    }))
}

/// The accounts of the open windows, with what the windows before ran over brought up to date.
fn open_accounts(draft: &mut Draft<'_>, scope: &Scope) -> Result<Vec<AccountKey>, Refusal> {
    let mut keys = Vec::with_capacity(scope.budgets.len());
    for open in &scope.budgets {
        let key = AccountKey {
            budget: open.budget.id,
            window: open.window.id,
        };
        if open.budget.overflow_percent > 0 {
            carry_over(draft, &open.budget, key)?;
        }
        keys.push(key);
    }
    Ok(keys)
}

/// What ran over is taken from the next window. Money that was still held when the window ended counts as spent until it
/// is given back, so what is carried can only become less.
fn carry_over(draft: &mut Draft<'_>, budget: &Budget, key: AccountKey) -> Result<(), Refusal> {
    let Some(before) = before(key) else {
        return Ok(());
    };
    let last: Account = draft.account(before);
    let absurd = |_| Refusal::AbsurdAmount;
    let used = last.posted.plus(last.held).map_err(absurd)?;
    let carried = carry(budget.limit, last.carried, used).map_err(absurd)?;
    draft.each_account(&[key], |account| {
        account.carried = carried;
        Ok(())
    })
}

/// The least that any of the budgets has left; `None` if none of them binds.
fn available(draft: &Draft<'_>, scope: &Scope) -> Result<Option<NanoUsd>, Refusal> {
    let mut least: Option<NanoUsd> = None;
    for open in &scope.budgets {
        let account = draft.account(AccountKey {
            budget: open.budget.id,
            window: open.window.id,
        });
        let available = account.available(&open.budget);
        if let Some(available) = available.map_err(|_| Refusal::AbsurdAmount)? {
            least = Some(least.map_or(available, |least| least.min(available)));
        }
    }
    Ok(least)
}

/// What is needed if it is there; beyond that what is wanted, as long as half of the rest stays for the others.
fn size(want: &Want, available: Option<NanoUsd>, holders: u32, age_ms: u64) -> NanoUsd {
    let wanted = want.want.max(want.need);
    let Some(available) = available else {
        return wanted;
    };
    if want.need > available {
        return NanoUsd::ZERO;
    }
    let cautious = if age_ms < YOUNG_MS { 4 } else { 1 };
    let shares = u64::from(holders.max(1))
        .saturating_mul(2)
        .saturating_mul(cautious);
    let share = available.0.checked_div(shares).unwrap_or_default();
    want.need.max(wanted.min(NanoUsd(share)))
}

/// A lease is one holder, one scope and one set of windows: as long as these stay, grants add up in it. One that was
/// presumed spent stays as it is, for evidence to correct.
fn add_to_lease(
    draft: &mut Draft<'_>,
    incarnation: Incarnation,
    scope: &Scope,
    accounts: Vec<AccountKey>,
    nanos: NanoUsd,
) -> Result<LeaseId, Refusal> {
    let name = (incarnation, scope.id);
    let changed = draft.changes.current.get(&name);
    let current = changed.or_else(|| draft.view.current.get(&name)).copied();
    let found = current.and_then(|id| draft.lease(id).cloned().map(|lease| (id, lease)));
    let fits =
        |lease: &Lease| lease.standing == LeaseStanding::Active && lease.accounts == accounts;
    if let Some((id, mut lease)) = found.filter(|(_, lease)| fits(lease)) {
        add(&mut lease.granted, nanos)?;
        draft.changes.leases.insert(id, lease);
        return Ok(id);
    }
    let mut counters = draft.counters();
    let id = counters.lease.0.checked_add(1);
    let id = LeaseId(id.ok_or(Refusal::AbsurdAmount)?);
    counters.lease = id;
    draft.changes.counters = Some(counters);
    let lease = Lease {
        incarnation,
        scope: scope.id,
        accounts,
        granted: nanos,
        settled: NanoUsd::ZERO,
        returned: NanoUsd::ZERO,
        overrun: NanoUsd::ZERO,
        standing: LeaseStanding::Active,
    };
    draft.changes.leases.insert(id, lease);
    draft.changes.current.insert(name, id);
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_comes_first_and_half_of_the_rest_stays() {
        // (need, want, available, holders, age) -> granted
        for (need, want, available, holders, age_ms, granted) in [
            (10, 100, Some(1_000), 1, YOUNG_MS, 100),
            (10, 800, Some(1_000), 1, YOUNG_MS, 500),
            (10, 800, Some(1_000), 5, YOUNG_MS, 100),
            (10, 800, Some(1_000), 5, 0, 25),
            (300, 800, Some(1_000), 5, YOUNG_MS, 300),
            (1_000, 0, Some(1_000), 5, 0, 1_000),
            (1_001, 0, Some(1_000), 1, YOUNG_MS, 0),
            (0, 100, Some(1), 1, YOUNG_MS, 0),
            (0, 100, Some(0), 0, YOUNG_MS, 0),
            (10, 100, None, 9, 0, 100),
        ] {
            let want = Want {
                need: NanoUsd(need),
                want: NanoUsd(want),
                ..Want::default()
            };
            let sized = size(&want, available.map(NanoUsd), holders, age_ms);
            assert_eq!(
                sized,
                NanoUsd(granted),
                "{want:?} of {available:?} for {holders}"
            );
        }
    }
}
