//! OpenAI's own replies for callers who speak it: bytes pass as they came, and each event is looked at once.

use crate::dialect::openai::{self, Complaint, Event, Look};
use crate::handoff::{Ending, Exchange, Failure};
use crate::json_tap::Tap;
use crate::refusal::Refusal;
use crate::request::{Reply, UsageEvent};
use crate::sse::{self, Splitter, Verdict};

use super::{Follows, Proof};

/// The fields of a whole reply that are read while it passes.
const REPLY_FIELDS: &[&str] = &["error", "usage", "choices", "data", "output", "results"];

#[derive(Debug, Default)]
pub(super) struct Events {
    splitter: Splitter,
}

/// What is read of a whole reply, as far as it has come.
pub(super) fn tapped(bytes: &[u8]) -> Tap {
    let mut tap = Tap::new(REPLY_FIELDS);
    tap.feed(bytes);
    tap
}

/// An error body that the caller's SDK can read; anything else (a page, a stack trace) stays here.
pub(super) fn own_words(body: &[u8]) -> Vec<u8> {
    let tap = tapped(body);
    let said = tap.value("error").and_then(openai::complaint);
    let valid = || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    match said {
        Some(complaint) if complaint != Complaint::default() && valid() => body.to_vec(),
        _ => Vec::new(),
    }
}

pub(super) fn prove_events(bytes: &[u8], follows: Follows) -> Proof {
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

pub(super) fn prove_whole(tap: &Tap, bytes: &[u8], follows: Follows) -> Proof {
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

/// What was used, as soon as it was said.
pub(super) fn read_usage(exchange: &mut Exchange, tap: &Tap) {
    if let Some(report) = tap.value("usage").and_then(openai::usage) {
        exchange.progress.report(&report);
    }
}

pub(super) fn read_whole(exchange: &mut Exchange, tap: &Tap) {
    read_usage(exchange, tap);
    let progress = &mut exchange.progress;
    let text = tap.value("choices").map_or(0, <[u8]>::len);
    progress.text_bytes = u64::try_from(text).unwrap_or(u64::MAX);
    progress.ending = Ending::Complete;
}

impl Events {
    pub(super) fn pass(
        &mut self,
        exchange: &mut Exchange,
        bytes: &[u8],
        follows: Follows,
    ) -> sse::Output {
        let hides_usage = exchange.request.reply == Reply::Streamed(UsageEvent::Hidden);
        let progress = &mut exchange.progress;
        let output = self.splitter.feed(bytes, |data| {
            let event = openai::event(data, Look::Quickly);
            let text = match &event {
                Event::Content(text) => Some(*text),
                Event::ContentAndUsage(text, report) => {
                    progress.report(report);
                    Some(*text)
                }
                Event::UsageOnly(report) => {
                    progress.report(report);
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
