//! One suite over every store: what memory does, SQLite and PostgreSQL do, also when they are killed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at the first surprise"
)]

mod bad_input;
mod differential;
mod kill;
mod places;
mod reports;
mod server;
mod stories;
mod tls;
#[path = "../../load/workload.rs"]
mod workload;
