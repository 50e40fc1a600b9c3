//! How requests find their way: names that exist, fallbacks that end, hours that do not overlap and that every day has.

use std::collections::BTreeMap;

use super::{Place, limits, must, name, unknown};
use crate::config::problem::Problems;
use crate::config::raw::{self, Given, Named, Texts, Written};
use crate::config::routing::{
    Balance, Clock, Complexity, FAILURES_KEPT, OnUntranslatable, Policy, Routing, Rules, Schedule,
    Sticky, Strategy, Subject, Traits, When,
};
use crate::config::{Model, RETRY_PERCENT, Target, clock};
use crate::limits::Quota;

/// More of the same target in a row helps nobody.
const RETRIES_MAX: usize = 5;

/// What a model's own fields say, without the names of other models.
pub(super) fn routing(
    written: &raw::Model,
    on_untranslatable: OnUntranslatable,
    problems: &mut Problems,
) -> Routing {
    let default = Routing::default();
    let strategy = written.strategy.value_or(default.strategy);
    let balanced = strategy == Strategy::Balanced;
    let zone = written.time_zone.written();
    let schedules = schedules(written, problems);
    let clock = zone.map(|zone| time_zone(zone, &written.schedules, problems));
    if let (Some(zone), true) = (zone, schedules.is_empty()) {
        problems.push(zone.place.problem(
            "no hour is told apart here, so it does not matter whose clock counts",
            "write `schedules`, or remove it",
        ));
    }
    unused(written, strategy, problems);
    let retries = written.num_retries.value_or(0);
    if let (Given::Written(given), true) = (&written.num_retries, retries > RETRIES_MAX) {
        problems.push(given.place.problem(
            format!("{retries} times is more than {RETRIES_MAX}"),
            "write a smaller number: the next target is most likely the better one",
        ));
    }
    if let Given::Written(experiment) = &written.experiment {
        name::check(name::Kind::Tenant, experiment, problems);
    }
    Routing {
        strategy,
        sticky: written.sticky.value_or(Sticky::Nobody),
        experiment: written.experiment.value_or(String::new()),
        expected_output: written
            .expected_output
            .written()
            .map_or(default.expected_output, |tokens| tokens.value.0),
        explore_percent: written.explore.value_or(default.explore_percent),
        balance: balance(&written.balance, problems).unwrap_or(default.balance),
        schedules: if balanced { schedules } else { Vec::new() },
        clock: clock.flatten().filter(|_| balanced).unwrap_or_default(),
        retries: u32::try_from(retries).unwrap_or_default(),
        when_too_long: written.when_too_long.value_or(default.when_too_long),
        on_untranslatable: written.on_untranslatable.value_or(on_untranslatable),
        last_resort: written.last_resort.written().map(|text| text.value.clone()),
        ..default
    }
}

/// What only another strategy reads. A policy may choose the strategy, but not here.
fn unused(written: &raw::Model, strategy: Strategy, problems: &mut Problems) {
    let unused = [
        (
            written.explore.written().map(|explore| &explore.place),
            Strategy::Fastest,
            "explore",
        ),
        (
            written.balance.written().map(|balance| &balance.place),
            Strategy::Balanced,
            "balance",
        ),
        (
            written
                .schedules
                .written()
                .map(|schedules| &schedules.place),
            Strategy::Balanced,
            "schedules",
        ),
    ];
    for (place, needs, field) in unused {
        if let (Some(place), false) = (
            place,
            strategy == needs || matches!(written.strategy, Given::Mistaken),
        ) {
            let word = if needs == Strategy::Fastest {
                "fastest"
            } else {
                "balanced"
            };
            problems.push(place.problem(
                format!("`{field}` belongs to another strategy"),
                format!("write `strategy: {word}`, or remove it"),
            ));
        }
    }
}

fn balance(given: &Given<raw::Balance>, problems: &mut Problems) -> Option<Balance> {
    let written = given.written()?;
    let weight = |given: &Given<usize>| u32::try_from(given.value_or(0)).unwrap_or(u32::MAX);
    let fields = &written.value;
    let balance = Balance {
        cost: weight(&fields.cost),
        latency: weight(&fields.latency),
        reliability: weight(&fields.reliability),
    };
    let mistaken = [&fields.cost, &fields.latency, &fields.reliability]
        .iter()
        .any(|given| matches!(given, Given::Mistaken));
    if !mistaken && (balance.cost, balance.latency, balance.reliability) == (0, 0, 0) {
        problems.push(written.place.problem(
            "nothing counts here",
            "write how much each counts: `{cost: 2, latency: 1, reliability: 1}`",
        ));
    }
    Some(balance)
}

fn schedules(written: &raw::Model, problems: &mut Problems) -> Vec<Schedule> {
    let mut known: Vec<(Schedule, usize)> = Vec::new();
    let all = written.schedules.written().map(|list| &list.value);
    for given in all.into_iter().flatten().filter_map(Given::written) {
        let place = &given.place;
        let fields = &given.value;
        let from = must(
            &fields.from,
            "from",
            place,
            "write when it begins: `from: \"08:00\"`",
            problems,
        );
        let to = must(
            &fields.to,
            "to",
            place,
            "write when it ends: `to: \"20:00\"`",
            problems,
        );
        let what = must(
            &fields.balance,
            "balance",
            place,
            "write what counts then: `balance: {cost: 1}`",
            problems,
        );
        let (Some(from), Some(to), Some(_)) = (from, to, what) else {
            continue;
        };
        let schedule = Schedule {
            from: from.value,
            to: to.value,
            balance: balance(&fields.balance, problems).unwrap_or_default(),
        };
        if schedule.from == schedule.to {
            problems.push(place.problem(
                "these hours are none, or all of them",
                "write two different times; what counts all day is `balance` of the model",
            ));
            continue;
        }
        let overlaps = known
            .iter()
            .find(|(other, _)| other.holds(schedule.from) || schedule.holds(other.from));
        match overlaps {
            Some((_, line)) => problems.push(place.problem(
                format!("these hours overlap with those in line {line}"),
                "let one end where the other begins",
            )),
            None => known.push((schedule, place.line())),
        }
    }
    known.into_iter().map(|(schedule, _)| schedule).collect()
}

/// The clock of a zone. Hours that begin or end at a time that some day does not have, or has twice, mean something else
/// than they say on that day.
fn time_zone(
    zone: &Written<String>,
    schedules: &Given<Vec<Given<raw::Schedule>>>,
    problems: &mut Problems,
) -> Option<Clock> {
    let Some(clock) = clock::of(&zone.value) else {
        problems.push(zone.place.problem(
            format!("no time zone is named {}", zone.shown()),
            "write its IANA name, `Europe/Berlin`, or how far it is from UTC, `+02:00`",
        ));
        return None;
    };
    let all = schedules.written().map(|list| &list.value);
    for given in all.into_iter().flatten().filter_map(Given::written) {
        for time in [&given.value.from, &given.value.to]
            .into_iter()
            .filter_map(Given::written)
        {
            if let Some((date, how)) = clock::turned_at(&clock, time.value) {
                problems.push(time.place.problem(
                    format!("on {date} this time is {how} in {}", zone.shown()),
                    "write a time at which no clock is turned",
                ));
            }
        }
    }
    Some(clock)
}

/// What a target is, beside its name, price and limits. What is written of what it can goes before the catalogue.
pub(super) fn own(written: &raw::Target, target: &mut Target, problems: &mut Problems) {
    if let Given::Written(region) = &written.region {
        name::check(name::Kind::Tenant, region, problems);
    }
    if let (Given::Written(context), Given::Written(output)) =
        (&written.context_window, &written.max_output)
        && output.value > context.value
    {
        problems.push(output.place.problem(
            format!(
                "answers of {} tokens do not fit into a context of {}",
                output.value.0, context.value.0
            ),
            "write a `max_output` that is not more than `context_window`",
        ));
    }
    if let Given::Written(list) = &written.capabilities {
        let all = list.value.iter().filter_map(Given::written);
        let all = all.map(|capability| capability.value.of_catalogue());
        target.capabilities = Some(all.collect());
    }
    target.traits = Traits {
        weight: u32::try_from(written.weight.value_or(1)).unwrap_or(u32::MAX),
        region: written.region.value_or(String::new()),
        when: written
            .when
            .written()
            .map_or_else(When::default, |when| self::when(&when.value)),
        quota: quota(written, problems),
    };
}

fn quota(written: &raw::Target, problems: &mut Problems) -> Quota {
    let number = |given: &Given<u64>| given.written().map(|written| written.value);
    for limit in [&written.rpm_limit, &written.tpm_limit] {
        if let Given::Written(limit) = limit {
            limits::too_large(limit, problems);
        }
    }
    Quota {
        rpm: number(&written.rpm_limit),
        tpm: number(&written.tpm_limit),
        parallel: number(&written.max_parallel_requests),
        day: written
            .max_daily_budget
            .written()
            .map(|written| written.value),
    }
}

/// Weights of nothing: nobody would be asked.
pub(super) fn weights(named: &Named<raw::Model>, model: &Model, problems: &mut Problems) {
    let Some(body) = named.body.written() else {
        return;
    };
    let any = model.targets.iter().any(|target| target.traits.weight > 0);
    let routing = &model.routing;
    let weighs = routing.strategy == Strategy::Weighted || routing.sticky != Sticky::Nobody;
    if let (Given::Written(list), false, true) = (
        &body.value.targets,
        any,
        weighs && !model.targets.is_empty(),
    ) {
        problems.push(list.place.problem(
            "all weights are 0, so no target is ever chosen",
            "give at least one of them a weight",
        ));
    }
}

fn when(written: &raw::When) -> When {
    let texts: [(Subject, &Texts); 8] = [
        (Subject::Model, &written.model),
        (Subject::Endpoint, &written.endpoint),
        (Subject::Org, &written.org),
        (Subject::Team, &written.team),
        (Subject::User, &written.user),
        (Subject::Key, &written.key),
        (Subject::Tier, &written.tier),
        (Subject::Tag, &written.tag),
    ];
    let named = |given: &Given<Vec<(Written<String>, Texts)>>, subject: fn(String) -> Subject| {
        let all = given
            .written()
            .map(|list| list.value.clone())
            .unwrap_or_default();
        all.into_iter()
            .map(|(name, texts)| (subject(name.value.to_ascii_lowercase()), texts))
            .collect::<Vec<_>>()
    };
    let metadata = written
        .metadata
        .written()
        .map(|list| list.value.clone())
        .unwrap_or_default();
    let metadata = metadata
        .into_iter()
        .map(|(name, texts)| (Subject::Metadata(name.value), texts));
    let all = texts
        .into_iter()
        .map(|(subject, texts)| (subject, texts.clone()))
        .chain(named(&written.header, Subject::Header))
        .chain(metadata);
    let texts = all.filter_map(|(subject, texts)| {
        let texts = texts.written()?.value.iter();
        Some((subject, texts.map(|text| text.value.clone()).collect()))
    });
    let needs = written.needs.written().map(|list| &list.value);
    let complexity: Vec<Complexity> = written
        .complexity
        .written()
        .map(|class| class.value)
        .into_iter()
        .collect();
    When {
        prompt_tokens: written.prompt_tokens.value_or(Vec::new()),
        output_tokens: written.output_tokens.value_or(Vec::new()),
        complexity,
        stream: written.stream.written().map(|stream| stream.value),
        needs: needs
            .into_iter()
            .flatten()
            .filter_map(Given::written)
            .map(|need| need.value)
            .collect(),
        texts: texts.collect(),
    }
}

/// The names that models give each other, as positions; and no circle among them.
pub(super) fn fallbacks(written: &raw::Config, models: &mut [Model], problems: &mut Problems) {
    let positions: BTreeMap<String, usize> = models
        .iter()
        .map(|model| model.name.clone())
        .zip(0..)
        .collect();
    let known: Vec<&str> = names(written).collect();
    let all = written.models.written().map(|all| all.value.as_slice());
    for named in all.into_iter().flatten() {
        let (Given::Written(body), Some(here)) = (&named.body, positions.get(&named.name.value))
        else {
            continue;
        };
        let mut list = |given: &Given<Vec<Given<String>>>| {
            let mut list: Vec<usize> = Vec::new();
            let all = given.written().map(|list| &list.value);
            for name in all.into_iter().flatten().filter_map(Given::written) {
                match positions.get(&name.value) {
                    Some(position) if position == here => problems.push(name.place.problem(
                        "a model is no fallback of itself",
                        "name another model; to ask the same target again there is `num_retries`",
                    )),
                    Some(position) if list.contains(position) => problems.push(name.place.problem(
                        format!("{} is in this list already", name.shown()),
                        "keep one of them",
                    )),
                    Some(position) => list.push(*position),
                    None if known.contains(&name.value.as_str()) => {}
                    None => problems.push(unknown("model", "models", name, known.iter().copied())),
                }
            }
            list
        };
        let lists = [
            list(&body.value.fallbacks),
            list(&body.value.context_window_fallbacks),
            list(&body.value.content_policy_fallbacks),
        ];
        if let Some(model) = models.get_mut(*here) {
            [
                model.routing.fallbacks,
                model.routing.context_window_fallbacks,
                model.routing.content_policy_fallbacks,
            ] = lists;
        }
    }
    circles(written, models, &positions, problems);
}

/// Of each circle one link is told: the first in the file that closes it.
fn circles(
    written: &raw::Config,
    models: &[Model],
    positions: &BTreeMap<String, usize>,
    problems: &mut Problems,
) {
    let mut links: Vec<(usize, usize)> = Vec::new();
    let all = written.models.written().map(|all| all.value.as_slice());
    for named in all.into_iter().flatten() {
        let body = named.body.written();
        let list = body.and_then(|body| body.value.fallbacks.written());
        let Some(from) = positions.get(&named.name.value) else {
            continue;
        };
        for name in list
            .into_iter()
            .flat_map(|list| &list.value)
            .filter_map(Given::written)
        {
            let Some(to) = positions.get(&name.value).filter(|to| *to != from) else {
                continue;
            };
            if let Some(path) = path(&links, *to, *from) {
                let around = path.iter().filter_map(|at| models.get(*at));
                let around: Vec<&str> = around.map(|model| model.name.as_str()).collect();
                problems.push(name.place.problem(
                    format!(
                        "fallbacks go in a circle: {} -> {}",
                        named.name.value,
                        around.join(" -> ")
                    ),
                    "remove one of these",
                ));
            } else {
                links.push((*from, *to));
            }
        }
    }
}

/// From one model to another along links.
fn path(links: &[(usize, usize)], from: usize, to: usize) -> Option<Vec<usize>> {
    let mut paths = vec![vec![from]];
    let mut seen = vec![from];
    while let Some(path) = paths.pop() {
        let end = *path.last()?;
        if end == to {
            return Some(path);
        }
        for (_, next) in links.iter().filter(|(start, _)| *start == end) {
            if !seen.contains(next) {
                seen.push(*next);
                let mut longer = path.clone();
                longer.push(*next);
                paths.push(longer);
            }
        }
    }
    None
}

fn names(written: &raw::Config) -> impl Iterator<Item = &str> {
    let all = written.models.written().map(|all| &all.value);
    all.into_iter()
        .flatten()
        .map(|named| named.name.value.as_str())
}

/// Every policy, in the order of the file.
pub(super) fn policies(
    written: &raw::Config,
    models: &[Model],
    problems: &mut Problems,
) -> Vec<Policy> {
    let mut policies = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let all = written.policies.written().map(|all| &all.value);
    for given in all.into_iter().flatten().filter_map(Given::written) {
        let place = &given.place;
        let fields = &given.value;
        let fix = "write what explanations call it: `name: NAME`";
        let name = must(&fields.name, "name", place, fix, problems);
        if let Some(name) = name {
            name::check(name::Kind::Tenant, name, problems);
            if let Some(line) = seen.insert(name.value.clone(), name.place.line()) {
                problems.push(name.place.problem(
                    format!("the policy in line {line} has the same name"),
                    "give each policy its own",
                ));
            }
        }
        does_something(fields, place, problems);
        let regions = fields.regions.written().map(|list| {
            let all = list.value.iter().filter_map(Given::written);
            all.map(|region| region.value.clone()).collect::<Vec<_>>()
        });
        if let (Some(list), Some(regions)) = (fields.regions.written(), &regions)
            && regions.is_empty()
        {
            problems.push(list.place.problem(
                "no region is named",
                "name at least one, or remove `regions`",
            ));
        }
        policies.push(Policy {
            name: name.map(|name| name.value.clone()).unwrap_or_default(),
            when: fields
                .when
                .written()
                .map_or_else(When::default, |when| self::when(&when.value)),
            use_model: fields
                .use_model
                .written()
                .and_then(|name| used(name, written, models, problems)),
            strategy: fields.strategy.written().map(|strategy| strategy.value),
            regions,
            deny: fields.deny.written().map(|words| words.value.clone()),
        });
    }
    policies
}

fn does_something(fields: &raw::Policy, place: &Place, problems: &mut Problems) {
    let does = [
        matches!(fields.use_model, Given::Absent),
        matches!(fields.strategy, Given::Absent),
        matches!(fields.regions, Given::Absent),
        matches!(fields.deny, Given::Absent),
    ];
    if does.iter().all(|absent| *absent) {
        problems.missing(
            &["use", "strategy", "regions", "deny"],
            place,
            "this policy does nothing",
            "write what is to happen: `use: MODEL`, `strategy: cheapest`, `regions: [eu]` or `deny: WORDS`",
        );
    }
}

fn used(
    name: &Written<String>,
    written: &raw::Config,
    models: &[Model],
    problems: &mut Problems,
) -> Option<usize> {
    let found = models.iter().position(|model| model.name == name.value);
    if found.is_none() && !names(written).any(|known| known == name.value) {
        problems.push(unknown("model", "models", name, names(written)));
    }
    found
}

/// When a provider's deployments are passed over.
pub(super) fn rules(given: &Given<raw::Breaker>, problems: &mut Problems) -> Rules {
    let default = Rules::default();
    let Some(written) = given.written() else {
        return default;
    };
    let fields = &written.value;
    let failures = fields.allowed_fails.value_or(3);
    if let (Given::Written(given), false) = (
        &fields.allowed_fails,
        (1..=FAILURES_KEPT).contains(&failures),
    ) {
        problems.push(given.place.problem(
            format!("{failures} is not from 1 to {FAILURES_KEPT}"),
            "write how many failures open the breaker",
        ));
    }
    let rules = Rules {
        failures: if fields.disabled.value_or(false) {
            0
        } else {
            u32::try_from(failures).unwrap_or(default.failures)
        },
        within_ms: fields.within.value_or(default.within_ms),
        share_percent: fields.share.value_or(default.share_percent),
        rest_ms: fields.cooldown_time.value_or(default.rest_ms),
        rest_max_ms: fields
            .cooldown_max
            .value_or(default.rest_max_ms.max(fields.cooldown_time.value_or(0))),
    };
    if let (Given::Written(max), true) = (&fields.cooldown_max, rules.rest_max_ms < rules.rest_ms) {
        problems.push(max.place.problem(
            "the longest rest is shorter than the first",
            "write a `cooldown_max` that is not less than `cooldown_time`",
        ));
    }
    rules
}

/// So many requests of a hundred may ask a provider once more.
pub(super) fn retry_percent(given: &Given<u32>) -> u32 {
    given.value_or(RETRY_PERCENT)
}
