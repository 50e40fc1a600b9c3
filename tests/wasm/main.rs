//! The real `.wasm` in a small host: what crosses the border, what it weighs, and that nothing makes it trap.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::fn_params_excessive_bools,
    clippy::print_stderr,
    clippy::as_conversions,
    reason = "this is test code: it fails a test by panicking"
)]

mod budget;
mod host;
mod hostile;
mod numbers;
