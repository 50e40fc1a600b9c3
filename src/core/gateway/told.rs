//! What is answered here, without any provider: which models there are, and how many tokens a request has.

use serde_json::{Value, json};

use super::allowed;
use crate::callers::Caller;
use crate::config::Gateway;
use crate::dialect::anthropic::Messages;
use crate::dialect::speak::Client;
use crate::refusal::{Answer, Refusal};
use crate::tokens::Count;

/// What this caller may use, or the one of this name; nothing is said of what others may.
pub(super) fn models(
    (config, caller): (&Gateway, &Caller),
    client: &dyn Client,
    one: Option<&str>,
) -> Result<Answer, Refusal> {
    let mine: Vec<&str> = config
        .models
        .iter()
        .map(|model| model.name.as_str())
        .filter(|name| allowed(caller, name))
        .collect();
    let anthropic = client.name() == Messages.name();
    let entry = if anthropic { of_anthropic } else { of_openai };
    let body = match one {
        Some(one) => mine
            .iter()
            .find(|name| **name == one)
            .map(|name| entry(name))
            .ok_or_else(|| Refusal::unknown_model(one))?,
        None => {
            let data: Vec<Value> = mine.iter().map(|name| entry(name)).collect();
            if anthropic {
                json!({"data": data, "has_more": false, "first_id": mine.first(), "last_id": mine.last()})
            } else {
                json!({"object": "list", "data": data})
            }
        }
    };
    Ok(said(&body))
}

fn of_openai(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": "tollgate"})
}

fn of_anthropic(name: &str) -> Value {
    json!({"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"})
}

/// Our own count of a prompt.
pub(super) fn counted(prompt: &Count) -> Answer {
    said(&json!({"input_tokens": prompt.tokens}))
}

fn said(body: &Value) -> Answer {
    Answer {
        status: 200,
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
        code: None,
    }
}
