//! As Cohere speaks in version 2, on `/v2/chat` and on `/cohere/v2/chat`.

mod chat;
mod request;

use serde_json::{Value, json};

use super::Question;
use super::openai::media::ranked;
use super::wire;
use crate::fake::answer::{Answer, Pieces, Stage};
use crate::fake::connection::Request;

/// What is wrong with a request, as Cohere tells it.
#[derive(Debug)]
struct Complaint {
    status: u16,
    message: String,
}

impl Complaint {
    fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            message: message.into(),
        }
    }

    fn of_status(status: u16) -> Self {
        let message = match status {
            400 => "invalid request",
            401 => "invalid api token",
            403 => "you are not allowed to use this model",
            404 => "page not found",
            405 => "method not allowed",
            429 => {
                "You are using a Trial key, which is limited to 20 API calls / minute. You can continue to use the Trial key for free or upgrade to a Production key with higher rate limits."
            }
            503 => "service unavailable",
            504 => "request timed out",
            _ => "internal server error, this has been reported to our developers",
        };
        Self {
            status,
            message: message.to_owned(),
        }
    }

    fn json(&self) -> Value {
        json!({"message": self.message})
    }
}

pub(super) fn answer(question: &Question<'_>) -> Answer {
    let answered = match (question.method, question.path) {
        ("POST", "/v2/chat") => chat(question),
        ("POST", "/v2/rerank") => rerank(question),
        (_, "/v2/chat" | "/v2/rerank") => Err(Complaint::of_status(405)),
        _ => Err(Complaint::of_status(404)),
    };
    answered.unwrap_or_else(|complaint| refused(&complaint))
}

fn chat(question: &Question<'_>) -> Result<Answer, Complaint> {
    let body: Value = serde_json::from_slice(question.body)
        .map_err(|problem| Complaint::invalid(format!("invalid request: {problem}")))?;
    if !body.is_object() {
        return Err(Complaint::invalid("invalid request: no JSON object"));
    }
    let said = chat::said(question, &body)?;
    if request::flag(&body, "stream")? {
        let mut error = Pieces::default();
        let message = Complaint::of_status(500).message;
        let delta = json!({"finish_reason": "ERROR", "error": message});
        let last = json!({"type": "message-end", "delta": delta});
        wire::write_event(&mut error, Stage::Closing, 0, &last);
        let events = wire::events(said.in_events(), said.prompt_tokens, error.bytes);
        return Ok(events);
    }
    let error = refusal(500).pieces.bytes;
    Ok(wire::whole(&said.in_one(), said.bill(error)))
}

/// It bills searches, not tokens.
fn rerank(question: &Question<'_>) -> Result<Answer, Complaint> {
    let body: Value = serde_json::from_slice(question.body)
        .map_err(|problem| Complaint::invalid(format!("invalid request: {problem}")))?;
    request::model(&body)?;
    let known = [
        "model",
        "query",
        "documents",
        "top_n",
        "max_tokens_per_doc",
        "priority",
    ];
    let fields = body.as_object().into_iter().flatten();
    if let Some((name, _)) = fields
        .into_iter()
        .find(|(name, _)| !known.contains(&name.as_str()))
    {
        let problem = format!("invalid request: unknown field {name}");
        return Err(Complaint::invalid(problem));
    }
    let documents = body.get("documents").and_then(Value::as_array);
    let documents = documents
        .filter(|list| list.iter().all(Value::is_string))
        .ok_or_else(|| Complaint::invalid("invalid request: documents must be strings"))?;
    if body.get("query").and_then(Value::as_str).is_none() {
        return Err(Complaint::invalid(
            "invalid request: query must not be empty",
        ));
    }
    let results = ranked(documents.len(), &body);
    let meta = json!({"api_version": {"version": "2"}, "billed_units": {"search_units": 1}});
    let id = format!("fa4e0000-0000-4000-8000-{:012}", question.number);
    Ok(wire::free(
        200,
        &json!({"id": id, "results": results, "meta": meta}),
    ))
}

pub(super) fn refusal(status: u16) -> Answer {
    refused(&Complaint::of_status(status))
}

pub(super) fn key(request: &Request) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ")
}

pub(super) fn stranger(key: Option<&str>) -> Answer {
    let mut complaint = Complaint::of_status(401);
    if key.is_none() {
        complaint.message = "no api key supplied".to_owned();
    }
    refused(&complaint)
}

fn refused(complaint: &Complaint) -> Answer {
    wire::free(complaint.status, &complaint.json())
}
