//! Readers of replies that come as server-sent events: the cutting is shared, the meaning is each dialect's.

use crate::dialect::event::{Class, Complaint, Event};
use crate::dialect::json::{Json, Tape};
use crate::dialect::speak::Reader;
use crate::sse::{Splitter, Verdict};

/// What the events of one dialect mean.
pub trait Meaning {
    /// Takes the data of one event.
    fn event(&mut self, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>));

    /// Takes data that is no JSON; `[DONE]` is such.
    fn word(&mut self, _data: &[u8], _sink: &mut dyn FnMut(Event<'_>)) {}

    /// The bytes are over.
    fn finish(&mut self, _sink: &mut dyn FnMut(Event<'_>)) {}
}

/// Cuts bytes into events and reads each as JSON.
#[derive(Debug, Default)]
pub struct SseReader<M> {
    splitter: Splitter,
    tape: Tape,
    meaning: M,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Reading,
    /// One event was too long to be read: nothing after it can be trusted to be complete.
    GivenUp,
}

impl<M: Meaning> SseReader<M> {
    fn take(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Event<'_>)) {
        let Self {
            splitter,
            tape,
            meaning,
            ..
        } = self;
        splitter.feed(bytes, |data| {
            let data = data.trim_ascii();
            if data.is_empty() {
                return Verdict::Keep;
            }
            match tape.read(data) {
                Ok(json) => meaning.event(json, sink),
                Err(_) => meaning.word(data, sink),
            }
            Verdict::Keep
        });
    }
}

impl<M: Meaning> Reader for SseReader<M> {
    fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Event<'_>)) {
        if self.state == State::GivenUp {
            return;
        }
        self.take(bytes, sink);
        if self.splitter.passes() {
            self.state = State::GivenUp;
            self.splitter.rest();
            let complaint = Complaint::new(
                "One event of the provider's stream is longer than is read here.",
                "event_too_long",
                Class::Server,
            );
            sink(Event::Error(&complaint));
        }
    }

    fn finish(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        if self.state == State::GivenUp {
            return;
        }
        // Some servers forget the blank line behind their last event.
        self.take(b"\n\n", sink);
        self.splitter.rest();
        self.meaning.finish(sink);
    }

    fn held(&self) -> usize {
        self.splitter.held()
    }
}
