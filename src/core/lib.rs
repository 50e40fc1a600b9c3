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

pub mod config;
pub mod money;
pub mod units;
