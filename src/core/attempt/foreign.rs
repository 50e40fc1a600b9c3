//! Replies that are read through the neutral form: translated for the caller, or passed on as they are while
//! their events are counted.

use crate::dialect::event::{Event, Report};
use crate::dialect::passage::{self, End, Heard, Passage, Seen};
use crate::dialect::speak::{Fault, Provider, Unreadable};
use crate::handoff::{Ending, Exchange, Failure, Progress};
use crate::refusal::Refusal;
use crate::sse::{Output, Splitter, Verdict};
use crate::units::Tokens;
use crate::usage::Usage;

use super::{Follows, Proof};

/// Whether a reply comes in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Events,
    Whole,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passing {
    Same,
    Translated,
}

/// What the first bytes of a stream prove.
pub(super) fn prove_events(provider: &dyn Provider, bytes: &[u8], follows: Follows) -> Proof {
    let mut proof = Proof::Open;
    let mut reader = provider.reader();
    let mut judge = |event: Event<'_>| {
        if proof == Proof::Open {
            proof = if matches!(event, Event::Error(_)) {
                Proof::Failed(Failure::ErrorInReply)
            } else if matches!(event, Event::Done) {
                Proof::Failed(Failure::NoFirstToken)
            } else if event.is_content() {
                Proof::Good
            } else {
                Proof::Open
            };
        }
    };
    reader.feed(bytes, &mut judge);
    if follows == Follows::Nothing {
        reader.finish(&mut judge);
    }
    match (proof, follows) {
        (Proof::Open, Follows::Nothing) => Proof::Failed(Failure::NoFirstToken),
        (proof, _) => proof,
    }
}

/// A reply in one piece is read when it is whole, and once.
pub(super) fn read_whole(
    provider: &dyn Provider,
    bytes: &[u8],
    follows: Follows,
) -> (Proof, Option<Heard>) {
    if follows == Follows::More {
        return (Proof::Open, None);
    }
    match Heard::read(provider, bytes) {
        Ok(heard) if heard.failed() => (Proof::Failed(Failure::ErrorInReply), None),
        Ok(heard) => (Proof::Good, Some(heard)),
        Err(Unreadable) => (Proof::Failed(Failure::Unreadable), None),
    }
}

/// A reply in one piece, for the caller.
pub(super) fn pass_whole(exchange: &mut Exchange, heard: Heard, passing: Passing) -> Output {
    let prompt = exchange.prompt.tokens;
    let asked = exchange.asked();
    let client = (exchange.endpoint.client, &asked);
    let (body, seen) = heard.answer(client, &mut |seen| Some(ours(prompt, seen)));
    note(&mut exchange.progress, &seen);
    exchange.progress.ending = Ending::Complete;
    match passing {
        Passing::Same => Output::Same,
        Passing::Translated => Output::Changed(body),
    }
}

/// A stream on its way.
pub(super) struct Foreign {
    passage: Passage,
    /// Set where the bytes go on as they came: holds the event that is not whole, so that one of ours can follow.
    same: Option<Splitter>,
}

impl Foreign {
    pub(super) fn new(exchange: &Exchange, passing: Passing) -> Option<Self> {
        let (_, _, provider) = exchange.last()?;
        let asked = exchange.asked();
        let client = exchange.endpoint.client;
        Some(Self {
            passage: Passage::new(provider.dialect.provider(), client, asked),
            same: (passing == Passing::Same).then(Splitter::default),
        })
    }

    pub(super) fn pass(
        &mut self,
        exchange: &mut Exchange,
        bytes: &[u8],
        follows: Follows,
    ) -> Output {
        let prompt = exchange.prompt.tokens;
        let mut count = |seen: &Seen| Some(ours(prompt, seen));
        let mut written = Vec::new();
        self.passage.feed(bytes, &mut written, &mut count);
        let mut tail = Vec::new();
        if follows == Follows::Nothing {
            let name = exchange
                .last()
                .map_or("?", |(_, _, provider)| provider.name.as_str());
            let cut = Refusal::stream_cut(name);
            self.passage
                .finish(&Fault::from(&cut), &mut tail, &mut count);
        }
        let seen = self.passage.seen();
        note(&mut exchange.progress, seen);
        if follows == Follows::Nothing && seen.end == End::Open {
            exchange.progress.ending = Ending::Failed;
        }
        let Some(splitter) = &mut self.same else {
            written.extend_from_slice(&tail);
            return Output::Changed(written);
        };
        let output = splitter.feed(bytes, |_| Verdict::Keep);
        if follows == Follows::More {
            return output;
        }
        let rest = splitter.rest();
        let last = match exchange.progress.ending {
            Ending::Complete | Ending::Open => rest,
            Ending::Failed if seen.end == End::Open => tail,
            // The provider's own error has passed.
            Ending::Failed => rest,
        };
        if last.is_empty() {
            return output;
        }
        let mut all = match output {
            Output::Same => bytes.to_vec(),
            Output::Changed(all) => all,
        };
        all.extend_from_slice(&last);
        Output::Changed(all)
    }
}

/// Tokens of the answer where nobody reports them: most providers send a token an event, some several.
fn ours(prompt: Tokens, seen: &Seen) -> Report {
    Report {
        usage: Usage {
            input: prompt,
            output: Tokens(seen.text_bytes.div_ceil(4).max(seen.content_events)),
            ..Usage::default()
        },
        ..Report::default()
    }
}

fn note(progress: &mut Progress, seen: &Seen) {
    progress.content_events = seen.content_events;
    progress.text_bytes = seen.text_bytes;
    progress.suspect = seen.suspect;
    if seen.counted == passage::Counted::ByProvider {
        progress.usage = seen.report.map(|report| report.usage);
    }
    progress.ending = match seen.end {
        End::Open => Ending::Open,
        End::Done => Ending::Complete,
        End::Failed(_) => Ending::Failed,
    };
}
