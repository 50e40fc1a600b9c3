//! Requests that stay with one target: the same seed has the same order of all targets, whatever else happens, so that
//! the trouble of one target moves only those who were with it.

use crate::config::Target;
use crate::config::routing::Sticky;
use crate::routing::{Ask, random, traits};

/// What a request has in common with those it belongs to; none where it belongs to nobody.
pub fn seed(sticky: Sticky, ask: &Ask<'_>, experiment: &str) -> Option<u64> {
    let key = || ask.caller.name.as_str();
    let user = ask.traits.user.as_deref().unwrap_or(&ask.caller.user);
    let text = match sticky {
        Sticky::Nobody => return None,
        Sticky::Key => key(),
        Sticky::User if user.is_empty() => key(),
        Sticky::User => user,
        Sticky::Conversation => {
            // Two callers who begin alike share no cache that belongs to one of them.
            let of_caller = random::of_text(ask.caller.team.as_bytes());
            return Some(random::mix(traits::beginning(ask.body) ^ of_caller));
        }
    };
    // The users of one experiment are not those of the next.
    Some(random::of_text(text.as_bytes()) ^ random::of_text(experiment.as_bytes()))
}

/// All targets in the order of this seed: as often first as their weights say, and a target whose weight only grows
/// keeps those it had.
pub fn order(seed: u64, targets: &[Target]) -> Vec<usize> {
    let mut left: Vec<(usize, u64)> = targets
        .iter()
        .enumerate()
        .map(|(position, target)| (position, u64::from(target.traits.weight)))
        .collect();
    let mut order = Vec::with_capacity(left.len());
    let mut seed = seed;
    while !left.is_empty() {
        let total: u64 = left
            .iter()
            .fold(0, |sum, (_, weight)| sum.saturating_add(*weight));
        let mut drawn = random::below(seed, total);
        let found = left.iter().position(|(_, weight)| {
            let here = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            here
        });
        let (target, _) = left.remove(found.unwrap_or(0));
        order.push(target);
        seed = random::mix(seed);
    }
    order
}
