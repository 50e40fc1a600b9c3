//! `models`: the names that callers use, and who answers to them.

use super::super::reader::{Findings, Given, Section, section};
use super::super::scalar::text;
use super::each;

/// An entry of `models`
#[derive(Clone, Debug)]
pub struct Model {
    /// `targets`
    pub targets: Given<Vec<Given<Target>>>,
}

/// An element of `models.*.targets`
#[derive(Clone, Debug)]
pub struct Target {
    /// `provider`
    pub provider: Given<String>,
    /// `model`
    pub model: Given<String>,
}

pub(super) fn model(fields: &mut Section<'_>, findings: &mut Findings) -> Model {
    Model {
        targets: each(
            fields,
            "targets",
            |part, findings| section(part, target, findings),
            findings,
        ),
    }
}

fn target(fields: &mut Section<'_>, findings: &mut Findings) -> Target {
    Target {
        provider: fields.single("provider", text, findings),
        model: fields.single("model", text, findings),
    }
}
