//! Cohere's chat, version 2.

use crate::dialect::chat::Chat;
use crate::dialect::event::{Complaint, Event};
use crate::dialect::gaps::{Policy, Untranslatable};
use crate::dialect::speak::{Provider, Reader, Target, Unreadable, Written};
use crate::dialect::sse_reader::SseReader;
use crate::refusal::Refusal;

pub mod rerank;
pub mod stream;
pub mod write;

/// The Command models.
#[derive(Clone, Copy, Debug)]
pub struct Cohere;

impl Provider for Cohere {
    fn name(&self) -> &'static str {
        "cohere"
    }

    fn write(
        &self,
        chat: &Chat,
        target: &Target<'_>,
        policy: Policy,
    ) -> Result<Written, Untranslatable> {
        write::write(self.name(), chat, target, policy)
    }

    fn rerank(
        &self,
        body: &[u8],
        target: &Target<'_>,
        policy: Policy,
    ) -> Option<Result<Written, Refusal>> {
        Some(rerank::write(self.name(), body, target, policy))
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<SseReader<stream::Deltas>>::default()
    }

    fn read(&self, body: &[u8], sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Unreadable> {
        stream::whole(body, sink)
    }

    fn complaint(&self, status: u16, body: &[u8]) -> Complaint {
        stream::error(status, body)
    }
}
