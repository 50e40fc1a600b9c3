//! As Google serves models on Vertex: its own as on AI Studio, and Anthropic's as these are, less the name of the model.

use serde_json::json;

use super::anthropic::{self, Delivery, Hosted};
use super::{Question, gemini, wire};
use crate::fake::answer::Answer;
use crate::fake::connection::Request;

pub(super) fn answer(question: &Question<'_>) -> Answer {
    let publisher = question.path.split_once("/publishers/");
    match publisher.and_then(|(_, model)| model.split_once("/models/")) {
        Some(("google", _)) => gemini::answer(question),
        Some(("anthropic", called)) if question.method == "POST" => claude(question, called),
        _ => refusal(404),
    }
}

fn claude(question: &Question<'_>, called: &str) -> Answer {
    let (model, delivery) = match called.rsplit_once(':') {
        Some((model, "rawPredict")) => (model, Delivery::Whole),
        Some((model, "streamRawPredict")) => (model, Delivery::Events),
        _ => return refusal(404),
    };
    let hosted = Hosted {
        version: "vertex-2023-10-16",
        model,
        delivery,
    };
    anthropic::hosted(question, hosted).unwrap_or_else(|(code, message)| {
        let error = json!({"code": code, "message": message, "status": "INVALID_ARGUMENT"});
        wire::free(code, &json!({"error": error}))
    })
}

pub(super) fn refusal(status: u16) -> Answer {
    gemini::refusal(status)
}

/// A token, never a key.
pub(super) fn key(request: &Request) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ")
}
