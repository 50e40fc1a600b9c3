//! What they did: spend, records, changes, alerts.

use super::{AFTER, LIMIT, PAGES, operation, parameter};
use crate::admin::operation::{Operation, Parameter};
use crate::admin::{reports, reprice};

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

pub(super) fn of_reports() -> Vec<Operation> {
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
