//! The body of a request: parsed once, the few known fields typed, everything else untouched.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::dialect::accents::StreamUsage;
use crate::endpoint::Streams;
use crate::multipart;
use crate::refusal::Refusal;
use crate::tokens::is_bearable;
use crate::units::Tokens;

/// What is known of a body, and how to write it for a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The name the caller asked for.
    pub model: String,
    /// How the answer is to come.
    pub reply: Reply,
    /// How much of an answer it asks for.
    pub wishes: Wishes,
    /// What changes on the way to a provider.
    pub splice: Splice,
}

/// How much of an answer a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// No answer is to be longer; none where nothing is said.
    pub cap: Option<Tokens>,
    /// How many answers: `n`, or `best_of` where that is more, for each of several prompts.
    pub choices: u64,
    /// Under which names a cap is written.
    pub caps: Caps,
}

/// Which of the names for a cap stand in a body, with a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps(u8);

impl Caps {
    fn with(self, name: &str) -> Self {
        Self(self.0 | Self::bit(name))
    }

    fn bit(name: &str) -> u8 {
        let position = CAPS.iter().position(|known| *known == name);
        position.map_or(0, |position| 1 << position)
    }

    /// Whether one binds at a provider that calls it so. One that does not know a name may pass over it, and answer
    /// without end; OpenAI's chat still knows its old one.
    pub fn bind(self, field: &str) -> bool {
        let old = if field == "max_completion_tokens" {
            Self::bit("max_tokens")
        } else {
            0
        };
        self.0 & (Self::bit(field) | old) != 0
    }
}

/// What a cap is called, by one or another.
const CAPS: [&str; 3] = ["max_tokens", "max_completion_tokens", "max_output_tokens"];

/// How a cap binds at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// What the provider's dialect calls it.
    pub field: &'static str,
    /// The cap, where the caller wrote none and it must bind.
    pub tokens: Option<Tokens>,
}

/// How the answer is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// In one piece.
    Whole,
    /// As events.
    Streamed(UsageEvent),
}

/// Whether the caller asked for the event that carries the usage. We always ask the provider for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageEvent {
    /// It is passed on.
    Asked,
    /// It is kept back.
    Hidden,
}

/// How a dialect lets the figures of a stream be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageOption {
    /// OpenAI's `stream_options.include_usage`.
    StreamOptions,
    /// They come anyway.
    Always,
}

/// The places of a body that a provider gets otherwise than the caller wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    edits: Vec<(Range<usize>, Text)>,
    /// Behind the opening brace: where a field can be put in.
    begin: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Text {
    /// The target's name of the model, as JSON.
    Model,
    /// The same as it is, in a form.
    BareModel,
    /// This.
    Literal(String),
    /// A field for the cap, of this name: where another name must bind, `null`.
    Cap(&'static str),
    /// OpenAI's newer name for the cap. Others do not know it, and would answer without one.
    CapName,
    /// Nothing: this is for us alone.
    Gone,
}

/// Borrowed from the body. Each field at most once: serde refuses a second one, so that we and
/// the provider cannot read two different models out of one body.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    n: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    best_of: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    prompt: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    models: Option<&'a RawValue>,
}

/// More answers than this to one request nobody gives.
pub const CHOICES_MAX: u64 = 1_024;

impl Fields<'_> {
    /// The largest cap counts, since nobody knows which of them a provider obeys.
    fn wishes(&self) -> Result<Wishes, Refusal> {
        let mut cap = None;
        let mut caps = Caps::default();
        for (name, raw) in self.caps() {
            let Some(tokens) = whole(name, raw)? else {
                continue;
            };
            cap = cap.max(Some(Tokens(tokens)));
            caps = caps.with(name);
        }
        let mut choices = 1;
        for (name, raw) in [("n", self.n), ("best_of", self.best_of)] {
            choices = choices.max(whole(name, raw)?.unwrap_or(1));
        }
        if choices > CHOICES_MAX {
            return Err(Refusal::invalid_type("n", "a small whole number"));
        }
        let choices = choices.saturating_mul(self.prompt.map_or(1, prompts));
        Ok(Wishes { cap, choices, caps })
    }

    fn caps(&self) -> [(&'static str, Option<&RawValue>); 3] {
        let [old, chat, responses] = CAPS;
        [
            (old, self.max_tokens),
            (chat, self.max_completion_tokens),
            (responses, self.max_output_tokens),
        ]
    }
}

/// How many prompts stand in the `prompt` of a completion: a list of texts, or of lists of tokens, is as many. A list
/// of tokens is one.
fn prompts(prompt: &RawValue) -> u64 {
    let inside = prompt.get().strip_prefix('[').map(str::trim_start);
    if !inside.is_some_and(|inside| inside.starts_with(['"', '['])) {
        return 1;
    }
    let elements: Vec<IgnoredAny> = serde_json::from_str(prompt.get()).unwrap_or_default();
    u64::try_from(elements.len()).unwrap_or(u64::MAX).max(1)
}

/// A whole number that is not negative. `null` says nothing.
fn whole(name: &'static str, raw: Option<&RawValue>) -> Result<Option<u64>, Refusal> {
    match raw.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some(text) => match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Refusal::invalid_type(name, "a whole number, not negative")),
        },
    }
}

/// A `null` that was written has a place in the body; serde would take it for absent.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Parses what must be known and finds what must be changed. Nothing in it recurses, however deep
/// the body nests.
pub fn parse(body: &[u8], streams: Streams, usage: UsageOption) -> Result<Request, Refusal> {
    let text = std::str::from_utf8(body).map_err(|error| {
        Refusal::invalid_json(&format!("it is not UTF-8 at byte {}", error.valid_up_to()))
    })?;
    if !is_bearable(body) {
        return Err(Refusal::body_too_intricate());
    }
    // serde would take a list for the fields in their order.
    if !text.trim_start().starts_with('{') {
        return Err(Refusal::invalid_json("it is not an object"));
    }
    let fields: Fields<'_> =
        serde_json::from_str(text).map_err(|error| Refusal::invalid_json(&error.to_string()))?;
    let raw_model = fields
        .model
        .filter(|raw| raw.get() != "null")
        .ok_or_else(|| Refusal::missing("model"))?;
    let model: Cow<'_, str> = serde_json::from_str(raw_model.get())
        .map_err(|_| Refusal::invalid_type("model", "a string"))?;
    if model.is_empty() {
        return Err(Refusal::missing("model"));
    }
    let streamed = match fields.stream.map(RawValue::get) {
        None | Some("null" | "false") => false,
        Some("true") => streams == Streams::OnRequest,
        Some(_) => return Err(Refusal::invalid_type("stream", "true or false")),
    };
    let mut edits = vec![(place(text, raw_model.get())?, Text::Model)];
    let reply = match (streamed, usage) {
        (false, _) => Reply::Whole,
        (true, UsageOption::StreamOptions) => {
            Reply::Streamed(ask_for_usage(text, fields.stream_options, &mut edits)?)
        }
        (true, UsageOption::Always) => Reply::Streamed(UsageEvent::Asked),
    };
    for (name, raw) in fields.caps() {
        if let Some(raw) = raw {
            edits.push((place(text, raw.get())?, Text::Cap(name)));
        }
    }
    if let (Some(raw), None) = (fields.max_completion_tokens, fields.max_tokens) {
        let name = name_of(text, place(text, raw.get())?.start)?;
        edits.push((name, Text::CapName));
    }
    if let Some(raw) = fields.models {
        edits.push((whole_field(text, place(text, raw.get())?)?, Text::Gone));
    }
    // What is put in before a field stands before it also where the field goes.
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let brace = text.find('{').ok_or_else(internal)?;
    Ok(Request {
        model: model.into_owned(),
        reply,
        wishes: fields.wishes()?,
        splice: Splice {
            edits,
            begin: brace.saturating_add(1),
        },
    })
}

/// Adds `stream_options.include_usage` where it is not there.
fn ask_for_usage(
    text: &str,
    options: Option<&RawValue>,
    edits: &mut Vec<(Range<usize>, Text)>,
) -> Result<UsageEvent, Refusal> {
    let Some(options) = options.filter(|raw| raw.get() != "null") else {
        return add_options(text, options, edits);
    };
    let mut fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(options.get())
            .map_err(|_| Refusal::invalid_type("stream_options", "an object"))?;
    if fields.get("include_usage") == Some(&serde_json::Value::Bool(true)) {
        return Ok(UsageEvent::Asked);
    }
    fields.insert("include_usage".to_owned(), serde_json::Value::Bool(true));
    let literal = serde_json::Value::Object(fields).to_string();
    edits.push((place(text, options.get())?, Text::Literal(literal)));
    Ok(UsageEvent::Hidden)
}

fn add_options(
    text: &str,
    null: Option<&RawValue>,
    edits: &mut Vec<(Range<usize>, Text)>,
) -> Result<UsageEvent, Refusal> {
    let object = r#"{"include_usage":true}"#;
    let edit = match null {
        Some(null) => (place(text, null.get())?, Text::Literal(object.to_owned())),
        None => {
            let brace = text.find('{').ok_or_else(internal)?;
            let after = brace.saturating_add(1);
            let field = format!(r#""stream_options":{object},"#);
            (after..after, Text::Literal(field))
        }
    };
    edits.push(edit);
    Ok(UsageEvent::Hidden)
}

/// Where `part`, which was borrowed from `whole`, stands in it.
fn place(whole: &str, part: &str) -> Result<Range<usize>, Refusal> {
    let start = part
        .as_ptr()
        .addr()
        .checked_sub(whole.as_ptr().addr())
        .ok_or_else(internal)?;
    let end = start.saturating_add(part.len());
    whole
        .get(start..end)
        .map(|_| start..end)
        .ok_or_else(internal)
}

/// The place of a field with its name and one comma, from that of its value.
fn whole_field(text: &str, value: Range<usize>) -> Result<Range<usize>, Refusal> {
    let start = name_of(text, value.start)?.start;
    let after = text.get(value.end..).ok_or_else(internal)?.trim_start();
    if let Some(rest) = after.strip_prefix(',') {
        return Ok(start..text.len().saturating_sub(rest.len()));
    }
    let before = text.get(..start).ok_or_else(internal)?.trim_end();
    let comma = before.strip_suffix(',').map_or(start, str::len);
    Ok(comma..value.end)
}

/// The place of the name in front of a value, with its marks.
fn name_of(text: &str, value: usize) -> Result<Range<usize>, Refusal> {
    let before = text.get(..value).ok_or_else(internal)?.trim_end();
    let name = before.strip_suffix(':').ok_or_else(internal)?.trim_end();
    let bare = name.strip_suffix('"').ok_or_else(internal)?;
    let start = bare.rfind('"').ok_or_else(internal)?;
    Ok(start..name.len())
}

fn internal() -> Refusal {
    Refusal::internal("a field of the request could not be placed")
}

impl Request {
    /// A form asks for a model as well.
    pub fn of_form(form: &multipart::Form, streams: Streams) -> Self {
        Self {
            model: form.model.clone(),
            reply: if form.stream && streams == Streams::OnRequest {
                Reply::Streamed(UsageEvent::Asked)
            } else {
                Reply::Whole
            },
            wishes: Wishes {
                cap: None,
                choices: form.count,
                caps: Caps::default(),
            },
            splice: Splice {
                edits: vec![(form.place.clone(), Text::BareModel)],
                begin: 0,
            },
        }
    }
}

impl Splice {
    /// Behind this byte nothing changes.
    pub fn end(&self) -> usize {
        let ends = self.edits.iter().map(|(range, _)| range.end);
        ends.fold(self.begin, usize::max)
    }

    /// What is written where, for one provider.
    fn edits_for<'a>(
        &'a self,
        (quoted, model): (&'a str, &'a str),
        usage: StreamUsage,
        cap: Option<Cap>,
    ) -> impl Iterator<Item = (Range<usize>, Cow<'a, str>)> {
        let field = cap
            .filter(|cap| {
                let mut edits = self.edits.iter();
                !edits.any(|(_, text)| *text == Text::Cap(cap.field))
            })
            .and_then(|Cap { field, tokens }| {
                let field = format!("\"{field}\":{},", tokens?.0);
                Some((self.begin..self.begin, Cow::Owned(field)))
            });
        let edits = self.edits.iter().filter_map(move |(range, text)| {
            let written = match text {
                Text::Model => Cow::Borrowed(quoted),
                Text::BareModel => Cow::Borrowed(model),
                // A provider that sends the figures unasked may refuse the question.
                Text::Literal(literal) if usage == StreamUsage::Asked => {
                    Cow::Borrowed(literal.as_str())
                }
                Text::Literal(_) => return None,
                Text::Cap(name) => {
                    let Cap { field, tokens } = cap?;
                    let tokens = tokens?;
                    if *name == field {
                        Cow::Owned(tokens.0.to_string())
                    } else {
                        Cow::Borrowed("null")
                    }
                }
                Text::CapName => match cap? {
                    Cap {
                        field: "max_tokens",
                        tokens: None,
                    } => Cow::Borrowed("\"max_tokens\""),
                    Cap { .. } => return None,
                },
                Text::Gone => Cow::Borrowed(""),
            };
            Some((range.clone(), written))
        });
        field.into_iter().chain(edits)
    }

    /// How long the body becomes.
    pub fn length(
        &self,
        body_bytes: usize,
        model: &str,
        usage: StreamUsage,
        cap: Option<Cap>,
    ) -> usize {
        let quoted = json_string(model);
        self.edits_for((&quoted, model), usage, cap)
            .fold(body_bytes, |length, (range, written)| {
                length
                    .saturating_sub(range.len())
                    .saturating_add(written.len())
            })
    }

    /// The body for a provider, or none if it is the caller's to the byte.
    pub fn write(
        &self,
        body: &[u8],
        model: &str,
        usage: StreamUsage,
        cap: Option<Cap>,
    ) -> Option<Vec<u8>> {
        let quoted = json_string(model);
        let same = self
            .edits_for((&quoted, model), usage, cap)
            .all(|(range, written)| body.get(range) == Some(written.as_bytes()));
        if same {
            return None;
        }
        let mut edited = Vec::with_capacity(body.len().saturating_add(96));
        let mut from = 0;
        for (range, written) in self.edits_for((&quoted, model), usage, cap) {
            edited.extend_from_slice(body.get(from..range.start).unwrap_or_default());
            edited.extend_from_slice(written.as_bytes());
            from = range.end;
        }
        edited.extend_from_slice(body.get(from..).unwrap_or_default());
        Some(edited)
    }
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
