//! The answer when nobody answers: the operator's own words, as if a model had said them.

use crate::dialect::event::{Event, Finish};
use crate::dialect::reply;
use crate::dialect::speak::{Asked, Client, Fault};
use crate::refusal::Answer;
use crate::request::Reply;

/// Why it is no answer of a provider.
const CODE: &str = "last_resort";

/// These words in the caller's dialect, whole or as events.
pub(super) fn resort(client: &dyn Client, asked: Asked, reply: Reply, words: &str) -> Answer {
    let model = asked.model.clone();
    let id = asked.id.clone();
    let events = [
        Event::Start {
            id: &id,
            model: &model,
            created: Some(asked.created),
        },
        Event::Text {
            choice: 0,
            text: words,
        },
        Event::Finish {
            choice: 0,
            reason: Finish::Stop,
        },
        Event::Done,
    ];
    let (kind, body) = match reply {
        Reply::Whole => {
            let mut whole = reply::Reply::default();
            for event in &events {
                whole.take(event);
            }
            ("application/json", client.whole(&asked, &whole))
        }
        Reply::Streamed(_) => {
            let mut body = Vec::new();
            let mut stream = client.stream(asked);
            for event in &events {
                stream.write(event, &mut body);
            }
            let none = Fault {
                code: CODE,
                message: "",
                param: None,
            };
            stream.end(&none, &mut body);
            ("text/event-stream", body)
        }
    };
    Answer {
        status: 200,
        headers: vec![("content-type", kind.to_owned())],
        body,
        code: Some(CODE),
    }
}
