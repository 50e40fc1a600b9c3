//! Budgets and limits: amounts that make sense, windows by clocks that exist, and nothing said that would have no effect.

use std::collections::BTreeSet;

use super::tenant::Known;
use super::{limits, must, name, unknown, zones};
use crate::config::problem::{Place, Problems};
use crate::config::raw::{self, Given, Written};
use crate::config::{Limits, Records, Terms};
use crate::money::thresholds::{Action, STEPS, Step};
use crate::money::window::Period;
use crate::tenancy::{Budget, Mode};
use crate::units::NanoUsd;

const ZONE: &str = "UTC";
/// A longer list is a mistake of some program.
const BUDGETS_MAX: usize = 16;

/// The budgets and the limits of whoever has them.
pub(super) fn check(
    written: &raw::Money,
    known: &Known,
    problems: &mut Problems,
) -> (Vec<Budget>, Limits) {
    let zone = zone(&written.time_zone, problems);
    let mut budgets: Vec<Budget> = Vec::new();
    let short = short_form(written, zone.as_deref(), problems);
    for (place, budget) in short {
        once(&place, budget, &mut budgets, problems);
    }
    let list = written.budgets.written();
    if let Some(list) = list
        && list.value.len() > BUDGETS_MAX
    {
        problems.push(list.place.problem(
            format!("{} budgets are more than {BUDGETS_MAX}", list.value.len()),
            "keep those that matter",
        ));
    }
    for written in list.iter().flat_map(|list| &list.value) {
        let Some(written) = written.written() else {
            continue;
        };
        if let Some(budget) = one(written, zone.as_deref(), known, problems) {
            once(&written.place, budget, &mut budgets, problems);
        }
    }
    if zone.is_some() && !matches!(written.budget_duration, Given::Mistaken) {
        unused_zone(written, problems);
    }
    (budgets, limits::check(written, known, problems))
}

/// Two budgets with the same windows would be one.
fn once(place: &Place, budget: Budget, all: &mut Vec<Budget>, problems: &mut Problems) {
    if all.iter().any(|other| other.place() == budget.place()) {
        problems.push(place.problem(
            "there is a budget with the same window and time zone already",
            "keep one of them, or give each a `name`",
        ));
        return;
    }
    all.push(budget);
}

/// `max_budget` and `soft_budget`.
fn short_form(
    written: &raw::Money,
    zone: Option<&str>,
    problems: &mut Problems,
) -> Vec<(Place, Budget)> {
    let window = written.budget_duration.value_or(Period::Total);
    let base = Budget {
        window,
        time_zone: zone
            .filter(|_| window != Period::Total)
            .unwrap_or(ZONE)
            .to_owned(),
        ..Budget::default()
    };
    let mut budgets = Vec::new();
    if let Given::Written(max) = &written.max_budget {
        let budget = Budget {
            max: max.value,
            ..base.clone()
        };
        budgets.push((max.place.clone(), budget));
    }
    if let Given::Written(soft) = &written.soft_budget {
        let budget = Budget {
            name: "soft".to_owned(),
            max: soft.value,
            mode: Mode::Soft,
            terms: Terms {
                hard: false,
                ..Terms::default()
            },
            // All it is for is the message.
            steps: vec![Step {
                percent: 100,
                action: Action::Warn,
            }],
            ..base
        };
        budgets.push((soft.place.clone(), budget));
        if let Given::Written(max) = &written.max_budget
            && soft.value >= max.value
        {
            problems.push(soft.place.problem(
                "the soft budget is not below `max_budget`, so it never warns in time",
                "write less than `max_budget`",
            ));
        }
    }
    let none = |given: &Given<NanoUsd>| matches!(given, Given::Absent);
    if let Given::Written(window) = &written.budget_duration
        && none(&written.max_budget)
        && none(&written.soft_budget)
    {
        problems.push(window.place.problem(
            "there is no budget for which it would hold",
            "write `max_budget` beside it, or the window into each of `budgets`",
        ));
    }
    budgets
}

fn unused_zone(written: &raw::Money, problems: &mut Problems) {
    let Given::Written(zone) = &written.time_zone else {
        return;
    };
    let of_short = written
        .budget_duration
        .written()
        .is_some_and(|window| window.value != Period::Total);
    let of_list = written.budgets.written().iter().any(|list| {
        let mut budgets = list.value.iter().filter_map(Given::written);
        budgets.any(|budget| {
            matches!(budget.value.time_zone, Given::Absent)
                && budget.value.window.value_or(Period::Day) != Period::Total
        })
    });
    if !of_short && !of_list {
        problems.push(zone.place.problem(
            "no budget here begins anew, so no clock is needed",
            "remove it, or write a `budget_duration`",
        ));
    }
}

fn zone(given: &Given<String>, problems: &mut Problems) -> Option<String> {
    let zone = given.written()?;
    if zones::is_known(&zone.value) {
        return Some(zone.value.clone());
    }
    let fix = match zones::nearest(&zone.value) {
        Some(meant) => format!("write `{meant}`"),
        None => "write a name as `Europe/Berlin`, or `UTC`".to_owned(),
    };
    let found = format!("no time zone is named {}", zone.shown());
    problems.push(zone.place.problem(found, fix));
    None
}

fn one(
    written: &Written<raw::Budget>,
    zone_above: Option<&str>,
    known: &Known,
    problems: &mut Problems,
) -> Option<Budget> {
    let fields = &written.value;
    let place = &written.place;
    let max = must(
        &fields.max,
        "max",
        place,
        "write how much: `max: 100`",
        problems,
    );
    let window = must(
        &fields.window,
        "window",
        place,
        "write how often it begins anew: `window: month`, or `total`",
        problems,
    );
    let own_zone = zone(&fields.time_zone, problems);
    if let Given::Written(name) = &fields.name {
        name::check(name::Kind::Tenant, name, problems);
    }
    let mode = fields.mode.value_or(Mode::Hard);
    let steps = steps(fields, mode, problems);
    let terms = terms(fields, mode, &steps, known, problems);
    let overflow_percent = fields.overflow.value_or(0);
    if let Some(Written {
        value: Period::Total,
        ..
    }) = window
    {
        timeless(fields, problems);
    } else if let Given::Written(overflow) = &fields.overflow
        && overflow.value > 100
    {
        let found = format!("{}% would more than double the budget", overflow.value);
        problems.push(overflow.place.problem(found, "write at most `100%`"));
    }
    let window = window?.value;
    Some(Budget {
        name: fields.name.value_or(String::new()),
        max: max?.value,
        window,
        time_zone: own_zone
            .or_else(|| zone_above.map(str::to_owned))
            .filter(|_| window != Period::Total)
            .unwrap_or_else(|| ZONE.to_owned()),
        mode,
        steps,
        overflow_percent,
        terms,
    })
}

/// A budget that never begins anew.
fn timeless(fields: &raw::Budget, problems: &mut Problems) {
    if let Given::Written(zone) = &fields.time_zone {
        problems.push(zone.place.problem(
            "a total never begins anew, so no clock is needed",
            "remove it",
        ));
    }
    if let Given::Written(overflow) = &fields.overflow {
        problems.push(overflow.place.problem(
            "a total has no next window that could pay for an overflow",
            "remove it, or write a larger `max`",
        ));
    }
}

fn steps(fields: &raw::Budget, mode: Mode, problems: &mut Problems) -> Vec<Step> {
    let Given::Written(written) = &fields.steps else {
        return STEPS.to_vec();
    };
    let has = |action| written.value.iter().any(|step| step.action == action);
    if mode == Mode::Soft && has(Action::Refuse) {
        problems.push(written.place.problem(
            "a soft budget refuses nobody",
            "write `warn` or `downgrade`, or `mode: hard`",
        ));
    }
    if mode == Mode::Hard && !has(Action::Refuse) {
        problems.push(written.place.problem(
            "no step refuses, and the budget is hard",
            "add `100: refuse`, or write `mode: soft`",
        ));
    }
    if has(Action::Downgrade) && matches!(fields.downgrade_to, Given::Absent) {
        problems.push(written.place.problem(
            "a step makes a cheaper model answer, and none is named",
            "write `downgrade_to: MODEL` beside it",
        ));
    }
    written.value.clone()
}

fn terms(
    fields: &raw::Budget,
    mode: Mode,
    steps: &[Step],
    known: &Known,
    problems: &mut Problems,
) -> Terms {
    if mode != Mode::Hard {
        let idle = [
            ("when_unreachable", place_of(&fields.when_unreachable)),
            ("when_tight", place_of(&fields.when_tight)),
            ("refuse_with", place_of(&fields.refuse_with)),
        ];
        for (field, place) in idle {
            if let Some(place) = place {
                let found = format!("a budget that refuses nobody has no use for `{field}`");
                problems.push(place.problem(found, "remove it, or write `mode: hard`"));
            }
        }
    }
    if let Given::Written(model) = &fields.downgrade_to {
        let downgrades = steps.iter().any(|step| step.action == Action::Downgrade);
        if mode == Mode::Audit || !downgrades {
            problems.push(model.place.problem(
                "no step makes a cheaper model answer",
                "remove it, or write `steps: {90: downgrade, 100: refuse}`",
            ));
        }
        known_model(model, known, problems);
    }
    let default = Terms::default();
    Terms {
        hard: mode == Mode::Hard,
        debt: fields.when_unreachable.value_or(default.debt),
        wait_ms: fields.when_tight.value_or(default.wait_ms),
        refuse_with: fields.refuse_with.value_or(default.refuse_with),
        downgrade_to: fields.downgrade_to.written().map(|it| it.value.clone()),
        on_disconnect: fields.charge_on_disconnect.value_or(default.on_disconnect),
        records: if fields.strict_records.value_or(false) {
            Records::Strict
        } else {
            Records::Batched
        },
    }
}

pub(super) fn known_model(model: &Written<String>, known: &Known, problems: &mut Problems) {
    if let Some(models) = &known.models
        && !models.contains(&model.value)
    {
        let names = models.iter().map(String::as_str);
        problems.push(unknown("model", "models", model, names));
    }
}

pub(super) fn place_of<T>(given: &Given<T>) -> Option<&Place> {
    given.written().map(|written| &written.place)
}

/// Names that appear in a list twice are told.
pub(super) fn unique(
    given: &Given<Vec<Given<String>>>,
    mut check: impl FnMut(&Written<String>, &mut Problems),
    problems: &mut Problems,
) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    let list = given.written().into_iter().flat_map(|list| &list.value);
    for written in list.filter_map(Given::written) {
        if seen.insert(&written.value) {
            check(written, problems);
        } else {
            let found = format!("{} is in this list already", written.shown());
            problems.push(written.place.problem(found, "keep one of them"));
        }
        all.push(written.value.clone());
    }
    all
}
