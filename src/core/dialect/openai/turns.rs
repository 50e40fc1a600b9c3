//! The messages of a conversation, written for OpenAI or one of its accents.

use crate::dialect::accents::{Accent, Developer, Thoughts};
use crate::dialect::chat::{Message, Outcome, Part, Role, Source, ToolCall};
use crate::dialect::gaps::{Gaps, OTHERS_FILE};
use crate::dialect::json::Tape;
use crate::dialect::writer::Writer;

/// Results of tools are messages of their own here, before what the user says beside them.
pub fn messages(
    list: &mut Writer<'_>,
    accent: &Accent,
    message: &Message,
    at: usize,
    gaps: &mut Gaps,
) {
    let mut rest = Vec::new();
    for part in &message.parts {
        match part {
            Part::ToolResult { id, parts, outcome } => {
                tool_result(list, (&accent.id(id), parts, *outcome), at, gaps);
            }
            Part::CacheMark(_) => {
                gaps.advice("messages.cache_control", "this provider caches by itself")
            }
            Part::Text(_)
            | Part::Image { .. }
            | Part::Document { .. }
            | Part::Audio { .. }
            | Part::Refusal(_)
            | Part::Thinking { .. }
            | Part::SealedThinking(_)
            | Part::ToolCall(_) => rest.push(part),
        }
    }
    if rest.is_empty() && !message.parts.is_empty() {
        return;
    }
    list.object(|o| {
        o.key("role").text(match (message.role, accent.developer) {
            (Role::System, _) | (Role::Developer, Developer::IsSystem) => "system",
            (Role::Developer, Developer::Known) => "developer",
            (Role::User, _) => "user",
            (Role::Assistant, _) => "assistant",
        });
        let name = message.name.as_deref();
        let name = name.filter(|_| accent.takes("messages.name", gaps));
        o.text_field("name", name);
        if message.role == Role::Assistant {
            said(o, accent, &rest, gaps);
        } else {
            content(o, &rest, at, gaps);
        }
    });
}

fn tool_result(
    list: &mut Writer<'_>,
    (id, parts, outcome): (&str, &[Part], Outcome),
    at: usize,
    gaps: &mut Gaps,
) {
    list.object(|o| {
        o.key("role").text("tool");
        o.key("tool_call_id").text(id);
        let mut text = String::new();
        for part in parts {
            if let Part::Text(more) | Part::Refusal(more) = part {
                text.push_str(more);
            } else if !matches!(part, Part::CacheMark(_)) {
                gaps.lost(
                    format!("messages[{at}] tool result"),
                    "results of tools are only text here",
                );
            }
        }
        o.key("content").text(&text);
    });
    if outcome == Outcome::Failed {
        gaps.advice(
            format!("messages[{at}].is_error"),
            "a result has no such mark here; its words stand",
        );
    }
}

/// One text stands alone: every accent takes a string, not every one a list.
fn content(o: &mut Writer<'_>, parts: &[&Part], at: usize, gaps: &mut Gaps) {
    let o = o.key("content");
    match parts {
        [] => o.text(""),
        [Part::Text(text)] => o.text(text),
        parts => o.list(|list| {
            for part in parts {
                content_part(list, part, at, gaps);
            }
        }),
    }
}

fn content_part(list: &mut Writer<'_>, part: &Part, at: usize, gaps: &mut Gaps) {
    let files = gaps.keeps_files();
    let mut lost = |what: &str, why| gaps.lost(format!("messages[{at}] {what}"), why);
    match part {
        Part::Text(text) => list.object(|o| {
            o.key("type").text("text");
            o.key("text").text(text);
        }),
        Part::Image { source, detail } => match address(source) {
            Some(url) => list.object(|o| {
                o.key("type").text("image_url");
                o.key("image_url").object(|o| {
                    o.key("url").text(&url);
                    o.text_field("detail", detail.as_deref());
                });
            }),
            None => lost("image", "files of another provider are not known here"),
        },
        Part::Document {
            source: Source::File(_),
            ..
        } if !files => lost("file_id", OTHERS_FILE),
        Part::Document { source, name } => match source {
            Source::Text(text) => list.object(|o| {
                o.key("type").text("text");
                o.key("text").text(text);
            }),
            Source::Data { .. } | Source::File(_) => list.object(|o| {
                o.key("type").text("file");
                o.key("file").object(|o| {
                    if let Source::File(id) = source {
                        o.key("file_id").text(id);
                    } else {
                        let name = name.as_deref().unwrap_or("document.pdf");
                        o.key("filename").text(name);
                        o.text_field("file_data", address(source).as_deref());
                    }
                });
            }),
            Source::Url(_) => lost(
                "document",
                "documents are sent as data here, not by address",
            ),
        },
        Part::Audio { format, data } => list.object(|o| {
            o.key("type").text("input_audio");
            o.key("input_audio").object(|o| {
                o.key("data").text(data);
                o.key("format").text(format);
            });
        }),
        Part::Refusal(text) => list.object(|o| {
            o.key("type").text("refusal");
            o.key("refusal").text(text);
        }),
        Part::ToolResult { .. } => lost("tool result", "it stands within another result"),
        Part::Thinking { .. } | Part::SealedThinking(_) | Part::ToolCall(_) => {
            lost("tool call or thought", "only the model says these");
        }
        Part::CacheMark(_) => {
            gaps.advice("messages.cache_control", "this provider caches by itself");
        }
    }
}

fn address(source: &Source) -> Option<String> {
    match source {
        Source::Url(url) => Some(url.clone()),
        Source::Data { media, base64 } => Some(format!("data:{media};base64,{base64}")),
        Source::Text(_) | Source::File(_) => None,
    }
}

/// What the model said earlier.
fn said(o: &mut Writer<'_>, accent: &Accent, parts: &[&Part], gaps: &mut Gaps) {
    let (mut text, mut thought, mut refusal) = (None, String::new(), None);
    let mut sealed = false;
    let mut calls: Vec<&ToolCall> = Vec::new();
    for part in parts {
        match part {
            Part::Text(more) => text.get_or_insert_with(String::new).push_str(more),
            Part::Thinking { .. } | Part::SealedThinking(_)
                if accent.thoughts == Thoughts::Details =>
            {
                sealed = true;
            }
            Part::Thinking { text, .. } => thought.push_str(text),
            Part::Refusal(more) => refusal.get_or_insert_with(String::new).push_str(more),
            Part::ToolCall(call) => calls.push(call),
            Part::SealedThinking(_) => gaps.advice(
                "messages.thinking_blocks",
                "sealed thoughts are only taken back by who sealed them",
            ),
            Part::Image { .. }
            | Part::Document { .. }
            | Part::Audio { .. }
            | Part::ToolResult { .. }
            | Part::CacheMark(_) => {
                gaps.lost("messages.content", "the model itself only says text here");
            }
        }
    }
    match &text {
        Some(text) => o.key("content").text(text),
        None if calls.is_empty() && refusal.is_none() => o.key("content").text(""),
        None => o.key("content").null(),
    }
    o.text_field("refusal", refusal.as_deref());
    match accent.thoughts {
        _ if thought.is_empty() => {}
        Thoughts::Back => o.key("reasoning_content").text(&thought),
        Thoughts::Details => {}
        Thoughts::Kept => gaps.advice(
            "messages.reasoning_content",
            "thoughts are not given back to this provider",
        ),
    }
    if sealed {
        o.key("reasoning_details").list(|list| {
            for part in parts {
                detail(list, part);
            }
        });
    }
    if calls.is_empty() {
        return;
    }
    o.key("tool_calls").list(|list| {
        for call in calls {
            list.object(|o| {
                o.key("id").text(&accent.id(&call.id));
                o.key("type").text("function");
                o.key("function").object(|o| {
                    o.key("name").text(&call.name);
                    o.key("arguments").text(&call.arguments);
                });
            });
        }
    });
}

/// A thought as OpenRouter takes it back. What it sealed whole we gave out as it came, see [`super::stream`].
fn detail(list: &mut Writer<'_>, part: &Part) {
    match part {
        Part::Thinking { text, signature } => list.object(|o| {
            o.key("type").text("reasoning.text");
            o.key("text").text(text);
            o.text_field("signature", signature.as_deref());
        }),
        Part::SealedThinking(data) if is_detail(data) => list.raw(data),
        Part::SealedThinking(data) => list.object(|o| {
            o.key("type").text("reasoning.encrypted");
            o.key("data").text(data);
        }),
        Part::Text(_)
        | Part::Image { .. }
        | Part::Document { .. }
        | Part::Audio { .. }
        | Part::Refusal(_)
        | Part::ToolCall(_)
        | Part::ToolResult { .. }
        | Part::CacheMark(_) => {}
    }
}

/// Whether a sealed thought is one of OpenRouter's, whole: nobody else's seal looks like that.
pub fn is_detail(data: &str) -> bool {
    data.starts_with('{') && Tape::default().read(data.as_bytes()).is_ok()
}
