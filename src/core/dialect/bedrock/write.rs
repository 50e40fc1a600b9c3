//! A request, written for Bedrock's Converse.

use crate::dialect::anthropic::blocks::{arguments, safe_id};
use crate::dialect::anthropic::write::{Plan, top_p};
use crate::dialect::chat::{
    Chat, Effort, Format, Outcome, Part, Role, Source, ToolCall, ToolChoice,
};
use crate::dialect::conversation::{Conversation, Turn};
use crate::dialect::gaps::{Gaps, OTHERS_FILE, Policy, Untranslatable};
use crate::dialect::json::Tape;
use crate::dialect::openai::turns::is_detail;
use crate::dialect::path::segment;
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
        conversation(o, chat, &mut gaps);
        inference(o, chat, target, &mut gaps);
        tools(o, chat, &mut gaps);
        format(o, chat, &mut gaps);
    });
    if chat.user.is_some() {
        gaps.advice("user", "it takes no notes");
    }
    if chat.metadata.is_some() {
        gaps.advice("metadata", "it takes no notes");
    }
    let verb = if streams(chat) {
        "converse-stream"
    } else {
        "converse"
    };
    Ok(Written {
        body,
        path: format!("/model/{}/{verb}", segment(target.model)),
        headers: Vec::new(),
        dropped: gaps.settle()?,
        calls: Calls::of(chat),
    })
}

/// What Converse has no word for, some models take beside it.
fn inference(o: &mut Writer<'_>, chat: &Chat, target: &Target<'_>, gaps: &mut Gaps) {
    let claude = target.model.contains("anthropic.");
    let plan = claude.then(|| Plan::of(chat, target, gaps));
    let thinks = plan.is_some_and(Plan::thinks);
    let max = match plan {
        Some(plan) if thinks || chat.output_max.is_some() => Some(plan.max),
        _ => chat.output_max,
    };
    o.key("inferenceConfig").object(|o| {
        o.whole_field("maxTokens", max);
        match &chat.temperature {
            Some(temperature) if thinks && !temperature.is_within(1.0, 1.0) => {
                gaps.lost("temperature", "it cannot be chosen while the model thinks");
            }
            Some(temperature) if temperature.is_above(1.0) => {
                gaps.lost("temperature", "it goes to 1 here; 1 stands for it");
                o.key("temperature").raw("1");
            }
            temperature => {
                o.raw_field("temperature", temperature.as_ref().map(|it| it.as_str()));
            }
        }
        let share = if claude {
            top_p(chat, target, gaps)
        } else {
            chat.top_p.as_ref()
        };
        o.raw_field("topP", share.map(|share| share.as_str()));
        if !chat.stop.is_empty() {
            o.key("stopSequences")
                .list(|list| chat.stop.iter().for_each(|stop| list.text(stop)));
        }
    });
    gaps.unless_default(
        chat,
        &[
            "n",
            "seed",
            "frequency_penalty",
            "presence_penalty",
            "logprobs",
        ],
    );
    let effort = chat.reasoning.in_words();
    if claude && (thinks || chat.top_k.is_some()) {
        o.key("additionalModelRequestFields").object(|o| {
            o.whole_field("top_k", chat.top_k);
            if let Some(plan) = plan {
                plan.write_thinking(o);
                if let Some(effort) = plan.effort {
                    o.key("output_config")
                        .object(|o| o.key("effort").text(effort.word()));
                }
            }
        });
    } else if target.model.contains("openai.")
        && let Some(effort) = effort
    {
        o.key("additionalModelRequestFields")
            .object(|o| o.key("reasoning_effort").text(effort.word()));
    } else if effort.is_some_and(|effort| effort != Effort::None) {
        gaps.lost(
            "reasoning_effort",
            "this model is not told how hard to think",
        );
    }
    if !claude {
        gaps.unless_default(chat, &["top_k"]);
    }
}

fn conversation(o: &mut Writer<'_>, chat: &Chat, gaps: &mut Gaps) {
    let Conversation { system, turns } = Conversation::of(chat, gaps);
    if !system.is_empty() {
        o.key("system")
            .list(|list| system.iter().for_each(|part| block(list, part, gaps)));
    }
    o.key("messages").list(|list| {
        for Turn { role, parts } in turns {
            list.object(|o| {
                o.key("role").text(match role {
                    Role::Assistant => "assistant",
                    Role::System | Role::Developer | Role::User => "user",
                });
                o.key("content")
                    .list(|list| parts.iter().for_each(|part| block(list, part, gaps)));
            });
        }
    });
}

fn block(list: &mut Writer<'_>, part: &Part, gaps: &mut Gaps) {
    match part {
        Part::Text(text) | Part::Refusal(text) => {
            // Empty texts are refused there, and say nothing.
            if !text.is_empty() {
                list.object(|o| o.key("text").text(text));
            }
        }
        Part::Image { source, .. } => image(list, source, gaps),
        Part::Document { source, name } => document(list, source, name.as_deref(), gaps),
        Part::Audio { .. } => gaps.lost("messages audio", "it does not listen"),
        Part::Thinking {
            text,
            signature: Some(signature),
        } => list.object(|o| {
            o.key("reasoningContent").object(|o| {
                o.key("reasoningText").object(|o| {
                    o.key("text").text(text);
                    o.key("signature").text(signature);
                });
            });
        }),
        Part::Thinking {
            signature: None, ..
        } => gaps.advice(
            "messages.reasoning_content",
            "thoughts are only taken back with their seal",
        ),
        Part::SealedThinking(data) if is_detail(data) => gaps.advice(
            "messages.reasoning_details",
            "sealed thoughts are only taken back by who sealed them",
        ),
        Part::SealedThinking(data) => list.object(|o| {
            o.key("reasoningContent")
                .object(|o| o.key("redactedContent").text(data));
        }),
        Part::ToolCall(one) => call(list, one, gaps),
        Part::ToolResult { id, parts, outcome } => list.object(|o| {
            o.key("toolResult").object(|o| {
                o.key("toolUseId").text(&safe_id(id));
                o.key("content").list(|list| {
                    for part in parts {
                        block(list, part, gaps);
                    }
                });
                if *outcome == Outcome::Failed {
                    o.key("status").text("error");
                }
            });
        }),
        Part::CacheMark(mark) => list.object(|o| cache_point(o, mark)),
    }
}

fn cache_point(o: &mut Writer<'_>, mark: &str) {
    let mut tape = Tape::default();
    let mark = tape.read(mark.as_bytes()).ok();
    let kept = mark.and_then(|mark| mark.text_of("ttl"));
    o.key("cachePoint").object(|o| {
        o.key("type").text("default");
        o.text_field("ttl", kept.as_deref());
    });
}

fn call(list: &mut Writer<'_>, call: &ToolCall, gaps: &mut Gaps) {
    let input = arguments(call);
    if input.is_none() {
        gaps.lost(
            "messages.tool_calls.function.arguments",
            "they are no JSON object",
        );
    }
    list.object(|o| {
        o.key("toolUse").object(|o| {
            o.key("toolUseId").text(&safe_id(&call.id));
            o.key("name").text(&call.name);
            o.key("input").raw(input.as_deref().unwrap_or("{}"));
        });
    });
}

fn image(list: &mut Writer<'_>, source: &Source, gaps: &mut Gaps) {
    match source {
        Source::Data { media, base64 } => {
            let format = match media.as_str() {
                "image/png" => "png",
                "image/jpeg" | "image/jpg" => "jpeg",
                "image/gif" => "gif",
                "image/webp" => "webp",
                _ => return gaps.lost("messages image", "it sees PNG, JPEG, GIF and WebP"),
            };
            list.object(|o| {
                o.key("image").object(|o| {
                    o.key("format").text(format);
                    o.key("source").object(|o| o.key("bytes").text(base64));
                });
            });
        }
        Source::Url(_) => gaps.lost(
            "messages image",
            "pictures are sent as data here, not by address",
        ),
        Source::File(_) => gaps.lost("messages file_id", OTHERS_FILE),
        Source::Text(text) => list.object(|o| o.key("text").text(text)),
    }
}

fn document(list: &mut Writer<'_>, source: &Source, name: Option<&str>, gaps: &mut Gaps) {
    let (format, field, data) = match source {
        Source::Data { media, base64 } => (format_of(media), "bytes", base64),
        Source::Text(text) => ("txt", "text", text),
        Source::Url(_) => {
            return gaps.lost(
                "messages document",
                "documents are sent as data here, not by address",
            );
        }
        Source::File(_) => return gaps.lost("messages file_id", OTHERS_FILE),
    };
    list.object(|o| {
        o.key("document").object(|o| {
            o.key("format").text(format);
            o.key("name").text(&plain_name(name));
            o.key("source").object(|o| o.key(field).text(data));
        });
    });
}

fn format_of(media: &str) -> &'static str {
    match media {
        "text/csv" => "csv",
        "text/html" => "html",
        "text/markdown" => "md",
        "text/plain" => "txt",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        _ => "pdf",
    }
}

/// Only letters, digits, single blanks, hyphens and brackets may stand in a name there.
fn plain_name(name: Option<&str>) -> String {
    let name: String = name
        .unwrap_or("document")
        .chars()
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '(' | ')' | '[' | ']' => character,
            _ => '-',
        })
        .take(200)
        .collect();
    if name.is_empty() {
        "document".to_owned()
    } else {
        name
    }
}

fn tools(o: &mut Writer<'_>, chat: &Chat, gaps: &mut Gaps) {
    let called = chat
        .messages
        .iter()
        .flat_map(|message| &message.parts)
        .any(|part| matches!(part, Part::ToolCall(_)));
    let none = chat.tool_choice == Some(ToolChoice::None);
    // There is no word for "none": without earlier calls, no tools say the same.
    if chat.tools.is_empty() || none && !called {
        return;
    }
    if none {
        gaps.lost(
            "tool_choice",
            "calls cannot be forbidden once there were some",
        );
    }
    o.key("toolConfig").object(|o| {
        o.key("tools").list(|list| {
            for tool in &chat.tools {
                list.object(|o| {
                    o.key("toolSpec").object(|o| {
                        o.key("name").text(&tool.name);
                        o.text_field("description", tool.description.as_deref());
                        let nothing = r#"{"type":"object","properties":{}}"#;
                        let schema = tool.schema.as_deref().unwrap_or(nothing);
                        o.key("inputSchema").object(|o| o.key("json").raw(schema));
                        if tool.strict == Some(true) {
                            o.key("strict").truth(true);
                        }
                    });
                });
                if let Some(mark) = &tool.cache_mark {
                    list.object(|o| cache_point(o, mark));
                }
            }
        });
        match &chat.tool_choice {
            None | Some(ToolChoice::None) => {}
            Some(ToolChoice::Auto) => o.key("toolChoice").object(|o| o.key("auto").object(|_| {})),
            Some(ToolChoice::Required) => {
                o.key("toolChoice").object(|o| o.key("any").object(|_| {}));
            }
            Some(ToolChoice::Named(name)) => o
                .key("toolChoice")
                .object(|o| o.key("tool").object(|o| o.key("name").text(name))),
        }
    });
}

/// The schema is JSON within a string here.
fn format(o: &mut Writer<'_>, chat: &Chat, gaps: &mut Gaps) {
    match &chat.format {
        Format::Text => {}
        Format::JsonObject => gaps.lost(
            "response_format",
            "it answers in JSON only by a schema: use `json_schema`",
        ),
        Format::JsonSchema {
            name,
            description,
            schema,
            ..
        } => o.key("outputConfig").object(|o| {
            o.key("textFormat").object(|o| {
                o.key("type").text("json_schema");
                o.key("structure").object(|o| {
                    o.key("jsonSchema").object(|o| {
                        o.key("schema").text(schema);
                        o.key("name").text(name);
                        o.text_field("description", description.as_deref());
                    });
                });
            });
        }),
    }
}
