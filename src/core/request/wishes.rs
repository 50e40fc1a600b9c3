//! How long an answer may become: what the caller wishes for, and the edits that make a cap bind at the provider.

use std::fmt;
use std::ops::Range;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{Fields, Splice, Text, place};
use crate::dialect::accents::LimitField;
use crate::dialect::figures::TOKENS_MAX;
use crate::dialect::speak::Provider;
use crate::refusal::Refusal;
use crate::units::Tokens;

/// More answers to one question than any provider gives.
const CHOICES_MAX: u64 = 1_024;

/// What decides how much can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// Tokens of one answer, thoughts included. Where two fields say it, the larger: nobody knows which one counts.
    pub output_cap: Option<Tokens>,
    /// How many answers are produced and billed: `n`, or `best_of` where that is more, for each of several prompts.
    pub choices: u64,
}

/// What a provider calls the cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapField {
    /// Anthropic, completions, and most who speak OpenAI's chat with an accent.
    MaxTokens,
    /// OpenAI's chat, where `max_tokens` still works.
    MaxCompletionTokens,
    /// OpenAI's Responses API.
    MaxOutputTokens,
}

impl CapField {
    /// What this provider calls it, for a request that passes through to this path behind its own.
    pub fn of(provider: &dyn Provider, path: &str) -> Self {
        match (path, provider.limit_field()) {
            ("/responses", _) => Self::MaxOutputTokens,
            // Older than the other name, and never renamed.
            ("/completions", _) | (_, LimitField::MaxTokens) => Self::MaxTokens,
            (_, LimitField::MaxCompletionTokens) => Self::MaxCompletionTokens,
        }
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxOutputTokens => "max_output_tokens",
        }
    }

    /// Whether a provider that calls it so also obeys the other.
    fn obeys(self, other: Self) -> bool {
        self == other || (self, other) == (Self::MaxCompletionTokens, Self::MaxTokens)
    }
}

/// A field that is there, if only as `null`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CapWritten {
    field: CapField,
    place: Range<usize>,
    value: Option<u64>,
}

/// Reads the wishes and notes where they stand.
pub(super) fn read(text: &str, fields: &Fields<'_>) -> Result<(Wishes, Vec<CapWritten>), Refusal> {
    let mut caps = Vec::new();
    for (field, raw) in [
        (CapField::MaxTokens, fields.max_tokens),
        (CapField::MaxCompletionTokens, fields.max_completion_tokens),
        (CapField::MaxOutputTokens, fields.max_output_tokens),
    ] {
        let Some(raw) = raw else {
            continue;
        };
        caps.push(CapWritten {
            field,
            place: place(text, raw.get())?,
            value: whole(raw, field.name(), 0, TOKENS_MAX)?,
        });
    }
    let choices = |raw: Option<&RawValue>, name| {
        let number = raw
            .map(|raw| whole(raw, name, 1, CHOICES_MAX))
            .transpose()?;
        Ok(number.flatten().unwrap_or(1))
    };
    let each = choices(fields.n, "n")?.max(choices(fields.best_of, "best_of")?);
    let wishes = Wishes {
        output_cap: caps.iter().filter_map(|cap| cap.value).max().map(Tokens),
        choices: each.saturating_mul(fields.prompt.map_or(1, prompts)),
    };
    Ok((wishes, caps))
}

/// A whole number within bounds; nothing for `null`.
fn whole(
    raw: &RawValue,
    name: &'static str,
    least: u64,
    most: u64,
) -> Result<Option<u64>, Refusal> {
    let text = raw.get();
    if text == "null" {
        return Ok(None);
    }
    // Only digits: to one reader `1e3` and `5.0` are whole numbers, to another they are not.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && (least..=most).contains(&number) => Ok(Some(number)),
        Ok(_) | Err(_) => Err(Refusal::invalid_type(
            name,
            &format!("a whole number from {least} to {most}"),
        )),
    }
}

/// How many prompts stand in the `prompt` of a completion: a list of texts, or of lists of tokens, is as many. A list
/// of tokens is one.
fn prompts(prompt: &RawValue) -> u64 {
    let inside = prompt.get().strip_prefix('[').map(str::trim_start);
    if !inside.is_some_and(|inside| inside.starts_with(['"', '['])) {
        return 1;
    }
    serde_json::from_str(prompt.get()).map_or(1, |Elements(count)| count.max(1))
}

/// The length of a list whose elements are passed over.
struct Elements(u64);

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Counting;
        impl<'de> Visitor<'de> for Counting {
            type Value = Elements;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Elements, A::Error> {
                let mut count = 0_u64;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count = count.saturating_add(1);
                }
                Ok(Elements(count))
            }
        }
        from.deserialize_seq(Counting)
    }
}

impl Splice {
    /// The same, and no answer is longer than this at a provider that calls the cap so. What the caller wrote stays
    /// where it is less; a field that the provider may not know gives way to the one it does.
    #[must_use]
    pub fn capped(&self, field: CapField, cap: Tokens) -> Self {
        let mut edits = self.edits.clone();
        let mut add = |range: Range<usize>, text: String| edits.push((range, Text::Cap(text)));
        let mut bound = false;
        for written in &self.caps {
            match written.value {
                Some(value) if field.obeys(written.field) => {
                    bound = true;
                    if value > cap.0 {
                        add(written.place.clone(), cap.0.to_string());
                    }
                }
                Some(_) => add(written.place.clone(), "null".to_owned()),
                None => {}
            }
        }
        if !bound {
            let same = self.caps.iter().find(|written| written.field == field);
            match same {
                Some(null) => add(null.place.clone(), cap.0.to_string()),
                None => add(
                    self.first_field..self.first_field,
                    format!(r#""{}":{},"#, field.name(), cap.0),
                ),
            }
        }
        edits.sort_by_key(|(range, _)| range.start);
        Self {
            edits,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Request, UsageOption, parse};
    use super::*;
    use crate::dialect::accents::StreamUsage;
    use crate::dialect::tables;
    use crate::endpoint::Streams;

    fn parsed(body: &str) -> Result<Request, Refusal> {
        parse(
            body.as_bytes(),
            Streams::OnRequest,
            UsageOption::StreamOptions,
        )
    }

    fn with(fields: &str) -> String {
        format!(r#"{{"model":"m"{fields}}}"#)
    }

    #[test]
    fn wishes_are_read_wherever_they_stand() {
        for (fields, cap, choices) in [
            ("", None, 1),
            (r#","max_tokens":5"#, Some(5), 1),
            (r#","max_tokens":null,"n":null"#, None, 1),
            (r#","max_completion_tokens":7"#, Some(7), 1),
            (r#","max_output_tokens":9,"n":2"#, Some(9), 2),
            // which one counts is the provider's secret
            (r#","max_completion_tokens":7,"max_tokens":70"#, Some(70), 1),
            (r#","max_tokens":0"#, Some(0), 1),
            (r#","n":2,"best_of":5"#, None, 5),
            (r#","n":5,"best_of":2"#, None, 5),
            (r#","prompt":"[\"a\",\"b\"]""#, None, 1),
            (r#","prompt":["a","b", "c"],"n":2"#, None, 6),
            (r#","prompt":[1,2,3,4]"#, None, 1),
            (r#","prompt": [ [1,2],[3]]"#, None, 2),
            (r#","prompt":[]"#, None, 1),
        ] {
            let wishes = parsed(&with(fields)).unwrap().wishes;
            let want = Wishes {
                output_cap: cap.map(Tokens),
                choices,
            };
            assert_eq!(wishes, want, "{fields}");
        }
    }

    #[test]
    fn what_is_no_number_of_tokens_is_refused() {
        for (field, values) in [
            (
                "max_tokens",
                &[
                    "-1",
                    "1.0",
                    "1e3",
                    "\"5\"",
                    "true",
                    "[]",
                    "{}",
                    "1000000001",
                ][..],
            ),
            ("max_completion_tokens", &["-5", "99999999999999999999"]),
            ("max_output_tokens", &["0.5"]),
            ("n", &["0", "-1", "1025", "2.0", "\"2\""]),
            ("best_of", &["0", "1e9"]),
        ] {
            for value in values {
                let body = with(&format!(r#","{field}":{value}"#));
                let refusal = parsed(&body).unwrap_err();
                let told = (refusal.status, refusal.code, refusal.param);
                assert_eq!(told, (400, "invalid_type", Some(field)), "{body}");
            }
        }
        let twice = with(r#","max_tokens":5,"max_tokens":50000"#);
        assert_eq!(parsed(&twice).unwrap_err().code, "invalid_json");
    }

    #[test]
    fn a_cap_binds_under_the_name_the_provider_knows() {
        use CapField::{MaxCompletionTokens, MaxOutputTokens, MaxTokens};
        for (field, before, after) in [
            (MaxTokens, "", r#"{"max_tokens":10,"model":"m"}"#),
            (
                MaxTokens,
                r#","max_tokens":9"#,
                r#"{"model":"m","max_tokens":9}"#,
            ),
            (
                MaxTokens,
                r#","max_tokens":11"#,
                r#"{"model":"m","max_tokens":10}"#,
            ),
            (
                MaxTokens,
                r#","max_tokens": null"#,
                r#"{"model":"m","max_tokens": 10}"#,
            ),
            // a server that passes over what it does not know would answer without end
            (
                MaxTokens,
                r#","max_completion_tokens":9"#,
                r#"{"max_tokens":10,"model":"m","max_completion_tokens":null}"#,
            ),
            (
                MaxTokens,
                r#","max_completion_tokens":9,"max_tokens":8"#,
                r#"{"model":"m","max_completion_tokens":null,"max_tokens":8}"#,
            ),
            (
                MaxCompletionTokens,
                r#","max_tokens":99"#,
                r#"{"model":"m","max_tokens":10}"#,
            ),
            (
                MaxCompletionTokens,
                r#","max_tokens":null"#,
                r#"{"max_completion_tokens":10,"model":"m","max_tokens":null}"#,
            ),
            (
                MaxOutputTokens,
                r#","stream":true"#,
                r#"{"stream_options":{"include_usage":true},"max_output_tokens":10,"model":"m","stream":true}"#,
            ),
        ] {
            let body = with(before);
            let splice = parsed(&body).unwrap().splice.capped(field, Tokens(10));
            let written = splice
                .write(body.as_bytes(), "m", StreamUsage::Asked)
                .unwrap_or_else(|| body.clone().into_bytes());
            assert_eq!(String::from_utf8(written).unwrap(), after, "{before}");
            let length = splice.length(body.len(), "m", StreamUsage::Asked);
            assert_eq!(length, after.len(), "{before}");
        }
    }

    #[test]
    fn each_provider_has_its_name_for_the_cap() {
        for (provider, path, want) in [
            ("openai", "/chat/completions", "max_completion_tokens"),
            ("openai", "/completions", "max_tokens"),
            ("openai", "/responses", "max_output_tokens"),
            ("azure", "/chat/completions", "max_completion_tokens"),
            ("groq", "/chat/completions", "max_completion_tokens"),
            ("vllm", "/chat/completions", "max_tokens"),
            ("anthropic", "/v1/messages", "max_tokens"),
        ] {
            let field = CapField::of(tables::provider(provider).unwrap(), path);
            assert_eq!(field.name(), want, "{provider}{path}");
        }
    }

    #[test]
    fn a_cap_also_binds_where_usage_is_not_asked_for() {
        let body = with(r#","stream":true"#);
        let splice = parsed(&body).unwrap().splice;
        let splice = splice.capped(CapField::MaxTokens, Tokens(3));
        let written = splice.write(body.as_bytes(), "m", StreamUsage::Unasked);
        let want = r#"{"max_tokens":3,"model":"m","stream":true}"#;
        assert_eq!(String::from_utf8(written.unwrap()).unwrap(), want);
    }

    fn field() -> impl Strategy<Value = CapField> {
        prop::sample::select(vec![
            CapField::MaxTokens,
            CapField::MaxCompletionTokens,
            CapField::MaxOutputTokens,
        ])
    }

    proptest! {
        #[test]
        fn no_provider_is_asked_for_more_than_the_cap(
            wishes in prop::collection::btree_map(0..3_usize, prop::option::of(0..50_u64), 0..4),
            target in field(),
            cap in 0..50_u64,
        ) {
            let names = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
            let mut body = serde_json::json!({"model": "m"});
            for (at, value) in &wishes {
                body[names[*at]] = serde_json::json!(value);
            }
            let body = body.to_string();
            let splice = parsed(&body).unwrap().splice.capped(target, Tokens(cap));
            let written = splice.write(body.as_bytes(), "m", StreamUsage::Asked).unwrap_or_else(|| body.clone().into_bytes());
            let value: serde_json::Value = serde_json::from_slice(&written).unwrap();
            let mut obeyed = 0;
            for name in names {
                if let Some(value) = value[name].as_u64() {
                    prop_assert!(value <= cap);
                    obeyed += 1;
                }
            }
            prop_assert!(obeyed > 0);
            let own = value[target.name()].as_u64().is_some();
            let old = target == CapField::MaxCompletionTokens && value["max_tokens"].as_u64().is_some();
            prop_assert!(own || old, "{}", value);
        }
    }
}
