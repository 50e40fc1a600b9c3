//! What the body of a request says about its way: read once, nothing copied that is not needed.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::random;
use crate::config::routing::Capability;
use crate::refusal::Refusal;

/// A caller names at most so many models.
const MODELS_MAX: usize = 16;

/// What the body says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// The longest answer the caller takes, in tokens.
    pub output_max: Option<u64>,
    /// What it needs a model to be able to.
    pub needs: Vec<Capability>,
    /// `models`: who else may answer, in order.
    pub models: Vec<String>,
    /// `user`
    pub user: Option<String>,
    /// `metadata`, as far as it is text.
    pub metadata: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    response_format: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    output_format: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    text: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    reasoning_effort: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    models: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    user: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    metadata: Option<&'a RawValue>,
}

/// What every turn of a conversation has in common.
#[derive(Deserialize)]
struct Turns<'a> {
    #[serde(borrow, default)]
    system: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
}

/// A `null` means that nothing was written.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    let raw = <&RawValue>::deserialize(from)?;
    Ok(Some(raw).filter(|raw| raw.get() != "null"))
}

impl Traits {
    /// Reads a body that is known to be an object.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        let fields: Fields<'_> = serde_json::from_slice(body)
            .map_err(|error| Refusal::invalid_json(&error.to_string()))?;
        let bounds = [
            ("max_tokens", fields.max_tokens),
            ("max_completion_tokens", fields.max_completion_tokens),
            ("max_output_tokens", fields.max_output_tokens),
        ];
        let mut output_max: Option<u64> = None;
        for (_, raw) in bounds {
            // What is no number the provider refuses itself.
            if let Some(bound) = raw.and_then(|raw| raw.get().parse::<u64>().ok()) {
                output_max = Some(output_max.map_or(bound, |known| known.max(bound)));
            }
        }
        Ok(Self {
            output_max,
            needs: needs(&fields, body),
            models: models(fields.models)?,
            user: fields
                .user
                .and_then(|raw| serde_json::from_str(raw.get()).ok()),
            metadata: metadata(fields.metadata),
        })
    }

    /// An entry of the metadata.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        let found = self.metadata.iter().find(|(known, _)| known == name);
        found.map(|(_, text)| text.as_str())
    }
}

fn needs(fields: &Fields<'_>, body: &[u8]) -> Vec<Capability> {
    let holds =
        |raw: Option<&RawValue>, what: &str| raw.is_some_and(|raw| raw.get().contains(what));
    let tools = fields
        .tools
        .is_some_and(|raw| raw.get().bytes().any(|byte| byte == b'{'));
    let vision = shows_images(body);
    let schema = holds(fields.response_format, "\"json_schema\"")
        || holds(fields.text, "\"json_schema\"")
        || fields.output_format.is_some();
    let reasoning = fields.reasoning.is_some()
        || holds(fields.thinking, "\"enabled\"")
        || holds(fields.thinking, "\"adaptive\"")
        || fields
            .reasoning_effort
            .is_some_and(|raw| !matches!(raw.get(), "\"none\"" | "\"minimal\""));
    let all = [
        (tools, Capability::Tools),
        (vision, Capability::Vision),
        (schema, Capability::Schema),
        (reasoning, Capability::Reasoning),
    ];
    all.into_iter()
        .filter(|(needed, _)| *needed)
        .map(|(_, capability)| capability)
        .collect()
}

/// Whether some object in the body is of a type for images. Inside a text quotes are escaped, so no text says so.
fn shows_images(body: &[u8]) -> bool {
    memchr::memchr_iter(b'"', body).any(|at| {
        let name = body.get(at.saturating_add(1)..).unwrap_or_default();
        let Some(after) = name.strip_prefix(b"type\"") else {
            return false;
        };
        let escaped = at.checked_sub(1).and_then(|before| body.get(before)) == Some(&b'\\');
        let value = after.trim_ascii_start().strip_prefix(b":");
        let text = value.and_then(|value| value.trim_ascii_start().strip_prefix(b"\""));
        let is_one = |text: &[u8]| {
            [&b"image_url\""[..], b"input_image\"", b"image\""]
                .iter()
                .any(|kind| text.starts_with(kind))
        };
        !escaped && text.is_some_and(is_one)
    })
}

fn models(raw: Option<&RawValue>) -> Result<Vec<String>, Refusal> {
    let Some(raw) = raw else {
        return Ok(Vec::new());
    };
    match serde_json::from_str::<Vec<String>>(raw.get()) {
        Ok(models) if models.len() <= MODELS_MAX => Ok(models),
        Ok(_) | Err(_) => Err(Refusal::invalid_type(
            "models",
            "a list of at most 16 names of models",
        )),
    }
}

fn metadata(raw: Option<&RawValue>) -> Vec<(String, String)> {
    let object: Option<serde_json::Map<String, serde_json::Value>> =
        raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
    object
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| match value {
            serde_json::Value::String(text) => Some((name, text)),
            serde_json::Value::Number(number) => Some((name, number.to_string())),
            serde_json::Value::Bool(truth) => Some((name, truth.to_string())),
            serde_json::Value::Null
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => None,
        })
        .collect()
}

/// How a conversation begins, the same in all of its turns: up to the end of the first message of a user, since later
/// turns only add behind it.
pub fn beginning(body: &[u8]) -> u64 {
    let Ok(Turns { system, messages }) = serde_json::from_slice(body) else {
        return 0;
    };
    let mut seed = system.map_or(0, |raw| random::of_text(raw.get().as_bytes()));
    let list: Vec<&RawValue> = messages
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default();
    for message in list {
        let text = message.get();
        seed = random::mix(seed ^ random::of_text(text.as_bytes()));
        if text.contains("\"user\"") {
            break;
        }
    }
    seed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_needs_is_seen_in_every_dialect() {
        for (body, want) in [
            (r#"{"messages":[]}"#, ""),
            (r#"{"tools":[{"type":"function"}]}"#, "tools"),
            (r#"{"tools":[]}"#, ""),
            (r#"{"tools":null,"reasoning":null}"#, ""),
            (
                r#"{"messages":[{"content":[{"type" : "image_url"}]}]}"#,
                "vision",
            ),
            (
                r#"{"input":[{"content":[{"type":"input_image"}]}]}"#,
                "vision",
            ),
            (
                r#"{"messages":[{"content":[{"type":"image","source":{}}]}]}"#,
                "vision",
            ),
            (r#"{"messages":[{"content":"\"type\":\"image\""}]}"#, ""),
            (r#"{"messages":[{"content":"image_url"}]}"#, ""),
            (r#"{"response_format":{"type":"json_schema"}}"#, "schema"),
            (r#"{"response_format":{"type":"json_object"}}"#, ""),
            (r#"{"text":{"format":{"type":"json_schema"}}}"#, "schema"),
            (r#"{"reasoning_effort":"high"}"#, "reasoning"),
            (r#"{"reasoning_effort":"none"}"#, ""),
            (
                r#"{"thinking":{"type":"enabled","budget_tokens":1024}}"#,
                "reasoning",
            ),
            (r#"{"thinking":{"type":"disabled"}}"#, ""),
        ] {
            let needs = Traits::read(body.as_bytes()).unwrap().needs;
            let names: Vec<_> = needs.into_iter().map(Capability::name).collect();
            assert_eq!(names.join(" "), want, "{body}");
        }
    }

    #[test]
    fn the_longest_answer_is_the_largest_that_is_named() {
        for (body, want) in [
            ("{}", None),
            (r#"{"max_tokens":7}"#, Some(7)),
            (r#"{"max_completion_tokens":9,"max_tokens":7}"#, Some(9)),
            (r#"{"max_output_tokens":3}"#, Some(3)),
            (r#"{"max_tokens":"7"}"#, None),
            (r#"{"max_tokens":null}"#, None),
        ] {
            assert_eq!(
                Traits::read(body.as_bytes()).unwrap().output_max,
                want,
                "{body}"
            );
        }
        assert!(Traits::read(br#"{"max_tokens":1,"max_tokens":2}"#).is_err());
    }

    #[test]
    fn the_turns_of_a_conversation_begin_alike() {
        let of = |messages: &str| {
            let body = format!(r#"{{"messages":[{messages}]}}"#);
            beginning(body.as_bytes())
        };
        let first = r#"{"role":"system","content":"s"},{"role":"user","content":"a"}"#;
        let second = format!(
            r#"{first},{{"role":"assistant","content":"b"}},{{"role":"user","content":"c"}}"#
        );
        assert_eq!(of(first), of(&second));
        assert_ne!(
            of(first),
            of(r#"{"role":"system","content":"s"},{"role":"user","content":"b"}"#)
        );
        assert_ne!(
            of(first),
            of(r#"{"role":"system","content":"t"},{"role":"user","content":"a"}"#)
        );
    }
}
