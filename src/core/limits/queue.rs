//! Whose turn it is among those who wait: the oldest of each key, and no key twice before every other had its turn.

use std::collections::BTreeMap;

use super::draw::Draw;
use crate::money::ids::Millis;
use crate::money::rates::RateId;

/// The name of a request that waits.
pub type Ticket = u32;

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its name.
    pub ticket: Ticket,
    /// Whose it is.
    pub key: String,
    /// What it needs.
    pub draws: Vec<Draw>,
    /// Since when.
    pub since: Millis,
    /// No longer than until then.
    pub until: Millis,
    /// Where it has a place among those who wait; none while it only waits for the budget service.
    pub place: Option<RateId>,
}

/// All who wait in one worker.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Vec<Waiting>,
    /// How often each key had its turn while others waited.
    turns: BTreeMap<String, u64>,
}

impl Queue {
    /// How many.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter()
    }

    /// Stands behind the others. A key that was not here begins where the others are, neither before nor behind.
    pub fn push(&mut self, waiting: Waiting) {
        if !self.turns.contains_key(&waiting.key) {
            let least = self.turns.values().min().copied().unwrap_or_default();
            self.turns.insert(waiting.key.clone(), least);
        }
        self.waiting.push(waiting);
    }

    /// Goes without its turn.
    pub fn leave(&mut self, ticket: Ticket) -> Option<Waiting> {
        let at = self.waiting.iter().position(|it| it.ticket == ticket)?;
        let gone = self.waiting.remove(at);
        self.forget_turns();
        Some(gone)
    }

    /// Takes all out in the order of their turns; who must wait on is put back by [`Queue::put_back`].
    pub fn by_turn(&mut self) -> Vec<Waiting> {
        let mut all = std::mem::take(&mut self.waiting);
        all.sort_by_key(|waiting| waiting.since);
        let mut turns = self.turns.clone();
        let mut ranked: Vec<(u64, Waiting)> = Vec::with_capacity(all.len());
        for waiting in all {
            let turn = turns.entry(waiting.key.clone()).or_default();
            ranked.push((*turn, waiting));
            *turn = turn.saturating_add(1);
        }
        ranked.sort_by_key(|(turn, _)| *turn);
        ranked.into_iter().map(|(_, waiting)| waiting).collect()
    }

    /// It was not its turn yet.
    pub fn put_back(&mut self, waiting: Waiting) {
        self.waiting.push(waiting);
    }

    /// It had its turn.
    pub fn had_turn(&mut self, key: &str) {
        if let Some(turns) = self.turns.get_mut(key) {
            *turns = turns.saturating_add(1);
        }
    }

    /// Keys of which nobody waits are strangers again.
    pub fn forget_turns(&mut self) {
        let Self { waiting, turns } = self;
        turns.retain(|key, _| waiting.iter().any(|it| it.key == *key));
    }
}
