//! Budgets and limits by the scope that has them, and how they stand.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tollgate_core::config::Limits;
use tollgate_core::config::check::{read_common, read_name};
use tollgate_core::config::node::Node;
use tollgate_core::endpoint::ENDPOINTS;
use tollgate_core::money::ids::AccountKey;
use tollgate_core::money::ledger::{Account, LeaseStanding};
use tollgate_core::money::window::Period;
use tollgate_core::tenancy::{
    Budget, BudgetSpec, Common, CommonScope, Directory, Entity, Level, Managed, ScopeSpec, Tenant,
    form,
};
use tollgate_core::units::NanoUsd;

use super::operation::Operation;
use super::reply::{Refused, Reply};
use super::request::{Context, Request, no_object};
use super::tenants::{existing, managed_by_file, plan};
use crate::engine::Plan;
use crate::store::{AuditEntry, LeaseRow, Page};

const BUDGET_FIELDS: &[&str] = &[
    "max_budget",
    "soft_budget",
    "budget_duration",
    "time_zone",
    "budgets",
];
const LIMIT_FIELDS: &[&str] = &["rpm_limit", "tpm_limit", "max_parallel_requests", "burst"];
/// So many open leases are looked through for what is presumed.
const LEASES_MAX: usize = 100_000;

/// Whose money it is.
enum Whose {
    Common(CommonScope),
    Tenant(Level, String),
}

fn whose(scope: &str) -> Result<Whose, Refused> {
    if let Some(common) = CommonScope::read(scope) {
        return Ok(Whose::Common(common));
    }
    let tenant = scope.split_once(':').and_then(|(level, name)| {
        let level = Level::read(level)?;
        Some(Whose::Tenant(level, name.to_owned()))
    });
    tenant.ok_or_else(|| {
        Refused::new(
            400,
            "invalid_scope",
            format!("`{scope}` is no scope"),
            "write `everyone`, `org:NAME`, `team:NAME`, `user:NAME`, `key:NAME`, `model:NAME` or `tag:NAME`",
        )
    })
}

/// Budgets and limits, who manages them, under the name of their scope.
fn money_of(directory: &Directory, whose: &Whose) -> Option<Common> {
    match whose {
        Whose::Common(scope) => directory.common(scope).cloned(),
        Whose::Tenant(level, name) => directory.tenant(*level, name).map(|tenant| Common {
            managed: tenant.managed,
            budgets: tenant.budgets.clone(),
            limits: tenant.limits.clone(),
        }),
    }
}

fn show(scope: &str, money: &Common) -> Value {
    let mut shown = Map::new();
    shown.insert("scope".to_owned(), json!(scope));
    shown.insert("managed".to_owned(), json!(money.managed));
    shown.extend(form::common(money));
    Value::Object(shown)
}

pub(super) fn list_budgets(
    context: &Context,
    _: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    list(context, request, |money| !money.budgets.is_empty())
}

pub(super) fn list_limits(
    context: &Context,
    _: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    list(context, request, |money| !money.limits.is_empty())
}

/// By the names of the scopes.
fn list(context: &Context, request: &Request, fits: fn(&Common) -> bool) -> Result<Reply, Refused> {
    let page = request.page()?;
    let after = page.after.unwrap_or_default();
    let found = context.look(|directory| {
        let mut found: BTreeMap<String, Value> = BTreeMap::new();
        let mut add = |scope: String, money: &Common| {
            if scope > after && fits(money) {
                found.insert(scope.clone(), show(&scope, money));
            }
            if found.len() > page.size.saturating_add(1) {
                found.pop_last();
            }
        };
        for (scope, money) in directory.all_common() {
            add(scope.to_string(), money);
        }
        for level in Level::ALL {
            for (name, tenant) in directory.tenants(level, "") {
                let money = Common {
                    managed: tenant.managed,
                    budgets: tenant.budgets.clone(),
                    limits: tenant.limits.clone(),
                };
                add(level.scope(name), &money);
            }
        }
        found
    });
    let mut found = found.unwrap_or_default();
    let mut next = None;
    if found.len() > page.size {
        found.pop_last();
        next = found.last_key_value().map(|(scope, _)| scope.clone());
    }
    let data: Vec<Value> = found.into_values().collect();
    Ok(Reply::ok(json!({"data": data, "next": next})))
}

/// Whoever stops an Envoy calls this first: what it had left would count as spent.
pub(super) fn recall(
    context: &Context,
    _: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    request.check_body(&[])?;
    let recalled = context.backend.recall(&request.actor)?;
    Ok(Reply::ok(json!({"recalled": recalled})))
}

pub(super) fn get(context: &Context, _: &Operation, request: &Request) -> Result<Reply, Refused> {
    let scope = request.name();
    let whose = whose(scope)?;
    let money = context.look(|directory| money_of(directory, &whose));
    let money = money.flatten().or_else(|| match whose {
        // Everybody shares it, also where nobody said anything of it yet.
        Whose::Common(_) => Some(Common::default()),
        Whose::Tenant(..) => None,
    });
    money
        .map(|money| Reply::ok(show(scope, &money)))
        .ok_or_else(|| unknown(scope))
}

fn unknown(scope: &str) -> Refused {
    let fix = "make it first: POST /api/v1/teams and the like";
    Refused::new(404, "not_found", format!("there is no `{scope}`"), fix)
}

pub(super) fn set_budgets(
    context: &Context,
    _: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    let written = written(context, request, BUDGET_FIELDS)?;
    set(context, request, move |money| {
        money.budgets.clone_from(&written.budgets)
    })
}

pub(super) fn delete_budgets(
    context: &Context,
    _: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    set(context, request, |money| money.budgets.clear())
}

pub(super) fn set_limits(
    context: &Context,
    _: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    let written = written(context, request, LIMIT_FIELDS)?;
    set(context, request, move |money| {
        money.limits = written.limits.clone();
    })
}

pub(super) fn delete_limits(
    context: &Context,
    _: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    set(context, request, |money| money.limits = Limits::default())
}

fn written(context: &Context, request: &Request, fields: &[&str]) -> Result<Common, Refused> {
    let Value::Object(_) = request.body else {
        return Err(no_object());
    };
    request.check_body(fields)?;
    read_common(&Node::from(&request.body), &context.known()).map_err(Refused::invalid)
}

fn set(
    context: &Context,
    request: &Request,
    change: impl Fn(&mut Common) + Send + 'static,
) -> Result<Reply, Refused> {
    let scope = request.name().to_owned();
    let whose = whose(&scope)?;
    if let Whose::Common(
        CommonScope::Model(name) | CommonScope::Tag(name) | CommonScope::Tier(name),
    ) = &whose
    {
        read_name(name).map_err(Refused::invalid)?;
    }
    if let (Whose::Common(CommonScope::Model(model)), Some(models)) = (&whose, &context.models)
        && !models.contains(model)
    {
        let fix = "write the name that callers use, from `models` in gateway.yaml";
        return Err(Refused::new(
            404,
            "not_found",
            format!("no model is named `{model}`"),
            fix,
        ));
    }
    if let Whose::Common(CommonScope::Endpoint(path)) = &whose
        && ENDPOINTS.iter().all(|endpoint| endpoint.path != path)
    {
        let fix = "write its path: `/v1/chat/completions`";
        let found = format!("no endpoint is `{path}`");
        return Err(Refused::new(404, "not_found", found, fix));
    }
    let actor = request.actor.clone();
    context.backend.change(Box::new(move |directory| {
        let before = money_of(directory, &whose);
        if before
            .as_ref()
            .is_some_and(|it| it.managed == Managed::File)
        {
            return Err(managed_by_file("scope", &scope));
        }
        match whose {
            Whose::Tenant(level, name) => {
                let tenant = existing(directory, level, &name).map_err(|_| unknown(&scope))?;
                let mut money = before.unwrap_or_default();
                change(&mut money);
                let tenant = Tenant {
                    budgets: money.budgets,
                    limits: money.limits,
                    ..tenant.clone()
                };
                plan(directory, &actor, "update", level, &name, Some(tenant))
            }
            Whose::Common(common) => {
                let mut money = before.clone().unwrap_or_default();
                change(&mut money);
                plan_common(directory, actor, common, before.as_ref(), money)
            }
        }
    }))?;
    get_after(context, request)
}

fn get_after(context: &Context, request: &Request) -> Result<Reply, Refused> {
    let whose = whose(request.name())?;
    let money = context
        .look(|directory| money_of(directory, &whose))
        .flatten();
    Ok(Reply::ok(show(request.name(), &money.unwrap_or_default())))
}

fn plan_common(
    directory: &Directory,
    actor: String,
    scope: CommonScope,
    before: Option<&Common>,
    money: Common,
) -> Result<Plan, Refused> {
    let audit = AuditEntry {
        actor,
        action: "update".to_owned(),
        kind: "budget".to_owned(),
        id: scope.to_string(),
        detail: json!({
            "before": before.map(form::common),
            "after": form::common(&money),
        })
        .to_string(),
    };
    // With its last budget it goes, but not its scope: what is held for it is still to be given back.
    let entity = Entity::Common(scope, Some(money));
    directory.check(&entity)?;
    Ok(Plan {
        entities: vec![entity],
        audit: vec![audit],
    })
}

pub(super) fn accounts(
    context: &Context,
    _: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    let asked = request.asks("scope");
    let found = context.look(|directory| {
        let of_one = asked.map(|scope| {
            let budgets = directory.budgets(scope)?;
            let id = tollgate_core::money::ids::ScopeId::named(scope);
            Some((directory.scope(id)?, budgets.to_vec()))
        });
        match of_one {
            Some(one) => one.map(|one| vec![one]),
            None => Some(
                directory
                    .scopes()
                    .map(|scope| {
                        let budgets = directory.budgets(&scope.name).unwrap_or_default().to_vec();
                        (scope, budgets)
                    })
                    .collect(),
            ),
        }
    });
    let Some(scopes) = found.flatten() else {
        return Err(unknown(asked.unwrap_or_default()));
    };
    let open: Vec<Standing> = scopes
        .iter()
        .flat_map(|(scope, budgets)| standings(context, request, scope, budgets))
        .collect();
    let keys: BTreeSet<AccountKey> = open.iter().map(|standing| standing.key).collect();
    let rows = context.read(|reader| reader.accounts(&keys))?;
    let rows: BTreeMap<AccountKey, Account> =
        rows.into_iter().map(|row| (row.key, row.account)).collect();
    let presumed = presumed(
        context,
        scopes.first().filter(|_| asked.is_some()).map(|it| &it.0),
    )?;
    let data: Vec<Value> = open
        .iter()
        .map(|standing| {
            let account = rows.get(&standing.key).copied().unwrap_or_default();
            let presumed = presumed.get(&standing.key).copied().unwrap_or_default();
            standing.show(request.now.0, &account, presumed)
        })
        .collect();
    Ok(Reply::ok(json!({"data": data})))
}

/// A budget in the window that is open now.
struct Standing {
    key: AccountKey,
    scope: String,
    spec: BudgetSpec,
    budget: Budget,
    ends_in_ms: Option<u64>,
}

fn standings(
    context: &Context,
    request: &Request,
    scope: &ScopeSpec,
    budgets: &[Budget],
) -> Vec<Standing> {
    let windows = context.backend.windows(scope, request.now);
    let specs = scope.budgets.iter().zip(budgets).zip(windows);
    specs
        .map(|((spec, budget), window)| Standing {
            key: AccountKey {
                budget: spec.budget.id,
                window: window.id,
            },
            scope: scope.name.clone(),
            spec: spec.clone(),
            budget: budget.clone(),
            ends_in_ms: window.ends_in_ms,
        })
        .collect()
}

/// What is presumed spent, by account.
fn presumed(
    context: &Context,
    scope: Option<&ScopeSpec>,
) -> Result<BTreeMap<AccountKey, NanoUsd>, Refused> {
    let mut presumed: BTreeMap<AccountKey, NanoUsd> = BTreeMap::new();
    let mut page = Page {
        size: 1_000,
        after: None,
    };
    let mut seen = 0_usize;
    loop {
        let paged =
            context.read(|reader| reader.open_leases(scope.map(|scope| scope.id), &page))?;
        seen = seen.saturating_add(paged.rows.len());
        for LeaseRow { lease, .. } in paged.rows {
            if lease.standing != LeaseStanding::Presumed {
                continue;
            }
            let rest = lease.remainder().unwrap_or_default();
            for key in lease.accounts {
                let sum = presumed.entry(key).or_default();
                sum.0 = sum.0.saturating_add(rest.0);
            }
        }
        match paged.next {
            Some(next) if seen < LEASES_MAX => page.after = Some(next),
            Some(_) | None => return Ok(presumed),
        }
    }
}

impl Standing {
    /// Amounts are in dollars, as text. What is presumed is a part of what is spent.
    fn show(&self, now: u64, account: &Account, presumed: NanoUsd) -> Value {
        let available = account.available(&self.spec.budget).ok().flatten();
        // Windows end on whole seconds, and what is left of one was rounded down.
        let resets = self.ends_in_ms.map(|millis| {
            let at = now.saturating_add(millis.saturating_mul(1_000_000));
            tollgate_core::config::moment::show(at.div_ceil(1_000_000_000))
        });
        json!({
            "scope": self.scope,
            "budget": self.budget.name,
            "window": match self.spec.period {
                Period::Day => "day",
                Period::Week => "week",
                Period::Month => "month",
                Period::Total => "total",
            },
            "time_zone": self.spec.time_zone,
            "mode": self.budget.mode,
            "limit": form::dollars(self.spec.budget.limit),
            "spent": form::dollars(account.posted),
            "held": form::dollars(account.held),
            "presumed": form::dollars(presumed),
            "overrun": form::dollars(account.overrun),
            "available": available.map(form::dollars),
            "resets": resets,
        })
    }
}
