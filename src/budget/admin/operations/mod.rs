//! Every operation of the API, one entry each. The server, the OpenAPI document and the tests walk this list.

use tollgate_core::tenancy::Level;

use super::operation::{Access, Operation, Parameter};
use super::reply::{Refused, Reply};
use super::request::{Context, Request};
use super::{health, openapi};

mod money;
mod reports;
mod tenants;

const fn parameter(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about }
}

const LIMIT: Parameter = parameter(
    "limit",
    "Rows at most: 1 to 1000, 100 where nothing is said.",
);
const AFTER: Parameter = parameter("after", "`next` of the page before.");

static PAGES: &[Parameter] = &[LIMIT, AFTER];

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
    all.extend(Level::ALL.into_iter().flat_map(tenants::of_level));
    all.extend(tenants::of_keys());
    all.extend(money::of_budgets());
    all.extend(money::of_limits());
    all.extend(money::of_switches());
    all.extend(reports::of_reports());
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
