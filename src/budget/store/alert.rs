//! Alerts of the ledger as JSON, the form in which the outbox keeps all alerts.

use serde_json::json;
use tollgate_core::money::ledger::Alert;
use tollgate_core::money::thresholds::Action;

/// The JSON of an alert of the ledger: `kind` says which, amounts are in nano-dollars.
pub fn alert_body(alert: &Alert) -> String {
    let body = match alert {
        Alert::Passed {
            scope,
            account,
            percent,
            action,
            spent,
            limit,
        } => json!({
            "kind": "budget_step",
            "scope": scope.0,
            "budget": account.budget.0,
            "window": account.window.0,
            "percent": percent,
            "action": action_name(*action),
            "spent_nanousd": spent.0,
            "limit_nanousd": limit.0,
        }),
        Alert::Overrun { scope, lease, over } => json!({
            "kind": "overrun",
            "scope": scope.0,
            "lease": lease.0,
            "over_nanousd": over.0,
        }),
        Alert::Uncovered {
            incarnation,
            scope,
            nanos,
        } => json!({
            "kind": "uncovered",
            "incarnation": incarnation.0,
            "scope": scope.0,
            "nanousd": nanos.0,
        }),
        Alert::Presumed {
            incarnation,
            scope,
            nanos,
        } => json!({
            "kind": "presumed",
            "incarnation": incarnation.0,
            "scope": scope.0,
            "nanousd": nanos.0,
        }),
    };
    body.to_string()
}

fn action_name(action: Action) -> &'static str {
    match action {
        Action::None => "none",
        Action::Log => "log",
        Action::Warn => "warn",
        Action::Downgrade => "downgrade",
        Action::Refuse => "refuse",
    }
}
