//! What it takes to be a dialect: how clients are understood and answered, how providers are asked and read.

use crate::dialect::accents::StreamUsage;
use crate::dialect::chat::{Chat, Delivery};
use crate::dialect::event::{Complaint, Event};
use crate::dialect::gaps::{Gap, Policy, Untranslatable};
use crate::dialect::reply::Reply;
use crate::refusal::Refusal;
use crate::units::Tokens;

/// What clients speak.
pub trait Client: Sync {
    /// As written in a configuration.
    fn name(&self) -> &'static str;

    /// The header in which its SDKs look for the name of a request, if it is not one that everybody sends.
    fn id_header(&self) -> Option<&'static str> {
        None
    }

    /// Understands the body of a request.
    fn read(&self, body: &[u8]) -> Result<Chat, Refusal>;

    /// Answers in one piece.
    fn whole(&self, asked: &Asked, reply: &Reply) -> Vec<u8>;

    /// Answers as events.
    fn stream(&self, asked: Asked) -> Box<dyn Stream>;

    /// Says in the body of an answer what was wrong.
    fn error(&self, status: u16, fault: &Fault<'_>) -> Vec<u8>;
}

/// What an answer needs to know of the question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The model's name as the caller knows it.
    pub model: String,
    /// Stands in where the provider gives no name of its own to the reply.
    pub id: String,
    /// Seconds since the epoch: where the provider does not say when.
    pub created: u64,
    /// Whether a stream ends with the figures, where the dialect lets the caller say so.
    pub usage: UsageWish,
    /// How many calls of tools an answer may make.
    pub calls: Calls,
}

/// How many calls of tools an answer may make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Calls {
    /// As many as the model wants.
    #[default]
    Any,
    /// One: most providers cannot be told so, and then the caller gets the first. The model makes the others when it
    /// has seen the result.
    One,
}

impl Calls {
    /// As the caller wants it.
    pub fn of(chat: &Chat) -> Self {
        match chat.parallel_tool_calls {
            Some(false) => Self::One,
            Some(true) | None => Self::Any,
        }
    }

    /// Whether an answer may make the call with this number, from 0.
    pub fn allows(self, call: u32) -> bool {
        self == Self::Any || call == 0
    }
}

/// Whether a stream ends with the figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageWish {
    /// As the dialect has it: OpenAI's chat does not.
    #[default]
    Unsaid,
    /// It does.
    Asked,
}

/// Something that went wrong, ours or a provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault<'a> {
    /// Stable.
    pub code: &'a str,
    /// What happened, and what to do.
    pub message: &'a str,
    /// The field that is to blame.
    pub param: Option<&'a str>,
}

impl<'a> From<&'a Refusal> for Fault<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        Self {
            code: refusal.code,
            message: &refusal.message,
            param: refusal.param,
        }
    }
}

impl<'a> From<&'a Complaint> for Fault<'a> {
    fn from(complaint: &'a Complaint) -> Self {
        let message = if complaint.class.is_the_operators() {
            // Its own words may quote the credential.
            "The provider does not accept the gateway's credential. Your own API key is fine: tell the \
             gateway's operator."
        } else if complaint.message.is_empty() {
            "The provider failed without saying why. Try again."
        } else {
            &complaint.message
        };
        Self {
            code: complaint.class.name(),
            message,
            param: None,
        }
    }
}

/// Writes the events of one reply as the client reads them.
pub trait Stream {
    /// Adds what the client gets for this event.
    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>);

    /// The provider's stream is over: whatever is still owed for a legal end. If [`Event::Done`] never came,
    /// SDKs would take a bare end for success, so the end is an error.
    fn end(&mut self, cut: &Fault<'_>, out: &mut Vec<u8>);
}

/// What providers speak.
pub trait Provider: Sync {
    /// What a limit of the answer is called in a body that passes as its caller wrote it, at this endpoint.
    fn cap_field(&self, _endpoint: &str) -> &'static str {
        "max_tokens"
    }

    /// As written in a configuration.
    fn name(&self) -> &'static str;

    /// The header its key travels in, and what stands in front of the key.
    fn key_header(&self) -> (&'static str, &'static str) {
        ("authorization", "Bearer ")
    }

    /// The service of Amazon's that takes signed requests as well as a key.
    fn signed_service(&self) -> Option<&'static str> {
        None
    }

    /// The date of its interface where the configuration names none, if its paths are dated.
    fn api_version(&self) -> Option<&'static str> {
        None
    }

    /// How the path of its URL ends, where it must end so.
    fn base_path_end(&self) -> &'static str {
        ""
    }

    /// The clients' dialect that it understands as it stands: such a request passes through, and fields that nobody
    /// here knows survive.
    fn understands(&self) -> &'static str {
        ""
    }

    /// Where a request that passes through goes, behind the provider's own path.
    fn passing_path(&self, path: &'static str, _target: &Target<'_>) -> String {
        path.to_owned()
    }

    /// Whether the figures of a stream that passes through are asked for.
    fn stream_usage(&self) -> StreamUsage {
        StreamUsage::Unasked
    }

    /// Writes a request.
    fn write(
        &self,
        chat: &Chat,
        target: &Target<'_>,
        policy: Policy,
    ) -> Result<Written, Untranslatable>;

    /// Writes a question about the order of documents; none where it has nothing of its own for that.
    fn rerank(
        &self,
        _body: &[u8],
        _target: &Target<'_>,
        _policy: Policy,
    ) -> Option<Result<Written, Refusal>> {
        None
    }

    /// Reads a streamed reply.
    fn reader(&self) -> Box<dyn Reader>;

    /// Reads a reply in one piece.
    fn read(&self, body: &[u8], sink: &mut dyn FnMut(Event<'_>)) -> Result<(), Unreadable>;

    /// Reads the body of an error. A page or a stack trace says nothing.
    fn complaint(&self, status: u16, body: &[u8]) -> Complaint;
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    /// The provider's name for the model.
    pub model: &'a str,
    /// What the model can say at most, where the catalogue knows it: for dialects that must be told.
    pub output_max: Option<Tokens>,
    /// For providers that date their interface in the path.
    pub api_version: Option<&'a str>,
}

/// A request as a provider gets it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// JSON.
    pub body: Vec<u8>,
    /// Behind the provider's own path; query included.
    pub path: String,
    /// Beside `content-type: application/json`.
    pub headers: Vec<(&'static str, &'static str)>,
    /// What the provider is not told.
    pub dropped: Vec<Gap>,
    /// What the caller gets of its calls.
    pub calls: Calls,
}

/// A good status with a body that is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// Reads the bytes of one streamed reply, however they are cut.
pub trait Reader {
    /// Takes the bytes of one callback and gives each event to the sink.
    fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Event<'_>));

    /// The stream is over. [`Event::Done`] has come by now, or never will.
    fn finish(&mut self, sink: &mut dyn FnMut(Event<'_>));

    /// How many bytes are held.
    fn held(&self) -> usize;
}

/// The answer limit for a dialect that must be told one: the caller's, else what the model can say, else
/// what every model can.
pub fn output_limit(chat: &Chat, target: &Target<'_>) -> u64 {
    const EVERY_MODEL_CAN: u64 = 4_096;
    chat.output_max
        .or_else(|| target.output_max.map(|tokens| tokens.0))
        .unwrap_or(EVERY_MODEL_CAN)
}

/// Whether events are asked for.
pub fn streams(chat: &Chat) -> bool {
    chat.delivery == Delivery::Streamed
}
