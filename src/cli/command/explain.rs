//! `tollgate explain`: where a request would go, and why, by the very code that decides in the filter.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use tollgate_core::auth;
use tollgate_core::callers::Callers;
use tollgate_core::config::Gateway;
use tollgate_core::gateway::{Admission, Input, Step};
use tollgate_core::handoff::Exchange;
use tollgate_core::head::Head;
use tollgate_core::limits::{Counts, Draw, Over};
use tollgate_core::money::holder::Hold;
use tollgate_core::money::wanted::NoStandings;
use tollgate_core::routing::Weather;
use tollgate_core::tokens::Counter;
use tollgate_core::units::Timestamp;

use crate::config;

/// Says where a request would go, and why: every candidate with its estimated cost and what speaks against it.
///
/// All providers are taken to be well and idle, and all budgets to be full. What a running gateway decides it tells itself, with
/// `telemetry.explain`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The body of the request, as JSON.
    #[arg(value_name = "REQUEST.json")]
    pub request: PathBuf,
    /// The name of the key that asks, one of `tenants.keys`.
    #[arg(long, value_name = "NAME")]
    pub key: String,
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "gateway.yaml")]
    pub config: PathBuf,
    /// Where the request is sent.
    #[arg(long, value_name = "PATH", default_value = "/v1/chat/completions")]
    pub path: String,
    /// A header of the request, as NAME:VALUE; may be given several times.
    #[arg(long = "header", value_name = "NAME:VALUE")]
    pub headers: Vec<String>,
}

/// Prints the explanation as JSON; a refusal is one too.
pub fn run(args: &Args) -> Result<(), String> {
    let checked = config::load(&args.config).map_err(|refused| refused.to_string())?;
    let body = std::fs::read(&args.request)
        .map_err(|error| format!("cannot read {}: {error}", args.request.display()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
    let told = explain(checked.gateway, args, body, Timestamp(nanos))?;
    #[allow(clippy::print_stdout, reason = "the answer of a command")]
    {
        println!("{told:#}");
    }
    Ok(())
}

/// A key that nobody has: whoever explains has the name of a key, not the key.
const STANDS_IN: &str = "stands in for the key";

/// The key of this name has another secret from now on.
fn stand_in(config: &mut Gateway, name: &str) -> Result<(), String> {
    let mut keys = config.keys.iter_mut();
    let Some(key) = keys.find(|key| key.name == name) else {
        let names: Vec<&str> = config.keys.iter().map(|key| key.name.as_str()).collect();
        let known = names.join("`, `");
        return Err(format!(
            "no key is named `{name}`; the configuration has `{known}`"
        ));
    };
    key.sha256 = String::from_utf8_lossy(&auth::hash(STANDS_IN.as_bytes())).into_owned();
    config
        .keys
        .sort_by(|one, other| one.sha256.cmp(&other.sha256));
    Ok(())
}

fn explain(
    mut config: Gateway,
    args: &Args,
    body: Vec<u8>,
    now: Timestamp,
) -> Result<serde_json::Value, String> {
    stand_in(&mut config, &args.key)?;
    let hold = match &config.budget_service {
        Some(_) => "over all gateways",
        None => "for each gateway by itself: there is no budget_service",
    };
    // Keys of the budget service would have to be asked for.
    config.budget_service = None;
    let authorization = format!("Bearer {STANDS_IN}");
    let mut lines = vec![
        (":method".to_owned(), "POST".to_owned()),
        (":path".to_owned(), args.path.clone()),
        ("authorization".to_owned(), authorization),
    ];
    for header in &args.headers {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| format!("`{header}` is no header: write NAME:VALUE"))?;
        lines.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    let lines: Vec<(&[u8], &[u8])> = lines
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect();
    let config = Rc::new(config);
    let commons = Rc::new(config.commons.clone());
    let mut admission = Admission::new(Rc::clone(&config), commons);
    let callers = &mut Callers::new(Rc::clone(&config));
    let head = Head(&lines);
    let mut step = admission.on(Input::Head { head, now, callers });
    if matches!(step, Some(Step::AwaitBody)) {
        step = admission.on(Input::Body {
            body,
            counter: &mut Counter::new(),
            standings: &NoStandings,
            weather: &mut Weather::default(),
        });
    }
    let mut limits = Vec::new();
    if let Some(Step::Limit(draws)) = &step {
        limits = draws.iter().map(limit).collect();
        step = admission.on(Input::Room {
            short: None,
            standings: &NoStandings,
            weather: &mut Weather::default(),
        });
    }
    if matches!(step, Some(Step::Hold(_))) {
        step = admission.on(Input::Held(Hold::default()));
    }
    match step {
        Some(Step::Forward(exchange)) => {
            let mut told = told(&exchange);
            if !limits.is_empty()
                && let Some(told) = told.as_object_mut()
            {
                told.insert("limits".to_owned(), json!(limits));
                told.insert("limits_hold".to_owned(), json!(hold));
            }
            Ok(told)
        }
        Some(Step::Answer(answer)) => {
            let body: serde_json::Value = serde_json::from_slice(&answer.body)
                .map_err(|error| format!("the answer is no JSON: {error}"))?;
            Ok(json!({"answered": {"status": answer.status, "body": body}}))
        }
        Some(Step::AwaitBody | Step::Limit(_) | Step::Hold(_) | Step::Identify(_)) | None => {
            Err("the request came to no decision".to_owned())
        }
    }
}

/// What a request takes of a limit.
fn limit(draw: &Draw) -> serde_json::Value {
    let over = match &draw.over {
        Over::Refuse => json!("refuse"),
        Over::Queue(queue) => {
            json!({"queue": {"max_wait_ms": queue.max_wait_ms, "max_waiting": queue.max_waiting}})
        }
        Over::Downgrade(model) => json!({"downgrade_to": model}),
    };
    json!({
        "limit": draw.name,
        "counts": draw.counts.name(),
        "takes": draw.amount,
        "per_minute": (draw.counts != Counts::Parallel).then_some(draw.rate.per_minute),
        "at_once": draw.rate.burst,
        "over": over,
    })
}

fn told(exchange: &Exchange) -> serde_json::Value {
    let chain = (0..exchange.attempts_max()).filter_map(|number| {
        let (target, provider) = exchange.target(number)?;
        Some(format!("{}/{}", provider.name, target.model))
    });
    json!({
        "prompt_tokens": exchange.prompt.tokens,
        "chain": chain.collect::<Vec<_>>(),
        "route": exchange.explanation.json(&exchange.config),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(body: &str, key: &str, headers: &[&str]) -> serde_json::Value {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.yaml");
        std::fs::write(&file, CONFIG).unwrap();
        let checked = config::load(&file).unwrap_or_else(|refused| panic!("{refused}"));
        let args = Args {
            request: PathBuf::new(),
            key: key.to_owned(),
            config: file,
            path: "/v1/chat/completions".to_owned(),
            headers: headers.iter().map(|header| (*header).to_owned()).collect(),
        };
        let body = body.as_bytes().to_vec();
        explain(
            checked.gateway,
            &args,
            body,
            Timestamp(1_795_167_000_000_000_000),
        )
        .unwrap()
    }

    const CONFIG: &str = r#"
providers:
  alpha: {dialect: openai, fake: 127.0.0.1:7711}
  beta: {dialect: openai, fake: 127.0.0.1:7712}
models:
  small:
    strategy: cheapest
    fallbacks: [large]
    targets:
    - {provider: alpha, model: a, region: us}
    - {provider: beta, model: b, region: eu}
  large: {targets: [{provider: alpha, model: big, region: eu}]}
policies:
- {name: in-europe, when: {team: [eu-*]}, regions: [eu]}
- {name: no-nights, when: {header: {x-job: nightly}}, deny: Not at night.}
tenants:
  keys:
  - {name: one, sha256: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff}
  - {name: two, team: eu-sales, sha256: 11112233445566778899aabbccddeeff00112233445566778899aabbccddeeff}
  teams: {eu-sales: {}}
prices:
  alpha/a: {input: 2, output: 2}
  beta/b: {input: 1, output: 1}
  alpha/big: {input: 9, output: 9}
"#;

    const BODY: &str =
        r#"{"model":"small","messages":[{"role":"user","content":"hi"}],"max_tokens":10}"#;

    #[test]
    fn the_chain_is_told_with_what_decided_it() {
        let told = explained(BODY, "one", &[]);
        assert_eq!(told["chain"], json!(["beta/b", "alpha/a", "alpha/big"]));
        assert_eq!(told["route"]["reason"], "cheapest");
        let first = &told["route"]["candidates"][0];
        let tokens = told["prompt_tokens"].as_u64().unwrap();
        assert_eq!(first["estimate_nanousd"], json!((tokens + 10) * 1_000));
        let told = explained(BODY, "two", &[]);
        assert_eq!(told["chain"], json!(["beta/b", "alpha/big"]));
        assert_eq!(told["route"]["policies"], json!(["in-europe"]));
        assert_eq!(told["route"]["candidates"][0]["passed_over"], "region");
        let told = explained(BODY, "one", &["X-Job: nightly"]);
        assert_eq!(told["answered"]["status"], 403);
    }
}
