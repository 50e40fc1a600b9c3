//! What callers may ask for: one line an endpoint.

use std::fmt;

use crate::dialect::anthropic::Messages;
use crate::dialect::completions::Completions;
use crate::dialect::openai::ChatCompletions;
use crate::dialect::responses::Responses;
use crate::dialect::speak::Client;
use crate::price::Price;
use crate::request::Wishes;

/// A path that is understood.
pub struct Endpoint {
    /// As the caller writes it.
    pub path: &'static str,
    /// The only method it takes.
    pub method: &'static str,
    /// What the caller speaks there.
    pub client: &'static dyn Client,
    /// How the question is written.
    pub form: Form,
    /// How it is known what was used.
    pub metered: Metered,
    /// What happens with it.
    pub kind: Kind,
}

impl Endpoint {
    /// Where its requests go, behind the provider's own path. Whoever counts tokens does it where callers look for it.
    pub fn behind(&self) -> &'static str {
        match self.kind {
            Kind::Forwarded { path, .. } => path,
            Kind::CountTokens | Kind::ListModels => self.path,
        }
    }
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
        /// What comes back.
        answers: Answers,
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
    /// There is none, but Cohere has the same by another path.
    Reranked,
}

/// How a question is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As one object.
    Json,
    /// As a form with files.
    Multipart,
}

/// What comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// What a model says, read event by event.
    Words,
    /// Sound, pictures, scores: it passes as it comes, and only figures in it are read.
    Anything,
}

/// How it is known what a request used; the provider's own figures always come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metered {
    /// Providers say so; where one does not, its words are counted.
    ByUsage,
    /// Providers say nothing or count in another unit: the tokens of the text that was sent are what it used.
    ByCount,
    /// The same, but what comes back is sound: without figures nobody knows how much of it there was.
    Spoken,
    /// Not every provider says so, and there is no text to count: without figures only a price for each request, or
    /// for each of the pictures that are asked for, is known.
    PerRequest,
    /// It is answered here, and costs nothing.
    Nothing,
}

impl Metered {
    /// Whether the price of a request follows, and is bounded before it, without the provider's figures.
    pub fn is_known_by(self, price: &Price) -> bool {
        match self {
            Self::ByUsage | Self::ByCount | Self::Nothing => true,
            Self::Spoken => !price.charges_answers(),
            Self::PerRequest => !price.charges_answers() && !price.charges_prompts(),
        }
    }

    /// How often a price for each request is charged.
    pub fn requests(self, wishes: &Wishes) -> u64 {
        match self {
            Self::PerRequest => wishes.choices,
            Self::ByUsage | Self::ByCount | Self::Spoken | Self::Nothing => 1,
        }
    }
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
        form: Form::Json,
        metered: Metered::ByUsage,
        kind: Kind::Forwarded {
            native,
            path: behind,
            others: Others::Translated,
            streams: Streams::OnRequest,
            answers: Answers::Words,
        },
    }
}

/// What goes on as it came, both ways.
const fn passing(
    path: &'static str,
    behind: &'static str,
    form: Form,
    metered: Metered,
) -> Endpoint {
    Endpoint {
        path,
        method: "POST",
        client: &ChatCompletions,
        form,
        metered,
        kind: Kind::Forwarded {
            native: "openai",
            path: behind,
            others: Others::Never,
            streams: Streams::Never,
            answers: Answers::Anything,
        },
    }
}

const fn streaming(endpoint: Endpoint) -> Endpoint {
    match endpoint.kind {
        Kind::Forwarded {
            native,
            path,
            others,
            answers,
            ..
        } => Endpoint {
            kind: Kind::Forwarded {
                native,
                path,
                others,
                streams: Streams::OnRequest,
                answers,
            },
            ..endpoint
        },
        Kind::ListModels | Kind::CountTokens => endpoint,
    }
}

/// For callers of Cohere and of those who copied it: there is one at each of these paths.
const fn rerank(path: &'static str) -> Endpoint {
    Endpoint {
        kind: Kind::Forwarded {
            native: "openai",
            path: "/rerank",
            others: Others::Reranked,
            streams: Streams::Never,
            answers: Answers::Anything,
        },
        ..passing(path, "", Form::Json, Metered::ByCount)
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
        form: Form::Json,
        metered: Metered::Nothing,
        kind: Kind::CountTokens,
    },
    Endpoint {
        path: "/v1/embeddings",
        method: "POST",
        client: &ChatCompletions,
        form: Form::Json,
        metered: Metered::ByUsage,
        kind: Kind::Forwarded {
            native: "openai",
            path: "/embeddings",
            others: Others::Never,
            streams: Streams::Never,
            answers: Answers::Words,
        },
    },
    passing(
        "/v1/moderations",
        "/moderations",
        Form::Json,
        Metered::ByCount,
    ),
    rerank("/v1/rerank"),
    rerank("/v2/rerank"),
    passing(
        "/v1/audio/speech",
        "/audio/speech",
        Form::Json,
        Metered::Spoken,
    ),
    streaming(passing(
        "/v1/audio/transcriptions",
        "/audio/transcriptions",
        Form::Multipart,
        Metered::PerRequest,
    )),
    passing(
        "/v1/audio/translations",
        "/audio/translations",
        Form::Multipart,
        Metered::PerRequest,
    ),
    streaming(passing(
        "/v1/images/generations",
        "/images/generations",
        Form::Json,
        Metered::PerRequest,
    )),
    streaming(passing(
        "/v1/images/edits",
        "/images/edits",
        Form::Multipart,
        Metered::PerRequest,
    )),
    passing(
        "/v1/images/variations",
        "/images/variations",
        Form::Multipart,
        Metered::PerRequest,
    ),
    Endpoint {
        path: "/v1/models",
        method: "GET",
        client: &ChatCompletions,
        form: Form::Json,
        metered: Metered::Nothing,
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
