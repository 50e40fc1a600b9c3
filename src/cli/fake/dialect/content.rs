//! What is said, whatever the dialect: the same words to the same question, and the same count of them.

use serde_json::{Value, json};

use super::Question;
use crate::fake::reply::Reply;
use crate::fake::text;

/// The word in a question that brings two calls at once.
const PARALLEL: &str = "parallel";
/// So long a thought is that nobody set the length of.
const THOUGHT_TOKENS: u64 = 3;

/// What a request comes to, once its dialect is read.
pub(super) struct Asked<'a> {
    /// What the user said last.
    pub(super) text: String,
    /// The tool to call; none where a call is not wanted, or the user did not have the last word.
    pub(super) tool: Option<Tool<'a>>,
    pub(super) format: Format<'a>,
}

/// A tool as it was offered.
pub(super) struct Tool<'a> {
    pub(super) name: &'a str,
    pub(super) schema: &'a Value,
}

/// The form of an answer in words.
pub(super) enum Format<'a> {
    Text,
    Json,
    Schema(&'a Value),
}

pub(super) enum Content {
    Text(String),
    Calls(Vec<Call>),
}

pub(super) struct Call {
    pub(super) name: String,
    pub(super) arguments: String,
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Said,
    Length,
    Calls,
}

/// Whether a client asked to see the thoughts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thoughts {
    Shown,
    Hidden,
}

impl Thoughts {
    /// Thoughts that are shown have words, even if nothing was said about their number.
    pub(super) fn tokens(self, reply: &Reply) -> u64 {
        match (self, reply.reasoning_tokens) {
            (Self::Shown, 0) => THOUGHT_TOKENS,
            (Self::Shown | Self::Hidden, tokens) => tokens,
        }
    }
}

/// The first tool, or the one that is asked for by name.
pub(super) fn chosen<'a>(
    mut tools: impl Iterator<Item = Tool<'a>>,
    wanted: Option<&str>,
) -> Option<Tool<'a>> {
    tools.find(|tool| wanted.is_none_or(|wanted| wanted == tool.name))
}

/// The answer, cut where the limit is, and why it ends there.
pub(super) fn content(
    question: &Question<'_>,
    asked: &Asked<'_>,
    limit: Option<u64>,
) -> (Content, Stop) {
    within(full(question, asked), limit)
}

fn full(question: &Question<'_>, asked: &Asked<'_>) -> Content {
    let reply = question.reply;
    if let Some(text) = &reply.text {
        return Content::Text(text.clone());
    }
    if let Some(tokens) = reply.tokens {
        return Content::Text(text::of_length(tokens));
    }
    if let Some(tool) = &asked.tool {
        let call = |_| Call {
            name: tool.name.to_owned(),
            arguments: text::fitting(tool.schema, &asked.text).to_string(),
        };
        let count = if asked.text.contains(PARALLEL) { 2 } else { 1 };
        return Content::Calls((0..count).map(call).collect());
    }
    let echo = text::echo(question.name, &asked.text);
    Content::Text(match asked.format {
        Format::Text => echo,
        Format::Json => json!({"answer": echo}).to_string(),
        Format::Schema(schema) => text::fitting(schema, &echo).to_string(),
    })
}

/// What fits into the limit, and why it ends there.
pub(super) fn within(content: Content, limit: Option<u64>) -> (Content, Stop) {
    let too_long = limit.filter(|limit| content.tokens() > *limit);
    match (content, too_long) {
        (Content::Text(full), Some(limit)) => {
            (Content::Text(beginning(&full, limit)), Stop::Length)
        }
        (Content::Calls(calls), Some(limit)) => {
            (Content::Calls(shortened(calls, limit)), Stop::Length)
        }
        (Content::Text(full), None) => (Content::Text(full), Stop::Said),
        (Content::Calls(calls), None) => (Content::Calls(calls), Stop::Calls),
    }
}

/// The first tokens of a text.
pub(super) fn beginning(full: &str, limit: u64) -> String {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    text::tokens(full).into_iter().take(limit).collect()
}

fn shortened(calls: Vec<Call>, limit: u64) -> Vec<Call> {
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let shorten = |call: Call| {
        let pieces = text::json_tokens(&call.arguments);
        let kept: String = pieces.iter().take(left).copied().collect();
        left = left.saturating_sub(pieces.len());
        Call {
            arguments: kept,
            ..call
        }
    };
    calls.into_iter().map(shorten).collect()
}

impl Content {
    pub(super) fn tokens(&self) -> u64 {
        match self {
            Self::Text(full) => text::count(full),
            Self::Calls(calls) => calls.iter().map(Call::tokens).fold(0, u64::saturating_add),
        }
    }
}

impl Call {
    pub(super) fn tokens(&self) -> u64 {
        u64::try_from(text::json_tokens(&self.arguments).len()).unwrap_or(u64::MAX)
    }

    /// The arguments as a value; none if they were cut.
    pub(super) fn value(&self) -> Option<Value> {
        serde_json::from_str(&self.arguments).ok()
    }
}
