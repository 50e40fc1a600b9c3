//! Counts tokens exactly as OpenAI's encodings do, from read-only tables that the build script
//! makes: no start-up, no table on the heap, and bounds on time and memory whatever the text is.
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        reason = "a test that overflows should fail loudly"
    )
)]

mod cache;
mod class;
mod counter;
mod hash;
#[cfg(test)]
mod hostile;
mod merges;
mod split;
mod table;
mod tally;
mod text;
mod work;

pub use counter::{Counter, Encoding};
pub use tally::{EXACT_BYTES_MAX, Known, Tally, Total};
pub use text::Text;
