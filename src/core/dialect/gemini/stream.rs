//! Replies of Gemini, streamed and whole, as events. Each event of a stream is a small whole reply.

use crate::dialect::event::{Class, Complaint, Event, Finish, Report};
use crate::dialect::figures::Figures;
use crate::dialect::json::{Json, Kind, Tape};
use crate::dialect::speak::Unreadable;
use crate::dialect::sse_reader::Meaning;
use crate::dialect::writer::{Writer, compact, object};
use crate::eventstream::crc32;
use crate::units::Tokens;
use crate::usage::Usage;

/// More answers than this are not told apart.
const CHOICES_MAX: usize = 128;

/// What the events of a stream mean.
#[derive(Debug, Default)]
pub struct Candidates {
    state: State,
    /// Stands for the reply in the ids of its calls, which are short: OpenAI takes 40 letters.
    reply: u32,
    /// How many calls each answer has made, and whether it is finished.
    answers: Vec<(u32, u32)>,
}

/// There is no event that ends a stream: it is over when it says why it ended, and the bytes are over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    ExpectStart,
    Started,
    Finished,
    Failed,
}

impl Meaning for Candidates {
    fn event(&mut self, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        // Some errors come as a list of one, even in a stream.
        let json = json.items().next().unwrap_or(json);
        if json.get("error").is_some() {
            self.state = State::Failed;
            return sink(Event::Error(&complaint(json, None)));
        }
        self.start(json, sink);
        let candidates = json.get("candidates").map(Json::items);
        for candidate in candidates.into_iter().flatten() {
            self.candidate(candidate, sink);
        }
        self.blocked(json, sink);
        let usage = json.get("usageMetadata");
        if let Some(usage) = usage.filter(|usage| usage.kind() == Kind::Object) {
            sink(Event::Usage(report(usage)));
        }
    }

    fn finish(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        if self.state == State::Finished {
            self.state = State::Failed;
            sink(Event::Done);
        }
    }
}

/// Reads a reply in one piece.
pub fn whole(body: &[u8], sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Unreadable> {
    let mut tape = Tape::default();
    let json = tape.read(body).map_err(|_| Unreadable)?;
    let known = ["candidates", "promptFeedback", "error"];
    if !known.iter().any(|name| json.get(name).is_some()) {
        return Err(Unreadable);
    }
    let mut candidates = Candidates::default();
    candidates.event(json, sink);
    candidates.finish(sink);
    Ok(())
}

impl Candidates {
    fn start(&mut self, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if self.state != State::ExpectStart {
            return;
        }
        self.state = State::Started;
        let id = json.text_of("responseId").unwrap_or_default();
        self.reply = crc32(id.as_bytes());
        sink(Event::Start {
            id: &id,
            model: &json.text_of("modelVersion").unwrap_or_default(),
            created: None,
        });
    }

    fn candidate(&mut self, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let choice = json
            .get("index")
            .and_then(Json::whole)
            .and_then(|index| u32::try_from(index).ok())
            .unwrap_or(0);
        if let Some(chosen) = json.get("logprobsResult") {
            sink(Event::Logprobs {
                choice,
                json: &logprobs(chosen),
            });
        }
        let parts = json
            .get("content")
            .and_then(|content| content.get("parts"))
            .map(Json::items);
        for part in parts.into_iter().flatten() {
            self.part(part, choice, sink);
        }
        let Some(reason) = json.text_of("finishReason") else {
            return;
        };
        if BROKEN.contains(&reason.as_ref()) {
            self.state = State::Failed;
            let message = "The model said something that its provider could not read.";
            return sink(Event::Error(&Complaint::new(
                message,
                &reason,
                Class::Server,
            )));
        }
        let called = self.answers.iter().any(|(known, _)| *known == choice);
        let mut reason = finish(&reason);
        if called && reason == Finish::Stop {
            reason = Finish::ToolCalls;
        }
        self.state = State::Finished;
        sink(Event::Finish { choice, reason });
    }

    fn part(&mut self, part: Json<'_>, choice: u32, sink: &mut dyn FnMut(Event<'_>)) {
        let seal = part.text_of("thoughtSignature");
        if let Some(call) = part.get("functionCall") {
            return self.call(call, choice, seal.as_deref(), sink);
        }
        let thought = part.get("thought").and_then(Json::truth) == Some(true);
        if let Some(text) = part.text_of("text").filter(|text| !text.is_empty()) {
            sink(if thought {
                Event::Thinking {
                    choice,
                    text: &text,
                }
            } else {
                Event::Text {
                    choice,
                    text: &text,
                }
            });
        }
    }

    /// Calls come whole and often without an id: one is made from the reply's, so that ids of several
    /// turns do not meet.
    fn call(
        &mut self,
        json: Json<'_>,
        choice: u32,
        seal: Option<&str>,
        sink: &mut dyn FnMut(Event<'_>),
    ) {
        let known = self.answers.iter().position(|(known, _)| *known == choice);
        if known.is_none() && self.answers.len() < CHOICES_MAX {
            self.answers.push((choice, 0));
        }
        let counter = self
            .answers
            .iter_mut()
            .find(|(known, _)| *known == choice)
            .map(|(_, calls)| calls);
        let Some(counter) = counter else {
            return;
        };
        let call = *counter;
        *counter = call.saturating_add(1);
        let made = format!("call_{:08x}_{choice}_{call}", self.reply);
        let id = json.text_of("id").filter(|id| !id.is_empty());
        sink(Event::ToolStart {
            choice,
            call,
            id: id.as_deref().unwrap_or(&made),
            name: &json.text_of("name").unwrap_or_default(),
            signature: seal,
        });
        let arguments = json.get("args").map_or_else(|| "{}".to_owned(), compact);
        sink(Event::ToolArguments {
            choice,
            call,
            piece: &arguments,
        });
        sink(Event::ToolEnd { choice, call });
    }

    /// A prompt that a filter does not want has no candidates at all.
    fn blocked(&mut self, json: Json<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let blocked = json
            .get("promptFeedback")
            .and_then(|feedback| feedback.text_of("blockReason"));
        if blocked.is_some() && self.state == State::Started {
            self.state = State::Finished;
            sink(Event::Finish {
                choice: 0,
                reason: Finish::ContentFilter,
            });
        }
    }
}

/// Ends that are failures: there is no answer, and another try may have one.
const BROKEN: &[&str] = &[
    "MALFORMED_FUNCTION_CALL",
    "MALFORMED_RESPONSE",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
];

/// As OpenAI writes them.
fn logprobs(json: Json<'_>) -> String {
    let list = |name| json.get(name).map(Json::items).into_iter().flatten();
    let mut others = list("topCandidates");
    let written = object(|o| {
        o.key("content").list(|tokens| {
            for chosen in list("chosenCandidates") {
                let top = others.next().and_then(|top| top.get("candidates"));
                tokens.object(|o| {
                    token(o, chosen);
                    o.key("top_logprobs").list(|list| {
                        for one in top.map(Json::items).into_iter().flatten() {
                            list.object(|o| token(o, one));
                        }
                    });
                });
            }
        });
        o.key("refusal").null();
    });
    String::from_utf8(written).unwrap_or_default()
}

fn token(o: &mut Writer<'_>, json: Json<'_>) {
    let text = json.text_of("token").unwrap_or_default();
    o.key("token").text(&text);
    let number = json.get("logProbability").and_then(Json::number);
    o.key("logprob").raw(number.unwrap_or("0"));
    o.key("bytes")
        .list(|list| text.bytes().for_each(|byte| list.whole(u64::from(byte))));
}

fn finish(reason: &str) -> Finish {
    match reason {
        "MAX_TOKENS" | "CONTINUATION" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "LANGUAGE"
        | "ESCALATION"
        | "MODEL_ARMOR"
        | "PUP_LIMITED_DISABLED"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Finish::ContentFilter,
        _ => Finish::Stop,
    }
}

/// The body of an error.
pub fn error(status: u16, body: &[u8]) -> Complaint {
    let mut tape = Tape::default();
    match tape.read(body) {
        Ok(json) => complaint(json.items().next().unwrap_or(json), Some(status)),
        Err(_) => Complaint::default().classified(Some(status)),
    }
}

fn complaint(json: Json<'_>, status: Option<u16>) -> Complaint {
    let error = json.get("error").unwrap_or(json);
    let number = error
        .get("code")
        .and_then(Json::whole)
        .and_then(|code| u16::try_from(code).ok());
    let message = error.text_of("message").unwrap_or_default();
    let code = error.text_of("status").unwrap_or_default();
    let mut complaint =
        Complaint::new(&message, &code, Class::Unknown).classified(number.or(status));
    // Google says INVALID_ARGUMENT of a wrong key, too.
    if complaint.class == Class::Invalid && message.contains("API key") {
        complaint.class = Class::Authentication;
    }
    complaint
}

/// `promptTokenCount` is the whole prompt, what was cached included; thoughts and answer are apart.
pub fn report(usage: Json<'_>) -> Report {
    let mut figures = Figures::default();
    let count = |figures: &mut Figures, name| figures.field(Some(usage), name);
    let prompt = count(&mut figures, "promptTokenCount")
        .plus(count(&mut figures, "toolUsePromptTokenCount"));
    let cached = count(&mut figures, "cachedContentTokenCount");
    let (input, cached_input) = figures.uncached(prompt, cached);
    let heard = audio(&mut figures, usage, "promptTokensDetails");
    let heard_before = audio(&mut figures, usage, "cacheTokensDetails");
    let heard = Tokens(heard.0.saturating_sub(heard_before.0));
    let (input, audio_input) = figures.within(prompt, input, heard);
    let answer = count(&mut figures, "candidatesTokenCount");
    let spoken = audio(&mut figures, usage, "candidatesTokensDetails");
    let (output, audio_output) = figures.divide(answer, spoken);
    let used = Usage {
        input,
        audio_input,
        cached_input,
        output,
        audio_output,
        reasoning: count(&mut figures, "thoughtsTokenCount"),
        ..Usage::default()
    };
    figures.report(used, usage.get("totalTokenCount"))
}

fn audio(figures: &mut Figures, usage: Json<'_>, list: &str) -> Tokens {
    let mut details = usage.get(list).map(Json::items).into_iter().flatten();
    let audio = details.find(|one| one.text_of("modality").as_deref() == Some("AUDIO"));
    figures.field(audio, "tokenCount")
}
