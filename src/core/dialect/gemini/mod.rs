//! Google's Gemini, on AI Studio and on Vertex.

use crate::dialect::chat::Chat;
use crate::dialect::event::{Complaint, Event};
use crate::dialect::gaps::{Policy, Untranslatable};
use crate::dialect::speak::{Provider, Reader, Target, Unreadable, Written};
use crate::dialect::sse_reader::SseReader;

pub mod stream;
pub mod write;

/// Who serves the models: the bodies are the same, the paths are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gemini {
    /// `/v1beta/models/MODEL:...`
    Studio,
    /// `/models/MODEL:...`, behind a path that ends with `/publishers/google`.
    Vertex,
}

impl Provider for Gemini {
    fn name(&self) -> &'static str {
        match self {
            Self::Studio => "gemini",
            Self::Vertex => "gemini_vertex",
        }
    }

    fn key_header(&self) -> (&'static str, &'static str) {
        match self {
            Self::Studio => ("x-goog-api-key", ""),
            Self::Vertex => ("authorization", "Bearer "),
        }
    }

    fn base_path_end(&self) -> &'static str {
        match self {
            Self::Vertex => "/publishers/google",
            Self::Studio => "",
        }
    }

    fn write(
        &self,
        chat: &Chat,
        target: &Target<'_>,
        policy: Policy,
    ) -> Result<Written, Untranslatable> {
        write::write((*self, self.name()), chat, target, policy)
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<SseReader<stream::Candidates>>::default()
    }

    fn read(&self, body: &[u8], sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Unreadable> {
        stream::whole(body, sink)
    }

    fn complaint(&self, status: u16, body: &[u8]) -> Complaint {
        stream::error(status, body)
    }
}
