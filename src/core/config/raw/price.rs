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
    /// `audio_input`
    pub audio_input: Given<PricePerMillion>,
    /// `audio_output`
    pub audio_output: Given<PricePerMillion>,
    /// `cache_write_hour`
    pub cache_write_hour: Given<PricePerMillion>,
}

pub(super) fn prices(fields: &mut Section<'_>, findings: &mut Findings) -> Price {
    Price {
        input: fields.single("input", price, findings),
        output: fields.single("output", price, findings),
        cached_input: fields.single("cached_input", price, findings),
        cache_write: fields.single("cache_write", price, findings),
        reasoning: fields.single("reasoning", price, findings),
        audio_input: fields.single("audio_input", price, findings),
        audio_output: fields.single("audio_output", price, findings),
        cache_write_hour: fields.single("cache_write_hour", price, findings),
    }
}
