//! Messages, written as Anthropic's blocks.

use crate::dialect::chat::{Chat, Outcome, Part, Role, Source, ToolCall};
use crate::dialect::conversation::{Conversation, Turn};
use crate::dialect::gaps::{Gaps, OTHERS_FILE};
use crate::dialect::json::{Kind, Tape};
use crate::dialect::openai::turns::is_detail;
use crate::dialect::writer::{Writer, compact};
use crate::eventstream::crc32;

/// Instructions and turns.
pub fn conversation(o: &mut Writer<'_>, chat: &Chat, gaps: &mut Gaps) {
    let Conversation { system, turns } = Conversation::of(chat, gaps);
    if !system.is_empty() {
        o.key("system")
            .list(|list| blocks(list, &system, "system", gaps));
    }
    o.key("messages").list(|list| {
        for Turn { role, parts } in turns {
            let assistant = role == Role::Assistant;
            list.object(|o| {
                let role = if assistant { "assistant" } else { "user" };
                o.key("role").text(role);
                o.key("content").list(|list| {
                    let mut marked = with_marks(&parts);
                    // Results of tools must come first in the turn that brings them.
                    marked.sort_by_key(|(part, _)| {
                        !assistant && !matches!(part, Part::ToolResult { .. })
                    });
                    for (part, mark) in marked {
                        block(list, part, mark, "messages", gaps);
                    }
                });
            });
        }
    });
}

/// A mark for the cache belongs to the block before it.
fn with_marks<'a>(parts: &[&'a Part]) -> Vec<(&'a Part, Option<&'a str>)> {
    let mut marked: Vec<(&Part, Option<&str>)> = Vec::new();
    for part in parts {
        match (part, marked.last_mut()) {
            (Part::CacheMark(mark), Some((_, last))) => *last = Some(mark),
            _ => marked.push((part, None)),
        }
    }
    marked
}

fn blocks(list: &mut Writer<'_>, parts: &[&Part], at: &str, gaps: &mut Gaps) {
    for (part, mark) in with_marks(parts) {
        block(list, part, mark, at, gaps);
    }
}

fn block(list: &mut Writer<'_>, part: &Part, mark: Option<&str>, at: &str, gaps: &mut Gaps) {
    match part {
        // Empty texts are refused there, and say nothing.
        Part::Text(text) | Part::Refusal(text) => {
            if !text.is_empty() {
                list.object(|o| {
                    o.key("type").text("text");
                    o.key("text").text(text);
                    o.raw_field("cache_control", mark);
                });
            }
        }
        Part::Image { .. } | Part::Document { .. } => media(list, part, mark, at, gaps),
        Part::Audio { .. } => gaps.lost(format!("{at} audio"), "it does not listen"),
        Part::Thinking {
            text,
            signature: Some(signature),
        } => list.object(|o| {
            o.key("type").text("thinking");
            o.key("thinking").text(text);
            o.key("signature").text(signature);
        }),
        Part::Thinking {
            signature: None, ..
        } => gaps.advice(
            format!("{at}.reasoning_content"),
            "thoughts are only taken back with their seal",
        ),
        Part::SealedThinking(data) if is_detail(data) => gaps.advice(
            "messages.reasoning_details",
            "sealed thoughts are only taken back by who sealed them",
        ),
        Part::SealedThinking(data) => list.object(|o| {
            o.key("type").text("redacted_thinking");
            o.key("data").text(data);
        }),
        Part::ToolCall(one) => call(list, one, mark, at, gaps),
        Part::ToolResult { id, parts, outcome } => list.object(|o| {
            o.key("type").text("tool_result");
            o.key("tool_use_id").text(&safe_id(id));
            let inner: Vec<&Part> = parts.iter().collect();
            o.key("content").list(|list| blocks(list, &inner, at, gaps));
            if *outcome == Outcome::Failed {
                o.key("is_error").truth(true);
            }
            o.raw_field("cache_control", mark);
        }),
        Part::CacheMark(_) => {}
    }
}

fn media(list: &mut Writer<'_>, part: &Part, mark: Option<&str>, at: &str, gaps: &mut Gaps) {
    let (kind, source, title) = if let Part::Image { source, detail } = part {
        if detail.is_some() {
            gaps.advice(
                format!("{at}.image_url.detail"),
                "pictures are seen in one resolution here",
            );
        }
        ("image", source, None)
    } else if let Part::Document { source, name } = part {
        ("document", source, name.as_deref())
    } else {
        return;
    };
    if matches!(source, Source::File(_)) {
        return gaps.lost(format!("{at} file_id"), OTHERS_FILE);
    }
    list.object(|o| {
        o.key("type").text(kind);
        o.key("source").object(|o| origin(o, source));
        o.text_field("title", title);
        o.raw_field("cache_control", mark);
    });
}

fn origin(o: &mut Writer<'_>, source: &Source) {
    match source {
        Source::Url(url) => {
            o.key("type").text("url");
            o.key("url").text(url);
        }
        Source::Data { media, base64 } => {
            o.key("type").text("base64");
            o.key("media_type").text(media);
            o.key("data").text(base64);
        }
        Source::Text(text) => {
            o.key("type").text("text");
            o.key("media_type").text("text/plain");
            o.key("data").text(text);
        }
        Source::File(id) => {
            o.key("type").text("file");
            o.key("file_id").text(id);
        }
    }
}

fn call(list: &mut Writer<'_>, call: &ToolCall, mark: Option<&str>, at: &str, gaps: &mut Gaps) {
    let input = arguments(call);
    if input.is_none() {
        gaps.lost(
            format!("{at}.tool_calls.function.arguments"),
            "they are no JSON object",
        );
    }
    list.object(|o| {
        o.key("type").text("tool_use");
        o.key("id").text(&safe_id(&call.id));
        o.key("name").text(&call.name);
        o.key("input").raw(input.as_deref().unwrap_or("{}"));
        o.raw_field("cache_control", mark);
    });
}

/// The arguments of a call as the object they should be; no text at all is an empty one.
pub fn arguments(call: &ToolCall) -> Option<String> {
    if call.arguments.trim().is_empty() {
        return Some("{}".to_owned());
    }
    let mut tape = Tape::default();
    let json = tape.read(call.arguments.as_bytes()).ok()?;
    (json.kind() == Kind::Object).then(|| compact(json))
}

/// Only letters, digits, `_` and `-` may stand in an id there, and on Bedrock 64 of them; the same change in call and
/// result.
pub fn safe_id(id: &str) -> String {
    if id.len() > 64 {
        return format!("call_{:08x}", crc32(id.as_bytes()));
    }
    id.chars()
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => character,
            _ => '_',
        })
        .collect()
}
