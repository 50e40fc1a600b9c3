//! Replies of Bedrock's Converse, streamed and whole, as events.

use std::borrow::Cow;

use crate::dialect::calls::Calls;
use crate::dialect::event::{Class, Complaint, Event, Finish, Report};
use crate::dialect::figures::Figures;
use crate::dialect::frame_reader::FrameMeaning;
use crate::dialect::json::{Json, Kind, Tape};
use crate::dialect::speak::Unreadable;
use crate::dialect::writer::compact;
use crate::usage::Usage;

/// What the events of a stream mean.
#[derive(Debug, Default)]
pub struct Converse {
    calls: Calls,
    state: State,
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
            "contentBlockStop" => self.calls.end(index(json), sink),
            "messageStop" if self.state == State::Open => {
                self.calls.end_all(sink);
                self.state = State::ExpectFigures;
                if ends(json, sink) == Ended::Badly {
                    self.state = State::Done;
                }
            }
            "metadata" => {
                if let Some(usage) = usage_of(json) {
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

impl Converse {
    fn block(&mut self, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let tool = json.get("start").and_then(|start| start.get("toolUse"));
        if let Some(tool) = tool {
            self.calls
                .begin(index(json), (&id(tool), &name(tool)), sink);
        }
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
        if let Some(piece) = input {
            self.calls.argue(index(json), &piece, sink);
        }
        if let Some(thought) = delta.get("reasoningContent") {
            reasoning(thought, sink);
        }
    }
}

fn index(json: Json<'_>) -> u64 {
    json.get("contentBlockIndex")
        .and_then(Json::whole)
        .unwrap_or(0)
}

fn id(tool: Json<'_>) -> Cow<'_, str> {
    tool.text_of("toolUseId").unwrap_or_default()
}

fn name(tool: Json<'_>) -> Cow<'_, str> {
    tool.text_of("name").unwrap_or_default()
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
    let mut calls = Calls::default();
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
            let input = tool.get("input").map_or_else(String::new, compact);
            calls.say((&id(tool), &name(tool)), &input, sink);
        }
    }
    let ended = ends(json, sink);
    if let Some(usage) = usage_of(json) {
        sink(Event::Usage(report(usage)));
    }
    if ended == Ended::Well {
        sink(Event::Done);
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Well,
    Badly,
}

fn ends(json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) -> Ended {
    let reason = json.text_of("stopReason").unwrap_or_default();
    if matches!(
        reason.as_ref(),
        "malformed_model_output" | "malformed_tool_use"
    ) {
        let message = "The model said something that its provider could not read.";
        sink(Event::Error(&Complaint::new(
            message,
            &reason,
            Class::Server,
        )));
        return Ended::Badly;
    }
    sink(Event::Finish {
        choice: 0,
        reason: finish(&reason),
    });
    Ended::Well
}

fn usage_of(json: Json<'_>) -> Option<Json<'_>> {
    json.get("usage")
        .filter(|usage| usage.kind() == Kind::Object)
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
    let written = figures.field(Some(usage), "cacheWriteInputTokens");
    let mut kept = usage
        .get("cacheDetails")
        .map(Json::items)
        .into_iter()
        .flatten();
    let hour = kept.find(|detail| detail.text_of("ttl").as_deref() == Some("1h"));
    let hour = figures.field(hour, "inputTokens");
    let (cache_write, cache_write_hour) = figures.divide(written, hour);
    let used = Usage {
        input: figures.field(Some(usage), "inputTokens"),
        cached_input: figures.field(Some(usage), "cacheReadInputTokens"),
        cache_write,
        cache_write_hour,
        output: figures.field(Some(usage), "outputTokens"),
        ..Usage::default()
    };
    let uncached = used.input.plus(used.output);
    let total = usage.get("totalTokens");
    let total = total.filter(|total| total.whole() != Some(uncached.0));
    figures.report(used, total)
}
