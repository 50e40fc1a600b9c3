//! Who is known to call: the keys of the configuration, or those that the budget service told of.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::auth::KeyHash;
use crate::config::{Gateway, Key};
use crate::metrics::{Labels, Who};
use crate::units::Timestamp;

/// A key that nobody knows is not asked about again for so long.
const UNKNOWN_MS: u64 = 5_000;
/// After the service could not be reached it is not asked about the same key for so long.
const AWAY_MS: u64 = 500;
/// Strangers' keys are remembered up to this many; then the memory of them begins anew.
const STRANGERS_MAX: usize = 10_000;
/// Callers are remembered up to this many; then all are asked about again.
const CALLERS_MAX: usize = 100_000;

/// Somebody who may call.
#[derive(Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who it is.
    pub key: Key,
    /// Under which labels it is counted.
    pub who: Who,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This.
    Known(Rc<Caller>),
    /// There is no such key.
    Unknown,
    /// The budget service must be asked; then look again.
    Ask,
    /// It was asked, and could not be reached.
    Away,
}

/// Everybody one worker knows.
#[derive(Debug)]
pub struct Callers {
    config: Rc<Gateway>,
    labels: Labels,
    known: BTreeMap<KeyHash, Rc<Caller>>,
    strangers: BTreeMap<KeyHash, Stranger>,
    /// When the budget service was last heard: what was known then still held.
    heard_at: Timestamp,
}

#[derive(Clone, Copy, Debug)]
enum Stranger {
    Unknown { since: Timestamp },
    Away { since: Timestamp },
}

impl Callers {
    /// Those of a configuration.
    pub fn new(config: Rc<Gateway>) -> Self {
        Self {
            labels: Labels::of(&config),
            config,
            known: BTreeMap::new(),
            strangers: BTreeMap::new(),
            heard_at: Timestamp(0),
        }
    }

    /// The labels under which callers are counted.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// What is known of the key with this hash.
    pub fn find(&mut self, hash: &KeyHash, now: Timestamp) -> Found {
        let kept_ms = match &self.config.budget_service {
            None => {
                return self
                    .of_configuration(hash)
                    .map_or(Found::Unknown, Found::Known);
            }
            Some(service) => service.keys_kept_ms,
        };
        if let Some(caller) = self.known.get(hash)
            && now.millis_since(self.heard_at) <= kept_ms
        {
            return Found::Known(Rc::clone(caller));
        }
        match self.strangers.get(hash) {
            Some(Stranger::Unknown { since }) if now.millis_since(*since) < UNKNOWN_MS => {
                Found::Unknown
            }
            Some(Stranger::Away { since }) if now.millis_since(*since) < AWAY_MS => {
                self.while_away(hash)
            }
            Some(_) | None => Found::Ask,
        }
    }

    /// The budget service says who it is, or that there is no such key.
    pub fn learn(&mut self, hash: KeyHash, key: Option<Key>, now: Timestamp) {
        match key {
            Some(key) => {
                self.strangers.remove(&hash);
                if self.known.len() >= CALLERS_MAX {
                    self.known.clear();
                }
                let caller = self.caller(key);
                self.known.insert(hash, caller);
            }
            None => {
                self.known.remove(&hash);
                self.remember(hash, Stranger::Unknown { since: now });
            }
        }
        self.heard_at = self.heard_at.max(now);
    }

    /// The budget service could not be asked about this key.
    pub fn away(&mut self, hash: KeyHash, now: Timestamp) {
        self.remember(hash, Stranger::Away { since: now });
    }

    /// The budget service has nothing new to say: what is known still holds.
    pub fn heard(&mut self, now: Timestamp) {
        self.heard_at = self.heard_at.max(now);
    }

    /// A key changed, or is gone. One that nobody used here is not kept.
    pub fn changed(&mut self, hash: KeyHash, key: Option<Key>, now: Timestamp) {
        self.strangers.remove(&hash);
        if self.known.contains_key(&hash) {
            self.learn(hash, key, now);
        }
    }

    /// Too much changed to be told: everybody is asked about again.
    pub fn forget(&mut self) {
        self.known.clear();
        self.strangers.clear();
    }

    fn remember(&mut self, hash: KeyHash, stranger: Stranger) {
        if self.strangers.len() >= STRANGERS_MAX {
            self.strangers.clear();
        }
        self.strangers.insert(hash, stranger);
    }

    /// Who was known for too long is known no more; but what the configuration says of a key holds while nobody says
    /// otherwise, and who was disabled since is not let in again because nobody can be asked.
    fn while_away(&mut self, hash: &KeyHash) -> Found {
        let known = self.known.get(hash);
        let goes =
            known.is_some_and(|caller| caller.key.disabled) || self.configured(hash).is_some();
        let caller = goes.then(|| self.of_configuration(hash)).flatten();
        caller.map_or(Found::Away, Found::Known)
    }

    fn of_configuration(&mut self, hash: &KeyHash) -> Option<Rc<Caller>> {
        if let Some(caller) = self.known.get(hash) {
            return Some(Rc::clone(caller));
        }
        let key = self.configured(hash)?.clone();
        let caller = self.caller(key);
        self.known.insert(*hash, Rc::clone(&caller));
        Some(caller)
    }

    fn configured(&self, hash: &KeyHash) -> Option<&Key> {
        let keys = &self.config.keys;
        let found = keys.binary_search_by(|key| key.sha256.as_bytes().cmp(hash));
        found.ok().and_then(|at| keys.get(at))
    }

    fn caller(&mut self, key: Key) -> Rc<Caller> {
        let who = self.labels.who(&key);
        Rc::new(Caller { key, who })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth;
    use crate::config::BudgetService;
    use crate::testing::{at, config};

    fn callers() -> Callers {
        let mut config = config();
        config.budget_service = Some(BudgetService {
            cluster: String::new(),
            authority: String::new(),
            keys_kept_ms: 60_000,
        });
        Callers::new(Rc::new(config))
    }

    fn key(name: &str) -> Option<Key> {
        Some(Key {
            name: name.to_owned(),
            ..Key::default()
        })
    }

    fn told(found: Found) -> String {
        match found {
            Found::Known(caller) => caller.key.name.clone(),
            Found::Unknown => "unknown".to_owned(),
            Found::Ask => "ask".to_owned(),
            Found::Away => "away".to_owned(),
        }
    }

    #[test]
    fn without_a_budget_service_only_the_configuration_is_asked() {
        let mut callers = Callers::new(Rc::new(config()));
        for (secret, want) in [("sk-tg-all", "sk-tg-all"), ("sk-tg-other", "unknown")] {
            let hash = auth::hash(secret.as_bytes());
            for moment in [0, 1_000_000] {
                assert_eq!(told(callers.find(&hash, at(moment))), want);
            }
        }
    }

    #[test]
    fn a_key_is_asked_about_once_and_known_until_something_is_said() {
        let mut callers = callers();
        let hash = auth::hash(b"sk-tg-new");
        assert_eq!(told(callers.find(&hash, at(0))), "ask");
        callers.learn(hash, key("new"), at(1));
        assert_eq!(told(callers.find(&hash, at(60_000))), "new");
        callers.heard(at(60_000));
        assert_eq!(told(callers.find(&hash, at(120_000))), "new");
        // Nobody heard the service for longer than keys are kept.
        assert_eq!(told(callers.find(&hash, at(120_001))), "ask");
        callers.away(hash, at(120_001));
        assert_eq!(told(callers.find(&hash, at(120_002))), "away");
        callers.changed(hash, key("renamed"), at(120_003));
        assert_eq!(told(callers.find(&hash, at(120_004))), "renamed");
        callers.changed(hash, None, at(120_005));
        assert_eq!(told(callers.find(&hash, at(120_006))), "unknown");
        callers.forget();
        assert_eq!(told(callers.find(&hash, at(120_007))), "ask");
    }

    #[test]
    fn a_stranger_is_asked_about_again_after_a_while() {
        let mut callers = callers();
        let hash = auth::hash(b"sk-tg-strange");
        callers.learn(hash, None, at(0));
        assert_eq!(told(callers.find(&hash, at(UNKNOWN_MS - 1))), "unknown");
        assert_eq!(told(callers.find(&hash, at(UNKNOWN_MS))), "ask");
    }

    #[test]
    fn without_the_service_strangers_are_not_called_unknown_and_keys_of_the_file_go_on() {
        let mut callers = callers();
        for (secret, want) in [("sk-tg-all", "sk-tg-all"), ("sk-tg-strange", "away")] {
            let hash = auth::hash(secret.as_bytes());
            callers.away(hash, at(0));
            assert_eq!(told(callers.find(&hash, at(AWAY_MS - 1))), want);
        }
    }

    #[test]
    fn who_was_disabled_stays_out_while_nobody_can_be_asked() {
        let mut callers = callers();
        let hash = auth::hash(b"sk-tg-all");
        let disabled = Key {
            disabled: true,
            ..key("off").unwrap()
        };
        callers.learn(hash, Some(disabled), at(0));
        callers.away(hash, at(60_001));
        assert_eq!(told(callers.find(&hash, at(60_002))), "off");
    }

    #[test]
    fn the_memory_of_strangers_is_bounded() {
        let mut callers = callers();
        for number in 0..=STRANGERS_MAX {
            let hash = auth::hash(number.to_string().as_bytes());
            callers.learn(hash, None, at(0));
        }
        assert_eq!(callers.strangers.len(), 1);
    }
}
