//! Anthropic's dialect: as clients speak it, and as it is spoken by Anthropic, on Bedrock and on Vertex.

use crate::dialect::bedrock;
use crate::dialect::chat::Chat;
use crate::dialect::event::{Complaint, Event};
use crate::dialect::frame_reader::{FrameReader, Wrapped};
use crate::dialect::gaps::{Policy, Untranslatable};
use crate::dialect::reply::Reply;
use crate::dialect::speak::{
    Asked, Client, Fault, Provider, Reader, Stream, Target, Unreadable, Written,
};
use crate::dialect::sse_reader::SseReader;
use crate::refusal::Refusal;

pub mod blocks;
pub mod messages;
pub mod reply;
pub mod request;
pub mod stream;
pub mod write;

/// Who serves the models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosting {
    /// Anthropic itself.
    Anthropic,
    /// Google: the model stands in the path.
    Vertex,
    /// Amazon: the model stands in the path, and events come in frames.
    Bedrock,
}

/// A provider of this dialect.
#[derive(Clone, Copy, Debug)]
pub struct Anthropic(pub Hosting);

impl Provider for Anthropic {
    fn name(&self) -> &'static str {
        match self.0 {
            Hosting::Anthropic => "anthropic",
            Hosting::Vertex => "anthropic_vertex",
            Hosting::Bedrock => "anthropic_bedrock",
        }
    }

    fn key_header(&self) -> (&'static str, &'static str) {
        match self.0 {
            Hosting::Anthropic => ("x-api-key", ""),
            Hosting::Vertex | Hosting::Bedrock => ("authorization", "Bearer "),
        }
    }

    fn signed_service(&self) -> Option<&'static str> {
        (self.0 == Hosting::Bedrock).then_some(bedrock::SERVICE)
    }

    fn base_path_end(&self) -> &'static str {
        match self.0 {
            Hosting::Vertex => "/publishers/anthropic",
            Hosting::Anthropic | Hosting::Bedrock => "",
        }
    }

    fn understands(&self) -> &'static str {
        match self.0 {
            Hosting::Anthropic => Messages.name(),
            Hosting::Vertex | Hosting::Bedrock => "",
        }
    }

    fn write(
        &self,
        chat: &Chat,
        target: &Target<'_>,
        policy: Policy,
    ) -> Result<Written, Untranslatable> {
        write::write((self.0, self.name()), chat, target, policy)
    }

    fn reader(&self) -> Box<dyn Reader> {
        match self.0 {
            Hosting::Anthropic | Hosting::Vertex => Box::<SseReader<stream::Blocks>>::default(),
            Hosting::Bedrock => Box::<FrameReader<Wrapped<stream::Blocks>>>::default(),
        }
    }

    fn read(&self, body: &[u8], sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Unreadable> {
        stream::whole(body, sink)
    }

    fn complaint(&self, status: u16, body: &[u8]) -> Complaint {
        stream::error(status, body)
    }
}

/// Clients of the Messages API.
#[derive(Clone, Copy, Debug)]
pub struct Messages;

impl Client for Messages {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn id_header(&self) -> Option<&'static str> {
        Some("request-id")
    }

    fn read(&self, body: &[u8]) -> Result<Chat, Refusal> {
        request::read(body)
    }

    fn whole(&self, asked: &Asked, reply: &Reply) -> Vec<u8> {
        reply::whole(asked, reply)
    }

    fn stream(&self, asked: Asked) -> Box<dyn Stream> {
        Box::new(reply::Blocks::new(asked))
    }

    fn error(&self, status: u16, fault: &Fault<'_>) -> Vec<u8> {
        reply::error(status, fault)
    }
}
