//! Who can be spoken with: adding a dialect is its files and its line here. Tests walk both tables.

use crate::dialect::accents::ACCENTS;
use crate::dialect::anthropic::{Anthropic, Hosting, Messages};
use crate::dialect::bedrock::Bedrock;
use crate::dialect::cohere::Cohere;
use crate::dialect::completions::Completions;
use crate::dialect::gemini::Gemini;
use crate::dialect::openai::ChatCompletions;
use crate::dialect::responses::Responses;
use crate::dialect::speak::{Client, Provider};

/// What clients may speak.
pub static CLIENTS: &[&dyn Client] = &[&ChatCompletions, &Messages, &Responses, &Completions];

/// Providers with a dialect of their own; those that speak OpenAI's stand in [`ACCENTS`].
static OWN: &[&dyn Provider] = &[
    &Anthropic(Hosting::Anthropic),
    &Anthropic(Hosting::Vertex),
    &Anthropic(Hosting::Bedrock),
    &Gemini::Studio,
    &Gemini::Vertex,
    &Bedrock,
    &Cohere,
];

/// Every provider.
pub fn providers() -> impl Iterator<Item = &'static dyn Provider> {
    let accents = ACCENTS
        .iter()
        .map(|accent| -> &'static dyn Provider { accent });
    accents.chain(OWN.iter().copied())
}

/// The provider of this name.
pub fn provider(name: &str) -> Option<&'static dyn Provider> {
    providers().find(|provider| provider.name() == name)
}

/// The clients of this name.
pub fn client(name: &str) -> Option<&'static dyn Client> {
    CLIENTS.iter().copied().find(|client| client.name() == name)
}
