//! The budget service: what is durable, and who may spend how much.
//!
//! [`engine`] decides and writes, [`grpc`] speaks to filters, [`store`] keeps, [`calendar`] knows what day it is.

#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        reason = "a test that overflows fails, as it should"
    )
)]

pub mod calendar;
pub mod engine;
pub mod grpc;
pub mod store;
