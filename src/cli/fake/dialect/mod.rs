//! The languages this provider speaks: one module each, and one line in the table.

mod anthropic;
mod aws;
mod azure;
mod bedrock;
mod claim;
mod cohere;
mod content;
mod gemini;
mod openai;
mod vertex;
mod wire;

use super::answer::{Answer, Flow, Pieces};
use super::connection::Request;
use super::reply::Reply;

/// A question, and what is known when it is answered.
pub(crate) struct Question<'a> {
    pub(crate) method: &'a str,
    /// Without the prefix of the dialect and without the query.
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: &'a [u8],
    pub(crate) reply: &'a Reply,
    /// How this provider calls itself.
    pub(crate) name: &'a str,
    pub(crate) number: u64,
    /// Seconds since the epoch.
    pub(crate) now: u64,
}

/// A language: where it is spoken, how it answers, how it complains.
pub(crate) struct Dialect {
    /// What may stand before all its paths.
    prefix: &'static str,
    /// How those of its paths begin that are known without it.
    own: &'static [&'static str],
    answer: fn(&Question<'_>) -> Answer,
    /// A refusal of this status.
    refusal: fn(u16) -> Answer,
    entry: Entry,
}

/// How a request shows who sends it.
enum Entry {
    Key {
        /// The key a request brings.
        key: fn(&Request) -> Option<&str>,
        /// What a request with that key hears when it is the wrong one.
        stranger: fn(Option<&str>) -> Answer,
    },
    /// By a signature that fits the whole request, or by a key.
    Signature,
}

impl Entry {
    /// What a request hears that is not let in.
    fn refuses(&self, request: &Request, wanted: Option<&str>) -> Option<Answer> {
        match self {
            Self::Signature => {
                let refused = aws::admit(request, wanted).err()?;
                Some(bedrock::refused(&refused))
            }
            Self::Key { key, stranger } => {
                let key = key(request);
                (wanted.is_some() && key != wanted).then(|| stranger(key))
            }
        }
    }
}

const VERTEX: Entry = Entry::Key {
    key: vertex::key,
    stranger: |_| vertex::refusal(401),
};

/// The last one takes what nobody else knows.
static DIALECTS: &[Dialect] = &[
    Dialect {
        prefix: "/anthropic",
        own: &["/v1/messages"],
        answer: anthropic::answer,
        refusal: anthropic::refusal,
        entry: Entry::Key {
            key: anthropic::key,
            stranger: anthropic::stranger,
        },
    },
    Dialect {
        prefix: "/gemini",
        own: &["/v1beta/"],
        answer: gemini::answer,
        refusal: gemini::refusal,
        entry: Entry::Key {
            key: gemini::key,
            stranger: gemini::stranger,
        },
    },
    Dialect {
        prefix: "/cohere",
        own: &["/v2/chat", "/v2/rerank"],
        answer: cohere::answer,
        refusal: cohere::refusal,
        entry: Entry::Key {
            key: cohere::key,
            stranger: cohere::stranger,
        },
    },
    Dialect {
        prefix: "/bedrock",
        own: &["/model/"],
        answer: bedrock::answer,
        refusal: bedrock::refusal,
        entry: Entry::Signature,
    },
    Dialect {
        prefix: "/anthropic_bedrock",
        own: &[],
        answer: bedrock::answer,
        refusal: bedrock::refusal,
        entry: Entry::Signature,
    },
    Dialect {
        prefix: "/gemini_vertex",
        own: &[],
        answer: vertex::answer,
        refusal: vertex::refusal,
        entry: VERTEX,
    },
    Dialect {
        prefix: "/anthropic_vertex",
        own: &[],
        answer: vertex::answer,
        refusal: vertex::refusal,
        entry: VERTEX,
    },
    Dialect {
        prefix: "/azure",
        own: &["/openai/deployments/"],
        answer: azure::answer,
        refusal: azure::refusal,
        entry: Entry::Key {
            key: azure::key,
            stranger: |_| azure::refusal(401),
        },
    },
    Dialect {
        prefix: "/openai",
        own: &["/"],
        answer: openai::answer,
        refusal: openai::refusal,
        entry: Entry::Key {
            key: openai::key,
            stranger: |_| openai::refusal(401),
        },
    },
];

/// What is asked of the provider besides the request itself.
pub(crate) struct Terms<'a> {
    pub(crate) reply: &'a Reply,
    pub(crate) name: &'a str,
    pub(crate) api_key: Option<&'a str>,
    pub(crate) number: u64,
    pub(crate) now: u64,
}

/// The answer in the dialect that the path belongs to.
pub(crate) fn answer(request: &Request, terms: &Terms<'_>) -> Answer {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let behind = |dialect: &'static Dialect| Some((dialect, rest(path, dialect.prefix)?));
    let known = |dialect: &&Dialect| dialect.own.iter().any(|own| path.starts_with(own));
    // A dialect's own paths come first: Azure's begin with the name of another.
    let apart = DIALECTS
        .iter()
        .find(|dialect| !dialect.own.contains(&"/") && known(dialect));
    let spoken = apart.map(|dialect| (dialect, path));
    let spoken = spoken.or_else(|| DIALECTS.iter().find_map(behind));
    let spoken = spoken.or_else(|| Some((DIALECTS.iter().find(known)?, path)));
    let Some((dialect, path)) = spoken else {
        return openai::refusal(404);
    };
    let question = Question {
        method: &request.method,
        path,
        query,
        headers: &request.headers,
        body: &request.body,
        reply: terms.reply,
        name: terms.name,
        number: terms.number,
        now: terms.now,
    };
    if terms.reply.body.is_some() {
        return given(terms.reply);
    }
    if let Some(status) = terms.reply.status.filter(|status| *status != 200) {
        return (dialect.refusal)(status);
    }
    let refused = dialect.entry.refuses(request, terms.api_key);
    refused.unwrap_or_else(|| (dialect.answer)(&question))
}

fn rest<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix)
        .filter(|rest| rest.starts_with('/'))
}

/// A body that a test or a person wrote.
pub(crate) fn given(reply: &Reply) -> Answer {
    let body = reply.body.clone().unwrap_or_default();
    let content_type = reply.content_type.as_deref().unwrap_or("application/json");
    Answer {
        status: reply.status.unwrap_or(200),
        content_type: content_type.to_owned(),
        flow: Flow::Whole,
        pieces: Pieces::whole(body, 0),
        error: openai::refusal(500).pieces.bytes,
        prompt_tokens: 0,
    }
}
