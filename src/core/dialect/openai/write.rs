//! A chat completion request, written for OpenAI or one of its accents.

use crate::dialect::accents::{Accent, LimitField, OPENAI, Path, ReasoningField, StreamUsage};
use crate::dialect::chat::{Chat, Effort, Format, Thinking, Tool, ToolChoice};
use crate::dialect::gaps::{Gaps, Policy, Untranslatable};
use crate::dialect::openai::turns::messages;
use crate::dialect::speak::{Calls, Target, Written, streams};
use crate::dialect::writer::{Writer, object};

/// Parameters without which the answer is the same.
const ADVICE: &[&str] = &["user", "metadata", "messages.name"];

/// Writes a request.
pub fn write(
    accent: &Accent,
    chat: &Chat,
    target: &Target<'_>,
    policy: Policy,
) -> Result<Written, Untranslatable> {
    let mut gaps = Gaps::new(accent.name, policy);
    if *accent == OPENAI && chat.dialect.starts_with("openai") {
        gaps.keep_files();
    }
    gaps.inherit(chat, "this field of the message has no neutral meaning");
    let body = object(|o| {
        o.key("model").text(target.model);
        o.key("messages").list(|list| {
            for (at, message) in chat.messages.iter().enumerate() {
                messages(list, accent, message, at, &mut gaps);
            }
        });
        tools(o, accent, chat, &mut gaps);
        sampling(o, accent, chat, &mut gaps);
        format(o, accent, chat, &mut gaps);
        reasoning(o, accent, chat, &mut gaps);
        if streams(chat) {
            o.key("stream").truth(true);
            if accent.stream_usage == StreamUsage::Asked {
                o.key("stream_options").object(|o| {
                    o.key("include_usage").truth(true);
                });
            }
        }
        for extra in &chat.extras {
            if shares(chat.dialect, &extra.name) {
                o.key(&extra.name).raw(&extra.json);
            } else {
                gaps.extra(extra);
            }
        }
    });
    Ok(Written {
        body,
        path: path(accent, target),
        headers: Vec::new(),
        dropped: gaps.settle()?,
        calls: Calls::of(chat),
    })
}

/// Whether a field means the same in the client's dialect as here.
fn shares(dialect: &str, name: &str) -> bool {
    const WITH_RESPONSES: &[&str] = &[
        "prompt_cache_key",
        "safety_identifier",
        "service_tier",
        "store",
        "verbosity",
    ];
    match dialect {
        "openai" => true,
        "openai_responses" => WITH_RESPONSES.contains(&name),
        _ => false,
    }
}

fn path(accent: &Accent, target: &Target<'_>) -> String {
    match accent.path {
        Path::Plain => "/chat/completions".to_owned(),
        Path::Deployments { api_version } => deployed("/chat/completions", target, api_version),
    }
}

/// Where a deployment answers.
pub fn deployed(path: &str, target: &Target<'_>, api_version: &str) -> String {
    format!(
        "/openai/deployments/{}{path}?api-version={}",
        crate::dialect::path::segment(target.model),
        crate::dialect::path::segment(target.api_version.unwrap_or(api_version)),
    )
}

impl Accent {
    /// Whether a parameter can be said; if not, that is noted.
    pub fn takes(&self, name: &'static str, gaps: &mut Gaps) -> bool {
        const WHY: &str = "this provider does not take it";
        if !self.lacks.contains(&name) {
            return true;
        }
        if ADVICE.contains(&name) {
            gaps.advice(name, WHY);
        } else {
            gaps.lost(name, WHY);
        }
        false
    }
}

fn sampling(o: &mut Writer<'_>, accent: &Accent, chat: &Chat, gaps: &mut Gaps) {
    let limit = match accent.limit {
        LimitField::MaxTokens => "max_tokens",
        LimitField::MaxCompletionTokens => "max_completion_tokens",
    };
    o.whole_field(limit, chat.output_max);
    temperature(o, accent, chat, gaps);
    for (name, number) in [
        ("top_p", &chat.top_p),
        ("frequency_penalty", &chat.frequency_penalty),
        ("presence_penalty", &chat.presence_penalty),
    ] {
        if let Some(number) = number
            && accent.takes(name, gaps)
        {
            o.key(name).raw(number.as_str());
        }
    }
    if let Some(seed) = &chat.seed
        && accent.takes("seed", gaps)
    {
        o.key(accent.seed).raw(seed.as_str());
    }
    match chat.n {
        // One is what comes anyway.
        None | Some(1) => {}
        n => o.whole_field("n", n.filter(|_| accent.takes("n", gaps))),
    }
    if let Some(top_k) = chat.top_k {
        if accent.also.contains(&"top_k") {
            o.key("top_k").whole(top_k);
        } else {
            gaps.lost("top_k", "this provider does not take it");
        }
    }
    if !chat.stop.is_empty() {
        o.key("stop")
            .list(|list| chat.stop.iter().for_each(|stop| list.text(stop)));
    }
    if let Some(top) = chat.logprobs
        && accent.takes("logprobs", gaps)
    {
        o.key("logprobs").truth(true);
        if top > 0 {
            o.key("top_logprobs").whole(top);
        }
    }
    if let Some(user) = &chat.user
        && accent.takes("user", gaps)
    {
        o.key("user").text(user);
    }
    if let Some(metadata) = &chat.metadata
        && accent.takes("metadata", gaps)
    {
        o.key("metadata").raw(metadata);
    }
}

fn temperature(o: &mut Writer<'_>, accent: &Accent, chat: &Chat, gaps: &mut Gaps) {
    let Some(temperature) = &chat.temperature else {
        return;
    };
    let (limit, most) = match accent.temperature_tenths_max {
        ..=10 => (1.0, "1"),
        11..=15 => (1.5, "1.5"),
        16.. => (2.0, "2"),
    };
    let text = if temperature.is_above(limit) {
        gaps.lost(
            "temperature",
            "it is higher than this provider goes; the highest stands for it",
        );
        most
    } else {
        temperature.as_str()
    };
    o.key("temperature").raw(text);
}

fn reasoning(o: &mut Writer<'_>, accent: &Accent, chat: &Chat, gaps: &mut Gaps) {
    let wanted = chat.reasoning;
    match accent.reasoning {
        ReasoningField::Effort => {
            if let Some(effort) = wanted.in_words() {
                o.key("reasoning_effort").text(effort.word());
            }
        }
        ReasoningField::Object => match (wanted.effort, wanted.thinking) {
            (Some(effort), _) => o
                .key("reasoning")
                .object(|o| o.key("effort").text(effort.word())),
            (None, Thinking::Budget(budget)) => o
                .key("reasoning")
                .object(|o| o.key("max_tokens").whole(budget)),
            (None, Thinking::Off) => o.key("reasoning").object(|o| o.key("enabled").truth(false)),
            (None, Thinking::Adaptive) => {
                o.key("reasoning").object(|o| o.key("enabled").truth(true))
            }
            (None, Thinking::Unsaid) => {}
        },
        ReasoningField::Switch => {
            let off = wanted.in_words() == Some(Effort::None);
            if off || wanted.in_words().is_some() || wanted.thinking == Thinking::Adaptive {
                let word = if off { "disabled" } else { "enabled" };
                o.key("thinking").object(|o| o.key("type").text(word));
            }
            if !off && wanted.in_words().is_some() {
                gaps.advice(
                    "reasoning_effort",
                    "thinking is on or off here, not more or less",
                );
            }
        }
        ReasoningField::Nothing => {
            if wanted.in_words().is_some() {
                gaps.lost("reasoning_effort", "this provider does not take it");
            }
        }
    }
}

fn format(o: &mut Writer<'_>, accent: &Accent, chat: &Chat, gaps: &mut Gaps) {
    match &chat.format {
        Format::Text => {}
        Format::JsonObject => o
            .key("response_format")
            .object(|o| o.key("type").text("json_object")),
        Format::JsonSchema { .. } if accent.lacks.contains(&"json_schema") => {
            gaps.lost(
                "response_format",
                "this provider knows JSON, but no schemas for it",
            );
        }
        Format::JsonSchema {
            name,
            description,
            schema,
            strict,
        } => o.key("response_format").object(|o| {
            o.key("type").text("json_schema");
            o.key("json_schema").object(|o| {
                o.key("name").text(name);
                o.text_field("description", description.as_deref());
                o.key("schema").raw(schema);
                if let Some(strict) = strict {
                    o.key("strict").truth(*strict);
                }
            });
        }),
    }
}

fn tools(o: &mut Writer<'_>, accent: &Accent, chat: &Chat, gaps: &mut Gaps) {
    if !chat.tools.is_empty() {
        o.key("tools")
            .list(|list| chat.tools.iter().for_each(|one| tool(list, one)));
        if chat.tools.iter().any(|tool| tool.cache_mark.is_some()) {
            gaps.advice("tools.cache_control", "this provider caches by itself");
        }
    }
    // What comes anyway needs no word where there is none for it.
    let anyway = |name| accent.lacks.contains(&name);
    if let Some(choice) = &chat.tool_choice
        && !(*choice == ToolChoice::Auto && anyway("tool_choice"))
        && accent.takes("tool_choice", gaps)
    {
        let o = o.key("tool_choice");
        match choice {
            ToolChoice::Auto => o.text("auto"),
            ToolChoice::None => o.text("none"),
            ToolChoice::Required => o.text(accent.required),
            ToolChoice::Named(name) => o.object(|o| {
                o.key("type").text("function");
                o.key("function").object(|o| o.key("name").text(name));
            }),
        }
    }
    if let Some(parallel) = chat.parallel_tool_calls
        && !chat.tools.is_empty()
        // Where it cannot be said, the caller gets the first call.
        && !anyway("parallel_tool_calls")
    {
        o.key("parallel_tool_calls").truth(parallel);
    }
}

fn tool(list: &mut Writer<'_>, tool: &Tool) {
    list.object(|o| {
        o.key("type").text("function");
        o.key("function").object(|o| {
            o.key("name").text(&tool.name);
            o.text_field("description", tool.description.as_deref());
            o.raw_field("parameters", tool.schema.as_deref());
            if let Some(strict) = tool.strict {
                o.key("strict").truth(strict);
            }
        });
    });
}
