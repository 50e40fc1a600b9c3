//! JSON bodies and named events, as all dialects but OpenAI's write them.

use serde_json::Value;

use crate::fake::answer::{Answer, Flow, Pieces, Stage};

/// What one answer costs, and what takes its place when it fails on its way.
pub(super) struct Bill {
    pub(super) prompt_tokens: u64,
    pub(super) tokens: u64,
    pub(super) error: Vec<u8>,
}

/// A body for which nobody pays.
pub(super) fn free(status: u16, body: &Value) -> Answer {
    let bill = Bill {
        prompt_tokens: 0,
        tokens: 0,
        error: body.to_string().into_bytes(),
    };
    Answer {
        status,
        ..whole(body, bill)
    }
}

/// An answer in one JSON body.
pub(super) fn whole(body: &Value, bill: Bill) -> Answer {
    Answer {
        status: 200,
        content_type: "application/json".to_owned(),
        flow: Flow::Whole,
        pieces: Pieces::whole(body.to_string().into_bytes(), bill.tokens),
        error: bill.error,
        prompt_tokens: bill.prompt_tokens,
    }
}

/// An answer in events.
pub(super) fn events(pieces: Pieces, prompt_tokens: u64, error: Vec<u8>) -> Answer {
    Answer {
        status: 200,
        content_type: "text/event-stream".to_owned(),
        flow: Flow::Events,
        pieces,
        error,
        prompt_tokens,
    }
}

/// An answer in Amazon's frames.
pub(super) fn frames(pieces: Pieces, prompt_tokens: u64, error: Vec<u8>) -> Answer {
    Answer {
        content_type: "application/vnd.amazon.eventstream".to_owned(),
        flow: Flow::Frames,
        ..events(pieces, prompt_tokens, error)
    }
}

/// An event without a name.
pub(super) fn write_data(pieces: &mut Pieces, stage: Stage, tokens: u64, data: &Value) {
    pieces
        .bytes
        .extend_from_slice(format!("data: {data}\n\n").as_bytes());
    pieces.mark(stage, tokens);
}

/// An event with the name that its data have as their type.
pub(super) fn write_event(pieces: &mut Pieces, stage: Stage, tokens: u64, data: &Value) {
    let name = data.get("type").and_then(Value::as_str).unwrap_or_default();
    pieces
        .bytes
        .extend_from_slice(format!("event: {name}\n").as_bytes());
    write_data(pieces, stage, tokens, data);
}
