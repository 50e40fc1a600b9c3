//! A reply of Gemini's, in one body and in events, each of which is a small reply.

use serde_json::{Map, Value, json};

use super::{Complaint, Question, contents};
use crate::fake::answer::{Pieces, Stage};
use crate::fake::dialect::claim::Claim;
use crate::fake::dialect::content::{self, Call, Content, Stop, Thoughts};
use crate::fake::dialect::wire::{self, Bill};
use crate::fake::reply::UsageClaim;
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
    candidates: u64,
    stop: Stop,
    claim: Option<Claim>,
    truthful: bool,
    pub(super) prompt_tokens: u64,
}

/// A reply on its way: what it carries and what that costs.
struct Event {
    stage: Stage,
    tokens: u64,
    reply: Value,
}

pub(super) fn said<'a>(
    question: &Question<'_>,
    model: &'a str,
    body: &Value,
) -> Result<Said<'a>, Complaint> {
    let list = contents::contents(body)?;
    let limit = contents::limit(body)?;
    let candidates = contents::candidates(body)?;
    let thoughts = contents::thoughts(body);
    let thought_tokens = thoughts.tokens(question.reply);
    let limit = limit.map(|limit| limit.saturating_sub(thought_tokens));
    let asked = contents::asked(body, list);
    let (content, stop) = content::content(question, &asked, limit);
    let prompt_tokens = contents::prompt_tokens(body);
    let tokens = content.tokens().saturating_mul(candidates);
    let tokens = tokens.saturating_add(thought_tokens);
    Ok(Said {
        number: question.number,
        model,
        thoughts,
        thought_tokens,
        content,
        candidates,
        stop,
        claim: Claim::of(prompt_tokens, tokens, thought_tokens, question.reply),
        truthful: question.reply.usage == UsageClaim::True,
        prompt_tokens,
    })
}

impl Said<'_> {
    pub(super) fn bill(&self, error: Vec<u8>) -> Bill {
        let tokens = self.content.tokens().saturating_mul(self.candidates);
        Bill {
            prompt_tokens: self.prompt_tokens,
            tokens: tokens.saturating_add(self.thought_tokens),
            error,
        }
    }

    pub(super) fn in_one(&self) -> Value {
        let one = |index| {
            let mut parts = Vec::new();
            if self.thoughts == Thoughts::Shown && index == 0 {
                let thought = text::of_length(self.thought_tokens);
                parts.push(json!({"text": thought, "thought": true}));
            }
            match &self.content {
                Content::Text(full) if full.is_empty() => {}
                Content::Text(full) => parts.push(json!({"text": full})),
                Content::Calls(calls) => parts.extend(
                    calls
                        .iter()
                        .enumerate()
                        .filter_map(|(place, call)| self.call(place, call)),
                ),
            }
            candidate(parts, index, Some(self.stop))
        };
        let candidates = (0..self.candidates).map(one).collect();
        self.reply(candidates, u64::MAX)
    }

    /// Calls come whole; one that was cut cannot be said. The first has the seal of the thoughts before it.
    fn call(&self, place: usize, call: &Call) -> Option<Value> {
        let mut part = json!({"functionCall": {"name": call.name, "args": call.value()?}});
        if place == 0
            && self.thought_tokens > 0
            && let Some(fields) = part.as_object_mut()
        {
            fields.insert("thoughtSignature".to_owned(), json!(SIGNATURE));
        }
        Some(part)
    }

    fn reply(&self, candidates: Vec<Value>, visible: u64) -> Value {
        let mut reply = json!({
            "candidates": candidates,
            "modelVersion": self.model,
            "responseId": format!("fake{:016}", self.number),
        });
        if let (Some(claim), Some(fields)) = (self.claim, reply.as_object_mut()) {
            // Only the truth can be told bit by bit.
            let visible = if self.truthful {
                visible.min(claim.visible())
            } else {
                claim.visible()
            };
            fields.insert("usageMetadata".to_owned(), usage(claim, visible));
        }
        reply
    }

    fn events(&self) -> Vec<Event> {
        let mut out = Vec::new();
        self.think(&mut out);
        let mut visible = 0_u64;
        let mut say = |tokens: u64, part: &Value| {
            for index in 0..self.candidates {
                visible = visible.saturating_add(tokens);
                let candidate = candidate(vec![part.clone()], index, None);
                out.push(Event {
                    stage: Stage::Tokens,
                    tokens,
                    reply: self.reply(vec![candidate], visible),
                });
            }
        };
        match &self.content {
            Content::Text(full) => {
                for token in text::tokens(full) {
                    say(1, &json!({"text": token}));
                }
            }
            Content::Calls(calls) => {
                for (place, call) in calls.iter().enumerate() {
                    let nothing = || json!({"text": ""});
                    let part = self.call(place, call).unwrap_or_else(nothing);
                    say(call.tokens(), &part);
                }
            }
        }
        // Nothing comes after the reason why it ended: that is all that tells the end.
        let last = |index| candidate(vec![json!({"text": ""})], index, Some(self.stop));
        let candidates = (0..self.candidates).map(last).collect();
        out.push(Event {
            stage: Stage::Terminator,
            tokens: 0,
            reply: self.reply(candidates, u64::MAX),
        });
        out
    }

    /// Thoughts are over before the first token that a fault can count, seen or not.
    fn think(&self, out: &mut Vec<Event>) {
        let mut event = |tokens, part| {
            out.push(Event {
                stage: Stage::Opening,
                tokens,
                reply: self.reply(vec![candidate(vec![part], 0, None)], 0),
            });
        };
        match self.thoughts {
            Thoughts::Shown => {
                let thought = text::of_length(self.thought_tokens);
                for token in text::tokens(&thought) {
                    event(1, json!({"text": token, "thought": true}));
                }
            }
            Thoughts::Hidden if self.thought_tokens > 0 => {
                event(self.thought_tokens, json!({"text": ""}));
            }
            Thoughts::Hidden => {}
        }
    }

    pub(super) fn in_events(&self) -> Pieces {
        let mut pieces = Pieces::default();
        for event in self.events() {
            wire::write_data(&mut pieces, event.stage, event.tokens, &event.reply);
        }
        pieces
    }

    pub(super) fn in_list(&self) -> Value {
        self.events().into_iter().map(|event| event.reply).collect()
    }
}

fn candidate(parts: Vec<Value>, index: u64, stop: Option<Stop>) -> Value {
    let mut content = Map::new();
    content.insert("role".to_owned(), json!("model"));
    // Who has nothing to say has no parts, not an empty list of them.
    if !parts.is_empty() {
        content.insert("parts".to_owned(), Value::Array(parts));
    }
    let mut candidate = Map::new();
    candidate.insert("content".to_owned(), Value::Object(content));
    candidate.insert("index".to_owned(), json!(index));
    let reason = stop.map(|stop| match stop {
        // A call is no reason of its own.
        Stop::Said | Stop::Calls => "STOP",
        Stop::Length => "MAX_TOKENS",
    });
    if let Some(reason) = reason {
        candidate.insert("finishReason".to_owned(), json!(reason));
    }
    Value::Object(candidate)
}

/// What is zero is not said.
fn usage(claim: Claim, visible: u64) -> Value {
    let total = claim
        .prompt
        .saturating_add(visible)
        .saturating_add(claim.reasoning);
    let mut usage = Map::new();
    for (name, count) in [
        ("promptTokenCount", claim.prompt),
        ("cachedContentTokenCount", claim.cached),
        ("candidatesTokenCount", visible),
        ("thoughtsTokenCount", claim.reasoning),
        ("totalTokenCount", total),
    ] {
        if count > 0 {
            usage.insert(name.to_owned(), json!(count));
        }
    }
    let details = json!([{"modality": "TEXT", "tokenCount": claim.prompt}]);
    usage.insert("promptTokensDetails".to_owned(), details);
    Value::Object(usage)
}
