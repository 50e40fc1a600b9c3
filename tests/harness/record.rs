//! What a line of the access log tells.

use serde_json::Value;

/// Who was tried and how it went, in order: `alpha 429`, `beta 200`.
pub fn tried(record: &Value) -> Vec<String> {
    let attempts = record["attempts"].as_array().into_iter().flatten();
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    attempts
        .map(|attempt| format!("{} {}", word(&attempt["provider"]), word(&attempt["end"])))
        .collect()
}
