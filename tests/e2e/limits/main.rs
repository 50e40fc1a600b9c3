//! Limits by the minute through real Envoys of two workers: as many pass as may, whoever waits as long as he is told is let
//! through, and whatever is held comes back.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "in tests a failure is what an unwrap is for, in their helpers too"
)]

mod explained;
mod over;
mod providers;
mod told;
mod vouched;

use std::thread;

use tollgate_tests::{Gateway, Reply};

/// One provider, and a team with limits.
const TEAM: &str = "
listen: {address: {listen}}
admin: {address: {admin}}
SERVICE
providers:
  alpha: {dialect: openai, url: http://{alpha}/v1}
models:
  small: {targets: [{provider: alpha, model: alpha-small}]}
  large: {targets: [{provider: alpha, model: alpha-large}]}
tenants:
  teams: {search: LIMITS}
  models: {large: {rpm_limit: 1, burst: 100%, downgrade_to: small}}
  keys:
  - {name: one, sha256: {key one}, team: search}
  - {name: two, sha256: {key two}, team: search}
  - {name: free, sha256: {key free}}
telemetry: {access_log: {log}}
";

const SERVICE: &str = "budget_service: {listen: {budget}, admin: {budget-admin}, store: memory}";

pub(crate) fn alone(limits: &str) -> String {
    TEAM.replace("LIMITS", limits).replace("SERVICE", "")
}

pub(crate) fn leased(limits: &str) -> String {
    TEAM.replace("LIMITS", limits).replace("SERVICE", SERVICE)
}

pub(crate) fn code(reply: &Reply) -> String {
    reply.json()["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// So many at once; how many passed, and how many were told that there is a limit.
pub(crate) fn storm(gateways: &[&Gateway], count: usize) -> (usize, usize) {
    let replies: Vec<Reply> = thread::scope(|scope| {
        let asking: Vec<_> = (0..count)
            .map(|at| {
                let gateway = gateways[at % gateways.len()];
                scope.spawn(move || gateway.chat("small", "hi").key("one").send())
            })
            .collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let passed = replies.iter().filter(|reply| reply.status() == 200).count();
    let limited = replies
        .iter()
        .filter(|reply| reply.status() == 429 && code(reply) == "rate_limit_exceeded")
        .count();
    (passed, limited)
}

#[test]
fn of_a_hundred_at_once_exactly_as_many_pass_as_the_limit_holds() {
    for config in [
        alone("{rpm_limit: 4, burst: 1000%}"),
        leased("{rpm_limit: 4, burst: 1000%}"),
    ] {
        let gateway = Gateway::with(&config);
        assert_eq!(storm(&[&gateway], 100), (40, 60), "{config}");
        assert_eq!(gateway.provider("alpha").totals().requests, 40);
    }
}

#[test]
fn two_gateways_with_one_service_have_one_limit() {
    let first = Gateway::with(&leased("{rpm_limit: 4, burst: 1000%}"));
    let url = format!("budget_service: {{url: \"http://{}\"}}", first.budget());
    let second = Gateway::with(&leased("{rpm_limit: 4, burst: 1000%}").replace(SERVICE, &url));
    let (passed, _) = storm(&[&first, &second], 100);
    // What one of them has at hand is missing to the other, until it goes home.
    assert!((36..=40).contains(&passed), "{passed}");
    let mut all = passed;
    tollgate_tests::wait_for("the rest of the limit", || {
        all += storm(&[&first, &second], 2).0;
        (all >= 40).then_some(())
    });
    assert_eq!(all, 40);
    assert_eq!(storm(&[&first, &second], 10).0, 0);
}
