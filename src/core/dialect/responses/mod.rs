//! OpenAI's Responses, as clients speak it. Nothing is kept here between two requests: what refers to an
//! earlier response is refused by name.

use crate::dialect::chat::Chat;
use crate::dialect::reply::Reply;
use crate::dialect::speak::{Asked, Client, Fault, Stream};
use crate::refusal::Refusal;

pub mod reply;
pub mod request;
pub mod stream;

/// Clients of the Responses API.
#[derive(Clone, Copy, Debug)]
pub struct Responses;

impl Client for Responses {
    fn name(&self) -> &'static str {
        "openai_responses"
    }

    fn read(&self, body: &[u8]) -> Result<Chat, Refusal> {
        request::read(body)
    }

    fn whole(&self, asked: &Asked, reply: &Reply) -> Vec<u8> {
        reply::whole(asked, reply)
    }

    fn stream(&self, asked: Asked) -> Box<dyn Stream> {
        Box::new(stream::Items::new(asked))
    }

    fn error(&self, status: u16, fault: &Fault<'_>) -> Vec<u8> {
        crate::dialect::openai::reply::error(status, fault)
    }
}
