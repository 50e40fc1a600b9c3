//! The messages of OpenAI's chat completions, understood.

use crate::dialect::ask::{self, Place};
use crate::dialect::chat::{
    Message, Outcome, Part, Role, Source, ToolCall, is_base64, source_of_url,
};
use crate::dialect::json::{Json, Kind};
use crate::dialect::writer::compact;
use crate::refusal::Refusal;

/// One message.
pub fn message(
    json: Json<'_>,
    place: &Place<'_>,
    unread: &mut Vec<String>,
) -> Result<Message, Refusal> {
    if json.kind() != Kind::Object {
        return Err(place.wrong("an object"));
    }
    let role = match ask::text(json, "role", place)?.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => return tool_result(json, place, unread),
        _ => {
            return Err(place
                .field("role")
                .wrong("`system`, `developer`, `user`, `assistant` or `tool`"));
        }
    };
    let mut parts = Vec::new();
    if role == Role::Assistant {
        thoughts(json, place, unread, &mut parts)?;
    }
    content(json, place, unread, &mut parts)?;
    if role == Role::Assistant {
        if let Some(refusal) = ask::text_if(json, "refusal", place)? {
            parts.push(Part::Refusal(refusal));
        }
        calls(json, place, unread, &mut parts)?;
    }
    if let Some(mark) = json.get("cache_control") {
        parts.push(Part::CacheMark(compact(mark)));
    }
    let known: &[&str] = match role {
        Role::Assistant => &[
            "role",
            "name",
            "content",
            "refusal",
            "tool_calls",
            "reasoning_content",
            "reasoning",
            "thinking_blocks",
            "reasoning_details",
            "annotations",
            "cache_control",
        ],
        Role::System | Role::Developer | Role::User => {
            &["role", "name", "content", "cache_control"]
        }
    };
    ask::note_unread(json, known, place, unread);
    Ok(Message {
        role,
        name: ask::text_if(json, "name", place)?,
        parts,
    })
}

fn tool_result(
    json: Json<'_>,
    place: &Place<'_>,
    unread: &mut Vec<String>,
) -> Result<Message, Refusal> {
    let mut parts = Vec::new();
    content(json, place, unread, &mut parts)?;
    let known = ["role", "name", "content", "tool_call_id", "cache_control"];
    ask::note_unread(json, &known, place, unread);
    let mut result = vec![Part::ToolResult {
        id: ask::text(json, "tool_call_id", place)?,
        parts,
        outcome: Outcome::Done,
    }];
    if let Some(mark) = json.get("cache_control") {
        result.push(Part::CacheMark(compact(mark)));
    }
    Ok(Message {
        role: Role::User,
        name: None,
        parts: result,
    })
}

/// Thoughts that a client gives back, with their seals where it kept them.
fn thoughts(
    json: Json<'_>,
    place: &Place<'_>,
    unread: &mut Vec<String>,
    parts: &mut Vec<Part>,
) -> Result<(), Refusal> {
    let shown = match ask::text_if(json, "reasoning_content", place)? {
        Some(shown) => Some(shown),
        None => ask::text_if(json, "reasoning", place)?,
    };
    if let Some(details) = json.get("reasoning_details")
        && json.get("thinking_blocks").is_none()
    {
        parts.extend(details.items().filter_map(detail));
        return Ok(());
    }
    let Some(blocks) = json.get("thinking_blocks") else {
        if let Some(text) = shown.filter(|text| !text.is_empty()) {
            parts.push(Part::Thinking {
                text,
                signature: None,
            });
        }
        return Ok(());
    };
    let bare = |block: &Json<'_>| {
        block.text_of("type").as_deref() == Some("thinking")
            && block.text_of("thinking").is_none_or(|text| text.is_empty())
    };
    // What we stream has the thought in one place and its seal in another. Several cannot be told apart.
    let several = blocks.items().filter(bare).count() > 1;
    for (at, block) in blocks.items().enumerate() {
        let list = place.field("thinking_blocks");
        let place = list.item(at);
        match block.text_of("type").as_deref() {
            Some("thinking") if bare(&block) && several => {
                parts.push(Part::Thinking {
                    text: String::new(),
                    signature: None,
                });
            }
            Some("thinking") if bare(&block) => parts.push(Part::Thinking {
                text: shown.clone().unwrap_or_default(),
                signature: ask::seal(block, "signature", &place)?,
            }),
            Some("thinking") => parts.push(Part::Thinking {
                text: ask::text(block, "thinking", &place)?,
                signature: ask::seal(block, "signature", &place)?,
            }),
            Some("redacted_thinking") => {
                parts.push(Part::SealedThinking(ask::text(block, "data", &place)?));
            }
            _ => ask::note(unread, &place.path()),
        }
    }
    Ok(())
}

/// A thought as OpenRouter's callers give it back.
fn detail(json: Json<'_>) -> Option<Part> {
    if json.text_of("type").as_deref() == Some("reasoning.encrypted") {
        return Some(Part::SealedThinking(compact(json)));
    }
    let text = json.text_of("text").or_else(|| json.text_of("summary"));
    let text = text.unwrap_or_default().into_owned();
    let signature = json.text_of("signature").map(String::from);
    let signature = signature.filter(|seal| !seal.is_empty());
    (!text.is_empty() || signature.is_some()).then_some(Part::Thinking { text, signature })
}

fn content(
    json: Json<'_>,
    place: &Place<'_>,
    unread: &mut Vec<String>,
    parts: &mut Vec<Part>,
) -> Result<(), Refusal> {
    let place = place.field("content");
    let Some(content) = json.get("content") else {
        return Ok(());
    };
    if let Some(text) = content.text() {
        parts.push(Part::Text(text.into_owned()));
        return Ok(());
    }
    if content.kind() != Kind::List {
        return Err(place.wrong("a string or a list of parts"));
    }
    for (at, item) in content.items().enumerate() {
        let place = place.item(at);
        parts.push(part(item, &place, unread)?);
        if let Some(mark) = item.get("cache_control") {
            parts.push(Part::CacheMark(compact(mark)));
        }
    }
    Ok(())
}

fn part(json: Json<'_>, place: &Place<'_>, unread: &mut Vec<String>) -> Result<Part, Refusal> {
    let kind = ask::text(json, "type", place)?;
    ask::note_unread(json, &["type", &kind, "cache_control"], place, unread);
    let inner = json.get(&kind);
    let place = place.field(&kind);
    match kind.as_str() {
        "text" => {
            let text = inner.and_then(Json::text);
            Ok(Part::Text(
                text.ok_or_else(|| place.wrong("a string"))?.into_owned(),
            ))
        }
        "refusal" => {
            let text = inner.and_then(Json::text);
            Ok(Part::Refusal(
                text.ok_or_else(|| place.wrong("a string"))?.into_owned(),
            ))
        }
        "image_url" => image(inner.ok_or_else(|| place.missing())?, &place, unread),
        "input_audio" => {
            let audio = inner.ok_or_else(|| place.missing())?;
            let data = ask::text(audio, "data", &place)?;
            if !is_base64(&data) {
                return Err(place.field("data").wrong("base64"));
            }
            Ok(Part::Audio {
                format: ask::text(audio, "format", &place)?,
                data,
            })
        }
        "file" => file(inner.ok_or_else(|| place.missing())?, &place),
        _ => Err(place.wrong("of type `text`, `image_url`, `input_audio`, `file` or `refusal`")),
    }
}

fn image(json: Json<'_>, place: &Place<'_>, unread: &mut Vec<String>) -> Result<Part, Refusal> {
    let url = match json.text() {
        Some(url) => url.into_owned(),
        None => ask::text(json, "url", place)?,
    };
    ask::note_unread(json, &["url", "detail"], place, unread);
    Ok(Part::Image {
        source: ask::checked(source_of_url(&url), &place.field("url"))?,
        detail: ask::text_if(json, "detail", place)?,
    })
}

fn file(json: Json<'_>, place: &Place<'_>) -> Result<Part, Refusal> {
    let source = match (
        ask::text_if(json, "file_data", place)?,
        ask::text_if(json, "file_id", place)?,
    ) {
        (Some(data), _) => match source_of_url(&data) {
            Source::Url(base64) => Source::Data {
                media: "application/pdf".to_owned(),
                base64,
            },
            source @ (Source::Data { .. } | Source::Text(_) | Source::File(_)) => source,
        },
        (None, Some(id)) => Source::File(id),
        (None, None) => return Err(place.field("file_data").missing()),
    };
    Ok(Part::Document {
        source: ask::checked(source, &place.field("file_data"))?,
        name: ask::text_if(json, "filename", place)?,
    })
}

/// The seal of the thought behind a call, where Google puts it in this dialect, and so do we.
pub fn seal(call: Json<'_>) -> Option<String> {
    let seal = call
        .get("extra_content")
        .and_then(|extra| extra.get("google"))
        .and_then(|google| google.text_of("thought_signature"))?;
    Some(seal.into_owned())
}

fn calls(
    json: Json<'_>,
    place: &Place<'_>,
    unread: &mut Vec<String>,
    parts: &mut Vec<Part>,
) -> Result<(), Refusal> {
    let Some(calls) = json.get("tool_calls") else {
        return Ok(());
    };
    for (at, call) in calls.items().enumerate() {
        let list = place.field("tool_calls");
        let place = list.item(at);
        let known = ["id", "type", "index", "function", "extra_content"];
        ask::note_unread(call, &known, &place, unread);
        let function = call
            .get("function")
            .ok_or_else(|| place.field("function").missing())?;
        parts.push(Part::ToolCall(ToolCall {
            id: ask::text(call, "id", &place)?,
            name: ask::text(function, "name", &place.field("function"))?,
            arguments: ask::text_if(function, "arguments", &place.field("function"))?
                .unwrap_or_default(),
            signature: seal(call),
        }));
    }
    Ok(())
}
