//! The gateway role, once per request: who, what, where to; then what the caller is told.

use std::rc::Rc;

use crate::auth::{self, KeyHash};
use crate::callers::{Caller, Callers, Found};
use crate::config::{Commons, Gateway, Key};
use crate::cover::{self, Cover};
use crate::dialect::answer;
use crate::dialect::anthropic::Messages;
use crate::dialect::speak::Client;
use crate::endpoint::{self, Endpoint, Form, Kind, NoEndpoint, client_of};
use crate::handoff::{End, Exchange, Failed, Failure, Progress, Told};
use crate::head::Head;
use crate::limits::{Draw, Short};
use crate::money::holder::Hold;
use crate::money::ids::Millis;
use crate::money::wanted::{Standings, Uncovered, Wanted};
use crate::multipart::{self, Scanner};
use crate::refusal::{Answer, Refusal};
use crate::routing::Weather;
use crate::routing::explanation::Because;
use crate::routing::wishes::Wishes;
use crate::tokens::Counter;
use crate::trace;
use crate::units::Timestamp;
use crate::vouched::Vouched;

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
        /// How the providers are, as far as this worker has heard.
        weather: &'a mut Weather,
    },
    /// Fields behind the body.
    Trailers,
    /// What became of its limits.
    Room {
        /// None if it has all it needs.
        short: Option<Short>,
        /// How the budgets stand, as far as this worker has heard.
        standings: &'a dyn Standings,
        /// How the providers are, as far as this worker has heard.
        weather: &'a mut Weather,
    },
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
    /// Take this from its limits before it goes on, all of it or nothing.
    Limit(Vec<Draw>),
    /// Hold this before it goes on.
    Hold(Wanted),
    /// Send it on its way.
    Forward(Box<Exchange>),
    /// Tell the caller this.
    Answer(Answer),
}

mod bounds;
mod content;
mod last;
mod plan;
mod told;
mod weigh;

use bounds::Bounds;
use content::Content;
use plan::Question;
use weigh::Weighed;

/// One request until it is forwarded or answered.
pub struct Admission {
    config: Rc<Gateway>,
    /// What holds for everybody.
    commons: Rc<Commons>,
    /// Whose words the caller expects.
    client: &'static dyn Client,
    vouched: Vouched,
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
    ExpectRoom(Box<Weighed>),
    ExpectMoney(Box<Exchange>, Wanted),
    /// Forwarded or answered: nothing more is decided here.
    Decided,
}

impl State {
    fn expecting(expected: Expected, head: Head<'_>) -> Result<Self, Refusal> {
        if expected.endpoint.form == Form::Json {
            return Ok(Self::ExpectBody(expected));
        }
        let boundary = multipart::boundary(head.text("content-type").unwrap_or_default())?;
        let scanner = Box::new(Scanner::new(&boundary));
        Ok(Self::ExpectForm(expected, scanner))
    }
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
            vouched: Vouched::default(),
            state: State::ExpectHead,
            known: Known::default(),
        }
    }

    /// How the body is to be read.
    pub fn form(&self) -> Form {
        match self.state {
            State::ExpectForm(..) => Form::Multipart,
            State::ExpectHead
            | State::ExpectBody(_)
            | State::ExpectRoom(_)
            | State::ExpectMoney(..)
            | State::Decided => Form::Json,
        }
    }

    /// The header in which this caller's SDK looks for the name of the request.
    pub fn id_header(&self) -> Option<&'static str> {
        self.client.id_header()
    }

    /// Whose words the caller expects.
    pub fn client(&self) -> &'static dyn Client {
        self.client
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
                self.bounded(bytes).and_then(|()| {
                    let content = Content::Object(body);
                    self.admit(&expected, content, counter, (standings, weather))
                })
            }
            (State::ExpectForm(expected, scanner), input) => {
                self.form_input(expected, scanner, input)
            }
            (State::ExpectBody(_), Input::Trailers) => Err(Refusal::trailers()),
            (
                State::ExpectRoom(weighed),
                Input::Room {
                    short,
                    standings,
                    weather,
                },
            ) => match short {
                None => self.set_out(*weighed, standings, weather),
                Some(short) => self.over_the_limit(*weighed, short),
            },
            (State::ExpectMoney(mut exchange, wanted), Input::Held(hold)) => {
                exchange.cover.add(hold, wanted.amount);
                Ok(Step::Forward(exchange))
            }
            (State::ExpectMoney(exchange, wanted), Input::Uncovered { why, now }) => {
                Err(uncovered(&exchange.cover, &wanted, why, now))
            }
            (State::Decided, _) => return None,
            (
                State::ExpectHead
                | State::ExpectBody(_)
                | State::ExpectRoom(_)
                | State::ExpectMoney(..),
                _,
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
                counter,
                standings,
                weather,
                ..
            } => {
                let form = scanner.finish()?;
                self.bounded(u64::try_from(form.bytes).unwrap_or(u64::MAX))?;
                let content = Content::Form(form);
                return self.admit(&expected, content, counter, (standings, weather));
            }
            Input::Trailers => return Err(Refusal::trailers()),
            Input::Head { .. } | Input::Room { .. } | Input::Held(_) | Input::Uncovered { .. } => {
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
        let (hash, user) = self.who(head)?;
        let caller = match callers.find(&hash, now) {
            Found::Known(caller) => caller,
            Found::Unknown => return Err(Refusal::invalid_key()),
            Found::Away => return Err(Refusal::identity_unavailable()),
            Found::Ask => {
                self.state = State::ExpectHead;
                return Ok(Step::Identify(hash));
            }
        };
        let caller = match user {
            Some(user) => called(&caller, user),
            None => caller,
        };
        self.known.caller = Some(Rc::clone(&caller));
        auth::admit(&caller.key, now)?;
        self.known.tags = tags(head, &caller.key.tags);
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
        self.state = State::expecting(
            Expected {
                caller,
                endpoint,
                wishes: Wishes::read(head, &self.config.looks().headers),
            },
            head,
        )?;
        Ok(Step::AwaitBody)
    }

    /// By the key that the request carries; without one by what Envoy vouches for.
    fn who(&self, head: Head<'_>) -> Result<(KeyHash, Option<String>), Refusal> {
        if !auth::carries_key(head)
            && let Some(found) = self.config.vouched.find(&self.vouched)
        {
            return Ok((found.hash, found.user));
        }
        Ok((auth::hash_of(head)?, None))
    }

    /// What Envoy says of who calls; before the head.
    pub fn vouch(&mut self, vouched: Vouched) {
        self.vouched = vouched;
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
        content: Content,
        counter: &mut Counter,
        (standings, weather): (&dyn Standings, &mut Weather),
    ) -> Result<Step, Refusal> {
        let weighed = self.weigh(expected, content, counter, standings)?;
        let draws = match weighed.expected.endpoint.kind {
            Kind::Forwarded { .. } => self.draws(&weighed),
            Kind::CountTokens | Kind::ListModels => Vec::new(),
        };
        if draws.is_empty() {
            return self.set_out(weighed, standings, weather);
        }
        self.state = State::ExpectRoom(Box::new(weighed));
        Ok(Step::Limit(draws))
    }

    /// Chooses the way, and holds money for it.
    fn set_out(
        &mut self,
        weighed: Weighed,
        standings: &dyn Standings,
        weather: &mut Weather,
    ) -> Result<Step, Refusal> {
        let endpoint = weighed.expected.endpoint;
        let bounds = Bounds::new(
            endpoint,
            &weighed.request.wishes,
            &weighed.prompt,
            weighed.content.len(),
            &weighed.purses,
        );
        let question = Question::of(&weighed);
        let (chain, explanation) = match endpoint.kind {
            Kind::Forwarded { .. } => self.plan(&question, &bounds, weather)?,
            Kind::CountTokens | Kind::ListModels => self.counters(&question, &bounds)?,
        };
        if chain.is_empty() {
            return Ok(Step::Answer(told::counted(&weighed.prompt)));
        }
        let warning = cover::warning(&weighed.purses, standings);
        let body = weighed.content.keep();
        let exchange = Box::new(Exchange {
            config: Rc::clone(&self.config),
            caller: weighed.expected.caller,
            endpoint,
            path: endpoint.behind(),
            request: weighed.request,
            model: explanation.model,
            downgraded: explanation.because == Because::Budget,
            chain,
            body,
            prompt: weighed.prompt,
            trace: self.known.trace.clone(),
            tags: std::mem::take(&mut self.known.tags),
            started: self.known.started,
            attempts: Vec::with_capacity(1),
            progress: Progress::default(),
            cover: Cover {
                purses: weighed.purses,
                ..Cover::default()
            },
            warning,
            refused: None,
            explanation,
            timeout_ms: weighed.expected.wishes.timeout_ms,
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
}

/// A caller whose user Envoy vouches for.
fn called(caller: &Caller, user: String) -> Rc<Caller> {
    Rc::new(Caller {
        key: Key {
            user,
            ..caller.key.clone()
        },
        who: caller.who,
    })
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
fn tags(head: Head<'_>, of_key: &[String]) -> Vec<String> {
    let written = TAG_HEADERS.iter().filter_map(|name| head.text(name));
    let plain = |tag: &&str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
        !tag.is_empty() && tag.len() <= 64 && tag.bytes().all(fits)
    };
    // Those of the key first: nobody crowds out who pays.
    let mut tags: Vec<String> = of_key.iter().take(TAGS_MAX).cloned().collect();
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
        // Our own count does better than none; and not all who speak Anthropic's dialect count.
        End::Failed(_)
        | End::Pending
        | End::Refused {
            status: 404 | 405, ..
        } if exchange.endpoint.kind == Kind::CountTokens => Err(told::counted(&exchange.prompt)),
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
