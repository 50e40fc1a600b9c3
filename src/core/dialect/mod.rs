//! What clients and providers speak: one file a dialect, one line in each match.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::dialect::speak::{Client, Fault, Provider};
use crate::refusal::{Answer, Refusal};

pub mod accents;
pub mod anthropic;
pub mod ask;
pub mod base64;
pub mod bedrock;
pub mod calls;
pub mod chat;
pub mod cohere;
pub mod complaint;
pub mod completions;
pub mod conversation;
pub mod event;
pub mod figures;
pub mod frame_reader;
pub mod gaps;
pub mod gemini;
pub mod json;
pub mod openai;
pub mod passage;
pub mod path;
pub mod reasoning;
pub mod reply;
pub mod responses;
pub mod speak;
pub mod sse_reader;
pub mod tables;
pub mod writer;

/// What a provider speaks, by its name in the table of providers.
#[derive(Clone, Copy)]
pub struct Dialect(&'static dyn Provider);

impl Dialect {
    /// Every one.
    pub fn all() -> impl Iterator<Item = Self> {
        tables::providers().map(Self)
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|dialect| dialect.name() == name)
    }

    /// As written in a configuration.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// How it is spoken.
    pub fn provider(self) -> &'static dyn Provider {
        self.0
    }
}

impl PartialEq for Dialect {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Dialect {}

impl fmt::Debug for Dialect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl Serialize for Dialect {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Dialect {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        Self::named(&name).ok_or_else(|| D::Error::custom(format!("no dialect is named `{name}`")))
    }
}

/// A refusal in the shape that the SDKs of this client turn into their exceptions.
pub fn answer(client: &dyn Client, refusal: &Refusal) -> Answer {
    Answer {
        status: refusal.status,
        headers: refusal.headers.clone(),
        body: client.error(refusal.status, &Fault::from(refusal)),
        code: Some(refusal.code),
    }
}

#[cfg(test)]
mod tests;
