//! The attempt role, once per attempt: writes the request for one provider and judges its reply.

use std::borrow::Cow;

use crate::config;
use crate::dialect::complaint::Class;
use crate::dialect::passage::Heard;
use crate::dialect::speak::Fault;
use crate::endpoint::{self, Answers};
use crate::handoff::{Body, End, Exchange, Failed, Failure, Tried, Way};
use crate::head::{Head, strange_to};
use crate::health::retry_after;
use crate::json_tap::Tap;
use crate::refusal::Refusal;
use crate::request::Reply;
use crate::routing::After;
use crate::sse;
use crate::units::Timestamp;

mod foreign;
mod native;
mod raw;

use foreign::{Foreign, Passing, Shape};
use native::Events;
use raw::{Raw, Sort};

/// How much of a reply is held to see whether it is an answer.
const JUDGED_BYTES_MAX: usize = 65_536;

/// How a request goes to a provider.
#[derive(Debug, PartialEq, Eq)]
pub struct Send {
    /// Behind the authority.
    pub path: String,
    /// Of the provider.
    pub authority: String,
    /// Of the body as this provider gets it.
    pub content_length: usize,
    /// What its dialect asks for beside.
    pub headers: Vec<(&'static str, &'static str)>,
    /// What the caller may have sent and this provider does not get.
    pub strange: &'static [&'static str],
    /// Its cluster.
    pub cluster: String,
    /// The cluster that Envoy asks next if this attempt fails.
    pub next_cluster: Option<String>,
}

/// What changes in the body of a request: the rest of it is the caller's to the byte, and stays where it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Rewrite<'a> {
    /// So many of its first bytes are replaced.
    pub front: usize,
    /// By these.
    pub bytes: Cow<'a, [u8]>,
}

/// Whether more of a message is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// It is.
    More,
    /// This was all.
    Nothing,
}

/// What to do with the head of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadStep {
    /// Ask Envoy for the next target.
    Retry,
    /// Hold it until the body tells.
    Hold,
    /// Let it go: the gateway role says what the caller sees.
    Release,
}

/// What to do with the bytes of a reply that have come.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyStep {
    /// Hold them, and the head.
    Hold,
    /// Ask Envoy for the next target.
    Retry,
    /// They go on like this.
    Pass(sse::Output),
}

/// One attempt.
pub struct Attempt {
    state: State,
}

enum State {
    ExpectRequest,
    ExpectReply,
    /// An error whose words the caller may get: held until it is whole.
    ReadError {
        status: u16,
        why: Option<Failed>,
    },
    /// A good status: held until its body proves it.
    Judge {
        kind: Kind,
        status: u16,
    },
    PassEvents(Box<Events>),
    PassWhole(Box<Tap>),
    PassForeign(Box<Foreign>),
    PassRaw(Raw),
    /// Whatever still comes is nobody's.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// OpenAI's own, for a caller who speaks it: the quick way.
    Events,
    Whole,
    /// Everything else.
    Foreign(Shape, Passing),
    /// What is not said in words.
    Raw(Sort),
}

impl Attempt {
    /// An attempt that has not begun.
    pub fn new() -> Self {
        Self {
            state: State::ExpectRequest,
        }
    }

    /// The request is about to leave through the filter at this place.
    pub fn request_head(
        &mut self,
        exchange: &mut Exchange,
        place: &config::Attempt,
        now: Timestamp,
    ) -> Result<Send, Refusal> {
        exchange.close_silent_attempt(now);
        let number = exchange.next_number();
        let (target, provider) = exchange
            .target(number)
            .ok_or_else(|| Refusal::internal("more attempts than targets"))?;
        if let config::Attempt::Cluster { provider: here } = place
            && *here != provider.name
        {
            return Err(Refusal::internal(
                "an attempt reached the cluster of another provider",
            ));
        }
        let next = exchange
            .following(number, exchange.after(number))
            .and_then(|next| exchange.target(next));
        let dialect = provider.dialect.provider();
        let planned = exchange.chain.get(number).map(|planned| &planned.way);
        let (behind, content_length, headers) = match planned {
            Some(Way::Translated(written)) => (
                written.path.clone(),
                written.body.len(),
                written.headers.clone(),
            ),
            Some(Way::Passes) | None => {
                let splice = &exchange.request.splice;
                let usage = dialect.stream_usage();
                let cap = exchange.cap(number);
                let length = splice.length(exchange.body_bytes(), &target.model, usage, cap);
                (
                    dialect.passing_path(exchange.path, &provider.asked_for(target)),
                    length,
                    Vec::new(),
                )
            }
        };
        let send = Send {
            path: format!("{}{behind}", provider.path),
            authority: provider.authority.clone(),
            content_length,
            headers,
            strange: strange_to(dialect.understands()),
            cluster: provider.cluster.clone(),
            next_cluster: next.map(|(_, provider)| provider.cluster.clone()),
        };
        exchange.attempts.push(Tried {
            number,
            started: now,
            end: End::Pending,
        });
        self.state = State::ExpectReply;
        Ok(send)
    }

    /// What of the body is otherwise for this provider. `in_envoy` reads so many of the first bytes of the original
    /// again, where it was too large to keep.
    pub fn request_body(
        exchange: &Exchange,
        in_envoy: impl FnOnce(usize) -> Vec<u8>,
    ) -> Option<Rewrite<'_>> {
        let (tried, target, provider) = exchange.last()?;
        let cap = exchange.cap(tried.number);
        if let Way::Translated(written) = exchange.way()? {
            return Some(Rewrite {
                front: usize::MAX,
                bytes: Cow::Borrowed(&written.body),
            });
        }
        let usage = provider.dialect.provider().stream_usage();
        let splice = &exchange.request.splice;
        let write = |body: &[u8]| splice.write(body, &target.model, usage, cap);
        let (front, body) = match &exchange.body {
            Body::Kept(body) => (usize::MAX, write(body)),
            Body::InEnvoy { .. } => (splice.end(), write(&in_envoy(splice.end()))),
        };
        body.map(|bytes| Rewrite {
            front,
            bytes: Cow::Owned(bytes),
        })
    }

    /// The head of the provider's reply.
    pub fn reply_head(
        &mut self,
        exchange: &mut Exchange,
        head: Head<'_>,
        follows: Follows,
        now: Timestamp,
    ) -> HeadStep {
        let status = head
            .text(":status")
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        let failed = |why| Failed {
            why,
            status,
            retry_after: retry_after(head),
        };
        if let Some(left) = retry_after::left(head, now) {
            exchange.told.left = Some(left);
        }
        let step = match status {
            200..=299 => return self.good_head(exchange, head, status, follows),
            401 | 403 => self.read_error(status, Some(failed(Failure::Credential)), Next::Never),
            429 => self.read_error(
                status,
                Some(failed(Failure::RateLimited)),
                Next::of(exchange),
            ),
            408 | 500..=599 => {
                self.read_error(status, Some(failed(Failure::Status)), Next::of(exchange))
            }
            400..=499 => self.read_error(status, None, Next::Never),
            _ => self.read_error(
                status,
                Some(failed(Failure::Unreadable)),
                Next::of(exchange),
            ),
        };
        match step {
            Ok(failed) => {
                self.state = State::Ended;
                exchange.end(End::Failed(failed));
                HeadStep::Retry
            }
            Err(()) if follows == Follows::Nothing => match self.finish_error(exchange, &[]) {
                Next::Waits => HeadStep::Retry,
                Next::Never => HeadStep::Release,
            },
            Err(()) => HeadStep::Hold,
        }
    }

    /// A failure with someone left to try is over; the words of any other error are waited for.
    fn read_error(&mut self, status: u16, why: Option<Failed>, next: Next) -> Result<Failed, ()> {
        match (why, next) {
            (Some(failed), Next::Waits) => Ok(failed),
            (why, Next::Waits | Next::Never) => {
                self.state = State::ReadError { status, why };
                Err(())
            }
        }
    }

    fn good_head(
        &mut self,
        exchange: &mut Exchange,
        head: Head<'_>,
        status: u16,
        follows: Follows,
    ) -> HeadStep {
        let content_type = head
            .text("content-type")
            .unwrap_or_default()
            .to_ascii_lowercase();
        let plain = head
            .text("content-encoding")
            .is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity"));
        let shape = if content_type.starts_with("text/event-stream")
            || content_type.starts_with("application/vnd.amazon.eventstream")
        {
            Some(Shape::Events)
        } else if content_type.contains("json") {
            Some(Shape::Whole)
        } else {
            None
        };
        let kind = match exchange.endpoint.kind {
            endpoint::Kind::Forwarded {
                answers: Answers::Anything,
                ..
            }
            | endpoint::Kind::CountTokens => Some(Kind::Raw(Sort::of(head))),
            endpoint::Kind::Forwarded { .. } | endpoint::Kind::ListModels => {
                shape.and_then(|shape| Kind::of(exchange, shape))
            }
        };
        match kind {
            Some(kind) if plain && follows == Follows::More => {
                self.state = State::Judge { kind, status };
                HeadStep::Hold
            }
            _ => {
                let failed = Failed {
                    why: Failure::Unreadable,
                    status,
                    retry_after: None,
                };
                self.fail(exchange, failed)
            }
        }
    }

    /// Whether the body may become longer or shorter on its way: then its announced length is wrong.
    pub fn may_rewrite(&self) -> bool {
        let State::Judge { kind, .. } = self.state else {
            return false;
        };
        match kind {
            Kind::Events | Kind::Foreign(Shape::Events, _) => true,
            Kind::Foreign(Shape::Whole, passing) => passing == Passing::Translated,
            Kind::Whole | Kind::Raw(_) => false,
        }
    }

    /// What the body will be, where that is not what the provider says.
    pub fn content_type(&self) -> Option<&'static str> {
        let State::Judge { kind, .. } = self.state else {
            return None;
        };
        match kind {
            Kind::Foreign(Shape::Events, Passing::Translated) => Some("text/event-stream"),
            Kind::Foreign(Shape::Whole, Passing::Translated) => Some("application/json"),
            Kind::Foreign(_, Passing::Same) | Kind::Events | Kind::Whole | Kind::Raw(_) => None,
        }
    }

    fn fail(&mut self, exchange: &mut Exchange, failed: Failed) -> HeadStep {
        let next = Next::of(exchange);
        self.state = State::Ended;
        exchange.end(End::Failed(failed));
        match next {
            Next::Waits => HeadStep::Retry,
            Next::Never => HeadStep::Release,
        }
    }

    /// Bytes of the reply's body. While they are held, `bytes` is everything since the reply began.
    pub fn reply_body(
        &mut self,
        exchange: &mut Exchange,
        bytes: &[u8],
        follows: Follows,
        now: Timestamp,
    ) -> BodyStep {
        exchange.progress.last_byte = now;
        match &mut self.state {
            State::ReadError { .. }
                if follows == Follows::More && bytes.len() < JUDGED_BYTES_MAX =>
            {
                BodyStep::Hold
            }
            State::ReadError { .. } => match self.finish_error(exchange, bytes) {
                Next::Waits => BodyStep::Retry,
                Next::Never => BodyStep::Pass(sse::Output::Same),
            },
            State::Judge {
                kind: Kind::Whole,
                status,
            } => {
                let (tap, of) = (native::tapped(bytes), (Kind::Whole, *status));
                let proof = native::prove_whole(&tap, bytes, follows);
                self.judge(exchange, of, &proof, bytes)
                    .unwrap_or_else(|| self.accept_tapped(exchange, of.1, tap, follows, now))
            }
            State::Judge { kind, status } => {
                let (kind, status) = (*kind, *status);
                let (proof, heard) = kind.prove(exchange, bytes, follows);
                match (self.judge(exchange, (kind, status), &proof, bytes), heard) {
                    (Some(step), _) => step,
                    (None, Some(heard)) => self.accept_whole(exchange, status, heard, now),
                    (None, None) => self.accept(exchange, (kind, status), bytes, follows, now),
                }
            }
            State::PassForeign(foreign) => BodyStep::Pass(foreign.pass(exchange, bytes, follows)),
            State::PassRaw(raw) => BodyStep::Pass(raw.pass(exchange, bytes, follows)),
            State::PassEvents(events) => BodyStep::Pass(events.pass(exchange, bytes, follows)),
            State::PassWhole(tap) => {
                tap.feed(bytes);
                if follows == Follows::Nothing {
                    native::read_whole(exchange, tap);
                }
                BodyStep::Pass(sse::Output::Same)
            }
            State::ExpectRequest | State::ExpectReply | State::Ended => {
                BodyStep::Pass(sse::Output::Same)
            }
        }
    }

    /// Whether somebody waits for just this error.
    fn finish_error(&mut self, exchange: &mut Exchange, body: &[u8]) -> Next {
        let State::ReadError { status, why } = std::mem::replace(&mut self.state, State::Ended)
        else {
            return Next::Never;
        };
        let end = match why {
            Some(failed) => End::Failed(failed),
            None => refused(exchange, status, body),
        };
        let special = matches!(
            end.why(),
            Some(Failure::ContextWindow | Failure::ContentPolicy)
        );
        exchange.end(end);
        if special { Next::Waits } else { Next::Never }
    }

    /// None if the reply is accepted.
    fn judge(
        &mut self,
        exchange: &mut Exchange,
        (kind, status): (Kind, u16),
        proof: &Proof,
        bytes: &[u8],
    ) -> Option<BodyStep> {
        let why = match proof {
            Proof::Good => return None,
            // A whole reply is translated when it is whole; Envoy bounds how much it holds.
            Proof::Open if matches!(kind, Kind::Foreign(Shape::Whole, _)) => {
                return Some(BodyStep::Hold);
            }
            Proof::Open => return (bytes.len() < JUDGED_BYTES_MAX).then_some(BodyStep::Hold),
            Proof::Failed(why) => *why,
        };
        let failed = Failed {
            why,
            status,
            retry_after: None,
        };
        Some(match self.fail(exchange, failed) {
            HeadStep::Retry => BodyStep::Retry,
            HeadStep::Hold | HeadStep::Release => BodyStep::Pass(sse::Output::Same),
        })
    }

    fn accept(
        &mut self,
        exchange: &mut Exchange,
        (kind, status): (Kind, u16),
        bytes: &[u8],
        follows: Follows,
        now: Timestamp,
    ) -> BodyStep {
        accepted(exchange, status, now);
        self.state = match kind {
            Kind::Events => State::PassEvents(Box::default()),
            Kind::Whole => State::PassWhole(Box::new(native::tapped(&[]))),
            Kind::Raw(sort) => State::PassRaw(Raw::new(sort)),
            // It is accepted when it was read.
            Kind::Foreign(Shape::Whole, _) => State::Ended,
            Kind::Foreign(Shape::Events, passing) => match Foreign::new(exchange, passing) {
                Some(foreign) => State::PassForeign(Box::new(foreign)),
                None => State::Ended,
            },
        };
        self.reply_body(exchange, bytes, follows, now)
    }

    fn accept_whole(
        &mut self,
        exchange: &mut Exchange,
        status: u16,
        (heard, passing): (Heard, Passing),
        now: Timestamp,
    ) -> BodyStep {
        accepted(exchange, status, now);
        self.state = State::Ended;
        BodyStep::Pass(foreign::pass_whole(exchange, heard, passing))
    }

    /// Of OpenAI's own: what has come of it was read to prove it.
    fn accept_tapped(
        &mut self,
        exchange: &mut Exchange,
        status: u16,
        tap: Tap,
        follows: Follows,
        now: Timestamp,
    ) -> BodyStep {
        accepted(exchange, status, now);
        // Its head goes now, and says what it costs if that has come.
        native::read_usage(exchange, &tap);
        self.state = State::PassWhole(Box::new(tap));
        self.reply_body(exchange, &[], follows, now)
    }
}

fn accepted(exchange: &mut Exchange, status: u16, now: Timestamp) {
    exchange.end(End::Accepted { status });
    exchange.progress.first_token = Some(now);
    exchange.forget_bodies();
}

impl Kind {
    /// None for a reply that is not what was asked for: a translated stream cannot be made of a whole reply.
    fn of(exchange: &Exchange, shape: Shape) -> Option<Self> {
        let (_, _, provider) = exchange.last()?;
        let asked = match exchange.request.reply {
            Reply::Whole => Shape::Whole,
            Reply::Streamed(_) => Shape::Events,
        };
        match exchange.way()? {
            Way::Passes if provider.dialect.provider().understands() == "openai" => {
                Some(match shape {
                    Shape::Events => Self::Events,
                    Shape::Whole => Self::Whole,
                })
            }
            Way::Passes => Some(Self::Foreign(shape, Passing::Same)),
            Way::Translated(_) => {
                (shape == asked).then_some(Self::Foreign(shape, Passing::Translated))
            }
        }
    }

    /// What the bytes prove; with a reply in one piece what was read of it, so that it is read once.
    fn prove(
        self,
        exchange: &Exchange,
        bytes: &[u8],
        follows: Follows,
    ) -> (Proof, Option<(Heard, Passing)>) {
        let dialect = exchange
            .last()
            .map(|(_, _, provider)| provider.dialect.provider());
        let proof = match (self, dialect) {
            (Self::Events, _) => native::prove_events(bytes, follows),
            (Self::Whole, _) => native::prove_whole(&native::tapped(bytes), bytes, follows),
            (Self::Raw(sort), _) => sort.prove(bytes, follows),
            (Self::Foreign(Shape::Events, _), Some(dialect)) => {
                foreign::prove_events(dialect, bytes, follows)
            }
            (Self::Foreign(Shape::Whole, passing), Some(dialect)) => {
                let (proof, heard) = foreign::read_whole(dialect, bytes, follows);
                return (proof, heard.map(|heard| (heard, passing)));
            }
            (Self::Foreign(..), None) => Proof::Failed(Failure::Unreadable),
        };
        (proof, None)
    }
}

impl Default for Attempt {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Waits,
    Never,
}

impl Next {
    fn of(exchange: &Exchange) -> Self {
        if exchange.has_next() {
            Self::Waits
        } else {
            Self::Never
        }
    }
}

/// Seconds or a date, as it came, if it is short and harmless.
fn retry_after(head: Head<'_>) -> Option<String> {
    head.text("retry-after")
        .filter(|text| {
            text.len() <= 64
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() || byte == b' ')
        })
        .map(str::to_owned)
}

/// A refusal in the words of the caller's dialect. What the provider says of our own credential stays here.
fn refused(exchange: &Exchange, status: u16, body: &[u8]) -> End {
    let own_words = || End::Refused {
        status,
        body: native::own_words(body),
    };
    let Some((tried, _, provider)) = exchange.last() else {
        return own_words();
    };
    let complaint = provider.dialect.provider().complaint(status, body);
    let special = match complaint.class {
        Class::ContextLength => Some((Failure::ContextWindow, After::ContextWindow)),
        Class::ContentFilter => Some((Failure::ContentPolicy, After::ContentPolicy)),
        Class::Unknown
        | Class::Invalid
        | Class::Authentication
        | Class::Permission
        | Class::NotFound
        | Class::TooLarge
        | Class::RateLimited
        | Class::Quota
        | Class::Timeout
        | Class::Overloaded
        | Class::Server => None,
    };
    if let Some((why, after)) = special
        && exchange.following(tried.number, after).is_some()
    {
        return End::Failed(Failed {
            why,
            status,
            retry_after: None,
        });
    }
    if !matches!(exchange.way(), Some(Way::Translated(_))) {
        return own_words();
    }
    if complaint.class.is_the_operators() {
        return End::Failed(Failed {
            why: Failure::Credential,
            status,
            retry_after: None,
        });
    }
    let body = exchange
        .endpoint
        .client
        .error(status, &Fault::from(&complaint));
    End::Refused { status, body }
}

/// What the first bytes of a reply prove.
#[derive(Debug, PartialEq, Eq)]
enum Proof {
    Open,
    Good,
    Failed(Failure),
}

#[cfg(test)]
mod tests;
