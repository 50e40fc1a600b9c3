//! Readers of replies that come as AWS's event stream: the frames are shared, the meaning is each dialect's.

use crate::dialect::base64;
use crate::dialect::event::{Class, Complaint, Event};
use crate::dialect::json::{Json, Tape};
use crate::dialect::speak::Reader;
use crate::dialect::sse_reader::Meaning;
use crate::eventstream::{Frame, Frames};

/// What the frames of one dialect mean.
pub trait FrameMeaning {
    /// Takes the payload of one event, by the name of its kind.
    fn event(&mut self, kind: &str, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>));

    /// The bytes are over.
    fn finish(&mut self, _sink: &mut dyn FnMut(Event<'_>)) {}
}

/// Cuts bytes into frames and reads each as JSON.
#[derive(Debug, Default)]
pub struct FrameReader<M> {
    frames: Frames,
    tape: Tape,
    meaning: M,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Reading,
    GivenUp,
}

impl<M: FrameMeaning> Reader for FrameReader<M> {
    fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Event<'_>)) {
        let Self {
            frames,
            tape,
            meaning,
            state,
        } = self;
        if *state == State::GivenUp {
            return;
        }
        let outcome = frames.feed(bytes, |frame| {
            let kind = frame.header(":event-type");
            match (kind, tape.read(frame.payload)) {
                (Some(kind), Ok(json)) => meaning.event(kind, json, sink),
                (None, json) => sink(Event::Error(&exception(frame, json.ok()))),
                (Some(_), Err(_)) => {}
            }
        });
        if outcome.is_err() {
            *state = State::GivenUp;
            let message = "The provider's stream is broken: its checksums or lengths are wrong.";
            sink(Event::Error(&Complaint::new(
                message,
                "broken_stream",
                Class::Server,
            )));
        }
    }

    fn finish(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        if self.state == State::Reading {
            self.meaning.finish(sink);
        }
    }

    fn held(&self) -> usize {
        self.frames.held()
    }
}

fn exception(frame: Frame<'_>, json: Option<Json<'_>>) -> Complaint {
    let code = frame
        .header(":exception-type")
        .or_else(|| frame.header(":error-code"))
        .unwrap_or_default();
    let message = json
        .and_then(|json| json.text_of("message").or_else(|| json.text_of("Message")))
        .or_else(|| frame.header(":error-message").map(Into::into))
        .unwrap_or_default();
    Complaint::new(&message, code, Class::Unknown).classified(None)
}

/// `{"bytes": "..."}`: events of another dialect, wrapped.
#[derive(Debug, Default)]
pub struct Wrapped<M> {
    tape: Tape,
    inner: M,
}

impl<M: Meaning> FrameMeaning for Wrapped<M> {
    fn event(&mut self, _kind: &str, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let bytes = json.text_of("bytes").and_then(|text| base64::decode(&text));
        if let Some(Ok(json)) = bytes.as_deref().map(|bytes| self.tape.read(bytes)) {
            self.inner.event(json, sink);
        }
    }

    fn finish(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        self.inner.finish(sink);
    }
}
