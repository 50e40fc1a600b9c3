//! Who is admitted, who is told what, and what the caller sees when nobody answered.

use proptest::prelude::*;

use super::*;
use crate::config::{Price, Purse, Target, Terms};
use crate::handoff::Tried;
use crate::money::ids::ScopeId;
use crate::money::wanted::NoStandings;
use crate::testing::{admitted, at, begun, config, head_of};
use crate::units::{NanoUsd, Tokens};

const KEY: (&str, &str) = ("authorization", "Bearer sk-tg-all");
const POST: (&str, &str) = (":method", "POST");
const CHAT: (&str, &str) = (":path", "/v1/chat/completions");
const BODY: &str = r#"{"model":"small","messages":[]}"#;

/// `forward`, or the status and code of the answer.
fn outcome(lines: &[(&str, &str)], body: &str) -> String {
    outcome_of(config(), lines, body)
}

fn outcome_of(config: Gateway, lines: &[(&str, &str)], body: &str) -> String {
    outcome_in(config, lines, body, &mut Weather::default())
}

fn outcome_in(
    config: Gateway,
    lines: &[(&str, &str)],
    body: &str,
    weather: &mut Weather,
) -> String {
    let (mut admission, mut callers) = begun(config);
    let lines = head_of(lines);
    let mut step = admission.on(Input::Head {
        head: Head(&lines),
        now: at(0),
        callers: &mut callers,
    });
    if matches!(step, Some(Step::AwaitBody)) {
        step = admission.on(Input::Body {
            body: body.as_bytes().to_vec(),
            counter: &mut Counter::new(),
            standings: &NoStandings,
            weather,
        });
    }
    match step.expect("a decision") {
        Step::AwaitBody => "await".to_owned(),
        Step::Identify(_) => "identify".to_owned(),
        Step::Limit(draws) => format!("limit {}", draws.len()),
        Step::Hold(wanted) => format!("hold {}", wanted.amount),
        Step::Forward(exchange) => format!("forward {}", exchange.request.model),
        Step::Answer(answer) => format!("{} {}", answer.status, answer.code.unwrap_or("-")),
    }
}

#[test]
fn a_request_is_forwarded_or_told_why_not() {
    for (lines, body, want) in [
        (vec![POST, CHAT, KEY], BODY, "forward small"),
        (vec![POST, CHAT], BODY, "401 missing_api_key"),
        (
            vec![POST, CHAT, ("x-api-key", "sk-tg-other")],
            BODY,
            "401 invalid_api_key",
        ),
        (
            vec![POST, CHAT, ("api-key", "sk-tg-none")],
            BODY,
            "403 model_not_allowed",
        ),
        (
            vec![POST, (":path", "/v1/nothing"), KEY],
            BODY,
            "404 unknown_endpoint",
        ),
        (
            vec![POST, (":path", "/v1/nothing")],
            BODY,
            "401 missing_api_key",
        ),
        (
            vec![(":method", "GET"), CHAT, KEY],
            BODY,
            "405 method_not_allowed",
        ),
        (
            vec![POST, CHAT, KEY],
            r#"{"model":"big"}"#,
            "404 model_not_found",
        ),
        (vec![POST, CHAT, KEY], "{", "400 invalid_json"),
        (vec![POST, CHAT, KEY], "", "400 invalid_json"),
        (
            vec![POST, CHAT, KEY, ("content-encoding", "gzip")],
            BODY,
            "415 unsupported_content_encoding",
        ),
        (
            vec![POST, CHAT, KEY, ("content-encoding", "Identity")],
            BODY,
            "forward small",
        ),
        (
            vec![POST, CHAT, KEY, ("content-length", "200001")],
            BODY,
            "413 body_too_large",
        ),
        (
            vec![POST, CHAT, KEY, ("content-length", "200000")],
            BODY,
            "forward small",
        ),
        (
            vec![POST, CHAT, KEY, ("content-length", "many")],
            BODY,
            "forward small",
        ),
        (vec![], BODY, "401 missing_api_key"),
        (vec![KEY], BODY, "404 unknown_endpoint"),
    ] {
        assert_eq!(outcome(&lines, body), want, "{lines:?} {body}");
    }
}

/// Everybody's hard budget pays; `change` is made to every target.
fn under_a_hard_budget(body: &str, change: fn(&mut Target)) -> String {
    let mut config = config();
    config.commons.everyone = vec![Purse {
        scope: ScopeId::named("everyone"),
        name: "everyone".to_owned(),
        ..Purse::default()
    }];
    for model in &mut config.models {
        model.targets.iter_mut().for_each(change);
    }
    outcome_of(config, &[POST, CHAT, KEY], body)
}

#[test]
fn a_hard_budget_holds_the_worst_case_or_says_why_there_is_none() {
    let asked = |fields: &str| format!(r#"{{"model":"small","max_tokens":1000000,{fields}}}"#);
    let words = asked(r#""messages":[]"#);
    let search = asked(r#""messages":[],"web_search_options":{}"#);
    let priority = asked(r#""messages":[],"service_tier":"priority""#);
    let file =
        asked(r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]"#);
    let as_it_is: fn(&mut Target) = |_| ();
    let windowed: fn(&mut Target) = |target| target.context_window = Some(Tokens(2_000_000));
    let configured: fn(&mut Target) = |target| target.unbounded_hold = Some(NanoUsd(500_000_000));
    let free: fn(&mut Target) = |target| target.price = Some(Price::default());
    let refused = "400 unbounded_request";
    for (body, change, want) in [
        (&words, as_it_is, "hold $2.0000"),
        (&search, as_it_is, refused),
        (&search, windowed, refused),
        (&search, configured, "hold $0.5"),
        (&search, free, "forward small"),
        (&priority, as_it_is, refused),
        (&file, as_it_is, refused),
        (&file, windowed, "hold $4"),
        (&file, configured, "hold $0.5"),
    ] {
        let got = under_a_hard_budget(body, change);
        assert!(got.starts_with(want), "{got}, not {want}: {body}");
    }
    // Who has no hard budget may ask for anything.
    assert_eq!(outcome(&[POST, CHAT, KEY], &search), "forward small");
}

#[test]
fn what_is_usual_sizes_the_hold_of_a_soft_budget_and_never_that_of_a_hard_one() {
    let body = r#"{"model":"small","max_tokens":1000000,"messages":[]}"#;
    let mut weather = Weather::default();
    for _ in 0..8 {
        weather.usual.learn("sk-tg-all", 0, Tokens(250_000));
    }
    for (hard, want) in [(true, "hold $2.0"), (false, "hold $0.5")] {
        let mut config = config();
        config.commons.everyone = vec![Purse {
            scope: ScopeId::named("everyone"),
            name: "everyone".to_owned(),
            terms: Terms {
                hard,
                ..Terms::default()
            },
        }];
        let got = outcome_in(config, &[POST, CHAT, KEY], body, &mut weather);
        assert!(got.starts_with(want), "{got}, not {want}");
    }
}

#[test]
fn a_body_without_a_length_is_stopped_when_it_has_grown_too_large() {
    let (mut admission, mut callers) = begun(config());
    let lines = head_of(&[POST, CHAT, KEY]);
    admission.on(Input::Head {
        head: Head(&lines),
        now: at(0),
        callers: &mut callers,
    });
    assert!(matches!(
        admission.on(Input::BodyGrows { bytes: 200_000 }),
        Some(Step::AwaitBody)
    ));
    let step = admission.on(Input::BodyGrows { bytes: 200_001 });
    assert!(
        matches!(step, Some(Step::Answer(Answer { status: 413, .. }))),
        "{step:?}"
    );
    assert!(
        admission
            .on(Input::Body {
                body: Vec::new(),
                counter: &mut Counter::new(),
                standings: &NoStandings,
                weather: &mut Weather::default(),
            })
            .is_none(),
        "answered once"
    );
}

#[test]
fn trailers_are_refused_since_nobody_reads_them() {
    let (mut admission, mut callers) = begun(config());
    let lines = head_of(&[POST, CHAT, KEY]);
    admission.on(Input::Head {
        head: Head(&lines),
        now: at(0),
        callers: &mut callers,
    });
    let step = admission.on(Input::Trailers);
    assert!(
        matches!(
            step,
            Some(Step::Answer(Answer {
                code: Some("unsupported_trailers"),
                ..
            }))
        ),
        "{step:?}"
    );
}

#[test]
fn a_caller_sees_the_models_it_may_use_and_no_others() {
    let list = |key: &str, path: &str| {
        let (mut admission, mut callers) = begun(config());
        let lines = [(":method", "GET"), (":path", path), ("x-api-key", key)];
        let lines = head_of(&lines);
        match admission.on(Input::Head {
            head: Head(&lines),
            now: at(0),
            callers: &mut callers,
        }) {
            Some(Step::Answer(answer)) => (
                answer.status,
                serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap(),
            ),
            other => panic!("{other:?}"),
        }
    };
    let (status, body) = list("sk-tg-all", "/v1/models");
    assert_eq!(
        (
            status,
            body["object"].as_str(),
            body["data"][0]["id"].as_str()
        ),
        (200, Some("list"), Some("small"))
    );
    assert_eq!(
        list("sk-tg-none", "/v1/models").1["data"],
        serde_json::json!([])
    );
    assert_eq!(list("sk-tg-all", "/v1/models/small").1["id"], "small");
    assert_eq!(list("sk-tg-none", "/v1/models/small").0, 404);
    assert_eq!(list("sk-tg-all", "/v1/models/big").0, 404);
}

/// The status, code and `retry-after` that the caller gets for an attempt that ended like this.
fn told(end: End) -> String {
    let mut exchange = admitted(BODY);
    exchange.attempts.push(Tried {
        number: 0,
        started: at(0),
        end,
    });
    let answer = match reply_head(&mut exchange, at(10)) {
        Ok(status) => return format!("{status} from the provider"),
        Err(answer) => answer,
    };
    let after = answer.headers.iter().map(|(_, value)| format!(" {value}"));
    format!(
        "{} {}{}",
        answer.status,
        answer.code.unwrap_or("-"),
        after.collect::<String>()
    )
}

#[test]
fn the_caller_gets_a_true_status_whatever_envoy_answers() {
    for (why, provider, want) in [
        (Failure::RateLimited, 429, "429 provider_rate_limited 7"),
        (Failure::Status, 500, "502 provider_error"),
        (Failure::Status, 503, "503 provider_error"),
        (Failure::Status, 529, "503 provider_error"),
        (Failure::Status, 504, "504 provider_error"),
        (Failure::ErrorInReply, 200, "502 provider_error"),
        (Failure::Credential, 401, "502 provider_credential_refused"),
    ] {
        let end = End::Failed(Failed {
            why,
            status: provider,
            retry_after: (provider == 429).then(|| "7".to_owned()),
        });
        assert_eq!(told(end), want);
    }
    let refused = |status, body: &[u8]| End::Refused {
        status,
        body: body.to_vec(),
    };
    assert_eq!(told(refused(400, b"{}")), "400 provider_refused");
    assert_eq!(told(refused(404, b"")), "404 provider_refused");
    assert_eq!(told(End::Pending), "503 provider_unreachable");
    assert_eq!(told(End::Accepted { status: 200 }), "200 from the provider");
}

#[test]
fn an_attempt_that_was_silent_too_long_timed_out() {
    for (waited_ms, want) in [
        (4_000, (503, Some("provider_unreachable"))),
        // Envoy's timer may strike a little early.
        (4_990, (504, Some("provider_timeout"))),
        (5_000, (504, Some("provider_timeout"))),
    ] {
        let mut exchange = admitted(r#"{"model":"small","stream":true}"#);
        exchange.attempts.push(Tried {
            number: 0,
            started: at(0),
            end: End::Pending,
        });
        let answer = reply_head(&mut exchange, at(waited_ms)).expect_err("an answer");
        assert_eq!((answer.status, answer.code), want, "{waited_ms} ms");
    }
}

#[test]
fn envoy_answering_before_any_attempt_is_told_as_what_it_is() {
    let answer = reply_head(&mut admitted(BODY), at(10)).expect_err("an answer");
    assert_eq!((answer.status, answer.code), (500, Some("gateway_error")));
}

proptest! {
    #[test]
    fn no_order_of_inputs_answers_twice_or_panics(order in prop::collection::vec(0_u8..5, 0..8)) {
        let (mut admission, mut callers) = begun(config());
        let lines = head_of(&[POST, CHAT, KEY]);
        let mut decided = 0;
        let mut counter = Counter::new();
        for kind in order {
            let input = match kind {
                0 => Input::Head { head: Head(&lines), now: at(0), callers: &mut callers },
                1 => Input::BodyGrows { bytes: 10 },
                2 => Input::Body { body: BODY.as_bytes().to_vec(), counter: &mut counter, standings: &NoStandings, weather: &mut Weather::default() },
                3 => Input::Body { body: Vec::new(), counter: &mut counter, standings: &NoStandings, weather: &mut Weather::default() },
                _ => Input::Trailers,
            };
            match admission.on(input) {
                Some(Step::Forward(_) | Step::Answer(_)) => decided += 1,
                Some(Step::AwaitBody | Step::Identify(_) | Step::Limit(_) | Step::Hold(_)) => prop_assert_eq!(decided, 0),
                None => prop_assert_eq!(decided, 1),
            }
        }
        prop_assert!(decided <= 1);
    }
}
