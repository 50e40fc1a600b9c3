//! Replies of Anthropic's Messages API, streamed and whole, as events.

use crate::dialect::calls::Calls;
use crate::dialect::event::{Class, Complaint, Event, Finish, Report};
use crate::dialect::figures::Figures;
use crate::dialect::json::{Json, Tape};
use crate::dialect::speak::Unreadable;
use crate::dialect::sse_reader::Meaning;
use crate::dialect::writer::compact;
use crate::usage::Usage;

/// What the events of a stream mean.
#[derive(Debug, Default)]
pub struct Blocks {
    calls: Calls,
    report: Report,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Done,
}

impl Meaning for Blocks {
    fn event(&mut self, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        match json.text_of("type").as_deref() {
            Some("message_start") => self.start(json.get("message"), sink),
            Some("content_block_start") => self.block(json, sink),
            Some("content_block_delta") => self.delta(json, sink),
            Some("content_block_stop") => self.calls.end(index(json), sink),
            Some("message_delta") => {
                let reason = json
                    .get("delta")
                    .and_then(|delta| delta.text_of("stop_reason"));
                if let Some(reason) = reason {
                    self.calls.end_all(sink);
                    sink(Event::Finish {
                        choice: 0,
                        reason: finish(&reason),
                    });
                }
                self.usage(json.get("usage"), sink);
            }
            Some("message_stop") if self.state == State::Open => {
                self.state = State::Done;
                sink(Event::Done);
            }
            Some("error") => sink(Event::Error(&complaint(json, None))),
            _ => {}
        }
    }
}

impl Blocks {
    fn start(&mut self, message: Option<Json<'_>>, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(message) = message else {
            return;
        };
        // Before the start: who tells figures with the start can tell these.
        self.usage(message.get("usage"), sink);
        sink(Event::Start {
            id: &message.text_of("id").unwrap_or_default(),
            model: &message.text_of("model").unwrap_or_default(),
            created: None,
        });
    }

    fn block(&mut self, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(block) = json.get("content_block") else {
            return;
        };
        let of = |name| block.text_of(name).unwrap_or_default();
        match block.text_of("type").as_deref() {
            Some("tool_use") => {
                self.calls
                    .begin(index(json), (&of("id"), &of("name")), sink);
                // Some that speak this dialect say the arguments at once.
                let input = block.get("input").map(compact);
                if let Some(input) = input.filter(|input| input != "{}") {
                    self.calls.argue(index(json), &input, sink);
                }
            }
            Some("redacted_thinking") => sink(Event::SealedThinking {
                choice: 0,
                data: &of("data"),
            }),
            Some("text") => text(&of("text"), sink),
            _ => {}
        }
    }

    fn delta(&mut self, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let Some(delta) = json.get("delta") else {
            return;
        };
        let piece = |name| delta.text_of(name).unwrap_or_default();
        match delta.text_of("type").as_deref() {
            Some("text_delta") => text(&piece("text"), sink),
            Some("thinking_delta") => sink(Event::Thinking {
                choice: 0,
                text: &piece("thinking"),
            }),
            Some("signature_delta") => sink(Event::Signature {
                choice: 0,
                signature: &piece("signature"),
            }),
            Some("input_json_delta") => {
                self.calls.argue(index(json), &piece("partial_json"), sink);
            }
            _ => {}
        }
    }

    /// What comes later is the sum so far; what does not come again stays.
    fn usage(&mut self, usage: Option<Json<'_>>, sink: &mut dyn FnMut(Event<'_>)) {
        if let Some(usage) = usage.filter(|usage| usage.entries().next().is_some()) {
            self.report = report(usage, self.report);
            sink(Event::Usage(self.report));
        }
    }
}

fn index(json: Json<'_>) -> u64 {
    json.get("index").and_then(Json::whole).unwrap_or(0)
}

fn text(text: &str, sink: &mut dyn FnMut(Event<'_>)) {
    if !text.is_empty() {
        sink(Event::Text { choice: 0, text });
    }
}

/// Reads a reply in one piece.
pub fn whole(body: &[u8], sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Unreadable> {
    let mut tape = Tape::default();
    let json = tape.read(body).map_err(|_| Unreadable)?;
    if json.text_of("type").as_deref() == Some("error") || json.get("error").is_some() {
        sink(Event::Error(&complaint(json, None)));
        return Ok(());
    }
    let content = json.get("content").ok_or(Unreadable)?;
    let mut blocks = Blocks::default();
    sink(Event::Start {
        id: &json.text_of("id").unwrap_or_default(),
        model: &json.text_of("model").unwrap_or_default(),
        created: None,
    });
    for block in content.items() {
        said(block, &mut blocks.calls, sink);
    }
    sink(Event::Finish {
        choice: 0,
        reason: finish(&json.text_of("stop_reason").unwrap_or_default()),
    });
    blocks.usage(json.get("usage"), sink);
    sink(Event::Done);
    Ok(())
}

fn said(block: Json<'_>, calls: &mut Calls, sink: &mut dyn FnMut(Event<'_>)) {
    let of = |name| block.text_of(name).unwrap_or_default();
    match block.text_of("type").as_deref() {
        Some("text") => text(&of("text"), sink),
        Some("thinking") => {
            sink(Event::Thinking {
                choice: 0,
                text: &of("thinking"),
            });
            sink(Event::Signature {
                choice: 0,
                signature: &of("signature"),
            });
        }
        Some("redacted_thinking") => sink(Event::SealedThinking {
            choice: 0,
            data: &of("data"),
        }),
        Some("tool_use") => {
            let input = block.get("input").map_or_else(String::new, compact);
            calls.say((&of("id"), &of("name")), &input, sink);
        }
        _ => {}
    }
}

/// The body of an error.
pub fn error(status: u16, body: &[u8]) -> Complaint {
    let mut tape = Tape::default();
    match tape.read(body) {
        Ok(json) => complaint(json, Some(status)),
        Err(_) => Complaint::default().classified(Some(status)),
    }
}

/// Vertex says errors as Google does; both keep message and kind in `error`.
fn complaint(json: Json<'_>, status: Option<u16>) -> Complaint {
    let error = json.get("error").unwrap_or(json);
    let message = error.text_of("message").unwrap_or_default();
    let code = error
        .text_of("type")
        .or_else(|| error.text_of("status"))
        .unwrap_or_default();
    Complaint::new(&message, &code, Class::Unknown).classified(status)
}

fn finish(reason: &str) -> Finish {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "stop_sequence" => Finish::StopSequence,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::Refusal,
        "pause_turn" => Finish::Pause,
        _ => Finish::Stop,
    }
}

/// `input_tokens` is without what was read from or written to the cache here; thoughts are part of what was
/// answered, and newer models tell how much of it.
pub fn report(usage: Json<'_>, before: Report) -> Report {
    let mut figures = Figures::default();
    let mut count = |name, before| match usage.get(name) {
        Some(value) => figures.count(Some(value)),
        None => before,
    };
    let input = count("input_tokens", before.usage.input);
    let cached_input = count("cache_read_input_tokens", before.usage.cached_input);
    let written = count("cache_creation_input_tokens", before.usage.written());
    let answer = count("output_tokens", before.usage.answer());
    let hour = match usage.get("cache_creation") {
        Some(creation) => figures.field(Some(creation), "ephemeral_1h_input_tokens"),
        None => before.usage.cache_write_hour,
    };
    let (cache_write, cache_write_hour) = figures.divide(written, hour);
    let thought = match usage.get("output_tokens_details") {
        Some(details) => figures.field(Some(details), "thinking_tokens"),
        None => before.usage.reasoning,
    };
    let (output, reasoning) = figures.divide(answer, thought);
    let used = Usage {
        input,
        cached_input,
        cache_write,
        cache_write_hour,
        output,
        reasoning,
        ..Usage::default()
    };
    let now = figures.report(used, None);
    Report {
        usage: now.usage,
        suspect: before.suspect.or(now.suspect),
    }
}
