//! OpenAI's legacy completions, as clients speak them to targets that only chat: a prompt is what the user
//! says. Targets of OpenAI's own kind get them as they are.

use crate::dialect::ask::{self, Place};
use crate::dialect::chat::{Chat, Delivery, Message, Part, Role};
use crate::dialect::event::{Event, Finish, Report};
use crate::dialect::json::{Json, Kind, Tape};
use crate::dialect::openai::reply::{error, finish, usage};
use crate::dialect::openai::request::{extras, text};
use crate::dialect::reply::Reply;
use crate::dialect::speak::{Asked, Client, Fault, Stream, UsageWish};
use crate::dialect::writer::{Writer, object};
use crate::refusal::Refusal;

/// Clients of the legacy API.
#[derive(Clone, Copy, Debug)]
pub struct Completions;

/// `echo`, `best_of`, `suffix` and `logprobs` have no meaning in a chat: they are refused by name.
const KNOWN: &[&str] = &[
    "model",
    "prompt",
    "max_tokens",
    "temperature",
    "top_p",
    "n",
    "stream",
    "stream_options",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "user",
];

/// What the API answers with where no limit is said.
const OUTPUT_MAX: u64 = 16;

impl Client for Completions {
    fn name(&self) -> &'static str {
        "openai_completions"
    }

    fn read(&self, body: &[u8]) -> Result<Chat, Refusal> {
        let mut tape = Tape::default();
        let json = ask::object(&mut tape, body)?;
        Ok(Chat {
            dialect: self.name(),
            model: json.text_of("model").unwrap_or_default().into_owned(),
            messages: vec![Message {
                role: Role::User,
                name: None,
                parts: vec![Part::Text(prompt(json)?)],
            }],
            stop: ask::texts(json, "stop")?,
            n: ask::whole(json, "n")?,
            seed: ask::number(json, "seed", -1e20, 1e20)?,
            temperature: ask::number(json, "temperature", 0.0, 2.0)?,
            top_p: ask::number(json, "top_p", 0.0, 1.0)?,
            frequency_penalty: ask::number(json, "frequency_penalty", -2.0, 2.0)?,
            presence_penalty: ask::number(json, "presence_penalty", -2.0, 2.0)?,
            user: text(json, "user")?,
            output_max: Some(ask::whole(json, "max_tokens")?.unwrap_or(OUTPUT_MAX)),
            delivery: match ask::truth(json, "stream")? {
                Some(true) => Delivery::Streamed,
                Some(false) | None => Delivery::Whole,
            },
            extras: extras(json, KNOWN),
            ..Chat::default()
        })
    }

    fn whole(&self, asked: &Asked, reply: &Reply) -> Vec<u8> {
        object(|o| {
            head(o, asked, &reply.id, reply.created);
            o.key("choices").list(|list| {
                for choice in &reply.choices {
                    let reason = choice.finish.unwrap_or(Finish::Stop);
                    piece(list, choice.index, &choice.text(), Some(reason));
                }
            });
            if let Some(report) = &reply.report {
                o.key("usage").object(|o| usage(o, report));
            }
        })
    }

    fn stream(&self, asked: Asked) -> Box<dyn Stream> {
        Box::new(Pieces {
            asked,
            id: String::new(),
            created: None,
            report: None,
            state: State::Open,
        })
    }

    fn error(&self, status: u16, fault: &Fault<'_>) -> Vec<u8> {
        error(status, fault)
    }
}

/// One text. Several at once, or tokens, are no chat.
fn prompt(json: Json<'_>) -> Result<String, Refusal> {
    let prompt = json
        .get("prompt")
        .ok_or_else(|| Refusal::missing("prompt"))?;
    let mut items = prompt.items();
    let only = match (prompt.kind(), items.next(), items.next()) {
        (Kind::List, Some(only), None) => only,
        _ => prompt,
    };
    let place = Place::top("prompt");
    let text = only
        .text()
        .ok_or_else(|| place.wrong("one string for this model"))?;
    Ok(text.into_owned())
}

fn head(o: &mut Writer<'_>, asked: &Asked, id: &str, created: Option<u64>) {
    o.key("id").text(if id.is_empty() { &asked.id } else { id });
    o.key("object").text("text_completion");
    o.key("created").whole(created.unwrap_or(asked.created));
    o.key("model").text(&asked.model);
}

fn piece(list: &mut Writer<'_>, choice: u32, text: &str, reason: Option<Finish>) {
    list.object(|o| {
        o.key("text").text(text);
        o.key("index").whole(u64::from(choice));
        o.key("logprobs").null();
        o.key("finish_reason");
        match reason {
            Some(reason) => o.text(finish(reason)),
            None => o.null(),
        }
    });
}

#[derive(Debug)]
struct Pieces {
    asked: Asked,
    id: String,
    created: Option<u64>,
    report: Option<Report>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Ended,
}

impl Pieces {
    fn event(&self, out: &mut Vec<u8>, fill: impl FnOnce(&mut Writer<'_>)) {
        out.extend_from_slice(b"data: ");
        Writer::new(out).object(|o| {
            head(o, &self.asked, &self.id, self.created);
            fill(o);
        });
        out.extend_from_slice(b"\n\n");
    }

    fn say(&self, out: &mut Vec<u8>, choice: u32, text: &str, reason: Option<Finish>) {
        self.event(out, |o| {
            o.key("choices")
                .list(|list| piece(list, choice, text, reason));
        });
    }

    fn fail(&mut self, status: u16, fault: &Fault<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&error(status, fault));
        out.extend_from_slice(b"\n\n");
        self.state = State::Ended;
    }
}

impl Stream for Pieces {
    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.state == State::Ended {
            return;
        }
        match event {
            Event::Start { id, created, .. } => {
                (*id).clone_into(&mut self.id);
                self.created = *created;
            }
            Event::Text { choice, text } => self.say(out, *choice, text, None),
            Event::Finish { choice, reason } => self.say(out, *choice, "", Some(*reason)),
            Event::Usage(report) => self.report = Some(*report),
            Event::Error(complaint) => {
                self.fail(complaint.class.status(), &Fault::from(*complaint), out);
            }
            Event::Done => {
                if let (UsageWish::Asked, Some(report)) = (self.asked.usage, &self.report) {
                    self.event(out, |o| {
                        o.key("choices").list(|_| {});
                        o.key("usage").object(|o| usage(o, report));
                    });
                }
                out.extend_from_slice(b"data: [DONE]\n\n");
                self.state = State::Ended;
            }
            // A completion is only text; no tools can have been offered.
            Event::Refusal { .. }
            | Event::Thinking { .. }
            | Event::Signature { .. }
            | Event::SealedThinking { .. }
            | Event::ToolStart { .. }
            | Event::ToolArguments { .. }
            | Event::ToolEnd { .. }
            | Event::Logprobs { .. } => {}
        }
    }

    fn end(&mut self, cut: &Fault<'_>, out: &mut Vec<u8>) {
        if self.state == State::Open {
            self.fail(502, cut, out);
        }
    }
}
