//! `prices`: what a target costs.

use super::super::reader::{Findings, Given, Section};
use super::super::scalar::price;
use crate::units::PricePerMillion;

/// An entry of `prices`
#[derive(Clone, Debug)]
pub struct Price {
    /// `input`
    pub input: Given<PricePerMillion>,
    /// `output`
    pub output: Given<PricePerMillion>,
    /// `cached_input`
    pub cached_input: Given<PricePerMillion>,
    /// `cache_write`
    pub cache_write: Given<PricePerMillion>,
    /// `reasoning`
    pub reasoning: Given<PricePerMillion>,
}

pub(super) fn prices(fields: &mut Section<'_>, findings: &mut Findings) -> Price {
    Price {
        input: fields.single("input", price, findings),
        output: fields.single("output", price, findings),
        cached_input: fields.single("cached_input", price, findings),
        cache_write: fields.single("cache_write", price, findings),
        reasoning: fields.single("reasoning", price, findings),
    }
}
