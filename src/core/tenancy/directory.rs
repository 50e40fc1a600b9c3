//! Everything that is known, by name, with the indexes that make a hundred thousand keys no matter.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::budget::{Budget, ScopeSpec, spec};
use super::common::{Common, CommonScope};
use super::entity::{Entity, SwitchedOff};
use super::hash::KeyHash;
use super::journal::{Changed, Journal, Note};
use super::resolve;
use super::tenant::{Level, Switch, Tenant};
use crate::config::{Commons, Key};
use crate::money::ids::ScopeId;

/// A tenant's name in all indexes.
type Name = (Level, String);

/// Who may call and who pays, as it is now.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    tenants: BTreeMap<Name, Tenant>,
    commons: BTreeMap<CommonScope, Common>,
    off: BTreeMap<Switch, SwitchedOff>,
    by_hash: BTreeMap<KeyHash, String>,
    /// Who names whom as its parent; also parents that nobody described.
    members: BTreeMap<Name, BTreeSet<Name>>,
    scopes: BTreeMap<ScopeId, String>,
    journal: Journal,
}

/// What a change touched beside itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// A scope whose budgets changed: ask [`Directory::scope`] for it. None of that id means that it is gone.
    pub scope: Option<ScopeId>,
}

/// Why a change would make the directory contradict itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Another key has the same hash.
    HashTaken {
        /// That key.
        by: String,
    },
    /// Another scope has the same id.
    ScopeTaken {
        /// That scope.
        by: String,
    },
}

impl fmt::Display for Conflict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HashTaken { by } => write!(out, "the key `{by}` has the same hash"),
            Self::ScopeTaken { by } => write!(out, "`{by}` has the same number: use another name"),
        }
    }
}

impl std::error::Error for Conflict {}

impl Directory {
    /// What a store kept. Who asks for changes since an earlier revision is told to forget everything.
    pub fn of(entities: impl IntoIterator<Item = Entity>, revision: u64) -> Result<Self, Conflict> {
        let mut directory = Self::default();
        for entity in entities {
            directory.apply(entity, revision)?;
        }
        directory.journal = Journal::begun_at(revision);
        Ok(directory)
    }

    /// Whether a change can be applied.
    pub fn check(&self, entity: &Entity) -> Result<(), Conflict> {
        let scope = match entity {
            Entity::Tenant(level, name, Some(tenant)) => {
                for secret in &tenant.secrets {
                    match self.by_hash.get(&secret.sha256) {
                        Some(by) if *level != Level::Key || by != name => {
                            return Err(Conflict::HashTaken { by: by.clone() });
                        }
                        Some(_) | None => {}
                    }
                }
                level.scope(name)
            }
            Entity::Common(scope, Some(_)) => scope.to_string(),
            Entity::Tenant(_, _, None) | Entity::Common(_, None) | Entity::Switch(..) => {
                return Ok(());
            }
        };
        match self.scopes.get(&ScopeId::named(&scope)) {
            Some(by) if *by != scope => Err(Conflict::ScopeTaken { by: by.clone() }),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes a change that the store has given this revision. One that conflicts changes nothing.
    pub fn apply(&mut self, entity: Entity, revision: u64) -> Result<Touched, Conflict> {
        self.check(&entity)?;
        let (touched, note) = match entity {
            Entity::Tenant(level, name, tenant) => self.tenant_is((level, name), tenant),
            Entity::Common(scope, common) => (self.common_is(scope, common), Note::Commons),
            Entity::Switch(switch, off) => {
                match off {
                    Some(off) => self.off.insert(switch, off),
                    None => self.off.remove(&switch),
                };
                (Touched::default(), Note::Commons)
            }
        };
        self.journal.write(revision, note);
        Ok(touched)
    }

    fn tenant_is(&mut self, name: Name, tenant: Option<Box<Tenant>>) -> (Touched, Note) {
        let before = self.tenants.remove(&name);
        let mut hashes = BTreeSet::new();
        for secret in before.iter().flat_map(|before| &before.secrets) {
            self.by_hash.remove(&secret.sha256);
            hashes.insert(secret.sha256);
        }
        for parent in before.iter().flat_map(Tenant::parents) {
            let parent = (parent.0, parent.1.to_owned());
            if let Some(members) = self.members.get_mut(&parent) {
                members.remove(&name);
                if members.is_empty() {
                    self.members.remove(&parent);
                }
            }
        }
        let tenant = tenant.map(|tenant| *tenant);
        for secret in tenant.iter().flat_map(|tenant| &tenant.secrets) {
            self.by_hash.insert(secret.sha256, name.1.clone());
            hashes.insert(secret.sha256);
        }
        for (level, parent) in tenant.iter().flat_map(Tenant::parents) {
            let members = self.members.entry((level, parent.to_owned()));
            members.or_default().insert(name.clone());
        }
        let budgets = |tenant: &Option<Tenant>| tenant.as_ref().map(|it| it.budgets.clone());
        let scope = name.0.scope(&name.1);
        let touched = self.scope_is(scope, budgets(&before).as_ref(), budgets(&tenant).as_ref());
        let note = match name.0 {
            Level::Key => Note::Keys(hashes),
            Level::Org | Level::Team | Level::User => Note::Members(name.clone()),
        };
        if let Some(tenant) = tenant {
            self.tenants.insert(name, tenant);
        }
        (touched, note)
    }

    fn common_is(&mut self, scope: CommonScope, common: Option<Common>) -> Touched {
        let name = scope.to_string();
        let after = common.as_ref().map(|common| common.budgets.clone());
        let before = match common {
            Some(common) => self.commons.insert(scope, common),
            None => self.commons.remove(&scope),
        };
        let before = before.map(|before| before.budgets);
        self.scope_is(name, before.as_ref(), after.as_ref())
    }

    fn scope_is(
        &mut self,
        scope: String,
        before: Option<&Vec<Budget>>,
        after: Option<&Vec<Budget>>,
    ) -> Touched {
        let id = ScopeId::named(&scope);
        let touched = Touched {
            scope: (before != after).then_some(id),
        };
        match after {
            Some(_) => self.scopes.insert(id, scope),
            None => self.scopes.remove(&id),
        };
        touched
    }

    /// The revision of the last change.
    pub fn revision(&self) -> u64 {
        self.journal.revision()
    }

    /// What the filter must know of the key with this hash, with all that follows from who it belongs to.
    pub fn key(&self, sha256: &KeyHash) -> Option<Key> {
        let name = self.by_hash.get(sha256)?;
        resolve::key(self, name, sha256)
    }

    /// Every key, as [`Directory::key`], sorted by hash.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        let resolved = |(hash, name): (&KeyHash, &String)| resolve::key(self, name, hash);
        self.by_hash.iter().filter_map(resolved)
    }

    /// What holds for every caller.
    pub fn commons(&self) -> Commons {
        resolve::commons(&self.commons, self.off.keys())
    }

    /// What the ledger must know of a scope; none where nobody described it.
    pub fn scope(&self, id: ScopeId) -> Option<ScopeSpec> {
        let name = self.scopes.get(&id)?;
        Some(spec(name, self.budgets(name)?))
    }

    /// Every scope that has a budget.
    pub fn scopes(&self) -> impl Iterator<Item = ScopeSpec> {
        self.scopes.values().filter_map(|name| {
            let budgets = self.budgets(name)?;
            (!budgets.is_empty()).then(|| spec(name, budgets))
        })
    }

    /// The name of a scope.
    pub fn scope_name(&self, id: ScopeId) -> Option<&str> {
        self.scopes.get(&id).map(String::as_str)
    }

    /// The budgets of a scope, by its name.
    pub fn budgets(&self, scope: &str) -> Option<&[Budget]> {
        if let Some(common) = CommonScope::read(scope) {
            return self.commons.get(&common).map(|it| it.budgets.as_slice());
        }
        let (level, name) = scope.split_once(':')?;
        let tenant = self.tenant(Level::read(level)?, name)?;
        Some(&tenant.budgets)
    }

    /// What changed after `since`, for a filter that knows everything until then.
    pub fn changed(&self, since: u64) -> Changed {
        self.journal.changed(since, |name, hashes, most| {
            self.hashes_below(name, hashes, most);
        })
    }

    /// Adds the hashes of all keys that belong to a tenant, directly or not; stops once there are more than `most`.
    fn hashes_below(&self, name: &Name, hashes: &mut BTreeSet<KeyHash>, most: usize) {
        let mut seen = BTreeSet::from([name]);
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            if hashes.len() > most {
                return;
            }
            let key = self.tenants.get(name);
            let secrets = key.iter().flat_map(|key| &key.secrets);
            hashes.extend(secrets.map(|secret| secret.sha256));
            let members = self.members.get(name).into_iter().flatten();
            open.extend(members.filter(|member| seen.insert(member)));
        }
    }

    /// One tenant.
    pub fn tenant(&self, level: Level, name: &str) -> Option<&Tenant> {
        self.tenants.get(&(level, name.to_owned()))
    }

    /// The tenants of a level after this name, in the order of their names.
    pub fn tenants(&self, level: Level, after: &str) -> impl Iterator<Item = (&str, &Tenant)> {
        self.tenants
            .range((level, after.to_owned())..)
            .filter(move |((_, name), _)| after.is_empty() || name != after)
            .take_while(move |((found, _), _)| *found == level)
            .map(|((_, name), tenant)| (name.as_str(), tenant))
    }

    /// Who names a tenant as its parent.
    pub fn members(&self, level: Level, name: &str) -> impl Iterator<Item = (Level, &str)> {
        let members = self.members.get(&(level, name.to_owned()));
        let members = members.into_iter().flatten();
        members.map(|(level, name)| (*level, name.as_str()))
    }

    /// What holds for everyone, for a model, for a tag.
    pub fn common(&self, scope: &CommonScope) -> Option<&Common> {
        self.commons.get(scope)
    }

    /// All of it.
    pub fn all_common(&self) -> impl Iterator<Item = (&CommonScope, &Common)> {
        self.commons.iter()
    }

    /// What is switched off, and why.
    pub fn switches(&self) -> impl Iterator<Item = (&Switch, &SwitchedOff)> {
        self.off.iter()
    }

    /// Everything, in a form that makes the same directory again.
    pub fn entities(&self) -> impl Iterator<Item = Entity> {
        let tenants = self.tenants.iter().map(|((level, name), tenant)| {
            Entity::Tenant(*level, name.clone(), Some(Box::new(tenant.clone())))
        });
        let commons = self.commons.iter();
        let commons = commons.map(|(scope, it)| Entity::Common(scope.clone(), Some(it.clone())));
        let off = self.off.iter();
        let off = off.map(|(switch, it)| Entity::Switch(switch.clone(), Some(it.clone())));
        tenants.chain(commons).chain(off)
    }
}
