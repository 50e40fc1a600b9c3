//! A request, written for Cohere's chat.

use crate::dialect::chat::{
    Chat, Effort, Format, Message, Outcome, Part, Role, Source, Thinking, ToolCall, ToolChoice,
};
use crate::dialect::gaps::{Gaps, Policy, Untranslatable};
use crate::dialect::speak::{Calls, Target, Written, streams};
use crate::dialect::writer::{Writer, object};

/// Writes a request.
pub fn write(
    name: &'static str,
    chat: &Chat,
    target: &Target<'_>,
    policy: Policy,
) -> Result<Written, Untranslatable> {
    let mut gaps = Gaps::new(name, policy);
    gaps.inherit(chat, "this field has no neutral meaning");
    gaps.extras(chat);
    let body = object(|o| {
        o.key("model").text(target.model);
        o.key("stream").truth(streams(chat));
        o.key("messages").list(|list| {
            for message in &chat.messages {
                messages(list, message, &mut gaps);
            }
        });
        tools(o, chat, &mut gaps);
        sampling(o, chat, &mut gaps);
        format(o, chat);
        thinking(o, chat);
    });
    for (said, name) in [
        (chat.user.is_some(), "user"),
        (chat.metadata.is_some(), "metadata"),
    ] {
        if said {
            gaps.advice(name, "it takes no notes");
        }
    }
    Ok(Written {
        body,
        path: "/v2/chat".to_owned(),
        headers: Vec::new(),
        dropped: gaps.settle()?,
        calls: Calls::of(chat),
    })
}

fn sampling(o: &mut Writer<'_>, chat: &Chat, gaps: &mut Gaps) {
    o.whole_field("max_tokens", chat.output_max);
    o.whole_field("k", chat.top_k);
    for (field, name, number, least) in [
        ("temperature", "temperature", &chat.temperature, 0.0),
        ("p", "top_p", &chat.top_p, 0.0),
        (
            "frequency_penalty",
            "frequency_penalty",
            &chat.frequency_penalty,
            0.0,
        ),
        (
            "presence_penalty",
            "presence_penalty",
            &chat.presence_penalty,
            0.0,
        ),
    ] {
        let Some(number) = number else {
            continue;
        };
        if number.is_within(least, 1.0) {
            o.key(field).raw(number.as_str());
        } else {
            gaps.lost(
                name,
                "it goes from 0 to 1 here; the nearer end stands for it",
            );
            o.key(field)
                .raw(if number.is_above(1.0) { "1" } else { "0" });
        }
    }
    o.raw_field("seed", chat.seed.as_ref().map(|seed| seed.as_str()));
    if !chat.stop.is_empty() {
        o.key("stop_sequences")
            .list(|list| chat.stop.iter().for_each(|stop| list.text(stop)));
    }
    gaps.unless_default(chat, &["n", "logprobs"]);
}

fn format(o: &mut Writer<'_>, chat: &Chat) {
    let schema = match &chat.format {
        Format::Text => return,
        Format::JsonObject => None,
        Format::JsonSchema { schema, .. } => Some(schema.as_str()),
    };
    o.key("response_format").object(|o| {
        o.key("type").text("json_object");
        o.raw_field("json_schema", schema);
    });
}

fn thinking(o: &mut Writer<'_>, chat: &Chat) {
    let wanted = chat.reasoning;
    if wanted.in_words().is_none() && wanted.thinking == Thinking::Unsaid {
        return;
    }
    o.key("thinking").object(|o| {
        if wanted.in_words() == Some(Effort::None) {
            return o.key("type").text("disabled");
        }
        o.key("type").text("enabled");
        o.whole_field("token_budget", wanted.in_tokens());
    });
}

fn tools(o: &mut Writer<'_>, chat: &Chat, gaps: &mut Gaps) {
    if chat.tools.is_empty() {
        return;
    }
    // A single tool can be forced by showing no other.
    let only = match &chat.tool_choice {
        Some(ToolChoice::Named(name)) => Some(name),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => None,
    };
    o.key("tools").list(|list| {
        for tool in &chat.tools {
            if only.is_some_and(|name| *name != tool.name) {
                continue;
            }
            list.object(|o| {
                o.key("type").text("function");
                o.key("function").object(|o| {
                    o.key("name").text(&tool.name);
                    o.text_field("description", tool.description.as_deref());
                    let nothing = r#"{"type":"object","properties":{}}"#;
                    o.key("parameters")
                        .raw(tool.schema.as_deref().unwrap_or(nothing));
                });
            });
        }
    });
    if chat.tools.iter().all(|tool| tool.strict == Some(true)) {
        o.key("strict_tools").truth(true);
    } else if chat.tools.iter().any(|tool| tool.strict == Some(true)) {
        gaps.advice(
            "tools.function.strict",
            "all tools are strict here, or none",
        );
    }
    if chat.tools.iter().any(|tool| tool.cache_mark.is_some()) {
        gaps.advice("tools.cache_control", "this provider caches by itself");
    }
    match &chat.tool_choice {
        None | Some(ToolChoice::Auto) => {}
        Some(ToolChoice::None) => o.key("tool_choice").text("NONE"),
        Some(ToolChoice::Required | ToolChoice::Named(_)) => {
            o.key("tool_choice").text("REQUIRED");
        }
    }
}

fn messages(list: &mut Writer<'_>, message: &Message, gaps: &mut Gaps) {
    let mut rest = Vec::new();
    for part in &message.parts {
        if let Part::ToolResult { id, parts, outcome } = part {
            result(list, id, parts, *outcome, gaps);
        } else if matches!(part, Part::CacheMark(_)) {
            gaps.advice("messages.cache_control", "this provider caches by itself");
        } else {
            rest.push(part);
        }
    }
    if rest.is_empty() && !message.parts.is_empty() {
        return;
    }
    if message.name.is_some() {
        gaps.advice("messages.name", "who speaks of several is not said here");
    }
    list.object(|o| match message.role {
        Role::System | Role::Developer => {
            o.key("role").text("system");
            content(o, &rest, gaps);
        }
        Role::User => {
            o.key("role").text("user");
            content(o, &rest, gaps);
        }
        Role::Assistant => said(o, &rest, gaps),
    });
}

fn result(list: &mut Writer<'_>, id: &str, parts: &[Part], outcome: Outcome, gaps: &mut Gaps) {
    let mut text = String::new();
    for part in parts {
        if let Part::Text(more) = part {
            text.push_str(more);
        } else if !matches!(part, Part::CacheMark(_)) {
            gaps.lost(
                "messages tool result",
                "results of tools are only text here",
            );
        }
    }
    if outcome == Outcome::Failed {
        gaps.advice(
            "messages.is_error",
            "a result has no such mark here; its words stand",
        );
    }
    list.object(|o| {
        o.key("role").text("tool");
        o.key("tool_call_id").text(id);
        o.key("content").text(&text);
    });
}

fn content(o: &mut Writer<'_>, parts: &[&Part], gaps: &mut Gaps) {
    let o = o.key("content");
    match parts {
        [] => o.text(""),
        [Part::Text(text)] => o.text(text),
        parts => o.list(|list| {
            for part in parts {
                piece(list, part, gaps);
            }
        }),
    }
}

fn piece(list: &mut Writer<'_>, part: &Part, gaps: &mut Gaps) {
    match part {
        Part::Text(text)
        | Part::Refusal(text)
        | Part::Document {
            source: Source::Text(text),
            ..
        } => list.object(|o| {
            o.key("type").text("text");
            o.key("text").text(text);
        }),
        Part::Image {
            source: Source::Url(url),
            ..
        } => picture(list, url),
        Part::Image {
            source: Source::Data { media, base64 },
            ..
        } => picture(list, &format!("data:{media};base64,{base64}")),
        Part::Image { .. } | Part::Document { .. } | Part::Audio { .. } => {
            gaps.lost("messages file or audio", "it reads text and pictures");
        }
        Part::Thinking { .. }
        | Part::SealedThinking(_)
        | Part::ToolCall(_)
        | Part::ToolResult { .. }
        | Part::CacheMark(_) => {
            gaps.lost("messages.content", "only the model says these");
        }
    }
}

fn picture(list: &mut Writer<'_>, url: &str) {
    list.object(|o| {
        o.key("type").text("image_url");
        o.key("image_url").object(|o| o.key("url").text(url));
    });
}

fn said(o: &mut Writer<'_>, parts: &[&Part], gaps: &mut Gaps) {
    let mut text = String::new();
    let mut calls: Vec<&ToolCall> = Vec::new();
    for part in parts {
        if let Part::Text(more) | Part::Refusal(more) = part {
            text.push_str(more);
        } else if let Part::ToolCall(call) = part {
            calls.push(call);
        } else if matches!(part, Part::Thinking { .. } | Part::SealedThinking(_)) {
            gaps.advice(
                "messages.reasoning_content",
                "thoughts are not given back to this provider",
            );
        } else {
            gaps.lost("messages.content", "the model itself only says text here");
        }
    }
    o.key("role").text("assistant");
    if !text.is_empty() || calls.is_empty() {
        o.key("content").text(&text);
    }
    if calls.is_empty() {
        return;
    }
    o.key("tool_calls").list(|list| {
        for call in calls {
            list.object(|o| {
                o.key("id").text(&call.id);
                o.key("type").text("function");
                o.key("function").object(|o| {
                    o.key("name").text(&call.name);
                    o.key("arguments").text(&call.arguments);
                });
            });
        }
    });
}
