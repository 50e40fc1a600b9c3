//! The numbers of proxy-wasm's binary interface 0.2.1. `tests/wasm/numbers.rs` compares them with those of the SDK, whose
//! code itself stays out of the filter: see [`crate::host`].

// What a host call returns.
pub(crate) const OK: u32 = 0;
pub(crate) const NOT_FOUND: u32 = 1;
pub(crate) const CAS_MISMATCH: u32 = 8;

// What a callback returns.
pub(crate) const CONTINUE: u32 = 0;
pub(crate) const PAUSE: u32 = 1;

// Header maps.
pub(crate) const REQUEST_HEADERS: u32 = 0;
pub(crate) const REPLY_HEADERS: u32 = 2;

// Buffers.
pub(crate) const REQUEST_BODY: u32 = 0;
pub(crate) const REPLY_BODY: u32 = 1;
pub(crate) const GRPC_REPLY: u32 = 5;
pub(crate) const PLUGIN_CONFIGURATION: u32 = 7;

// Directions of a stream.
pub(crate) const REQUEST: u32 = 0;
pub(crate) const REPLY: u32 = 1;

// Series.
pub(crate) const COUNTER: u32 = 0;
pub(crate) const GAUGE: u32 = 1;
pub(crate) const HISTOGRAM: u32 = 2;

// How much a message matters.
pub(crate) const TRACE: u32 = 0;
pub(crate) const DEBUG: u32 = 1;
pub(crate) const INFO: u32 = 2;
pub(crate) const WARN: u32 = 3;
pub(crate) const ERROR: u32 = 4;
