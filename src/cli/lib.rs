//! What the command line tool does, as a library, so that tests and benchmarks use the same code.
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::string_slice,
        reason = "a test that overflows or cuts a character should fail loudly"
    )
)]

mod admin;
pub mod command;
pub mod config;
pub mod fake;
pub mod render;
pub mod up;
