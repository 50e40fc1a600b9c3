//! A reply of Converse, in one body and in frames.

use serde_json::{Value, json};

use super::{Complaint, Question, request};
use crate::fake::answer::{Pieces, Stage};
use crate::fake::dialect::aws;
use crate::fake::dialect::claim::Claim;
use crate::fake::dialect::content::{self, Call, Content, Stop, Thoughts};
use crate::fake::dialect::wire::Bill;
use crate::fake::text;

/// The seal of every thought.
const SIGNATURE: &str = "RmFrZSB0aG91Z2h0cywgc2VhbGVkLg==";

/// What is answered, before it is written.
pub(super) struct Said {
    number: u64,
    thoughts: Thoughts,
    thought_tokens: u64,
    content: Content,
    stop: Stop,
    claim: Option<Claim>,
    pub(super) prompt_tokens: u64,
}

pub(super) fn said(question: &Question<'_>, body: &Value) -> Result<Said, Complaint> {
    let messages = request::messages(body)?;
    let limit = request::limit(body)?;
    let schema = request::schema(body)?;
    let thoughts = request::thoughts(body);
    let thought_tokens = thoughts.tokens(question.reply);
    let limit = limit.map(|limit| limit.saturating_sub(thought_tokens));
    let asked = request::asked(body, messages, schema.as_ref());
    let (content, stop) = content::content(question, &asked, limit);
    let prompt_tokens = request::prompt_tokens(body);
    let tokens = content.tokens().saturating_add(thought_tokens);
    Ok(Said {
        number: question.number,
        thoughts,
        thought_tokens,
        content,
        stop,
        claim: Claim::of(prompt_tokens, tokens, thought_tokens, question.reply),
        prompt_tokens,
    })
}

impl Said {
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
            let thought = json!({"text": thought, "signature": SIGNATURE});
            blocks.push(json!({"reasoningContent": {"reasoningText": thought}}));
        }
        match &self.content {
            Content::Text(full) if full.is_empty() => {}
            Content::Text(full) => blocks.push(json!({"text": full})),
            Content::Calls(calls) => {
                blocks.extend(calls.iter().enumerate().map(|(place, call)| {
                    let mut tool = self.tool(place, call);
                    if let Some(fields) = tool.as_object_mut() {
                        let input = call.value().unwrap_or_else(|| json!({}));
                        fields.insert("input".to_owned(), input);
                    }
                    json!({"toolUse": tool})
                }))
            }
        }
        let message = json!({"role": "assistant", "content": blocks});
        let mut whole = json!({
            "output": {"message": message},
            "stopReason": reason(self.stop),
            "metrics": {"latencyMs": 1},
        });
        self.bring_usage(&mut whole);
        whole
    }

    fn tool(&self, place: usize, call: &Call) -> Value {
        let id = format!("tooluse_fake{:012}{place}", self.number);
        json!({"toolUseId": id, "name": call.name})
    }

    /// What came from the cache is not part of `inputTokens`.
    fn bring_usage(&self, whole: &mut Value) {
        if let (Some(claim), Some(fields)) = (self.claim, whole.as_object_mut()) {
            let usage = json!({
                "inputTokens": claim.uncached(),
                "cacheReadInputTokens": claim.cached,
                "cacheWriteInputTokens": 0,
                "outputTokens": claim.completion,
                "totalTokens": claim.prompt.saturating_add(claim.completion),
            });
            fields.insert("usage".to_owned(), usage);
        }
    }

    pub(super) fn in_frames(&self) -> Pieces {
        let mut out = Frames::default();
        let hidden = match self.thoughts {
            Thoughts::Hidden => self.thought_tokens,
            Thoughts::Shown => 0,
        };
        let start = json!({"role": "assistant"});
        out.frame(Stage::Opening, hidden, "messageStart", &start);
        if self.thoughts == Thoughts::Shown {
            // Over before the first token that a fault can count, as where they are hidden.
            let thought = text::of_length(self.thought_tokens);
            for token in text::tokens(&thought) {
                let delta = json!({"reasoningContent": {"text": token}});
                out.delta(Stage::Opening, 1, &delta);
            }
            let seal = json!({"reasoningContent": {"signature": SIGNATURE}});
            out.delta(Stage::Opening, 0, &seal);
            out.stop(Stage::Opening);
        }
        match &self.content {
            Content::Text(full) => {
                for token in text::tokens(full) {
                    out.delta(Stage::Tokens, 1, &json!({"text": token}));
                }
                out.stop(Stage::Closing);
            }
            Content::Calls(calls) => self.calls(&mut out, calls),
        }
        let stop = json!({"stopReason": reason(self.stop)});
        out.frame(Stage::Terminator, 0, "messageStop", &stop);
        let mut last = json!({"metrics": {"latencyMs": 1}});
        self.bring_usage(&mut last);
        out.frame(Stage::Terminator, 0, "metadata", &last);
        out.pieces
    }

    fn calls(&self, out: &mut Frames, calls: &[Call]) {
        let last = calls.len().saturating_sub(1);
        for (place, call) in calls.iter().enumerate() {
            let opening = if place == 0 {
                Stage::Opening
            } else {
                Stage::Tokens
            };
            let start = json!({
                "contentBlockIndex": out.index,
                "start": {"toolUse": self.tool(place, call)},
            });
            out.frame(opening, 0, "contentBlockStart", &start);
            for piece in text::json_tokens(&call.arguments) {
                out.delta(Stage::Tokens, 1, &json!({"toolUse": {"input": piece}}));
            }
            out.stop(if place == last {
                Stage::Closing
            } else {
                Stage::Tokens
            });
        }
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
struct Frames {
    pieces: Pieces,
    /// The block that is open, or will be next.
    index: u64,
}

impl Frames {
    fn delta(&mut self, stage: Stage, tokens: u64, delta: &Value) {
        let event = json!({"contentBlockIndex": self.index, "delta": delta});
        self.frame(stage, tokens, "contentBlockDelta", &event);
    }

    fn stop(&mut self, stage: Stage) {
        let event = json!({"contentBlockIndex": self.index});
        self.frame(stage, 0, "contentBlockStop", &event);
        self.index = self.index.saturating_add(1);
    }

    fn frame(&mut self, stage: Stage, tokens: u64, kind: &str, event: &Value) {
        aws::write_frame(&mut self.pieces.bytes, kind, event);
        self.pieces.mark(stage, tokens);
    }
}
