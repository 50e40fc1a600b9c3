//! A request, written for Gemini's `generateContent`.

use std::collections::BTreeMap;

use crate::dialect::anthropic::blocks::arguments;
use crate::dialect::chat::{
    Chat, Effort, Format, Outcome, Part, Role, Source, Thinking, Tool, ToolCall, ToolChoice,
};
use crate::dialect::conversation::{Conversation, Turn};
use crate::dialect::gaps::{Gaps, OTHERS_FILE, Policy, Untranslatable};
use crate::dialect::gemini::Gemini;
use crate::dialect::json::{Kind, Tape};
use crate::dialect::path::segment;
use crate::dialect::speak::{Calls, Target, Written, streams};
use crate::dialect::writer::{Writer, compact, object};

/// Models that are told how much to think in tokens; newer ones are told in words.
const COUNT_THOUGHTS: &[&str] = &["gemini-1", "gemini-2"];

/// Stands where the seal of a thought is wanted and the call was made by somebody else; Google's own word.
const NO_SEAL: &str = "skip_thought_signature_validator";

/// Writes a request.
pub fn write(
    (hosting, name): (Gemini, &'static str),
    chat: &Chat,
    target: &Target<'_>,
    policy: Policy,
) -> Result<Written, Untranslatable> {
    let mut gaps = Gaps::new(name, policy);
    gaps.inherit(chat, "this field has no neutral meaning");
    gaps.extras(chat);
    let counts = COUNT_THOUGHTS
        .iter()
        .any(|known| target.model.contains(known));
    let body = object(|o| {
        conversation(o, chat, counts, &mut gaps);
        tools(o, chat, &mut gaps);
        o.key("generationConfig")
            .object(|o| generation(o, chat, counts));
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
        path: path(hosting, chat, target),
        headers: Vec::new(),
        dropped: gaps.settle()?,
        calls: Calls::of(chat),
    })
}

fn path(hosting: Gemini, chat: &Chat, target: &Target<'_>) -> String {
    let version = match hosting {
        Gemini::Studio => "/v1beta",
        Gemini::Vertex => "",
    };
    let verb = if streams(chat) {
        "streamGenerateContent?alt=sse"
    } else {
        "generateContent"
    };
    format!("{version}/models/{}:{verb}", segment(target.model))
}

#[allow(
    clippy::fn_params_excessive_bools,
    reason = "whether this model counts its thoughts, looked up once"
)]
fn generation(o: &mut Writer<'_>, chat: &Chat, counts: bool) {
    o.whole_field("maxOutputTokens", chat.output_max);
    for (name, number) in [
        ("temperature", &chat.temperature),
        ("topP", &chat.top_p),
        ("frequencyPenalty", &chat.frequency_penalty),
        ("presencePenalty", &chat.presence_penalty),
        ("seed", &chat.seed),
    ] {
        o.raw_field(name, number.as_ref().map(|number| number.as_str()));
    }
    o.whole_field("topK", chat.top_k);
    o.whole_field("candidateCount", chat.n.filter(|n| *n != 1));
    if !chat.stop.is_empty() {
        o.key("stopSequences")
            .list(|list| chat.stop.iter().for_each(|stop| list.text(stop)));
    }
    if let Some(top) = chat.logprobs {
        o.key("responseLogprobs").truth(true);
        o.whole_field("logprobs", Some(top).filter(|top| *top > 0));
    }
    match &chat.format {
        Format::Text => {}
        Format::JsonObject => o.key("responseMimeType").text("application/json"),
        Format::JsonSchema { schema, .. } => {
            o.key("responseMimeType").text("application/json");
            o.key("responseJsonSchema").raw(schema);
        }
    }
    thinking(o, chat, counts);
}

#[allow(
    clippy::fn_params_excessive_bools,
    reason = "whether this model counts its thoughts, looked up once"
)]
fn thinking(o: &mut Writer<'_>, chat: &Chat, counts: bool) {
    let wanted = chat.reasoning;
    if wanted.in_words().is_none() && wanted.thinking == Thinking::Unsaid {
        return;
    }
    o.key("thinkingConfig").object(|o| {
        let off = wanted.in_words() == Some(Effort::None);
        match (counts, wanted.in_tokens(), wanted.in_words()) {
            (true, Some(budget), _) => o.key("thinkingBudget").whole(budget),
            (true, None, _) => o.key("thinkingBudget").raw("-1"),
            // The newest cannot do without: the least there is stands for none.
            (false, _, Some(effort)) => o.key("thinkingLevel").text(match effort {
                Effort::None | Effort::Minimal => "minimal",
                Effort::Low => "low",
                Effort::Medium => "medium",
                Effort::High | Effort::ExtraHigh | Effort::Max => "high",
            }),
            (false, _, None) => {}
        }
        if !off {
            o.key("includeThoughts").truth(true);
        }
    });
}

#[allow(
    clippy::fn_params_excessive_bools,
    reason = "whether this model counts its thoughts, looked up once"
)]
fn conversation(o: &mut Writer<'_>, chat: &Chat, counts: bool, gaps: &mut Gaps) {
    let Conversation { system, turns } = Conversation::of(chat, gaps);
    if !system.is_empty() {
        o.key("systemInstruction").object(|o| {
            o.key("parts")
                .list(|list| system.iter().for_each(|part| written(list, part, gaps)));
        });
    }
    // A result goes by the name of the nearest call before it that has its id.
    let mut known = Known::default();
    o.key("contents").list(|list| {
        for Turn { role, parts } in turns {
            // Only the first call of a turn bears the seal of the thought behind them.
            let mut seal = (!counts).then_some(NO_SEAL);
            list.object(|o| {
                o.key("role").text(match role {
                    Role::Assistant => "model",
                    Role::System | Role::Developer | Role::User => "user",
                });
                o.key("parts").list(|list| {
                    for part in known.in_order(parts) {
                        if let Part::ToolCall(one) = part {
                            known.note(one);
                            call(list, one, seal.take(), gaps);
                        } else if let Part::ToolResult { id, parts, outcome } = part {
                            let returned = Returned {
                                id,
                                name: known.name(id),
                                parts,
                                outcome: *outcome,
                            };
                            returned.write(list, counts, gaps);
                        } else {
                            written(list, part, gaps);
                        }
                    }
                });
            });
        }
    });
}

/// The calls so far.
#[derive(Default)]
struct Known<'a> {
    /// Its place and its name, by id.
    calls: BTreeMap<&'a str, (usize, &'a str)>,
}

impl<'a> Known<'a> {
    fn note(&mut self, call: &'a ToolCall) {
        let place = self.calls.len();
        self.calls.insert(&call.id, (place, &call.name));
    }

    fn name(&self, id: &str) -> Option<&'a str> {
        self.calls.get(id).map(|(_, name)| *name)
    }

    /// Results of one tool are told apart by nothing but their order, which is that of the calls.
    fn in_order(&self, mut parts: Vec<&'a Part>) -> Vec<&'a Part> {
        let place = |part: &Part| {
            if let Part::ToolResult { id, .. } = part {
                self.calls.get(id.as_str()).map_or(0, |(place, _)| *place)
            } else {
                usize::MAX
            }
        };
        if parts
            .iter()
            .any(|part| matches!(part, Part::ToolResult { .. }))
        {
            parts.sort_by_key(|part| place(part));
        }
        parts
    }
}

fn written(list: &mut Writer<'_>, part: &Part, gaps: &mut Gaps) {
    match part {
        Part::Text(text) | Part::Refusal(text) => list.object(|o| o.key("text").text(text)),
        Part::Image { source, detail } => {
            if detail.is_some() {
                gaps.advice("messages.image_url.detail", "not said of one picture here");
            }
            media(list, source, "image/jpeg", gaps);
        }
        Part::Document { source, .. } => media(list, source, "application/pdf", gaps),
        Part::Audio { format, data } => list.object(|o| {
            o.key("inlineData").object(|o| {
                o.key("mimeType").text(&format!("audio/{format}"));
                o.key("data").text(data);
            });
        }),
        Part::Thinking { .. } | Part::SealedThinking(_) => gaps.advice(
            "messages.reasoning_content",
            "thoughts are not given back to this provider",
        ),
        Part::CacheMark(_) => {
            gaps.advice("messages.cache_control", "this provider caches by itself");
        }
        Part::ToolCall(_) | Part::ToolResult { .. } => {
            gaps.lost("messages.content", "calls and results stand in turns here");
        }
    }
}

/// By address the kind of the data must be said; its ending tells, or the usual one stands.
fn media(list: &mut Writer<'_>, source: &Source, usual: &str, gaps: &mut Gaps) {
    match source {
        Source::Text(text) => list.object(|o| o.key("text").text(text)),
        Source::Data { media, base64 } => list.object(|o| {
            o.key("inlineData").object(|o| {
                o.key("mimeType").text(media);
                o.key("data").text(base64);
            });
        }),
        Source::Url(url) => list.object(|o| {
            o.key("fileData").object(|o| {
                o.key("mimeType").text(kind_of(url).unwrap_or(usual));
                o.key("fileUri").text(url);
            });
        }),
        Source::File(_) => gaps.lost("messages file_id", OTHERS_FILE),
    }
}

fn kind_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        _ => return None,
    })
}

fn call(list: &mut Writer<'_>, call: &ToolCall, seal: Option<&str>, gaps: &mut Gaps) {
    let args = arguments(call);
    if args.is_none() {
        gaps.lost(
            "messages.tool_calls.function.arguments",
            "they are no JSON object",
        );
    }
    list.object(|o| {
        o.key("functionCall").object(|o| {
            o.key("name").text(&call.name);
            o.key("args").raw(args.as_deref().unwrap_or("{}"));
        });
        o.text_field("thoughtSignature", call.signature.as_deref().or(seal));
    });
}

/// What a tool gave back.
struct Returned<'a> {
    id: &'a str,
    /// Of the tool, where the call is known.
    name: Option<&'a str>,
    parts: &'a [Part],
    outcome: Outcome,
}

impl Returned<'_> {
    #[allow(
        clippy::fn_params_excessive_bools,
        reason = "whether this model counts its thoughts, looked up once: it is also one that only reads results"
    )]
    fn write(&self, list: &mut Writer<'_>, counts: bool, gaps: &mut Gaps) {
        let mut text = String::new();
        let mut pictures = Vec::new();
        for part in self.parts {
            match part {
                Part::Text(more) | Part::Refusal(more) => text.push_str(more),
                Part::Image { .. } | Part::Document { .. } if !counts => pictures.push(part),
                Part::CacheMark(_) => {}
                Part::Image { .. }
                | Part::Document { .. }
                | Part::Audio { .. }
                | Part::Thinking { .. }
                | Part::SealedThinking(_)
                | Part::ToolCall(_)
                | Part::ToolResult { .. } => gaps.lost(
                    "messages tool result",
                    "results of tools are only text for this model",
                ),
            }
        }
        if self.name.is_none() {
            gaps.lost(
                "messages.tool_call_id",
                "no call before it has this id, and results go by the tool's name here",
            );
        }
        let field = match self.outcome {
            Outcome::Done => "result",
            Outcome::Failed => "error",
        };
        list.object(|o| {
            o.key("functionResponse").object(|o| {
                o.key("name").text(self.name.unwrap_or(self.id));
                // An object is wanted; what is none is wrapped into one.
                match as_object(&text).filter(|_| self.outcome == Outcome::Done) {
                    Some(object) => o.key("response").raw(&object),
                    None => o.key("response").object(|o| o.key(field).text(&text)),
                }
                if !pictures.is_empty() {
                    o.key("parts")
                        .list(|list| pictures.iter().for_each(|part| written(list, part, gaps)));
                }
            });
        });
    }
}

fn as_object(text: &str) -> Option<String> {
    let mut tape = Tape::default();
    let json = tape.read(text.as_bytes()).ok()?;
    (json.kind() == Kind::Object).then(|| compact(json))
}

fn tools(o: &mut Writer<'_>, chat: &Chat, gaps: &mut Gaps) {
    if chat.tools.is_empty() {
        return;
    }
    if chat.tools.iter().any(|tool| tool.cache_mark.is_some()) {
        gaps.advice("tools.cache_control", "this provider caches by itself");
    }
    if chat.tools.iter().any(|tool| tool.strict == Some(true)) {
        gaps.advice(
            "tools.function.strict",
            "schemas bind, but not to the letter",
        );
    }
    o.key("tools").list(|list| {
        list.object(|o| {
            o.key("functionDeclarations")
                .list(|list| chat.tools.iter().for_each(|one| tool(list, one)));
        });
    });
    let Some(choice) = &chat.tool_choice else {
        return;
    };
    o.key("toolConfig").object(|o| {
        o.key("functionCallingConfig").object(|o| match choice {
            ToolChoice::Auto => o.key("mode").text("AUTO"),
            ToolChoice::None => o.key("mode").text("NONE"),
            ToolChoice::Required => o.key("mode").text("ANY"),
            ToolChoice::Named(name) => {
                o.key("mode").text("ANY");
                o.key("allowedFunctionNames").list(|list| list.text(name));
            }
        });
    });
}

fn tool(list: &mut Writer<'_>, tool: &Tool) {
    list.object(|o| {
        o.key("name").text(&tool.name);
        o.text_field("description", tool.description.as_deref());
        o.raw_field("parametersJsonSchema", tool.schema.as_deref());
    });
}
