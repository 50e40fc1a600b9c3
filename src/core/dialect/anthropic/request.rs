//! A request to Anthropic's Messages API, understood.

use crate::dialect::anthropic::messages::{blocks, message};
use crate::dialect::ask::{self, Place};
use crate::dialect::chat::{Chat, Delivery, Format, Message, Reasoning, Role, Tool, ToolChoice};
use crate::dialect::json::{Json, Kind, Tape};
use crate::dialect::openai::request::{effort, extras, thinking};
use crate::dialect::writer::compact;
use crate::refusal::Refusal;

const KNOWN: &[&str] = &[
    "model",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "stop_sequences",
    "temperature",
    "top_p",
    "top_k",
    "stream",
    "metadata",
    "thinking",
    "output_config",
    "output_format",
];

/// Understands a body.
pub fn read(body: &[u8]) -> Result<Chat, Refusal> {
    let mut tape = Tape::default();
    let json = ask::object(&mut tape, body)?;
    let mut unread = Vec::new();
    let mut messages = system(json, &mut unread)?;
    for (at, item) in ask::items(json, "messages")? {
        messages.push(message(
            item,
            &Place::top("messages").item(at),
            &mut unread,
        )?);
    }
    let max = ask::whole(json, "max_tokens")?.ok_or_else(|| Refusal::missing("max_tokens"))?;
    let config = json.get("output_config");
    if let Some(config) = config {
        let place = Place::top("output_config");
        ask::note_unread(config, &["effort", "format"], &place, &mut unread);
    }
    let (tool_choice, parallel_tool_calls) = tool_choice(json)?;
    Ok(Chat {
        dialect: "anthropic",
        model: json.text_of("model").unwrap_or_default().into_owned(),
        messages,
        tools: tools(json, &mut unread)?,
        tool_choice,
        parallel_tool_calls,
        format: format(
            config
                .and_then(|config| config.get("format"))
                .or_else(|| json.get("output_format")),
        )?,
        stop: ask::texts(json, "stop_sequences")?,
        temperature: ask::number(json, "temperature", 0.0, 1.0)?,
        top_p: ask::number(json, "top_p", 0.0, 1.0)?,
        top_k: ask::whole(json, "top_k")?,
        user: user(json, &mut unread)?,
        reasoning: Reasoning {
            effort: match config.and_then(|config| config.get("effort")) {
                Some(word) => Some(effort(word, &Place::top("output_config").field("effort"))?),
                None => None,
            },
            thinking: thinking(json)?,
        },
        output_max: Some(max),
        delivery: match ask::truth(json, "stream")? {
            Some(true) => Delivery::Streamed,
            Some(false) | None => Delivery::Whole,
        },
        extras: extras(json, KNOWN),
        unread,
        ..Chat::default()
    })
}

fn system(json: Json<'_>, unread: &mut Vec<String>) -> Result<Vec<Message>, Refusal> {
    let Some(system) = json.get("system") else {
        return Ok(Vec::new());
    };
    Ok(vec![Message {
        role: Role::System,
        name: None,
        parts: blocks(system, &Place::top("system"), unread)?,
    }])
}

fn user(json: Json<'_>, unread: &mut Vec<String>) -> Result<Option<String>, Refusal> {
    let Some(metadata) = json.get("metadata") else {
        return Ok(None);
    };
    let place = Place::top("metadata");
    ask::note_unread(metadata, &["user_id"], &place, unread);
    ask::text_if(metadata, "user_id", &place)
}

fn format(format: Option<Json<'_>>) -> Result<Format, Refusal> {
    let Some(format) = format else {
        return Ok(Format::Text);
    };
    let top = Place::top("output_config");
    let place = top.field("format");
    if format.text_of("type").as_deref() != Some("json_schema") {
        return Err(place.field("type").wrong("`json_schema`"));
    }
    let schema = format
        .get("schema")
        .filter(|schema| schema.kind() == Kind::Object)
        .ok_or_else(|| place.field("schema").wrong("an object"))?;
    Ok(Format::JsonSchema {
        name: "answer".to_owned(),
        description: None,
        schema: compact(schema),
        strict: Some(true),
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
            Some("custom") | None => tools.push(tool(item, &place, unread)?),
            // The provider's own tools: nobody else has them.
            Some(_) => ask::note(unread, &place.path()),
        }
    }
    Ok(tools)
}

fn tool(json: Json<'_>, place: &Place<'_>, unread: &mut Vec<String>) -> Result<Tool, Refusal> {
    let known = [
        "type",
        "name",
        "description",
        "input_schema",
        "strict",
        "cache_control",
        // In how many pieces the arguments arrive: the Vercel AI SDK always says it.
        "eager_input_streaming",
    ];
    ask::note_unread(json, &known, place, unread);
    let name = ask::text(json, "name", place)?;
    let schema = json
        .get("input_schema")
        .filter(|schema| schema.kind() == Kind::Object)
        .ok_or_else(|| place.field("input_schema").wrong("an object"))?;
    if name.is_empty() {
        return Err(place.field("name").wrong("a name"));
    }
    Ok(Tool {
        name,
        description: ask::text_if(json, "description", place)?,
        schema: Some(compact(schema)),
        strict: json.get("strict").and_then(Json::truth),
        cache_mark: json.get("cache_control").map(compact),
    })
}

/// Whether a tool must be called, and whether several may be at once.
fn tool_choice(json: Json<'_>) -> Result<(Option<ToolChoice>, Option<bool>), Refusal> {
    let Some(choice) = json.get("tool_choice") else {
        return Ok((None, None));
    };
    let place = Place::top("tool_choice");
    let parallel = choice
        .get("disable_parallel_tool_use")
        .and_then(Json::truth)
        .map(|disabled| !disabled);
    let choice = match choice.text_of("type").as_deref() {
        Some("auto") => ToolChoice::Auto,
        Some("none") => ToolChoice::None,
        Some("any") => ToolChoice::Required,
        Some("tool") => ToolChoice::Named(ask::text(choice, "name", &place)?),
        _ => {
            return Err(place.field("type").wrong("`auto`, `any`, `tool` or `none`"));
        }
    };
    Ok((Some(choice), parallel))
}
