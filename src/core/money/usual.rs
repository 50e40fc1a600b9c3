//! How long answers usually are, by key and model, as far as this worker has seen. It sizes what soft budgets hold; hard
//! ones hold the worst case, whatever is usual.

use std::collections::BTreeMap;

use crate::units::Tokens;

/// More keys than these are not remembered; then the memory of them begins anew.
const KEYS_MAX: usize = 10_000;
/// More models than these are not remembered of a key.
const MODELS_MAX: usize = 100;
/// So many answers must have come before they are believed.
const ANSWERS_MIN: u64 = 8;
/// An answer moves what is usual by one part of so many.
const MEMORY: u64 = 16;

/// What was seen of all keys.
#[derive(Clone, Debug, Default)]
pub struct Usual {
    keys: BTreeMap<String, BTreeMap<usize, Length>>,
}

/// In thousandths of a token.
#[derive(Clone, Copy, Debug, Default)]
struct Length {
    mean: u64,
    spread: u64,
    answers: u64,
}

impl Usual {
    /// A key got an answer of a model, by its position.
    pub fn learn(&mut self, key: &str, model: usize, answer: Tokens) {
        if !self.keys.contains_key(key) {
            if self.keys.len() >= KEYS_MAX {
                self.keys.clear();
            }
            self.keys.insert(key.to_owned(), BTreeMap::new());
        }
        let Some(models) = self.keys.get_mut(key) else {
            return;
        };
        if models.len() < MODELS_MAX || models.contains_key(&model) {
            models.entry(model).or_default().learn(answer);
        }
    }

    /// What an answer seldom exceeds: the usual length and twice the usual distance from it.
    pub fn answer(&self, key: &str, model: usize) -> Option<Tokens> {
        let length = self.keys.get(key)?.get(&model)?;
        let most = length.mean.saturating_add(length.spread.saturating_mul(2));
        (length.answers >= ANSWERS_MIN).then(|| Tokens(most.div_ceil(1_000)))
    }
}

impl Length {
    fn learn(&mut self, answer: Tokens) {
        self.answers = self.answers.saturating_add(1);
        // The first answers weigh alike; then the old is forgotten little by little.
        let weight = self.answers.min(MEMORY);
        let moved = |old: u64, new: u64| {
            let kept = old.saturating_mul(weight.saturating_sub(1));
            let sum = kept.saturating_add(new);
            sum.checked_div(weight).unwrap_or(new)
        };
        let length = answer.0.saturating_mul(1_000);
        let distance = length.abs_diff(self.mean);
        let spread = if self.answers == 1 { 0 } else { distance };
        self.spread = moved(self.spread, spread);
        self.mean = moved(self.mean, length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual(answers: &[u64]) -> Option<u64> {
        let mut usual = Usual::default();
        for answer in answers {
            usual.learn("one", 3, Tokens(*answer));
        }
        assert_eq!(usual.answer("one", 4), None);
        assert_eq!(usual.answer("two", 3), None);
        usual.answer("one", 3).map(|tokens| tokens.0)
    }

    #[test]
    fn what_is_usual_is_known_after_some_answers_and_follows_them() {
        let changed = [vec![100; 20], vec![1_000; 200]].concat();
        let mixed: Vec<u64> = (0..200).map(|number| 50 + number % 2 * 100).collect();
        for (what, answers, want) in [
            ("too few", vec![100; 7], None),
            ("enough", vec![100; 8], Some(100..=100)),
            ("longer since", changed, Some(990..=1_010)),
            ("short and long", mixed, Some(180..=230)),
            ("absurd", vec![u64::MAX; 8], Some(1..=u64::MAX)),
        ] {
            let got = usual(&answers);
            let fits = match (got, &want) {
                (Some(got), Some(want)) => want.contains(&got),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            assert!(fits, "{what}: {got:?}, not {want:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut usual = Usual::default();
        for number in 0..2 * KEYS_MAX {
            usual.learn(&format!("key-{number}"), number, Tokens(1));
        }
        assert!(usual.keys.len() <= KEYS_MAX);
        for model in 0..1_000 {
            usual.learn("one", model, Tokens(1));
        }
        assert_eq!(usual.keys["one"].len(), MODELS_MAX);
    }
}
