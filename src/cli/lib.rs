//! What the command line tool does, as a library, so that tests and benchmarks use the same code.

pub mod command;
pub mod config;
pub mod fake;
pub mod render;
pub mod up;
