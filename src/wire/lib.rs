//! What the filter and the budget service say to each other, as bytes.
//!
//! [`proto`] is made from `budget.proto`; the rules speak [`tollgate_core::money::message`]. Between the two stand checked
//! conversions: bytes that do not mean what the core can mean are [`Unreadable`], and say why. There is no transport here,
//! because the filter's is Envoy's and the service's is its own.
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        reason = "a test that overflows should fail"
    )
)]

mod reply;
mod request;

#[cfg(test)]
mod tests;

pub use reply::Answer;

use std::fmt;

use prost::Message;
use sha2::{Digest, Sha256};
use tollgate_core::money::ids::BodyHash;
use tollgate_core::money::message::SyncRequest;

/// The messages themselves, made from `budget.proto`; a test compares them. They are kept in git because a compiler of
/// protocol buffers takes longer to build than the rest of the filter.
#[allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    reason = "written by prost; what they mean stands in budget.proto"
)]
#[rustfmt::skip]
#[path = "messages.rs"]
pub mod proto;

/// The service's name in the paths of its calls.
pub const SERVICE: &str = "tollgate.budget.v1.Budget";
/// No message is larger: a batch holds at most [`BATCH_BYTES_MAX`] of records, and [`BATCH_ENTRIES_MAX`] small entries of
/// each other kind.
///
/// [`BATCH_BYTES_MAX`]: tollgate_core::money::holder::BATCH_BYTES_MAX
/// [`BATCH_ENTRIES_MAX`]: tollgate_core::money::holder::BATCH_ENTRIES_MAX
pub const MESSAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes, or a message, that say nothing the core understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Where.
    pub at: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl Unreadable {
    fn new(at: &'static str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { at, why }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.at, self.why)
    }
}

impl std::error::Error for Unreadable {}

/// A batch as bytes: what is sent, sent again, and kept where a trap of the VM does not reach.
pub fn encode_batch(batch: SyncRequest) -> Vec<u8> {
    proto::SyncRequest::from(batch).encode_to_vec()
}

/// The batch of such bytes.
pub fn decode_batch(bytes: &[u8]) -> Result<SyncRequest, Unreadable> {
    decode::<proto::SyncRequest>("SyncRequest", bytes)?.try_into()
}

/// A message from bytes.
pub fn decode<Wanted: Message + Default>(
    at: &'static str,
    bytes: &[u8],
) -> Result<Wanted, Unreadable> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        let length = bytes.len();
        let why = format!("{length} bytes are more than {MESSAGE_BYTES_MAX}");
        return Err(Unreadable::new(at, why));
    }
    Wanted::decode(bytes).map_err(|error| Unreadable::new(at, error.to_string()))
}

/// By what a batch is known again: the digest of its encoding. One message has one encoding, whoever makes it.
pub fn digest(batch: &proto::SyncRequest) -> BodyHash {
    BodyHash(Sha256::digest(batch.encode_to_vec()).into())
}
