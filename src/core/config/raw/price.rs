//! `prices`: what a target costs.

use super::super::node::Scalar;
use super::super::reader::{Findings, Given, Section, section};
use super::super::scalar::{Read, Wrong, fee, price, tokens};
use super::each;
use crate::units::{NanoUsd, PricePerMillion, Tokens};

/// An entry of `prices`
#[derive(Clone, Debug)]
pub struct Price {
    /// `extends`
    pub extends: Given<Extends>,
    /// By class of token.
    pub rates: Rates,
    /// `request`
    pub request: Given<NanoUsd>,
    /// `long_context`
    pub long_context: Given<Vec<Given<LongContext>>>,
}

/// What an entry is added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extends {
    /// `catalogue`
    Catalogue,
}

/// An element of `prices.*.long_context`
#[derive(Clone, Debug)]
pub struct LongContext {
    /// `above`
    pub above: Given<Tokens>,
    /// By class of token.
    pub rates: Rates,
}

/// The prices by class, which tiers have like the entry itself.
#[derive(Clone, Debug)]
pub struct Rates {
    /// `input`
    pub input: Given<PricePerMillion>,
    /// `output`
    pub output: Given<PricePerMillion>,
    /// `cached_input`
    pub cached_input: Given<PricePerMillion>,
    /// `cache_write`
    pub cache_write: Given<PricePerMillion>,
    /// `cache_write_hour`
    pub cache_write_hour: Given<PricePerMillion>,
    /// `audio_input`
    pub audio_input: Given<PricePerMillion>,
    /// `reasoning`
    pub reasoning: Given<PricePerMillion>,
    /// `audio_output`
    pub audio_output: Given<PricePerMillion>,
}

pub(super) fn prices(fields: &mut Section<'_>, findings: &mut Findings) -> Price {
    Price {
        extends: fields.single("extends", extends, findings),
        rates: rates(fields, findings),
        request: fields.single("request", fee, findings),
        long_context: each(
            fields,
            "long_context",
            |part, findings| section(part, long_context, findings),
            findings,
        ),
    }
}

fn long_context(fields: &mut Section<'_>, findings: &mut Findings) -> LongContext {
    LongContext {
        above: fields.single("above", tokens, findings),
        rates: rates(fields, findings),
    }
}

fn rates(fields: &mut Section<'_>, findings: &mut Findings) -> Rates {
    Rates {
        input: fields.single("input", price, findings),
        output: fields.single("output", price, findings),
        cached_input: fields.single("cached_input", price, findings),
        cache_write: fields.single("cache_write", price, findings),
        cache_write_hour: fields.single("cache_write_hour", price, findings),
        audio_input: fields.single("audio_input", price, findings),
        reasoning: fields.single("reasoning", price, findings),
        audio_output: fields.single("audio_output", price, findings),
    }
}

fn extends(scalar: &Scalar) -> Read<Extends> {
    if scalar.text == "catalogue" {
        return Ok(Extends::Catalogue);
    }
    Err(Wrong {
        found: format!("nothing to extend is named {}", scalar.shown()),
        fix: "write `catalogue`, or remove it and write every price".to_owned(),
    })
}
