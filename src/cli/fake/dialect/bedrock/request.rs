//! A request to Converse, read and refused as there.

use serde_json::Value;

use super::Complaint;
use crate::fake::dialect::content::{self, Asked, Format, Thoughts, Tool};
use crate::fake::text;

pub(super) fn messages(body: &Value) -> Result<&Vec<Value>, Complaint> {
    let list = body.get("messages").and_then(Value::as_array);
    let list = list.filter(|list| !list.is_empty()).ok_or_else(|| {
        Complaint::invalid("A conversation must start with a user message. Try again with a conversation that starts with a user message.")
    })?;
    for (place, message) in list.iter().enumerate() {
        let wanted = if place % 2 == 0 { "user" } else { "assistant" };
        if role(message) != Some(wanted) {
            return Err(Complaint::invalid(
                "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.",
            ));
        }
        if blocks(message).next().is_none() || blocks(message).any(is_empty_text) {
            return Err(Complaint::invalid(format!(
                "The content field in the Message object at messages.{place} is empty. Add a ContentBlock object to the content field and try again."
            )));
        }
    }
    Ok(list)
}

fn is_empty_text(block: &Value) -> bool {
    block.get("text").and_then(Value::as_str) == Some("")
}

pub(super) fn limit(body: &Value) -> Result<Option<u64>, Complaint> {
    match body.pointer("/inferenceConfig/maxTokens") {
        None => Ok(None),
        Some(limit) => match limit.as_u64() {
            Some(limit) if limit > 0 => Ok(Some(limit)),
            _ => Err(Complaint::invalid(
                "Value at 'inferenceConfig.maxTokens' failed to satisfy constraint: Member must have value greater than or equal to 1",
            )),
        },
    }
}

pub(super) fn thoughts(body: &Value) -> Thoughts {
    let kind = body.pointer("/additionalModelRequestFields/thinking/type");
    match kind.and_then(Value::as_str) {
        Some("enabled" | "adaptive") => Thoughts::Shown,
        _ => Thoughts::Hidden,
    }
}

/// The schema that an answer is to fit, which is a text here.
pub(super) fn schema(body: &Value) -> Result<Option<Value>, Complaint> {
    match body.pointer("/outputConfig/textFormat/structure/jsonSchema/schema") {
        None => Ok(None),
        Some(schema) => schema
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
            .map(Some)
            .ok_or_else(|| Complaint::invalid("The JSON schema is no JSON.")),
    }
}

pub(super) fn asked<'a>(
    body: &'a Value,
    messages: &[Value],
    schema: Option<&'a Value>,
) -> Asked<'a> {
    let spoken =
        |message: &&Value| role(message) == Some("user") && texts(blocks(message)).next().is_some();
    let asked = messages.iter().rfind(spoken);
    let asked: Vec<_> = asked
        .into_iter()
        .flat_map(|message| texts(blocks(message)))
        .collect();
    let asks = messages.last().is_some_and(|last| {
        role(last) == Some("user") && !blocks(last).any(|block| block.get("toolResult").is_some())
    });
    Asked {
        text: asked.join(" "),
        tool: asks.then(|| tool(body)).flatten(),
        format: schema.map_or(Format::Text, Format::Schema),
    }
}

fn tool(body: &Value) -> Option<Tool<'_>> {
    let config = body.get("toolConfig")?;
    let tools = config.get("tools")?.as_array()?.iter().filter_map(|tool| {
        let tool = tool.get("toolSpec")?;
        Some(Tool {
            name: tool.get("name")?.as_str()?,
            schema: tool.pointer("/inputSchema/json")?,
        })
    });
    let wanted = config.pointer("/toolChoice/tool/name");
    content::chosen(tools, wanted.and_then(Value::as_str))
}

/// A word is a token, in instructions, questions, answers and results of tools.
pub(super) fn prompt_tokens(body: &Value) -> u64 {
    let system = body.get("system").and_then(Value::as_array);
    let system = texts(system.into_iter().flatten());
    let messages = body.get("messages").and_then(Value::as_array);
    let messages = messages.into_iter().flatten();
    let said = messages.clone().flat_map(|message| texts(blocks(message)));
    let results = messages
        .flat_map(blocks)
        .filter_map(|block| block.pointer("/toolResult/content")?.as_array())
        .flat_map(|content| texts(content.iter()));
    system
        .chain(said)
        .chain(results)
        .map(text::count)
        .fold(0, u64::saturating_add)
}

fn role(message: &Value) -> Option<&str> {
    message.get("role")?.as_str()
}

fn blocks(message: &Value) -> impl Iterator<Item = &Value> {
    let blocks = message.get("content").and_then(Value::as_array);
    blocks.into_iter().flatten()
}

fn texts<'a>(blocks: impl Iterator<Item = &'a Value>) -> impl Iterator<Item = &'a str> {
    blocks.filter_map(|block| block.get("text")?.as_str())
}
