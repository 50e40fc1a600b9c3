//! What callers may ask for: one line an endpoint.

use std::fmt;

use crate::dialect::anthropic::Messages;
use crate::dialect::completions::Completions;
use crate::dialect::openai::ChatCompletions;
use crate::dialect::responses::Responses;
use crate::dialect::speak::Client;

/// A path that is understood.
pub struct Endpoint {
    /// As the caller writes it.
    pub path: &'static str,
    /// The only method it takes.
    pub method: &'static str,
    /// What the caller speaks there.
    pub client: &'static dyn Client,
    /// What happens with it.
    pub kind: Kind,
}

/// What happens with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes to a provider, at this path behind the provider's own.
    Forwarded {
        /// Whose path it is.
        native: &'static str,
        /// Behind [`crate::config::Provider::path`], at a provider that understands this dialect as it stands.
        path: &'static str,
        /// Whether providers of other dialects can be asked.
        others: Others,
        /// Whether a stream may be asked for.
        streams: Streams,
    },
    /// Answered here: which models the caller may use.
    ListModels,
    /// Answered here: how many tokens a request has.
    CountTokens,
}

/// Whether providers of other dialects can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// Through the neutral form.
    Translated,
    /// There is no neutral form of it.
    Never,
}

/// Whether an endpoint can answer as a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// With `stream: true`.
    OnRequest,
    /// Always in one piece.
    Never,
}

const fn chat(
    path: &'static str,
    client: &'static dyn Client,
    native: &'static str,
    behind: &'static str,
) -> Endpoint {
    Endpoint {
        path,
        method: "POST",
        client,
        kind: Kind::Forwarded {
            native,
            path: behind,
            others: Others::Translated,
            streams: Streams::OnRequest,
        },
    }
}

/// Every endpoint; tests walk it.
pub static ENDPOINTS: &[Endpoint] = &[
    chat(
        "/v1/chat/completions",
        &ChatCompletions,
        "openai",
        "/chat/completions",
    ),
    chat("/v1/completions", &Completions, "openai", "/completions"),
    // Providers that speak OpenAI's chat seldom have this one: it is always translated.
    chat("/v1/responses", &Responses, "", ""),
    chat("/v1/messages", &Messages, "anthropic", "/v1/messages"),
    Endpoint {
        path: "/v1/messages/count_tokens",
        method: "POST",
        client: &Messages,
        kind: Kind::CountTokens,
    },
    Endpoint {
        path: "/v1/embeddings",
        method: "POST",
        client: &ChatCompletions,
        kind: Kind::Forwarded {
            native: "openai",
            path: "/embeddings",
            others: Others::Never,
            streams: Streams::Never,
        },
    },
    Endpoint {
        path: "/v1/models",
        method: "GET",
        client: &ChatCompletions,
        kind: Kind::ListModels,
    },
];

/// Whose words a caller of this path expects, also where nothing is.
pub fn client_of(path: &str) -> &'static dyn Client {
    if path.starts_with("/v1/messages") {
        &Messages
    } else {
        &ChatCompletions
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.path)
    }
}

/// Why a path and method name no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEndpoint {
    /// Nothing is there.
    Unknown,
    /// Something is there, but not for this method.
    TakesOnly(&'static str),
}

/// The endpoint of a request, and what follows its path (`/v1/models/NAME`).
pub fn find<'a>(
    method: &str,
    path: &'a str,
) -> Result<(&'static Endpoint, Option<&'a str>), NoEndpoint> {
    let path = path.split_once(['?', '#']).map_or(path, |(path, _)| path);
    let mut found = Err(NoEndpoint::Unknown);
    for endpoint in ENDPOINTS {
        let Some(rest) = path.strip_prefix(endpoint.path) else {
            continue;
        };
        let rest = match (endpoint.kind, rest.strip_prefix('/')) {
            (_, None) if rest.is_empty() => None,
            (Kind::ListModels, Some(name)) if !name.is_empty() => Some(name),
            _ => continue,
        };
        if endpoint.method == method {
            return Ok((endpoint, rest));
        }
        found = Err(NoEndpoint::TakesOnly(endpoint.method));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_whole_and_queries_do_not_count() {
        for (method, path, want) in [
            (
                "POST",
                "/v1/chat/completions",
                Ok(("/v1/chat/completions", None)),
            ),
            (
                "POST",
                "/v1/chat/completions?a=b",
                Ok(("/v1/chat/completions", None)),
            ),
            ("GET", "/v1/models/gpt", Ok(("/v1/models", Some("gpt")))),
            ("GET", "/v1/models/a/b", Ok(("/v1/models", Some("a/b")))),
            ("GET", "/v1/models/", Err(NoEndpoint::Unknown)),
            (
                "GET",
                "/v1/chat/completions",
                Err(NoEndpoint::TakesOnly("POST")),
            ),
            (
                "DELETE",
                "/v1/models/gpt",
                Err(NoEndpoint::TakesOnly("GET")),
            ),
            ("POST", "/v1/chat/completionsx", Err(NoEndpoint::Unknown)),
            ("POST", "/v1/chat/completions/x", Err(NoEndpoint::Unknown)),
            ("POST", "", Err(NoEndpoint::Unknown)),
        ] {
            let got = find(method, path).map(|(endpoint, rest)| (endpoint.path, rest));
            assert_eq!(got, want, "{method} {path}");
        }
    }
}
