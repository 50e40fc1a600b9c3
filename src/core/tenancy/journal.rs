//! What changed, and when: so that a filter that asks every second is answered at once when nothing did.

use std::collections::{BTreeMap, BTreeSet};

use super::hash::KeyHash;
use super::tenant::Level;

/// Older changes are forgotten: who asks for them forgets everything it knows instead.
const NOTES_MAX: usize = 4_096;
/// When more keys than these changed, it is cheaper to forget all and to ask for those that call.
const KEYS_MAX: usize = 1_000;

/// What a filter must do to be up to date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// It is then as new as this.
    pub revision: u64,
    /// What it should forget.
    pub keys: ChangedKeys,
    /// What holds for all changed, or may have.
    pub commons: bool,
}

/// Which keys changed, came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangedKeys {
    /// Perhaps all of them, and more than can be told.
    All,
    /// These: ask the directory for each.
    These(BTreeSet<KeyHash>),
}

impl Default for ChangedKeys {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

/// What one change touches.
#[derive(Clone, Debug)]
pub(super) enum Note {
    /// These keys.
    Keys(BTreeSet<KeyHash>),
    /// Whoever belongs to this tenant.
    Members((Level, String)),
    /// What holds for all.
    Commons,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    /// Nothing is known of changes up to here.
    begun: u64,
    revision: u64,
    notes: BTreeMap<u64, Vec<Note>>,
    count: usize,
}

impl Journal {
    pub(super) fn begun_at(revision: u64) -> Self {
        Self {
            begun: revision,
            revision,
            ..Self::default()
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn write(&mut self, revision: u64, note: Note) {
        self.revision = self.revision.max(revision);
        self.notes.entry(revision).or_default().push(note);
        self.count = self.count.saturating_add(1);
        while self.count > NOTES_MAX {
            let Some((oldest, notes)) = self.notes.pop_first() else {
                return;
            };
            self.begun = oldest;
            self.count = self.count.saturating_sub(notes.len());
        }
    }

    /// `members` adds the keys that belong to a tenant to a set, and may stop above a number of them.
    pub(super) fn changed(
        &self,
        since: u64,
        members: impl Fn(&(Level, String), &mut BTreeSet<KeyHash>, usize),
    ) -> Changed {
        let all = Changed {
            revision: self.revision,
            keys: ChangedKeys::All,
            commons: true,
        };
        // From the future: the store was put back to an earlier state.
        if since < self.begun || since > self.revision {
            return all;
        }
        let (mut keys, mut commons) = (BTreeSet::new(), false);
        let from = since.saturating_add(1);
        for note in self.notes.range(from..).flat_map(|(_, notes)| notes) {
            match note {
                Note::Keys(hashes) => keys.extend(hashes),
                Note::Members(name) => members(name, &mut keys, KEYS_MAX),
                Note::Commons => commons = true,
            }
            if keys.len() > KEYS_MAX {
                return all;
            }
        }
        Changed {
            revision: self.revision,
            keys: ChangedKeys::These(keys),
            commons,
        }
    }
}
