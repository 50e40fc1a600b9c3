//! `POST /v1/embeddings`. The same text has the same vector; another text nearly always another one.

use serde_json::{Value, json};

use super::{Complaint, Question, model, number, whole};
use crate::fake::answer::Answer;
use crate::fake::reply::UsageClaim;
use crate::fake::text;

/// The length of a vector when none is asked for.
const DIMENSIONS: u64 = 1_536;
/// The longest vector.
const DIMENSIONS_MAX: u64 = 3_072;
/// The most texts in one request, as with the real one.
const INPUTS_MAX: usize = 2_048;

pub(super) fn answer(question: &Question<'_>, body: &Value) -> Result<Answer, Complaint> {
    let model = model(body)?;
    let inputs = inputs(body)?;
    let dimensions = number(body, "dimensions", DIMENSIONS_MAX)?.unwrap_or(DIMENSIONS);
    let base64 = match body.get("encoding_format").and_then(Value::as_str) {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => {
            return Err(Complaint::invalid(
                "encoding_format",
                "Invalid value for 'encoding_format': expected float or base64.",
            ));
        }
    };
    let data: Vec<_> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let axis = axis(&input.identity, dimensions);
            let embedding = if base64 {
                json!(in_base64(axis, dimensions))
            } else {
                (0..dimensions)
                    .map(|place| json!(component(place, axis)))
                    .collect()
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens = inputs
        .iter()
        .map(|input| input.tokens)
        .fold(0, u64::saturating_add);
    let mut reply = json!({"object": "list", "data": data, "model": model});
    let said = match question.reply.usage {
        UsageClaim::True => Some(tokens),
        UsageClaim::None => None,
        UsageClaim::Wrong => Some(tokens.saturating_add(1_000)),
        UsageClaim::Claimed { prompt_tokens, .. } => Some(prompt_tokens),
    };
    if let (Some(said), Some(fields)) = (said, reply.as_object_mut()) {
        fields.insert(
            "usage".to_owned(),
            json!({"prompt_tokens": said, "total_tokens": said}),
        );
    }
    Ok(whole(reply.to_string().into_bytes(), tokens, 0))
}

struct Input {
    identity: String,
    tokens: u64,
}

impl Input {
    fn text(text: &str) -> Self {
        Self {
            identity: text.to_owned(),
            tokens: text::count(text),
        }
    }

    fn numbers(list: &[Value]) -> Self {
        let numbers: Vec<_> = list.iter().map(Value::to_string).collect();
        Self {
            identity: numbers.join(","),
            tokens: u64::try_from(list.len()).unwrap_or(u64::MAX),
        }
    }
}

/// A text, texts, tokens, or lists of tokens.
fn inputs(body: &Value) -> Result<Vec<Input>, Complaint> {
    let one = |value: &Value| {
        let tokens = value
            .as_array()
            .filter(|list| list.iter().all(Value::is_u64));
        let text = value.as_str().map(Input::text);
        text.or_else(|| tokens.map(|list| Input::numbers(list)))
    };
    let read = match body.get("input") {
        None => return Err(Complaint::missing("input")),
        Some(Value::Array(list)) if !list.iter().all(Value::is_u64) => {
            list.iter().map(one).collect()
        }
        Some(value) => one(value).map(|input| vec![input]),
    };
    read.filter(|inputs: &Vec<_>| inputs.len() <= INPUTS_MAX)
        .ok_or_else(|| {
            Complaint::invalid(
                "input",
                "Invalid 'input': expected text, tokens, or a list of these.",
            )
        })
}

/// The direction of a text: its FNV-1a hash names the one axis on which its vector is not zero.
fn axis(identity: &str, dimensions: u64) -> u64 {
    let hash = identity
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    hash.checked_rem(dimensions).unwrap_or_default()
}

fn component(place: u64, axis: u64) -> f32 {
    if place == axis { 1.0 } else { 0.0 }
}

fn in_base64(axis: u64, dimensions: u64) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = (0..dimensions)
        .flat_map(|place| component(place, axis).to_le_bytes())
        .collect();
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4_usize {
            let digit = [18, 12, 6, 0].get(place).map(|shift| bits >> shift & 63);
            let digit = digit.and_then(|digit| usize::try_from(digit).ok());
            match digit.and_then(|digit| DIGITS.get(digit)) {
                Some(digit) if place <= group.len() => text.push(char::from(*digit)),
                _ => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_in_base64_is_that_of_floats() {
        // 1.0 is 00 00 80 3f.
        for (axis, dimensions, want) in [
            (0, 1, "AACAPw=="),
            (1, 2, "AAAAAAAAgD8="),
            (0, 3, "AACAPwAAAAAAAAAA"),
        ] {
            assert_eq!(in_base64(axis, dimensions), want);
        }
    }
}
