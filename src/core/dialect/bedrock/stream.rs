//! Replies of Bedrock's Converse, streamed and whole, as events.

use crate::dialect::event::{Class, Complaint, Event, Finish, Report};
use crate::dialect::figures::Figures;
use crate::dialect::frame_reader::FrameMeaning;
use crate::dialect::json::{Json, Tape};
use crate::dialect::speak::Unreadable;
use crate::dialect::writer::compact;
use crate::usage::Usage;

/// More blocks in one reply are not read.
const BLOCKS_MAX: usize = 4_096;

/// What the events of a stream mean.
#[derive(Debug, Default)]
pub struct Converse {
    /// Which block is which call, in order.
    calls: Vec<Call>,
    state: State,
}

/// A call, and whether its arguments have begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call {
    block: u64,
    number: u32,
    arguments: Arguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arguments {
    None,
    Some,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// Why it ends is said; the figures are to come.
    ExpectFigures,
    Done,
}

impl FrameMeaning for Converse {
    fn event(&mut self, kind: &str, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        match kind {
            "messageStart" => start(sink),
            "contentBlockStart" => self.block(json, sink),
            "contentBlockDelta" => self.delta(json, sink),
            "contentBlockStop" => {
                if let Some(call) = self.call(json) {
                    call.end(sink);
                }
            }
            "messageStop" => {
                self.state = State::ExpectFigures;
                let reason = json.text_of("stopReason").unwrap_or_default();
                sink(Event::Finish {
                    choice: 0,
                    reason: finish(&reason),
                });
            }
            "metadata" => {
                if let Some(usage) = json.get("usage") {
                    sink(Event::Usage(report(usage)));
                }
                self.finish(sink);
            }
            _ => {}
        }
    }

    fn finish(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        if self.state == State::ExpectFigures {
            self.state = State::Done;
            sink(Event::Done);
        }
    }
}

fn start(sink: &mut dyn FnMut(Event<'_>)) {
    sink(Event::Start {
        id: "",
        model: "",
        created: None,
    });
}

impl Call {
    fn say(&mut self, piece: &str, sink: &mut dyn FnMut(Event<'_>)) {
        if !piece.is_empty() {
            self.arguments = Arguments::Some;
            sink(Event::ToolArguments {
                choice: 0,
                call: self.number,
                piece,
            });
        }
    }

    /// A call without arguments says nothing here; elsewhere an empty object is expected.
    fn end(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        if self.arguments == Arguments::None {
            self.say("{}", sink);
        }
        sink(Event::ToolEnd {
            choice: 0,
            call: self.number,
        });
    }
}

impl Converse {
    fn block(&mut self, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let tool = json.get("start").and_then(|start| start.get("toolUse"));
        let Some(tool) = tool.filter(|_| self.calls.len() < BLOCKS_MAX) else {
            return;
        };
        let index = index(json).unwrap_or(0);
        let call = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
        self.calls.push(Call {
            block: index,
            number: call,
            arguments: Arguments::None,
        });
        begin(tool, call, sink);
    }

    fn delta(&mut self, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(delta) = json.get("delta") else {
            return;
        };
        if let Some(text) = delta.text_of("text").filter(|text| !text.is_empty()) {
            sink(Event::Text {
                choice: 0,
                text: &text,
            });
        }
        let input = delta.get("toolUse").and_then(|tool| tool.text_of("input"));
        if let (Some(piece), Some(call)) = (input, self.call(json)) {
            call.say(&piece, sink);
        }
        if let Some(thought) = delta.get("reasoningContent") {
            reasoning(thought, sink);
        }
    }

    fn call(&mut self, json: Json<'_>) -> Option<&mut Call> {
        let index = index(json)?;
        self.calls.iter_mut().rev().find(|call| call.block == index)
    }
}

fn index(json: Json<'_>) -> Option<u64> {
    json.get("contentBlockIndex").and_then(Json::whole)
}

fn begin(tool: Json<'_>, call: u32, sink: &mut dyn FnMut(Event<'_>)) {
    sink(Event::ToolStart {
        choice: 0,
        call,
        id: &tool.text_of("toolUseId").unwrap_or_default(),
        name: &tool.text_of("name").unwrap_or_default(),
        signature: None,
    });
}

/// Text and seal of a thought, or all of it sealed.
fn reasoning(json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
    let thought = json.get("reasoningText").unwrap_or(json);
    if let Some(text) = thought.text_of("text") {
        sink(Event::Thinking {
            choice: 0,
            text: &text,
        });
    }
    if let Some(signature) = thought.text_of("signature") {
        sink(Event::Signature {
            choice: 0,
            signature: &signature,
        });
    }
    if let Some(data) = json.text_of("redactedContent") {
        sink(Event::SealedThinking {
            choice: 0,
            data: &data,
        });
    }
}

/// Reads a reply in one piece.
pub fn whole(body: &[u8], sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Unreadable> {
    let mut tape = Tape::default();
    let json = tape.read(body).map_err(|_| Unreadable)?;
    let content = json
        .get("output")
        .and_then(|output| output.get("message"))
        .and_then(|message| message.get("content"))
        .ok_or(Unreadable)?;
    start(sink);
    let mut call = 0;
    for block in content.items() {
        if let Some(text) = block.text_of("text") {
            sink(Event::Text {
                choice: 0,
                text: &text,
            });
        }
        if let Some(thought) = block.get("reasoningContent") {
            reasoning(thought, sink);
        }
        if let Some(tool) = block.get("toolUse") {
            begin(tool, call, sink);
            let input = tool.get("input").map_or_else(|| "{}".to_owned(), compact);
            sink(Event::ToolArguments {
                choice: 0,
                call,
                piece: &input,
            });
            sink(Event::ToolEnd { choice: 0, call });
            call = call.saturating_add(1);
        }
    }
    sink(Event::Finish {
        choice: 0,
        reason: finish(&json.text_of("stopReason").unwrap_or_default()),
    });
    if let Some(usage) = json.get("usage") {
        sink(Event::Usage(report(usage)));
    }
    sink(Event::Done);
    Ok(())
}

fn finish(reason: &str) -> Finish {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "stop_sequence" => Finish::StopSequence,
        "tool_use" => Finish::ToolCalls,
        "guardrail_intervened" | "content_filtered" => Finish::ContentFilter,
        _ => Finish::Stop,
    }
}

/// The body of an error: the kind stands in a header, and sometimes here too.
pub fn error(status: u16, body: &[u8]) -> Complaint {
    let mut tape = Tape::default();
    let Ok(json) = tape.read(body) else {
        return Complaint::default().classified(Some(status));
    };
    let message = json
        .text_of("message")
        .or_else(|| json.text_of("Message"))
        .unwrap_or_default();
    let kind = json.text_of("__type").unwrap_or_default();
    let kind = kind
        .rsplit_once('#')
        .map_or_else(|| kind.as_ref(), |(_, kind)| kind);
    Complaint::new(&message, kind, Class::Unknown).classified(Some(status))
}

/// `inputTokens` is without what was read from or written to the cache. Whether the total counts those in
/// depends on the model, so it is doubted only where it is neither sum.
pub fn report(usage: Json<'_>) -> Report {
    let mut figures = Figures::default();
    let mut count = |name| figures.field(Some(usage), name);
    let used = Usage {
        input: count("inputTokens"),
        cached_input: count("cacheReadInputTokens"),
        cache_write: count("cacheWriteInputTokens"),
        output: count("outputTokens"),
        ..Usage::default()
    };
    let total = usage.get("totalTokens");
    let uncached = used.input.plus(used.output);
    if total.and_then(Json::whole) != Some(uncached.0) {
        figures.expect_total(used.total(), total);
    }
    Report {
        usage: used,
        suspect: figures.suspect(),
        ..Report::default()
    }
}
