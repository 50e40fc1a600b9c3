//! Who may call and who pays: organisations, teams, users, keys, what holds for everyone, and what is switched off.
//!
//! The budget service keeps all of it in memory as a [`Directory`], changed by one [`Entity`] at a time, and asks it what
//! a key is, what the ledger must know of a scope, and what changed since a filter asked last. `gateway.yaml` and the
//! admin API write the same form; see [`crate::config::raw`].

mod budget;
mod common;
mod directory;
mod entity;
pub mod form;
mod hash;
mod journal;
mod plan;
mod resolve;
mod tenant;

pub use budget::{Budget, BudgetSpec, Mode, ScopeSpec, budget_id};
pub use common::{Common, CommonScope};
pub use directory::{Conflict, Directory, Touched};
pub use entity::{Entity, Kind, SwitchedOff, Unreadable};
pub use hash::KeyHash;
pub use journal::{Changed, ChangedKeys};
pub use plan::plan;
pub use tenant::{Level, Managed, Secret, Switch, Tenant};

#[cfg(test)]
mod tests;
