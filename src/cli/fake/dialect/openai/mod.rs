//! As OpenAI speaks, on `/v1` and on `/openai/v1`.

mod chat;
mod completions;
mod embeddings;
pub(super) mod media;
mod usage;

use serde::Serialize;
use serde_json::{Value, json};

use super::Question;
use crate::fake::answer::{Answer, Flow, Pieces, Stage};
use crate::fake::connection::Request;

/// The build that answers claim to come from.
const FINGERPRINT: &str = "fp_tollgate_fake";
/// The models that are listed. Any other name is answered as well.
const MODELS: &[&str] = &["gpt-4o", "gpt-4o-mini", "text-embedding-3-small"];

type Handler = fn(&Question<'_>, &Value) -> Result<Answer, Complaint>;

/// Every path that takes a body.
static POSTS: &[(&str, Handler)] = &[
    ("/v1/chat/completions", chat::answer),
    ("/v1/completions", completions::answer),
    ("/v1/embeddings", embeddings::answer),
    ("/v1/moderations", media::moderations),
    ("/v1/rerank", media::rerank),
    ("/v1/audio/speech", media::speech),
    ("/v1/images/generations", media::pictures),
];

/// Every path that takes a form.
const FORMS: &[&str] = &[
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/images/edits",
    "/v1/images/variations",
];

/// What is wrong with a request, as OpenAI tells it.
#[derive(Debug, Serialize)]
pub(super) struct Complaint {
    #[serde(skip)]
    status: u16,
    message: String,
    r#type: &'static str,
    param: Option<&'static str>,
    code: Option<&'static str>,
}

impl Complaint {
    fn invalid(param: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            message: message.into(),
            r#type: "invalid_request_error",
            param: Some(param),
            code: None,
        }
    }

    fn missing(param: &'static str) -> Self {
        Self {
            code: Some("missing_required_parameter"),
            ..Self::invalid(param, format!("Missing required parameter: '{param}'."))
        }
    }

    fn of_status(status: u16) -> Self {
        let (message, r#type, code) = match status {
            400 => ("The request is invalid.", "invalid_request_error", None),
            401 => (
                "Incorrect API key provided.",
                "invalid_request_error",
                Some("invalid_api_key"),
            ),
            403 => (
                "You are not allowed to use this model.",
                "invalid_request_error",
                Some("permission_denied"),
            ),
            404 => (
                "Unknown request URL. Please check the URL for typos.",
                "invalid_request_error",
                Some("unknown_url"),
            ),
            405 => (
                "Not allowed to use this method here.",
                "invalid_request_error",
                Some("method_not_supported"),
            ),
            429 => (
                "Rate limit reached for requests per min (RPM): Limit 3, Used 3, Requested 1.",
                "requests",
                Some("rate_limit_exceeded"),
            ),
            503 => (
                "The server is overloaded or not ready yet.",
                "server_error",
                None,
            ),
            _ => (
                "The server had an error while processing your request. Sorry about that!",
                "server_error",
                None,
            ),
        };
        Self {
            status,
            message: message.to_owned(),
            r#type,
            param: None,
            code,
        }
    }

    fn body(&self) -> Vec<u8> {
        json!({"error": self}).to_string().into_bytes()
    }
}

pub(super) fn answer(question: &Question<'_>) -> Answer {
    let post = POSTS.iter().find(|(path, _)| *path == question.path);
    let answered = match (post, question.method, question.path) {
        (Some((_, handler)), "POST", _) => {
            parsed(question.body).and_then(|body| handler(question, &body))
        }
        (None, "POST", path) if FORMS.contains(&path) => media::form(question),
        (None, "GET", "/v1/models") => Ok(models()),
        (Some(_), _, _) | (None, _, "/v1/models") => Err(Complaint::of_status(405)),
        (None, _, _) => Err(Complaint::of_status(404)),
    };
    answered.unwrap_or_else(|complaint| refused(&complaint))
}

pub(super) fn refusal(status: u16) -> Answer {
    refused(&Complaint::of_status(status))
}

pub(super) fn key(request: &Request) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ")
}

fn refused(complaint: &Complaint) -> Answer {
    Answer {
        status: complaint.status,
        ..whole(complaint.body(), 0, 0)
    }
}

fn parsed(body: &[u8]) -> Result<Value, Complaint> {
    let value = serde_json::from_slice(body).map_err(|problem| Complaint {
        param: None,
        ..Complaint::invalid(
            "",
            format!("We could not parse the JSON body of your request: {problem}"),
        )
    })?;
    if !Value::is_object(&value) {
        return Err(Complaint {
            param: None,
            ..Complaint::invalid("", "The body of your request is no JSON object.")
        });
    }
    Ok(value)
}

/// The model as asked for.
fn model(body: &Value) -> Result<&str, Complaint> {
    match body.get("model") {
        None => Err(Complaint {
            param: None,
            ..Complaint::invalid("model", "you must provide a model parameter")
        }),
        Some(Value::String(model)) if !model.is_empty() => Ok(model),
        Some(_) => Err(Complaint::invalid(
            "model",
            "Invalid type for 'model': expected a string.",
        )),
    }
}

/// A flag that may be left out or null.
fn flag(body: &Value, name: &'static str) -> Result<bool, Complaint> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Complaint::invalid(
            name,
            format!("Invalid type for '{name}': expected a boolean."),
        )),
    }
}

/// A number from 1 that may be left out or null.
fn number(body: &Value, name: &'static str, max: u64) -> Result<Option<u64>, Complaint> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) if (1..=max).contains(&number) => Ok(Some(number)),
            _ => Err(Complaint::invalid(
                name,
                format!("Invalid value for '{name}': expected an integer from 1 to {max}."),
            )),
        },
    }
}

/// How the client wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Whole,
    Events,
    EventsWithUsage,
}

fn wish(body: &Value) -> Result<Wish, Complaint> {
    let streamed = flag(body, "stream")?;
    match (streamed, body.get("stream_options")) {
        (false, None | Some(Value::Null)) => Ok(Wish::Whole),
        (false, Some(_)) => Err(Complaint::invalid(
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        )),
        (true, Some(options)) if flag(options, "include_usage")? => Ok(Wish::EventsWithUsage),
        (true, _) => Ok(Wish::Events),
    }
}

fn models() -> Answer {
    let list: Vec<_> = MODELS
        .iter()
        .map(|id| json!({"id": id, "object": "model", "created": 1_715_367_049, "owned_by": "tollgate"}))
        .collect();
    let body = json!({"object": "list", "data": list});
    whole(body.to_string().into_bytes(), 0, 0)
}

/// An answer in one JSON body.
fn whole(body: Vec<u8>, prompt_tokens: u64, tokens: u64) -> Answer {
    Answer {
        status: 200,
        content_type: "application/json".to_owned(),
        flow: Flow::Whole,
        pieces: Pieces::whole(body, tokens),
        error: Complaint::of_status(500).body(),
        prompt_tokens,
    }
}

/// An answer in events.
fn events(pieces: Pieces, prompt_tokens: u64) -> Answer {
    let mut error = Pieces::default();
    write_event(
        &mut error,
        Stage::Closing,
        0,
        &json!({"error": Complaint::of_status(500)}),
    );
    Answer {
        status: 200,
        content_type: "text/event-stream; charset=utf-8".to_owned(),
        flow: Flow::Events,
        pieces,
        error: error.bytes,
        prompt_tokens,
    }
}

fn write_event(pieces: &mut Pieces, stage: Stage, tokens: u64, data: &impl Serialize) {
    pieces.bytes.extend_from_slice(b"data: ");
    // A vector takes every write, and what we send has string keys only: this cannot fail.
    let _ = serde_json::to_writer(&mut pieces.bytes, data);
    pieces.bytes.extend_from_slice(b"\n\n");
    pieces.mark(stage, tokens);
}

fn write_done(pieces: &mut Pieces) {
    pieces.bytes.extend_from_slice(b"data: [DONE]\n\n");
    pieces.mark(Stage::Terminator, 0);
}
