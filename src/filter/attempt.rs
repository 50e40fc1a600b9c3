//! The attempt role: what Envoy calls for each attempt at a provider.

use std::rc::Rc;

use tollgate_core::attempt::{Attempt, BodyStep, Follows, HeadStep, Send};
use tollgate_core::config::{self, DeploymentId};
use tollgate_core::cover::Waited;
use tollgate_core::dialect;
use tollgate_core::endpoint::client_of;
use tollgate_core::gateway::uncovered;
use tollgate_core::handoff::{Exchange, Failure};
use tollgate_core::head::{self, Edit, Head};
use tollgate_core::money::holder::Outcome;
use tollgate_core::money::wanted::Wanted;
use tollgate_core::refusal::Refusal;
use tollgate_core::sse;
use tollgate_core::units::Timestamp;

use crate::bank::{self, News};
use crate::callbacks::{self, Action, Then};
use crate::host::call::Context;
use crate::host::{self, Bytes, Headers};
use crate::meeting::{self, Handle, Shared};
use crate::room::Attempting;
use crate::weather::{self, Running};

/// One attempt.
pub(crate) struct Stream {
    place: Rc<config::Attempt>,
    context: Context,
    attempt: Attempt,
    shared: Option<Handle>,
    /// It costs more than is held for the request, and waits for the rest.
    waits: Option<Waiting>,
}

/// An attempt that waits for money.
struct Waiting {
    wanted: Wanted,
    headmap: Headmap,
    /// The size of the body, if all of it has come meanwhile.
    whole: Option<usize>,
}

impl Stream {
    pub(crate) fn new(place: Rc<config::Attempt>, context: Context) -> Self {
        Self {
            place,
            context,
            attempt: Attempt::new(),
            shared: None,
            waits: None,
        }
    }

    /// Sends it, if what it may cost is held; else it waits for that.
    fn begin(&mut self, shared: &mut Shared, headmap: Headmap) -> Result<Action, Refusal> {
        let now = host::now();
        let Some(wanted) = cover(&mut shared.exchange, self.context, now)? else {
            return self.send(shared, headmap).map(|()| Action::Continue);
        };
        shared.exchange.cover.waited = Waited::Money;
        self.waits = Some(Waiting {
            wanted,
            headmap,
            whole: None,
        });
        Ok(Action::Pause)
    }

    /// What became of the money that it waited for.
    fn covered(&mut self, shared: &mut Shared, outcome: Outcome) -> Result<(), Refusal> {
        match (self.waits.take(), outcome) {
            (Some(waiting), Outcome::Held(hold)) => {
                shared.exchange.cover.add(hold, waiting.wanted.amount);
                self.send(shared, waiting.headmap)?;
                match waiting.whole {
                    Some(size) => write_body(&shared.exchange, size),
                    None => Ok(()),
                }
            }
            (Some(waiting), Outcome::Uncovered(why)) => {
                let cover = &shared.exchange.cover;
                Err(uncovered(cover, &waiting.wanted, why, host::now()))
            }
            (None, Outcome::Held(hold)) => {
                bank::release(hold.parts);
                Err(Refusal::internal(
                    "money came for an attempt that wants none",
                ))
            }
            (None, Outcome::Uncovered(_)) => {
                Err(Refusal::internal("an attempt that wants no money got none"))
            }
        }
    }

    fn refused(&self, refusal: Refusal) -> Action {
        let action = refuse(&refusal);
        if let Some(Ok(mut shared)) = self.shared.as_ref().map(|shared| shared.try_borrow_mut()) {
            shared.exchange.refused = Some(refusal);
        }
        action
    }

    /// The request this attempt belongs to. The header of its name is gone after the first attempt, since
    /// all attempts of a cluster share one header map; the property costs more, and stays.
    fn meet() -> (Option<Handle>, Headmap) {
        match Headers::Request.get(head::EXCHANGE) {
            Some(name) => (meeting::find(&name), Headmap::AsSent),
            None => {
                let name = host::property("tollgate_exchange").unwrap_or_default();
                (meeting::find(&name), Headmap::Used)
            }
        }
    }

    fn send(&mut self, shared: &mut Shared, headmap: Headmap) -> Result<(), Refusal> {
        let now = host::now();
        let send = self
            .attempt
            .request_head(&mut shared.exchange, &self.place, now)?;
        weather::tell(shared.exchange.tales(now), now);
        let number = shared.exchange.last().map(|(tried, ..)| tried.number);
        let deployment = number.and_then(|number| shared.exchange.deployment(number));
        shared.running = None;
        shared.running = deployment.map(Running::at);
        shared.attempting = None;
        shared.attempting = number
            .zip(deployment)
            .and_then(|(number, id)| attempting(&shared.exchange, number, id, now));
        if headmap == Headmap::Used {
            restore(shared);
        }
        shared.head.with(|head| {
            for name in send.strange {
                if head.get(name).is_some() {
                    Headers::Request.remove(name.as_bytes());
                }
            }
        });
        write_head(&send, &self.place)
            .map_err(|host::Failed| Refusal::internal("Envoy did not take the head of an attempt"))
    }
}

/// An attempt at a deployment with a limit of its own counts against it.
fn attempting(
    exchange: &Exchange,
    number: usize,
    id: DeploymentId,
    now: Timestamp,
) -> Option<Attempting> {
    let (target, _) = exchange.target(number)?;
    let quota = target.traits.quota;
    let expected = exchange.expected_tokens(number);
    (!quota.is_empty()).then(|| Attempting::begin(id, quota, expected, now))
}

/// An attempt that may cost more than is held for the request holds the rest first: what it has to wait for, if that is
/// not here. Refused it may only be in the end, since Envoy takes no other way then.
fn cover(
    exchange: &mut Exchange,
    context: Context,
    now: Timestamp,
) -> Result<Option<Wanted>, Refusal> {
    exchange.close_silent_attempt(now);
    let Some(wanted) = exchange.missing(exchange.next_number())? else {
        return Ok(None);
    };
    match bank::hold(wanted.clone(), context, now) {
        Some(Outcome::Held(hold)) => {
            exchange.cover.add(hold, wanted.amount);
            Ok(None)
        }
        Some(Outcome::Uncovered(why)) => Err(uncovered(&exchange.cover, &wanted, why, now)),
        None => Ok(Some(wanted)),
    }
}

/// What a stream does not need any more goes back while it runs.
fn shrink(exchange: &mut Exchange) {
    if let Some(enough) = exchange.enough() {
        bank::release(exchange.cover.shrink_to(enough));
    }
}

/// Whether an earlier attempt has written into the header map.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Headmap {
    AsSent,
    Used,
}

fn restore(shared: &Shared) {
    let Ok(current) = Headers::Request.read() else {
        return;
    };
    let (original, current) = (shared.head.pairs(), current.pairs());
    for edit in head::restore(Head(&original), Head(&current)) {
        match edit {
            Edit::Remove(name) => Headers::Request.remove(name),
            Edit::Set(name, value) => {
                let _ = Headers::Request.set(name, value);
            }
        }
    }
}

fn write_head(send: &Send, place: &config::Attempt) -> Result<(), host::Failed> {
    let set = |name: &str, value: &str| Headers::Request.set(name.as_bytes(), value.as_bytes());
    set(":path", &send.path)?;
    set(":authority", &send.authority)?;
    set("content-length", &send.content_length.to_string())?;
    for (name, value) in &send.headers {
        set(name, value)?;
    }
    // A compressed reply could not be read; without this header a provider may choose.
    set("accept-encoding", "identity")?;
    match place {
        config::Attempt::Cluster { .. } => {
            Headers::Request.remove(head::EXCHANGE.as_bytes());
            if let Some(next) = &send.next_cluster {
                host::set_property("tollgate_next", next.as_bytes())?;
            }
            Ok(())
        }
        // The inner listener's route takes both private headers out itself.
        config::Attempt::Hop => {
            set(head::CLUSTER, &send.cluster)?;
            host::clear_route_cache()
        }
    }
}

/// Writes the body for the provider of this attempt in place of the caller's.
fn write_body(exchange: &Exchange, size: usize) -> Result<(), Refusal> {
    let front = |bytes: usize| Bytes::Request.read(bytes.min(size));
    let rewrite = Attempt::request_body(exchange, front);
    rewrite
        .map_or(Ok(()), |rewrite| {
            Bytes::Request.write_front(rewrite.front, &rewrite.bytes)
        })
        .map_err(|host::Failed| Refusal::internal("Envoy did not take the body of an attempt"))
}

impl callbacks::Stream for Stream {
    fn request_head(&mut self, _follows: Follows) -> Action {
        let (shared, headmap) = Self::meet();
        let Some(shared) = shared else {
            // The VM of the gateway role died with its request, or someone else routed here.
            let refusal = Refusal::internal("this attempt belongs to no request");
            return refuse(&refusal);
        };
        let begun = match shared.try_borrow_mut() {
            Ok(mut shared) => self.begin(&mut shared, headmap),
            Err(_) => Err(Refusal::internal("the request is in use")),
        };
        self.shared = Some(shared);
        begun.unwrap_or_else(|refusal| self.refused(refusal))
    }

    fn told(&mut self, news: News) -> Then {
        let (News::Money(outcome), Some(handle)) = (news, self.shared.clone()) else {
            return Then::Waits;
        };
        let sent = match handle.try_borrow_mut() {
            Ok(mut shared) => self.covered(&mut shared, outcome),
            Err(_) => {
                if let Outcome::Held(hold) = outcome {
                    bank::release(hold.parts);
                }
                Err(Refusal::internal("the request is in use"))
            }
        };
        match sent {
            Ok(()) => Then::GoesOn,
            Err(refusal) => {
                self.refused(refusal);
                Then::Waits
            }
        }
    }

    fn request_body(&mut self, size: usize, follows: Follows) -> Action {
        if follows == Follows::More {
            return Action::Pause;
        }
        if let Some(waiting) = &mut self.waits {
            // To let the body go would let the head go.
            waiting.whole = Some(size);
            return Action::Pause;
        }
        let Some(shared) = self
            .shared
            .as_ref()
            .and_then(|shared| shared.try_borrow().ok())
        else {
            return Action::Continue;
        };
        match write_body(&shared.exchange, size) {
            Ok(()) => Action::Continue,
            Err(refusal) => refuse(&refusal),
        }
    }

    fn reply_head(&mut self, follows: Follows) -> Action {
        let Some(mut shared) = self
            .shared
            .as_ref()
            .and_then(|shared| shared.try_borrow_mut().ok())
        else {
            return Action::Continue;
        };
        let Ok(reply) = Headers::Reply.read() else {
            return Action::Continue;
        };
        if *self.place == config::Attempt::Hop && reply.with(answered_by_envoy) {
            // No reply of the provider: as in a cluster of its own, the attempt stays without one.
            return Action::Continue;
        }
        let attempt = &mut self.attempt;
        let step =
            reply.with(|head| attempt.reply_head(&mut shared.exchange, head, follows, host::now()));
        for (name, _) in reply.pairs() {
            if head::kept_back(name) {
                Headers::Reply.remove(name);
            }
        }
        if self.attempt.may_rewrite() {
            Headers::Reply.remove(b"content-length");
        }
        if let Some(content_type) = self.attempt.content_type() {
            let _ = Headers::Reply.set(b"content-type", content_type.as_bytes());
        }
        match step {
            HeadStep::Release => Action::Continue,
            HeadStep::Hold => Action::Pause,
            HeadStep::Retry => retry(&mut shared, &self.place),
        }
    }

    fn reply_trailers(&mut self) -> Action {
        // The end came behind the body: what is held is judged now, or the reply would pass unseen.
        self.reply_body(usize::MAX, Follows::Nothing)
    }

    fn reply_body(&mut self, size: usize, follows: Follows) -> Action {
        let Some(mut shared) = self
            .shared
            .as_ref()
            .and_then(|shared| shared.try_borrow_mut().ok())
        else {
            return Action::Continue;
        };
        let bytes = Bytes::Reply.read(size);
        let step = self
            .attempt
            .reply_body(&mut shared.exchange, &bytes, follows, host::now());
        shrink(&mut shared.exchange);
        match step {
            BodyStep::Hold => Action::Pause,
            BodyStep::Retry => retry(&mut shared, &self.place),
            BodyStep::Pass(sse::Output::Same) => Action::Continue,
            BodyStep::Pass(sse::Output::Changed(bytes)) => {
                let _ = Bytes::Reply.write(&bytes);
                Action::Continue
            }
        }
    }
}

impl Drop for Stream {
    /// Who waits for money and is gone gets none.
    fn drop(&mut self) {
        if self.waits.is_some() {
            bank::leave(self.context);
        }
    }
}

/// In the inner listener Envoy tells of a refused connection or a reset by a reply of its own, of which the outer one
/// makes the next attempt. What is asked of it costs, so only a reply that may be one is asked about.
fn answered_by_envoy(reply: Head<'_>) -> bool {
    let may_be = reply
        .text(":status")
        .is_some_and(|status| matches!(status, "502" | "503" | "504"));
    let by_provider = || {
        host::property("response\0code_details").is_some_and(|details| details == b"via_upstream")
    };
    may_be && !by_provider()
}

/// Envoy asks the next target when it sees this status; the gateway role puts back the true one.
fn retry(shared: &mut Shared, place: &config::Attempt) -> Action {
    let exchange = &mut shared.exchange;
    let why = exchange.last().and_then(|(tried, ..)| tried.end.why());
    let aside = matches!(why, Some(Failure::ContextWindow | Failure::ContentPolicy));
    if let (true, config::Attempt::Cluster { .. }) = (aside, place)
        && let Some((_, provider)) = exchange.target(exchange.next_number())
    {
        let _ = host::set_property("tollgate_next", provider.cluster.as_bytes());
    }
    let _ = Headers::Reply.set(b":status", b"503");
    Action::Continue
}

/// From here Envoy takes no other way: the caller gets this at once.
fn refuse(refusal: &Refusal) -> Action {
    let answer = dialect::answer(client_of(""), refusal);
    let _ = host::answer(
        answer.status,
        &[("content-type", "application/json")],
        &answer.body,
    );
    Action::Pause
}
