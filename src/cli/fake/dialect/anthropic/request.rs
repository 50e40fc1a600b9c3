//! A request to Anthropic, read and refused as there.

use serde_json::Value;

use super::Complaint;
use crate::fake::dialect::content::{self, Asked, Format, Thoughts, Tool};
use crate::fake::text;

/// The least that may be set aside for thoughts.
const BUDGET_MIN: u64 = 1_024;

pub(super) fn model(body: &Value) -> Result<&str, Complaint> {
    match body.get("model") {
        None => Err(Complaint::invalid("model: Field required")),
        Some(Value::String(model)) if !model.is_empty() => Ok(model),
        Some(_) => Err(Complaint::invalid("model: Input should be a valid string")),
    }
}

pub(super) fn messages(body: &Value) -> Result<&Vec<Value>, Complaint> {
    let list = match body.get("messages") {
        None => return Err(Complaint::invalid("messages: Field required")),
        Some(Value::Array(list)) if !list.is_empty() => list,
        Some(Value::Array(_)) => {
            return Err(Complaint::invalid(
                "messages: at least one message is required",
            ));
        }
        Some(_) => return Err(Complaint::invalid("messages: Input should be a valid list")),
    };
    for (place, message) in list.iter().enumerate() {
        if !matches!(role(message), Some("user" | "assistant")) {
            return Err(Complaint::invalid(format!(
                "messages.{place}.role: Input should be 'user' or 'assistant'"
            )));
        }
        if message.get("content").is_none() {
            return Err(Complaint::invalid(format!(
                "messages.{place}.content: Field required"
            )));
        }
        if blocks(message).any(is_empty_text) {
            return Err(Complaint::invalid(
                "messages: text content blocks must be non-empty",
            ));
        }
    }
    Ok(list)
}

fn is_empty_text(block: &Value) -> bool {
    kind(block) == Some("text") && block.get("text").and_then(Value::as_str) == Some("")
}

pub(super) fn max_tokens(body: &Value) -> Result<u64, Complaint> {
    match body.get("max_tokens").map(Value::as_u64) {
        None => Err(Complaint::invalid("max_tokens: Field required")),
        Some(Some(limit)) if limit > 0 => Ok(limit),
        Some(_) => Err(Complaint::invalid(
            "max_tokens: Input should be greater than or equal to 1",
        )),
    }
}

/// A flag that may be left out.
pub(super) fn flag(body: &Value, name: &str) -> Result<bool, Complaint> {
    match body.get(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Complaint::invalid(format!(
            "{name}: Input should be a valid boolean"
        ))),
    }
}

/// Whether thoughts are wanted, if that is said as it must be.
pub(super) fn thoughts(body: &Value, max_tokens: u64) -> Result<Thoughts, Complaint> {
    let Some(thinking) = body.get("thinking") else {
        return Ok(Thoughts::Hidden);
    };
    let budget = thinking.get("budget_tokens").and_then(Value::as_u64);
    match (kind(thinking), budget) {
        (Some("disabled"), _) => return Ok(Thoughts::Hidden),
        (Some("adaptive"), _) => {}
        (Some("enabled"), None) => {
            return Err(Complaint::invalid(
                "thinking.enabled.budget_tokens: Field required",
            ));
        }
        (Some("enabled"), Some(budget)) if budget < BUDGET_MIN => {
            return Err(Complaint::invalid(
                "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
            ));
        }
        (Some("enabled"), Some(budget)) if budget >= max_tokens => {
            return Err(Complaint::invalid(
                "`max_tokens` must be greater than `thinking.budget_tokens`.",
            ));
        }
        (Some("enabled"), Some(_)) => {}
        _ => {
            return Err(Complaint::invalid(
                "thinking: Input tag does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'",
            ));
        }
    }
    let choice = body.get("tool_choice").and_then(kind);
    if matches!(choice, Some("any" | "tool")) {
        return Err(Complaint::invalid(
            "Thinking may not be enabled when tool_choice forces tool use.",
        ));
    }
    Ok(Thoughts::Shown)
}

pub(super) fn asked<'a>(body: &'a Value, messages: &[Value]) -> Asked<'a> {
    let spoken = |message: &&Value| {
        role(message) == Some("user") && words(message.get("content")).next().is_some()
    };
    let asked = messages.iter().rfind(spoken);
    let asked: Vec<_> = asked
        .into_iter()
        .flat_map(|message| words(message.get("content")))
        .collect();
    let asks = messages.last().is_some_and(|last| {
        let answers = |block| kind(block) == Some("tool_result");
        role(last) == Some("user") && !blocks(last).any(answers)
    });
    let schema = body.pointer("/output_config/format/schema");
    Asked {
        text: asked.join(" "),
        tool: asks.then(|| tool(body)).flatten(),
        format: schema.map_or(Format::Text, Format::Schema),
    }
}

/// Tools of the provider's own have no schema, and are not called here.
fn tool(body: &Value) -> Option<Tool<'_>> {
    let choice = body.get("tool_choice").unwrap_or(&Value::Null);
    if kind(choice) == Some("none") {
        return None;
    }
    let tools = body.get("tools")?.as_array()?.iter().filter_map(|tool| {
        Some(Tool {
            name: tool.get("name")?.as_str()?,
            schema: tool.get("input_schema")?,
        })
    });
    content::chosen(tools, choice.get("name").and_then(Value::as_str))
}

/// A word is a token, in instructions, questions, answers and results of tools.
pub(super) fn prompt_tokens(body: &Value) -> u64 {
    let messages = body.get("messages").and_then(Value::as_array);
    let messages = messages.into_iter().flatten();
    let said = messages.clone().flat_map(|one| words(one.get("content")));
    let results = messages
        .flat_map(blocks)
        .filter(|block| kind(block) == Some("tool_result"))
        .flat_map(|block| words(block.get("content")));
    words(body.get("system"))
        .chain(said)
        .chain(results)
        .map(text::count)
        .fold(0, u64::saturating_add)
}

fn role(message: &Value) -> Option<&str> {
    message.get("role")?.as_str()
}

fn kind(block: &Value) -> Option<&str> {
    block.get("type")?.as_str()
}

fn blocks(message: &Value) -> impl Iterator<Item = &Value> {
    let blocks = message.get("content").and_then(Value::as_array);
    blocks.into_iter().flatten()
}

/// The texts, whether they stand alone or in blocks.
fn words(content: Option<&Value>) -> impl Iterator<Item = &str> {
    let blocks = content.and_then(Value::as_array).into_iter().flatten();
    let texts = blocks.filter_map(|block| block.get("text")?.as_str());
    content.and_then(Value::as_str).into_iter().chain(texts)
}
