//! Starts what a test needs, and stops it: fake providers in this process, the real `tollgate up` with a real Envoy
//! beside it, and clients that can also misbehave.
//!
//! ```no_run
//! use tollgate::fake::Reply;
//! use tollgate_tests::Gateway;
//!
//! let gateway = Gateway::start("two-providers.yaml");
//! gateway.provider("alpha").next(Reply::status(429));
//! gateway.provider("beta").next(Reply::text("hello"));
//! let reply = gateway.chat("small", "hi").key("team-a").send();
//! assert_eq!((reply.status(), reply.text().as_str()), (200, "hello"));
//! assert_eq!(gateway.attempts(), ["alpha 429", "beta 200"]);
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    reason = "this is test code: it fails a test by panicking"
)]

mod budget;
mod client;
mod gateway;
mod h2;
mod record;
mod setup;
mod sse;
mod template;
mod tools;
mod wire;

#[cfg(test)]
mod tests;

pub use budget::BudgetService;
pub use client::{Call, Reply, Stream};
pub use gateway::Gateway;
pub use h2::{H2, H2Stream};
pub use record::tried;
pub use setup::{Refused, Setup};
pub use sse::Event;
pub use tools::{Envoy, program};
pub use wire::{End, Head, Wire};

use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes that goes well, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Asks until there is an answer, for [`PATIENCE`] at most; then the test fails, saying what it waited for.
pub fn wait_for<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, ask).unwrap_or_else(|| panic!("waited {PATIENCE:?} for {what}"))
}

fn within<T>(time: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if start.elapsed() > time {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
