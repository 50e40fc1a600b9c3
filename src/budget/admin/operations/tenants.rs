//! Who there is: organisations, teams, users, keys.

use tollgate_core::tenancy::Level;

use super::{AFTER, LIMIT, Run, operation, parameter};
use crate::admin::operation::{Operation, Parameter};
use crate::admin::{keys, tenants};

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
/// How the bodies of a level are called in the document.
struct Schemas {
    written: &'static str,
    change: &'static str,
    made: &'static str,
    shown: &'static str,
    page: &'static str,
}

impl Schemas {
    fn of(level: Level) -> Self {
        match level {
            Level::Org | Level::Team | Level::User => Self {
                written: "Tenant",
                change: "TenantChange",
                made: "TenantShown",
                shown: "TenantShown",
                page: "TenantPage",
            },
            Level::Key => Self {
                written: "Key",
                change: "KeyChange",
                made: "KeyMade",
                shown: "KeyShown",
                page: "KeyPage",
            },
        }
    }
}

pub(super) fn of_level(level: Level) -> Vec<Operation> {
    let operations = of_all(level).into_iter().chain(of_one(level));
    let named = operations.map(|operation| Operation {
        level: Some(level),
        ..operation
    });
    named.collect()
}

fn of_all(level: Level) -> [Operation; 2] {
    let (one, many) = (level.name(), level.plural());
    let list = format!("/{many}");
    let Schemas {
        written,
        made,
        page,
        ..
    } = Schemas::of(level);
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
    ]
}

fn of_one(level: Level) -> [Operation; 3] {
    let (one, many) = (level.name(), level.plural());
    let single = format!("/{many}/{{name}}");
    let Schemas { change, shown, .. } = Schemas::of(level);
    [
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

pub(super) fn of_keys() -> [Operation; 4] {
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
