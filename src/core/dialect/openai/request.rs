//! A chat completion request of OpenAI, understood.

use crate::dialect::ask::{self, Place};
use crate::dialect::chat::{
    Chat, Delivery, Effort, Extra, Format, Reasoning, Thinking, Tool, ToolChoice,
};
use crate::dialect::json::{Json, Kind, Tape};
use crate::dialect::openai::messages::message;
use crate::dialect::writer::compact;
use crate::refusal::Refusal;

/// Top-level fields that have a neutral meaning. `stream_options` only says whether the figures come as an
/// event of their own, which is the answer's matter.
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "stop",
    "n",
    "seed",
    "temperature",
    "top_p",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "top_logprobs",
    "user",
    "metadata",
    "reasoning_effort",
    "thinking",
    "max_tokens",
    "max_completion_tokens",
    "stream",
    "stream_options",
];

/// Understands a body.
pub fn read(body: &[u8]) -> Result<Chat, Refusal> {
    let mut tape = Tape::default();
    let json = ask::object(&mut tape, body)?;
    let mut unread = Vec::new();
    let mut messages = Vec::new();
    for (at, item) in ask::items(json, "messages")? {
        messages.push(message(
            item,
            &Place::top("messages").item(at),
            &mut unread,
        )?);
    }
    Ok(Chat {
        dialect: "openai",
        model: json.text_of("model").unwrap_or_default().into_owned(),
        messages,
        tools: tools(json, &mut unread)?,
        tool_choice: tool_choice(json)?,
        parallel_tool_calls: ask::truth(json, "parallel_tool_calls")?,
        format: format(json)?,
        stop: ask::texts(json, "stop")?,
        n: ask::whole(json, "n")?,
        seed: ask::number(json, "seed", -1e20, 1e20)?,
        temperature: ask::number(json, "temperature", 0.0, 2.0)?,
        top_p: ask::number(json, "top_p", 0.0, 1.0)?,
        top_k: ask::whole(json, "top_k")?,
        frequency_penalty: ask::number(json, "frequency_penalty", -2.0, 2.0)?,
        presence_penalty: ask::number(json, "presence_penalty", -2.0, 2.0)?,
        logprobs: logprobs(json)?,
        user: text(json, "user")?,
        metadata: json.get("metadata").map(compact),
        reasoning: reasoning(json)?,
        output_max: match ask::whole(json, "max_completion_tokens")? {
            Some(max) => Some(max),
            None => ask::whole(json, "max_tokens")?,
        },
        delivery: match ask::truth(json, "stream")? {
            Some(true) => Delivery::Streamed,
            Some(false) | None => Delivery::Whole,
        },
        extras: extras(json, KNOWN),
        unread,
    })
}

/// A text at the top.
pub fn text(json: Json<'_>, name: &'static str) -> Result<Option<String>, Refusal> {
    match json.get(name) {
        None => Ok(None),
        Some(value) => match value.text() {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(ask::wrong(name, name, "a string")),
        },
    }
}

/// The fields at the top that have no neutral meaning.
pub fn extras(json: Json<'_>, known: &[&str]) -> Vec<Extra> {
    json.entries()
        .filter_map(|(name, value)| Some((name.text()?, value)))
        .filter(|(name, value)| value.kind() != Kind::Null && !known.contains(&name.as_ref()))
        .map(|(name, value)| Extra {
            name: name.into_owned(),
            json: compact(value),
        })
        .collect()
}

fn logprobs(json: Json<'_>) -> Result<Option<u64>, Refusal> {
    let top = ask::whole(json, "top_logprobs")?;
    Ok(match ask::truth(json, "logprobs")? {
        Some(true) => Some(top.unwrap_or(0)),
        Some(false) | None => None,
    })
}

fn reasoning(json: Json<'_>) -> Result<Reasoning, Refusal> {
    let effort = match json.get("reasoning_effort") {
        None => None,
        Some(word) => Some(effort(word, &Place::top("reasoning_effort"))?),
    };
    Ok(Reasoning {
        effort,
        thinking: thinking(json)?,
    })
}

/// A word for how hard to think.
pub fn effort(word: Json<'_>, place: &Place<'_>) -> Result<Effort, Refusal> {
    word.text()
        .and_then(|word| Effort::parse(&word))
        .ok_or_else(|| place.wrong("`none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`"))
}

/// `{"type": "enabled", "budget_tokens": 2048}`: Anthropic's, which many say in OpenAI's dialect too.
pub fn thinking(json: Json<'_>) -> Result<Thinking, Refusal> {
    let Some(thinking) = json.get("thinking") else {
        return Ok(Thinking::Unsaid);
    };
    let budget = thinking.get("budget_tokens").map(Json::whole);
    let place = Place::top("thinking");
    match (thinking.text_of("type").as_deref(), budget) {
        (Some("enabled"), Some(Some(budget))) => Ok(Thinking::Budget(budget)),
        (Some("enabled"), None) | (Some("adaptive"), _) => Ok(Thinking::Adaptive),
        (Some("disabled"), _) => Ok(Thinking::Off),
        (Some("enabled"), Some(None)) => Err(place.field("budget_tokens").wrong("a whole number")),
        _ => Err(place
            .field("type")
            .wrong("`enabled`, `adaptive` or `disabled`")),
    }
}

fn format(json: Json<'_>) -> Result<Format, Refusal> {
    let Some(format) = json.get("response_format") else {
        return Ok(Format::Text);
    };
    let place = Place::top("response_format");
    match format.text_of("type").as_deref() {
        Some("text") => Ok(Format::Text),
        Some("json_object") => Ok(Format::JsonObject),
        Some("json_schema") => {
            let place = place.field("json_schema");
            let schema = format.get("json_schema").ok_or_else(|| place.missing())?;
            named_schema(schema, &place)
        }
        _ => Err(place
            .field("type")
            .wrong("`text`, `json_object` or `json_schema`")),
    }
}

/// `{"name", "description", "schema", "strict"}`
pub fn named_schema(json: Json<'_>, place: &Place<'_>) -> Result<Format, Refusal> {
    let schema = json
        .get("schema")
        .filter(|schema| schema.kind() == Kind::Object)
        .ok_or_else(|| place.field("schema").wrong("an object"))?;
    Ok(Format::JsonSchema {
        name: ask::text(json, "name", place)?,
        description: ask::text_if(json, "description", place)?,
        schema: compact(schema),
        strict: json.get("strict").and_then(Json::truth),
    })
}

fn tools(json: Json<'_>, unread: &mut Vec<String>) -> Result<Vec<Tool>, Refusal> {
    let Some(list) = json.get("tools") else {
        return Ok(Vec::new());
    };
    if list.kind() != Kind::List {
        return Err(ask::wrong("tools", "tools", "a list"));
    }
    let mut tools = Vec::new();
    for (at, item) in list.items().enumerate() {
        let top = Place::top("tools");
        let place = top.item(at);
        match item.text_of("type").as_deref() {
            Some("function") | None => {
                let place = place.field("function");
                let function = item.get("function").ok_or_else(|| place.missing())?;
                let mut tool = function_tool(function, &place, unread)?;
                tool.cache_mark = item.get("cache_control").map(compact);
                tools.push(tool);
            }
            Some(_) => ask::note(unread, &place.path()),
        }
    }
    Ok(tools)
}

/// `{"name", "description", "parameters", "strict"}`
pub fn function_tool(
    function: Json<'_>,
    place: &Place<'_>,
    unread: &mut Vec<String>,
) -> Result<Tool, Refusal> {
    let known = ["type", "name", "description", "parameters", "strict"];
    ask::note_unread(function, &known, place, unread);
    let name = ask::text(function, "name", place)?;
    if name.is_empty() {
        return Err(place.field("name").wrong("a name"));
    }
    let schema = function.get("parameters");
    if schema.is_some_and(|schema| schema.kind() != Kind::Object) {
        return Err(place.field("parameters").wrong("an object"));
    }
    Ok(Tool {
        name,
        description: ask::text_if(function, "description", place)?,
        schema: schema.map(compact),
        strict: function.get("strict").and_then(Json::truth),
        cache_mark: None,
    })
}

/// Whether a tool must be called.
pub fn tool_choice(json: Json<'_>) -> Result<Option<ToolChoice>, Refusal> {
    let Some(choice) = json.get("tool_choice") else {
        return Ok(None);
    };
    let named = choice
        .get("function")
        .unwrap_or(choice)
        .text_of("name")
        .filter(|_| choice.text_of("type").as_deref() == Some("function"));
    match (choice.text().as_deref(), named) {
        (Some("auto"), _) => Ok(Some(ToolChoice::Auto)),
        (Some("none"), _) => Ok(Some(ToolChoice::None)),
        (Some("required" | "any"), _) => Ok(Some(ToolChoice::Required)),
        (None, Some(name)) => Ok(Some(ToolChoice::Named(name.into_owned()))),
        _ => Err(Place::top("tool_choice")
            .wrong("`auto`, `none`, `required`, or a function with its name")),
    }
}
