//! The gateway role, once per request: who, what, where to; then what the caller is told.

use std::rc::Rc;

use crate::auth;
use crate::config::{Gateway, Target};
use crate::dialect::answer;
use crate::dialect::chat::Chat;
use crate::dialect::gaps::Policy;
use crate::dialect::speak::Client;
use crate::endpoint::{self, Endpoint, Kind, NoEndpoint, Others, Streams, client_of};
use crate::handoff::{
    BODY_KEPT_BYTES_MAX, Body, End, Exchange, Failed, Failure, Planned, Progress, Way,
};
use crate::head::Head;
use crate::refusal::{Answer, Refusal};
use crate::request::{self, UsageOption};
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
pub struct Admission {
    config: Rc<Gateway>,
    /// Whose words the caller expects.
    client: &'static dyn Client,
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
}

impl Admission {
    /// A request that has not come yet.
    pub fn new(config: Rc<Gateway>) -> Self {
        Self {
            config,
            client: client_of(""),
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
        Some(step.unwrap_or_else(|refusal| Step::Answer(answer(self.client, &refusal))))
    }

    fn head(&mut self, head: Head<'_>, now: Timestamp) -> Result<Step, Refusal> {
        self.known.started = now;
        self.known.trace = trace::id(head);
        let path = head.text(":path").unwrap_or_default();
        self.client = client_of(path);
        let key = auth::identify(&self.config, head)?;
        self.known.key = Some(key);
        let method = head.text(":method").unwrap_or_default();
        let (endpoint, rest) = match endpoint::find(method, path) {
            Ok(found) => found,
            Err(NoEndpoint::Unknown) => {
                return Err(Refusal::unknown_endpoint(&shown(method), &shown(path)));
            }
            Err(NoEndpoint::TakesOnly(takes)) => {
                let mut answer = answer(
                    self.client,
                    &Refusal::method_not_allowed(&shown(method), takes),
                );
                answer.headers.push(("allow", takes.to_owned()));
                return Ok(Step::Answer(answer));
            }
        };
        if endpoint.kind == Kind::ListModels {
            return self.list_models(key, rest);
        }
        self.client = endpoint.client;
        if let Some(encoding) = head.text("content-encoding")
            && !encoding.eq_ignore_ascii_case("identity")
        {
            return Err(Refusal::encoded_body(encoding));
        }
        let announced = head
            .text("content-length")
            .and_then(|length| length.parse().ok());
        self.bounded(announced.unwrap_or_default())?;
        self.state = State::ExpectBody(Expected { key, endpoint });
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
        let Expected { key, endpoint } = expected;
        let (streams, native) = match endpoint.kind {
            Kind::Forwarded {
                streams, native, ..
            } => (streams, native),
            Kind::ListModels | Kind::CountTokens => (Streams::Never, ""),
        };
        let usage = match native {
            "openai" => UsageOption::StreamOptions,
            _ => UsageOption::Always,
        };
        let request = request::parse(&body, streams, usage)?;
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
        let Kind::Forwarded { path, .. } = endpoint.kind else {
            let body = serde_json::json!({"input_tokens": prompt.tokens});
            return Ok(Step::Answer(said(&body)));
        };
        let chain = self.plan(endpoint, model, &body)?;
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
            chain,
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

    /// Who may be asked, in order. A target that cannot express the request is passed over; if none can, the
    /// first of them says why.
    fn plan(
        &self,
        endpoint: &Endpoint,
        model: usize,
        body: &[u8],
    ) -> Result<Vec<Planned>, Refusal> {
        let targets = self.config.models.get(model).map(|model| &model.targets);
        let mut chat = None;
        let mut chain = Vec::new();
        let mut why = None;
        for (position, target) in targets.into_iter().flatten().enumerate() {
            match self.way(endpoint, target, body, &mut chat) {
                Ok(way) => chain.push(Planned {
                    target: position,
                    way,
                }),
                Err(refusal) => why = why.or(Some(refusal)),
            }
        }
        match why {
            Some(refusal) if chain.is_empty() => Err(refusal),
            _ => Ok(chain),
        }
    }

    fn way(
        &self,
        endpoint: &Endpoint,
        target: &Target,
        body: &[u8],
        chat: &mut Option<Chat>,
    ) -> Result<Way, Refusal> {
        let Kind::Forwarded { native, others, .. } = endpoint.kind else {
            return Err(Refusal::internal("this is answered here"));
        };
        let provider = self.config.providers.get(target.provider);
        let provider = provider.ok_or_else(|| Refusal::internal("a target without a provider"))?;
        let dialect = provider.dialect.provider();
        if !native.is_empty() && dialect.understands() == native {
            return Ok(Way::Passes);
        }
        if others == Others::Never {
            return Err(Refusal::untranslatable_endpoint(
                endpoint.path,
                dialect.name(),
            ));
        }
        let chat = match chat {
            Some(chat) => chat,
            None => chat.insert(endpoint.client.read(body)?),
        };
        dialect
            .write(chat, &provider.asked_for(target), Policy::Refuse)
            .map(Way::Translated)
            .map_err(|untranslatable| untranslatable.refusal())
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
        Ok(Step::Answer(said(&body)))
    }
}

fn said(body: &serde_json::Value) -> Answer {
    Answer {
        status: 200,
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
        code: None,
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
    let told = |refusal: &Refusal| Err(answer(exchange.endpoint.client, refusal));
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
        exchange.endpoint.client,
        &Refusal::no_answer(status, code, &exchange.story()),
    );
    if let Some(retry_after) = &failed.retry_after {
        answer.headers.push(("retry-after", retry_after.clone()));
    }
    answer
}

#[cfg(test)]
mod tests;
