//! Organisations, teams, users and keys: list, make, show, change, delete.

use serde_json::{Map, Value, json};
use tollgate_core::config::check::{read_name, read_tenant};
use tollgate_core::config::node::Node;
use tollgate_core::config::{Key, moment};
use tollgate_core::tenancy::{Directory, Entity, KeyHash, Level, Managed, Secret, Tenant, form};

use super::operation::Operation;
use super::reply::{Refused, Reply, put};
use super::request::{Context, Request, no_object, wrong};
use super::token;
use crate::engine::Plan;
use crate::store::AuditEntry;

/// How our keys begin.
const KEY_PREFIX: &str = "sk-tg-";

pub(super) fn level_of(operation: &Operation) -> Level {
    operation.level.unwrap_or(Level::Key)
}

pub(super) fn list(
    context: &Context,
    operation: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    let level = level_of(operation);
    let page = request.page()?;
    let after = page.after.unwrap_or_default();
    let disabled = match request.asks("disabled") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(wrong("disabled", "write `true` or `false`")),
    };
    let managed = match request.asks("managed") {
        None => None,
        Some("api") => Some(Managed::Api),
        Some("file") => Some(Managed::File),
        Some(_) => return Err(wrong("managed", "write `api` or `file`")),
    };
    let fits = |tenant: &Tenant| {
        let is = |asked: Option<&str>, name: &String| asked.is_none_or(|asked| asked == name);
        is(request.asks("org"), &tenant.org)
            && is(request.asks("team"), &tenant.team)
            && is(request.asks("user"), &tenant.user)
            && disabled.is_none_or(|disabled| disabled == tenant.is_off())
            && managed.is_none_or(|managed| managed == tenant.managed)
    };
    let found = context.look(|directory| {
        let tenants = directory.tenants(level, &after);
        let fitting = tenants.filter(|(_, tenant)| fits(tenant));
        let rows = fitting.take(page.size.saturating_add(1));
        rows.map(|(name, tenant)| (name.to_owned(), show(level, name, tenant)))
            .collect::<Vec<_>>()
    });
    let mut rows = found.unwrap_or_default();
    let more = rows.len() > page.size;
    rows.truncate(page.size);
    let next = rows.last().filter(|_| more).map(|(name, _)| name.clone());
    let data: Vec<Value> = rows.into_iter().map(|(_, shown)| shown).collect();
    Ok(Reply::ok(json!({"data": data, "next": next})))
}

pub(super) fn get(
    context: &Context,
    operation: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    shown(context, level_of(operation), request.name())
}

/// The tenant as it is now.
pub(super) fn shown(context: &Context, level: Level, name: &str) -> Result<Reply, Refused> {
    let shown = context.look(|directory| {
        let tenant = directory.tenant(level, name)?;
        let mut shown = show(level, name, tenant);
        if let Some(resolved) = resolved(directory, tenant) {
            put(&mut shown, "resolved", json!(resolved));
        }
        Some(shown)
    });
    shown
        .flatten()
        .map(Reply::ok)
        .ok_or_else(|| Refused::unknown(level.name(), name))
}

/// What a key may do, with all that follows from who it belongs to.
fn resolved(directory: &Directory, tenant: &Tenant) -> Option<Key> {
    directory.key(&tenant.secrets.last()?.sha256)
}

/// A tenant as it is shown: as it may be written, and what is not written.
pub(super) fn show(level: Level, name: &str, tenant: &Tenant) -> Value {
    let mut shown = Map::new();
    shown.insert("name".to_owned(), json!(name));
    shown.extend(form::tenant(tenant));
    shown.insert("disabled".to_owned(), json!(tenant.is_off()));
    shown.insert("managed".to_owned(), json!(tenant.managed));
    if level == Level::Key {
        let secret = |secret: &Secret| match secret.expires {
            Some(at) => json!({"sha256": secret.sha256.to_string(), "expires": moment::show(at)}),
            None => json!({"sha256": secret.sha256.to_string()}),
        };
        let secrets: Vec<Value> = tenant.secrets.iter().map(secret).collect();
        shown.insert("secrets".to_owned(), json!(secrets));
    }
    Value::Object(shown)
}

pub(super) fn create(
    context: &Context,
    operation: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    let level = level_of(operation);
    let Value::Object(_) = request.body else {
        return Err(no_object());
    };
    let (name, mut tenant) = read_tenant(level, &Node::from(&request.body), &context.known())
        .map_err(Refused::invalid)?;
    let name = name.ok_or_else(|| {
        let fix = format!(
            r#"write what the {} is called: {{"name": "search"}}"#,
            level.name()
        );
        Refused::new(400, "invalid_body", "`name` is missing", fix)
    })?;
    let secret = if level == Level::Key && tenant.secrets.is_empty() {
        let secret = new_secret()?;
        tenant.secrets.push(Secret {
            sha256: KeyHash::of(secret.as_bytes()),
            expires: None,
        });
        Some(secret)
    } else {
        None
    };
    let (made, actor) = (name.clone(), request.actor.clone());
    context.backend.change(Box::new(move |directory| {
        if directory.tenant(level, &made).is_some() {
            let message = format!("there is a {} named `{made}` already", level.name());
            return Err(Refused::new(
                409,
                "exists",
                message,
                "choose another name, or change that one",
            ));
        }
        check_parents(directory, &tenant)?;
        plan(directory, &actor, "create", level, &made, Some(tenant))
    }))?;
    let mut reply = shown(context, level, &name)?;
    if let Some(secret) = secret {
        put(&mut reply.body, "secret", json!(secret));
    }
    Ok(Reply::created(reply.body))
}

/// A new virtual key.
pub(super) fn new_secret() -> Result<String, Refused> {
    token::random(KEY_PREFIX).map_err(|error| {
        let message = format!("no random numbers: {error}");
        Refused::new(500, "no_random_numbers", message, "look at the machine")
    })
}

pub(super) fn change(
    context: &Context,
    operation: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    let level = level_of(operation);
    let Value::Object(patch) = request.body.clone() else {
        return Err(no_object());
    };
    let (name, actor, known) = (
        request.name().to_owned(),
        request.actor.clone(),
        context.known(),
    );
    context.backend.change(Box::new(move |directory| {
        let tenant = existing(directory, level, &name)?;
        if tenant.managed == Managed::File {
            return match patch.get("disabled") {
                Some(Value::Bool(off)) if patch.len() == 1 => {
                    disable(directory, &actor, level, &name, Off::from(*off))
                }
                _ => Err(managed_by_file(level.name(), &name)),
            };
        }
        if patch.contains_key("sha256") || patch.get("name").is_some_and(|it| *it != json!(name)) {
            return Err(Refused::new(
                400,
                "invalid_body",
                "a name and a hash never change",
                "make another one; a new secret comes by POST /api/v1/keys/{name}/rotate",
            ));
        }
        let mut form = form::tenant(tenant);
        for (field, value) in patch {
            if value.is_null() {
                form.remove(&field);
            } else {
                form.insert(field, value);
            }
        }
        let body = Value::Object(form);
        let (_, written) =
            read_tenant(level, &Node::from(&body), &known).map_err(Refused::invalid)?;
        check_parents(directory, &written)?;
        let changed = Tenant {
            secrets: tenant.secrets.clone(),
            ..written
        };
        plan(directory, &actor, "update", level, &name, Some(changed))
    }))?;
    shown(context, level, request.name())
}

pub(super) fn delete(
    context: &Context,
    operation: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    let level = level_of(operation);
    let (name, actor) = (request.name().to_owned(), request.actor.clone());
    context.backend.change(Box::new(move |directory| {
        let tenant = existing(directory, level, &name)?;
        if tenant.managed == Managed::File {
            return Err(managed_by_file(level.name(), &name));
        }
        if let Some((of, member)) = directory.members(level, &name).next() {
            let message = format!(
                "the {} `{member}` and perhaps others belong to it",
                of.name()
            );
            return Err(Refused::new(
                409,
                "has_members",
                message,
                "move or delete them first",
            ));
        }
        plan(directory, &actor, "delete", level, &name, None)
    }))?;
    Ok(Reply::ok(json!({"deleted": request.name()})))
}

pub(super) fn existing<'a>(
    directory: &'a Directory,
    level: Level,
    name: &str,
) -> Result<&'a Tenant, Refused> {
    let tenant = directory.tenant(level, name);
    tenant.ok_or_else(|| Refused::unknown(level.name(), name))
}

pub(super) fn managed_by_file(noun: &str, name: &str) -> Refused {
    Refused::new(
        409,
        "managed_by_file",
        format!("the {noun} `{name}` is described in gateway.yaml"),
        "change it there, under `tenants`, and start the service anew; here it can only be disabled and enabled",
    )
}

/// A tenant belongs only to those that there are.
fn check_parents(directory: &Directory, tenant: &Tenant) -> Result<(), Refused> {
    for (level, name) in tenant.parents() {
        if directory.tenant(level, name).is_none() {
            let noun = level.name();
            return Err(Refused::new(
                400,
                "unknown_parent",
                format!("no {noun} is named `{name}`"),
                format!("make it first: POST /api/v1/{}", level.plural()),
            ));
        }
    }
    Ok(())
}

/// Whether a tenant's callers are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Off {
    Disabled,
    Enabled,
}

impl From<bool> for Off {
    fn from(disabled: bool) -> Self {
        if disabled {
            Self::Disabled
        } else {
            Self::Enabled
        }
    }
}

pub(super) fn disable(
    directory: &Directory,
    actor: &str,
    level: Level,
    name: &str,
    off: Off,
) -> Result<Plan, Refused> {
    let mut tenant = existing(directory, level, name)?.clone();
    let disabled = off == Off::Disabled;
    match tenant.managed {
        Managed::File if tenant.disabled && !disabled => {
            return Err(managed_by_file(level.name(), name));
        }
        Managed::File => tenant.suspended = disabled,
        Managed::Api => (tenant.disabled, tenant.suspended) = (disabled, false),
    }
    let action = if disabled { "disable" } else { "enable" };
    plan(directory, actor, action, level, name, Some(tenant))
}

/// The change, with its line for the audit log: what was and what is, without hashes.
pub(super) fn plan(
    directory: &Directory,
    actor: &str,
    action: &str,
    level: Level,
    name: &str,
    tenant: Option<Tenant>,
) -> Result<Plan, Refused> {
    if tenant.is_some() {
        read_name(name).map_err(Refused::invalid)?;
    }
    let told = |tenant: Option<&Tenant>| {
        tenant.map(|tenant| {
            let mut told = form::tenant(tenant);
            told.insert("disabled".to_owned(), json!(tenant.is_off()));
            Value::Object(told)
        })
    };
    let detail = json!({
        "before": told(directory.tenant(level, name)),
        "after": told(tenant.as_ref()),
    });
    let entity = Entity::Tenant(level, name.to_owned(), tenant.map(Box::new));
    directory.check(&entity)?;
    Ok(Plan {
        entities: vec![entity],
        audit: vec![AuditEntry {
            actor: actor.to_owned(),
            action: action.to_owned(),
            kind: level.name().to_owned(),
            id: name.to_owned(),
            detail: detail.to_string(),
        }],
    })
}
