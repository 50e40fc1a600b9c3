//! Answers in Anthropic's Messages API: whole, and as blocks.

use crate::dialect::event::{Event, Finish, Report};
use crate::dialect::json::{Kind, Tape};
use crate::dialect::reply::{Reply, Said};
use crate::dialect::speak::{Asked, Fault, Stream};
use crate::dialect::writer::{Writer, compact, object};
use crate::units::Tokens;

/// An answer in one piece. There is only one of several here.
pub fn whole(asked: &Asked, reply: &Reply) -> Vec<u8> {
    let first = reply.choices.first();
    object(|o| {
        let id = if reply.id.is_empty() {
            &asked.id
        } else {
            &reply.id
        };
        head(o, asked, id);
        o.key("content").list(|list| {
            for said in first.map(|choice| &choice.said).into_iter().flatten() {
                list.object(|o| block(o, said));
            }
        });
        let finish = first.and_then(|choice| choice.finish);
        o.key("stop_reason")
            .text(stop_reason(finish.unwrap_or(Finish::Stop)));
        o.key("stop_sequence").null();
        o.key("usage")
            .object(|o| usage(o, &reply.report.unwrap_or_default()));
    })
}

fn head(o: &mut Writer<'_>, asked: &Asked, id: &str) {
    o.key("id").text(id);
    o.key("type").text("message");
    o.key("role").text("assistant");
    o.key("model").text(&asked.model);
}

fn block(o: &mut Writer<'_>, said: &Said) {
    match said {
        Said::Text(text) | Said::Refusal(text) => {
            o.key("type").text("text");
            o.key("text").text(text);
        }
        Said::Thinking { text, signature } => {
            o.key("type").text("thinking");
            o.key("thinking").text(text);
            o.key("signature").text(signature);
        }
        Said::SealedThinking(data) => {
            o.key("type").text("redacted_thinking");
            o.key("data").text(data);
        }
        Said::Call {
            id,
            name,
            arguments,
            ..
        } => {
            o.key("type").text("tool_use");
            o.key("id").text(id);
            o.key("name").text(name);
            o.key("input").raw(&input(arguments));
        }
    }
}

/// Arguments are an object here; a model that wrote none is heard all the same.
fn input(arguments: &str) -> String {
    let mut tape = Tape::default();
    match tape.read(arguments.as_bytes()) {
        Ok(json) if json.kind() == Kind::Object => compact(json),
        _ if arguments.trim().is_empty() => "{}".to_owned(),
        _ => {
            let object = object(|o| o.key("arguments").text(arguments));
            String::from_utf8(object).unwrap_or_default()
        }
    }
}

/// Its words for why an answer ends.
fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::StopSequence => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::ContentFilter | Finish::Refusal => "refusal",
        Finish::Pause => "pause_turn",
    }
}

/// `input_tokens` is without what the cache gave or took here, whoever answered.
fn usage(o: &mut Writer<'_>, report: &Report) {
    let used = &report.usage;
    o.key("input_tokens")
        .whole(used.input.plus(used.audio_input).0);
    o.key("cache_creation_input_tokens").whole(used.written().0);
    o.key("cache_read_input_tokens").whole(used.cached_input.0);
    if used.cache_write_hour > Tokens(0) {
        o.key("cache_creation").object(|o| {
            o.key("ephemeral_5m_input_tokens").whole(used.cache_write.0);
            o.key("ephemeral_1h_input_tokens")
                .whole(used.cache_write_hour.0);
        });
    }
    o.key("output_tokens").whole(used.answer().0);
    if used.reasoning > Tokens(0) {
        o.key("output_tokens_details")
            .object(|o| o.key("thinking_tokens").whole(used.reasoning.0));
    }
}

/// `{"type": "error", "error": {...}}`
pub fn error(status: u16, fault: &Fault<'_>) -> Vec<u8> {
    object(|o| {
        o.key("type").text("error");
        o.key("error").object(|o| {
            o.key("type").text(error_type(status));
            o.key("message").text(fault.message);
            // Not Anthropic's, but programs compare it.
            o.key("code").text(fault.code);
        });
    })
}

fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        504 => "timeout_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    }
}

/// Writes blocks, one after the other.
#[derive(Debug)]
pub struct Blocks {
    asked: Asked,
    open: Vec<Open>,
    next: u64,
    report: Report,
    finish: Finish,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    index: u64,
    kind: Block,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Text,
    Thinking,
    Call(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    ExpectStart,
    Open,
    Ended,
}

impl Blocks {
    /// Nothing written yet.
    pub fn new(asked: Asked) -> Self {
        Self {
            asked,
            open: Vec::new(),
            next: 0,
            report: Report::default(),
            finish: Finish::Stop,
            state: State::ExpectStart,
        }
    }

    fn begin(&mut self, id: &str, out: &mut Vec<u8>) {
        if self.state != State::ExpectStart {
            return;
        }
        self.state = State::Open;
        let id = if id.is_empty() { &self.asked.id } else { id };
        event(out, "message_start", |o| {
            o.key("message").object(|o| {
                head(o, &self.asked, id);
                o.key("content").list(|_| {});
                o.key("stop_reason").null();
                o.key("stop_sequence").null();
                o.key("usage").object(|o| usage(o, &self.report));
            });
        });
    }

    /// The index of the block that takes this piece; a new one if none is open.
    fn block(&mut self, kind: Block, out: &mut Vec<u8>, fill: impl FnOnce(&mut Writer<'_>)) -> u64 {
        self.begin("", out);
        if let Some(open) = self.open.iter().find(|open| open.kind == kind) {
            return open.index;
        }
        // Calls may be told in turns; words and thoughts end where something else begins.
        self.close(out, |open| !matches!(open, Block::Call(_)));
        let index = self.next;
        self.next = index.saturating_add(1);
        self.open.push(Open { index, kind });
        event(out, "content_block_start", |o| {
            o.key("index").whole(index);
            o.key("content_block").object(fill);
        });
        index
    }

    fn close(&mut self, out: &mut Vec<u8>, which: impl Fn(Block) -> bool) {
        self.open.retain(|open| {
            let ends = which(open.kind);
            if ends {
                event(out, "content_block_stop", |o| {
                    o.key("index").whole(open.index);
                });
            }
            !ends
        });
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        let index = self.block(Block::Text, out, |o| {
            o.key("type").text("text");
            o.key("text").text("");
        });
        delta(out, index, "text_delta", ("text", text));
    }

    fn thinking(&mut self, kind: &str, (name, text): (&str, &str), out: &mut Vec<u8>) {
        let index = self.block(Block::Thinking, out, |o| {
            o.key("type").text("thinking");
            o.key("thinking").text("");
            o.key("signature").text("");
        });
        delta(out, index, kind, (name, text));
        if kind == "signature_delta" {
            self.close(out, |open| open == Block::Thinking);
        }
    }

    fn sealed(&mut self, data: &str, out: &mut Vec<u8>) {
        self.close(out, |open| open == Block::Thinking);
        self.block(Block::Thinking, out, |o| {
            o.key("type").text("redacted_thinking");
            o.key("data").text(data);
        });
        self.close(out, |open| open == Block::Thinking);
    }

    fn call(&mut self, call: u32, id: &str, name: &str, out: &mut Vec<u8>) {
        self.block(Block::Call(call), out, |o| {
            o.key("type").text("tool_use");
            o.key("id").text(id);
            o.key("name").text(name);
            o.key("input").object(|_| {});
        });
    }

    fn arguments(&mut self, call: u32, piece: &str, out: &mut Vec<u8>) {
        let known = self.open.iter().find(|open| open.kind == Block::Call(call));
        if let Some(open) = known {
            delta(out, open.index, "input_json_delta", ("partial_json", piece));
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        self.begin("", out);
        self.close(out, |_| true);
        event(out, "message_delta", |o| {
            o.key("delta").object(|o| {
                o.key("stop_reason").text(stop_reason(self.finish));
                o.key("stop_sequence").null();
            });
            o.key("usage").object(|o| usage(o, &self.report));
        });
        event(out, "message_stop", |_| {});
        self.state = State::Ended;
    }

    fn fail(&mut self, status: u16, fault: &Fault<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: error\ndata: ");
        out.extend_from_slice(&error(status, fault));
        out.extend_from_slice(b"\n\n");
        self.state = State::Ended;
    }
}

fn event(out: &mut Vec<u8>, name: &str, fill: impl FnOnce(&mut Writer<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    Writer::new(out).object(|o| {
        o.key("type").text(name);
        fill(o);
    });
    out.extend_from_slice(b"\n\n");
}

fn delta(out: &mut Vec<u8>, index: u64, kind: &str, (name, text): (&str, &str)) {
    event(out, "content_block_delta", |o| {
        o.key("index").whole(index);
        o.key("delta").object(|o| {
            o.key("type").text(kind);
            o.key(name).text(text);
        });
    });
}

impl Stream for Blocks {
    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.state == State::Ended {
            return;
        }
        match event {
            Event::Start { id, .. } => self.begin(id, out),
            Event::Text { choice: 0, text } | Event::Refusal { choice: 0, text } => {
                self.text(text, out);
            }
            Event::Thinking { choice: 0, text } => {
                self.thinking("thinking_delta", ("thinking", text), out);
            }
            Event::Signature {
                choice: 0,
                signature,
            } => self.thinking("signature_delta", ("signature", signature), out),
            Event::SealedThinking { choice: 0, data } => self.sealed(data, out),
            Event::ToolStart {
                choice: 0,
                call,
                id,
                name,
                ..
            } => self.call(*call, id, name, out),
            Event::ToolArguments {
                choice: 0,
                call,
                piece,
            } => self.arguments(*call, piece, out),
            Event::ToolEnd { choice: 0, call } => {
                self.close(out, |open| open == Block::Call(*call));
            }
            Event::Finish { choice: 0, reason } => self.finish = *reason,
            Event::Usage(report) => self.report = *report,
            Event::Error(complaint) => {
                self.fail(complaint.class.status(), &Fault::from(*complaint), out);
            }
            Event::Done => self.done(out),
            // There is only one answer here, and no probabilities.
            Event::Text { .. }
            | Event::Refusal { .. }
            | Event::Thinking { .. }
            | Event::Signature { .. }
            | Event::SealedThinking { .. }
            | Event::ToolStart { .. }
            | Event::ToolArguments { .. }
            | Event::ToolEnd { .. }
            | Event::Finish { .. }
            | Event::Logprobs { .. } => {}
        }
    }

    fn end(&mut self, cut: &Fault<'_>, out: &mut Vec<u8>) {
        if self.state != State::Ended {
            self.fail(502, cut, out);
        }
    }
}
