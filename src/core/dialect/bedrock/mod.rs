//! Amazon Bedrock's Converse and ConverseStream.

use crate::dialect::chat::Chat;
use crate::dialect::event::{Complaint, Event};
use crate::dialect::frame_reader::FrameReader;
use crate::dialect::gaps::{Policy, Untranslatable};
use crate::dialect::speak::{Provider, Reader, Target, Unreadable, Written};

pub mod stream;
pub mod write;

/// What its requests are signed for, by whichever of its interfaces.
pub const SERVICE: &str = "bedrock";

/// Every model on Bedrock that converses.
#[derive(Clone, Copy, Debug)]
pub struct Bedrock;

impl Provider for Bedrock {
    fn name(&self) -> &'static str {
        "bedrock"
    }

    fn signed_service(&self) -> Option<&'static str> {
        Some(SERVICE)
    }

    fn write(
        &self,
        chat: &Chat,
        target: &Target<'_>,
        policy: Policy,
    ) -> Result<Written, Untranslatable> {
        write::write(self.name(), chat, target, policy)
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<FrameReader<stream::Converse>>::default()
    }

    fn read(&self, body: &[u8], sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Unreadable> {
        stream::whole(body, sink)
    }

    fn complaint(&self, status: u16, body: &[u8]) -> Complaint {
        stream::error(status, body)
    }
}
