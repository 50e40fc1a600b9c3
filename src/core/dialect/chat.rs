//! A chat request in nobody's dialect: what clients say is read into it, what providers hear is written
//! from it. Values that only travel through (schemas, arguments, numbers) stay the text they were.

pub use crate::dialect::reasoning::{Effort, Reasoning, Thinking};

use crate::dialect::json::Json;

/// One request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chat {
    /// The client's dialect: only a target of the same one understands its [`Self::extras`].
    pub dialect: &'static str,
    /// The name the caller asked for.
    pub model: String,
    /// In order; system messages stand where the caller put them.
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether it must.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls may come at once.
    pub parallel_tool_calls: Option<bool>,
    /// What shape the answer has.
    pub format: Format,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// How many answers.
    pub n: Option<u64>,
    /// For answers that repeat.
    pub seed: Option<Number>,
    /// From 0 to 1 or 2.
    pub temperature: Option<Number>,
    /// Of the probability mass.
    pub top_p: Option<Number>,
    /// Of the likeliest tokens.
    pub top_k: Option<u64>,
    /// From -2 to 2.
    pub frequency_penalty: Option<Number>,
    /// From -2 to 2.
    pub presence_penalty: Option<Number>,
    /// Whether probabilities come with the tokens, and how many alternatives.
    pub logprobs: Option<u64>,
    /// The caller's own user.
    pub user: Option<String>,
    /// The caller's notes, as a JSON object.
    pub metadata: Option<String>,
    /// How hard to think.
    pub reasoning: Reasoning,
    /// Tokens of the answer, thoughts included.
    pub output_max: Option<u64>,
    /// In one piece or as it is said.
    pub delivery: Delivery,
    /// Top-level fields that have no neutral meaning, with their JSON: only the same dialect knows them.
    pub extras: Vec<Extra>,
    /// Fields further inside that nobody read, by their path.
    pub unread: Vec<String>,
}

/// How the answer is to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// In one piece.
    #[default]
    Whole,
    /// As events.
    Streamed,
}

/// A field of the client's dialect that is carried as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Its name.
    pub name: String,
    /// Its value, on one line.
    pub json: String,
}

/// A number as it was written: 0.7 stays 0.7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(String);

impl Number {
    /// If it is one.
    pub fn from_json(json: Json<'_>) -> Option<Self> {
        json.number().map(|text| Self(text.to_owned()))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is more than this.
    pub fn is_above(&self, limit: f64) -> bool {
        self.0.parse::<f64>().is_ok_and(|number| number > limit)
    }

    /// Whether it lies within these.
    pub fn is_within(&self, least: f64, most: f64) -> bool {
        self.0
            .parse::<f64>()
            .is_ok_and(|number| number >= least && number <= most)
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Who of several, where the caller says so.
    pub name: Option<String>,
    /// What is said.
    pub parts: Vec<Part>,
}

/// Who speaks. Results of tools are parts of what the user says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator of the application.
    System,
    /// The same, as newer models of OpenAI call it.
    Developer,
    /// Whoever asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// Instructions rather than conversation.
    pub fn instructs(self) -> bool {
        matches!(self, Self::System | Self::Developer)
    }
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Words.
    Text(String),
    /// A picture.
    Image {
        /// Where it is.
        source: Source,
        /// `low`, `high`, `auto`.
        detail: Option<String>,
    },
    /// A PDF or the like.
    Document {
        /// Where it is.
        source: Source,
        /// What it is called.
        name: Option<String>,
    },
    /// Speech.
    Audio {
        /// `wav`, `mp3`.
        format: String,
        /// Base64.
        data: String,
    },
    /// The model declined.
    Refusal(String),
    /// The model thought.
    Thinking {
        /// What.
        text: String,
        /// The provider's seal, without which it does not take its thought back.
        signature: Option<String>,
    },
    /// The model thought, sealed whole.
    SealedThinking(String),
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// What a tool gave back.
    ToolResult {
        /// Of the call.
        id: String,
        /// Text, pictures, documents.
        parts: Vec<Self>,
        /// Whether the tool failed.
        outcome: Outcome,
    },
    /// The provider may cache the prompt up to here; the caller's own words for it, as JSON.
    CacheMark(String),
}

/// How a tool fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Well, or it is not said.
    Done,
    /// It failed.
    Failed,
}

/// One call of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Joins call and result.
    pub id: String,
    /// Of the tool.
    pub name: String,
    /// JSON, as the model wrote it.
    pub arguments: String,
    /// The provider's seal on the thought behind it.
    pub signature: Option<String>,
}

/// Where a picture or document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// At this address.
    Url(String),
    /// Here.
    Data {
        /// `image/png`.
        media: String,
        /// The bytes.
        base64: String,
    },
    /// Here, as words.
    Text(String),
    /// With the provider, under this name.
    File(String),
}

/// What the model may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tool {
    /// As the model calls it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// JSON Schema, on one line.
    pub schema: Option<String>,
    /// Whether the arguments must follow the schema.
    pub strict: Option<bool>,
    /// The caller's mark for the prompt cache, as JSON.
    pub cache_mark: Option<String>,
}

/// Whether a tool must be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As the model likes.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// The shape of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Words.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema {
        /// What it is called.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// On one line.
        schema: String,
        /// Whether it must.
        strict: Option<bool>,
    },
}

/// The part of the conversation that instructs, as it stands in front, and the rest.
pub fn split_instructions(messages: &[Message]) -> (&[Message], &[Message]) {
    let first = messages
        .iter()
        .position(|message| !message.role.instructs())
        .unwrap_or(messages.len());
    messages.split_at_checked(first).unwrap_or((&[], messages))
}

/// `data:image/png;base64,...` taken apart; anything else is an address.
pub fn source_of_url(url: &str) -> Source {
    let data = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"));
    match data {
        Some((media, base64)) => Source::Data {
            media: media.to_owned(),
            base64: base64.to_owned(),
        },
        None => Source::Url(url.to_owned()),
    }
}

/// Whether this is base64 as providers take it: the usual letters, padding only at the end.
pub fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len().saturating_sub(body.len());
    padding <= 2
        && text.len().is_multiple_of(4)
        && !body.is_empty()
        && body
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_addresses_are_taken_apart() {
        assert_eq!(
            source_of_url("data:image/png;base64,AAAA"),
            Source::Data {
                media: "image/png".to_owned(),
                base64: "AAAA".to_owned()
            }
        );
        assert_eq!(
            source_of_url("https://a/b;base64,c"),
            Source::Url("https://a/b;base64,c".to_owned())
        );
        for (text, want) in [
            ("AAAA", true),
            ("AA==", true),
            ("AAA", false),
            ("A===", false),
            ("AA A", false),
            ("", false),
            ("====", false),
            ("AA-_", false),
        ] {
            assert_eq!(is_base64(text), want, "{text}");
        }
    }
}
