//! A message of Anthropic's, in one body and in events.

use serde_json::{Value, json};

use super::{Complaint, Question, request};
use crate::fake::answer::{Pieces, Stage};
use crate::fake::dialect::claim::Claim;
use crate::fake::dialect::content::{self, Call, Content, Stop, Thoughts};
use crate::fake::dialect::wire::{self, Bill};
use crate::fake::text;

/// The seal of every thought.
const SIGNATURE: &str = "RmFrZSB0aG91Z2h0cywgc2VhbGVkLg==";

/// What is answered, before it is written.
pub(super) struct Said<'a> {
    number: u64,
    model: &'a str,
    thoughts: Thoughts,
    thought_tokens: u64,
    content: Content,
    stop: Stop,
    claim: Option<Claim>,
    pub(super) prompt_tokens: u64,
}

pub(super) fn said<'a>(question: &Question<'_>, body: &'a Value) -> Result<Said<'a>, Complaint> {
    let model = request::model(body)?;
    let max_tokens = request::max_tokens(body)?;
    let messages = request::messages(body)?;
    let thoughts = request::thoughts(body, max_tokens)?;
    let thought_tokens = thoughts.tokens(question.reply);
    let limit = max_tokens.saturating_sub(thought_tokens);
    let asked = request::asked(body, messages);
    let (content, stop) = content::content(question, &asked, Some(limit));
    let prompt_tokens = request::prompt_tokens(body);
    let tokens = content.tokens().saturating_add(thought_tokens);
    Ok(Said {
        number: question.number,
        model,
        thoughts,
        thought_tokens,
        content,
        stop,
        claim: Claim::of(prompt_tokens, tokens, thought_tokens, question.reply),
        prompt_tokens,
    })
}

impl Said<'_> {
    pub(super) fn bill(&self, error: Vec<u8>) -> Bill {
        Bill {
            prompt_tokens: self.prompt_tokens,
            tokens: self.content.tokens().saturating_add(self.thought_tokens),
            error,
        }
    }

    pub(super) fn in_one(&self) -> Value {
        let mut blocks = Vec::new();
        if self.thoughts == Thoughts::Shown {
            let thought = text::of_length(self.thought_tokens);
            blocks.push(json!({"type": "thinking", "thinking": thought, "signature": SIGNATURE}));
        }
        match &self.content {
            Content::Text(full) if full.is_empty() => {}
            Content::Text(full) => blocks.push(json!({"type": "text", "text": full})),
            Content::Calls(calls) => {
                blocks.extend(calls.iter().enumerate().map(|(place, call)| {
                    // Input that was cut is no object, and cannot be sent.
                    self.tool_use(place, call, call.value().unwrap_or_else(|| json!({})))
                }))
            }
        }
        self.message(&json!(blocks), Some(self.stop), |claim| claim.completion)
    }

    fn message(&self, content: &Value, stop: Option<Stop>, output: fn(Claim) -> u64) -> Value {
        let mut message = json!({
            "id": format!("msg_fake{:024}", self.number),
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop.map(reason),
            "stop_sequence": null,
        });
        if let (Some(claim), Some(fields)) = (self.claim, message.as_object_mut()) {
            // What came from the cache is not part of `input_tokens`.
            let mut usage = json!({
                "input_tokens": claim.uncached(),
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": claim.cached,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "output_tokens": output(claim),
                "service_tier": "standard",
            });
            if stop.is_some() {
                detail(&mut usage, claim);
            }
            fields.insert("usage".to_owned(), usage);
        }
        message
    }

    fn tool_use(&self, place: usize, call: &Call, input: Value) -> Value {
        let id = format!("toolu_fake{:012}{place}", self.number);
        json!({"type": "tool_use", "id": id, "name": call.name, "input": input})
    }

    pub(super) fn in_events(&self) -> Pieces {
        let mut out = Events::default();
        let hidden = match self.thoughts {
            Thoughts::Hidden => self.thought_tokens,
            Thoughts::Shown => 0,
        };
        // The real one says 1 before anything was said; what counts comes last.
        let message = self.message(&json!([]), None, |claim| claim.completion.min(1));
        let start = json!({"type": "message_start", "message": message});
        out.event(Stage::Opening, hidden, &start);
        out.event(Stage::Opening, 0, &json!({"type": "ping"}));
        if self.thoughts == Thoughts::Shown {
            self.think(&mut out);
        }
        match &self.content {
            Content::Text(full) => out.text(full),
            Content::Calls(calls) => self.call(&mut out, calls),
        }
        let delta = json!({"stop_reason": reason(self.stop), "stop_sequence": null});
        let mut last = json!({"type": "message_delta", "delta": delta});
        if let (Some(claim), Some(fields)) = (self.claim, last.as_object_mut()) {
            // All figures so far, as Anthropic repeats them at the end.
            let mut usage = json!({
                "input_tokens": claim.uncached(),
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": claim.cached,
                "output_tokens": claim.completion,
            });
            detail(&mut usage, claim);
            fields.insert("usage".to_owned(), usage);
        }
        out.event(Stage::Closing, 0, &last);
        out.event(Stage::Terminator, 0, &json!({"type": "message_stop"}));
        out.pieces
    }

    /// Thoughts are over before the first token that a fault can count, as where they are hidden.
    fn think(&self, out: &mut Events) {
        let block = json!({"type": "thinking", "thinking": "", "signature": ""});
        out.start(Stage::Opening, &block);
        let thought = text::of_length(self.thought_tokens);
        for token in text::tokens(&thought) {
            let delta = json!({"type": "thinking_delta", "thinking": token});
            out.delta(Stage::Opening, 1, &delta);
        }
        let seal = json!({"type": "signature_delta", "signature": SIGNATURE});
        out.delta(Stage::Opening, 0, &seal);
        out.stop(Stage::Opening);
    }

    fn call(&self, out: &mut Events, calls: &[Call]) {
        let last = calls.len().saturating_sub(1);
        for (place, call) in calls.iter().enumerate() {
            let opening = if place == 0 {
                Stage::Opening
            } else {
                Stage::Tokens
            };
            out.start(opening, &self.tool_use(place, call, json!({})));
            let nothing = json!({"type": "input_json_delta", "partial_json": ""});
            out.delta(opening, 0, &nothing);
            for piece in text::json_tokens(&call.arguments) {
                let delta = json!({"type": "input_json_delta", "partial_json": piece});
                out.delta(Stage::Tokens, 1, &delta);
            }
            out.stop(if place == last {
                Stage::Closing
            } else {
                Stage::Tokens
            });
        }
    }
}

/// Thoughts are part of `output_tokens`; how many of these they are is only said where there are any.
fn detail(usage: &mut Value, claim: Claim) {
    let details = json!({"thinking_tokens": claim.reasoning});
    if let Some(fields) = usage.as_object_mut().filter(|_| claim.reasoning > 0) {
        fields.insert("output_tokens_details".to_owned(), details);
    }
}

fn reason(stop: Stop) -> &'static str {
    match stop {
        Stop::Said => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Calls => "tool_use",
    }
}

#[derive(Default)]
struct Events {
    pieces: Pieces,
    /// The block that is open, or will be next.
    index: u64,
}

impl Events {
    fn text(&mut self, full: &str) {
        if full.is_empty() {
            return;
        }
        self.start(Stage::Opening, &json!({"type": "text", "text": ""}));
        for token in text::tokens(full) {
            let delta = json!({"type": "text_delta", "text": token});
            self.delta(Stage::Tokens, 1, &delta);
        }
        self.stop(Stage::Closing);
    }

    fn start(&mut self, stage: Stage, block: &Value) {
        let index = self.index;
        let event = json!({"type": "content_block_start", "index": index, "content_block": block});
        self.event(stage, 0, &event);
    }

    fn delta(&mut self, stage: Stage, tokens: u64, delta: &Value) {
        let index = self.index;
        let event = json!({"type": "content_block_delta", "index": index, "delta": delta});
        self.event(stage, tokens, &event);
    }

    fn stop(&mut self, stage: Stage) {
        let event = json!({"type": "content_block_stop", "index": self.index});
        self.event(stage, 0, &event);
        self.index = self.index.saturating_add(1);
    }

    fn event(&mut self, stage: Stage, tokens: u64, event: &Value) {
        wire::write_event(&mut self.pieces, stage, tokens, event);
    }
}
