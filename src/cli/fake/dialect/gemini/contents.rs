//! A request to Gemini, read and refused as there.

use serde_json::Value;

use super::Complaint;
use crate::fake::dialect::content::{self, Asked, Format, Thoughts, Tool};
use crate::fake::text;

/// The most answers to one question, as with the real one.
const CANDIDATES_MAX: u64 = 8;

pub(super) fn contents(body: &Value) -> Result<&Vec<Value>, Complaint> {
    let list = body.get("contents").and_then(Value::as_array);
    let list = list.filter(|list| !list.is_empty()).ok_or_else(|| {
        Complaint::invalid("* GenerateContentRequest.contents: contents is not specified\n")
    })?;
    for content in list {
        if !matches!(role(content), "user" | "model" | "function") {
            return Err(Complaint::invalid("Please use a valid role: user, model."));
        }
        if parts(content).next().is_none() {
            return Err(Complaint::invalid(
                "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty.\n",
            ));
        }
    }
    Ok(list)
}

pub(super) fn limit(body: &Value) -> Result<Option<u64>, Complaint> {
    number(body, "maxOutputTokens", u64::MAX)
}

pub(super) fn candidates(body: &Value) -> Result<u64, Complaint> {
    Ok(number(body, "candidateCount", CANDIDATES_MAX)?.unwrap_or(1))
}

fn number(body: &Value, name: &str, max: u64) -> Result<Option<u64>, Complaint> {
    let value = field(body, "generationConfig").and_then(|config| field(config, name));
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) if (1..=max).contains(&number) => Ok(Some(number)),
            _ => Err(Complaint::invalid(format!(
                "Invalid value at 'generation_config.{name}': {value}"
            ))),
        },
    }
}

pub(super) fn thoughts(body: &Value) -> Thoughts {
    let config = field(body, "generationConfig");
    let thinking = config.and_then(|config| field(config, "thinkingConfig"));
    match thinking.and_then(|thinking| field(thinking, "includeThoughts")) {
        Some(Value::Bool(true)) => Thoughts::Shown,
        _ => Thoughts::Hidden,
    }
}

pub(super) fn asked<'a>(body: &'a Value, contents: &[Value]) -> Asked<'a> {
    let spoken = |content: &&Value| role(content) == "user" && words(content).next().is_some();
    let asked = contents.iter().rfind(spoken);
    let asked: Vec<_> = asked.into_iter().flat_map(words).collect();
    let asks = contents.last().is_some_and(|last| {
        let answers = |part: &Value| field(part, "functionResponse").is_some();
        role(last) == "user" && !parts(last).any(answers)
    });
    Asked {
        text: asked.join(" "),
        tool: asks.then(|| tool(body)).flatten(),
        format: format(body),
    }
}

fn format(body: &Value) -> Format<'_> {
    let config = field(body, "generationConfig").unwrap_or(&Value::Null);
    let json =
        field(config, "responseMimeType").and_then(Value::as_str) == Some("application/json");
    let schema = field(config, "responseJsonSchema").or_else(|| field(config, "responseSchema"));
    match schema.filter(|_| json) {
        Some(schema) => Format::Schema(schema),
        None if json => Format::Json,
        None => Format::Text,
    }
}

fn tool(body: &Value) -> Option<Tool<'_>> {
    let config = field(body, "toolConfig");
    let config = config.and_then(|config| field(config, "functionCallingConfig"));
    let mode = config.and_then(|config| config.get("mode")?.as_str());
    if mode == Some("NONE") {
        return None;
    }
    let groups = body.get("tools")?.as_array()?.iter();
    let groups = groups.filter_map(|group| field(group, "functionDeclarations")?.as_array());
    let tools = groups.flatten().filter_map(|tool| {
        let schema = field(tool, "parametersJsonSchema");
        let schema = schema.or_else(|| tool.get("parameters"));
        Some(Tool {
            name: tool.get("name")?.as_str()?,
            schema: schema.unwrap_or(&Value::Null),
        })
    });
    let allowed = config.and_then(|config| field(config, "allowedFunctionNames")?.get(0)?.as_str());
    content::chosen(tools, allowed)
}

/// A word is a token, in instructions, questions, answers and results of tools.
pub(super) fn prompt_tokens(body: &Value) -> u64 {
    let contents = body.get("contents").and_then(Value::as_array);
    let contents = contents.into_iter().flatten();
    let results = contents
        .clone()
        .flat_map(parts)
        .filter_map(|part| field(part, "functionResponse")?.get("response"))
        .map(count);
    field(body, "systemInstruction")
        .into_iter()
        .chain(contents)
        .flat_map(words)
        .map(text::count)
        .chain(results)
        .fold(0, u64::saturating_add)
}

/// The words in all strings of a result.
fn count(result: &Value) -> u64 {
    match result {
        Value::String(text) => text::count(text),
        Value::Array(list) => list.iter().map(count).fold(0, u64::saturating_add),
        Value::Object(fields) => fields.values().map(count).fold(0, u64::saturating_add),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// Who says nothing about it is the user.
fn role(content: &Value) -> &str {
    content
        .get("role")
        .and_then(Value::as_str)
        .unwrap_or("user")
}

fn parts(content: &Value) -> impl Iterator<Item = &Value> {
    let parts = content.get("parts").and_then(Value::as_array);
    parts.into_iter().flatten()
}

/// The texts of a turn, without thoughts that are given back.
fn words(content: &Value) -> impl Iterator<Item = &str> {
    parts(content)
        .filter(|part| part.get("thought") != Some(&Value::Bool(true)))
        .filter_map(|part| part.get("text")?.as_str())
}

/// Google takes a name as it is documented and also as it is defined, `likeThis` and `like_this`; its own SDKs mix them.
fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).or_else(|| {
        let mut defined = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() {
                defined.push('_');
            }
            defined.push(letter.to_ascii_lowercase());
        }
        value.get(&defined)
    })
}
