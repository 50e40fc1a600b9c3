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

fn only(provider: &str) -> String {
    format!("by-{provider}")
}
