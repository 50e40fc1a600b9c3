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
mod media;
mod native;
mod pairs;
mod signing;
mod streams;
mod tools;

use serde_json::{Value, json};
use tollgate_tests::{Gateway, Setup};

/// A provider of each dialect, by name; the model `by-NAME` has only this one.
const PROVIDERS: [&str; 9] = [
    "openai",
    "anthropic",
    "gemini",
    "cohere",
    "azure",
    "vertex",
    "anthropic-vertex",
    "bedrock",
    "anthropic-bedrock",
];

/// The key that a provider wants, and that the gateway has for it; of Amazon's, what requests are signed with.
fn secret(provider: &str) -> String {
    if provider.ends_with("bedrock") {
        return format!("AKID{}:secret-of-{provider}", provider.len());
    }
    format!("secret-of-{provider}")
}

/// Every provider insists on its key: whatever is answered was asked for with the right one, in the right header.
fn start() -> Gateway {
    let setup = Setup::named("every-dialect.yaml");
    let setup = PROVIDERS.iter().fold(setup, |setup, name| {
        let variable = name.to_uppercase().replace('-', "_");
        setup.env(&format!("{variable}_KEY"), &secret(name))
    });
    let (file, environment) = (secret("bedrock"), secret("anthropic-bedrock"));
    let (file, environment) = (
        file.split_once(':').unwrap(),
        environment.split_once(':').unwrap(),
    );
    let file = format!(
        "[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n\n\
         [bedrock]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        file.0, file.1
    );
    let gateway = setup
        .file("aws", file)
        .env("AWS_ACCESS_KEY_ID", environment.0)
        .env("AWS_SECRET_ACCESS_KEY", environment.1)
        .start();
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
