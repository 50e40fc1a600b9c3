//! The budget service: what is durable, and who may spend how much.
//!
//! [`engine`] decides and writes, [`grpc`] speaks to filters, [`admin`] to operators, [`alerts`] calls for them, [`store`]
//! keeps, [`calendar`] knows what day it is; [`service`] is all of it together.

#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        reason = "a test that overflows fails, as it should"
    )
)]

pub mod admin;
pub mod alerts;
pub mod calendar;
pub mod engine;
pub mod grpc;
pub mod service;
pub mod store;
