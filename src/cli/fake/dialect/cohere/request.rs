//! A request to Cohere, read and refused as there.

use serde_json::Value;

use super::Complaint;
use crate::fake::dialect::content::{self, Asked, Format, Thoughts, Tool};
use crate::fake::text;

pub(super) fn model(body: &Value) -> Result<&str, Complaint> {
    let model = body.get("model").and_then(Value::as_str);
    model
        .filter(|model| !model.is_empty())
        .ok_or_else(|| Complaint::invalid("invalid request: model is required"))
}

pub(super) fn messages(body: &Value) -> Result<&Vec<Value>, Complaint> {
    let list = body.get("messages").and_then(Value::as_array);
    let list = list
        .filter(|list| !list.is_empty())
        .ok_or_else(|| Complaint::invalid("invalid request: list of messages must not be empty"))?;
    for (place, message) in list.iter().enumerate() {
        let role = role(message);
        if !matches!(role, Some("user" | "assistant" | "system" | "tool")) {
            return Err(Complaint::invalid(format!(
                "invalid request: unknown role in message {place}: must be one of user, assistant, system or tool"
            )));
        }
        if role == Some("tool") && message.get("tool_call_id").is_none() {
            return Err(Complaint::invalid(format!(
                "invalid request: tool message at index {place} must have a tool_call_id"
            )));
        }
    }
    Ok(list)
}

/// A flag that may be left out.
pub(super) fn flag(body: &Value, name: &str) -> Result<bool, Complaint> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Complaint::invalid(format!(
            "invalid type: parameter {name} is of type string but should be of type bool."
        ))),
    }
}

pub(super) fn limit(body: &Value) -> Result<Option<u64>, Complaint> {
    match body.get("max_tokens") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(limit) if limit > 0 => Ok(Some(limit)),
            _ => Err(Complaint::invalid(
                "invalid request: max_tokens must be a positive integer",
            )),
        },
    }
}

pub(super) fn thoughts(body: &Value) -> Thoughts {
    match body.pointer("/thinking/type").and_then(Value::as_str) {
        Some("enabled") => Thoughts::Shown,
        _ => Thoughts::Hidden,
    }
}

pub(super) fn asked<'a>(body: &'a Value, messages: &[Value]) -> Asked<'a> {
    let asked = messages
        .iter()
        .rfind(|message| role(message) == Some("user"));
    let asked: Vec<_> = asked.into_iter().flat_map(words).collect();
    let asks = messages.last().and_then(role) == Some("user");
    Asked {
        text: asked.join(" "),
        tool: asks.then(|| tool(body)).flatten(),
        format: format(body),
    }
}

fn format(body: &Value) -> Format<'_> {
    let format = body.get("response_format").unwrap_or(&Value::Null);
    if format.get("type").and_then(Value::as_str) != Some("json_object") {
        return Format::Text;
    }
    // An earlier version of the parameter had the shorter name.
    let schema = format.get("json_schema").or_else(|| format.get("schema"));
    schema.map_or(Format::Json, Format::Schema)
}

/// A tool cannot be asked for by name here: whose choice is another one offers only that.
fn tool(body: &Value) -> Option<Tool<'_>> {
    if body.get("tool_choice").and_then(Value::as_str) == Some("NONE") {
        return None;
    }
    let tools = body.get("tools")?.as_array()?.iter().filter_map(|tool| {
        let schema = tool.pointer("/function/parameters");
        Some(Tool {
            name: tool.pointer("/function/name")?.as_str()?,
            schema: schema.unwrap_or(&Value::Null),
        })
    });
    content::chosen(tools, None)
}

/// A word is a token, whoever says it.
pub(super) fn prompt_tokens(messages: &[Value]) -> u64 {
    let words = messages.iter().flat_map(words);
    words.map(text::count).fold(0, u64::saturating_add)
}

fn role(message: &Value) -> Option<&str> {
    message.get("role")?.as_str()
}

/// The texts of a message and of the documents in it, whichever way it is written.
fn words(message: &Value) -> impl Iterator<Item = &str> {
    let content = message.get("content");
    let parts = content.and_then(Value::as_array).into_iter().flatten();
    let parts = parts.filter_map(|part| {
        let text = part.get("text");
        text.or_else(|| part.pointer("/document/data"))?.as_str()
    });
    content.and_then(Value::as_str).into_iter().chain(parts)
}
