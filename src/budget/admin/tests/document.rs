//! The OpenAPI document tells the truth: every path and method in it answers as it says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::stage::Stage;
use crate::admin::operations::all;
use crate::admin::{BASE, document};

/// What is wrong with a value under a schema, in the words that our schemas use.
fn wrong(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').unwrap();
        let schema = document
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{reference} is nowhere"));
        return wrong(document, schema, value, at);
    }
    if let Some(any) = schema["oneOf"].as_array() {
        let fits = any
            .iter()
            .any(|schema| wrong(document, schema, value, at).is_empty());
        return if fits {
            Vec::new()
        } else {
            vec![format!("{at} is none of them: {value}")]
        };
    }
    let mut found = Vec::new();
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    };
    let counts = allowed.contains(&kind) || kind == "integer" && allowed.contains(&"number");
    if !allowed.is_empty() && !counts {
        found.push(format!("{at} is {kind}: {value}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        found.push(format!("{at} is {value}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            found.push(format!("{at}.{name} is missing"));
        }
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => found.extend(wrong(document, schema, value, &format!("{at}.{name}"))),
            None if schema["additionalProperties"] == false => {
                found.push(format!("{at}.{name} is unknown"))
            }
            None => {}
        }
    }
    for element in value.as_array().into_iter().flatten() {
        found.extend(wrong(
            document,
            &schema["items"],
            element,
            &format!("{at}[]"),
        ));
    }
    found
}

/// Every operation, in an order in which there is something to show, and at last nothing.
const WALK: &[&str] = &[
    "GET /health",
    "GET /ready",
    "GET /openapi.json",
    r#"POST /orgs {"name": "o", "tier": "free", "soft_budget": 3}"#,
    r#"POST /teams {"name": "t", "org": "o", "tags": ["chat"]}"#,
    r#"POST /users {"name": "u", "team": "t"}"#,
    r#"POST /keys {"name": "k", "user": "u", "budgets": [{"max": 5, "window": "day", "when_unreachable": {"debt": "1"}}]}"#,
    "GET /orgs",
    "GET /teams",
    "GET /users",
    "GET /keys",
    "GET /orgs/o",
    "GET /teams/t",
    "GET /users/u",
    "GET /keys/k",
    r#"PATCH /orgs/o {"tier": null}"#,
    r#"PATCH /teams/t {"models": ["small"]}"#,
    r#"PATCH /users/u {"disabled": true}"#,
    r#"PATCH /keys/k {"rpm_limit": 5, "burst": "200%"}"#,
    r#"POST /keys/k/rotate {"overlap": "1h"}"#,
    "POST /keys/k/disable",
    "POST /keys/k/enable",
    r#"POST /keys/k/expire {"at": "2030-01-01"}"#,
    r#"PUT /budgets/everyone {"max_budget": 100}"#,
    "GET /budgets",
    "GET /budgets/key:k",
    "DELETE /budgets/key:k",
    r#"PUT /limits/team:t {"rpm_limit": 3}"#,
    "GET /limits",
    "DELETE /limits/team:t",
    "GET /accounts",
    "POST /recall",
    r#"PUT /switches/provider:alpha {"reason": "x"}"#,
    "GET /switches",
    "DELETE /switches/provider:alpha",
    r#"POST /reprice {"from": "2026-11-20", "prices": [{"provider": "alpha", "model": "m", "price": {"rates": {"input": 1, "output": 1}}}]}"#,
    "GET /spend?by=team",
    "GET /records",
    "GET /audit",
    "GET /alerts",
    "DELETE /keys/k",
    "DELETE /users/u",
    "DELETE /teams/t",
    "DELETE /orgs/o",
];

#[test]
fn every_operation_answers_as_documented_and_every_route_is_documented() {
    let stage = Stage::new();
    let document = stage.does("GET /openapi.json", 200);
    assert_eq!(document, self::document());
    let mut walked = BTreeSet::new();
    for line in WALK {
        let mut words = line.splitn(3, ' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let body = words
            .next()
            .map_or(Value::Null, |body| serde_json::from_str(body).unwrap());
        let (pattern, described) = find(&document, method, path);
        walked.insert(format!("{method} {pattern}"));
        let schema_of = |part: &Value| part["content"]["application/json"]["schema"].clone();
        if !body.is_null() {
            let schema = schema_of(&described["requestBody"]);
            assert!(schema.is_object(), "{line} has no body");
            assert_eq!(wrong(&document, &schema, &body, "body"), [""; 0], "{line}");
        }
        let (status, reply) = stage.call(method, path, &body);
        let response = &described["responses"][status.to_string()];
        assert!(
            status < 300 && response.is_object(),
            "{line}: {status} {reply}"
        );
        assert_eq!(
            wrong(&document, &schema_of(response), &reply, "reply"),
            [""; 0],
            "{line}"
        );
    }
    let all: BTreeSet<String> = all()
        .iter()
        .map(|it| format!("{} {BASE}{}", it.method, it.path))
        .collect();
    assert_eq!(walked, all);
}

fn find<'a>(document: &'a Value, method: &str, path: &str) -> (&'a str, &'a Value) {
    let path = format!("{BASE}{}", path.split('?').next().unwrap());
    let fits = |pattern: &str| {
        let (wanted, parts) = (pattern.split('/'), path.split('/'));
        wanted.clone().count() == parts.clone().count()
            && wanted
                .zip(parts)
                .all(|(wanted, part)| wanted.starts_with('{') || wanted == part)
    };
    let paths = document["paths"].as_object().unwrap();
    let mut found = paths.iter().filter(|(pattern, _)| fits(pattern));
    let (pattern, methods) = found
        .next()
        .unwrap_or_else(|| panic!("{path} is not documented"));
    (pattern, &methods[method.to_ascii_lowercase()])
}

#[test]
fn refusals_are_documented_too() {
    let stage = Stage::new();
    let document = document();
    for operation in all() {
        let path = operation
            .path
            .replace("{name}", "nobody")
            .replace("{scope}", "team:nobody")
            .replace("{switch}", "nothing");
        let body = operation
            .body
            .map_or(Value::Null, |_| json!({"no_such_field": 1}));
        let (status, reply) = stage.call(operation.method, &path, &body);
        let (_, described) = find(&document, operation.method, &path);
        let line = format!("{} {path}", operation.method);
        let response = &described["responses"][status.to_string()];
        assert!(response.is_object(), "{line} gives {status}: {reply}");
        let schema = &response["content"]["application/json"]["schema"];
        assert_eq!(wrong(&document, schema, &reply, "reply"), [""; 0], "{line}");
    }
}

#[test]
fn no_two_operations_have_the_same_name_or_place() {
    let all = all();
    let ids: BTreeSet<&String> = all.iter().map(|it| &it.id).collect();
    let places: BTreeSet<(&str, &String)> = all.iter().map(|it| (it.method, &it.path)).collect();
    assert_eq!((ids.len(), places.len()), (all.len(), all.len()));
}
