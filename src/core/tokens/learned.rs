//! What replies teach about counting: how many tokens a vendor reports for each that we counted.
//!
//! Only where the vendor's own encoding is not public; there a factor from third parties is all there is to start with.

use std::collections::BTreeMap;

use crate::units::Tokens;

/// More models than this are not learned: their names come from the configuration, which may be large.
const MODELS_MAX: usize = 1_000;
/// A shorter prompt tells more of what a vendor adds to each than of its encoding.
const COUNTED_MIN: u64 = 100;
/// So many replies must have taught before they are believed.
const REPLIES_MIN: u64 = 8;
/// A reply moves the factor by one part of so many.
const MEMORY: u64 = 32;
/// What one reply may claim, in millionths of what was counted: beyond it lies a mistake, not an encoding.
const CLAIM: std::ops::RangeInclusive<u64> = 250_000..=4_000_000;

/// The factors of all models, by the name the provider knows them by.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    models: BTreeMap<String, Factor>,
}

/// What was learned of one model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Factor {
    millionths: u64,
    /// How many replies taught it.
    pub replies: u64,
}

impl Factor {
    /// Reported tokens for a thousand counted.
    pub fn thousandths(self) -> u64 {
        self.millionths.div_ceil(1_000)
    }

    fn learn(&mut self, claim: u64) {
        self.replies = self.replies.saturating_add(1);
        // The first replies weigh alike; then the old is forgotten little by little.
        let weight = self.replies.min(MEMORY);
        let kept = self.millionths.saturating_mul(weight.saturating_sub(1));
        let sum = kept.saturating_add(claim);
        self.millionths = sum.checked_div(weight).unwrap_or(claim);
    }
}

impl Learned {
    /// A reply: what the encoding alone had counted of the prompt's text, before any factor, and what was reported.
    pub fn learn(&mut self, model: &str, counted: Tokens, reported: Tokens) {
        let claim = reported.0.saturating_mul(1_000_000).checked_div(counted.0);
        let Some(claim) = claim.filter(|_| counted.0 >= COUNTED_MIN && reported.0 > 0) else {
            return;
        };
        let claim = claim.clamp(*CLAIM.start(), *CLAIM.end());
        if let Some(factor) = self.models.get_mut(model) {
            factor.learn(claim);
        } else if self.models.len() < MODELS_MAX {
            let mut factor = Factor::default();
            factor.learn(claim);
            self.models.insert(model.to_owned(), factor);
        }
    }

    /// The factor of a model that has taught enough to be believed.
    pub fn of(&self, model: &str) -> Option<Factor> {
        let believed = |factor: &&Factor| factor.replies >= REPLIES_MIN;
        self.models.get(model).filter(believed).copied()
    }

    /// All that was learned, believed or not.
    pub fn all(&self) -> impl Iterator<Item = (&str, Factor)> {
        self.models
            .iter()
            .map(|(model, factor)| (model.as_str(), *factor))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taught(replies: &[(u64, u64)]) -> Option<u64> {
        let mut learned = Learned::default();
        for (counted, reported) in replies {
            learned.learn("claude", Tokens(*counted), Tokens(*reported));
        }
        learned.of("claude").map(Factor::thousandths)
    }

    #[test]
    fn a_factor_comes_from_replies_and_follows_them() {
        let eight = |counted, reported| vec![(counted, reported); 8];
        let changed = [vec![(1_000, 1_180); 8], vec![(1_000, 1_500); 300]].concat();
        for (what, replies, want) in [
            ("too few", vec![(1_000, 1_180); 7], None),
            ("enough", eight(1_000, 1_180), Some(1_180)),
            ("short prompts", eight(99, 300), None),
            ("nothing reported", eight(1_000, 0), None),
            ("nothing counted", eight(0, 100), None),
            (
                "a claim beyond belief",
                eight(1_000, 1_000_000),
                Some(4_000),
            ),
            ("a claim below belief", eight(1_000, 1), Some(250)),
            ("another encoding since", changed, Some(1_500)),
        ] {
            assert_eq!(taught(&replies), want, "{what}");
        }
    }

    #[test]
    fn names_beyond_the_bound_are_not_kept() {
        let mut learned = Learned::default();
        for number in 0..2_000 {
            learned.learn(&format!("model-{number}"), Tokens(1_000), Tokens(1_000));
        }
        assert_eq!(learned.all().count(), MODELS_MAX);
    }

    proptest! {
        #[test]
        fn no_reply_moves_it_out_of_its_bounds(replies in prop::collection::vec(any::<(u64, u64)>(), 8..40)) {
            if let Some(thousandths) = taught(&replies) {
                prop_assert!((250..=4_000).contains(&thousandths));
            }
        }
    }
}
