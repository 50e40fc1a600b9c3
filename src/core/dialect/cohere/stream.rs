//! Replies of Cohere's chat, streamed and whole, as events.

use std::borrow::Cow;

use crate::dialect::calls::Calls;
use crate::dialect::event::{Class, Complaint, Event, Finish, Report};
use crate::dialect::figures::Figures;
use crate::dialect::json::{Json, Kind, Tape};
use crate::dialect::speak::Unreadable;
use crate::dialect::sse_reader::Meaning;
use crate::units::Tokens;
use crate::usage::Usage;

/// What the events of a stream mean.
#[derive(Debug, Default)]
pub struct Deltas {
    calls: Calls,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Ended,
}

impl Meaning for Deltas {
    fn event(&mut self, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let message = json.get("delta").and_then(|delta| delta.get("message"));
        match json.text_of("type").as_deref() {
            Some("message-start") => sink(Event::Start {
                id: &json.text_of("id").unwrap_or_default(),
                model: "",
                created: None,
            }),
            Some("content-start" | "content-delta") => {
                if let Some(content) = message.and_then(|message| message.get("content")) {
                    said(content, sink);
                }
            }
            Some("tool-plan-delta") => {
                plan(message, sink);
            }
            Some("tool-call-start") => {
                if let Some(call) = message.and_then(|message| message.get("tool_calls")) {
                    self.calls
                        .begin(index(json), (&id(call), &name(call)), sink);
                    self.calls.argue(index(json), &arguments(call), sink);
                }
            }
            Some("tool-call-delta") => {
                if let Some(call) = message.and_then(|message| message.get("tool_calls")) {
                    self.calls.argue(index(json), &arguments(call), sink);
                }
            }
            Some("tool-call-end") => self.calls.end(index(json), sink),
            Some("message-end") if self.state == State::Open => {
                self.state = State::Ended;
                self.calls.end_all(sink);
                let delta = json.get("delta").unwrap_or(json);
                end(delta, sink);
            }
            None if json.get("message").is_some() => sink(Event::Error(&complaint(json, None))),
            _ => {}
        }
    }
}

fn index(json: Json<'_>) -> u64 {
    json.get("index").and_then(Json::whole).unwrap_or(0)
}

fn said(content: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
    if let Some(text) = content.text_of("thinking").filter(|text| !text.is_empty()) {
        sink(Event::Thinking {
            choice: 0,
            text: &text,
        });
    }
    if let Some(text) = content.text_of("text").filter(|text| !text.is_empty()) {
        sink(Event::Text {
            choice: 0,
            text: &text,
        });
    }
}

/// What it means to do with its tools: a thought, if a short one.
fn plan(message: Option<Json<'_>>, sink: &mut dyn FnMut(Event<'_>)) {
    if let Some(text) = message.and_then(|message| message.text_of("tool_plan")) {
        sink(Event::Thinking {
            choice: 0,
            text: &text,
        });
    }
}

fn id(call: Json<'_>) -> Cow<'_, str> {
    call.text_of("id").unwrap_or_default()
}

fn name(call: Json<'_>) -> Cow<'_, str> {
    let function = call.get("function").unwrap_or(call);
    function.text_of("name").unwrap_or_default()
}

fn arguments(call: Json<'_>) -> Cow<'_, str> {
    let function = call.get("function").unwrap_or(call);
    function.text_of("arguments").unwrap_or_default()
}

fn end(json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
    let usage = json.get("usage");
    if let Some(usage) = usage.filter(|usage| usage.kind() == Kind::Object) {
        sink(Event::Usage(report(usage)));
    }
    let reason = json.text_of("finish_reason").unwrap_or_default();
    match finish(&reason) {
        Some(reason) => {
            sink(Event::Finish { choice: 0, reason });
            sink(Event::Done);
        }
        None => {
            let said = json.text_of("error").unwrap_or_default();
            sink(Event::Error(&Complaint::new(&said, &reason, Class::Server)));
        }
    }
}

/// Reads a reply in one piece.
pub fn whole(body: &[u8], sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Unreadable> {
    let mut tape = Tape::default();
    let json = tape.read(body).map_err(|_| Unreadable)?;
    let message = json
        .get("message")
        .filter(|message| message.get("role").is_some())
        .ok_or(Unreadable)?;
    sink(Event::Start {
        id: &json.text_of("id").unwrap_or_default(),
        model: "",
        created: None,
    });
    plan(Some(message), sink);
    for content in message
        .get("content")
        .map(Json::items)
        .into_iter()
        .flatten()
    {
        said(content, sink);
    }
    let mut calls = Calls::default();
    let called = message.get("tool_calls").map(Json::items);
    for call in called.into_iter().flatten() {
        calls.say((&id(call), &name(call)), &arguments(call), sink);
    }
    end(json, sink);
    Ok(())
}

/// None for an end that is a failure.
fn finish(reason: &str) -> Option<Finish> {
    match reason {
        "MAX_TOKENS" => Some(Finish::Length),
        "STOP_SEQUENCE" => Some(Finish::StopSequence),
        "TOOL_CALL" => Some(Finish::ToolCalls),
        "ERROR_TOXIC" => Some(Finish::ContentFilter),
        "ERROR" | "TIMEOUT" | "ERROR_LIMIT" => None,
        _ => Some(Finish::Stop),
    }
}

/// The body of an error: `{"message": "..."}`.
pub fn error(status: u16, body: &[u8]) -> Complaint {
    let mut tape = Tape::default();
    match tape.read(body) {
        Ok(json) => complaint(json, Some(status)),
        Err(_) => Complaint::default().classified(Some(status)),
    }
}

fn complaint(json: Json<'_>, status: Option<u16>) -> Complaint {
    let message = json.text_of("message").unwrap_or_default();
    Complaint::new(&message, "", Class::Unknown).classified(status)
}

/// What is billed, where it is said: the provider's own frame around a prompt is counted, and not billed. The cache is
/// counted with the frame, so only what it holds beyond the frame was surely billed: more would charge too little.
pub fn report(usage: Json<'_>) -> Report {
    let mut figures = Figures::default();
    let (billed, counted) = (usage.get("billed_units"), usage.get("tokens"));
    let told = billed.or(counted);
    let prompt = figures.field(told, "input_tokens");
    let with_frame = figures.field(counted, "input_tokens");
    let cached = figures.field(Some(usage), "cached_tokens");
    let (input, cached_input) = if with_frame.0 == 0 {
        // Nothing tells how large the frame is.
        (prompt, Tokens(0))
    } else {
        let frame = with_frame.0.saturating_sub(prompt.0);
        let surely = Tokens(cached.0.saturating_sub(frame));
        figures.uncached(prompt, surely)
    };
    let used = Usage {
        input,
        cached_input,
        output: figures.field(told, "output_tokens"),
        ..Usage::default()
    };
    figures.report(used, None)
}
