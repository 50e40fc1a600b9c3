//! The budget service: one that is started here, or one that runs elsewhere.

use std::net::{Ipv4Addr, SocketAddr};

use super::must;
use crate::config::BudgetService;
use crate::config::deploy::{AlertShape, AlertSink, BudgetPlace, LocalBudget};
use crate::config::problem::{Place, Problems};
use crate::config::raw::{self, Given, Written};
use crate::config::url::{self, Scheme};
use crate::tenancy::Entity;

pub(super) const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7_600);
pub(super) const ADMIN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7_601);
/// Envoy's cluster for it. The name is no provider's: those are `tollgate-NAME`, and have no dot.
const CLUSTER: &str = "tollgate.budget";
const KEYS_KEPT_MS: u64 = 3_600_000;
const STORE_FIX: &str =
    "write `sqlite`, `sqlite:PATH`, `postgres://USER:${PASSWORD}@HOST/DATABASE`, or `memory`";

/// What the filter knows of it, and what surrounds that. None where the file has no such section.
pub(super) fn check(
    written: &raw::Config,
    problems: &mut Problems,
) -> Option<(BudgetService, BudgetPlace)> {
    let section = &written.budget_service.written()?.value;
    let place = match &section.url {
        Given::Absent => local(section, problems)?,
        Given::Mistaken => return None,
        Given::Written(text) => remote(section, text, problems)?,
    };
    let service = BudgetService {
        cluster: CLUSTER.to_owned(),
        authority: place.authority.clone(),
        keys_kept_ms: section.keys_kept.value_or(KEYS_KEPT_MS),
    };
    Some((service, place))
}

fn local(section: &raw::BudgetService, problems: &mut Problems) -> Option<BudgetPlace> {
    let listen = section.listen.value_or(LISTEN);
    let store = match &section.store {
        Given::Absent => Some("sqlite".to_owned()),
        Given::Mistaken => None,
        Given::Written(text) if is_store(&text.value) => Some(text.value.clone()),
        Given::Written(text) => {
            // Not what stands there: a password may.
            let found = "this is no store that is known";
            problems.push(text.place.problem(found, STORE_FIX));
            None
        }
    };
    // Envoy is on this machine, wherever else the service listens.
    let reached = if listen.ip().is_unspecified() {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listen.port())
    } else {
        listen
    };
    Some(BudgetPlace {
        host: reached.ip().to_string(),
        port: reached.port(),
        authority: reached.to_string(),
        local: Some(LocalBudget {
            listen,
            admin: section.admin.value_or(ADMIN),
            store: store?,
            admin_token: section.admin_token.written().map(|it| it.value.clone()),
            alerts: alerts(section, problems),
        }),
    })
}

fn alerts(section: &raw::BudgetService, problems: &mut Problems) -> Vec<AlertSink> {
    let mut sinks = Vec::new();
    let all = section
        .alerts
        .written()
        .into_iter()
        .flat_map(|it| &it.value);
    for written in all.filter_map(Given::written) {
        let fields = &written.value;
        let fix = "write where its address stands: `url: {env: ALERT_URL}`";
        let url = must(&fields.url, "url", &written.place, fix, problems);
        let at = fields.at.written().map(|list| {
            let shares = list.value.iter().filter_map(Given::written);
            for share in shares.clone().filter(|share| share.value > 100) {
                let found = "no step of a budget is above 100 percent";
                problems.push(
                    share
                        .place
                        .problem(found, "write a step: 50, 75, 80, 90 or 100"),
                );
            }
            shares.map(|share| share.value).collect()
        });
        sinks.extend(url.map(|url| AlertSink {
            url: url.value.clone(),
            shape: fields.shape.value_or(AlertShape::Json),
            at,
        }));
    }
    sinks
}

/// Without the service nobody holds money, so a budget would be a wish.
pub(super) fn needed(written: &raw::Config, tenants: &[Entity], problems: &mut Problems) {
    let has_budget = |entity: &Entity| match entity {
        Entity::Tenant(_, _, Some(tenant)) => !tenant.budgets.is_empty(),
        Entity::Common(_, Some(common)) => !common.budgets.is_empty(),
        Entity::Tenant(_, _, None) | Entity::Common(_, None) | Entity::Switch(..) => false,
    };
    if let (Given::Absent, Given::Written(section)) = (&written.budget_service, &written.tenants)
        && let Some(entity) = tenants.iter().find(|entity| has_budget(entity))
    {
        let found = format!(
            "`{}` has a budget, and no budget service holds it",
            entity.id()
        );
        let fix = "write `budget_service: {store: sqlite}`";
        problems.missing(
            &["budget_service"],
            &Place::root(section.place.line()),
            &found,
            fix,
        );
    }
}

fn is_store(text: &str) -> bool {
    let path = text.strip_prefix("sqlite:");
    matches!(text, "sqlite" | "memory")
        || path.is_some_and(|path| !path.is_empty())
        || text.starts_with("postgres://")
        || text.starts_with("postgresql://")
}

fn remote(
    section: &raw::BudgetService,
    text: &Written<String>,
    problems: &mut Problems,
) -> Option<BudgetPlace> {
    let fix = "remove it, or `url` to start the service here";
    let elsewhere =
        |name: &str| format!("a service at a `url` is started elsewhere, with its `{name}`");
    for (name, given) in [("listen", &section.listen), ("admin", &section.admin)] {
        if let Given::Written(written) = given {
            problems.push(written.place.problem(elsewhere(name), fix));
        }
    }
    if let Given::Written(store) = &section.store {
        problems.push(store.place.problem(elsewhere("store"), fix));
    }
    if let Given::Written(token) = &section.admin_token {
        problems.push(token.place.problem(elsewhere("admin_token"), fix));
    }
    if let Given::Written(alerts) = &section.alerts {
        problems.push(alerts.place.problem(elsewhere("alerts"), fix));
    }
    let url = match url::read(&text.value, &text.shown()) {
        Ok(url) => url,
        Err((found, fix)) => {
            problems.push(text.place.problem(found, fix));
            return None;
        }
    };
    if url.scheme == Scheme::Https || !url.path.is_empty() {
        problems.push(text.place.problem(
            format!("{} is not how the budget service is reached", text.shown()),
            "write `http://HOST:7600`: it speaks plain HTTP/2, so keep the way to it private, or in a mesh that encrypts",
        ));
        return None;
    }
    Some(BudgetPlace {
        host: url.host,
        port: url.port,
        authority: url.authority,
        local: None,
    })
}
