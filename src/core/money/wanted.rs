//! Wishes for money, and what became of them.

use super::holder::Standing;
use super::ids::ScopeId;
use crate::units::NanoUsd;

/// Money that must be held before a request, or an attempt of it, may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// From each of these.
    pub payers: Vec<Payer>,
    /// This much, whole.
    pub amount: NanoUsd,
    /// How long to wait for it where money is tight, in milliseconds.
    pub wait_ms: u64,
}

/// Who pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payer {
    /// Whose budget.
    pub scope: ScopeId,
    /// What this process may owe it while the budget service is away; none for a soft one, which nobody is refused for.
    pub debt: Option<NanoUsd>,
}

impl Wanted {
    /// Whose budgets pay.
    pub fn scopes(&self) -> Vec<ScopeId> {
        self.payers.iter().map(|payer| payer.scope).collect()
    }
}

/// Why there is no money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncovered {
    /// The budget of this scope does not cover it.
    Exhausted {
        /// Whose budget.
        scope: ScopeId,
        /// How it stands.
        standing: Standing,
    },
    /// The budget service could not be asked, and nothing is left here.
    Unreachable {
        /// Whose budget.
        scope: ScopeId,
    },
}

/// How the budgets of a request stood when they were last seen.
pub trait Standings: std::fmt::Debug {
    /// None where nothing is known yet.
    fn of(&self, scope: ScopeId) -> Option<Standing>;
}

/// Nothing is known of any budget.
#[derive(Debug)]
pub struct NoStandings;

impl Standings for NoStandings {
    fn of(&self, _: ScopeId) -> Option<Standing> {
        None
    }
}
