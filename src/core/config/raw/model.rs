//! `models`: the names that callers use, and who answers to them.

use super::super::node::Scalar;
use super::super::reader::{Findings, Given, Section, section, single};
use super::super::scalar::{Read, Wrong, count, dollars, text, tokens, whole};
use super::each;
use super::routing::{
    Balance, Schedule, When, balance, capabilities, on_untranslatable, percent, schedules, sticky,
    strategy, when, when_too_long,
};
use crate::config::routing::{Capability, OnUntranslatable, Sticky, Strategy, WhenTooLong};
use crate::units::{NanoUsd, Tokens};

/// An entry of `models`
#[derive(Clone, Debug)]
pub struct Model {
    /// `targets`
    pub targets: Given<Vec<Given<Target>>>,
    /// `on_untranslatable`
    pub on_untranslatable: Given<OnUntranslatable>,
    /// `strategy`
    pub strategy: Given<Strategy>,
    /// `sticky`
    pub sticky: Given<Sticky>,
    /// `experiment`
    pub experiment: Given<String>,
    /// `expected_output`, in tokens.
    pub expected_output: Given<Tokens>,
    /// `explore`, in percent.
    pub explore: Given<u32>,
    /// `balance`
    pub balance: Given<Balance>,
    /// `schedules`
    pub schedules: Given<Vec<Given<Schedule>>>,
    /// `time_zone`
    pub time_zone: Given<String>,
    /// `num_retries`
    pub num_retries: Given<usize>,
    /// `when_too_long`
    pub when_too_long: Given<WhenTooLong>,
    /// `fallbacks`
    pub fallbacks: Given<Vec<Given<String>>>,
    /// `context_window_fallbacks`
    pub context_window_fallbacks: Given<Vec<Given<String>>>,
    /// `content_policy_fallbacks`
    pub content_policy_fallbacks: Given<Vec<Given<String>>>,
    /// `last_resort`
    pub last_resort: Given<String>,
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
    /// `weight`
    pub weight: Given<usize>,
    /// `region`
    pub region: Given<String>,
    /// `capabilities`
    pub capabilities: Given<Vec<Given<Capability>>>,
    /// `when`
    pub when: Given<When>,
    /// `context_window`
    pub context_window: Given<Tokens>,
    /// `max_output`
    pub max_output: Given<Tokens>,
    /// `rpm_limit`
    pub rpm_limit: Given<u64>,
    /// `tpm_limit`
    pub tpm_limit: Given<u64>,
    /// `max_parallel_requests`
    pub max_parallel_requests: Given<u64>,
    /// `max_daily_budget`
    pub max_daily_budget: Given<NanoUsd>,
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
        strategy: fields.single("strategy", strategy, findings),
        sticky: fields.single("sticky", sticky, findings),
        experiment: fields.single("experiment", text, findings),
        expected_output: fields.single("expected_output", tokens, findings),
        explore: fields.single("explore", percent, findings),
        balance: fields.section("balance", balance, findings),
        schedules: schedules(fields, findings),
        time_zone: fields.single("time_zone", text, findings),
        num_retries: fields.single("num_retries", count, findings),
        when_too_long: fields.single("when_too_long", when_too_long, findings),
        fallbacks: models(fields, "fallbacks", findings),
        context_window_fallbacks: models(fields, "context_window_fallbacks", findings),
        content_policy_fallbacks: models(fields, "content_policy_fallbacks", findings),
        last_resort: fields.single("last_resort", text, findings),
        default_max_tokens: fields.single("default_max_tokens", tokens, findings),
        unpriced: fields.single("unpriced", unpriced, findings),
        unbounded_hold: fields.single("unbounded_hold", dollars, findings),
    }
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

fn models(
    fields: &mut Section<'_>,
    name: &'static str,
    findings: &mut Findings,
) -> Given<Vec<Given<String>>> {
    each(
        fields,
        name,
        |part, findings| single(&part, text, findings),
        findings,
    )
}

fn target(fields: &mut Section<'_>, findings: &mut Findings) -> Target {
    Target {
        provider: fields.single("provider", text, findings),
        model: fields.single("model", text, findings),
        weight: fields.single("weight", count, findings),
        region: fields.single("region", text, findings),
        capabilities: capabilities(fields, "capabilities", findings),
        when: fields.section("when", when, findings),
        context_window: fields.single("context_window", tokens, findings),
        max_output: fields.single("max_output", tokens, findings),
        rpm_limit: fields.single("rpm_limit", whole, findings),
        tpm_limit: fields.single("tpm_limit", whole, findings),
        max_parallel_requests: fields.single("max_parallel_requests", whole, findings),
        max_daily_budget: fields.single("max_daily_budget", dollars, findings),
    }
}
