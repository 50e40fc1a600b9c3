//! Whatever comes, the caller gets an answer that its SDK can read, and the gateway goes on as before.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "this is test code: it fails a test by panicking"
)]

mod bodies;
mod callers;
mod guarded;
mod places;
mod sizes;
mod traces;
