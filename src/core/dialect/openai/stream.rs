//! Replies of OpenAI's chat completions, streamed and whole, as events.

use crate::dialect::event::{Class, Complaint, Event, Finish, Report};
use crate::dialect::figures::Figures;
use crate::dialect::json::{Json, Kind, Tape};
use crate::dialect::openai::messages::seal;
use crate::dialect::speak::Unreadable;
use crate::dialect::sse_reader::Meaning;
use crate::dialect::writer::compact;
use crate::usage::Usage;

/// More calls in one reply are an error: their names would have to be held.
const CALLS_MAX: usize = 1_024;

/// What the events of a stream mean.
#[derive(Debug, Default)]
pub struct Chunks {
    state: State,
    calls: Vec<Call>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    ExpectStart,
    Started,
    Done,
}

/// A call as its pieces name it, and the number we give it: some providers number all calls 0.
#[derive(Debug)]
struct Call {
    choice: u32,
    index: u64,
    number: u32,
    id: String,
    open: bool,
}

impl Meaning for Chunks {
    fn event(&mut self, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if let Some(error) = json.get("error") {
            return sink(Event::Error(&complaint(error, None)));
        }
        // Azure's first event is about the prompt: it has neither a name nor a choice.
        let begins = json
            .get("choices")
            .is_some_and(|choices| choices.items().next().is_some());
        if self.state == State::ExpectStart && begins {
            self.state = State::Started;
            sink(Event::Start {
                id: &json.text_of("id").unwrap_or_default(),
                model: &json.text_of("model").unwrap_or_default(),
                created: json.get("created").and_then(Json::whole),
            });
        }
        for choice in json.get("choices").map(Json::items).into_iter().flatten() {
            self.choice(choice, "delta", sink);
        }
        let usage = json
            .get("usage")
            .or_else(|| json.get("x_groq").and_then(|groq| groq.get("usage")));
        if let Some(usage) = usage.filter(|usage| usage.kind() == Kind::Object) {
            sink(Event::Usage(report(usage)));
        }
    }

    fn word(&mut self, data: &[u8], sink: &mut dyn FnMut(Event<'_>)) {
        if data == b"[DONE]" && self.state != State::Done {
            self.state = State::Done;
            sink(Event::Done);
        }
    }
}

/// Reads a reply in one piece.
pub fn whole(body: &[u8], sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Unreadable> {
    let mut tape = Tape::default();
    let json = tape.read(body).map_err(|_| Unreadable)?;
    if let Some(error) = json.get("error") {
        sink(Event::Error(&complaint(error, None)));
        return Ok(());
    }
    let choices = json.get("choices").ok_or(Unreadable)?;
    sink(Event::Start {
        id: &json.text_of("id").unwrap_or_default(),
        model: &json.text_of("model").unwrap_or_default(),
        created: json.get("created").and_then(Json::whole),
    });
    let mut chunks = Chunks::default();
    for choice in choices.items() {
        chunks.choice(choice, "message", sink);
    }
    let usage = json.get("usage");
    if let Some(usage) = usage.filter(|usage| usage.kind() == Kind::Object) {
        sink(Event::Usage(report(usage)));
    }
    sink(Event::Done);
    Ok(())
}

/// The body of an error.
pub fn error(status: u16, body: &[u8]) -> Complaint {
    let mut tape = Tape::default();
    let Ok(json) = tape.read(body) else {
        return Complaint::default().classified(Some(status));
    };
    // vLLM and Mistral put the error at the top; FastAPI's own say `detail`.
    let error = json.get("error").unwrap_or(json);
    complaint(error, Some(status))
}

/// An `error` value: an object with a message, or the message itself.
pub fn complaint(error: Json<'_>, status: Option<u16>) -> Complaint {
    let message = error
        .text()
        .or_else(|| error.text_of("message"))
        .or_else(|| error.text_of("detail"))
        .unwrap_or_default();
    let code = error
        .text_of("code")
        .or_else(|| error.text_of("type"))
        .unwrap_or_default();
    let number = error
        .get("code")
        .and_then(Json::whole)
        .and_then(|number| u16::try_from(number).ok());
    let code = match number {
        Some(number) if code.is_empty() => number.to_string(),
        _ => code.into_owned(),
    };
    let mut complaint = Complaint::new(&message, &code, Class::Unknown).classified(None);
    if complaint.class == Class::Unknown {
        let kind = error.text_of("type").unwrap_or_default();
        complaint.class = Class::of_words(&kind, "")
            .or_else(|| number.or(status).map(Class::of_status))
            .unwrap_or_default();
    }
    complaint
}

impl Chunks {
    fn choice(&mut self, json: Json<'_>, said: &str, sink: &mut dyn FnMut(Event<'_>)) {
        let choice = json
            .get("index")
            .and_then(Json::whole)
            .and_then(|index| u32::try_from(index).ok())
            .unwrap_or(0);
        // Before the words they are of: protocols that tell both at once can.
        if let Some(logprobs) = json.get("logprobs") {
            sink(Event::Logprobs {
                choice,
                json: &compact(logprobs),
            });
        }
        if let Some(said) = json.get(said) {
            speech(said, choice, sink);
            for call in said
                .get("tool_calls")
                .map(Json::items)
                .into_iter()
                .flatten()
            {
                self.call(call, choice, sink);
            }
        }
        let Some(reason) = json
            .text_of("finish_reason")
            .filter(|word| !word.is_empty())
        else {
            return;
        };
        let called = self.end_calls(choice, sink);
        match finish(&reason) {
            Ok(Finish::Stop) if called => sink(Event::Finish {
                choice,
                reason: Finish::ToolCalls,
            }),
            Ok(reason) => sink(Event::Finish { choice, reason }),
            Err(complaint) => sink(Event::Error(&complaint)),
        }
    }

    fn call(&mut self, json: Json<'_>, choice: u32, sink: &mut dyn FnMut(Event<'_>)) {
        let function = json.get("function").unwrap_or(json);
        let id = json.text_of("id").unwrap_or_default();
        let name = function.text_of("name").unwrap_or_default();
        let index = json.get("index").and_then(Json::whole);
        let known = self.calls.iter().rposition(|call| {
            call.choice == choice
                && index.is_none_or(|index| call.index == index)
                && (id.is_empty() || call.id == id || name.is_empty())
        });
        // Without an index every entry that has a name is a call of its own.
        let known = known.filter(|_| index.is_some() || name.is_empty());
        let number = match known.and_then(|at| self.calls.get(at)) {
            Some(call) => call.number,
            None => {
                let Some(number) = self.begin((&id, &name, json), (choice, index), sink) else {
                    return;
                };
                number
            }
        };
        let arguments = function.get("arguments");
        let piece = match arguments.map(|arguments| (arguments.text(), arguments)) {
            Some((Some(text), _)) => text,
            // Some give the arguments as the object they are.
            Some((None, object)) => compact(object).into(),
            None => return,
        };
        if !piece.is_empty() {
            sink(Event::ToolArguments {
                choice,
                call: number,
                piece: &piece,
            });
        }
    }

    fn begin(
        &mut self,
        (id, name, json): (&str, &str, Json<'_>),
        (choice, index): (u32, Option<u64>),
        sink: &mut dyn FnMut(Event<'_>),
    ) -> Option<u32> {
        if self.calls.len() >= CALLS_MAX {
            return None;
        }
        self.end_calls(choice, sink);
        let before = self.calls.iter().filter(|call| call.choice == choice);
        let number = u32::try_from(before.count()).unwrap_or(u32::MAX);
        let made = format!("call_{choice}_{number}");
        let id = if id.is_empty() { made.as_str() } else { id };
        let seal = seal(json);
        sink(Event::ToolStart {
            choice,
            call: number,
            id,
            name,
            signature: seal.as_deref(),
        });
        self.calls.push(Call {
            choice,
            index: index.unwrap_or_else(|| u64::from(number)),
            number,
            id: id.chars().take(256).collect(),
            open: true,
        });
        Some(number)
    }

    /// Whether there were any.
    fn end_calls(&mut self, choice: u32, sink: &mut dyn FnMut(Event<'_>)) -> bool {
        let mut any = false;
        for call in self.calls.iter_mut().filter(|call| call.choice == choice) {
            any = true;
            if std::mem::replace(&mut call.open, false) {
                sink(Event::ToolEnd {
                    choice,
                    call: call.number,
                });
            }
        }
        any
    }
}

/// Words, thoughts and refusals of a message or a piece of one.
fn speech(said: Json<'_>, choice: u32, sink: &mut dyn FnMut(Event<'_>)) {
    let details = said.get("reasoning_details").map(Json::items);
    let mut told = false;
    for part in details.into_iter().flatten() {
        told |= detail(part, choice, sink);
    }
    let thought = said
        .text_of("reasoning_content")
        .or_else(|| said.text_of("reasoning"))
        .filter(|text| !text.is_empty() && !told);
    if let Some(text) = thought {
        sink(Event::Thinking {
            choice,
            text: &text,
        });
    }
    match said.get("content") {
        Some(content) if content.kind() == Kind::List => {
            content.items().for_each(|part| listed(part, choice, sink));
        }
        Some(content) => {
            if let Some(text) = content.text().filter(|text| !text.is_empty()) {
                sink(Event::Text {
                    choice,
                    text: &text,
                });
            }
        }
        None => {}
    }
    if let Some(text) = said.text_of("refusal").filter(|text| !text.is_empty()) {
        sink(Event::Refusal {
            choice,
            text: &text,
        });
    }
}

/// A thought as OpenRouter tells it, with its seal. Says whether there were words in it: the same stand in `reasoning`.
fn detail(part: Json<'_>, choice: u32, sink: &mut dyn FnMut(Event<'_>)) -> bool {
    let kind = part.text_of("type").unwrap_or_default();
    // Its number, its format and its maker's name for it are wanted back: all of it is the seal.
    if kind == "reasoning.encrypted" {
        sink(Event::SealedThinking {
            choice,
            data: &compact(part),
        });
        return false;
    }
    let text = part.text_of("text").or_else(|| part.text_of("summary"));
    let text = text.filter(|text| !text.is_empty());
    if let Some(text) = &text {
        sink(Event::Thinking { choice, text });
    }
    let signature = part.text_of("signature");
    if let Some(signature) = signature.filter(|signature| !signature.is_empty()) {
        sink(Event::Signature {
            choice,
            signature: &signature,
        });
    }
    text.is_some()
}

/// Mistral's thinking models answer in parts: `{"type": "thinking", "thinking": [{"text"}]}`.
fn listed(part: Json<'_>, choice: u32, sink: &mut dyn FnMut(Event<'_>)) {
    for thought in part.get("thinking").map(Json::items).into_iter().flatten() {
        if let Some(text) = thought.text_of("text") {
            sink(Event::Thinking {
                choice,
                text: &text,
            });
        }
    }
    if let Some(text) = part.text_of("text") {
        sink(Event::Text {
            choice,
            text: &text,
        });
    }
}

fn finish(reason: &str) -> Result<Finish, Complaint> {
    Ok(match reason {
        "length" | "model_length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        "error" | "insufficient_system_resource" => {
            let message = "The provider broke off its answer.";
            return Err(Complaint::new(message, reason, Class::Overloaded));
        }
        _ => Finish::Stop,
    })
}

/// The `usage` of a reply. `prompt_tokens` is the whole prompt, with what was cached named in the details;
/// so too for what was answered and what was thought, except where the total says that thoughts are apart.
pub fn report(usage: Json<'_>) -> Report {
    let mut figures = Figures::default();
    let prompt = figures.field(Some(usage), "prompt_tokens");
    let answer = figures.field(Some(usage), "completion_tokens");
    let (details, said) = (
        usage.get("prompt_tokens_details"),
        usage.get("completion_tokens_details"),
    );
    let cached = match details.and_then(|details| details.get("cached_tokens")) {
        Some(cached) => figures.count(Some(cached)),
        None => figures.field(Some(usage), "prompt_cache_hit_tokens"),
    };
    let thought = figures.field(said, "reasoning_tokens");
    let total = usage.get("total_tokens");
    let apart =
        thought.0 > 0 && total.and_then(Json::whole) == Some(prompt.plus(answer).plus(thought).0);
    let (output, reasoning) = if apart {
        (answer, thought)
    } else {
        figures.divide(answer, thought)
    };
    let (input, cached_input) = figures.uncached(prompt, cached);
    let written = figures.field(details, "cache_write_tokens");
    let (input, cache_write) = figures.divide(input, written);
    // Some of what was heard may have come from the cache: it is taken for new, which costs more.
    let heard = figures.field(details, "audio_tokens");
    let (input, audio_input) = figures.within(prompt, input, heard);
    let spoken = figures.field(said, "audio_tokens");
    let (output, audio_output) = figures.within(answer, output, spoken);
    let usage = Usage {
        input,
        audio_input,
        cached_input,
        cache_write,
        output,
        audio_output,
        reasoning,
        ..Usage::default()
    };
    figures.report(usage, total)
}
