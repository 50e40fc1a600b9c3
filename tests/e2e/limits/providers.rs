//! Limits towards providers: who is nearly used up is passed over, and what a provider says of itself is believed.

use std::thread;

use tollgate::fake::Reply as Scripted;
use tollgate_tests::{Gateway, Reply, wait_for};

use crate::code;

const TWO: &str = "
listen: {address: {listen}}
admin: {address: {admin}}
providers:
  alpha: {dialect: openai, url: http://{alpha}/v1}
  beta: {dialect: openai, url: http://{beta}/v1}
models:
  small:
    targets:
    - {provider: alpha, model: a, LIMITS}
    - {provider: beta, model: b}
  only: {targets: [{provider: alpha, model: a, LIMITS}]}
tenants:
  keys: [{name: one, sha256: {key one}}]
prices:
  alpha/a: {input: 10, output: 1000}
telemetry: {access_log: {log}, explain: to_caller}
";

fn two(limits: &str) -> Gateway {
    Gateway::with(&TWO.replace("LIMITS", limits))
}

fn by(reply: &Reply) -> String {
    assert_eq!(reply.status(), 200, "{}", reply.text());
    reply.header("x-tollgate-provider").unwrap().to_owned()
}

#[test]
fn a_deployment_without_room_is_passed_over_and_a_model_with_no_other_says_when() {
    let gateway = two("rpm_limit: 20");
    let ask = |model: &str| gateway.chat(model, "hi").key("one").send();
    let answered: Vec<String> = (0..24).map(|_| by(&ask("small"))).collect();
    let first = answered.iter().filter(|by| *by == "alpha").count();
    // One of twenty is left as a margin; in the meantime a few more may have come.
    assert!((19..=22).contains(&first), "{first}");
    let reply = wait_for("a deployment without room", || {
        let reply = ask("small");
        (by(&reply) == "beta").then_some(reply)
    });
    let route = reply.header("x-tollgate-route").unwrap();
    assert!(
        route.contains(r#""passed_over":"requests_per_minute""#),
        "{route}"
    );
    let refused = wait_for("a refusal", || {
        let reply = ask("only");
        (reply.status() == 429).then_some(reply)
    });
    assert_eq!(code(&refused), "no_target_available", "{}", refused.text());
    assert_eq!(refused.header("retry-after"), Some("1"));
}

#[test]
fn a_deployment_that_is_busy_or_has_spent_its_day_is_passed_over() {
    let gateway = two("max_parallel_requests: 1, max_daily_budget: 0.1");
    let ask = |model: &str| gateway.chat(model, "hi").key("one");
    let alpha = gateway.provider("alpha");
    alpha.always(Scripted::tokens(300).pace_ms(20));
    let mut stream = ask("small").stream();
    stream.read_tokens(2);
    let others: Vec<String> = thread::scope(|scope| {
        let asking: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| by(&ask("small").send())))
            .collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(others, ["beta"; 4]);
    stream.leave();
    alpha.always(Scripted::tokens(50));
    wait_for("a free place", || {
        (by(&ask("small").send()) == "alpha").then_some(())
    });
    // Fifty tokens are five cents.
    wait_for("a day's money to be spent", || {
        (by(&ask("small").send()) == "beta").then_some(())
    });
    let refused = ask("only").send();
    assert_eq!(refused.status(), 429, "{}", refused.text());
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&seconds), "{seconds}");
    assert!(
        refused.text().contains("daily_budget"),
        "{}",
        refused.text()
    );
}
