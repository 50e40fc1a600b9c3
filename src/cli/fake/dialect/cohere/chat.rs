//! A reply of Cohere's chat, in one body and in events.

use serde_json::{Map, Value, json};

use super::{Complaint, Question, request};
use crate::fake::answer::{Pieces, Stage};
use crate::fake::dialect::claim::Claim;
use crate::fake::dialect::content::{self, Call, Content, Stop, Thoughts};
use crate::fake::dialect::wire::{self, Bill};
use crate::fake::text;

/// What the provider itself puts around a prompt: counted by it, and not billed.
const FRAME_TOKENS: u64 = 70;

/// What is answered, before it is written.
pub(super) struct Said {
    number: u64,
    thoughts: Thoughts,
    thought_tokens: u64,
    /// What it means to do with its tools; empty if it calls none.
    plan: String,
    content: Content,
    stop: Stop,
    claim: Option<Claim>,
    pub(super) prompt_tokens: u64,
}

pub(super) fn said(question: &Question<'_>, body: &Value) -> Result<Said, Complaint> {
    request::model(body)?;
    let messages = request::messages(body)?;
    let limit = request::limit(body)?;
    let thoughts = request::thoughts(body);
    let thought_tokens = thoughts.tokens(question.reply);
    let limit = limit.map(|limit| limit.saturating_sub(thought_tokens));
    let asked = request::asked(body, messages);
    let (mut content, mut stop) = content::content(question, &asked, None);
    let plan = match &content {
        Content::Text(_) => String::new(),
        Content::Calls(calls) => planned(calls, limit.unwrap_or(u64::MAX)),
    };
    if let Some(limit) = limit {
        (content, stop) = content::within(content, Some(limit.saturating_sub(text::count(&plan))));
    }
    let prompt_tokens = request::prompt_tokens(messages);
    let mut said = Said {
        number: question.number,
        thoughts,
        thought_tokens,
        plan,
        content,
        stop,
        claim: None,
        prompt_tokens,
    };
    said.claim = Claim::of(prompt_tokens, said.tokens(), thought_tokens, question.reply);
    Ok(said)
}

/// The words before a call, as far as the limit goes. They are tokens like all words.
fn planned(calls: &[Call], limit: u64) -> String {
    let name = calls.first().map_or("", |call| &call.name);
    content::beginning(&format!("I will use {name}."), limit)
}

impl Said {
    fn tokens(&self) -> u64 {
        text::count(&self.plan)
            .saturating_add(self.content.tokens())
            .saturating_add(self.thought_tokens)
    }

    pub(super) fn bill(&self, error: Vec<u8>) -> Bill {
        Bill {
            prompt_tokens: self.prompt_tokens,
            tokens: self.tokens(),
            error,
        }
    }

    pub(super) fn in_one(&self) -> Value {
        let mut message = Map::new();
        message.insert("role".to_owned(), json!("assistant"));
        let mut content = Vec::new();
        if self.thoughts == Thoughts::Shown {
            let thought = text::of_length(self.thought_tokens);
            content.push(json!({"type": "thinking", "thinking": thought}));
        }
        match &self.content {
            Content::Text(full) => content.push(json!({"type": "text", "text": full})),
            Content::Calls(calls) => {
                let calls = calls.iter().enumerate();
                let calls = calls.map(|(place, call)| self.call(place, call, &call.arguments));
                message.insert("tool_plan".to_owned(), json!(self.plan));
                message.insert("tool_calls".to_owned(), calls.collect());
            }
        }
        if !content.is_empty() {
            message.insert("content".to_owned(), Value::Array(content));
        }
        let mut whole = json!({"id": self.id(), "message": message});
        self.end(&mut whole);
        whole
    }

    fn id(&self) -> String {
        format!("fa4e0000-0000-4000-8000-{:012}", self.number)
    }

    fn call(&self, place: usize, call: &Call, arguments: &str) -> Value {
        let id = format!("{}_fake{:08}{place}", call.name, self.number);
        let function = json!({"name": call.name, "arguments": arguments});
        json!({"id": id, "type": "function", "function": function})
    }

    /// Why it ended and what was used, at the place where both are said.
    fn end(&self, whole: &mut Value) {
        let Some(fields) = whole.as_object_mut() else {
            return;
        };
        let reason = match self.stop {
            Stop::Said => "COMPLETE",
            Stop::Length => "MAX_TOKENS",
            Stop::Calls => "TOOL_CALL",
        };
        fields.insert("finish_reason".to_owned(), json!(reason));
        if let Some(claim) = self.claim {
            let counted = claim.prompt.saturating_add(FRAME_TOKENS);
            // The frame stands in front: where anything comes from the cache, it does.
            let cached = match claim.cached {
                0 => 0,
                cached => cached.saturating_add(FRAME_TOKENS),
            };
            let usage = json!({
                "billed_units": {"input_tokens": claim.prompt, "output_tokens": claim.completion},
                "tokens": {"input_tokens": counted, "output_tokens": claim.completion},
                "cached_tokens": cached,
            });
            fields.insert("usage".to_owned(), usage);
        }
    }

    pub(super) fn in_events(&self) -> Pieces {
        let mut out = Events::default();
        let hidden = match self.thoughts {
            Thoughts::Hidden => self.thought_tokens,
            Thoughts::Shown => 0,
        };
        let message = json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
        let start =
            json!({"type": "message-start", "id": self.id(), "delta": {"message": message}});
        out.event(Stage::Opening, hidden, &start);
        if self.thoughts == Thoughts::Shown {
            // Over before the first token that a fault can count, as where they are hidden.
            let thought = text::of_length(self.thought_tokens);
            out.content("thinking", &thought, [Stage::Opening; 2]);
        }
        match &self.content {
            Content::Text(full) => out.content("text", full, [Stage::Tokens, Stage::Closing]),
            Content::Calls(calls) => self.calls(&mut out, calls),
        }
        let mut delta = json!({});
        self.end(&mut delta);
        let last = json!({"type": "message-end", "delta": delta});
        out.event(Stage::Terminator, 0, &last);
        out.pieces.bytes.extend_from_slice(b"data: [DONE]\n\n");
        out.pieces.mark(Stage::Terminator, 0);
        out.pieces
    }

    fn calls(&self, out: &mut Events, calls: &[Call]) {
        for word in text::tokens(&self.plan) {
            let delta = json!({"message": {"tool_plan": word}});
            let event = json!({"type": "tool-plan-delta", "delta": delta});
            out.event(Stage::Tokens, 1, &event);
        }
        let last = calls.len().saturating_sub(1);
        for (place, call) in calls.iter().enumerate() {
            let opening = self.call(place, call, "");
            out.tool(Stage::Tokens, 0, "tool-call-start", Some(opening));
            for piece in text::json_tokens(&call.arguments) {
                let more = json!({"function": {"arguments": piece}});
                out.tool(Stage::Tokens, 1, "tool-call-delta", Some(more));
            }
            let stage = if place == last {
                Stage::Closing
            } else {
                Stage::Tokens
            };
            out.tool(stage, 0, "tool-call-end", None);
            out.index = out.index.saturating_add(1);
        }
    }
}

#[derive(Default)]
struct Events {
    pieces: Pieces,
    /// The content or call that is open, or will be next.
    index: u64,
}

impl Events {
    /// Stages: of its tokens, and of its end.
    fn content(&mut self, kind: &str, full: &str, [tokens, end]: [Stage; 2]) {
        let index = self.index;
        let changed = |name: &str, content: Value| {
            let delta = json!({"message": {"content": content}});
            json!({"type": name, "index": index, "delta": delta})
        };
        let start = changed("content-start", json!({"type": kind, kind: ""}));
        self.event(Stage::Opening, 0, &start);
        for token in text::tokens(full) {
            let event = changed("content-delta", json!({kind: token}));
            self.event(tokens, 1, &event);
        }
        let stop = json!({"type": "content-end", "index": index});
        self.event(end, 0, &stop);
        self.index = index.saturating_add(1);
    }

    fn tool(&mut self, stage: Stage, tokens: u64, name: &str, call: Option<Value>) {
        let mut event = json!({"type": name, "index": self.index});
        if let (Some(call), Some(fields)) = (call, event.as_object_mut()) {
            let delta = json!({"message": {"tool_calls": call}});
            fields.insert("delta".to_owned(), delta);
        }
        self.event(stage, tokens, &event);
    }

    fn event(&mut self, stage: Stage, tokens: u64, event: &Value) {
        wire::write_event(&mut self.pieces, stage, tokens, event);
    }
}
