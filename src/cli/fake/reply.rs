//! What to answer: good, slow, odd or broken. One set of words for tests, the control endpoint and the request header.

mod build;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// One reply: what is left out is as a healthy provider does it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reply {
    /// The status; any but 200 brings an error body in the dialect asked for, unless `body` is set.
    pub status: Option<u16>,
    /// The `retry-after` header, in seconds.
    pub retry_after: Option<u64>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// This very body, whatever was asked.
    #[serde(deserialize_with = "text_as_bytes")]
    pub body: Option<Vec<u8>>,
    /// The content type of `body`.
    pub content_type: Option<String>,
    /// The text of the answer; each word with the space before it is one token.
    pub text: Option<String>,
    /// An answer of so many tokens.
    pub tokens: Option<u64>,
    /// How many of the prompt tokens are said to come from the provider's cache.
    pub cached_tokens: u64,
    /// Reasoning tokens, counted on top of those of the text.
    pub reasoning_tokens: u64,
    /// What is said about usage; left out, the truth.
    pub usage: UsageClaim,
    /// Time before the head of the reply.
    pub head_ms: u64,
    /// Time before the first token; left out, as the settings say.
    pub first_token_ms: Option<u64>,
    /// Time before each further token; left out, as the settings say.
    pub pace_ms: Option<u64>,
    /// Where it goes wrong, and how.
    #[serde(rename = "break")]
    pub breaks: Option<Break>,
    /// The body in pieces of so many bytes, each a write and a chunk of its own.
    pub piece_bytes: Option<usize>,
    /// So many events in each chunk.
    pub merge: Option<usize>,
    /// How lines of a stream end.
    pub lines: Lines,
    /// What stands between events.
    pub between: Between,
    /// How the body is coded.
    pub encoding: Encoding,
    /// How the end of the body is told; left out, content-length for a body and chunks for a stream.
    pub framing: Option<Framing>,
    /// For so many requests; left out, once in a script and for ever otherwise.
    pub times: Option<u64>,
    /// Only every n-th request; not for scripts.
    pub every: Option<u64>,
}

/// What a reply says about usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageClaim {
    /// What was used.
    #[default]
    True,
    /// Nothing.
    None,
    /// A thousand tokens too many of each kind.
    Wrong,
    /// These numbers.
    Claimed {
        /// Tokens of the prompt.
        prompt_tokens: u64,
        /// Tokens of the answer.
        completion_tokens: u64,
    },
}

/// How lines of a stream end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lines {
    /// With a line feed.
    #[default]
    Lf,
    /// With carriage return and line feed.
    Crlf,
}

/// What stands between events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Between {
    /// Nothing.
    #[default]
    Nothing,
    /// A comment, as some providers send to keep the connection alive.
    Comments,
}

/// How the body is coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As it is.
    #[default]
    Identity,
    /// In gzip, asked for or not.
    Gzip,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// In chunks.
    Chunked,
    /// By its length, said beforehand.
    ContentLength,
    /// By closing the connection.
    UntilClose,
}

/// Where a reply goes wrong, and how. Written `cut@3`, `stall@head`, `error@start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Break {
    /// What happens.
    pub how: How,
    /// When.
    pub at: At,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The connection is closed in the middle of the body.
    Cut,
    /// The connection is reset.
    Reset,
    /// Nothing more is sent, and the connection stays.
    Stall,
    /// The body ends as if complete, without what tells its end.
    End,
    /// An error is sent in place of the rest, under a status of 200.
    Error,
}

/// The moment at which a reply goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Before any byte of the reply.
    Start,
    /// After the head, before the first event.
    Head,
    /// After so many tokens. After 0: when what opens the stream was sent.
    /// After more than there are: when all but the terminator was sent.
    Tokens(u64),
}

const HOWS: &[(&str, How)] = &[
    ("cut", How::Cut),
    ("reset", How::Reset),
    ("stall", How::Stall),
    ("end", How::End),
    ("error", How::Error),
];

impl FromStr for Break {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (how, at) = text.split_once('@').unwrap_or((text, "start"));
        let how = HOWS.iter().find(|(name, _)| *name == how);
        let at = match at {
            "start" => Some(At::Start),
            "head" => Some(At::Head),
            number => number.parse().ok().map(At::Tokens),
        };
        match (how, at) {
            (Some((_, how)), Some(at)) => Ok(Self { how: *how, at }),
            _ => Err(format!(
                "`{text}` breaks nothing: write cut, reset, stall, end or error, then @start, @head or @ and a number of tokens"
            )),
        }
    }
}

impl TryFrom<String> for Break {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Break {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = HOWS.iter().find(|(_, how)| *how == self.how);
        out.write_str(how.map_or("", |(name, _)| name))?;
        match self.at {
            At::Start => out.write_str("@start"),
            At::Head => out.write_str("@head"),
            At::Tokens(tokens) => write!(out, "@{tokens}"),
        }
    }
}

fn text_as_bytes<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Vec<u8>>, D::Error> {
    Ok(Option::<String>::deserialize(source)?.map(String::into_bytes))
}

/// What a request header holds: JSON, or `429;retry_after=2`, `cut@3;lines=crlf`, `tokens=50;pace_ms=20`.
impl FromStr for Reply {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with('{') {
            let value = serde_json::from_str(text).map_err(|problem| problem.to_string())?;
            return Self::from_json(value);
        }
        let mut fields = Map::new();
        for item in text.split(';').map(str::trim) {
            let (name, value) = match item.split_once('=') {
                Some((name, value)) => (name, compact_value(name, value)),
                None if item.bytes().all(|byte| byte.is_ascii_digit()) => {
                    ("status", compact_value("status", item))
                }
                None => ("break", Value::from(item)),
            };
            if fields.insert(name.to_owned(), value).is_some() {
                return Err(format!("`{name}` is said twice"));
            }
        }
        Self::from_json(Value::Object(fields))
    }
}

fn compact_value(name: &str, value: &str) -> Value {
    let is_text = ["text", "body", "content_type"].contains(&name);
    match serde_json::from_str(value) {
        Ok(value) if !is_text => value,
        _ => Value::from(value),
    }
}

impl Reply {
    /// From the control endpoint: an object with the fields of [`Reply`], or a string in the compact form.
    pub fn from_json(value: Value) -> Result<Self, String> {
        if let Value::String(compact) = value {
            return compact.parse();
        }
        let reply: Self = serde_json::from_value(value).map_err(|problem| problem.to_string())?;
        reply.checked()
    }

    fn checked(self) -> Result<Self, String> {
        let header_breaks = |text: &String| text.contains(['\r', '\n']);
        let problem = if self
            .status
            .is_some_and(|status| !(200..600).contains(&status))
        {
            "`status` is a number from 200 to 599"
        } else if self.text.is_some() && self.tokens.is_some() {
            "`text` and `tokens` exclude each other"
        } else if self.tokens.is_some_and(|tokens| tokens > TOKENS_MAX) {
            "`tokens` is at most 1000000"
        } else if self.piece_bytes == Some(0) || self.merge == Some(0) {
            "`piece_bytes` and `merge` are at least 1"
        } else if self.times == Some(0) || self.every == Some(0) {
            "`times` and `every` are at least 1"
        } else if self.content_type.is_some() && self.body.is_none() {
            "`content_type` is that of `body`"
        } else if self
            .headers
            .iter()
            .any(|(name, value)| header_breaks(name) || header_breaks(value))
            || self.content_type.as_ref().is_some_and(header_breaks)
        {
            "a header has no line breaks"
        } else {
            return Ok(self);
        };
        Err(problem.to_owned())
    }
}

/// The longest answer that can be asked for.
pub(crate) const TOKENS_MAX: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compact_form_and_json_say_the_same() {
        for (compact, json, want) in [
            (
                "429;retry_after=2",
                r#"{"status":429,"retry_after":2}"#,
                Reply::status(429).retry_after(2),
            ),
            (
                "cut@3;lines=crlf",
                r#"{"break":"cut@3","lines":"crlf"}"#,
                Reply::breaking("cut@3").lines(Lines::Crlf),
            ),
            (
                "error",
                r#"{"break":"error@start"}"#,
                Reply::breaking("error@start"),
            ),
            ("text=42", r#"{"text":"42"}"#, Reply::text("42")),
            (
                "usage=none",
                r#"{"usage":"none"}"#,
                Reply::healthy().usage(UsageClaim::None),
            ),
            (
                "usage={\"claimed\":{\"prompt_tokens\":1,\"completion_tokens\":2}}",
                r#"{"usage":{"claimed":{"prompt_tokens":1,"completion_tokens":2}}}"#,
                Reply::healthy().usage(UsageClaim::Claimed {
                    prompt_tokens: 1,
                    completion_tokens: 2,
                }),
            ),
            (
                "502;body=<h1>no</h1>;content_type=text/html",
                r#"{"status":502,"body":"<h1>no</h1>","content_type":"text/html"}"#,
                Reply::status(502).body("text/html", "<h1>no</h1>"),
            ),
        ] {
            assert_eq!(compact.parse(), Ok(want.clone()), "{compact}");
            assert_eq!(json.parse(), Ok(want), "{json}");
        }
    }

    #[test]
    fn what_is_no_fault_is_refused() {
        for text in [
            "",
            "nonsense",
            "cut@",
            "cut@-1",
            "cut@soon",
            "99",
            "600",
            "tokens=x",
            "tokens=1000001",
            "text=a;tokens=1",
            "piece_bytes=0",
            "merge=0",
            "times=0",
            "unknown=1",
            "429;500",
            "content_type=text/html",
            "{\"status\":",
            "{\"status\":\"429\"}",
            "{\"headers\":{\"a\":\"b\\r\\nc: d\"}}",
        ] {
            assert!(text.parse::<Reply>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_break_is_read_as_it_is_written() {
        for text in ["cut@start", "reset@head", "stall@0", "end@12", "error@3"] {
            let read: Break = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
        }
    }
}
