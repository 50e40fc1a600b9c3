//! The languages this provider speaks: one module each, and one line in the table.

mod anthropic;
mod claim;
mod cohere;
mod content;
mod gemini;
mod openai;
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
    /// The key a request brings.
    key: fn(&Request) -> Option<&str>,
    /// What a request with that key hears when it is the wrong one.
    stranger: fn(Option<&str>) -> Answer,
}

/// The last one takes what nobody else knows.
static DIALECTS: &[Dialect] = &[
    Dialect {
        prefix: "/anthropic",
        own: &["/v1/messages"],
        answer: anthropic::answer,
        refusal: anthropic::refusal,
        key: anthropic::key,
        stranger: anthropic::stranger,
    },
    Dialect {
        prefix: "/gemini",
        own: &["/v1beta/"],
        answer: gemini::answer,
        refusal: gemini::refusal,
        key: gemini::key,
        stranger: gemini::stranger,
    },
    Dialect {
        prefix: "/cohere",
        own: &["/v2/chat"],
        answer: cohere::answer,
        refusal: cohere::refusal,
        key: cohere::key,
        stranger: cohere::stranger,
    },
    Dialect {
        prefix: "/openai",
        own: &["/"],
        answer: openai::answer,
        refusal: openai::refusal,
        key: openai::key,
        stranger: |_| openai::refusal(401),
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
    let spoken = DIALECTS.iter().find_map(behind);
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
    let key = (dialect.key)(request);
    if terms.api_key.is_some() && key != terms.api_key {
        return (dialect.stranger)(key);
    }
    (dialect.answer)(&question)
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
