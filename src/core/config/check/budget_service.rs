//! The budget service: one that is started here, or one that runs elsewhere.

use std::net::{Ipv4Addr, SocketAddr};

use crate::config::BudgetService;
use crate::config::deploy::{BudgetPlace, LocalBudget};
use crate::config::problem::Problems;
use crate::config::raw::{self, Given, Written};
use crate::config::url::{self, Scheme};

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
        }),
    })
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
