//! A small world for tests: two providers, one model, two keys.

use std::rc::Rc;

use crate::auth;
use crate::callers::Callers;
use crate::config::Rules;
use crate::config::{Commons, Dialect, Gateway, Key, Model, Price, Provider, Target, Telemetry};
use crate::gateway::{Admission, Input, Step};
use crate::handoff::Exchange;
use crate::head::Head;
use crate::money::wanted::NoStandings;
use crate::price::Rates;
use crate::routing::Weather;
use crate::tokens::Counter;
use crate::units::{NanoUsd, PricePerMillion, Timestamp};

/// `small` is served by `alpha`, then by `beta`; `sk-tg-all` may use it, `sk-tg-none` may not.
pub(crate) fn config() -> Gateway {
    let provider = |name: &str| Provider {
        name: name.to_owned(),
        dialect: Dialect::named("openai").expect("in the table"),
        cluster: format!("tollgate-{name}"),
        authority: format!("{name}.example"),
        path: format!("/{name}/v1"),
        api_version: None,
        first_token_timeout_ms: 5_000,
        reply_timeout_ms: 600_000,
        breaker: Rules::default(),
        retry_percent: 20,
    };
    let target = |provider, model: &str| Target {
        provider,
        model: model.to_owned(),
        price: Some(price()),
        ..Target::default()
    };
    let key = |secret: &str, models: Option<Vec<String>>| Key {
        sha256: String::from_utf8(auth::hash(secret.as_bytes()).to_vec()).unwrap(),
        name: secret.to_owned(),
        org: "acme".to_owned(),
        team: "search".to_owned(),
        user: String::new(),
        models,
        disabled: false,
        ..Key::default()
    };
    let mut keys = vec![key("sk-tg-all", None), key("sk-tg-none", Some(Vec::new()))];
    keys.sort_by(|a, b| a.sha256.cmp(&b.sha256));
    Gateway {
        body_bytes_max: 200_000,
        idle_timeout_ms: 10_000,
        providers: vec![provider("alpha"), provider("beta")],
        models: vec![Model {
            name: "small".to_owned(),
            targets: vec![target(0, "alpha-small"), target(1, "beta-small")],
            ..Model::default()
        }],
        keys,
        commons: Commons::default(),
        vouched: crate::vouched::Rules::default(),
        policies: Vec::new(),
        budget_service: None,
        telemetry: Telemetry::default(),
        looks: crate::config::looks::Once::default(),
    }
}

fn price() -> Price {
    let rates = Rates {
        input: PricePerMillion(NanoUsd(1_000_000_000)),
        output: PricePerMillion(NanoUsd(2_000_000_000)),
        ..Rates::default()
    };
    Price {
        rates,
        ..Price::default()
    }
}

/// Milliseconds after the beginning of the test.
pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp(millis * 1_000_000)
}

/// The head of a request.
pub(crate) fn head_of<'a>(lines: &'a [(&'a str, &'a str)]) -> Vec<(&'a [u8], &'a [u8])> {
    lines
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        .collect()
}

/// An admission that has seen nothing yet, and everybody of this configuration.
pub(crate) fn begun(config: Gateway) -> (Admission, Callers) {
    let config = Rc::new(config);
    let commons = Rc::new(config.commons.clone());
    (
        Admission::new(Rc::clone(&config), commons),
        Callers::new(config),
    )
}

/// A request that was admitted at 0 ms.
pub(crate) fn admitted(body: &str) -> Exchange {
    let (mut admission, mut callers) = begun(config());
    let lines = head_of(&[
        (":method", "POST"),
        (":path", "/v1/chat/completions"),
        ("authorization", "Bearer sk-tg-all"),
    ]);
    admission.on(Input::Head {
        head: Head(&lines),
        now: at(0),
        callers: &mut callers,
    });
    let body = body.as_bytes().to_vec();
    let counter = &mut Counter::new();
    match admission.on(Input::Body {
        body,
        counter,
        standings: &NoStandings,
        weather: &mut Weather::default(),
    }) {
        Some(Step::Forward(exchange)) => *exchange,
        other => panic!("not admitted: {other:?}"),
    }
}
