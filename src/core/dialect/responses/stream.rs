//! Answers in OpenAI's Responses, as the family of events that builds them up. The protocol repeats at the
//! end of each item, and of the whole, what was said: so it is held here, within [`Reply`]'s bound.

use crate::dialect::event::{Event, Finish};
use crate::dialect::openai::reply::tokens;
use crate::dialect::reply::{Reply, Said};
use crate::dialect::responses::reply::{Status, content_part, id, item, item_id, response};
use crate::dialect::speak::{Asked, Fault, Stream};
use crate::dialect::writer::Writer;

/// Writes items.
#[derive(Debug)]
pub struct Items {
    asked: Asked,
    reply: Reply,
    /// The names of the items, by position.
    names: Vec<String>,
    /// Positions of items that are not complete.
    open: Vec<usize>,
    number: u64,
    /// The probabilities of the words that come next.
    likely: Option<String>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    ExpectStart,
    Open,
    Ended,
}

impl Items {
    /// Nothing written yet.
    pub fn new(asked: Asked) -> Self {
        Self {
            asked,
            reply: Reply::default(),
            names: Vec::new(),
            open: Vec::new(),
            number: 0,
            likely: None,
            state: State::ExpectStart,
        }
    }

    fn event(&mut self, out: &mut Vec<u8>, name: &str, fill: impl FnOnce(&Self, &mut Writer<'_>)) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        Writer::new(out).object(|o| {
            o.key("type").text(name);
            o.key("sequence_number").whole(self.number);
            fill(self, o);
        });
        out.extend_from_slice(b"\n\n");
        self.number = self.number.saturating_add(1);
    }

    fn snapshot(
        &mut self,
        out: &mut Vec<u8>,
        name: &str,
        status: Status,
        fault: Option<&Fault<'_>>,
    ) {
        self.event(out, name, |this, o| {
            o.key("response")
                .object(|o| response(o, &this.asked, &this.reply, status, fault));
        });
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.state == State::ExpectStart {
            self.state = State::Open;
            self.snapshot(out, "response.created", Status::InProgress, None);
            self.snapshot(out, "response.in_progress", Status::InProgress, None);
        }
    }

    fn said(&self) -> &[Said] {
        self.reply
            .choices
            .first()
            .map_or(&[], |choice| choice.said.as_slice())
    }

    /// An event about an item: its place and name come first.
    fn about(
        &mut self,
        out: &mut Vec<u8>,
        (at, name): (usize, &str),
        fill: impl FnOnce(&Said, &mut Writer<'_>),
    ) {
        self.event(out, name, |this, o| {
            let Some(said) = this.said().get(at) else {
                return;
            };
            let id = this.names.get(at).map_or("", String::as_str);
            o.key("output_index").whole(whole(at));
            if !name.starts_with("response.output_item") {
                o.key("item_id").text(id);
            }
            fill(said, o);
        });
    }

    /// Whatever the last event began is announced; words and thoughts before it are complete.
    fn announce(&mut self, before: usize, out: &mut Vec<u8>) {
        let now = self.said().len();
        for at in before..now {
            self.close(out, |said| !matches!(said, Said::Call { .. }));
            self.open.push(at);
            let said = self.said().get(at);
            let name = said.map(|said| item_id(&id(&self.asked, &self.reply), said, at));
            self.names.push(name.unwrap_or_default());
            self.item(out, at, "response.output_item.added", Status::InProgress);
            let kind = self.said().get(at).map(Part::of);
            match kind {
                Some(Part::Content) => {
                    self.about(out, (at, "response.content_part.added"), |said, o| {
                        o.key("content_index").whole(0);
                        o.key("part")
                            .object(|o| content_part(o, &emptied(said), &[]));
                    })
                }
                Some(Part::Summary) => self.about(
                    out,
                    (at, "response.reasoning_summary_part.added"),
                    |_, o| summary(o, ""),
                ),
                Some(Part::Nothing) | None => {}
            }
        }
    }

    fn item(&mut self, out: &mut Vec<u8>, at: usize, name: &str, status: Status) {
        self.event(out, name, |this, o| {
            let Some(said) = this.said().get(at) else {
                return;
            };
            let id = this.names.get(at).map_or("", String::as_str);
            o.key("output_index").whole(whole(at));
            o.key("item").object(|o| match status {
                // Its parts are announced one by one.
                Status::InProgress => item(o, id, (&emptied(said), &[]), status),
                Status::Completed | Status::Incomplete(_) | Status::Failed => {
                    item(o, id, (said, this.logprobs()), status);
                }
            });
        });
    }

    fn close(&mut self, out: &mut Vec<u8>, which: impl Fn(&Said) -> bool) {
        let open = std::mem::take(&mut self.open);
        for at in open {
            if self.said().get(at).is_some_and(&which) {
                self.complete(out, at);
            } else {
                self.open.push(at);
            }
        }
    }

    fn complete(&mut self, out: &mut Vec<u8>, at: usize) {
        let Some(said) = self.said().get(at).cloned() else {
            return;
        };
        match &said {
            Said::Text(text) => {
                let logprobs = self.logprobs().to_vec();
                self.about(out, (at, "response.output_text.done"), |_, o| {
                    o.key("content_index").whole(0);
                    o.key("text").text(text);
                    o.key("logprobs")
                        .list(|list| logprobs.iter().for_each(|piece| tokens(list, piece)));
                });
                self.part_done(out, at);
            }
            Said::Refusal(text) => {
                self.about(out, (at, "response.refusal.done"), |_, o| {
                    o.key("content_index").whole(0);
                    o.key("refusal").text(text);
                });
                self.part_done(out, at);
            }
            Said::Thinking { text, .. } => {
                self.about(out, (at, "response.reasoning_summary_text.done"), |_, o| {
                    o.key("summary_index").whole(0);
                    o.key("text").text(text);
                });
                self.about(out, (at, "response.reasoning_summary_part.done"), |_, o| {
                    summary(o, text);
                });
            }
            Said::SealedThinking(_) => {}
            Said::Call { arguments, .. } => {
                self.about(
                    out,
                    (at, "response.function_call_arguments.done"),
                    |_, o| o.key("arguments").text(arguments),
                );
            }
        }
        self.item(out, at, "response.output_item.done", Status::Completed);
    }

    fn part_done(&mut self, out: &mut Vec<u8>, at: usize) {
        let logprobs = self.logprobs().to_vec();
        self.about(out, (at, "response.content_part.done"), |said, o| {
            o.key("content_index").whole(0);
            o.key("part").object(|o| content_part(o, said, &logprobs));
        });
    }

    fn delta(&mut self, out: &mut Vec<u8>, (name, index): (&str, &str), text: &str) {
        let Some(at) = self.said().len().checked_sub(1) else {
            return;
        };
        let likely = std::mem::take(&mut self.likely);
        self.about(out, (at, name), |_, o| {
            o.key(index).whole(0);
            o.key("delta").text(text);
            if name == "response.output_text.delta" {
                o.key("logprobs")
                    .list(|list| likely.iter().for_each(|piece| tokens(list, piece)));
            }
        });
    }

    /// Of all words so far.
    fn logprobs(&self) -> &[String] {
        let first = self.reply.choices.first();
        first.map_or(&[], |choice| choice.logprobs.as_slice())
    }

    fn arguments(&mut self, call: u32, piece: &str, out: &mut Vec<u8>) {
        if let Some(at) = self.position(call) {
            self.about(
                out,
                (at, "response.function_call_arguments.delta"),
                |_, o| o.key("delta").text(piece),
            );
        }
    }

    fn position(&self, number: u32) -> Option<usize> {
        self.said()
            .iter()
            .rposition(|said| matches!(said, Said::Call { call, .. } if *call == number))
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        self.close(out, |_| true);
        let finish: Option<Finish> = self.reply.choices.first().and_then(|choice| choice.finish);
        let status = Status::of(finish);
        let name = match status {
            Status::Incomplete(_) => "response.incomplete",
            Status::InProgress | Status::Completed | Status::Failed => "response.completed",
        };
        self.snapshot(out, name, status, None);
        self.state = State::Ended;
    }

    fn fail(&mut self, fault: &Fault<'_>, out: &mut Vec<u8>) {
        self.begin(out);
        self.snapshot(out, "response.failed", Status::Failed, Some(fault));
        self.state = State::Ended;
    }
}

/// What stands between an item and its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Content,
    Summary,
    Nothing,
}

impl Part {
    fn of(said: &Said) -> Self {
        match said {
            Said::Text(_) | Said::Refusal(_) => Self::Content,
            Said::Thinking { .. } => Self::Summary,
            Said::SealedThinking(_) | Said::Call { .. } => Self::Nothing,
        }
    }
}

fn summary(o: &mut Writer<'_>, text: &str) {
    o.key("summary_index").whole(0);
    o.key("part").object(|o| {
        o.key("type").text("summary_text");
        o.key("text").text(text);
    });
}

/// An item as it is announced.
fn emptied(said: &Said) -> Said {
    match said {
        Said::Text(_) => Said::Text(String::new()),
        Said::Refusal(_) => Said::Refusal(String::new()),
        Said::Thinking { .. } => Said::Thinking {
            text: String::new(),
            signature: String::new(),
        },
        Said::SealedThinking(data) => Said::SealedThinking(data.clone()),
        Said::Call { call, id, name, .. } => Said::Call {
            call: *call,
            id: id.clone(),
            name: name.clone(),
            arguments: String::new(),
            signature: None,
        },
    }
}

fn whole(at: usize) -> u64 {
    u64::try_from(at).unwrap_or(u64::MAX)
}

impl Stream for Items {
    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.state == State::Ended || event.choice().is_some_and(|choice| choice > 0) {
            return;
        }
        let before = self.said().len();
        let failed = matches!(event, Event::Error(_));
        self.reply.take(event);
        if let Some(complaint) = self.reply.error.clone() {
            if !failed {
                self.close(out, |_| true);
            }
            return self.fail(&Fault::from(&complaint), out);
        }
        if event.is_content() || matches!(event, Event::Start { .. }) {
            self.begin(out);
        }
        self.announce(before, out);
        match event {
            Event::Text { text, .. } => {
                self.delta(out, ("response.output_text.delta", "content_index"), text);
            }
            Event::Refusal { text, .. } => {
                self.delta(out, ("response.refusal.delta", "content_index"), text);
            }
            Event::Thinking { text, .. } => {
                let name = "response.reasoning_summary_text.delta";
                self.delta(out, (name, "summary_index"), text);
            }
            Event::Signature { .. } | Event::SealedThinking { .. } => self.close(out, |said| {
                matches!(said, Said::Thinking { .. } | Said::SealedThinking(_))
            }),
            Event::ToolArguments { call, piece, .. } => self.arguments(*call, piece, out),
            Event::ToolEnd { call, .. } => {
                let number = *call;
                self.close(
                    out,
                    |said| matches!(said, Said::Call { call, .. } if *call == number),
                );
            }
            Event::Done => self.done(out),
            Event::Logprobs { json, .. } => self.likely = Some((*json).to_owned()),
            Event::Start { .. }
            | Event::ToolStart { .. }
            | Event::Finish { .. }
            | Event::Usage(_)
            | Event::Error(_) => {}
        }
    }

    fn end(&mut self, cut: &Fault<'_>, out: &mut Vec<u8>) {
        if self.state != State::Ended {
            self.fail(cut, out);
        }
    }
}
