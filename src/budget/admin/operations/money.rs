//! What they may spend: budgets, limits, switches.

use super::{PAGES, Run, operation, parameter};
use crate::admin::operation::{Operation, Parameter};
use crate::admin::{budgets, switches};

static SCOPE: &[Parameter] = &[parameter("scope", "Only this scope: `team:search`.")];

/// What is done with the money of one scope.
fn of_scope(method: &'static str, path: &str, id: &str, summary: &str, run: Run) -> Operation {
    Operation {
        answer: (200, "ScopeShown"),
        refusals: &[404, 409],
        ..operation(method, path, id, summary, run)
    }
}

pub(super) fn of_budgets() -> Vec<Operation> {
    vec![
        Operation {
            query: PAGES,
            answer: (200, "ScopePage"),
            ..operation(
                "GET",
                "/budgets",
                "list_budgets",
                "Lists the scopes that have budgets.",
                budgets::list_budgets,
            )
        },
        of_scope(
            "GET",
            "/budgets/{scope}",
            "get_budgets",
            "Shows the budgets and limits of a scope: `team:search`, `model:small`, `tag:chat`, `everyone`.",
            budgets::get,
        ),
        Operation {
            body: Some("Budgets"),
            ..of_scope(
                "PUT",
                "/budgets/{scope}",
                "set_budgets",
                "Replaces the budgets of a scope.",
                budgets::set_budgets,
            )
        },
        of_scope(
            "DELETE",
            "/budgets/{scope}",
            "delete_budgets",
            "Takes away all budgets of a scope.",
            budgets::delete_budgets,
        ),
        Operation {
            query: SCOPE,
            answer: (200, "Accounts"),
            refusals: &[404],
            ..operation(
                "GET",
                "/accounts",
                "accounts",
                "How the budgets stand in the windows that are open now.",
                budgets::accounts,
            )
        },
        Operation {
            answer: (200, "Recalled"),
            ..operation(
                "POST",
                "/recall",
                "recall",
                "Has every Envoy give back the money that lies idle with it, within a second: before one is stopped.",
                budgets::recall,
            )
        },
    ]
}

pub(super) fn of_limits() -> Vec<Operation> {
    vec![
        Operation {
            query: PAGES,
            answer: (200, "ScopePage"),
            ..operation(
                "GET",
                "/limits",
                "list_limits",
                "Lists the scopes that have limits.",
                budgets::list_limits,
            )
        },
        Operation {
            body: Some("Limits"),
            ..of_scope(
                "PUT",
                "/limits/{scope}",
                "set_limits",
                "Replaces the limits of a scope.",
                budgets::set_limits,
            )
        },
        of_scope(
            "DELETE",
            "/limits/{scope}",
            "delete_limits",
            "Takes away all limits of a scope.",
            budgets::delete_limits,
        ),
    ]
}

pub(super) fn of_switches() -> Vec<Operation> {
    vec![
        Operation {
            answer: (200, "Switches"),
            ..operation(
                "GET",
                "/switches",
                "list_switches",
                "What is switched off.",
                switches::list,
            )
        },
        Operation {
            body: Some("SwitchOff"),
            answer: (200, "Switch"),
            ..operation(
                "PUT",
                "/switches/{switch}",
                "switch_off",
                "Switches `provider:NAME`, `deployment:PROVIDER/MODEL` or `model:NAME` off, everywhere.",
                switches::off,
            )
        },
        Operation {
            answer: (200, "Switch"),
            ..operation(
                "DELETE",
                "/switches/{switch}",
                "switch_on",
                "Switches it on again.",
                switches::on,
            )
        },
    ]
}
