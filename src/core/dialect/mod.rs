//! What clients and providers speak: one file a dialect, one line in each match.

use serde::{Deserialize, Serialize};

use crate::refusal::{Answer, Refusal};

pub mod accents;
pub mod anthropic;
pub mod ask;
pub mod base64;
pub mod bedrock;
pub mod chat;
pub mod cohere;
pub mod complaint;
pub mod completions;
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

/// What a client or a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI's, and what follows it.
    Openai,
}

impl Dialect {
    /// Every one there is.
    pub const ALL: &'static [Self] = &[Self::Openai];

    /// As written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
        }
    }
}

/// A refusal in the shape that the SDKs of this dialect turn into their exceptions.
pub fn answer(dialect: Dialect, refusal: &Refusal) -> Answer {
    let body = match dialect {
        Dialect::Openai => openai::error_body(refusal),
    };
    Answer {
        status: refusal.status,
        headers: Vec::new(),
        body,
        code: Some(refusal.code),
    }
}

#[cfg(test)]
mod tests;
