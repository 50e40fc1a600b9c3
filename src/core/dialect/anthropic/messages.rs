//! The messages of Anthropic's Messages API, understood.

use crate::dialect::ask::{self, Place};
use crate::dialect::chat::{Message, Outcome, Part, Role, Source, ToolCall};
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
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return Err(place.field("role").wrong("`user` or `assistant`")),
    };
    ask::note_unread(json, &["role", "content"], place, unread);
    let content = json
        .get("content")
        .ok_or_else(|| place.field("content").missing())?;
    Ok(Message {
        role,
        name: None,
        parts: blocks(content, &place.field("content"), unread)?,
    })
}

/// A text, or blocks.
pub fn blocks(
    json: Json<'_>,
    place: &Place<'_>,
    unread: &mut Vec<String>,
) -> Result<Vec<Part>, Refusal> {
    if let Some(text) = json.text() {
        return Ok(vec![Part::Text(text.into_owned())]);
    }
    if json.kind() != Kind::List {
        return Err(place.wrong("a string or a list of blocks"));
    }
    let mut parts = Vec::new();
    for (at, item) in json.items().enumerate() {
        let place = place.item(at);
        parts.extend(block(item, &place, unread)?);
        if let Some(mark) = item.get("cache_control") {
            parts.push(Part::CacheMark(compact(mark)));
        }
    }
    Ok(parts)
}

/// None for what only this provider has: it is noted.
fn block(
    json: Json<'_>,
    place: &Place<'_>,
    unread: &mut Vec<String>,
) -> Result<Option<Part>, Refusal> {
    let kind = ask::text(json, "type", place)?;
    let (known, part): (&[&str], Part) = match kind.as_str() {
        "text" => (&["text"], Part::Text(ask::text(json, "text", place)?)),
        "image" => (
            &["source"],
            Part::Image {
                source: source(json, place)?,
                detail: None,
            },
        ),
        "document" => (
            &["source", "title"],
            Part::Document {
                source: source(json, place)?,
                name: ask::text_if(json, "title", place)?,
            },
        ),
        "thinking" => (
            &["thinking", "signature"],
            Part::Thinking {
                text: ask::text(json, "thinking", place)?,
                signature: ask::seal(json, "signature", place)?,
            },
        ),
        "redacted_thinking" => (
            &["data"],
            Part::SealedThinking(ask::text(json, "data", place)?),
        ),
        "tool_use" => (&["id", "name", "input"], call(json, place)?),
        "tool_result" => (
            &["tool_use_id", "content", "is_error"],
            result(json, place, unread)?,
        ),
        _ => {
            ask::note(unread, &place.path());
            return Ok(None);
        }
    };
    let mut known = known.to_vec();
    known.extend(["type", "cache_control"]);
    ask::note_unread(json, &known, place, unread);
    Ok(Some(part))
}

fn call(json: Json<'_>, place: &Place<'_>) -> Result<Part, Refusal> {
    let input = json
        .get("input")
        .filter(|input| input.kind() == Kind::Object)
        .ok_or_else(|| place.field("input").wrong("an object"))?;
    Ok(Part::ToolCall(ToolCall {
        id: ask::text(json, "id", place)?,
        name: ask::text(json, "name", place)?,
        arguments: compact(input),
        signature: None,
    }))
}

fn result(json: Json<'_>, place: &Place<'_>, unread: &mut Vec<String>) -> Result<Part, Refusal> {
    let parts = match json.get("content") {
        Some(content) => blocks(content, &place.field("content"), unread)?,
        None => Vec::new(),
    };
    let failed = json.get("is_error").and_then(Json::truth) == Some(true);
    Ok(Part::ToolResult {
        id: ask::text(json, "tool_use_id", place)?,
        parts,
        outcome: if failed {
            Outcome::Failed
        } else {
            Outcome::Done
        },
    })
}

/// A document in blocks: only its words mean something elsewhere.
fn content(json: Json<'_>, place: &Place<'_>) -> Result<String, Refusal> {
    let inside = json.get("content").ok_or_else(|| place.missing())?;
    if let Some(text) = inside.text() {
        return Ok(text.into_owned());
    }
    let texts: Option<Vec<_>> = inside.items().map(|block| block.text_of("text")).collect();
    let texts = texts.ok_or_else(|| place.field("content").wrong("text, or blocks of it"))?;
    Ok(texts.join("\n\n"))
}

fn source(json: Json<'_>, place: &Place<'_>) -> Result<Source, Refusal> {
    let place = place.field("source");
    let source = json.get("source").ok_or_else(|| place.missing())?;
    let source = match ask::text(source, "type", &place)?.as_str() {
        "base64" => Source::Data {
            media: ask::text(source, "media_type", &place)?,
            base64: ask::text(source, "data", &place)?,
        },
        "url" => Source::Url(ask::text(source, "url", &place)?),
        "text" => Source::Text(ask::text(source, "data", &place)?),
        "content" => Source::Text(content(source, &place)?),
        "file" => Source::File(ask::text(source, "file_id", &place)?),
        _ => {
            return Err(place
                .field("type")
                .wrong("`base64`, `url`, `text`, `content` or `file`"));
        }
    };
    ask::checked(source, &place)
}
