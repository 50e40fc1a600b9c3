//! Policies: what the operator wants done with requests of some kind.

use super::Ask;
use crate::config::Gateway;
use crate::config::routing::Strategy;

/// What all policies together say of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruling<'a> {
    /// Positions of those that fit, in order.
    pub fitting: Vec<usize>,
    /// The model that answers.
    pub model: Option<usize>,
    /// The strategy that decides.
    pub strategy: Option<Strategy>,
    /// The regions it must stay in: each list holds some.
    pub regions: Vec<&'a [String]>,
    /// Nobody answers.
    pub deny: Option<&'a str>,
}

/// All policies that fit are obeyed; where two say different things, the first is.
pub fn ruling<'a>(config: &'a Gateway, ask: &Ask<'_>) -> Ruling<'a> {
    let mut ruling = Ruling::default();
    let name = config.models.get(ask.model).map_or("", |model| &model.name);
    for (position, policy) in config.policies.iter().enumerate() {
        if !ask.fits(&policy.when, name) {
            continue;
        }
        ruling.fitting.push(position);
        ruling.model = ruling.model.or(policy.use_model);
        ruling.strategy = ruling.strategy.or(policy.strategy);
        ruling.deny = ruling.deny.or(policy.deny.as_deref());
        if let Some(regions) = &policy.regions {
            ruling.regions.push(regions);
        }
    }
    ruling
}
