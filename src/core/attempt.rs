//! The attempt role, once per attempt: writes the request for one provider and judges its reply.

use crate::config;
use crate::dialect::openai::{self, Complaint, Event, Look};
use crate::handoff::{Body, End, Ending, Exchange, Failed, Failure, Tried};
use crate::head::Head;
use crate::json_tap::Tap;
use crate::refusal::Refusal;
use crate::request::{Reply, UsageEvent};
use crate::sse::{self, Splitter, Verdict};
use crate::units::Timestamp;

/// How much of a reply is held to see whether it is an answer.
const JUDGED_BYTES_MAX: usize = 65_536;

/// The fields of a whole reply that are read while it passes.
const REPLY_FIELDS: &[&str] = &["error", "usage", "choices", "data", "output", "results"];

/// How a request goes to a provider.
#[derive(Debug, PartialEq, Eq)]
pub struct Send {
    /// Behind the authority.
    pub path: String,
    /// Of the provider.
    pub authority: String,
    /// Of the body as this provider gets it.
    pub content_length: usize,
    /// Its cluster.
    pub cluster: String,
    /// The cluster that Envoy asks next if this attempt fails.
    pub next_cluster: Option<String>,
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
#[derive(Debug)]
pub struct Attempt {
    state: State,
}

#[derive(Debug)]
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
    /// Whatever still comes is nobody's.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Events,
    Whole,
}

#[derive(Debug, Default)]
struct Events {
    splitter: Splitter,
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
        let number = exchange.attempts.len();
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
        let next = exchange.target(number.saturating_add(1));
        let send = Send {
            path: format!("{}{}", provider.path, exchange.path),
            authority: provider.authority.clone(),
            content_length: exchange
                .request
                .splice
                .length(exchange.body_bytes(), &target.model),
            cluster: provider.cluster.clone(),
            next_cluster: next.map(|(_, provider)| provider.cluster.clone()),
        };
        exchange.attempts.push(Tried {
            target: number,
            started: now,
            end: End::Pending,
        });
        self.state = State::ExpectReply;
        Ok(send)
    }

    /// The body for this provider. `in_envoy` reads the original again where it was too large to keep.
    pub fn request_body(
        exchange: &Exchange,
        in_envoy: impl FnOnce() -> Vec<u8>,
    ) -> Option<Vec<u8>> {
        let (_, target, _) = exchange.last()?;
        match &exchange.body {
            Body::Kept(body) => exchange.request.splice.write(body, &target.model),
            Body::InEnvoy { .. } => exchange.request.splice.write(&in_envoy(), &target.model),
        }
    }

    /// The head of the provider's reply.
    pub fn reply_head(
        &mut self,
        exchange: &mut Exchange,
        head: Head<'_>,
        follows: Follows,
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
            Err(()) if follows == Follows::Nothing => {
                self.finish_error(exchange, &[]);
                HeadStep::Release
            }
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
        let kind = if content_type.starts_with("text/event-stream") {
            Some(Kind::Events)
        } else if content_type.contains("json") {
            Some(Kind::Whole)
        } else {
            None
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
        matches!(
            self.state,
            State::Judge {
                kind: Kind::Events,
                ..
            }
        )
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
            State::ReadError { .. } => {
                self.finish_error(exchange, bytes);
                BodyStep::Pass(sse::Output::Same)
            }
            State::Judge { kind, status } => {
                let (kind, status) = (*kind, *status);
                let proof = kind.prove(bytes, follows);
                match self.judge(exchange, status, &proof, bytes) {
                    Some(step) => step,
                    None => self.accept(exchange, (kind, status), bytes, follows, now),
                }
            }
            State::PassEvents(events) => BodyStep::Pass(events.pass(exchange, bytes, follows)),
            State::PassWhole(tap) => {
                tap.feed(bytes);
                if follows == Follows::Nothing {
                    read_whole(exchange, tap);
                }
                BodyStep::Pass(sse::Output::Same)
            }
            State::ExpectRequest | State::ExpectReply | State::Ended => {
                BodyStep::Pass(sse::Output::Same)
            }
        }
    }

    fn finish_error(&mut self, exchange: &mut Exchange, body: &[u8]) {
        let State::ReadError { status, why } = std::mem::replace(&mut self.state, State::Ended)
        else {
            return;
        };
        exchange.end(why.map_or_else(
            || End::Refused {
                status,
                body: own_words(body),
            },
            End::Failed,
        ));
    }

    /// None if the reply is accepted.
    fn judge(
        &mut self,
        exchange: &mut Exchange,
        status: u16,
        proof: &Proof,
        bytes: &[u8],
    ) -> Option<BodyStep> {
        let why = match proof {
            Proof::Good => return None,
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
        exchange.end(End::Accepted { status });
        exchange.progress.first_token = Some(now);
        // No attempt follows: the body is not needed any more.
        exchange.body = Body::InEnvoy {
            bytes: exchange.body_bytes(),
        };
        self.state = match kind {
            Kind::Events => State::PassEvents(Box::default()),
            Kind::Whole => State::PassWhole(Box::new(Tap::new(REPLY_FIELDS))),
        };
        self.reply_body(exchange, bytes, follows, now)
    }
}

impl Kind {
    fn prove(self, bytes: &[u8], follows: Follows) -> Proof {
        match self {
            Self::Events => prove_events(bytes, follows),
            Self::Whole => prove_whole(bytes, follows),
        }
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

/// An error body that the caller's SDK can read; anything else (a page, a stack trace) stays here.
fn own_words(body: &[u8]) -> Vec<u8> {
    let mut tap = Tap::new(REPLY_FIELDS);
    tap.feed(body);
    let said = tap.value("error").and_then(openai::complaint);
    let valid = || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    match said {
        Some(complaint) if complaint != Complaint::default() && valid() => body.to_vec(),
        _ => Vec::new(),
    }
}

/// What the first bytes of a reply prove.
#[derive(Debug, PartialEq, Eq)]
enum Proof {
    Open,
    Good,
    Failed(Failure),
}

fn prove_events(bytes: &[u8], follows: Follows) -> Proof {
    let mut proof = Proof::Open;
    Splitter::default().feed(bytes, |data| {
        if proof == Proof::Open {
            proof = match openai::event(data, Look::Closely) {
                Event::Lifecycle => Proof::Open,
                Event::Content(_) | Event::ContentAndUsage(..) | Event::UsageOnly(_) => Proof::Good,
                Event::Error(_) => Proof::Failed(Failure::ErrorInReply),
                Event::Done => Proof::Failed(Failure::NoFirstToken),
            };
        }
        Verdict::Keep
    });
    match (proof, follows) {
        (Proof::Open, Follows::Nothing) => Proof::Failed(Failure::NoFirstToken),
        (proof, _) => proof,
    }
}

fn prove_whole(bytes: &[u8], follows: Follows) -> Proof {
    let mut tap = Tap::new(REPLY_FIELDS);
    tap.feed(bytes);
    let error = tap
        .value("error")
        .is_some_and(|value| value.trim_ascii() != b"null");
    if error {
        return Proof::Failed(Failure::ErrorInReply);
    }
    if ["choices", "data", "output", "results"]
        .iter()
        .any(|name| tap.has_begun(name))
    {
        return Proof::Good;
    }
    match follows {
        Follows::More => Proof::Open,
        Follows::Nothing if serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() => {
            Proof::Good
        }
        Follows::Nothing => Proof::Failed(Failure::Unreadable),
    }
}

fn read_whole(exchange: &mut Exchange, tap: &Tap) {
    let progress = &mut exchange.progress;
    progress.usage = tap.value("usage").and_then(openai::usage);
    let text = tap.value("choices").map_or(0, <[u8]>::len);
    progress.text_bytes = u64::try_from(text).unwrap_or(u64::MAX);
    progress.ending = Ending::Complete;
}

impl Events {
    fn pass(&mut self, exchange: &mut Exchange, bytes: &[u8], follows: Follows) -> sse::Output {
        let hides_usage = exchange.request.reply == Reply::Streamed(UsageEvent::Hidden);
        let progress = &mut exchange.progress;
        let output = self.splitter.feed(bytes, |data| {
            let event = openai::event(data, Look::Quickly);
            let text = match &event {
                Event::Content(text) => Some(*text),
                Event::ContentAndUsage(text, usage) => {
                    progress.usage = Some(*usage);
                    Some(*text)
                }
                Event::UsageOnly(usage) => {
                    progress.usage = Some(*usage);
                    return if hides_usage {
                        Verdict::Drop
                    } else {
                        Verdict::Keep
                    };
                }
                Event::Error(_) => {
                    progress.ending = Ending::Failed;
                    None
                }
                Event::Done if progress.ending == Ending::Open => {
                    progress.ending = Ending::Complete;
                    None
                }
                Event::Done | Event::Lifecycle => None,
            };
            if let Some(text) = text.filter(|text| *text > 0) {
                progress.content_events = progress.content_events.saturating_add(1);
                let text = u64::try_from(text).unwrap_or(u64::MAX);
                progress.text_bytes = progress.text_bytes.saturating_add(text);
            }
            Verdict::Keep
        });
        match (follows, exchange.progress.ending) {
            (Follows::More, _) => output,
            (Follows::Nothing, Ending::Open) => self.end_legally(exchange, bytes, output),
            (Follows::Nothing, Ending::Complete | Ending::Failed) => self.flush(bytes, output),
        }
    }

    /// SDKs take a bare end for success, so a stream without its terminator gets an error event; an event
    /// that never became whole is not passed on.
    fn end_legally(
        &mut self,
        exchange: &mut Exchange,
        bytes: &[u8],
        output: sse::Output,
    ) -> sse::Output {
        self.splitter.rest();
        exchange.progress.ending = Ending::Failed;
        let provider = exchange
            .last()
            .map_or("?", |(_, _, provider)| provider.name.as_str());
        let refusal = Refusal::stream_cut(provider);
        let mut written = written(bytes, output);
        written.extend_from_slice(&openai::error_event(&refusal));
        sse::Output::Changed(written)
    }

    fn flush(&mut self, bytes: &[u8], output: sse::Output) -> sse::Output {
        let rest = self.splitter.rest();
        if rest.is_empty() {
            return output;
        }
        let mut written = written(bytes, output);
        written.extend_from_slice(&rest);
        sse::Output::Changed(written)
    }
}

fn written(bytes: &[u8], output: sse::Output) -> Vec<u8> {
    match output {
        sse::Output::Same => bytes.to_vec(),
        sse::Output::Changed(written) => written,
    }
}

#[cfg(test)]
mod tests;
