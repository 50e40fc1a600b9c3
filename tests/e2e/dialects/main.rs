//! Any client reaches any provider: the answer in its own words, and what was used to the token.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "in tests a failure is what an unwrap is for, in their helpers too"
)]

mod client;
mod errors;
mod fallback;
mod heard;
mod native;
mod pairs;
mod streams;
mod tools;

use serde_json::{Value, json};
use tollgate_tests::{Gateway, Setup};

/// A provider of each dialect, by name; the model `by-NAME` has only this one.
const PROVIDERS: [&str; 4] = ["openai", "anthropic", "gemini", "cohere"];

/// The key that a provider wants, and that the gateway has for it.
fn secret(provider: &str) -> String {
    format!("secret-of-{provider}")
}

/// Every provider insists on its key: whatever is answered was asked for with the right one, in the right header.
fn start() -> Gateway {
    let setup = Setup::named("every-dialect.yaml");
    let setup = PROVIDERS.iter().fold(setup, |setup, name| {
        setup.env(&format!("{}_KEY", name.to_uppercase()), &secret(name))
    });
    let gateway = setup.start();
    for name in PROVIDERS {
        let provider = gateway.provider(name);
        provider.set(|settings| settings.api_key = Some(secret(name)));
    }
    gateway
}

/// The tokens of a record: these classes, and nothing of all others.
fn used(some: &[(&str, u64)]) -> Value {
    let mut tokens = json!({
        "input": 0, "audio_input": 0, "cached_input": 0, "cache_write": 0, "cache_write_hour": 0,
        "output": 0, "audio_output": 0, "reasoning": 0,
    });
    for (class, count) in some {
        tokens[class] = json!(count);
    }
    tokens
}

fn only(provider: &str) -> String {
    format!("by-{provider}")
}
