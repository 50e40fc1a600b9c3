//! The OpenAPI document: made of the list of operations, so that it cannot leave one out.

use serde_json::{Map, Value, json};

use super::operation::{Access, Operation};
use super::operations::all;
use super::reply::{Refused, Reply, put};
use super::request::{Context, Request};
use super::server::BASE;

pub(super) fn show(_: &Context, _: &Operation, _: &Request) -> Result<Reply, Refused> {
    Ok(Reply::ok(document()))
}

/// The whole document, OpenAPI 3.1.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in all() {
        let path = paths.entry(format!("{BASE}{}", operation.path));
        let methods = path.or_insert_with(|| json!({}));
        methods[operation.method.to_ascii_lowercase()] = described(&operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Organisations, teams, users, keys, budgets, switches, and what was spent. \
                Amounts are dollars as text; moments are RFC 3339 in UTC.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas(),
        },
    })
}

fn described(operation: &Operation) -> Value {
    let mut parameters: Vec<Value> = operation
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.extend(operation.query.iter().map(|parameter| {
        json!({
            "name": parameter.name,
            "in": "query",
            "description": parameter.about,
            "schema": {"type": "string"},
        })
    }));
    let (status, schema) = operation.answer;
    let mut responses = Map::new();
    responses.insert(status.to_string(), response("As asked for.", schema));
    let always: &[u16] = match operation.access {
        Access::Admin => &[400, 401, 500, 503],
        Access::Anybody => &[400],
    };
    for status in always.iter().chain(operation.refusals) {
        responses.insert(status.to_string(), response(why(*status), "Error"));
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if operation.access == Access::Admin {
        put(&mut described, "security", json!([{"token": []}]));
    }
    if let Some(schema) = operation.body {
        let body = json!({"content": content(schema)});
        put(&mut described, "requestBody", body);
    }
    described
}

fn response(description: &str, schema: &str) -> Value {
    json!({"description": description, "content": content(schema)})
}

fn content(schema: &str) -> Value {
    json!({"application/json": {"schema": reference(schema)}})
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn why(status: u16) -> &'static str {
    match status {
        400 => "It cannot be understood: every mistake is told.",
        401 => "The admin token is missing or wrong.",
        404 => "Nothing is called so.",
        409 => "It contradicts what there is, or gateway.yaml manages it.",
        503 => "The store does not answer now.",
        _ => "Something failed here.",
    }
}

fn text() -> Value {
    json!({"type": "string"})
}

fn object(fields: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": fields, "required": required})
}

/// What may be written, and nothing else.
fn written(parts: &[Value], required: &[&str]) -> Value {
    let mut fields = Map::new();
    for part in parts {
        fields.extend(part.as_object().cloned().unwrap_or_default());
    }
    json!({
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": false,
    })
}

/// A change: each field may be `null`, which takes it away.
fn change(parts: &[Value]) -> Value {
    let mut schema = written(parts, &[]);
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (_, field) in fields.into_iter().flatten() {
        let whole = field.take();
        *field = json!({"oneOf": [whole, {"type": "null"}]});
    }
    schema
}

fn page_of(schema: &str) -> Value {
    let fields = json!({
        "data": {"type": "array", "items": reference(schema)},
        "next": {"type": ["string", "null"]},
    });
    object(fields, &["data", "next"])
}

fn list_of(schema: &str) -> Value {
    object(
        json!({"data": {"type": "array", "items": reference(schema)}}),
        &["data"],
    )
}

fn dollars() -> Value {
    json!({
        "description": "Dollars, exact: `\"0.50\"`.",
        "type": ["string", "number"],
    })
}

fn budget_fields() -> Value {
    json!({
        "max_budget": dollars(),
        "soft_budget": dollars(),
        "budget_duration": {"enum": ["day", "week", "month", "total", "1d", "24h", "7d", "1w", "30d", "1mo"]},
        "time_zone": text(),
        "budgets": {"type": "array", "items": reference("Budget")},
    })
}

fn limit_fields() -> Value {
    json!({
        "rpm_limit": {"type": "integer", "minimum": 1},
        "tpm_limit": {"type": "integer", "minimum": 1},
        "max_parallel_requests": {"type": "integer", "minimum": 1},
        "burst": text(),
        "limit_each": {"enum": ["org", "team", "user", "key"]},
        "queue": {
            "type": "object",
            "additionalProperties": false,
            "properties": {"max_wait": text(), "max_waiting": {"type": "integer", "minimum": 1}},
        },
        "downgrade_to": text(),
    })
}

fn tenant_fields() -> Value {
    let texts = json!({"type": "array", "items": text()});
    json!({
        "name": text(),
        "org": text(),
        "team": text(),
        "tier": text(),
        "models": texts,
        "endpoints": texts,
        "tags": texts,
        "disabled": {"type": "boolean"},
    })
}

fn key_fields() -> Value {
    json!({"user": text(), "sha256": text(), "expires": text()})
}

fn schemas() -> Value {
    let mut all = written_schemas();
    if let (Some(all), Value::Object(more)) = (all.as_object_mut(), shown_schemas()) {
        all.extend(more);
    }
    all
}

fn reprice_fields() -> Value {
    let price = json!({
        "provider": text(),
        "model": text(),
        "since": text(),
        "price": {
            "type": "object",
            "description": "As in the plugin's configuration: whole nano-dollars for a million tokens.",
        },
    });
    json!({
        "from": text(),
        "until": text(),
        "after": text(),
        "reason": text(),
        "dry_run": {"type": "boolean"},
        "prices": {"type": "array", "items": written(&[price], &["provider", "model", "price"])},
    })
}

fn written_schemas() -> Value {
    let (budgets, limits) = (budget_fields(), limit_fields());
    let tenant = [tenant_fields(), budgets.clone(), limits.clone()];
    let key = [
        tenant_fields(),
        key_fields(),
        budgets.clone(),
        limits.clone(),
    ];
    let budget = json!({
        "name": text(),
        "max": dollars(),
        "window": {"enum": ["day", "week", "month", "total", "1d", "24h", "7d", "1w", "30d", "1mo"]},
        "time_zone": text(),
        "mode": {"enum": ["hard", "soft", "audit"]},
        "steps": {"type": "object", "additionalProperties": {"enum": ["log", "warn", "downgrade", "refuse"]}},
        "overflow": text(),
        "when_unreachable": {"oneOf": [{"const": "deny"}, {"type": "object", "properties": {"debt": dollars()}}]},
        "when_tight": text(),
        "charge_on_disconnect": text(),
        "refuse_with": {"enum": [402, 429]},
        "downgrade_to": text(),
        "strict_records": {"type": "boolean"},
    });
    json!({
        "Tenant": written(&tenant, &[]),
        "Key": written(&key, &[]),
        "TenantChange": change(&tenant),
        "KeyChange": change(&key),
        "Budget": written(&[budget], &["max", "window"]),
        "Budgets": written(&[budgets], &[]),
        "Limits": written(&[limits], &[]),
        "Rotation": written(&[json!({"overlap": text()})], &[]),
        "Expiry": written(&[json!({"at": text()})], &[]),
        "SwitchOff": written(&[json!({"reason": text()})], &[]),
        "Reprice": written(&[reprice_fields()], &["from", "prices"]),
    })
}

fn shown_schemas() -> Value {
    let managed = json!({"enum": ["api", "file"]});
    let problem = object(
        json!({"at": text(), "message": text(), "fix": text()}),
        &["at", "message", "fix"],
    );
    let error = json!({
        "code": text(), "message": text(), "fix": text(),
        "problems": {"type": "array", "items": problem},
    });
    let scope = json!({"scope": text(), "managed": managed});
    let account = json!({
        "scope": text(), "budget": text(), "window": text(), "time_zone": text(), "mode": text(),
        "limit": text(), "spent": text(), "held": text(), "presumed": text(), "overrun": text(),
        "available": {"type": ["string", "null"]}, "resets": {"type": ["string", "null"]},
    });
    let switch = json!({"switch": text(), "off": {"type": "boolean"}, "reason": text()});
    let shown = json!({"name": text(), "managed": managed, "disabled": {"type": "boolean"}});
    let spend = json!({
        "from": text(), "until": text(), "total": {"type": "object"},
        "data": {"type": "array", "items": {"type": "object"}},
    });
    let entry = |required: &[&str]| object(json!({}), required);
    json!({
        "Object": {"type": "object"},
        "Error": object(json!({"error": object(error, &["code", "message", "fix"])}), &["error"]),
        "Health": object(json!({"status": text(), "version": text()}), &["status", "version"]),
        "Deleted": object(json!({"deleted": text()}), &["deleted"]),
        "TenantShown": object(shown.clone(), &["name", "managed", "disabled"]),
        "TenantPage": page_of("TenantShown"),
        "KeyShown": object(shown.clone(), &["name", "managed", "disabled", "secrets"]),
        "KeyMade": object(shown, &["name", "managed", "disabled", "secrets"]),
        "KeyPage": page_of("KeyShown"),
        "ScopeShown": object(scope, &["scope", "managed"]),
        "ScopePage": page_of("ScopeShown"),
        "Account": object(account, &["scope", "window", "limit", "spent", "held", "presumed", "resets"]),
        "Accounts": list_of("Account"),
        "Recalled": object(json!({"recalled": {"type": "integer"}}), &["recalled"]),
        "Switch": object(switch, &["switch", "off"]),
        "Switches": list_of("Switch"),
        "Spend": object(spend, &["from", "until", "data", "total"]),
        "Record": entry(&["name", "record", "cost"]),
        "Repriced": entry(&["records", "same", "corrected", "more", "less", "not_by_usage", "no_price", "failed", "next"]),
        "RecordPage": page_of("Record"),
        "Audit": entry(&["id", "at", "actor", "action", "kind", "name", "detail"]),
        "AuditPage": page_of("Audit"),
        "Alert": entry(&["id", "at", "alert", "standing", "tries"]),
        "AlertPage": page_of("Alert"),
    })
}
