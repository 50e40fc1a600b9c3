//! What a request brought, and what is read of it here.

use crate::endpoint::{Answers, Endpoint, Kind, Streams};
use crate::handoff::{BODY_KEPT_BYTES_MAX, Body};
use crate::multipart;
use crate::refusal::Refusal;
use crate::request::{self, Request, UsageOption};
use crate::tokens::{Count, How};
use crate::units::Tokens;

/// The body of a request.
#[derive(Debug)]
pub(super) enum Content {
    /// As it came.
    Object(Vec<u8>),
    /// Of a form only the fields that are read here are known: it stays in Envoy.
    Form(multipart::Form),
}

/// A form has no text that is read here.
pub(super) const NO_TEXT: Count = Count {
    tokens: Tokens(0),
    at_most: Tokens(0),
    how: How::Estimated,
};

impl Content {
    /// What is asked for.
    pub(super) fn read(&self, endpoint: &Endpoint) -> Result<Request, Refusal> {
        let (streams, usage) = reading(endpoint);
        match self {
            Self::Object(body) => request::parse(body, streams, usage),
            Self::Form(form) => Ok(Request::of_form(form, streams)),
        }
    }

    /// As far as it is here.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Object(body) => body,
            Self::Form(_) => &[],
        }
    }

    /// Of all of it.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Object(body) => body.len(),
            Self::Form(form) => form.bytes,
        }
    }

    /// What of it the attempts find here.
    pub(super) fn keep(self) -> Body {
        match self {
            Self::Object(body) if body.len() <= BODY_KEPT_BYTES_MAX => Body::Kept(body),
            Self::Object(_) | Self::Form(_) => Body::InEnvoy { bytes: self.len() },
        }
    }
}

/// Whether an endpoint streams, and how the figures of its streams are asked for.
fn reading(endpoint: &Endpoint) -> (Streams, UsageOption) {
    match endpoint.kind {
        Kind::Forwarded {
            streams,
            native: "openai",
            answers: Answers::Words,
            ..
        } => (streams, UsageOption::StreamOptions),
        Kind::Forwarded { streams, .. } => (streams, UsageOption::Always),
        Kind::ListModels | Kind::CountTokens => (Streams::Never, UsageOption::Always),
    }
}
