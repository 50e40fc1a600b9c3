//! The steps on the way to a limit: what happens at 50, 75, 80, 90 and 100 percent of a budget.

use serde::{Deserialize, Serialize};

use crate::units::{MoneyOverflow, NanoUsd};

/// What a step asks for, from the mildest to the strictest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing yet.
    #[default]
    None,
    /// A line in the log.
    Log,
    /// A header for the client, and an alert.
    Warn,
    /// A cheaper model answers.
    Downgrade,
    /// Nobody answers.
    Refuse,
}

impl Action {
    const ALL: [Self; 5] = [
        Self::None,
        Self::Log,
        Self::Warn,
        Self::Downgrade,
        Self::Refuse,
    ];

    /// As it is written in rows and messages.
    pub fn number(self) -> u64 {
        let at = Self::ALL.iter().position(|action| *action == self);
        at.and_then(|at| u64::try_from(at).ok()).unwrap_or_default()
    }

    /// The action of this number.
    pub fn numbered(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// From this share of the limit on, this happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Percent of the limit.
    pub percent: u32,
    /// What happens.
    pub action: Action,
}

/// The steps of a budget that says nothing about them.
pub const STEPS: [Step; 5] = [
    Step {
        percent: 50,
        action: Action::Log,
    },
    Step {
        percent: 75,
        action: Action::Warn,
    },
    Step {
        percent: 80,
        action: Action::Warn,
    },
    Step {
        percent: 90,
        action: Action::Downgrade,
    },
    Step {
        percent: 100,
        action: Action::Refuse,
    },
];

/// Whether a limit binds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It only says what it would have done.
    Audit,
}

/// The lines that spending is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    /// The limit as configured.
    pub limit: NanoUsd,
    /// What may be spent in this window, see [`allowance`].
    pub allowance: NanoUsd,
}

/// Where grants end: at the lowest step that refuses. None if no step does, or if the budget only watches.
pub fn bound(steps: &[Step], mode: Mode, allowance: NanoUsd) -> Option<NanoUsd> {
    if mode == Mode::Audit {
        return None;
    }
    let refusing = steps.iter().filter(|step| step.action == Action::Refuse);
    let percent = refusing.map(|step| step.percent).min()?;
    let bound = u128::from(allowance.0).saturating_mul(u128::from(percent)) / 100;
    Some(NanoUsd(u64::try_from(bound).unwrap_or(u64::MAX)))
}

/// The strictest action whose step is reached.
pub fn standing(steps: &[Step], spent: NanoUsd, lines: Lines) -> Action {
    let reached = steps.iter().filter(|step| is_reached(step, spent, lines));
    reached.map(|step| step.action).max().unwrap_or_default()
}

/// The steps that are reached now and were not announced in this window: those above `announced` percent.
pub fn newly_passed(steps: &[Step], announced: u32, spent: NanoUsd, lines: Lines) -> Vec<Step> {
    let is_new = |step: &&Step| step.percent > announced && is_reached(step, spent, lines);
    let mut passed: Vec<Step> = steps.iter().filter(is_new).copied().collect();
    passed.sort_by_key(|step| step.percent);
    passed
}

fn is_reached(step: &Step, spent: NanoUsd, lines: Lines) -> bool {
    // An overflow moves the line of refusal, not the warnings before it.
    let whole = if step.action == Action::Refuse {
        lines.allowance
    } else {
        lines.limit
    };
    let spent = u128::from(spent.0).saturating_mul(100);
    spent >= u128::from(whole.0).saturating_mul(u128::from(step.percent))
}

/// What may be spent in a window: the limit, more by the allowed overflow, less by what the window before ran over.
/// A window that runs over therefore takes from the next one, and never more than the overflow of one window is out.
pub fn allowance(
    limit: NanoUsd,
    overflow_percent: u32,
    carried: NanoUsd,
) -> Result<NanoUsd, MoneyOverflow> {
    let overflow = u128::from(limit.0).saturating_mul(u128::from(overflow_percent)) / 100;
    let overflow = u64::try_from(overflow).map_err(|_| MoneyOverflow)?;
    let most = limit.plus(NanoUsd(overflow))?;
    Ok(NanoUsd(most.0.saturating_sub(carried.0)))
}

/// What a window takes from the next: how far its use, with what it inherited itself, is above the limit.
pub fn carry(limit: NanoUsd, inherited: NanoUsd, used: NanoUsd) -> Result<NanoUsd, MoneyOverflow> {
    let used = used.plus(inherited)?;
    Ok(NanoUsd(used.0.saturating_sub(limit.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(limit: u64, allowance: u64) -> Lines {
        Lines {
            limit: NanoUsd(limit),
            allowance: NanoUsd(allowance),
        }
    }

    #[test]
    fn grants_end_at_the_lowest_step_that_refuses() {
        let refuse = |percent| Step {
            percent,
            action: Action::Refuse,
        };
        let warn = Step {
            percent: 10,
            action: Action::Warn,
        };
        for (steps, mode, want) in [
            (&STEPS[..], Mode::Enforce, Some(1_000)),
            (&[refuse(100), warn, refuse(95)], Mode::Enforce, Some(950)),
            (&[warn], Mode::Enforce, None),
            (&STEPS, Mode::Audit, None),
        ] {
            assert_eq!(
                bound(steps, mode, NanoUsd(1_000)),
                want.map(NanoUsd),
                "{steps:?}"
            );
        }
    }

    #[test]
    fn an_overflow_moves_the_refusal_and_not_the_warnings() {
        for (spent, want) in [
            (900, Action::Downgrade),
            (1_099, Action::Downgrade),
            (1_100, Action::Refuse),
        ] {
            let action = standing(&STEPS, NanoUsd(spent), lines(1_000, 1_100));
            assert_eq!(action, want, "{spent}");
        }
    }

    #[test]
    fn the_strictest_step_reached_is_the_one_that_counts() {
        for (spent, limit, want) in [
            (0, 1_000, Action::None),
            (499, 1_000, Action::None),
            (500, 1_000, Action::Log),
            (750, 1_000, Action::Warn),
            (899, 1_000, Action::Warn),
            (900, 1_000, Action::Downgrade),
            (999, 1_000, Action::Downgrade),
            (1_000, 1_000, Action::Refuse),
            (u64::MAX, 1_000, Action::Refuse),
            (u64::MAX - 1, u64::MAX, Action::Downgrade),
            // Nothing may be spent: all of nothing is spent.
            (0, 0, Action::Refuse),
        ] {
            let action = standing(&STEPS, NanoUsd(spent), lines(limit, limit));
            assert_eq!(action, want, "{spent} of {limit}");
        }
    }

    #[test]
    fn a_step_is_announced_once() {
        for (announced, spent, want) in [
            (0, 499, &[][..]),
            (0, 500, &[50]),
            (0, 810, &[50, 75, 80]),
            (50, 810, &[75, 80]),
            (80, 810, &[]),
            // A limit that was raised brings the share down; what was said stays said.
            (90, 100, &[]),
            (90, 2_000, &[100]),
        ] {
            let passed = newly_passed(&STEPS, announced, NanoUsd(spent), lines(1_000, 1_000));
            let percents: Vec<u32> = passed.iter().map(|step| step.percent).collect();
            assert_eq!(percents, want, "{spent} after {announced}%");
        }
    }

    #[test]
    fn what_runs_over_is_taken_from_the_next_window() {
        let allowance = |carried| allowance(NanoUsd(1_000), 10, NanoUsd(carried)).unwrap().0;
        let carry = |inherited, used| {
            carry(NanoUsd(1_000), NanoUsd(inherited), NanoUsd(used))
                .unwrap()
                .0
        };
        assert_eq!(allowance(0), 1_100);
        assert_eq!(carry(0, 1_100), 100);
        assert_eq!(allowance(100), 1_000);
        // The second window used its thousand and inherited a hundred: the debt goes on, it does not grow.
        assert_eq!(carry(100, 1_000), 100);
        assert_eq!(carry(100, 900), 0);
        assert_eq!(carry(0, 400), 0);
        assert_eq!(allowance(5_000), 0);
    }

    #[test]
    fn an_allowance_that_does_not_fit_is_refused() {
        let most = NanoUsd(u64::MAX);
        assert_eq!(allowance(most, 10, NanoUsd::ZERO), Err(MoneyOverflow));
        assert_eq!(carry(most, NanoUsd(1), most), Err(MoneyOverflow));
    }
}
