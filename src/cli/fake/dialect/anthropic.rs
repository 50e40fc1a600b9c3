//! As Anthropic speaks, on `/v1/messages` and on `/anthropic/v1/messages`.

mod message;
mod request;

use serde_json::{Value, json};

use super::wire;
use super::{Question, aws};
use crate::fake::answer::{Answer, Pieces, Stage};
use crate::fake::connection::{Request, find};

/// What is wrong with a request, as Anthropic tells it.
#[derive(Debug)]
struct Complaint {
    status: u16,
    kind: &'static str,
    message: String,
}

impl Complaint {
    fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            kind: "invalid_request_error",
            message: message.into(),
        }
    }

    fn of_status(status: u16) -> Self {
        let (kind, message) = match status {
            400 => ("invalid_request_error", "The request is invalid."),
            401 => ("authentication_error", "invalid x-api-key"),
            403 => (
                "permission_error",
                "Your API key does not have permission to use the specified resource.",
            ),
            404 => ("not_found_error", "Not Found"),
            405 => ("invalid_request_error", "Method Not Allowed"),
            413 => (
                "request_too_large",
                "Request exceeds the maximum allowed number of bytes.",
            ),
            429 => (
                "rate_limit_error",
                "This request would exceed your organization's rate limit.",
            ),
            504 => ("timeout_error", "The request timed out while processing."),
            529 => ("overloaded_error", "Overloaded"),
            _ => ("api_error", "Internal server error"),
        };
        Self {
            status,
            kind,
            message: message.to_owned(),
        }
    }

    fn json(&self) -> Value {
        let error = json!({"type": self.kind, "message": self.message});
        json!({"type": "error", "error": error, "request_id": "req_fake"})
    }
}

pub(super) fn answer(question: &Question<'_>) -> Answer {
    let answered = match (question.method, question.path) {
        ("POST", "/v1/messages") => parsed(question).and_then(|body| messages(question, &body)),
        ("POST", "/v1/messages/count_tokens") => {
            parsed(question).and_then(|body| count_tokens(&body))
        }
        (_, "/v1/messages" | "/v1/messages/count_tokens") => Err(Complaint::of_status(405)),
        _ => Err(Complaint::of_status(404)),
    };
    answered.unwrap_or_else(|complaint| refused(&complaint))
}

pub(super) fn refusal(status: u16) -> Answer {
    refused(&Complaint::of_status(status))
}

/// The documented header, or the one in which Anthropic's newer SDKs send the same key.
pub(super) fn key(request: &Request) -> Option<&str> {
    let bearer = || request.header("authorization")?.strip_prefix("Bearer ");
    request.header("x-api-key").or_else(bearer)
}

pub(super) fn stranger(key: Option<&str>) -> Answer {
    let mut complaint = Complaint::of_status(401);
    if key.is_none() {
        complaint.message = "x-api-key header is required".to_owned();
    }
    refused(&complaint)
}

fn refused(complaint: &Complaint) -> Answer {
    wire::free(complaint.status, &complaint.json())
}

fn parsed(question: &Question<'_>) -> Result<Value, Complaint> {
    if find(question.headers, "anthropic-version").is_none() {
        return Err(Complaint::invalid("anthropic-version: header is required"));
    }
    json_object(question)
}

fn json_object(question: &Question<'_>) -> Result<Value, Complaint> {
    let value: Value = serde_json::from_slice(question.body).map_err(|problem| {
        Complaint::invalid(format!("The request body is not valid JSON: {problem}"))
    })?;
    if !value.is_object() {
        return Err(Complaint::invalid("Input should be a valid dictionary"));
    }
    Ok(value)
}

/// Where others serve these models: the path says which, and the body which interface.
#[derive(Clone, Copy)]
pub(super) struct Hosted<'a> {
    pub(super) version: &'a str,
    pub(super) model: &'a str,
    pub(super) delivery: Delivery,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    Events,
    /// The path alone says so, and events are wrapped.
    Frames,
}

/// Answers for another host; an error as the status and words of it.
pub(super) fn hosted(question: &Question<'_>, hosted: Hosted<'_>) -> Result<Answer, (u16, String)> {
    let mut body = json_object(question).map_err(told)?;
    if body.get("anthropic_version").and_then(Value::as_str) != Some(hosted.version) {
        return Err((400, "anthropic_version: Field required".to_owned()));
    }
    let wants = request::flag(&body, "stream").map_err(told)?;
    let strange = match hosted.delivery {
        Delivery::Frames => body.get("stream").is_some(),
        Delivery::Events => !wants,
        Delivery::Whole => wants,
    };
    if strange {
        return Err((400, "stream: the path says otherwise".to_owned()));
    }
    let twice = body
        .as_object_mut()
        .and_then(|fields| fields.insert("model".to_owned(), json!(hosted.model)));
    if twice.is_some() {
        return Err((400, "model: Extra inputs are not permitted".to_owned()));
    }
    let said = message::said(question, &body).map_err(told)?;
    let overloaded = Complaint::of_status(529).json();
    Ok(match hosted.delivery {
        Delivery::Whole => {
            let error = Complaint::of_status(500).json().to_string().into_bytes();
            wire::whole(&said.in_one(), said.bill(error))
        }
        Delivery::Events => {
            let mut error = Pieces::default();
            wire::write_event(&mut error, Stage::Closing, 0, &overloaded);
            wire::events(said.in_events(), said.prompt_tokens, error.bytes)
        }
        Delivery::Frames => {
            let broken = aws::exception("modelStreamErrorException", "The model failed.");
            wire::frames(wrapped(&said.in_events()), said.prompt_tokens, broken)
        }
    })
}

fn told(complaint: Complaint) -> (u16, String) {
    (complaint.status, complaint.message)
}

/// Each event in a frame, in base64.
fn wrapped(events: &Pieces) -> Pieces {
    let mut frames = Pieces::default();
    for (event, mark) in events.iter() {
        let text = std::str::from_utf8(event).unwrap_or_default();
        let data = text.lines().find_map(|line| line.strip_prefix("data: "));
        let bytes = aws::base64(data.unwrap_or_default().as_bytes());
        let payload = json!({"bytes": bytes, "p": "abcdefgh"});
        aws::write_frame(&mut frames.bytes, "chunk", &payload);
        frames.mark(mark.stage, mark.tokens);
    }
    frames
}

fn messages(question: &Question<'_>, body: &Value) -> Result<Answer, Complaint> {
    let said = message::said(question, body)?;
    Ok(if request::flag(body, "stream")? {
        let mut error = Pieces::default();
        let overloaded = Complaint::of_status(529).json();
        wire::write_event(&mut error, Stage::Closing, 0, &overloaded);
        wire::events(said.in_events(), said.prompt_tokens, error.bytes)
    } else {
        let error = Complaint::of_status(500).json().to_string().into_bytes();
        wire::whole(&said.in_one(), said.bill(error))
    })
}

/// Counted as for an answer, and a token for each tool; and nobody pays.
fn count_tokens(body: &Value) -> Result<Answer, Complaint> {
    request::model(body)?;
    request::messages(body)?;
    let tools = body["tools"].as_array().map_or(0, Vec::len);
    let tools = u64::try_from(tools).unwrap_or(u64::MAX);
    let count = request::prompt_tokens(body).saturating_add(tools);
    Ok(wire::free(200, &json!({"input_tokens": count})))
}
