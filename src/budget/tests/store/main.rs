//! One suite over every store: what memory does, SQLite and PostgreSQL do, also when they are killed.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails, as it should"
)]

mod bad_input;
mod differential;
mod kill;
mod places;
mod server;
mod stories;
#[path = "../../load/workload.rs"]
mod workload;
