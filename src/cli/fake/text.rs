//! The token rule of this provider, and where its words come from.

use serde_json::{Map, Value, json};

/// Words of an answer whose length was asked for.
const WORDS: &[&str] = &[
    "the",
    "gate",
    "opens",
    "when",
    "a",
    "traveller",
    "pays",
    "what",
    "is",
    "due",
    "and",
    "then",
    "it",
    "closes",
    "again",
];
/// So much of a question is repeated in the answer.
const ECHOED_WORDS_MAX: usize = 64;
/// The deepest value made for a schema, since schemas may contain themselves.
const SCHEMA_DEPTH_MAX: usize = 16;
/// Characters in a piece of JSON that counts as one token.
const JSON_TOKEN_CHARS: usize = 6;

/// A word with the space before it is a token; space at the end belongs to the last word.
pub(crate) fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.len().saturating_sub(rest.trim_start().len());
        let end = rest
            .char_indices()
            .find(|(at, char)| *at > word && char.is_whitespace())
            .map_or(rest.len(), |(at, _)| at);
        let (token, others) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if others.trim_start().is_empty() {
            tokens.push(rest);
            break;
        }
        tokens.push(token);
        rest = others;
    }
    tokens
}

/// As many as [`tokens`] gives, without keeping them.
pub(crate) fn count(text: &str) -> u64 {
    let words = text.split_whitespace().count();
    let words = words.max(usize::from(!text.is_empty()));
    u64::try_from(words).unwrap_or(u64::MAX)
}

/// Pieces of JSON, each a token.
pub(crate) fn json_tokens(json: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = json;
    while !rest.is_empty() {
        let end = rest
            .char_indices()
            .nth(JSON_TOKEN_CHARS)
            .map_or(rest.len(), |(at, _)| at);
        let (piece, others) = rest.split_at_checked(end).unwrap_or((rest, ""));
        pieces.push(piece);
        rest = others;
    }
    pieces
}

/// The beginning of a text.
pub(crate) fn echo(name: &str, question: &str) -> String {
    let words: Vec<_> = question.split_whitespace().take(ECHOED_WORDS_MAX).collect();
    format!("{name} heard: {}", words.join(" "))
}

/// A text of so many tokens.
pub(crate) fn of_length(tokens: u64) -> String {
    let length = usize::try_from(tokens).unwrap_or(usize::MAX);
    let words: Vec<_> = WORDS.iter().copied().cycle().take(length).collect();
    words.join(" ")
}

/// The smallest value that fits a JSON schema; strings in it say `text`.
pub(crate) fn fitting(schema: &Value, text: &str) -> Value {
    fit(schema, schema, text, SCHEMA_DEPTH_MAX)
}

fn fit(root: &Value, schema: &Value, text: &str, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else {
        return Value::Null;
    };
    let target = schema.get("$ref").and_then(Value::as_str);
    if let Some(found) = target.and_then(|target| root.pointer(target.trim_start_matches('#'))) {
        return fit(root, found, text, depth);
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    let first = |field: &str| schema.get(field).and_then(|list| list.get(0));
    if let Some(value) = first("enum") {
        return value.clone();
    }
    if let Some(choice) = first("anyOf").or_else(|| first("oneOf")) {
        return fit(root, choice, text, depth);
    }
    let kind = schema.get("type");
    let kind = kind.and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
    // Google also writes types in capitals.
    match kind.map(str::to_ascii_lowercase).as_deref() {
        Some("string") => json!(text),
        Some("integer") => json!(1),
        Some("number") => json!(1.5),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        Some("array") => match schema.get("items") {
            Some(items) => json!([fit(root, items, text, depth)]),
            None => json!([]),
        },
        Some("object") | None => Value::Object(object(root, schema, text, depth)),
        Some(_) => Value::Null,
    }
}

fn object(root: &Value, schema: &Value, text: &str, depth: usize) -> Map<String, Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.clone(), fit(root, schema, text, depth)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_put_together_are_the_text() {
        for (text, want) in [
            ("", vec![]),
            ("one", vec!["one"]),
            ("one two", vec!["one", " two"]),
            ("  one\n two  ", vec!["  one", "\n two  "]),
            ("ü é", vec!["ü", " é"]),
            ("  ", vec!["  "]),
        ] {
            assert_eq!(tokens(text), want, "{text:?}");
            assert_eq!(count(text), u64::try_from(want.len()).unwrap(), "{text:?}");
        }
    }

    #[test]
    fn json_is_cut_between_characters() {
        let json = r#"{"stadt":"Zürich ☂☂☂☂☂☂☂"}"#;
        assert_eq!(json_tokens(json).concat(), json);
        assert!(json_tokens(json).len() > 3);
    }

    #[test]
    fn a_value_fits_its_schema() {
        for (schema, want) in [
            (json!({}), json!({})),
            (json!({"type": "string"}), json!("hi")),
            (json!({"enum": ["a", "b"]}), json!("a")),
            (json!({"type": ["integer", "null"]}), json!(1)),
            (json!({"type": "STRING"}), json!("hi")),
            (
                json!({"type": "array", "items": {"type": "boolean"}}),
                json!([true]),
            ),
            (
                json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"const": 7}}}),
                json!({"a": 7}),
            ),
            (
                json!({"anyOf": [{"type": "number"}, {"type": "null"}]}),
                json!(1.5),
            ),
        ] {
            assert_eq!(fitting(&schema, "hi"), want, "{schema}");
        }
        let endless = json!({"type": "array", "items": {"$ref": "#"}});
        assert!(fitting(&endless, "").is_array(), "a schema in itself ends");
    }
}
