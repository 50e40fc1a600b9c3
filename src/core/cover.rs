//! What is held for one request: on whose behalf, and how much.

use crate::config::{OnDisconnect, Purse, Records};
use crate::money::holder::{Hold, Part};
use crate::money::ids::ScopeId;
use crate::money::thresholds::Action;
use crate::money::wanted::{Payer, Standings, Wanted};
use crate::units::{MoneyOverflow, NanoUsd};

/// What is held for one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cover {
    /// On whose behalf; empty for a caller without budgets.
    pub purses: Vec<Purse>,
    /// From which leases.
    pub hold: Hold,
    /// How much, for each purse.
    pub held: NanoUsd,
    /// What it waited for.
    pub waited: Waited,
}

/// What of the budget service a request waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waited {
    /// For nothing.
    #[default]
    Nothing,
    /// To know whose key it is.
    Identity,
    /// For money.
    Money,
}

impl Waited {
    /// As metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Identity => "identity",
            Self::Money => "money",
        }
    }
}

impl Cover {
    /// The scopes that pay.
    pub fn scopes(&self) -> Vec<ScopeId> {
        self.purses.iter().map(|purse| purse.scope).collect()
    }

    /// Whether anybody insists on cover.
    pub fn is_hard(&self) -> bool {
        self.purses.iter().any(|purse| purse.terms.hard)
    }

    /// Whether anybody insists on a durable record before the reply.
    pub fn is_strict(&self) -> bool {
        self.purses
            .iter()
            .any(|purse| purse.terms.records == Records::Strict)
    }

    /// What is missing before an attempt that may cost `most` can leave, beside what those before have `spent`.
    pub fn missing(&self, spent: NanoUsd, most: NanoUsd) -> Result<Option<Wanted>, MoneyOverflow> {
        if self.purses.is_empty() {
            return Ok(None);
        }
        let need = spent.plus(most)?;
        Ok(need
            .minus(self.held)
            .ok()
            .filter(|missing| *missing > NanoUsd::ZERO)
            .map(|amount| Wanted {
                payers: self.purses.iter().map(payer).collect(),
                amount,
                wait_ms: self.wait_ms(),
            }))
    }

    /// It was held.
    pub fn add(&mut self, hold: Hold, amount: NanoUsd) {
        self.hold.join(hold);
        self.held = NanoUsd(self.held.0.saturating_add(amount.0));
    }

    /// Less is enough: what is to be released.
    pub fn shrink_to(&mut self, amount: NanoUsd) -> Vec<Part> {
        self.held = self.held.min(amount);
        self.hold.shrink_to(amount)
    }

    /// The most patient of them: the others lose nothing by it.
    fn wait_ms(&self) -> u64 {
        let waits = self.purses.iter().map(|purse| purse.terms.wait_ms);
        waits.max().unwrap_or_default()
    }

    /// What a stream costs whose caller left, by the strictest of them.
    pub fn on_disconnect(&self) -> OnDisconnect {
        let mut margin = None;
        for purse in &self.purses {
            match purse.terms.on_disconnect {
                OnDisconnect::Reserved => return OnDisconnect::Reserved,
                OnDisconnect::SeenPlus(tokens) => margin = margin.max(Some(tokens)),
            }
        }
        margin.map(OnDisconnect::SeenPlus).unwrap_or_default()
    }

    /// The purse of this scope.
    pub fn purse(&self, scope: ScopeId) -> Option<&Purse> {
        self.purses.iter().find(|purse| purse.scope == scope)
    }
}

fn payer(purse: &Purse) -> Payer {
    Payer {
        scope: purse.scope,
        debt: purse.terms.hard.then_some(purse.terms.debt),
    }
}

/// The model that answers in place of the one asked for, if a budget has come that far.
pub fn downgrade<'a>(purses: &'a [Purse], standings: &dyn Standings) -> Option<&'a str> {
    let far = |purse: &&Purse| {
        let standing = standings.of(purse.scope);
        standing.is_some_and(|standing| standing.action >= Action::Downgrade)
    };
    let mut models = purses.iter().filter(far);
    models.find_map(|purse| purse.terms.downgrade_to.as_deref())
}

/// `team:search 81%`: the budget that is nearest to its end, if it has come as far as a warning.
pub fn warning(purses: &[Purse], standings: &dyn Standings) -> Option<String> {
    let warned = purses.iter().filter_map(|purse| {
        let standing = standings.of(purse.scope)?;
        let percent = standing.percent()?;
        (standing.action >= Action::Warn).then_some((percent, purse))
    });
    let (percent, purse) = warned.max_by_key(|(percent, _)| *percent)?;
    Some(format!("{} {percent}%", purse.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Terms;
    use crate::money::holder::Standing;
    use crate::money::ids::Millis;
    use crate::money::wanted::NoStandings;

    #[derive(Debug)]
    struct At(u64, Action);

    impl Standings for At {
        fn of(&self, _: ScopeId) -> Option<Standing> {
            Some(Standing {
                action: self.1,
                spent: NanoUsd(self.0),
                limit: NanoUsd(1_000),
                resets_at: Millis(0),
                left: None,
            })
        }
    }

    fn purse(name: &str, terms: Terms) -> Purse {
        Purse {
            scope: ScopeId::named(name),
            name: name.to_owned(),
            terms,
        }
    }

    #[test]
    fn what_failed_attempts_cost_is_held_beside_the_next() {
        let mut cover = Cover {
            purses: vec![purse("team:a", Terms::default())],
            ..Cover::default()
        };
        let missing = |cover: &Cover, spent, most| {
            let wanted = cover.missing(NanoUsd(spent), NanoUsd(most)).unwrap();
            wanted.map_or(0, |wanted| wanted.amount.0)
        };
        assert_eq!(missing(&cover, 0, 100), 100);
        cover.add(Hold::default(), NanoUsd(100));
        assert_eq!(missing(&cover, 0, 100), 0, "it is held");
        assert_eq!(missing(&cover, 0, 150), 50, "a dearer one");
        assert_eq!(missing(&cover, 30, 100), 30);
        assert!(cover.missing(NanoUsd(1), NanoUsd(u64::MAX)).is_err());
        cover.purses.clear();
        assert_eq!(missing(&cover, 0, 100), 0, "nobody pays");
    }

    #[test]
    fn the_strictest_purse_says_what_a_departure_costs() {
        let seen = OnDisconnect::SeenPlus;
        for (terms, want) in [
            (vec![], seen(32)),
            (vec![seen(5)], seen(5)),
            (vec![seen(5), seen(64)], seen(64)),
            (
                vec![seen(5), OnDisconnect::Reserved],
                OnDisconnect::Reserved,
            ),
        ] {
            let purses = terms.iter().map(|on_disconnect| {
                let terms = Terms {
                    on_disconnect: *on_disconnect,
                    ..Terms::default()
                };
                purse("team:a", terms)
            });
            let cover = Cover {
                purses: purses.collect(),
                ..Cover::default()
            };
            assert_eq!(cover.on_disconnect(), want, "{terms:?}");
        }
    }

    #[test]
    fn warnings_and_downgrades_follow_the_steps() {
        let terms = Terms {
            downgrade_to: Some("small".to_owned()),
            ..Terms::default()
        };
        let purses = [purse("team:a", terms)];
        for (standing, downgraded, warned) in [
            (At(500, Action::Log), None, None),
            (At(755, Action::Warn), None, Some("team:a 75%")),
            (
                At(905, Action::Downgrade),
                Some("small"),
                Some("team:a 90%"),
            ),
            (
                At(1_000, Action::Refuse),
                Some("small"),
                Some("team:a 100%"),
            ),
        ] {
            assert_eq!(downgrade(&purses, &standing), downgraded);
            assert_eq!(warning(&purses, &standing).as_deref(), warned);
        }
        assert_eq!(downgrade(&purses, &NoStandings), None);
    }
}
