//! Hard budgets where no words are bought: scores, sound, pictures.

use serde_json::{Value, json};
use tollgate_tests::{Call, Gateway, Reply};

use crate::books::{balance, settled};

/// Pictures by the piece, pictures by the token, speech that charges what is spoken, and what nobody prices.
const GATEWAY: &str = "
listen: {address: {listen}}
admin: {address: {admin}}
budget_service: {listen: {budget}, admin: {budget-admin}, store: sqlite}
providers:
  alpha: {dialect: openai, url: http://{alpha}/v1}
models:
  dall-e-3: {targets: [{provider: alpha}]}
  gpt-image-1: {targets: [{provider: alpha}]}
  held-image: {unbounded_hold: 0.50, targets: [{provider: alpha}]}
  tts-1: {targets: [{provider: alpha}]}
  gpt-4o-mini-tts: {targets: [{provider: alpha}]}
  omni-moderation: {targets: [{provider: alpha}]}
  unheard-of: {targets: [{provider: alpha}]}
tenants:
  teams: {search: {max_budget: 1}}
  keys:
  - {name: one, sha256: {key one}, team: search}
  - {name: free, sha256: {key free}}
prices:
  alpha/dall-e-3: {input: 0, output: 0, request: 0.04}
  alpha/gpt-image-1: {input: 5, output: 40}
  alpha/held-image: {input: 5, output: 40}
  alpha/tts-1: {input: 15, output: 0}
  alpha/gpt-4o-mini-tts: {input: 0.6, output: 12}
  alpha/omni-moderation: {input: 0, output: 0}
telemetry: {access_log: {log}}
";

fn picture(model: &str, n: u64) -> (&'static str, Value) {
    let body = json!({"model": model, "prompt": "a gate", "n": n});
    ("/v1/images/generations", body)
}

fn speech(model: &str) -> (&'static str, Value) {
    let body = json!({"model": model, "input": "how are you", "voice": "alloy"});
    ("/v1/audio/speech", body)
}

fn ask(gateway: &Gateway, key: &str, (path, body): (&str, Value)) -> Reply {
    let call: Call = gateway.call("POST", path).key(key).json(body);
    call.send()
}

#[test]
fn a_hard_budget_pays_what_is_bounded_and_refuses_what_is_not() {
    let gateway = Gateway::with(GATEWAY);
    let mut spent = 0;
    for (asked, want) in [
        // By the piece.
        (picture("dall-e-3", 1), Ok(40_000_000)),
        (picture("dall-e-3", 3), Ok(120_000_000)),
        // How many tokens a picture has nobody knows before it is there.
        (picture("gpt-image-1", 1), Err("403 unmetered_endpoint")),
        // Two tokens of the prompt and a hundred of the picture, as the provider says.
        (picture("held-image", 1), Ok(2 * 5_000 + 100 * 40_000)),
        (speech("gpt-4o-mini-tts"), Err("403 unmetered_endpoint")),
        // Without figures of the provider all that was held is spent: a bound of what was sent.
        (speech("tts-1"), Ok(0)),
        (
            (
                "/v1/moderations",
                json!({"model": "omni-moderation", "input": "hello"}),
            ),
            Ok(0),
        ),
        (
            (
                "/v1/moderations",
                json!({"model": "unheard-of", "input": "hello"}),
            ),
            Err("400 unpriced_model"),
        ),
    ] {
        let case = format!("{asked:?}");
        let reply = ask(&gateway, "one", asked);
        match want {
            Err(want) => {
                let code = reply.json()["error"]["code"].clone();
                let got = format!("{} {}", reply.status(), code.as_str().unwrap());
                assert_eq!(got, want, "{case}");
            }
            Ok(cost) => {
                assert_eq!(reply.status(), 200, "{case}: {}", reply.text());
                let record = gateway.record_of(reply.header("x-tollgate-trace-id"));
                let logged = record["cost_nanousd"].as_u64().unwrap_or_default();
                spent += logged;
                if case.contains("tts-1") {
                    assert!((45_000..2_000_000).contains(&logged), "{case}: {record}");
                } else {
                    assert_eq!(logged, cost, "{case}: {record}");
                }
            }
        }
    }
    settled(&gateway, 8);
    assert_eq!(balance(&gateway).posted, spent);
}

#[test]
fn what_has_no_known_price_is_recorded_so_and_never_as_free() {
    let gateway = Gateway::with(GATEWAY);
    for (asked, priced, cost) in [
        (picture("dall-e-3", 2), Value::Null, json!(80_000_000)),
        // Its tokens are an estimate.
        (speech("tts-1"), Value::Null, json!("by its text")),
        (speech("gpt-4o-mini-tts"), json!("unknown"), Value::Null),
        (picture("unheard-of", 1), json!("unknown"), Value::Null),
    ] {
        let case = format!("{asked:?}");
        let reply = ask(&gateway, "free", asked);
        assert_eq!(reply.status(), 200, "{case}: {}", reply.text());
        let record = gateway.record_of(reply.header("x-tollgate-trace-id"));
        let text = record["tokens"]["input"].as_u64().unwrap();
        let cost = if cost.is_string() && (3..=5).contains(&text) {
            json!(text * 15_000)
        } else {
            cost
        };
        let got = (&record["priced"], &record["cost_nanousd"]);
        assert_eq!(got, (&priced, &cost), "{case}: {record}");
    }
}
