//! `POST /v1/chat/completions`.

use serde::Serialize;
use serde_json::{Value, json};

use super::usage::{Usage, claimed};
use super::{
    Complaint, FINGERPRINT, Question, Wish, events, model, number, whole, wish, write_done,
    write_event,
};
use crate::fake::answer::{Answer, Pieces, Stage};
use crate::fake::dialect::content::{self, Asked, Call, Content, Format, Stop, Tool};
use crate::fake::text;

/// The most answers to one question, as with the real one.
const CHOICES_MAX: u64 = 128;

/// What is answered, before it is written.
struct Said<'a> {
    number: u64,
    id: String,
    created: u64,
    model: &'a str,
    content: Content,
    choices: u64,
    finish: &'static str,
    usage: Option<Usage>,
    reasoning_tokens: u64,
}

#[derive(Serialize)]
struct Whole<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<Choice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    service_tier: &'static str,
    system_fingerprint: &'static str,
}

#[derive(Serialize)]
struct Choice {
    index: u64,
    message: Value,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    service_tier: &'static str,
    system_fingerprint: &'static str,
    choices: &'a [Change<'a>],
    /// Absent, null or there: a client that asks for usage finds null in all but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

#[derive(Serialize)]
struct Change<'a> {
    index: u64,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Delta<'a> {
    Content { content: &'a str },
    Other(Value),
}

pub(super) fn answer(question: &Question<'_>, body: &Value) -> Result<Answer, Complaint> {
    let model = model(body)?;
    let messages = messages(body)?;
    let wish = wish(body)?;
    let choices = number(body, "n", CHOICES_MAX)?.unwrap_or(1);
    let limit = match number(body, "max_completion_tokens", u64::MAX)? {
        Some(limit) => Some(limit),
        None => number(body, "max_tokens", u64::MAX)?,
    };
    let reasoning_tokens = question.reply.reasoning_tokens;
    let limit = limit.map(|limit| limit.saturating_sub(reasoning_tokens));
    let (content, stop) = content::content(question, &asked(body, messages), limit);
    let prompt_tokens = messages
        .iter()
        .map(prompt_tokens)
        .fold(0, u64::saturating_add);
    let tokens = content
        .tokens()
        .saturating_mul(choices)
        .saturating_add(reasoning_tokens);
    let said = Said {
        number: question.number,
        id: format!("chatcmpl-fake{:024}", question.number),
        created: question.now,
        model,
        content,
        choices,
        finish: match stop {
            Stop::Said => "stop",
            Stop::Length => "length",
            Stop::Calls => "tool_calls",
        },
        usage: claimed(prompt_tokens, tokens, question.reply),
        reasoning_tokens,
    };
    Ok(match wish {
        Wish::Whole => whole(said.in_one(), prompt_tokens, tokens),
        Wish::Events | Wish::EventsWithUsage => events(said.in_events(wish), prompt_tokens),
    })
}

fn messages(body: &Value) -> Result<&Vec<Value>, Complaint> {
    let list = match body.get("messages") {
        None => return Err(Complaint::missing("messages")),
        Some(Value::Array(list)) if !list.is_empty() => list,
        Some(_) => {
            return Err(Complaint::invalid(
                "messages",
                "Invalid type for 'messages': expected a non-empty array of objects.",
            ));
        }
    };
    if list.iter().any(|message| role(message).is_none()) {
        return Err(Complaint::invalid(
            "messages",
            "Missing required parameter: 'messages[].role'.",
        ));
    }
    Ok(list)
}

fn role(message: &Value) -> Option<&str> {
    message.get("role")?.as_str()
}

/// The texts of a message, whichever way it is written.
fn texts(message: &Value) -> impl Iterator<Item = &str> {
    let content = message.get("content");
    let parts = content.and_then(Value::as_array).into_iter().flatten();
    let parts = parts.filter_map(|part| part.get("text")?.as_str());
    content.and_then(Value::as_str).into_iter().chain(parts)
}

/// The rule of this provider: a word is a token, and nothing else is.
fn prompt_tokens(message: &Value) -> u64 {
    texts(message).map(text::count).fold(0, u64::saturating_add)
}

fn asked<'a>(body: &'a Value, messages: &[Value]) -> Asked<'a> {
    let last = messages.last().unwrap_or(&Value::Null);
    let asked = messages
        .iter()
        .rfind(|message| role(message) == Some("user"));
    let asked: Vec<_> = asked.into_iter().flat_map(texts).collect();
    let wanted = role(last) == Some("user");
    Asked {
        text: asked.join(" "),
        tool: wanted.then(|| tool(body)).flatten(),
        format: format(body),
    }
}

fn format(body: &Value) -> Format<'_> {
    let format = body.get("response_format");
    match format.and_then(|format| format.get("type")?.as_str()) {
        Some("json_object") => Format::Json,
        Some("json_schema") => {
            let schema = format.and_then(|format| format.pointer("/json_schema/schema"));
            Format::Schema(schema.unwrap_or(&Value::Null))
        }
        _ => Format::Text,
    }
}

fn tool(body: &Value) -> Option<Tool<'_>> {
    let choice = body.get("tool_choice").unwrap_or(&Value::Null);
    if choice.as_str() == Some("none") {
        return None;
    }
    let tools = body.get("tools")?.as_array()?.iter().filter_map(|tool| {
        let schema = tool.pointer("/function/parameters");
        Some(Tool {
            name: tool.pointer("/function/name")?.as_str()?,
            schema: schema.unwrap_or(&Value::Null),
        })
    });
    let wanted = choice.pointer("/function/name").and_then(Value::as_str);
    content::chosen(tools, wanted)
}

fn id(number: u64, place: usize) -> String {
    format!("call_fake{number:012}{place}")
}

impl Said<'_> {
    fn message(&self) -> Value {
        match &self.content {
            Content::Text(full) => {
                json!({"role": "assistant", "content": full, "refusal": null, "annotations": []})
            }
            Content::Calls(calls) => {
                let calls = calls.iter().enumerate().map(|(place, call)| {
                    let function = json!({"name": call.name, "arguments": call.arguments});
                    json!({"id": id(self.number, place), "type": "function", "function": function})
                });
                let calls: Vec<_> = calls.collect();
                json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": calls})
            }
        }
    }

    fn in_one(&self) -> Vec<u8> {
        let choice = |index| Choice {
            index,
            message: self.message(),
            logprobs: None,
            finish_reason: self.finish,
        };
        let whole = Whole {
            id: &self.id,
            object: "chat.completion",
            created: self.created,
            model: self.model,
            choices: (0..self.choices).map(choice).collect(),
            usage: self.usage,
            service_tier: "default",
            system_fingerprint: FINGERPRINT,
        };
        // Numbers, strings and string keys always serialize.
        serde_json::to_vec(&whole).unwrap_or_default()
    }

    fn in_events(&self, wish: Wish) -> Pieces {
        let wants_usage = wish == Wish::EventsWithUsage;
        let null_usage = (wants_usage && self.usage.is_some()).then_some(None);
        let mut out = Events {
            said: self,
            pieces: Pieces::default(),
            null_usage,
        };
        match &self.content {
            Content::Text(full) => out.text(full),
            Content::Calls(calls) => out.calls(calls),
        }
        for index in 0..self.choices {
            out.change(
                Stage::Closing,
                0,
                index,
                Delta::Other(json!({})),
                Some(self.finish),
            );
        }
        if let Some(usage) = self.usage.filter(|_| wants_usage) {
            write_event(
                &mut out.pieces,
                Stage::Closing,
                0,
                &self.chunk(&[], Some(Some(usage))),
            );
        }
        write_done(&mut out.pieces);
        out.pieces
    }

    fn chunk<'a>(&'a self, choices: &'a [Change<'a>], usage: Option<Option<Usage>>) -> Chunk<'a> {
        Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: self.model,
            service_tier: "default",
            system_fingerprint: FINGERPRINT,
            choices,
            usage,
        }
    }
}

struct Events<'a> {
    said: &'a Said<'a>,
    pieces: Pieces,
    null_usage: Option<Option<Usage>>,
}

impl Events<'_> {
    fn text(&mut self, full: &str) {
        let role = json!({"role": "assistant", "content": "", "refusal": null});
        self.open(&role);
        for token in text::tokens(full) {
            for index in 0..self.said.choices {
                self.change(
                    Stage::Tokens,
                    1,
                    index,
                    Delta::Content { content: token },
                    None,
                );
            }
        }
    }

    fn calls(&mut self, calls: &[Call]) {
        let role = json!({"role": "assistant", "content": null, "refusal": null});
        self.open(&role);
        for (place, call) in calls.iter().enumerate() {
            let function = json!({"name": call.name, "arguments": ""});
            let id = id(self.said.number, place);
            let opening = json!({"tool_calls": [{"index": place, "id": id, "type": "function", "function": function}]});
            // The name of a call costs nothing here, and comes right before its first token.
            self.every_choice(0, &opening);
            for piece in text::json_tokens(&call.arguments) {
                let function = json!({"arguments": piece});
                let delta = json!({"tool_calls": [{"index": place, "function": function}]});
                self.every_choice(1, &delta);
            }
        }
    }

    /// Reasoning is over before the first visible token, so its tokens are served with the opening.
    fn open(&mut self, role: &Value) {
        let mut hidden = self.said.reasoning_tokens;
        for index in 0..self.said.choices {
            self.change(
                Stage::Opening,
                hidden,
                index,
                Delta::Other(role.clone()),
                None,
            );
            hidden = 0;
        }
    }

    fn every_choice(&mut self, tokens: u64, delta: &Value) {
        for index in 0..self.said.choices {
            self.change(
                Stage::Tokens,
                tokens,
                index,
                Delta::Other(delta.clone()),
                None,
            );
        }
    }

    fn change(
        &mut self,
        stage: Stage,
        tokens: u64,
        index: u64,
        delta: Delta<'_>,
        finish: Option<&'static str>,
    ) {
        let change = [Change {
            index,
            delta,
            logprobs: None,
            finish_reason: finish,
        }];
        let chunk = self.said.chunk(&change, self.null_usage);
        write_event(&mut self.pieces, stage, tokens, &chunk);
    }
}
