//! A tenant in the words of `gateway.yaml`, as JSON: what the admin API shows, and takes back unchanged.

use serde_json::{Map, Value, json};

use super::budget::{Budget, Mode};
use super::common::Common;
use super::tenant::Tenant;
use crate::config::{Limits, OnDisconnect, Queue, Records, Terms, moment};
use crate::money::thresholds::{Action, STEPS, Step};
use crate::money::window::Period;
use crate::units::NanoUsd;

/// What may be written of a tenant. Who manages it, and the hashes of a key, are not among it.
pub fn tenant(tenant: &Tenant) -> Map<String, Value> {
    let mut form = Map::new();
    for (field, text) in [
        ("org", &tenant.org),
        ("team", &tenant.team),
        ("user", &tenant.user),
        ("tier", &tenant.tier),
    ] {
        if !text.is_empty() {
            form.insert(field.to_owned(), json!(text));
        }
    }
    let mut put = |field: &str, value: Option<Value>| {
        form.extend(value.map(|value| (field.to_owned(), value)));
    };
    put("models", tenant.models.as_ref().map(|it| json!(it)));
    put("endpoints", tenant.endpoints.as_ref().map(|it| json!(it)));
    put(
        "tags",
        (!tenant.tags.is_empty()).then(|| json!(tenant.tags)),
    );
    put("disabled", tenant.disabled.then_some(json!(true)));
    put("expires", tenant.expires.map(|at| json!(moment::show(at))));
    form.extend(money(&tenant.budgets, &tenant.limits));
    form
}

/// What may be written of what many share.
pub fn common(common: &Common) -> Map<String, Value> {
    money(&common.budgets, &common.limits)
}

fn money(budgets: &[Budget], limits: &Limits) -> Map<String, Value> {
    let mut form = Map::new();
    let mut put = |field: &str, value: Option<Value>| {
        form.extend(value.map(|value| (field.to_owned(), value)));
    };
    let (short, rest) = short_form(budgets);
    if let Some((max, soft)) = short {
        let first = max.or(soft);
        put("max_budget", max.map(|max| dollars(max.max)));
        put("soft_budget", soft.map(|soft| dollars(soft.max)));
        let window = first.map_or(Period::Total, |first| first.window);
        put(
            "budget_duration",
            (window != Period::Total).then(|| json!(word(window))),
        );
        put("time_zone", first.and_then(zone).map(|zone| json!(zone)));
    }
    let list: Vec<Value> = rest.into_iter().map(budget).collect();
    put("budgets", (!list.is_empty()).then(|| json!(list)));
    put("rpm_limit", limits.rpm_limit.map(|it| json!(it)));
    put("tpm_limit", limits.tpm_limit.map(|it| json!(it)));
    put(
        "max_parallel_requests",
        limits.max_parallel_requests.map(|it| json!(it)),
    );
    put(
        "burst",
        limits.burst_percent.map(|it| json!(format!("{it}%"))),
    );
    put("limit_each", limits.each.map(|it| json!(it.name())));
    let queue = |queue: Queue| json!({"max_wait": format!("{}ms", queue.max_wait_ms), "max_waiting": queue.max_waiting});
    put("queue", limits.queue.map(queue));
    put(
        "downgrade_to",
        limits.downgrade_to.as_ref().map(|it| json!(it)),
    );
    form
}

/// The budgets that `max_budget` and `soft_budget` can say, and the rest.
type Short<'a> = Option<(Option<&'a Budget>, Option<&'a Budget>)>;

fn short_form(budgets: &[Budget]) -> (Short<'_>, Vec<&Budget>) {
    let plain = |budget: &&Budget| {
        let plain = Budget {
            max: budget.max,
            window: budget.window,
            time_zone: budget.time_zone.clone(),
            ..Budget::default()
        };
        **budget == plain
    };
    let warning = |budget: &&Budget| {
        let warning = Budget {
            name: "soft".to_owned(),
            max: budget.max,
            window: budget.window,
            time_zone: budget.time_zone.clone(),
            mode: Mode::Soft,
            steps: vec![Step {
                percent: 100,
                action: Action::Warn,
            }],
            terms: Terms {
                hard: false,
                ..Terms::default()
            },
            ..Budget::default()
        };
        **budget == warning
    };
    let max = budgets.iter().find(plain);
    let soft = budgets.iter().filter(warning).find(|soft| {
        max.is_none_or(|max| {
            soft.max < max.max && (soft.window, &soft.time_zone) == (max.window, &max.time_zone)
        })
    });
    let is_short = |budget: &&Budget| {
        let same = |one: Option<&Budget>| one.is_some_and(|one| std::ptr::eq(one, *budget));
        !same(max) && !same(soft)
    };
    let short = (max.is_some() || soft.is_some()).then_some((max, soft));
    (short, budgets.iter().filter(is_short).collect())
}

fn budget(budget: &Budget) -> Value {
    let mut form = Map::new();
    let mut put = |field: &str, value: Option<Value>| {
        form.extend(value.map(|value| (field.to_owned(), value)));
    };
    let default = Budget::default();
    put(
        "name",
        (!budget.name.is_empty()).then(|| json!(budget.name)),
    );
    put("max", Some(dollars(budget.max)));
    put("window", Some(json!(word(budget.window))));
    put("time_zone", zone(budget).map(|zone| json!(zone)));
    let mode = match budget.mode {
        Mode::Hard => "hard",
        Mode::Soft => "soft",
        Mode::Audit => "audit",
    };
    put("mode", Some(json!(mode)));
    put(
        "steps",
        (budget.steps != STEPS).then(|| steps(&budget.steps)),
    );
    put(
        "overflow",
        (budget.overflow_percent > 0).then(|| json!(format!("{}%", budget.overflow_percent))),
    );
    let (terms, usual) = (&budget.terms, &default.terms);
    put(
        "when_unreachable",
        (terms.debt != usual.debt).then(|| json!({"debt": dollars(terms.debt)})),
    );
    let wait = match terms.wait_ms {
        0 => "refuse".to_owned(),
        millis => format!("wait {millis}ms"),
    };
    put(
        "when_tight",
        (terms.wait_ms != usual.wait_ms).then(|| json!(wait)),
    );
    let charge = match terms.on_disconnect {
        OnDisconnect::Reserved => "reserved".to_owned(),
        OnDisconnect::SeenPlus(tokens) => format!("seen_plus {tokens}"),
    };
    put(
        "charge_on_disconnect",
        (terms.on_disconnect != usual.on_disconnect).then(|| json!(charge)),
    );
    put(
        "refuse_with",
        (terms.refuse_with != usual.refuse_with).then(|| json!(terms.refuse_with)),
    );
    put(
        "downgrade_to",
        terms.downgrade_to.as_ref().map(|model| json!(model)),
    );
    put(
        "strict_records",
        (terms.records == Records::Strict).then_some(json!(true)),
    );
    Value::Object(form)
}

fn steps(steps: &[Step]) -> Value {
    let step = |step: &Step| {
        let action = match step.action {
            // No step asks for nothing.
            Action::None | Action::Log => "log",
            Action::Warn => "warn",
            Action::Downgrade => "downgrade",
            Action::Refuse => "refuse",
        };
        (step.percent.to_string(), json!(action))
    };
    Value::Object(steps.iter().map(step).collect())
}

/// Where a clock matters.
fn zone(budget: &Budget) -> Option<&str> {
    (budget.window != Period::Total && budget.time_zone != "UTC").then_some(&*budget.time_zone)
}

fn word(window: Period) -> &'static str {
    match window {
        Period::Day => "day",
        Period::Week => "week",
        Period::Month => "month",
        Period::Total => "total",
    }
}

/// As text: a float would not hold `0.1`.
pub fn dollars(amount: NanoUsd) -> Value {
    json!(amount.to_string().trim_start_matches('$'))
}
