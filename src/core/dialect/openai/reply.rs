//! Answers in OpenAI's chat completions: whole, and as chunks.

use crate::dialect::event::{Event, Finish, Report};
use crate::dialect::json::{Json, Tape};
use crate::dialect::reply::{Choice, Reply, Said};
use crate::dialect::speak::{Asked, Fault, Stream, UsageWish};
use crate::dialect::writer::{Writer, object};
use crate::units::Tokens;

/// An answer in one piece.
pub fn whole(asked: &Asked, reply: &Reply) -> Vec<u8> {
    object(|o| {
        head(o, asked, (&reply.id, reply.created), "chat.completion");
        o.key("choices").list(|list| {
            for one in &reply.choices {
                list.object(|o| choice(o, one));
            }
        });
        if let Some(report) = &reply.report {
            o.key("usage").object(|o| usage(o, report));
        }
    })
}

fn head(o: &mut Writer<'_>, asked: &Asked, (id, created): (&str, Option<u64>), kind: &str) {
    o.key("id").text(if id.is_empty() { &asked.id } else { id });
    o.key("object").text(kind);
    o.key("created").whole(created.unwrap_or(asked.created));
    o.key("model").text(&asked.model);
}

fn choice(o: &mut Writer<'_>, choice: &Choice) {
    o.key("index").whole(u64::from(choice.index));
    o.key("message").object(|o| message(o, choice));
    o.key("logprobs");
    match choice.logprobs.as_slice() {
        [] => o.null(),
        [all] => o.raw(all),
        pieces => o.object(|o| {
            o.key("content")
                .list(|list| pieces.iter().for_each(|piece| tokens(list, piece)));
        }),
    }
    o.key("finish_reason")
        .text(finish(choice.finish.unwrap_or(Finish::Stop)));
}

fn message(o: &mut Writer<'_>, choice: &Choice) {
    let (mut refusal, mut thought) = (String::new(), String::new());
    let (mut calls, mut sealed) = (Vec::new(), Vec::new());
    for said in &choice.said {
        match said {
            Said::Text(_) => {}
            Said::Refusal(text) => refusal.push_str(text),
            Said::Thinking { text, signature } => {
                thought.push_str(text);
                if !signature.is_empty() {
                    sealed.push(said);
                }
            }
            Said::SealedThinking(_) => sealed.push(said),
            Said::Call { .. } => calls.push(said),
        }
    }
    let text = choice.text();
    o.key("role").text("assistant");
    o.key("content");
    if text.is_empty() && (!calls.is_empty() || !refusal.is_empty()) {
        o.null();
    } else {
        o.text(&text);
    }
    o.key("refusal");
    if refusal.is_empty() {
        o.null();
    } else {
        o.text(&refusal);
    }
    if !thought.is_empty() {
        o.key("reasoning_content").text(&thought);
    }
    if !sealed.is_empty() {
        o.key("thinking_blocks").list(|list| {
            sealed
                .iter()
                .for_each(|said| list.object(|o| thinking_block(o, said)));
        });
    }
    if !calls.is_empty() {
        o.key("tool_calls").list(|list| {
            for said in calls {
                if let Said::Call {
                    id,
                    name,
                    arguments,
                    signature,
                    ..
                } = said
                {
                    list.object(|o| call(o, id, name, arguments, signature.as_deref()));
                }
            }
        });
    }
}

/// The probabilities of one piece: `{"content": [...]}`.
pub fn tokens(list: &mut Writer<'_>, logprobs: &str) {
    let mut tape = Tape::default();
    let json = tape.read(logprobs.as_bytes()).ok();
    let content = json.and_then(|json| json.get("content"));
    for token in content.map(Json::items).into_iter().flatten() {
        list.json(token);
    }
}

/// As LiteLLM writes them, and its users read them: with the seal that the provider wants back.
fn thinking_block(o: &mut Writer<'_>, said: &Said) {
    match said {
        Said::Thinking { text, signature } => {
            o.key("type").text("thinking");
            o.key("thinking").text(text);
            o.key("signature").text(signature);
        }
        Said::SealedThinking(data) => {
            o.key("type").text("redacted_thinking");
            o.key("data").text(data);
        }
        Said::Text(_) | Said::Refusal(_) | Said::Call { .. } => {}
    }
}

fn call(o: &mut Writer<'_>, id: &str, name: &str, arguments: &str, signature: Option<&str>) {
    o.key("id").text(id);
    o.key("type").text("function");
    o.key("function").object(|o| {
        o.key("name").text(name);
        o.key("arguments").text(arguments);
    });
    seal(o, signature);
}

/// The seal of the thought behind a call, where Google itself puts it in OpenAI's dialect.
pub fn seal(o: &mut Writer<'_>, signature: Option<&str>) {
    if let Some(signature) = signature {
        o.key("extra_content").object(|o| {
            o.key("google")
                .object(|o| o.key("thought_signature").text(signature));
        });
    }
}

/// Its words for why an answer ends.
pub fn finish(reason: Finish) -> &'static str {
    match reason {
        Finish::Stop | Finish::StopSequence | Finish::Pause => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter | Finish::Refusal => "content_filter",
    }
}

/// `prompt_tokens` is the whole prompt here, whoever answered; what was written to a cache is part of it.
pub fn usage(o: &mut Writer<'_>, report: &Report) {
    let used = &report.usage;
    let (prompt, answer) = (used.prompt(), used.answer());
    o.key("prompt_tokens").whole(prompt.0);
    o.key("completion_tokens").whole(answer.0);
    o.key("total_tokens").whole(prompt.plus(answer).0);
    o.key("prompt_tokens_details").object(|o| {
        o.key("cached_tokens").whole(used.cached_input.0);
        o.key("audio_tokens").whole(used.audio_input.0);
        if used.written() > Tokens(0) {
            o.key("cache_write_tokens").whole(used.written().0);
        }
    });
    o.key("completion_tokens_details").object(|o| {
        o.key("reasoning_tokens").whole(used.reasoning.0);
        o.key("audio_tokens").whole(used.audio_output.0);
    });
}

/// `{"error": {...}}`
pub fn error(status: u16, fault: &Fault<'_>) -> Vec<u8> {
    object(|o| {
        o.key("error").object(|o| {
            o.key("message").text(fault.message);
            o.key("type").text(super::error_type(status));
            match fault.param {
                Some(param) => o.key("param").text(param),
                None => o.key("param").null(),
            }
            o.key("code").text(fault.code);
        });
    })
}

/// More seals in one reply are not told.
const SEALS_MAX: usize = 1_024;

/// Writes chunks.
#[derive(Debug)]
pub struct Chunks {
    asked: Asked,
    id: String,
    created: Option<u64>,
    report: Option<Report>,
    /// Whose role has been told.
    begun: Vec<u32>,
    /// The choice of each seal that was told.
    sealed: Vec<u32>,
    /// The probabilities of the words that come next, and whose they are.
    likely: Option<(u32, String)>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Ended,
}

impl Chunks {
    /// Nothing written yet.
    pub fn new(asked: Asked) -> Self {
        Self {
            asked,
            id: String::new(),
            created: None,
            report: None,
            begun: Vec::new(),
            sealed: Vec::new(),
            likely: None,
            state: State::Open,
        }
    }

    fn chunk(&self, out: &mut Vec<u8>, fill: impl FnOnce(&mut Writer<'_>)) {
        out.extend_from_slice(b"data: ");
        Writer::new(out).object(|o| {
            head(
                o,
                &self.asked,
                (&self.id, self.created),
                "chat.completion.chunk",
            );
            fill(o);
        });
        out.extend_from_slice(b"\n\n");
    }

    fn delta(&mut self, out: &mut Vec<u8>, choice: u32, fill: impl FnOnce(&mut Writer<'_>)) {
        let begins = !self.begun.contains(&choice);
        if begins && self.begun.len() < 128 {
            self.begun.push(choice);
        }
        self.choice(out, choice, None, |o| {
            if begins {
                o.key("role").text("assistant");
            }
            fill(o);
        });
    }

    fn choice(
        &mut self,
        out: &mut Vec<u8>,
        choice: u32,
        reason: Option<Finish>,
        fill: impl FnOnce(&mut Writer<'_>),
    ) {
        let likely = self.likely.take();
        self.chunk(out, |o| {
            o.key("choices").list(|list| {
                list.object(|o| {
                    o.key("index").whole(u64::from(choice));
                    o.key("delta").object(fill);
                    let likely = likely.as_ref().map(|(_, json)| json.as_str());
                    o.raw_field("logprobs", likely);
                    o.key("finish_reason");
                    match reason {
                        Some(reason) => o.text(finish(reason)),
                        None => o.null(),
                    }
                });
            });
        });
    }

    fn piece(
        &mut self,
        out: &mut Vec<u8>,
        (choice, call): (u32, u32),
        fill: impl FnOnce(&mut Writer<'_>),
    ) {
        self.delta(out, choice, |o| {
            o.key("tool_calls").list(|list| {
                list.object(|o| {
                    o.key("index").whole(u64::from(call));
                    fill(o);
                });
            });
        });
    }

    /// SDKs join pieces of lists by their index.
    fn seal(&mut self, out: &mut Vec<u8>, choice: u32, said: &Said) {
        if self.sealed.len() >= SEALS_MAX {
            return;
        }
        let index = self.sealed.iter().filter(|known| **known == choice).count();
        self.sealed.push(choice);
        self.delta(out, choice, |o| {
            o.key("thinking_blocks").list(|list| {
                list.object(|o| {
                    o.key("index").whole(u64::try_from(index).unwrap_or(0));
                    thinking_block(o, said);
                });
            });
        });
    }

    /// Probabilities go with the words they are of. Where none follow, they go alone.
    fn probabilities(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        let Some((choice, _)) = self.likely else {
            return;
        };
        let said = matches!(event, Event::Text { .. } | Event::Refusal { .. });
        if !said || event.choice() != Some(choice) {
            self.choice(out, choice, None, |_| {});
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        if self.asked.usage == UsageWish::Asked
            && let Some(report) = &self.report
        {
            self.chunk(out, |o| {
                o.key("choices").list(|_| {});
                o.key("usage").object(|o| usage(o, report));
            });
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.state = State::Ended;
    }

    fn fail(&mut self, fault: &Fault<'_>, status: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&error(status, fault));
        out.extend_from_slice(b"\n\n");
        self.state = State::Ended;
    }
}

impl Stream for Chunks {
    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.state == State::Ended {
            return;
        }
        self.probabilities(event, out);
        match event {
            Event::Start { id, created, .. } => {
                (*id).clone_into(&mut self.id);
                self.created = *created;
                self.delta(out, 0, |o| o.key("content").text(""));
            }
            Event::Text { choice, text } => {
                self.delta(out, *choice, |o| o.key("content").text(text));
            }
            Event::Refusal { choice, text } => {
                self.delta(out, *choice, |o| o.key("refusal").text(text));
            }
            Event::Thinking { choice, text } => {
                self.delta(out, *choice, |o| o.key("reasoning_content").text(text));
            }
            Event::Signature { choice, signature } => self.seal(
                out,
                *choice,
                &Said::Thinking {
                    text: String::new(),
                    signature: (*signature).to_owned(),
                },
            ),
            Event::SealedThinking { choice, data } => {
                self.seal(out, *choice, &Said::SealedThinking((*data).to_owned()));
            }
            Event::ToolStart {
                choice,
                call: number,
                id,
                name,
                signature,
            } => self.piece(out, (*choice, *number), |o| {
                call(o, id, name, "", *signature);
            }),
            Event::ToolArguments {
                choice,
                call,
                piece,
            } => self.piece(out, (*choice, *call), |o| {
                o.key("function").object(|o| o.key("arguments").text(piece));
            }),
            Event::Logprobs { choice, json } => {
                self.likely = Some((*choice, (*json).to_owned()));
            }
            Event::Finish { choice, reason } => {
                self.choice(out, *choice, Some(*reason), |_| {});
            }
            Event::Usage(report) => self.report = Some(*report),
            Event::Error(complaint) => {
                self.fail(&Fault::from(*complaint), complaint.class.status(), out);
            }
            Event::ToolEnd { .. } => {}
            Event::Done => self.done(out),
        }
    }

    fn end(&mut self, cut: &Fault<'_>, out: &mut Vec<u8>) {
        if self.state == State::Open {
            self.fail(cut, 502, out);
        }
    }
}
