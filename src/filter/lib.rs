//! The proxy-wasm filter: a thin shell around tollgate-core.
