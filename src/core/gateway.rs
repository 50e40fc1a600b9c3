//! The gateway role, once per request: who, what, where to; then what the caller is told.

use std::rc::Rc;

use crate::auth::{self, KeyHash};
use crate::callers::{Caller, Callers, Found};
use crate::config::{Commons, Gateway, Key, Purse};
use crate::cover::{self, Cover};
use crate::dialect::answer;
use crate::dialect::speak::Client;
use crate::endpoint::{self, Endpoint, Kind, NoEndpoint, Streams, client_of};
use crate::handoff::{BODY_KEPT_BYTES_MAX, Body, End, Exchange, Failed, Failure, Progress, Told};
use crate::head::Head;
use crate::money::holder::Hold;
use crate::money::ids::Millis;
use crate::money::wanted::{Standings, Uncovered, Wanted};
use crate::refusal::{Answer, Refusal};
use crate::request::{self, UsageOption};
use crate::routing::Weather;
use crate::routing::explanation::Because;
use crate::routing::wishes::Wishes;
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
        /// Who is known; the worker's own.
        callers: &'a mut Callers,
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
        /// How the budgets stand, as far as this worker has heard.
        standings: &'a dyn Standings,
        /// How the providers are, as far as this worker has heard.
        weather: &'a mut Weather,
    },
    /// Fields behind the body.
    Trailers,
    /// All that was wanted is held.
    Held(Hold),
    /// It is not held.
    Uncovered {
        /// Why.
        why: Uncovered,
        /// When.
        now: Timestamp,
    },
}

/// What the shell is to do.
#[derive(Debug)]
pub enum Step {
    /// Ask the budget service whose key this is; then say the head again.
    Identify(KeyHash),
    /// Hold the request until its body is whole.
    AwaitBody,
    /// Hold this before it goes on.
    Hold(Wanted),
    /// Send it on its way.
    Forward(Box<Exchange>),
    /// Tell the caller this.
    Answer(Answer),
}

mod bounds;
mod last;
mod plan;

use bounds::Bounds;
use plan::Question;

/// One request until it is forwarded or answered.
pub struct Admission {
    config: Rc<Gateway>,
    /// What holds for everybody.
    commons: Rc<Commons>,
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
    /// Who calls.
    pub caller: Option<Rc<Caller>>,
    /// Position in [`Gateway::models`].
    pub model: Option<usize>,
    /// What the caller says it is for.
    pub tags: Vec<String>,
}

#[derive(Debug)]
enum State {
    ExpectHead,
    ExpectBody(Expected),
    ExpectMoney(Box<Exchange>, Wanted),
    /// Forwarded or answered: nothing more is decided here.
    Decided,
}

#[derive(Clone, Debug)]
struct Expected {
    caller: Rc<Caller>,
    endpoint: &'static Endpoint,
    wishes: Wishes,
}

impl Admission {
    /// A request that has not come yet.
    pub fn new(config: Rc<Gateway>, commons: Rc<Commons>) -> Self {
        Self {
            config,
            commons,
            client: client_of(""),
            state: State::ExpectHead,
            known: Known::default(),
        }
    }

    /// Takes what was seen, says what to do. What comes after the decision changes nothing.
    pub fn on(&mut self, input: Input<'_>) -> Option<Step> {
        let step = match (std::mem::replace(&mut self.state, State::Decided), input) {
            (State::ExpectHead, Input::Head { head, now, callers }) => {
                self.head(head, now, callers)
            }
            (State::ExpectBody(expected), Input::BodyGrows { bytes }) => {
                self.bounded(bytes).map(|()| {
                    self.state = State::ExpectBody(expected);
                    Step::AwaitBody
                })
            }
            (
                State::ExpectBody(expected),
                Input::Body {
                    body,
                    counter,
                    standings,
                    weather,
                },
            ) => {
                let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
                self.bounded(bytes)
                    .and_then(|()| self.admit(&expected, body, counter, (standings, weather)))
            }
            (State::ExpectBody(_), Input::Trailers) => Err(Refusal::trailers()),
            (State::ExpectMoney(mut exchange, wanted), Input::Held(hold)) => {
                exchange.cover.add(hold, wanted.amount);
                Ok(Step::Forward(exchange))
            }
            (State::ExpectMoney(exchange, wanted), Input::Uncovered { why, now }) => {
                Err(uncovered(&exchange.cover, &wanted, why, now))
            }
            (State::Decided, _) => return None,
            (
                State::ExpectHead,
                Input::BodyGrows { .. }
                | Input::Body { .. }
                | Input::Trailers
                | Input::Held(_)
                | Input::Uncovered { .. },
            )
            | (
                State::ExpectBody(_),
                Input::Head { .. } | Input::Held(_) | Input::Uncovered { .. },
            )
            | (
                State::ExpectMoney(..),
                Input::Head { .. } | Input::BodyGrows { .. } | Input::Body { .. } | Input::Trailers,
            ) => Err(Refusal::internal("the request came out of order")),
        };
        Some(step.unwrap_or_else(|refusal| Step::Answer(answer(self.client, &refusal))))
    }

    fn head(
        &mut self,
        head: Head<'_>,
        now: Timestamp,
        callers: &mut Callers,
    ) -> Result<Step, Refusal> {
        self.known.started = now;
        self.known.trace = trace::id(head);
        let path = head.text(":path").unwrap_or_default();
        self.client = client_of(path);
        let hash = auth::hash_of(head)?;
        let caller = match callers.find(&hash, now) {
            Found::Known(caller) => caller,
            Found::Unknown => return Err(Refusal::invalid_key()),
            Found::Away => return Err(Refusal::identity_unavailable()),
            Found::Ask => {
                self.state = State::ExpectHead;
                return Ok(Step::Identify(hash));
            }
        };
        self.known.caller = Some(Rc::clone(&caller));
        auth::admit(&caller.key, now)?;
        self.known.tags = tags(head);
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
            return self.list_models(&caller, rest);
        }
        if let Some(endpoints) = &caller.key.endpoints
            && !endpoints.iter().any(|path| path == endpoint.path)
        {
            return Err(Refusal::endpoint_not_allowed(endpoint.path));
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
        let wishes = Wishes::read(head, &self.config.policy_headers());
        self.state = State::ExpectBody(Expected {
            caller,
            endpoint,
            wishes,
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

    fn admit(
        &mut self,
        expected: &Expected,
        body: Vec<u8>,
        counter: &mut Counter,
        (standings, weather): (&dyn Standings, &mut Weather),
    ) -> Result<Step, Refusal> {
        let Expected {
            caller, endpoint, ..
        } = expected;
        let key = &caller.key;
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
        let asked = self.model(&request.model)?;
        self.known.model = Some(asked);
        if !allowed(caller, &request.model) {
            return Err(Refusal::model_not_allowed(&request.model));
        }
        let purses = self.purses(key, &request.model);
        let cheaper = cover::downgrade(&purses, standings);
        let downgraded_to = cheaper.and_then(|name| self.model(name).ok());
        let counted_as = downgraded_to.unwrap_or(asked);
        let prompt = self.count(counted_as, &body, counter);
        let Kind::Forwarded { path, .. } = endpoint.kind else {
            let body = serde_json::json!({"input_tokens": prompt.tokens});
            return Ok(Step::Answer(said(&body)));
        };
        let bounds = Bounds::new(endpoint, &request.wishes, &prompt, body.len(), &purses);
        let question = Question {
            expected,
            request: &request,
            prompt: &prompt,
            asked,
            downgraded_to,
            counted_as,
            body: &body,
        };
        let (chain, explanation) = self.plan(&question, &bounds, weather)?;
        let body = if body.len() <= BODY_KEPT_BYTES_MAX {
            Body::Kept(body)
        } else {
            Body::InEnvoy { bytes: body.len() }
        };
        let warning = cover::warning(&purses, standings);
        let exchange = Box::new(Exchange {
            config: Rc::clone(&self.config),
            caller: Rc::clone(caller),
            endpoint,
            path,
            request,
            model: explanation.model,
            downgraded: explanation.because == Because::Budget,
            chain,
            body,
            prompt,
            trace: self.known.trace.clone(),
            tags: std::mem::take(&mut self.known.tags),
            started: self.known.started,
            attempts: Vec::with_capacity(1),
            progress: Progress::default(),
            cover: Cover {
                purses,
                ..Cover::default()
            },
            warning,
            refused: None,
            explanation,
            timeout_ms: expected.wishes.timeout_ms,
            told: Told::default(),
        });
        match exchange.missing(0)? {
            Some(wanted) => {
                self.state = State::ExpectMoney(exchange, wanted.clone());
                Ok(Step::Hold(wanted))
            }
            None => Ok(Step::Forward(exchange)),
        }
    }

    fn model(&self, name: &str) -> Result<usize, Refusal> {
        let models = &self.config.models;
        let found = models.binary_search_by(|model| model.name.as_str().cmp(name));
        found.map_err(|_| Refusal::unknown_model(name))
    }

    /// Everybody who pays for a request of this key for this model.
    fn purses(&self, key: &Key, model: &str) -> Vec<Purse> {
        let commons = &self.commons;
        let of_model = commons.models.get(model).into_iter().flatten();
        let tags = self.known.tags.iter();
        let of_tags = tags.filter_map(|tag| commons.tags.get(tag)).flatten();
        let all = key.purses.iter().chain(&commons.everyone);
        all.chain(of_model).chain(of_tags).cloned().collect()
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

    /// What this caller may use; nothing is said of what others may.
    fn list_models(&self, caller: &Caller, one: Option<&str>) -> Result<Step, Refusal> {
        let entry = |name: &str| serde_json::json!({"id": name, "object": "model", "created": 0, "owned_by": "tollgate"});
        let mine = self
            .config
            .models
            .iter()
            .filter(|model| allowed(caller, &model.name));
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

fn allowed(caller: &Caller, model: &str) -> bool {
    let models = caller.key.models.as_ref();
    models.is_none_or(|models| models.iter().any(|name| name == model))
}

/// More tags than this are not heard.
const TAGS_MAX: usize = 8;

/// Where a caller says what its request is for: our own words, and those of another gateway.
const TAG_HEADERS: [&str; 3] = ["x-tollgate-tags", "x-tollgate-feature", "x-litellm-tags"];

/// What a caller says its request is for: `x-tollgate-tags: chat, nightly`.
fn tags(head: Head<'_>) -> Vec<String> {
    let written = TAG_HEADERS.iter().filter_map(|name| head.text(name));
    let plain = |tag: &&str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
        !tag.is_empty() && tag.len() <= 64 && tag.bytes().all(fits)
    };
    let mut tags: Vec<String> = Vec::new();
    for tag in written
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(plain)
    {
        if tags.len() < TAGS_MAX && !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    tags
}

/// What a caller is told whose budget does not cover its request, or whose attempt it does not cover.
pub fn uncovered(cover: &Cover, wanted: &Wanted, why: Uncovered, now: Timestamp) -> Refusal {
    match why {
        Uncovered::Exhausted { scope, standing } => {
            let purse = cover.purse(scope).cloned().unwrap_or_default();
            let now = Millis(now.0.checked_div(1_000_000).unwrap_or_default());
            let resets_in_s = (standing.resets_at > Millis(0))
                .then(|| standing.resets_at.since(now).div_ceil(1_000));
            Refusal::budget_exceeded(&purse, &standing, wanted.amount, resets_in_s)
        }
        Uncovered::Unreachable { scope } => {
            let name = cover.purse(scope).map_or("?", |purse| &purse.name);
            Refusal::budget_unavailable(name)
        }
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
    if let Some(refusal) = &exchange.refused {
        return Err(answer(exchange.endpoint.client, refusal));
    }
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
        End::Failed(Failed {
            why: Failure::ContextWindow | Failure::ContentPolicy,
            status,
            ..
        }) => told(&Refusal::no_answer(
            *status,
            "provider_refused",
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
    let model = exchange.config.models.get(exchange.explanation.asked);
    if let Some(words) = model.and_then(|model| model.routing.last_resort.as_deref()) {
        let client = exchange.endpoint.client;
        return last::resort(client, exchange.asked(), exchange.request.reply, words);
    }
    let (status, code) = match failed.why {
        Failure::Connection => (503, "provider_unreachable"),
        Failure::Timeout => (504, "provider_timeout"),
        Failure::RateLimited => (429, "provider_rate_limited"),
        Failure::Status => (gateway_status(failed.status), "provider_error"),
        Failure::ErrorInReply
        | Failure::NoFirstToken
        | Failure::Unreadable
        | Failure::MidStream
        | Failure::ContextWindow
        | Failure::ContentPolicy
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
