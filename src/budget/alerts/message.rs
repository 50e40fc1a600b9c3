//! What an alert says, for programs and for people.

use serde_json::{Value, json};
use tollgate_core::config::deploy::AlertShape as Shape;
use tollgate_core::config::moment;
use tollgate_core::money::ids::ScopeId;
use tollgate_core::units::NanoUsd;

use crate::store::AlertRow;

/// The body to send.
pub fn message(row: &AlertRow, shape: Shape, name_of: &dyn Fn(ScopeId) -> Option<String>) -> Value {
    let body = fields(row, name_of);
    let text = text(&body);
    match shape {
        Shape::Slack => json!({"text": text}),
        Shape::Json => {
            let mut body = body;
            if let Some(fields) = body.as_object_mut() {
                fields.insert("text".to_owned(), json!(text));
            }
            body
        }
    }
}

/// Which share of a budget it is about; none where it is about something else.
pub(super) fn percent(row: &AlertRow) -> Option<u64> {
    let body: Value = serde_json::from_str(&row.body).ok()?;
    let kind = body.get("kind")?.as_str()?;
    (kind == "budget_step").then(|| body.get("percent")?.as_u64())?
}

fn fields(row: &AlertRow, name_of: &dyn Fn(ScopeId) -> Option<String>) -> Value {
    let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
    let mut fields = serde_json::Map::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        match (name.as_str(), name.strip_suffix("nanousd"), value.as_u64()) {
            ("scope", _, Some(id)) => {
                let known = name_of(ScopeId(id));
                let scope = known.unwrap_or_else(|| format!("a scope that is gone ({id})"));
                fields.insert(name.clone(), json!(scope));
            }
            (_, Some(of), Some(nanos)) => {
                let name = if of.is_empty() { "amount_" } else { of };
                let name = name.trim_end_matches('_').to_owned();
                fields.insert(
                    name,
                    json!(NanoUsd(nanos).to_string().trim_start_matches('$')),
                );
            }
            // These numbers are larger than what other languages read exactly.
            ("budget", _, Some(id)) => {
                fields.insert(name.clone(), json!(id.to_string()));
            }
            _ => {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
    fields.insert("id".to_owned(), json!(row.id.0));
    fields.insert(
        "at".to_owned(),
        json!(moment::show(row.at.0 / 1_000_000_000)),
    );
    Value::Object(fields)
}

fn text(body: &Value) -> String {
    let word = |name: &str| body[name].as_str().unwrap_or("?").to_owned();
    let scope = word("scope");
    match body["kind"].as_str() {
        Some("budget_step") => {
            let percent = &body["percent"];
            let then = match body["action"].as_str() {
                Some("refuse") => "; requests are refused",
                Some("downgrade") => "; a cheaper model answers",
                _ => "",
            };
            let (spent, limit) = (word("spent"), word("limit"));
            format!(
                "Tollgate: {scope} has spent ${spent} of ${limit}, {percent}% of its budget{then}"
            )
        }
        Some("overrun") => {
            let over = word("over");
            format!("Tollgate: a request of {scope} cost ${over} more than was held for it")
        }
        Some("uncovered") => {
            let amount = word("amount");
            format!("Tollgate: {scope} spent ${amount} uncovered while the budget service was away")
        }
        Some("presumed") => {
            let amount = word("amount");
            format!(
                "Tollgate: a proxy fell silent; ${amount} that it held for {scope} counts as spent"
            )
        }
        Some(_) | None => match body["text"].as_str() {
            Some(text) => format!("Tollgate: {text}"),
            None => format!("Tollgate: {body}"),
        },
    }
}
