//! Every operation of the API, one entry each. The server, the OpenAPI document and the tests walk this list.

use tollgate_core::tenancy::Level;

use super::operation::{Access, Operation, Parameter};
use super::reply::{Refused, Reply};
use super::request::{Context, Request};
use super::{budgets, health, keys, openapi, reports, reprice, switches, tenants};

const fn parameter(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about }
}

const LIMIT: Parameter = parameter(
    "limit",
    "Rows at most: 1 to 1000, 100 where nothing is said.",
);
const AFTER: Parameter = parameter("after", "`next` of the page before.");

static PAGES: &[Parameter] = &[LIMIT, AFTER];
static TENANT_FILTERS: &[Parameter] = &[
    LIMIT,
    AFTER,
    parameter("org", "Only those of this organisation."),
    parameter("team", "Only those of this team."),
    parameter("user", "Only those of this user."),
    parameter("managed", "Only those managed by `api` or by `file`."),
    parameter(
        "disabled",
        "Only those that are (`true`) or are not (`false`) disabled.",
    ),
];
static SCOPE: &[Parameter] = &[parameter("scope", "Only this scope: `team:search`.")];

/// The dimensions by which records and sums are told apart, as parameters.
macro_rules! with_dimensions {
    ($($more:expr),* $(,)?) => {
        &[
            parameter("from", "The beginning: `2026-11-20`, `2026-11-20T09:00:00Z`, or so long ago: `24h`, `30d`."),
            parameter("until", "The end, which is not in it; now where nothing is said."),
            parameter("org", "Only this organisation."),
            parameter("team", "Only this team."),
            parameter("user", "Only this user."),
            parameter("key", "Only this key, by its name."),
            parameter("model", "Only this model, as it was asked for."),
            parameter("model_served", "Only this model, as it answered."),
            parameter("provider", "Only this provider."),
            parameter("endpoint", "Only this endpoint."),
            parameter("tag", "Only requests with this tag."),
            parameter("status_class", "Only `2xx`, `4xx`, `5xx` or `none`."),
            $($more),*
        ]
    };
}

static SPEND: &[Parameter] = with_dimensions![
    parameter(
        "by",
        "What gets a line of its own, separated by commas: `team,model`."
    ),
    parameter(
        "every",
        "Cuts the period into pieces of so many hours or days: `1h`, `1d`."
    ),
];
static RECORDS: &[Parameter] = with_dimensions![
    LIMIT,
    AFTER,
    parameter("trace", "Only this trace."),
    parameter("status", "Only this status."),
    parameter(
        "end",
        "Only those that ended so: `ok`, `cut`, `client_left`."
    ),
    parameter("order", "`newest_first` or `oldest_first`."),
];

type Run = fn(&Context, &Operation, &Request) -> Result<Reply, Refused>;

fn operation(method: &'static str, path: &str, id: &str, summary: &str, run: Run) -> Operation {
    Operation {
        method,
        path: path.to_owned(),
        id: id.to_owned(),
        summary: summary.to_owned(),
        access: Access::Admin,
        query: &[],
        body: None,
        answer: (200, "Object"),
        refusals: &[],
        level: None,
        run,
    }
}

/// All of them.
pub fn all() -> Vec<Operation> {
    let mut all = of_service();
    all.extend(Level::ALL.into_iter().flat_map(of_level));
    all.extend(of_keys());
    all.extend(of_money());
    all.extend(of_reports());
    all
}

fn of_service() -> Vec<Operation> {
    vec![
        Operation {
            access: Access::Anybody,
            answer: (200, "Health"),
            ..operation(
                "GET",
                "/health",
                "health",
                "Whether the process lives.",
                health::health,
            )
        },
        Operation {
            access: Access::Anybody,
            answer: (200, "Health"),
            refusals: &[503],
            ..operation(
                "GET",
                "/ready",
                "ready",
                "Whether the service works: 503 says what does not.",
                health::ready,
            )
        },
        Operation {
            access: Access::Anybody,
            ..operation(
                "GET",
                "/openapi.json",
                "openapi",
                "This document.",
                openapi::show,
            )
        },
    ]
}

fn of_level(level: Level) -> [Operation; 5] {
    let (one, many) = (level.name(), level.plural());
    let list = format!("/{many}");
    let single = format!("/{many}/{{name}}");
    let (written, change, shown, page) = match level {
        Level::Org | Level::Team | Level::User => {
            ("Tenant", "TenantChange", "TenantShown", "TenantPage")
        }
        Level::Key => ("Key", "KeyChange", "KeyShown", "KeyPage"),
    };
    let made = match level {
        Level::Key => "KeyMade",
        Level::Org | Level::Team | Level::User => shown,
    };
    [
        Operation {
            query: TENANT_FILTERS,
            answer: (200, page),
            ..operation(
                "GET",
                &list,
                &format!("list_{many}"),
                &format!("Lists {many} by name."),
                tenants::list,
            )
        },
        Operation {
            body: Some(written),
            answer: (201, made),
            refusals: &[409],
            ..operation(
                "POST",
                &list,
                &format!("create_{one}"),
                &made_how(level),
                tenants::create,
            )
        },
        Operation {
            answer: (200, shown),
            refusals: &[404],
            ..operation(
                "GET",
                &single,
                &format!("get_{one}"),
                &format!("Shows one {one}."),
                tenants::get,
            )
        },
        Operation {
            body: Some(change),
            answer: (200, shown),
            refusals: &[404, 409],
            ..operation(
                "PATCH",
                &single,
                &format!("change_{one}"),
                "Changes the fields that are in the body; `null` takes one away.",
                tenants::change,
            )
        },
        Operation {
            answer: (200, "Deleted"),
            refusals: &[404, 409],
            ..operation(
                "DELETE",
                &single,
                &format!("delete_{one}"),
                &format!("Deletes one {one}."),
                tenants::delete,
            )
        },
    ]
    .map(|operation| Operation {
        level: Some(level),
        ..operation
    })
}

fn made_how(level: Level) -> String {
    match level {
        Level::Key => {
            "Makes a key. Its secret is in this answer and nowhere else: only its hash is kept."
                .to_owned()
        }
        Level::Org | Level::Team | Level::User => format!("Makes a {}.", level.name()),
    }
}

fn of_keys() -> [Operation; 4] {
    let one = |path, id, summary, run: Run| Operation {
        answer: (200, "KeyShown"),
        refusals: &[404, 409],
        level: Some(Level::Key),
        ..operation("POST", path, id, summary, run)
    };
    [
        Operation {
            body: Some("Rotation"),
            answer: (200, "KeyMade"),
            ..one(
                "/keys/{name}/rotate",
                "rotate_key",
                "Gives a key a new secret. The old one is good for `overlap` yet, a day where nothing is said.",
                keys::rotate,
            )
        },
        one(
            "/keys/{name}/disable",
            "disable_key",
            "Refuses a key from now on.",
            keys::disable,
        ),
        one(
            "/keys/{name}/enable",
            "enable_key",
            "Takes a disabled key back into use.",
            keys::enable,
        ),
        Operation {
            body: Some("Expiry"),
            ..one(
                "/keys/{name}/expire",
                "expire_key",
                "Refuses a key from a moment on, which is now where nothing is said.",
                keys::expire,
            )
        },
    ]
}

fn of_money() -> Vec<Operation> {
    let of_scope = |method, path, id, summary, run: Run| Operation {
        answer: (200, "ScopeShown"),
        refusals: &[404, 409],
        ..operation(method, path, id, summary, run)
    };
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

fn of_reports() -> Vec<Operation> {
    vec![
        Operation {
            query: SPEND,
            answer: (200, "Spend"),
            ..operation(
                "GET",
                "/spend",
                "spend",
                "Sums of requests, tokens and cost over a period, in whole hours.",
                reports::spend,
            )
        },
        Operation {
            query: RECORDS,
            answer: (200, "RecordPage"),
            ..operation(
                "GET",
                "/records",
                "records",
                "Requests one by one, as long as they are kept.",
                reports::records,
            )
        },
        Operation {
            body: Some("Reprice"),
            answer: (200, "Repriced"),
            refusals: &[409],
            ..operation(
                "POST",
                "/reprice",
                "reprice",
                "Rates a page of records again, by entries beside them. Ask with `after` until there is no `next`.",
                reprice::reprice,
            )
        },
        Operation {
            query: PAGES,
            answer: (200, "AuditPage"),
            ..operation(
                "GET",
                "/audit",
                "audit",
                "Who changed what, the last first.",
                reports::audit,
            )
        },
        Operation {
            query: PAGES,
            answer: (200, "AlertPage"),
            ..operation(
                "GET",
                "/alerts",
                "alerts",
                "Alerts and what became of them, the last first.",
                reports::alerts,
            )
        },
    ]
}
