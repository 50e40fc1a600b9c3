//! What clients and providers speak: one file a dialect, one line in each match.

use crate::config::Dialect;
use crate::refusal::Refusal;

pub mod openai;

/// A refusal in the shape that the SDKs of this dialect turn into their exceptions.
pub fn error_body(dialect: Dialect, refusal: &Refusal) -> Vec<u8> {
    match dialect {
        Dialect::Openai => openai::error_body(refusal),
    }
}
