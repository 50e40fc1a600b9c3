//! The house rules, held by a test: who may import whom, how long a file may be, what must not be left lying about.
//!
//! A rule is a function from what stands in the tree to a list of complaints; each also meets a case it must complain about.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

mod containers;
mod layers;
mod source;
mod tree;
