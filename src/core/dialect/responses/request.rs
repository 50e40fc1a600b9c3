//! A request to OpenAI's Responses, understood.

use crate::dialect::ask::{self, Place};
use crate::dialect::chat::{
    Chat, Delivery, Extra, Format, Message, Outcome, Part, Reasoning, Role, Source, Tool, ToolCall,
    source_of_url,
};
use crate::dialect::json::{Json, Kind, Tape};
use crate::dialect::openai::messages::seal;
use crate::dialect::openai::request::{
    effort, extras, function_tool, named_schema, text, tool_choice,
};
use crate::dialect::writer::compact;
use crate::refusal::Refusal;

const KNOWN: &[&str] = &[
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "temperature",
    "top_p",
    "top_logprobs",
    "max_output_tokens",
    "reasoning",
    "user",
    "metadata",
    "stream",
    "stream_options",
];

/// Understands a body.
pub fn read(body: &[u8]) -> Result<Chat, Refusal> {
    let mut tape = Tape::default();
    let json = ask::object(&mut tape, body)?;
    let mut unread = Vec::new();
    let mut extras = extras(json, KNOWN);
    let (format, verbosity) = format(json, &mut unread)?;
    extras.extend(verbosity);
    let reasoning_field = json.get("reasoning");
    extras.extend(
        reasoning_field
            .and_then(|reasoning| reasoning.get("summary"))
            .map(|summary| Extra {
                name: "reasoning.summary".to_owned(),
                json: compact(summary),
            }),
    );
    Ok(Chat {
        dialect: "openai_responses",
        model: json.text_of("model").unwrap_or_default().into_owned(),
        messages: messages(json, &mut unread, &mut extras)?,
        tools: tools(json, &mut unread)?,
        tool_choice: tool_choice(json)?,
        parallel_tool_calls: ask::truth(json, "parallel_tool_calls")?,
        format,
        temperature: ask::number(json, "temperature", 0.0, 2.0)?,
        top_p: ask::number(json, "top_p", 0.0, 1.0)?,
        logprobs: logprobs(json)?,
        user: text(json, "user")?,
        metadata: json.get("metadata").map(compact),
        reasoning: reasoning(json, &mut unread)?,
        output_max: ask::whole(json, "max_output_tokens")?,
        delivery: match ask::truth(json, "stream")? {
            Some(true) => Delivery::Streamed,
            Some(false) | None => Delivery::Whole,
        },
        extras,
        unread,
        ..Chat::default()
    })
}

/// They are asked for by number, or as something to include.
fn logprobs(json: Json<'_>) -> Result<Option<u64>, Refusal> {
    let top = ask::whole(json, "top_logprobs")?.filter(|top| *top > 0);
    let mut included = json.get("include").map(Json::items).into_iter().flatten();
    let included = included.any(|what| what.is("message.output_text.logprobs"));
    Ok(if included { top.or(Some(0)) } else { top })
}

fn reasoning(json: Json<'_>, unread: &mut Vec<String>) -> Result<Reasoning, Refusal> {
    let Some(reasoning) = json.get("reasoning") else {
        return Ok(Reasoning::default());
    };
    let place = Place::top("reasoning");
    let known = ["effort", "summary", "generate_summary"];
    ask::note_unread(reasoning, &known, &place, unread);
    Ok(Reasoning {
        effort: match reasoning.get("effort") {
            Some(word) => Some(effort(word, &place.field("effort"))?),
            None => None,
        },
        ..Reasoning::default()
    })
}

fn format(json: Json<'_>, unread: &mut Vec<String>) -> Result<(Format, Option<Extra>), Refusal> {
    let Some(text) = json.get("text") else {
        return Ok((Format::Text, None));
    };
    let place = Place::top("text");
    ask::note_unread(text, &["format", "verbosity"], &place, unread);
    let verbosity = text.get("verbosity").map(|value| Extra {
        name: "verbosity".to_owned(),
        json: compact(value),
    });
    let place = place.field("format");
    let Some(format) = text.get("format") else {
        return Ok((Format::Text, verbosity));
    };
    let format = match format.text_of("type").as_deref() {
        Some("text") => Format::Text,
        Some("json_object") => Format::JsonObject,
        Some("json_schema") => named_schema(format, &place)?,
        _ => {
            return Err(place
                .field("type")
                .wrong("`text`, `json_object` or `json_schema`"));
        }
    };
    Ok((format, verbosity))
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
        if item.text_of("type").as_deref() == Some("function") {
            tools.push(function_tool(item, &place, unread)?);
        } else {
            // The provider's own tools: nobody else has them.
            ask::note(unread, &place.path());
        }
    }
    Ok(tools)
}

fn messages(
    json: Json<'_>,
    unread: &mut Vec<String>,
    extras: &mut Vec<Extra>,
) -> Result<Vec<Message>, Refusal> {
    let mut messages = Vec::new();
    if let Some(instructions) = text(json, "instructions")? {
        push(&mut messages, Role::System, vec![Part::Text(instructions)]);
    }
    let input = json.get("input").ok_or_else(|| Refusal::missing("input"))?;
    if let Some(text) = input.text() {
        push(
            &mut messages,
            Role::User,
            vec![Part::Text(text.into_owned())],
        );
        return Ok(messages);
    }
    for (at, item) in ask::items(json, "input")? {
        let top = Place::top("input");
        let place = top.item(at);
        match item.text_of("type").as_deref() {
            Some("message") | None => {
                let (role, parts) = message(item, &place, unread)?;
                push(&mut messages, role, parts);
            }
            Some("function_call") => {
                let call = ToolCall {
                    id: ask::text(item, "call_id", &place)?,
                    name: ask::text(item, "name", &place)?,
                    arguments: ask::text(item, "arguments", &place)?,
                    signature: seal(item),
                };
                push(&mut messages, Role::Assistant, vec![Part::ToolCall(call)]);
            }
            Some("function_call_output") => {
                let result = result(item, &place, unread)?;
                push(&mut messages, Role::User, vec![result]);
            }
            Some("reasoning") => push(&mut messages, Role::Assistant, thought(item)),
            Some("item_reference") => extras.push(reference(item, &place)?),
            Some(_) => ask::note(unread, &place.path()),
        }
    }
    Ok(messages)
}

/// Nothing is stored here. Of a thought that is only named the conversation loses no word; without anything else it
/// would be another one.
fn reference(item: Json<'_>, place: &Place<'_>) -> Result<Extra, Refusal> {
    if ask::text(item, "id", place)?.starts_with("rs_") {
        return Ok(Extra {
            name: "input.item_reference".to_owned(),
            json: compact(item),
        });
    }
    Err(Refusal::nothing_stored(&place.path()))
}

/// What the model said and called stands in items of their own here, and in one turn elsewhere.
fn push(messages: &mut Vec<Message>, role: Role, parts: Vec<Part>) {
    let results = |parts: &[Part]| {
        parts
            .iter()
            .all(|part| matches!(part, Part::ToolResult { .. }))
    };
    match messages.last_mut() {
        Some(last)
            if last.role == role
                && (role == Role::Assistant
                    || role == Role::User && results(&last.parts) && results(&parts)) =>
        {
            last.parts.extend(parts);
        }
        _ => messages.push(Message {
            role,
            name: None,
            parts,
        }),
    }
}

fn message(
    json: Json<'_>,
    place: &Place<'_>,
    unread: &mut Vec<String>,
) -> Result<(Role, Vec<Part>), Refusal> {
    let role = match ask::text(json, "role", place)?.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => {
            return Err(place
                .field("role")
                .wrong("`system`, `developer`, `user` or `assistant`"));
        }
    };
    let known = ["type", "role", "content", "id", "status", "phase"];
    ask::note_unread(json, &known, place, unread);
    let content = json
        .get("content")
        .ok_or_else(|| place.field("content").missing())?;
    Ok((role, parts(content, &place.field("content"), unread)?))
}

fn parts(
    json: Json<'_>,
    place: &Place<'_>,
    unread: &mut Vec<String>,
) -> Result<Vec<Part>, Refusal> {
    if let Some(text) = json.text() {
        return Ok(vec![Part::Text(text.into_owned())]);
    }
    if json.kind() != Kind::List {
        return Err(place.wrong("a string or a list of parts"));
    }
    let mut parts = Vec::new();
    for (at, item) in json.items().enumerate() {
        parts.push(part(item, &place.item(at), unread)?);
    }
    Ok(parts)
}

fn part(json: Json<'_>, place: &Place<'_>, unread: &mut Vec<String>) -> Result<Part, Refusal> {
    let (known, part): (&[&str], Part) = match ask::text(json, "type", place)?.as_str() {
        "input_text" | "output_text" | "text" => (
            &["text", "annotations", "logprobs"],
            Part::Text(ask::text(json, "text", place)?),
        ),
        "refusal" => (
            &["refusal"],
            Part::Refusal(ask::text(json, "refusal", place)?),
        ),
        "input_image" => (
            &["image_url", "file_id", "detail"],
            Part::Image {
                source: source(json, "image_url", place)?,
                detail: ask::text_if(json, "detail", place)?,
            },
        ),
        "input_file" => (
            &["file_data", "file_id", "file_url", "filename"],
            Part::Document {
                source: source(json, "file_data", place)?,
                name: ask::text_if(json, "filename", place)?,
            },
        ),
        _ => {
            return Err(place
                .field("type")
                .wrong("`input_text`, `input_image`, `input_file`, `output_text` or `refusal`"));
        }
    };
    let mut known = known.to_vec();
    known.push("type");
    ask::note_unread(json, &known, place, unread);
    Ok(part)
}

fn source(json: Json<'_>, data: &str, place: &Place<'_>) -> Result<Source, Refusal> {
    if let Some(id) = ask::text_if(json, "file_id", place)? {
        return Ok(Source::File(id));
    }
    if let Some(url) = ask::text_if(json, "file_url", place)? {
        return Ok(Source::Url(url));
    }
    let text = ask::text(json, data, place)?;
    ask::checked(source_of_url(&text), &place.field(data))
}

fn result(json: Json<'_>, place: &Place<'_>, unread: &mut Vec<String>) -> Result<Part, Refusal> {
    let known = ["type", "id", "call_id", "output", "status"];
    ask::note_unread(json, &known, place, unread);
    let output = json
        .get("output")
        .ok_or_else(|| place.field("output").missing())?;
    Ok(Part::ToolResult {
        id: ask::text(json, "call_id", place)?,
        parts: parts(output, &place.field("output"), unread)?,
        outcome: Outcome::Done,
    })
}

/// What we gave out as a thought comes back as one, seal and all.
fn thought(json: Json<'_>) -> Vec<Part> {
    let text: String = json
        .get("summary")
        .map(Json::items)
        .into_iter()
        .flatten()
        .filter_map(|part| part.text_of("text"))
        .collect();
    let seal = json.text_of("encrypted_content").map(String::from);
    match seal {
        Some(seal) if text.is_empty() && seal.starts_with(super::reply::SEALED_WHOLE) => {
            let data = seal.strip_prefix(super::reply::SEALED_WHOLE);
            vec![Part::SealedThinking(data.unwrap_or_default().to_owned())]
        }
        None if text.is_empty() => Vec::new(),
        signature => vec![Part::Thinking { text, signature }],
    }
}
