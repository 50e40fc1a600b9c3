//! A limit on money: how much, in which windows, and what happens on the way to it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::{OnDisconnect, Purse, Terms};
use crate::money::ids::{BudgetId, ScopeId};
use crate::money::ledger;
use crate::money::thresholds::{self, Action, STEPS, Step};
use crate::money::window::Period;
use crate::units::NanoUsd;

/// One limit of a scope. A scope may have several: by the day and by the month, hard and soft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Tells budgets of the same window apart; mostly empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What may be spent in a window.
    pub max: NanoUsd,
    /// How often it begins anew.
    pub window: Period,
    /// By whose wall clock, as the IANA calls it; a total's is UTC.
    pub time_zone: String,
    /// Whether it binds.
    pub mode: Mode,
    /// What happens at which share of it.
    pub steps: Vec<Step>,
    /// How far a window may run over, at the cost of the next one, in percent.
    pub overflow_percent: u32,
    /// What holds for who spends it.
    pub terms: Terms,
}

/// Whether a budget binds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nobody is served beyond it.
    #[default]
    Hard,
    /// It warns and makes cheaper models answer; it never refuses.
    Soft,
    /// It only says what it would have done.
    Audit,
}

/// A budget as the ledger needs it; the service knows the zone and makes a window of the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetSpec {
    /// The ledger's part.
    pub budget: ledger::Budget,
    /// How often it begins anew.
    pub period: Period,
    /// By whose wall clock.
    pub time_zone: String,
}

/// A scope with all its budgets, as the ledger needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeSpec {
    /// Its name as a number.
    pub id: ScopeId,
    /// Its name: `team:search`.
    pub name: String,
    /// None at all: what is wanted is granted.
    pub budgets: Vec<BudgetSpec>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            name: String::new(),
            max: NanoUsd::ZERO,
            window: Period::Total,
            time_zone: "UTC".to_owned(),
            mode: Mode::Hard,
            steps: STEPS.to_vec(),
            overflow_percent: 0,
            terms: Terms::default(),
        }
    }
}

impl Budget {
    /// Two budgets of a scope with the same place are one budget.
    pub fn place(&self) -> (Period, &str, &str) {
        (self.window, &self.time_zone, &self.name)
    }

    /// Whether somebody is refused because of it.
    fn binds(&self) -> bool {
        let refuses = |step: &Step| step.action == Action::Refuse;
        self.mode == Mode::Hard && self.steps.iter().any(refuses)
    }

    fn spec(&self, scope: &str) -> BudgetSpec {
        let soften = |step: &Step| match (self.mode, step.action) {
            (Mode::Soft, Action::Refuse) => Step {
                action: Action::Warn,
                ..*step
            },
            _ => *step,
        };
        BudgetSpec {
            budget: ledger::Budget {
                id: budget_id(scope, self),
                limit: self.max,
                overflow_percent: self.overflow_percent,
                mode: match self.mode {
                    Mode::Hard | Mode::Soft => thresholds::Mode::Enforce,
                    Mode::Audit => thresholds::Mode::Audit,
                },
                steps: self.steps.iter().map(soften).collect(),
            },
            period: self.window,
            time_zone: self.time_zone.clone(),
        }
    }
}

/// The id of a budget follows from its scope and its window, so that what was spent stays spent when its limit, its steps
/// or its mode change. Another window or another zone is another budget: there the spending begins anew.
pub fn budget_id(scope: &str, budget: &Budget) -> BudgetId {
    let period = match budget.window {
        Period::Day => "day",
        Period::Week => "week",
        Period::Month => "month",
        Period::Total => "total",
    };
    let (zone, name) = (&budget.time_zone, &budget.name);
    let name = format!("{scope}\n{period}\n{zone}\n{name}");
    let digest: [u8; 32] = Sha256::digest(name.as_bytes()).into();
    BudgetId(u64::from_le_bytes(
        digest.first_chunk().copied().unwrap_or_default(),
    ))
}

/// What the ledger must know of a scope.
pub(super) fn spec(scope: &str, budgets: &[Budget]) -> ScopeSpec {
    ScopeSpec {
        id: ScopeId::named(scope),
        name: scope.to_owned(),
        budgets: budgets.iter().map(|budget| budget.spec(scope)).collect(),
    }
}

/// What the filter must know of a scope; none where it has no budget.
pub(super) fn purse(scope: &str, budgets: &[Budget]) -> Option<Purse> {
    (!budgets.is_empty()).then(|| Purse {
        scope: ScopeId::named(scope),
        name: scope.to_owned(),
        terms: terms(budgets),
    })
}

/// The strictest of what the budgets say, for a request pays from all of them. Those that never refuse are not asked
/// where one does.
fn terms(budgets: &[Budget]) -> Terms {
    let hard = budgets.iter().any(Budget::binds);
    let asked = || budgets.iter().filter(|budget| budget.binds() == hard);
    let terms = || asked().map(|budget| &budget.terms);
    let default = Terms::default();
    let margin = |one: OnDisconnect| match one {
        OnDisconnect::SeenPlus(tokens) => (0, tokens),
        OnDisconnect::Reserved => (1, 0),
    };
    Terms {
        hard,
        debt: terms().map(|terms| terms.debt).min().unwrap_or_default(),
        wait_ms: terms().map(|terms| terms.wait_ms).min().unwrap_or_default(),
        // 402 tells a client not to come back, 429 that it may.
        refuse_with: terms()
            .map(|terms| terms.refuse_with)
            .min()
            .unwrap_or(default.refuse_with),
        downgrade_to: budgets
            .iter()
            .find_map(|budget| budget.terms.downgrade_to.clone()),
        on_disconnect: terms()
            .map(|terms| terms.on_disconnect)
            .max_by_key(|one| margin(*one))
            .unwrap_or_default(),
        records: budgets
            .iter()
            .map(|budget| budget.terms.records)
            .max()
            .unwrap_or_default(),
    }
}
