//! The gateway role: what Envoy calls once per request.

use std::cell::RefCell;
use std::rc::Rc;

use tollgate_core::attempt::Follows;
use tollgate_core::auth::{self, KeyHash};
use tollgate_core::callers::Callers;
use tollgate_core::config::{Commons, Gateway};
use tollgate_core::cover::Waited;
use tollgate_core::dialect;
use tollgate_core::endpoint::{Form, client_of};
use tollgate_core::gateway::{Admission, Input, Step, reply_head};
use tollgate_core::handoff::Exchange;
use tollgate_core::head;
use tollgate_core::limits::{self, Draw, Status, Taken, Used, tell};
use tollgate_core::metrics::{Metric, Sample, Series};
use tollgate_core::money::holder::Outcome;
use tollgate_core::money::ids::OpenId;
use tollgate_core::money::wanted::Wanted;
use tollgate_core::record::{BrokenBy, Ended};
use tollgate_core::refusal::{Answer, Refusal};
use tollgate_core::request::Reply;
use tollgate_core::tokens::Counter;
use tollgate_core::units::Timestamp;
use tollgate_core::vouched::Vouched;

use crate::bank::{self, News};
use crate::callbacks::{self, Action, Then};
use crate::counters::{Counters, Shift};
use crate::host::call::Context;
use crate::host::{self, Bytes, Headers, RawHead};
use crate::meeting::{self, Handle, Shared};
use crate::room;
use crate::weather::{self, Turn};

mod ending;
mod opening;
mod telling;

/// One configuration, and what belongs to it.
pub(crate) struct Settings {
    config: Rc<Gateway>,
    /// What holds for everybody, as it was last heard.
    commons: RefCell<Rc<Commons>>,
    callers: RefCell<Callers>,
    counters: Counters,
    tokens: RefCell<Counter>,
    /// Deployments with limits of their own.
    quotas: room::Quotas,
}

impl Settings {
    pub(crate) fn new(config: Gateway) -> Self {
        let config = Rc::new(config);
        Self {
            commons: RefCell::new(Rc::new(config.commons.clone())),
            callers: RefCell::new(Callers::new(Rc::clone(&config))),
            counters: Counters::new(),
            quotas: room::quotas(&config),
            config,
            tokens: RefCell::new(Counter::new()),
        }
    }

    /// The budget service answered.
    pub(crate) fn answered(&self, token: u32, message: &[u8]) {
        let Ok(mut callers) = self.callers.try_borrow_mut() else {
            return;
        };
        let commons = bank::answered(token, message, &mut callers, host::now());
        if let (Some(commons), Ok(mut known)) = (commons, self.commons.try_borrow_mut()) {
            *known = Rc::new(commons);
        }
    }

    /// The budget service did not answer.
    pub(crate) fn call_failed(&self, token: u32) {
        if let Ok(mut callers) = self.callers.try_borrow_mut() {
            bank::failed(token, &mut callers, host::now());
        }
    }

    /// Counts breakers that opened or closed.
    pub(crate) fn turned(&self, turns: &[Turn]) {
        if turns.is_empty() {
            return;
        }
        let samples: Vec<Sample> = turns
            .iter()
            .map(|turn| Sample {
                series: Series {
                    provider: Some(turn.provider),
                    kind: turn.to,
                    ..Series::new(Metric::Breakers)
                },
                value: 1,
            })
            .collect();
        if let Ok(callers) = self.callers.try_borrow() {
            self.counters
                .count(&self.config, callers.labels(), &samples);
        }
    }

    /// Tells how the figures of this process moved.
    pub(crate) fn shifted(&self, shifts: &[Shift]) {
        if let (false, Ok(callers)) = (shifts.is_empty(), self.callers.try_borrow()) {
            self.counters.shift(&self.config, callers.labels(), shifts);
        }
    }

    fn commons(&self) -> Rc<Commons> {
        let known = self.commons.try_borrow();
        known.map_or_else(|_| Rc::default(), |commons| Rc::clone(&commons))
    }
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Waits {
    /// For what comes from the caller, or for a provider.
    #[default]
    Outside,
    /// To know whose key it is; the body may be whole already, of this size.
    Identity { whole: Option<usize> },
    /// For room among its limits.
    Room,
    /// For money.
    Money,
}

/// The durable opening of a request, under `strict_records`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Opening {
    /// Nobody asks for one.
    #[default]
    NotAsked,
    /// It is on its way; the reply may be held for it.
    Sent(OpenId, ReplyIs),
    /// It is durable.
    Durable(OpenId),
    /// Nobody knows.
    Failed(Option<OpenId>),
}

/// Whether the reply waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplyIs {
    Absent,
    Held,
}

impl Opening {
    fn id(self) -> Option<OpenId> {
        match self {
            Self::NotAsked => None,
            Self::Sent(id, _) | Self::Durable(id) => Some(id),
            Self::Failed(id) => id,
        }
    }
}

/// Whether a reply is known to have reached its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Completeness {
    Whole,
    Unknown,
}

/// One request.
pub(crate) struct Stream {
    settings: Rc<Settings>,
    /// The host's number of it.
    context: u32,
    admission: Admission,
    waits: Waits,
    /// What it had to wait for.
    waited: Waited,
    opening: Opening,
    /// What it has of its limits.
    taken: Taken,
    /// How these stand.
    standing: Vec<Status>,
    head: RawHead,
    meeting: Option<(String, Handle)>,
    /// What the caller gets; 0 until then.
    status: u16,
    /// Why, if it is not what it asked for.
    code: Option<&'static str>,
    /// Envoy's words for an attempt that got no reply.
    detail: String,
}

impl Stream {
    pub(crate) fn new(settings: Rc<Settings>, context: u32) -> Self {
        let admission = Admission::new(Rc::clone(&settings.config), settings.commons());
        Self {
            settings,
            context,
            admission,
            waits: Waits::default(),
            waited: Waited::default(),
            opening: Opening::default(),
            taken: Taken::default(),
            standing: Vec::new(),
            head: RawHead::default(),
            meeting: None,
            status: 0,
            code: None,
            detail: String::new(),
        }
    }

    fn whole_body(&mut self, body: Vec<u8>) -> Option<Step> {
        match self.settings.tokens.try_borrow_mut() {
            Ok(mut tokens) => {
                let counter = &mut *tokens;
                let standings = &bank::Heard;
                let admission = &mut self.admission;
                let now = host::now();
                let full = room::full(&self.settings.quotas, now);
                let step = weather::with(now, |weather| {
                    weather.full = full;
                    admission.on(Input::Body {
                        body,
                        counter,
                        standings,
                        weather,
                    })
                });
                step.unwrap_or_else(|| {
                    Some(Step::Answer(dialect::answer(
                        client_of(""),
                        &Refusal::internal("the table of health is in use"),
                    )))
                })
            }
            // Only a callback inside a callback could come here.
            Err(_) => Some(Step::Answer(dialect::answer(
                client_of(""),
                &Refusal::internal("the tokenizer is in use"),
            ))),
        }
    }

    /// The body that is in Envoy. A form is read in pieces: what is in its files need not be here, and the memory of a
    /// VM never shrinks.
    fn body_in_envoy(&mut self, size: usize) -> Option<Step> {
        const PIECE_BYTES: usize = 65_536;
        if self.admission.form() == Form::Json {
            return self.whole_body(Bytes::Request.read(size));
        }
        for start in (0..size).step_by(PIECE_BYTES) {
            let length = size.saturating_sub(start).min(PIECE_BYTES);
            let piece = Bytes::Request.read_at(start, length);
            match self.admission.on(Input::Piece(&piece)) {
                Some(Step::AwaitBody) => {}
                decided => return decided,
            }
        }
        self.whole_body(Vec::new())
    }

    fn perform(&mut self, step: Option<Step>) -> Action {
        match step {
            None => Action::Continue,
            Some(Step::AwaitBody) => Action::Pause,
            Some(Step::Identify(hash)) => self.identify(hash),
            Some(Step::Limit(draws)) => self.limit(draws),
            Some(Step::Hold(wanted)) => self.hold(wanted),
            Some(Step::Answer(answer)) => self.answer(&answer),
            Some(Step::Forward(exchange)) => self.forward(*exchange),
        }
    }

    fn answer(&mut self, answer: &Answer) -> Action {
        self.status = answer.status;
        self.code = answer.code;
        let mut headers = Vec::with_capacity(4);
        if !answer
            .headers
            .iter()
            .any(|(name, _)| *name == "content-type")
        {
            headers.push(("content-type", "application/json"));
        }
        headers.extend(
            answer
                .headers
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        let limits = self.limit_headers();
        headers.extend(limits.iter().map(|(name, value)| (*name, value.as_str())));
        let trace = self.trace();
        if self.settings.config.telemetry.response_headers && !trace.is_empty() {
            headers.push(("x-tollgate-trace-id", &trace));
        }
        if let Some(name) = self.admission.id_header()
            && !trace.is_empty()
        {
            headers.push((name, &trace));
        }
        // Without an answer the request must not go on either: it stays held until Envoy's timeout.
        let _ = host::answer(answer.status, &headers, &answer.body);
        Action::Pause
    }

    fn trace(&self) -> String {
        self.admission.known.trace.clone()
    }

    fn identify(&mut self, hash: KeyHash) -> Action {
        self.waits = Waits::Identity { whole: None };
        self.waited = self.waited.max(Waited::Identity);
        if let Ok(mut callers) = self.settings.callers.try_borrow_mut() {
            bank::identify(hash, Context(self.context), &mut callers, host::now());
        }
        Action::Pause
    }

    fn limit(&mut self, draws: Vec<Draw>) -> Action {
        let caller = self.admission.known.caller.as_ref();
        let key = caller.map_or("", |caller| caller.key.name.as_str());
        match room::take(draws, key, Context(self.context), host::now()) {
            Some(outcome) => self.roomed(outcome),
            None => {
                self.waits = Waits::Room;
                Action::Pause
            }
        }
    }

    fn roomed(&mut self, outcome: limits::Outcome) -> Action {
        let short = match outcome {
            limits::Outcome::Taken(mut taken) => {
                self.standing = std::mem::take(&mut taken.standing);
                self.taken = taken;
                None
            }
            limits::Outcome::Short(mut short) => {
                self.standing = std::mem::take(&mut short.standing);
                Some(short)
            }
        };
        let admission = &mut self.admission;
        let now = host::now();
        let full = room::full(&self.settings.quotas, now);
        let step = weather::with(now, |weather| {
            weather.full = full;
            let standings = &bank::Heard;
            admission.on(Input::Room {
                short,
                standings,
                weather,
            })
        });
        let in_use = || {
            let refusal = Refusal::internal("the table of health is in use");
            Some(Step::Answer(dialect::answer(client_of(""), &refusal)))
        };
        self.perform(step.unwrap_or_else(in_use))
    }

    /// What the caller is to hear of its limits.
    fn limit_headers(&self) -> Vec<(&'static str, String)> {
        if self.standing.is_empty() || !self.settings.config.telemetry.response_headers {
            return Vec::new();
        }
        tell::headers(self.admission.client().name(), &self.standing, host::now())
    }

    fn hold(&mut self, wanted: Wanted) -> Action {
        match bank::hold(wanted, Context(self.context), host::now()) {
            Some(outcome) => self.covered(outcome),
            None => {
                self.waits = Waits::Money;
                self.waited = Waited::Money;
                Action::Pause
            }
        }
    }

    fn covered(&mut self, outcome: Outcome) -> Action {
        let step = self.admission.on(match outcome {
            Outcome::Held(hold) => Input::Held(hold),
            Outcome::Uncovered(why) => Input::Uncovered {
                why,
                now: host::now(),
            },
        });
        self.perform(step)
    }

    /// What Envoy says of a caller who carries no key. It costs a call for each claim, so only where somebody wants to know.
    fn vouch(&mut self) {
        let rules = &self.settings.config.vouched;
        if rules.is_empty() || self.head.with(auth::carries_key) {
            return;
        }
        let text =
            |path: &str| host::property(path).and_then(|bytes| String::from_utf8(bytes).ok());
        let claim = |name: &str| {
            let place = "metadata\0filter_metadata\0envoy.filters.http.jwt_authn";
            let text = text(&format!("{place}\0{}\0{name}", rules.payload))?;
            Some((name.to_owned(), text))
        };
        let peer = rules.looks_at_peers();
        self.admission.vouch(Vouched {
            spiffe: peer
                .then(|| text("connection\0uri_san_peer_certificate"))
                .flatten(),
            claims: rules.claims().into_iter().filter_map(claim).collect(),
        });
    }

    /// The head is said to the admission, again if it was not known who is calling.
    fn say_head(&mut self) -> Option<Step> {
        let Self {
            head,
            admission,
            settings,
            ..
        } = self;
        let now = host::now();
        match settings.callers.try_borrow_mut() {
            Ok(mut callers) => head.with(|head| {
                let callers = &mut *callers;
                admission.on(Input::Head { head, now, callers })
            }),
            Err(_) => Some(Step::Answer(dialect::answer(
                client_of(""),
                &Refusal::internal("the table of callers is in use"),
            ))),
        }
    }

    fn forward(&mut self, mut exchange: Exchange) -> Action {
        if let Some((number, id)) = exchange.probe()
            && !weather::claim(id, host::now())
        {
            exchange.give_up_probe(number);
        }
        self.open(&exchange);
        let kind = match exchange.request.reply {
            Reply::Whole => meeting::WHOLE,
            Reply::Streamed(_) => meeting::STREAMED,
        };
        let retries = exchange.attempts_max().saturating_sub(1);
        let timeout_ms = exchange.attempt_timeout_ms();
        let first = exchange
            .target(0)
            .map(|(_, provider)| provider.cluster.clone());
        self.strip();
        let shared = Shared {
            exchange,
            head: std::mem::take(&mut self.head),
            context: self.context,
            running: None,
            attempting: None,
        };
        let sent = first
            .zip(meeting::open(kind, shared))
            .and_then(|(cluster, (name, handle))| {
                let headers = [
                    ("x-envoy-max-retries", retries.to_string()),
                    (
                        "x-envoy-upstream-rq-per-try-timeout-ms",
                        timeout_ms.to_string(),
                    ),
                    (head::EXCHANGE, name.clone()),
                ];
                self.meeting = Some((name.clone(), handle));
                for (header, value) in &headers {
                    Headers::Request
                        .set(header.as_bytes(), value.as_bytes())
                        .ok()?;
                }
                if retries > 0 {
                    host::set_property("tollgate_exchange", name.as_bytes()).ok()?;
                }
                host::set_property("tollgate_next", cluster.as_bytes()).ok()?;
                host::clear_route_cache().ok()
            });
        match sent {
            Some(()) => Action::Continue,
            None => {
                let refusal = Refusal::internal("Envoy did not take the request");
                self.answer(&dialect::answer(client_of(""), &refusal))
            }
        }
    }

    /// Takes out of the head what must not travel on; also the name of an exchange that a caller gave himself.
    fn strip(&self) {
        for (name, _) in self.head.pairs() {
            if !head::forwards(name) {
                Headers::Request.remove(name);
            }
        }
    }

    fn end(&self, now: Timestamp, reply: Completeness) -> Ended<'_> {
        Ended {
            now,
            status: self.status,
            code: self.code,
            broken_by: self.broken_by(reply),
            detail: &self.detail,
        }
    }

    /// Who broke off a reply that is not complete. Only then is Envoy asked.
    fn broken_by(&self, reply: Completeness) -> BrokenBy {
        if reply == Completeness::Whole {
            return BrokenBy::Nobody;
        }
        // The bits behind these names in Envoy's access log: `DC`, the connection ended; `DR`, the stream was reset,
        // as HTTP/2 can; `DPE`, what came was no HTTP.
        const CALLER_LEFT: u64 = 1 << 14 | 1 << 28 | 1 << 18;
        let flags = host::property("response\0flags")
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u64::from_le_bytes);
        if flags & CALLER_LEFT != 0 {
            BrokenBy::Caller
        } else if flags != 0 {
            BrokenBy::Provider
        } else {
            BrokenBy::Nobody
        }
    }
}

impl callbacks::Stream for Stream {
    fn request_head(&mut self, follows: Follows) -> Action {
        self.head = Headers::Request.read().unwrap_or_default();
        self.vouch();
        let step = match self.say_head() {
            Some(Step::AwaitBody) if follows == Follows::Nothing => self.whole_body(Vec::new()),
            step => step,
        };
        let action = self.perform(step);
        if let (Waits::Identity { whole }, Follows::Nothing) = (&mut self.waits, follows) {
            *whole = Some(0);
        }
        action
    }

    fn request_body(&mut self, size: usize, follows: Follows) -> Action {
        match &mut self.waits {
            Waits::Outside => {}
            Waits::Identity { whole } => {
                if follows == Follows::Nothing {
                    *whole = Some(size);
                }
                return Action::Pause;
            }
            Waits::Room | Waits::Money => return Action::Pause,
        }
        let step = match follows {
            Follows::Nothing => self.body_in_envoy(size),
            Follows::More => {
                let bytes = u64::try_from(size).unwrap_or(u64::MAX);
                self.admission.on(Input::BodyGrows { bytes })
            }
        };
        self.perform(step)
    }

    fn request_trailers(&mut self) -> Action {
        let step = self.admission.on(Input::Trailers);
        self.perform(step)
    }

    fn told(&mut self, news: News) -> Then {
        let action = match news {
            News::Identity => {
                let Waits::Identity { whole } = std::mem::take(&mut self.waits) else {
                    return Then::Waits;
                };
                let step = match (self.say_head(), whole) {
                    (Some(Step::AwaitBody), Some(0)) => self.whole_body(Vec::new()),
                    (Some(Step::AwaitBody), Some(size)) => self.body_in_envoy(size),
                    (step, _) => step,
                };
                let action = self.perform(step);
                if let Waits::Identity { whole: again } = &mut self.waits {
                    *again = whole;
                }
                action
            }
            News::Money(outcome) => {
                self.waits = Waits::Outside;
                self.covered(outcome)
            }
            News::Room(outcome) => {
                self.waits = Waits::Outside;
                self.roomed(outcome)
            }
            News::Opened(durable) => return self.opened(durable),
        };
        match action {
            Action::Continue => Then::GoesOn,
            Action::Pause => Then::Waits,
        }
    }

    fn reply_head(&mut self, _follows: Follows) -> Action {
        if self.status != 0 {
            // Our own answer on its way out.
            return Action::Continue;
        }
        let Some(handle) = self.meeting.as_ref().map(|(_, handle)| Rc::clone(handle)) else {
            // Envoy answers itself, before anything was decided: a body that never came, for instance.
            self.status = Headers::Reply
                .get(":status")
                .and_then(|status| std::str::from_utf8(&status).ok()?.parse().ok())
                .unwrap_or(0);
            self.code = Some("envoy_refused");
            return Action::Continue;
        };
        let Ok(mut shared) = handle.try_borrow_mut() else {
            return Action::Continue;
        };
        let now = host::now();
        let replied = reply_head(&mut shared.exchange, now);
        weather::tell(shared.exchange.tales(now), now);
        match replied {
            Ok(status) => {
                self.status = status;
                self.tell(&shared.exchange);
                self.hold_reply()
            }
            Err(answer) => {
                self.detail = host::property("response\0code_details")
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .filter(|details| details != "via_upstream")
                    .unwrap_or_default();
                self.answer(&answer)
            }
        }
    }

    fn reply_body(&mut self, _size: usize, _follows: Follows) -> Action {
        self.held()
    }

    fn reply_trailers(&mut self) -> Action {
        self.held()
    }

    fn ended(&mut self) {
        self.close();
        if let Some((name, _)) = &self.meeting {
            meeting::close(name);
        }
    }
}

impl Drop for Stream {
    /// The end of a request closes the meeting and its limits; a request that never got so far closes them here.
    fn drop(&mut self) {
        if let Some((name, _)) = &self.meeting {
            meeting::close(name);
        }
        if self.taken != Taken::default() {
            let taken = std::mem::take(&mut self.taken);
            room::settle(taken, Used::Nothing, host::now());
        }
    }
}
