//! What callers may ask for: one line an endpoint.

use crate::dialect::Dialect;

/// A path that is understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// As the caller writes it.
    pub path: &'static str,
    /// The only method it takes.
    pub method: &'static str,
    /// What the caller speaks there.
    pub dialect: Dialect,
    /// What happens with it.
    pub kind: Kind,
}

/// What happens with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes to a provider, at this path behind the provider's own.
    Forwarded {
        /// Behind [`crate::config::Provider::path`].
        path: &'static str,
        /// Whether a stream may be asked for.
        streams: Streams,
    },
    /// Answered here: which models the caller may use.
    ListModels,
}

/// Whether an endpoint can answer as a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// With `stream: true`.
    OnRequest,
    /// Always in one piece.
    Never,
}

/// Every endpoint; tests walk it.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/v1/chat/completions",
        method: "POST",
        dialect: Dialect::Openai,
        kind: Kind::Forwarded {
            path: "/chat/completions",
            streams: Streams::OnRequest,
        },
    },
    Endpoint {
        path: "/v1/completions",
        method: "POST",
        dialect: Dialect::Openai,
        kind: Kind::Forwarded {
            path: "/completions",
            streams: Streams::OnRequest,
        },
    },
    Endpoint {
        path: "/v1/embeddings",
        method: "POST",
        dialect: Dialect::Openai,
        kind: Kind::Forwarded {
            path: "/embeddings",
            streams: Streams::Never,
        },
    },
    Endpoint {
        path: "/v1/models",
        method: "GET",
        dialect: Dialect::Openai,
        kind: Kind::ListModels,
    },
];

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
