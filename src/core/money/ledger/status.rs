//! How budgets stand, and what is announced of it.

use std::collections::BTreeMap;

use super::rows::{Account, Budget, Scope};
use super::view::{Alert, Draft};
use crate::money::ids::{AccountKey, ScopeId};
use crate::money::message::{Refusal, Status};
use crate::money::thresholds::{Action, Mode, newly_passed, standing};
use crate::units::NanoUsd;

/// How a scope stands: by the strictest action of its budgets, and among equals by the one that is nearest to its limit.
pub(super) fn status(draft: &Draft<'_>, scope: &Scope) -> Result<Option<Status>, Refusal> {
    let mut worst: Option<(Action, u128, Status)> = None;
    let mut left: Option<NanoUsd> = None;
    for open in &scope.budgets {
        let account = draft.account(AccountKey {
            budget: open.budget.id,
            window: open.window.id,
        });
        let action = action(&open.budget, &account)?;
        let of_budget = account.left(&open.budget);
        if let Some(of_budget) = of_budget.map_err(|_| Refusal::AbsurdAmount)? {
            left = Some(left.map_or(of_budget, |left| left.min(of_budget)));
        }
        let status = Status {
            scope: scope.id,
            action,
            spent: account.posted,
            limit: open.budget.limit,
            resets_in_ms: open.window.ends_in_ms,
            left: None,
        };
        let share = share(account.posted, open.budget.limit);
        if worst.is_none_or(|worst| (worst.0, worst.1) < (action, share)) {
            worst = Some((action, share, status));
        }
    }
    Ok(worst.map(|worst| Status { left, ..worst.2 }))
}

/// Notes the steps that this batch passed, once for each window.
pub(super) fn announce(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let leases = draft.changes.leases.values();
    let mut touched: BTreeMap<AccountKey, ScopeId> = leases
        .flat_map(|lease| lease.accounts.iter().map(|key| (*key, lease.scope)))
        .collect();
    let records = draft.changes.records.iter();
    for debt in records.flat_map(|record| &record.usage.debts) {
        let scope = draft.view.scopes.get(&debt.scope);
        let keys = scope.into_iter().flat_map(Scope::open_accounts);
        touched.extend(keys.map(|key| (key, debt.scope)));
    }
    for (key, scope) in touched {
        let budgets = draft.view.scopes.get(&scope).map(|scope| &scope.budgets);
        let mut budgets = budgets.into_iter().flatten().map(|open| &open.budget);
        // A budget that was deleted has no steps any more.
        let Some(budget) = budgets.find(|budget| budget.id == key.budget) else {
            continue;
        };
        let account = draft.account(key);
        let lines = account.lines(budget).map_err(|_| Refusal::AbsurdAmount)?;
        let passed = newly_passed(&budget.steps, account.announced, account.posted, lines);
        for step in passed {
            draft.each_account(&[key], |account| {
                account.announced = step.percent;
                Ok(())
            })?;
            draft.changes.alerts.push(Alert::Passed {
                scope,
                account: key,
                percent: step.percent,
                action: softened(budget, step.action),
                spent: account.posted,
                limit: budget.limit,
            });
        }
    }
    Ok(())
}

fn action(budget: &Budget, account: &Account) -> Result<Action, Refusal> {
    let lines = account.lines(budget).map_err(|_| Refusal::AbsurdAmount)?;
    let action = standing(&budget.steps, account.posted, lines);
    Ok(softened(budget, action))
}

/// A budget that only watches writes down what it would have done, and does no more.
fn softened(budget: &Budget, action: Action) -> Action {
    match budget.mode {
        Mode::Enforce => action,
        Mode::Audit => action.min(Action::Log),
    }
}

/// Spent in millionths of the limit.
fn share(spent: NanoUsd, limit: NanoUsd) -> u128 {
    let spent = u128::from(spent.0).saturating_mul(1_000_000);
    spent.checked_div(u128::from(limit.0)).unwrap_or(u128::MAX)
}
