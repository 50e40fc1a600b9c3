//! The gateway role, once per request: who, what, where to; then what the caller is told.

use std::rc::Rc;

use crate::auth::{self, KeyHash};
use crate::callers::{Caller, Callers, Found};
use crate::config::{Commons, Gateway, Key, OnUntranslatable, Purse, Target};
use crate::cover::{self, Cover};
use crate::dialect::answer;
use crate::dialect::anthropic::Messages;
use crate::dialect::chat::Chat;
use crate::dialect::gaps::Policy;
use crate::dialect::speak::Client;
use crate::endpoint::{
    self, Answers, Endpoint, Form, Kind, Metered, NoEndpoint, Others, Streams, client_of,
};
use crate::handoff::{
    BODY_KEPT_BYTES_MAX, Body, End, Exchange, Failed, Failure, Planned, Progress, Way,
};
use crate::head::Head;
use crate::money::holder::Hold;
use crate::money::ids::Millis;
use crate::money::wanted::{Standings, Uncovered, Wanted};
use crate::multipart::{self, Scanner};
use crate::refusal::{Answer, Refusal};
use crate::request::{self, Cap, Request, UsageOption};
use crate::tokens::{Count, Counter, Family, How, count_chat};
use crate::trace;
use crate::units::{Timestamp, Tokens};

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
    /// The next bytes of a body whose form asks for them, see [`Admission::form`].
    Piece(&'a [u8]),
    /// The whole body; empty where there is none, or where it came in pieces.
    Body {
        /// All of it.
        body: Vec<u8>,
        /// Counts its tokens; the worker's own.
        counter: &'a mut Counter,
        /// How the budgets stand, as far as this worker has heard.
        standings: &'a dyn Standings,
    },
    /// Fields behind the body.
    Trailers,
    /// All that was wanted is held.
    Held(Hold),
    /// It is not held, and the service is away; the purses allow it for now.
    Owed,
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
mod told;

use bounds::Bounds;

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
    /// The body of a form, which is not kept here.
    ExpectForm(Expected, Box<Scanner>),
    ExpectMoney(Box<Exchange>, Wanted),
    /// Forwarded or answered: nothing more is decided here.
    Decided,
}

#[derive(Clone, Debug)]
struct Expected {
    caller: Rc<Caller>,
    endpoint: &'static Endpoint,
}

/// The body of a request.
enum Question {
    Object(Vec<u8>),
    /// Of a form only the fields that are read here are known: it stays in Envoy.
    Form(multipart::Form),
}

impl Question {
    /// As far as it is here.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Object(body) => body,
            Self::Form(_) => &[],
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Object(body) => body.len(),
            Self::Form(form) => form.bytes,
        }
    }

    fn keep(self) -> Body {
        match self {
            Self::Object(body) if body.len() <= BODY_KEPT_BYTES_MAX => Body::Kept(body),
            Self::Object(_) | Self::Form(_) => Body::InEnvoy { bytes: self.len() },
        }
    }
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

    /// How the body is to be read.
    pub fn form(&self) -> Form {
        match self.state {
            State::ExpectForm(..) => Form::Multipart,
            State::ExpectHead | State::ExpectBody(_) | State::ExpectMoney(..) | State::Decided => {
                Form::Json
            }
        }
    }

    /// The header in which this caller's SDK looks for the name of the request.
    pub fn id_header(&self) -> Option<&'static str> {
        self.client.id_header()
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
                },
            ) => {
                let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
                self.bounded(bytes).and_then(|()| {
                    self.admit(&expected, Question::Object(body), counter, standings)
                })
            }
            (State::ExpectForm(expected, scanner), input) => {
                self.form_input(expected, scanner, input)
            }
            (State::ExpectBody(_), Input::Trailers) => Err(Refusal::trailers()),
            (State::ExpectMoney(mut exchange, wanted), Input::Held(hold)) => {
                exchange.cover.add(hold, wanted.amount);
                Ok(Step::Forward(exchange))
            }
            (State::ExpectMoney(mut exchange, wanted), Input::Owed) => {
                exchange.cover.owed = wanted.amount;
                Ok(Step::Forward(exchange))
            }
            (State::ExpectMoney(exchange, wanted), Input::Uncovered { why, now }) => {
                Err(uncovered(&exchange.cover, &wanted, why, now))
            }
            (State::Decided, _) => return None,
            (
                State::ExpectHead,
                Input::BodyGrows { .. }
                | Input::Piece(_)
                | Input::Body { .. }
                | Input::Trailers
                | Input::Held(_)
                | Input::Owed
                | Input::Uncovered { .. },
            )
            | (
                State::ExpectBody(_),
                Input::Head { .. }
                | Input::Piece(_)
                | Input::Held(_)
                | Input::Owed
                | Input::Uncovered { .. },
            )
            | (
                State::ExpectMoney(..),
                Input::Head { .. }
                | Input::BodyGrows { .. }
                | Input::Piece(_)
                | Input::Body { .. }
                | Input::Trailers,
            ) => Err(Refusal::internal("the request came out of order")),
        };
        Some(step.unwrap_or_else(|refusal| Step::Answer(answer(self.client, &refusal))))
    }

    fn form_input(
        &mut self,
        expected: Expected,
        mut scanner: Box<Scanner>,
        input: Input<'_>,
    ) -> Result<Step, Refusal> {
        match input {
            Input::BodyGrows { bytes } => self.bounded(bytes)?,
            Input::Piece(bytes) => scanner.feed(bytes)?,
            Input::Body {
                counter, standings, ..
            } => {
                let form = scanner.finish()?;
                self.bounded(u64::try_from(form.bytes).unwrap_or(u64::MAX))?;
                return self.admit(&expected, Question::Form(form), counter, standings);
            }
            Input::Trailers => return Err(Refusal::trailers()),
            Input::Head { .. } | Input::Held(_) | Input::Owed | Input::Uncovered { .. } => {
                return Err(Refusal::internal("the request came out of order"));
            }
        }
        self.state = State::ExpectForm(expected, scanner);
        Ok(Step::AwaitBody)
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
        self.client = if head.get("anthropic-version").is_some() {
            &Messages
        } else {
            client_of(path)
        };
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
            let answer = told::models((&self.config, &caller), self.client, rest)?;
            return Ok(Step::Answer(answer));
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
        let expected = Expected { caller, endpoint };
        self.state = match endpoint.form {
            Form::Json => State::ExpectBody(expected),
            Form::Multipart => {
                let content_type = head.text("content-type").unwrap_or_default();
                let boundary = multipart::boundary(content_type)?;
                State::ExpectForm(expected, Box::new(Scanner::new(&boundary)))
            }
        };
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
        question: Question,
        counter: &mut Counter,
        standings: &dyn Standings,
    ) -> Result<Step, Refusal> {
        let Expected { caller, endpoint } = expected;
        let (streams, usage) = reading(endpoint);
        let request = match &question {
            Question::Object(body) => request::parse(body, streams, usage)?,
            Question::Form(form) => Request::of_form(form, streams),
        };
        let asked = self.model(&request.model)?;
        self.known.model = Some(asked);
        if !allowed(caller, &request.model) {
            return Err(Refusal::model_not_allowed(&request.model));
        }
        let purses = self.purses((&caller.key, endpoint), &request.model);
        let cheaper = cover::downgrade(&purses, standings);
        let model = cheaper.and_then(|name| self.model(name).ok());
        let model = model.unwrap_or(asked);
        let prompt = match &question {
            Question::Object(body) => self.count(model, body, counter),
            Question::Form(_) => NO_TEXT,
        };
        let bounds = Bounds::new(endpoint, &request.wishes, &prompt, question.len(), &purses);
        let (path, chain) = match endpoint.kind {
            Kind::Forwarded { path, .. } => {
                (path, self.plan(endpoint, model, question.bytes(), &bounds)?)
            }
            // Whoever counts for us does it where callers look for it.
            Kind::CountTokens | Kind::ListModels => (endpoint.path, self.counters(model, &bounds)?),
        };
        if chain.is_empty() {
            return Ok(Step::Answer(told::counted(&prompt)));
        }
        let body = question.keep();
        let warning = cover::warning(&purses, standings);
        let exchange = Box::new(Exchange {
            config: Rc::clone(&self.config),
            caller: Rc::clone(caller),
            endpoint,
            path,
            request,
            model,
            downgraded: model != asked,
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
    fn purses(&self, (key, endpoint): (&Key, &Endpoint), model: &str) -> Vec<Purse> {
        if endpoint.metered == Metered::Nothing {
            return Vec::new();
        }
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

    /// Who counts tokens better than we do: whoever understands the question, if that is who will answer.
    fn counters(&self, model: usize, bounds: &Bounds) -> Result<Vec<Planned>, Refusal> {
        let model = self.config.models.get(model);
        let Some(target) = model.and_then(|model| model.targets.first()) else {
            return Ok(Vec::new());
        };
        let provider = self.config.providers.get(target.provider);
        let understands = provider.map(|provider| provider.dialect.provider().understands());
        if understands != Some(Messages.name()) {
            return Ok(Vec::new());
        }
        let family = Family::of(&target.model);
        let planned = bounds.planned(0, target, family, (Way::Passes, None))?;
        Ok(vec![planned])
    }

    /// Who may be asked, in order. A target that cannot express the request is passed over, unless the model says
    /// otherwise; if none can, the first of them says why.
    fn plan(
        &self,
        endpoint: &Endpoint,
        model: usize,
        body: &[u8],
        bounds: &Bounds,
    ) -> Result<Vec<Planned>, Refusal> {
        let model = self.config.models.get(model);
        let targets = model.map(|model| &model.targets);
        let wish = model
            .map(|model| model.on_untranslatable)
            .unwrap_or_default();
        let first = targets.and_then(|targets| targets.first());
        let family = Family::of(first.map_or("", |target| &target.model));
        let mut chat = None;
        let mut chain = Vec::new();
        let mut why = None;
        for (position, target) in targets.into_iter().flatten().enumerate() {
            let planned = self
                .way((endpoint, wish.policy()), target, body, bounds, &mut chat)
                .and_then(|way| bounds.planned(position, target, family, way));
            match planned {
                Ok(planned) => chain.push(planned),
                Err(refusal) if wish == OnUntranslatable::Refuse => return Err(refusal),
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
        (endpoint, policy): (&Endpoint, Policy),
        target: &Target,
        body: &[u8],
        bounds: &Bounds,
        chat: &mut Option<Chat>,
    ) -> Result<(Way, Option<Cap>), Refusal> {
        let Kind::Forwarded { native, others, .. } = endpoint.kind else {
            return Err(Refusal::internal("this is answered here"));
        };
        let provider = self.config.providers.get(target.provider);
        let provider = provider.ok_or_else(|| Refusal::internal("a target without a provider"))?;
        let dialect = provider.dialect.provider();
        if !native.is_empty() && dialect.understands() == native {
            let field = dialect.cap_field(endpoint.path);
            let cap = bounds.cap(target).map(|tokens| Cap { field, tokens });
            return Ok((Way::Passes, cap));
        }
        let nothing_like_it = || Refusal::untranslatable_endpoint(endpoint.path, dialect.name());
        match others {
            Others::Translated => {}
            Others::Never => return Err(nothing_like_it()),
            Others::Reranked => {
                let written = dialect.rerank(body, &provider.asked_for(target), policy);
                let written = written.ok_or_else(nothing_like_it)??;
                return Ok((Way::Translated(written), None));
            }
        }
        let chat = match chat {
            Some(chat) => chat,
            None => chat.insert(endpoint.client.read(body)?),
        };
        let written_by_caller = chat.output_max;
        if let Some(cap) = bounds.cap(target) {
            chat.output_max = Some(cap.0);
        }
        let written = dialect.write(chat, &provider.asked_for(target), policy);
        chat.output_max = written_by_caller;
        written
            .map(|written| (Way::Translated(written), None))
            .map_err(|untranslatable| untranslatable.refusal())
    }
}

/// A form has no text that is read here.
const NO_TEXT: Count = Count {
    tokens: Tokens(0),
    at_most: Tokens(0),
    how: How::Estimated,
};

/// Whether an endpoint streams, and how the figures of its streams are asked for.
fn reading(endpoint: &Endpoint) -> (Streams, UsageOption) {
    match endpoint.kind {
        Kind::Forwarded {
            streams,
            native: "openai",
            answers: Answers::Words,
            ..
        } => (streams, UsageOption::StreamOptions),
        Kind::Forwarded { streams, .. } => (streams, UsageOption::Always),
        Kind::ListModels | Kind::CountTokens => (Streams::Never, UsageOption::Always),
    }
}

fn allowed(caller: &Caller, model: &str) -> bool {
    let models = caller.key.models.as_ref();
    models.is_none_or(|models| models.iter().any(|name| name == model))
}

/// More tags than this are not heard.
const TAGS_MAX: usize = 8;

/// What a caller says its request is for: `x-tollgate-tags: chat, nightly`.
fn tags(head: Head<'_>) -> Vec<String> {
    let written = head.text("x-tollgate-tags").unwrap_or_default();
    let plain = |tag: &&str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
        !tag.is_empty() && tag.len() <= 64 && tag.bytes().all(fits)
    };
    let mut tags: Vec<String> = Vec::new();
    for tag in written.split(',').map(str::trim).filter(plain) {
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
        // Our own count does as well as none.
        End::Failed(_) | End::Pending if exchange.endpoint.kind == Kind::CountTokens => {
            Err(told::counted(&exchange.prompt))
        }
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
