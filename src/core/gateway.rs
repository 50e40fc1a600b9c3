//! The gateway role, once per request: who, what, where to; then what the caller is told.

use std::rc::Rc;

use crate::auth;
use crate::config::Gateway;
use crate::dialect::{Dialect, answer};
use crate::endpoint::{self, Endpoint, Kind, NoEndpoint, Streams};
use crate::handoff::{BODY_KEPT_BYTES_MAX, Body, End, Exchange, Failed, Failure, Progress};
use crate::head::Head;
use crate::refusal::{Answer, Refusal};
use crate::request;
use crate::tokens::{Count, Counter, Family, count_chat};
use crate::trace;
use crate::units::Timestamp;

/// What the shell has seen.
#[derive(Debug)]
pub enum Input<'a> {
    /// The head of a request.
    Head {
        /// All of it.
        head: Head<'a>,
        /// When.
        now: Timestamp,
    },
    /// There is more of the body, but not all of it.
    BodyGrows {
        /// So far.
        bytes: u64,
    },
    /// The whole body; empty where there is none.
    Body {
        /// All of it.
        body: Vec<u8>,
        /// Counts its tokens; the worker's own.
        counter: &'a mut Counter,
    },
    /// Fields behind the body.
    Trailers,
}

/// What the shell is to do.
#[derive(Debug)]
pub enum Step {
    /// Hold the request until its body is whole.
    AwaitBody,
    /// Send it on its way.
    Forward(Box<Exchange>),
    /// Tell the caller this.
    Answer(Answer),
}

/// One request until it is forwarded or answered.
#[derive(Debug)]
pub struct Admission {
    config: Rc<Gateway>,
    state: State,
    /// For the record, as far as it is known.
    pub known: Known,
}

/// What is known of a request that may yet be refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Joins log, trace and record.
    pub trace: String,
    /// When the head came.
    pub started: Timestamp,
    /// Position in [`Gateway::keys`].
    pub key: Option<usize>,
    /// Position in [`Gateway::models`].
    pub model: Option<usize>,
}

#[derive(Debug)]
enum State {
    ExpectHead,
    ExpectBody(Expected),
    /// Forwarded or answered: nothing more is decided here.
    Decided,
}

#[derive(Clone, Copy, Debug)]
struct Expected {
    key: usize,
    endpoint: &'static Endpoint,
    path: &'static str,
    streams: Streams,
}

impl Admission {
    /// A request that has not come yet.
    pub fn new(config: Rc<Gateway>) -> Self {
        Self {
            config,
            state: State::ExpectHead,
            known: Known::default(),
        }
    }

    /// Takes what was seen, says what to do. What comes after the decision changes nothing.
    pub fn on(&mut self, input: Input<'_>) -> Option<Step> {
        let step = match (std::mem::replace(&mut self.state, State::Decided), input) {
            (State::ExpectHead, Input::Head { head, now }) => self.head(head, now),
            (State::ExpectBody(expected), Input::BodyGrows { bytes }) => {
                self.bounded(bytes).map(|()| {
                    self.state = State::ExpectBody(expected);
                    Step::AwaitBody
                })
            }
            (State::ExpectBody(expected), Input::Body { body, counter }) => {
                let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
                self.bounded(bytes)
                    .and_then(|()| self.forward(expected, body, counter))
            }
            (State::ExpectBody(_), Input::Trailers) => Err(Refusal::trailers()),
            (State::Decided, _) => return None,
            (State::ExpectHead, Input::BodyGrows { .. } | Input::Body { .. } | Input::Trailers)
            | (State::ExpectBody(_), Input::Head { .. }) => {
                Err(Refusal::internal("the request came out of order"))
            }
        };
        Some(step.unwrap_or_else(|refusal| Step::Answer(answer(Dialect::Openai, &refusal))))
    }

    fn head(&mut self, head: Head<'_>, now: Timestamp) -> Result<Step, Refusal> {
        self.known.started = now;
        self.known.trace = trace::id(head);
        let key = auth::identify(&self.config, head)?;
        self.known.key = Some(key);
        let method = head.text(":method").unwrap_or_default();
        let path = head.text(":path").unwrap_or_default();
        let (endpoint, rest) = match endpoint::find(method, path) {
            Ok(found) => found,
            Err(NoEndpoint::Unknown) => {
                return Err(Refusal::unknown_endpoint(&shown(method), &shown(path)));
            }
            Err(NoEndpoint::TakesOnly(takes)) => {
                let mut answer = answer(
                    Dialect::Openai,
                    &Refusal::method_not_allowed(&shown(method), takes),
                );
                answer.headers.push(("allow", takes.to_owned()));
                return Ok(Step::Answer(answer));
            }
        };
        let (path, streams) = match endpoint.kind {
            Kind::ListModels => return self.list_models(key, rest),
            Kind::Forwarded { path, streams } => (path, streams),
        };
        if let Some(encoding) = head.text("content-encoding")
            && !encoding.eq_ignore_ascii_case("identity")
        {
            return Err(Refusal::encoded_body(encoding));
        }
        let announced = head
            .text("content-length")
            .and_then(|length| length.parse().ok());
        self.bounded(announced.unwrap_or_default())?;
        self.state = State::ExpectBody(Expected {
            key,
            endpoint,
            path,
            streams,
        });
        Ok(Step::AwaitBody)
    }

    fn bounded(&self, bytes: u64) -> Result<(), Refusal> {
        let max = self.config.body_bytes_max;
        if bytes > max {
            return Err(Refusal::body_too_large(max));
        }
        Ok(())
    }

    fn forward(
        &mut self,
        expected: Expected,
        body: Vec<u8>,
        counter: &mut Counter,
    ) -> Result<Step, Refusal> {
        let Expected {
            key,
            endpoint,
            path,
            streams,
        } = expected;
        let request = request::parse(&body, streams)?;
        let model = self
            .config
            .models
            .binary_search_by(|model| model.name.as_str().cmp(&request.model))
            .map_err(|_| Refusal::unknown_model(&request.model))?;
        self.known.model = Some(model);
        if !self.allowed(key, &request.model) {
            return Err(Refusal::model_not_allowed(&request.model));
        }
        let prompt = self.count(model, &body, counter);
        let body = if body.len() <= BODY_KEPT_BYTES_MAX {
            Body::Kept(body)
        } else {
            Body::InEnvoy { bytes: body.len() }
        };
        Ok(Step::Forward(Box::new(Exchange {
            config: Rc::clone(&self.config),
            key,
            endpoint,
            path,
            request,
            model,
            body,
            prompt,
            trace: self.known.trace.clone(),
            started: self.known.started,
            attempts: Vec::with_capacity(1),
            progress: Progress::default(),
        })))
    }

    /// By the tokenizer of the first target. The clock's nanoseconds place the samples of a large body where
    /// nobody can aim at.
    fn count(&self, model: usize, body: &[u8], counter: &mut Counter) -> Count {
        let target = self
            .config
            .models
            .get(model)
            .and_then(|model| model.targets.first());
        let family = Family::of(target.map_or("", |target| &target.model));
        count_chat(counter, family, body, self.known.started.0)
    }

    fn allowed(&self, key: usize, model: &str) -> bool {
        self.config.keys.get(key).is_some_and(|key| {
            key.models
                .as_ref()
                .is_none_or(|models| models.iter().any(|name| name == model))
        })
    }

    /// What this caller may use; nothing is said of what others may.
    fn list_models(&self, key: usize, one: Option<&str>) -> Result<Step, Refusal> {
        let entry = |name: &str| serde_json::json!({"id": name, "object": "model", "created": 0, "owned_by": "tollgate"});
        let mine = self
            .config
            .models
            .iter()
            .filter(|model| self.allowed(key, &model.name));
        let body = match one {
            None => {
                serde_json::json!({"object": "list", "data": mine.map(|model| entry(&model.name)).collect::<Vec<_>>()})
            }
            Some(one) => mine
                .map(|model| model.name.as_str())
                .find(|name| *name == one)
                .map(entry)
                .ok_or_else(|| Refusal::unknown_model(one))?,
        };
        Ok(Step::Answer(Answer {
            status: 200,
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
            code: None,
        }))
    }
}

/// A piece of a request as it may stand in a message.
fn shown(text: &str) -> String {
    text.chars()
        .take(200)
        .filter(|char| !char.is_control())
        .collect()
}

/// The head of a reply is about to go to the caller: with which status, or what it is told instead. Only what
/// an attempt accepted goes; for everything else (an error of the provider, an error of Envoy in its place)
/// the caller gets our words.
pub fn reply_head(exchange: &mut Exchange, now: Timestamp) -> Result<u16, Answer> {
    exchange.close_silent_attempt(now);
    let told = |refusal: &Refusal| Err(answer(exchange.endpoint.dialect, refusal));
    let Some((tried, _, provider)) = exchange.last() else {
        return told(&Refusal::internal(
            "Envoy answered before any provider was asked",
        ));
    };
    match &tried.end {
        End::Accepted { status } => Ok(*status),
        End::Refused { status, body } if !body.is_empty() => Err(Answer {
            status: *status,
            headers: Vec::new(),
            body: body.clone(),
            code: Some("provider_refused"),
        }),
        End::Refused { status, .. } => told(&Refusal::no_answer(
            *status,
            "provider_refused",
            &exchange.story(),
        )),
        End::Pending => told(&Refusal::no_answer(
            502,
            "provider_unreachable",
            &exchange.story(),
        )),
        End::Failed(failed) if failed.why == Failure::Credential => {
            told(&Refusal::provider_credential(&provider.name))
        }
        End::Failed(failed) => Err(nobody_answered(exchange, failed)),
    }
}

/// A provider's trouble in the words of a gateway: its 500 is not ours.
fn gateway_status(provider: u16) -> u16 {
    match provider {
        503 | 529 => 503,
        408 | 504 => 504,
        _ => 502,
    }
}

fn nobody_answered(exchange: &Exchange, failed: &Failed) -> Answer {
    let (status, code) = match failed.why {
        Failure::Connection => (503, "provider_unreachable"),
        Failure::Timeout => (504, "provider_timeout"),
        Failure::RateLimited => (429, "provider_rate_limited"),
        Failure::Status => (gateway_status(failed.status), "provider_error"),
        Failure::ErrorInReply
        | Failure::NoFirstToken
        | Failure::Unreadable
        | Failure::MidStream
        | Failure::Credential => (502, "provider_error"),
    };
    let mut answer = answer(
        exchange.endpoint.dialect,
        &Refusal::no_answer(status, code, &exchange.story()),
    );
    if let Some(retry_after) = &failed.retry_after {
        answer.headers.push(("retry-after", retry_after.clone()));
    }
    answer
}

#[cfg(test)]
mod tests;
