//! OpenAI's dialect: its errors, its usage, its events.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::accents::{Accent, LimitField, Path, StreamUsage};
use crate::dialect::chat::Chat;
use crate::dialect::event;
use crate::dialect::gaps::{Policy, Untranslatable};
use crate::dialect::json::{Kind, Tape};
use crate::dialect::reply::Reply;
use crate::dialect::speak::{
    Asked, Client, Fault, Provider, Reader, Stream, Target, Unreadable, Written,
};
use crate::dialect::sse_reader::SseReader;
use crate::refusal::Refusal;

pub mod messages;
pub mod reply;
pub mod request;
pub mod stream;
pub mod turns;
pub mod write;

/// `{"error": {"message", "type", "param", "code"}}`, as its SDKs read it.
pub fn error_body(refusal: &Refusal) -> Vec<u8> {
    reply::error(refusal.status, &Fault::from(refusal))
}

/// The event that ends a stream which cannot go on: the SDKs raise it as an error.
pub fn error_event(refusal: &Refusal) -> Vec<u8> {
    let mut event = b"data: ".to_vec();
    event.extend_from_slice(&error_body(refusal));
    event.extend_from_slice(b"\n\n");
    event
}

fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

pub use crate::dialect::event::Complaint;

/// Reads an `error` value: an object with a message, or the message itself.
pub fn complaint(error: &[u8]) -> Option<Complaint> {
    let mut tape = Tape::default();
    let error = tape.read(error).ok()?;
    matches!(error.kind(), Kind::Object | Kind::Text | Kind::EscapedText)
        .then(|| stream::complaint(error, None))
}

/// The `usage` value of a reply or event.
pub fn usage(json: &[u8]) -> Option<event::Report> {
    let mut tape = Tape::default();
    let usage = tape.read(json).ok()?;
    (usage.kind() == Kind::Object).then(|| stream::report(usage))
}

/// OpenAI's chat completions, and whoever speaks them with an accent.
#[derive(Clone, Copy, Debug)]
pub struct OpenAi(pub Accent);

impl Provider for OpenAi {
    fn name(&self) -> &'static str {
        self.0.name
    }

    fn cap_field(&self, endpoint: &str) -> &'static str {
        match self.0.limit {
            LimitField::MaxCompletionTokens if endpoint.ends_with("/chat/completions") => {
                "max_completion_tokens"
            }
            LimitField::MaxCompletionTokens | LimitField::MaxTokens => "max_tokens",
        }
    }

    fn key_header(&self) -> (&'static str, &'static str) {
        match self.0.path {
            Path::Plain => ("authorization", "Bearer "),
            Path::Deployments { .. } => ("api-key", ""),
        }
    }

    fn api_version(&self) -> Option<&'static str> {
        match self.0.path {
            Path::Plain => None,
            Path::Deployments { api_version } => Some(api_version),
        }
    }

    fn understands(&self) -> &'static str {
        ChatCompletions.name()
    }

    fn passing_path(&self, path: &'static str, target: &Target<'_>) -> String {
        match self.0.path {
            Path::Plain => path.to_owned(),
            Path::Deployments { api_version } => write::deployed(path, target, api_version),
        }
    }

    fn stream_usage(&self) -> StreamUsage {
        self.0.stream_usage
    }

    fn write(
        &self,
        chat: &Chat,
        target: &Target<'_>,
        policy: Policy,
    ) -> Result<Written, Untranslatable> {
        write::write(&self.0, chat, target, policy)
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<SseReader<stream::Chunks>>::default()
    }

    fn read(&self, body: &[u8], sink: &mut dyn FnMut(event::Event<'_>)) -> Result<(), Unreadable> {
        stream::whole(body, sink)
    }

    fn complaint(&self, status: u16, body: &[u8]) -> Complaint {
        stream::error(status, body)
    }
}

/// Clients of OpenAI's chat completions.
#[derive(Clone, Copy, Debug)]
pub struct ChatCompletions;

impl Client for ChatCompletions {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn read(&self, body: &[u8]) -> Result<Chat, Refusal> {
        request::read(body)
    }

    fn whole(&self, asked: &Asked, reply: &Reply) -> Vec<u8> {
        reply::whole(asked, reply)
    }

    fn stream(&self, asked: Asked) -> Box<dyn Stream> {
        Box::new(reply::Chunks::new(asked))
    }

    fn error(&self, status: u16, fault: &Fault<'_>) -> Vec<u8> {
        reply::error(status, fault)
    }
}

/// What one event of a stream means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The stream lives, but nothing was said yet: a role, a comment, something unknown.
    Lifecycle,
    /// Something the caller was waiting for; how many bytes of text.
    Content(usize),
    /// The figures, alone in their event.
    UsageOnly(event::Report),
    /// The figures, in an event that also carries content.
    ContentAndUsage(usize, event::Report),
    /// The provider failed.
    Error(Complaint),
    /// The end, as it should be.
    Done,
}

/// Whether the first content has been seen: until then each event is looked at closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Is it content, or only the announcement of it?
    Closely,
    /// It is content, unless it carries figures or an error.
    Quickly,
}

/// Reads the data of one event.
pub fn event(data: &[u8], look: Look) -> Event {
    let data = data.trim_ascii();
    if data == b"[DONE]" {
        return Event::Done;
    }
    let figures = has_object(data, b"\"usage\"");
    if look == Look::Quickly && !figures && !has_object(data, b"\"error\"") {
        return Event::Content(text_bytes(data));
    }
    let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else {
        return Event::Lifecycle;
    };
    if let Some(error) = chunk.error.map(RawValue::get).filter(|raw| *raw != "null") {
        return Event::Error(complaint(error.as_bytes()).unwrap_or_default());
    }
    let said = chunk.choices.iter().flatten().any(Choice::says_something);
    let empty = chunk.choices.as_ref().is_none_or(Vec::is_empty);
    match chunk.usage.and_then(|raw| usage(raw.get().as_bytes())) {
        Some(usage) if empty => Event::UsageOnly(usage),
        Some(usage) => Event::ContentAndUsage(text_bytes(data), usage),
        None if said => Event::Content(text_bytes(data)),
        None => Event::Lifecycle,
    }
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
}

impl Choice<'_> {
    fn says_something(&self) -> bool {
        let said = |raw: Option<&RawValue>| {
            raw.is_some_and(|raw| !matches!(raw.get(), "null" | "\"\"" | "[]" | "{}"))
        };
        let delta = self.delta.as_ref().is_some_and(|delta| {
            [
                delta.content,
                delta.refusal,
                delta.reasoning_content,
                delta.tool_calls,
                delta.function_call,
                delta.audio,
            ]
            .into_iter()
            .any(said)
        });
        delta || said(self.finish_reason) || self.text.as_ref().is_some_and(|text| !text.is_empty())
    }
}

/// Whether this field stands somewhere with an object or text behind it: cheaper than parsing, and never
/// wrong in saying no.
fn has_object(data: &[u8], name: &[u8]) -> bool {
    memchr::memmem::find_iter(data, name).any(|at| {
        let behind = data
            .get(at.saturating_add(name.len())..)
            .unwrap_or_default()
            .trim_ascii_start();
        let value = behind
            .strip_prefix(b":")
            .unwrap_or_default()
            .trim_ascii_start();
        matches!(value.first(), Some(b'{' | b'"'))
    })
}

/// How many bytes of text an event carries, as written: escapes count as they stand. Only used where the
/// provider reports no usage.
fn text_bytes(data: &[u8]) -> usize {
    const NAMES: [&[u8]; 4] = [
        b"content\":\"",
        b"text\":\"",
        b"arguments\":\"",
        b"refusal\":\"",
    ];
    NAMES.iter().fold(0, |sum, name| {
        memchr::memmem::find_iter(data, name).fold(sum, |sum, at| {
            let text = data
                .get(at.saturating_add(name.len())..)
                .unwrap_or_default();
            sum.saturating_add(string_bytes(text))
        })
    })
}

/// Up to the quote that ends a string.
fn string_bytes(text: &[u8]) -> usize {
    let mut from: usize = 0;
    loop {
        let rest = text.get(from..).unwrap_or_default();
        let Some(at) = memchr::memchr2(b'"', b'\\', rest) else {
            return text.len();
        };
        let here = from.saturating_add(at);
        if rest.get(at) == Some(&b'"') {
            return here;
        }
        from = here.saturating_add(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Tokens;
    use crate::usage::Usage;

    const CHUNK: &str = r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":DELTA,"finish_reason":null}]USAGE}"#;

    fn chunk(delta: &str, usage: &str) -> String {
        CHUNK.replace("DELTA", delta).replace("USAGE", usage)
    }

    #[test]
    fn an_event_is_what_it_says_however_it_is_looked_at() {
        let figures = event::Report {
            usage: Usage {
                input: Tokens(3),
                output: Tokens(4),
                ..Usage::default()
            },
            ..event::Report::default()
        };
        let busy = Complaint {
            message: "busy".to_owned(),
            code: "overloaded".to_owned(),
            class: event::Class::Overloaded,
        };
        for (data, closely, quickly) in [
            ("[DONE]".to_owned(), Event::Done, Event::Done),
            (
                chunk(r#"{"content":"abc\"d"}"#, ""),
                Event::Content(6),
                Event::Content(6),
            ),
            (
                chunk(r#"{"content":"a"}"#, r#","usage":null"#),
                Event::Content(1),
                Event::Content(1),
            ),
            (
                chunk(r#"{"role":"assistant","content":""}"#, ""),
                Event::Lifecycle,
                Event::Content(0),
            ),
            (
                chunk(r#"{"tool_calls":[{"function":{"arguments":"{\"x"}}]}"#, ""),
                Event::Content(4),
                Event::Content(4),
            ),
            (
                r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#.to_owned(),
                Event::UsageOnly(figures),
                Event::UsageOnly(figures),
            ),
            (
                chunk(
                    r#"{"content":"a"}"#,
                    r#","usage": {"prompt_tokens":3,"completion_tokens":4}"#,
                ),
                Event::ContentAndUsage(1, figures),
                Event::ContentAndUsage(1, figures),
            ),
            (
                r#"{"error":{"message":"busy","code":"overloaded"}}"#.to_owned(),
                Event::Error(busy.clone()),
                Event::Error(busy),
            ),
            (
                chunk(r#"{"content":"\"error\":{"}"#, ""),
                Event::Content(11),
                Event::Content(11),
            ),
            ("not json".to_owned(), Event::Lifecycle, Event::Content(0)),
            (String::new(), Event::Lifecycle, Event::Content(0)),
        ] {
            assert_eq!(event(data.as_bytes(), Look::Closely), closely, "{data}");
            assert_eq!(event(data.as_bytes(), Look::Quickly), quickly, "{data}");
        }
    }

    #[test]
    fn classes_of_usage_are_disjoint() {
        for (json, want) in [
            (
                r#"{"prompt_tokens":100,"completion_tokens":50,"prompt_tokens_details":{"cached_tokens":90},"completion_tokens_details":{"reasoning_tokens":20}}"#,
                Some((10, 90, 30, 20)),
            ),
            (
                r#"{"prompt_tokens":5,"completion_tokens":6,"prompt_tokens_details":null}"#,
                Some((5, 0, 6, 0)),
            ),
            (
                r#"{"prompt_tokens":5,"completion_tokens":6,"prompt_tokens_details":{"cached_tokens":99}}"#,
                Some((5, 0, 6, 0)),
            ),
            (r#"{"prompt_tokens":5}"#, Some((5, 0, 0, 0))),
            (r#"{"prompt_tokens":-5}"#, Some((0, 0, 0, 0))),
            (r#"{"prompt_tokens":"5"}"#, Some((5, 0, 0, 0))),
            ("null", None),
            ("{", None),
        ] {
            let got = usage(json.as_bytes()).map(|report| {
                let usage = report.usage;
                (
                    usage.input.0,
                    usage.cached_input.0,
                    usage.output.0,
                    usage.reasoning.0,
                )
            });
            assert_eq!(got, want, "{json}");
        }
    }

    #[test]
    fn complaints_are_read_in_every_shape_that_providers_use() {
        for (json, want) in [
            (r#"{"message":"m","type":"t","code":"c"}"#, Some(("m", "c"))),
            (
                r#"{"message":"m","type":"t","code":null}"#,
                Some(("m", "t")),
            ),
            (r#"{"message":"m","code":404}"#, Some(("m", "404"))),
            (r#""just text""#, Some(("just text", ""))),
            (r#"{"other":1}"#, Some(("", ""))),
            ("[]", None),
            ("5", None),
        ] {
            let got = complaint(json.as_bytes());
            let got = got
                .as_ref()
                .map(|complaint| (complaint.message.as_str(), complaint.code.as_str()));
            assert_eq!(got, want, "{json}");
        }
    }
}
