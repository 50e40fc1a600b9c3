//! Alerts on their way to people: from the outbox of the store to webhooks.
//!
//! What happened is written with what it happened to, in one transaction; what is sent is marked afterwards. So a restart
//! loses none, and each has an id by which a receiver knows one that comes again. Nothing waits for a webhook.

mod live;
mod message;
mod sender;

pub use message::message;
pub use sender::{Outbox, Sender, Sink};
pub use tollgate_core::config::deploy::AlertShape as Shape;

#[cfg(test)]
mod tests;
