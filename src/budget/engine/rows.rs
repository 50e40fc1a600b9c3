//! The rows in memory, and those that have to be fetched from the store before a decision.

use std::collections::BTreeSet;

use tollgate_core::money::ids::{AccountKey, LeaseId};
use tollgate_core::money::ledger::{Needs, View};
use tollgate_core::money::live::Live;
use tollgate_core::money::message::SyncRequest;
use tollgate_core::units::Timestamp;

use crate::calendar::Calendar;
use crate::store::{Store, StoreError};

/// What a decision about `batch` may look at: the scopes with the windows of now, and nothing taken for zero that is not.
pub(super) fn load(
    live: &mut Live,
    store: &mut dyn Store,
    calendar: &mut Calendar,
    batch: &SyncRequest,
    now: Timestamp,
) -> Result<View, StoreError> {
    if live.misses_holder(batch.incarnation) {
        live.fetched(store.holder(batch.incarnation)?);
    }
    let leases = live.leases_missing(batch);
    fetch_leases(live, store, &leases)?;
    for scope in Needs::of(batch).scopes {
        open(live, calendar, scope, now);
    }
    let view = live.load(batch);
    let missing: BTreeSet<AccountKey> = view
        .accounts_needed()
        .into_iter()
        .filter(|key| !view.accounts.contains_key(key))
        .collect();
    if missing.is_empty() {
        return Ok(view);
    }
    fetch_accounts(live, store, missing)?;
    Ok(live.load(batch))
}

/// Brings the windows of a scope up to date.
pub(super) fn open(
    live: &mut Live,
    calendar: &mut Calendar,
    scope: tollgate_core::money::ids::ScopeId,
    now: Timestamp,
) {
    match calendar.open(scope, now) {
        Some(scope) => live.set_scope(scope),
        None => live.remove_scope(scope),
    }
}

pub(super) fn fetch_leases(
    live: &mut Live,
    store: &mut dyn Store,
    ids: &BTreeSet<LeaseId>,
) -> Result<(), StoreError> {
    if !ids.is_empty() {
        live.fetched(store.leases(ids)?);
    }
    Ok(())
}

pub(super) fn fetch_accounts(
    live: &mut Live,
    store: &mut dyn Store,
    keys: BTreeSet<AccountKey>,
) -> Result<(), StoreError> {
    live.fetched(store.accounts(&keys)?);
    live.asked_for(keys);
    Ok(())
}
