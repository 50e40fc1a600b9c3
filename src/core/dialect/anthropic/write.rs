//! A request, written for Anthropic's Messages API.

use crate::dialect::anthropic::Hosting;
use crate::dialect::anthropic::blocks::conversation;
use crate::dialect::chat::{Chat, Effort, Format, Number, Part, Role, Thinking, Tool, ToolChoice};
use crate::dialect::gaps::{Gaps, Policy, Untranslatable};
use crate::dialect::path::segment;
use crate::dialect::speak::{Calls, Target, Written, output_limit, streams};
use crate::dialect::writer::{Writer, object};

/// The least budget of thoughts it takes.
const BUDGET_MIN: u64 = 1_024;

/// Models that are told how much to think in tokens; newer ones are told in words and decide.
const COUNT_THOUGHTS: &[&str] = &[
    "claude-3",
    "claude-opus-4-0",
    "claude-opus-4-1",
    "claude-opus-4-2",
    "claude-opus-4-5",
    "claude-opus-4@",
    "claude-sonnet-4-0",
    "claude-sonnet-4-2",
    "claude-sonnet-4-5",
    "claude-sonnet-4@",
    "claude-haiku-4-5",
];

/// Models that take a temperature and `top_p` together; newer ones refuse that.
const TAKE_BOTH: &[&str] = &[
    "claude-3",
    "claude-opus-4-0",
    "claude-opus-4-2",
    "claude-opus-4@",
    "claude-sonnet-4-0",
    "claude-sonnet-4-2",
    "claude-sonnet-4@",
];

/// Writes a request.
pub fn write(
    (hosting, name): (Hosting, &'static str),
    chat: &Chat,
    target: &Target<'_>,
    policy: Policy,
) -> Result<Written, Untranslatable> {
    let mut gaps = Gaps::new(name, policy);
    gaps.inherit(chat, "this field has no neutral meaning");
    gaps.extras(chat);
    let plan = Plan::of(chat, target, &mut gaps);
    let body = object(|o| {
        match hosting {
            Hosting::Anthropic => o.key("model").text(target.model),
            Hosting::Vertex => o.key("anthropic_version").text("vertex-2023-10-16"),
            Hosting::Bedrock => o.key("anthropic_version").text("bedrock-2023-05-31"),
        }
        o.key("max_tokens").whole(plan.max);
        conversation(o, chat, &mut gaps);
        tools(o, chat, &plan, &mut gaps);
        sampling(o, chat, target, &plan, &mut gaps);
        plan.write(o, chat, &mut gaps);
        // On Bedrock the path says it.
        if streams(chat) && hosting != Hosting::Bedrock {
            o.key("stream").truth(true);
        }
    });
    Ok(Written {
        body,
        path: path(hosting, chat, target),
        headers: match hosting {
            Hosting::Anthropic => vec![("anthropic-version", "2023-06-01")],
            Hosting::Vertex | Hosting::Bedrock => Vec::new(),
        },
        dropped: gaps.settle()?,
        calls: Calls::of(chat),
    })
}

/// On Vertex, the provider's own path ends with `/publishers/anthropic`.
fn path(hosting: Hosting, chat: &Chat, target: &Target<'_>) -> String {
    match hosting {
        Hosting::Anthropic => "/v1/messages".to_owned(),
        Hosting::Vertex => {
            let verb = if streams(chat) {
                "streamRawPredict"
            } else {
                "rawPredict"
            };
            format!("/models/{}:{verb}", segment(target.model))
        }
        Hosting::Bedrock => {
            let verb = if streams(chat) {
                "invoke-with-response-stream"
            } else {
                "invoke"
            };
            format!("/model/{}/{verb}", segment(target.model))
        }
    }
}

/// How to think, which decides over much else.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The limit of the answer.
    pub max: u64,
    thinking: Thinking,
    /// How hard, for models that are told in words.
    pub effort: Option<Effort>,
}

impl Plan {
    /// What the caller's wishes come to with this model.
    pub fn of(chat: &Chat, target: &Target<'_>, gaps: &mut Gaps) -> Self {
        let max = output_limit(chat, target);
        let off = chat.reasoning.in_words() == Some(Effort::None);
        if off {
            return Self {
                max,
                thinking: Thinking::Off,
                effort: None,
            };
        }
        let counts = COUNT_THOUGHTS
            .iter()
            .any(|known| target.model.contains(known));
        let wanted = chat.reasoning.in_words();
        match (counts, wanted, chat.reasoning.thinking) {
            (_, None, Thinking::Unsaid | Thinking::Off) => Self {
                max,
                thinking: Thinking::Unsaid,
                effort: None,
            },
            (false, effort, Thinking::Unsaid | Thinking::Adaptive | Thinking::Off)
            | (false, effort, Thinking::Budget(_)) => Self {
                max,
                thinking: Thinking::Adaptive,
                // The least there is.
                effort: effort.map(|effort| match effort {
                    Effort::Minimal | Effort::None => Effort::Low,
                    Effort::Low
                    | Effort::Medium
                    | Effort::High
                    | Effort::ExtraHigh
                    | Effort::Max => effort,
                }),
            },
            (true, ..) => Self::counted(chat, max, gaps),
        }
    }

    fn counted(chat: &Chat, max: u64, gaps: &mut Gaps) -> Self {
        let none = Self {
            max,
            thinking: Thinking::Unsaid,
            effort: None,
        };
        if lacks_sealed_thought(chat) {
            gaps.advice(
                "reasoning_effort",
                "the call that is answered came without its sealed thought, so this turn goes on without thinking",
            );
            return none;
        }
        let budget = chat
            .reasoning
            .in_tokens()
            .unwrap_or_else(|| Effort::Medium.budget());
        let budget = budget.max(BUDGET_MIN);
        if chat.output_max.is_none() {
            let max = max.max(budget.saturating_add(4_096));
            return Self {
                max,
                thinking: Thinking::Budget(budget),
                effort: None,
            };
        }
        let room = max.checked_div(2).unwrap_or_default();
        let budget = if budget < max { budget } else { room };
        if budget < BUDGET_MIN {
            gaps.lost(
                "reasoning_effort",
                "thinking takes 1024 tokens at least, and the answer limit leaves no room for them",
            );
            return none;
        }
        Self {
            max,
            thinking: Thinking::Budget(budget),
            effort: None,
        }
    }

    /// Whether it thinks.
    pub fn thinks(self) -> bool {
        matches!(self.thinking, Thinking::Adaptive | Thinking::Budget(_))
    }

    /// Whether and how much to think.
    pub fn write_thinking(self, o: &mut Writer<'_>) {
        match self.thinking {
            Thinking::Unsaid => {}
            Thinking::Off => o.key("thinking").object(|o| o.key("type").text("disabled")),
            Thinking::Adaptive => o.key("thinking").object(|o| o.key("type").text("adaptive")),
            Thinking::Budget(budget) => o.key("thinking").object(|o| {
                o.key("type").text("enabled");
                o.key("budget_tokens").whole(budget);
            }),
        }
    }

    fn write(self, o: &mut Writer<'_>, chat: &Chat, gaps: &mut Gaps) {
        self.write_thinking(o);
        let schema = match &chat.format {
            Format::Text => None,
            Format::JsonObject => {
                gaps.lost(
                    "response_format",
                    "it answers in JSON only by a schema: use `json_schema`",
                );
                None
            }
            Format::JsonSchema {
                schema,
                description,
                ..
            } => {
                if description.is_some() {
                    gaps.advice(
                        "response_format.json_schema.description",
                        "a schema stands alone here",
                    );
                }
                Some(schema)
            }
        };
        if schema.is_none() && self.effort.is_none() {
            return;
        }
        o.key("output_config").object(|o| {
            if let Some(effort) = self.effort {
                o.key("effort").text(effort.word());
            }
            if let Some(schema) = schema {
                o.key("format").object(|o| {
                    o.key("type").text("json_schema");
                    o.key("schema").raw(schema);
                });
            }
        });
    }
}

/// Whether the conversation stands behind a call whose thought did not come back with it.
fn lacks_sealed_thought(chat: &Chat) -> bool {
    let last = chat
        .messages
        .iter()
        .rev()
        .find(|message| message.role == Role::Assistant);
    let Some(last) = last else {
        return false;
    };
    let calls = last
        .parts
        .iter()
        .any(|part| matches!(part, Part::ToolCall(_)));
    let sealed = last.parts.iter().any(|part| {
        matches!(
            part,
            Part::SealedThinking(_)
                | Part::Thinking {
                    signature: Some(_),
                    ..
                }
        )
    });
    calls && !sealed
}

/// The share of the mass to choose from, where the model takes it beside a temperature.
pub fn top_p<'a>(chat: &'a Chat, target: &Target<'_>, gaps: &mut Gaps) -> Option<&'a Number> {
    let top_p = chat.top_p.as_ref()?;
    let both = TAKE_BOTH.iter().any(|known| target.model.contains(known));
    if chat.temperature.is_none() || both {
        return Some(top_p);
    }
    // All of it is what comes anyway.
    if !top_p.is_within(1.0, 1.0) {
        gaps.lost("top_p", "this model takes a temperature or this, not both");
    }
    None
}

fn sampling(o: &mut Writer<'_>, chat: &Chat, target: &Target<'_>, plan: &Plan, gaps: &mut Gaps) {
    if let Some(temperature) = &chat.temperature {
        if plan.thinks() && !temperature.is_within(1.0, 1.0) {
            gaps.lost("temperature", "it cannot be chosen while the model thinks");
        } else if temperature.is_above(1.0) {
            gaps.lost("temperature", "it goes to 1 here; 1 stands for it");
            o.key("temperature").raw("1");
        } else {
            o.key("temperature").raw(temperature.as_str());
        }
    }
    if let Some(top_p) = top_p(chat, target, gaps) {
        o.key("top_p").raw(top_p.as_str());
    }
    match chat.top_k {
        Some(_) if plan.thinks() => {
            gaps.lost("top_k", "it cannot be chosen while the model thinks");
        }
        top_k => o.whole_field("top_k", top_k),
    }
    if !chat.stop.is_empty() {
        o.key("stop_sequences")
            .list(|list| chat.stop.iter().for_each(|stop| list.text(stop)));
    }
    if let Some(user) = &chat.user {
        o.key("metadata").object(|o| o.key("user_id").text(user));
    }
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
    if chat.metadata.is_some() {
        gaps.advice("metadata", "it takes a user, but no notes");
    }
}

fn tools(o: &mut Writer<'_>, chat: &Chat, plan: &Plan, gaps: &mut Gaps) {
    if chat.tools.is_empty() {
        return;
    }
    o.key("tools")
        .list(|list| chat.tools.iter().for_each(|one| tool(list, one)));
    let forced = matches!(
        chat.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_))
    );
    let choice = if forced && plan.thinks() {
        gaps.lost(
            "tool_choice",
            "a call cannot be forced while the model thinks",
        );
        None
    } else {
        chat.tool_choice.as_ref()
    };
    let alone = chat.parallel_tool_calls == Some(false) && choice != Some(&ToolChoice::None);
    if choice.is_none() && !alone {
        return;
    }
    o.key("tool_choice").object(|o| {
        match choice {
            None | Some(ToolChoice::Auto) => o.key("type").text("auto"),
            Some(ToolChoice::None) => o.key("type").text("none"),
            Some(ToolChoice::Required) => o.key("type").text("any"),
            Some(ToolChoice::Named(name)) => {
                o.key("type").text("tool");
                o.key("name").text(name);
            }
        }
        if alone {
            o.key("disable_parallel_tool_use").truth(true);
        }
    });
}

fn tool(list: &mut Writer<'_>, tool: &Tool) {
    list.object(|o| {
        o.key("name").text(&tool.name);
        o.text_field("description", tool.description.as_deref());
        let nothing = r#"{"type":"object","properties":{}}"#;
        o.key("input_schema")
            .raw(tool.schema.as_deref().unwrap_or(nothing));
        if tool.strict == Some(true) {
            o.key("strict").truth(true);
        }
        o.raw_field("cache_control", tool.cache_mark.as_deref());
    });
}
