//! `models`: the names that callers use, and who answers to them.

use super::super::node::Scalar;
use super::super::reader::{Findings, Given, Section, section};
use super::super::scalar::{Read, Wrong, dollars, text, tokens};
use super::each;
use crate::config::OnUntranslatable;
use crate::units::{NanoUsd, Tokens};

/// An entry of `models`
#[derive(Clone, Debug)]
pub struct Model {
    /// `targets`
    pub targets: Given<Vec<Given<Target>>>,
    /// `on_untranslatable`
    pub on_untranslatable: Given<OnUntranslatable>,
    /// `default_max_tokens`
    pub default_max_tokens: Given<Tokens>,
    /// `unpriced`
    pub unpriced: Given<Unpriced>,
    /// `unbounded_hold`
    pub unbounded_hold: Given<NanoUsd>,
}

/// `unpriced`: what becomes of a target whose price nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unpriced {
    /// `refuse`
    #[default]
    Refuse,
    /// `estimate`
    Estimate,
    /// `allow_and_alert`
    AllowAndAlert,
}

/// An element of `models.*.targets`
#[derive(Clone, Debug)]
pub struct Target {
    /// `provider`
    pub provider: Given<String>,
    /// `model`
    pub model: Given<String>,
    /// `context_window`
    pub context_window: Given<Tokens>,
    /// `max_output`
    pub max_output: Given<Tokens>,
}

pub(super) fn model(fields: &mut Section<'_>, findings: &mut Findings) -> Model {
    Model {
        targets: each(
            fields,
            "targets",
            |part, findings| section(part, target, findings),
            findings,
        ),
        on_untranslatable: fields.single("on_untranslatable", on_untranslatable, findings),
        default_max_tokens: fields.single("default_max_tokens", tokens, findings),
        unpriced: fields.single("unpriced", unpriced, findings),
        unbounded_hold: fields.single("unbounded_hold", dollars, findings),
    }
}

fn on_untranslatable(scalar: &Scalar) -> Read<OnUntranslatable> {
    let known = OnUntranslatable::NAMES;
    let found = known.iter().find(|(name, _)| *name == scalar.text);
    found.map(|(_, meant)| *meant).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        Wrong {
            found: format!("{} is not a way to go on", scalar.shown()),
            fix: format!("write one of `{}`", names.join("`, `")),
        }
    })
}

pub(super) fn unpriced(scalar: &Scalar) -> Read<Unpriced> {
    match scalar.text.as_str() {
        "refuse" => Ok(Unpriced::Refuse),
        "estimate" => Ok(Unpriced::Estimate),
        "allow_and_alert" => Ok(Unpriced::AllowAndAlert),
        _ => Err(Wrong {
            found: format!("{} says nothing about unknown prices", scalar.shown()),
            fix: "write `refuse`, `estimate` or `allow_and_alert`".to_owned(),
        }),
    }
}

fn target(fields: &mut Section<'_>, findings: &mut Findings) -> Target {
    Target {
        provider: fields.single("provider", text, findings),
        model: fields.single("model", text, findings),
        context_window: fields.single("context_window", tokens, findings),
        max_output: fields.single("max_output", tokens, findings),
    }
}
