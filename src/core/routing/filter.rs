//! What keeps a candidate out: one line a reason, in the order in which they are told.

use crate::config::routing::WhenTooLong;
use crate::config::{Gateway, Switches};
use crate::health::Standing;

use super::{Ask, Candidate, Sky, Why};

/// All that a filter may look at.
pub struct Look<'a> {
    /// The configuration.
    pub config: &'a Gateway,
    /// What is switched off right now.
    pub off: &'a Switches,
    /// The request.
    pub ask: &'a Ask<'a>,
    /// The world.
    pub sky: &'a Sky<'a>,
    /// Only targets in these regions: each list must hold it.
    pub regions: &'a [&'a [String]],
}

/// Says why not, or nothing.
pub type Filter = fn(&Look<'_>, &Candidate<'_>) -> Option<Why>;

/// Every filter; tests walk it.
pub static FILTERS: &[(&str, Filter)] = &[
    ("switch", switched_off),
    ("condition", condition),
    ("region", region),
    ("capability", capability),
    ("context", context),
    ("output", output),
    ("room", room),
    ("health", health),
    ("latency", latency),
];

/// The first reason against a candidate.
pub fn against(look: &Look<'_>, candidate: &Candidate<'_>) -> Option<Why> {
    FILTERS
        .iter()
        .find_map(|(_, filter)| filter(look, candidate))
}

fn switched_off(look: &Look<'_>, candidate: &Candidate<'_>) -> Option<Why> {
    let off = look.off;
    if off.is_empty() {
        return None;
    }
    let listed = |list: &[String], name: &str| list.iter().any(|off| off == name);
    let model = look.config.models.get(candidate.model);
    let full_name = || format!("{}/{}", candidate.provider.name, candidate.of.model);
    (listed(&off.providers, &candidate.provider.name)
        || model.is_some_and(|model| listed(&off.models, &model.name))
        || !off.deployments.is_empty() && listed(&off.deployments, &full_name()))
    .then_some(Why::SwitchedOff)
}

fn condition(look: &Look<'_>, candidate: &Candidate<'_>) -> Option<Why> {
    let when = &candidate.of.traits.when;
    let name = &look.config.models.get(look.ask.model)?.name;
    (!when.is_empty() && !look.ask.fits(when, name)).then_some(Why::Condition)
}

fn region(look: &Look<'_>, candidate: &Candidate<'_>) -> Option<Why> {
    let here = &candidate.of.traits.region;
    let wished = &look.ask.wishes.regions;
    let fits = |list: &[String]| {
        list.is_empty() || list.iter().any(|region| super::ask::matches(region, here))
    };
    (!fits(wished) || !look.regions.iter().all(|list| fits(list))).then_some(Why::Region)
}

fn capability(look: &Look<'_>, candidate: &Candidate<'_>) -> Option<Why> {
    let can = candidate.of.capabilities.as_ref()?;
    let needs = look.ask.traits.needs.iter();
    needs
        .into_iter()
        .find(|need| !can.contains(&need.of_catalogue()))
        .map(|need| Why::Lacks(*need))
}

fn context(look: &Look<'_>, candidate: &Candidate<'_>) -> Option<Why> {
    let max = candidate.of.context_window?.0;
    let model = look.config.models.get(candidate.model)?;
    let too_long = look.ask.tokens().0 > max;
    (too_long && model.routing.when_too_long == WhenTooLong::Refuse).then_some(Why::ContextWindow)
}

fn output(look: &Look<'_>, candidate: &Candidate<'_>) -> Option<Why> {
    let max = candidate.of.max_output?;
    (look.ask.traits.output_max? > max.0).then_some(Why::OutputLimit)
}

fn room(look: &Look<'_>, candidate: &Candidate<'_>) -> Option<Why> {
    look.sky.full.get(&candidate.id).copied().map(Why::NoRoom)
}

fn health(_look: &Look<'_>, candidate: &Candidate<'_>) -> Option<Why> {
    match candidate.standing {
        Standing::Closed | Standing::Degraded | Standing::Due => None,
        Standing::Resting { for_ms } => Some(Why::Resting { for_ms }),
        Standing::Cooling { for_ms } => Some(Why::Cooling { for_ms }),
    }
}

/// Who was never timed may be quick enough.
fn latency(look: &Look<'_>, candidate: &Candidate<'_>) -> Option<Why> {
    let budget_us = look.ask.wishes.latency_ms?.saturating_mul(1_000);
    let (mean_us, _) = candidate.pace(look.ask)?;
    (mean_us > budget_us).then_some(Why::TooSlow)
}
