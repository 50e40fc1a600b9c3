//! Every decision Tollgate takes, as pure functions and machines: input in, steps out.
//! No host calls, clock, randomness, threads, floats for money, or panics: the same code runs
//! in the filter, in the command line tool and in tests.
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        reason = "a test that overflows should fail loudly"
    )
)]

pub mod attempt;
pub mod auth;
pub mod bill;
pub mod callers;
pub mod catalogue;
pub mod config;
pub mod cover;
pub mod dialect;
pub mod endpoint;
pub mod eventstream;
pub mod gateway;
pub mod handoff;
pub mod head;
pub mod health;
pub mod json_tap;
pub mod limits;
pub mod metrics;
pub mod money;
pub mod multipart;
pub mod price;
pub mod record;
pub mod refusal;
pub mod request;
pub mod routing;
pub mod sse;
pub mod tenancy;
#[cfg(test)]
mod testing;
pub mod tokens;
pub mod trace;
pub mod units;
pub mod usage;
pub mod vouched;
