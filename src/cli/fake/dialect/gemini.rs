//! As Gemini speaks on AI Studio, on `/v1beta` and on `/gemini/v1beta`; the paths of Vertex are understood under `/gemini`.

mod contents;
mod reply;

use serde_json::{Value, json};

use super::Question;
use super::wire;
use crate::fake::answer::{Answer, Pieces, Stage};
use crate::fake::connection::Request;

/// What is wrong with a request, as Google tells it.
#[derive(Debug)]
struct Complaint {
    code: u16,
    status: &'static str,
    message: String,
}

impl Complaint {
    fn invalid(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::of_status(400)
        }
    }

    fn of_status(code: u16) -> Self {
        let (status, message) = match code {
            400 => ("INVALID_ARGUMENT", "Request contains an invalid argument."),
            401 => (
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials.",
            ),
            403 => (
                "PERMISSION_DENIED",
                "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.",
            ),
            404 => ("NOT_FOUND", "Requested entity was not found."),
            429 => (
                "RESOURCE_EXHAUSTED",
                "You exceeded your current quota, please check your plan and billing details.",
            ),
            500 => ("INTERNAL", "An internal error has occurred."),
            503 => (
                "UNAVAILABLE",
                "The model is overloaded. Please try again later.",
            ),
            504 => (
                "DEADLINE_EXCEEDED",
                "Deadline expired before operation could complete.",
            ),
            _ => ("UNKNOWN", "The service failed."),
        };
        Self {
            code,
            status,
            message: message.to_owned(),
        }
    }

    fn json(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message, "status": self.status}})
    }
}

/// How the client wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Whole,
    Events,
    /// The events as a list, which is what a stream is if nobody asks for `alt=sse`. It is sent in one piece.
    List,
}

pub(super) fn answer(question: &Question<'_>) -> Answer {
    answered(question).unwrap_or_else(|complaint| refused(&complaint))
}

fn answered(question: &Question<'_>) -> Result<Answer, Complaint> {
    let called = question.path.rsplit_once("/models/");
    let called = called.and_then(|(_, called)| called.rsplit_once(':'));
    let (model, wish) = match (question.method, called) {
        ("POST", Some((model, "generateContent"))) => (model, Wish::Whole),
        ("POST", Some((model, "streamGenerateContent"))) => (model, streamed(question.query)),
        _ => return Err(Complaint::of_status(404)),
    };
    let body: Value = serde_json::from_slice(question.body).map_err(|problem| {
        Complaint::invalid(format!("Invalid JSON payload received. {problem}"))
    })?;
    if !body.is_object() {
        return Err(Complaint::invalid(
            "Invalid JSON payload received. Root element must be a message.",
        ));
    }
    let said = reply::said(question, model, &body)?;
    let error = Complaint::of_status(503).json();
    Ok(match wish {
        Wish::Whole => {
            let error = Complaint::of_status(500).json().to_string();
            wire::whole(&said.in_one(), said.bill(error.into_bytes()))
        }
        Wish::Events => {
            let mut pieces = Pieces::default();
            wire::write_data(&mut pieces, Stage::Closing, 0, &error);
            wire::events(said.in_events(), said.prompt_tokens, pieces.bytes)
        }
        Wish::List => {
            let error = json!([error]).to_string();
            wire::whole(&said.in_list(), said.bill(error.into_bytes()))
        }
    })
}

fn streamed(query: &str) -> Wish {
    if parameter(query, "alt") == Some("sse") {
        Wish::Events
    } else {
        Wish::List
    }
}

fn parameter<'a>(query: &'a str, wanted: &str) -> Option<&'a str> {
    query.split('&').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        (name == wanted).then_some(value)
    })
}

pub(super) fn refusal(status: u16) -> Answer {
    refused(&Complaint::of_status(status))
}

/// In a header or in the query; on Vertex, a token.
pub(super) fn key(request: &Request) -> Option<&str> {
    if request.path.contains("/publishers/") {
        return request.header("authorization")?.strip_prefix("Bearer ");
    }
    request.header("x-goog-api-key").or_else(|| {
        let (_, query) = request.path.split_once('?')?;
        parameter(query, "key")
    })
}

/// Of a wrong key Google says that the request is invalid, and of none that it is not allowed.
pub(super) fn stranger(key: Option<&str>) -> Answer {
    if key.is_none() {
        return refusal(403);
    }
    let mut body = Complaint::invalid("API key not valid. Please pass a valid API key.").json();
    let reason = json!([{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }]);
    if let Some(error) = body.pointer_mut("/error").and_then(Value::as_object_mut) {
        error.insert("details".to_owned(), reason);
    }
    wire::free(400, &body)
}

fn refused(complaint: &Complaint) -> Answer {
    wire::free(complaint.code, &complaint.json())
}
