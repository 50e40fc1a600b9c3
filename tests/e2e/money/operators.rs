//! What operators change while everything runs: it is promised to be in force at every Envoy within two seconds, without a
//! reload, by the admin API and by the commands that ask it.

use std::time::Instant;

use serde_json::Value;
use tollgate_tests::{Gateway, wait_for};

use crate::books::{balance, settled};
use crate::{served, team};

/// One line a call, and the status it must have.
fn does(gateway: &Gateway, line: &str, status: u16) -> Value {
    let reply = gateway.operator(line);
    assert_eq!(reply.status(), status, "{line}: {}", reply.text());
    reply.json()
}

/// What a command says in JSON.
fn says(gateway: &Gateway, line: &str) -> Value {
    let mut words: Vec<&str> = line.split(' ').collect();
    words.extend(["--output", "json"]);
    let output = gateway.command(&words);
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "tollgate {line}: {complained}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("tollgate {line}: {error}: {said}"))
}

/// The status and the code that a caller with this key gets.
fn answer(gateway: &Gateway, secret: &str) -> (u16, String) {
    let call = gateway.chat("small", "hi").field("max_tokens", 5);
    let reply = call
        .header("authorization", &format!("Bearer {secret}"))
        .send();
    if reply.status() == 200 {
        return (200, String::new());
    }
    let code = reply.json()["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (reply.status(), code)
}

/// Waits until callers with this key are answered so.
fn in_force(gateway: &Gateway, secret: &str, status: u16, code: &str) {
    let began = Instant::now();
    let wanted = (status, code.to_owned());
    wait_for(&format!("{wanted:?}"), || {
        (answer(gateway, secret) == wanted).then_some(())
    });
    eprintln!("{status} {code} after {:?}", began.elapsed());
}

fn secret(made: &Value) -> String {
    made["secret"].as_str().unwrap().to_owned()
}

#[test]
fn a_key_is_made_disabled_rotated_and_ended_while_everything_runs() {
    let gateway = Gateway::with(&team("{max_budget: 1}"));
    let made = does(
        &gateway,
        r#"POST /keys {"name": "bot", "team": "search"}"#,
        201,
    );
    let first = secret(&made);
    in_force(&gateway, &first, 200, "");
    does(&gateway, "POST /keys/bot/disable", 200);
    in_force(&gateway, &first, 401, "disabled_api_key");
    does(&gateway, "POST /keys/bot/enable", 200);
    in_force(&gateway, &first, 200, "");

    let second = secret(&does(
        &gateway,
        r#"POST /keys/bot/rotate {"overlap": "1h"}"#,
        200,
    ));
    in_force(&gateway, &second, 200, "");
    in_force(&gateway, &first, 200, "");
    let third = secret(&does(
        &gateway,
        r#"POST /keys/bot/rotate {"overlap": "0s"}"#,
        200,
    ));
    in_force(&gateway, &third, 200, "");
    in_force(&gateway, &second, 401, "invalid_api_key");
    in_force(&gateway, &first, 401, "invalid_api_key");

    does(&gateway, "POST /keys/bot/expire", 200);
    in_force(&gateway, &third, 401, "expired_api_key");
    does(&gateway, "DELETE /keys/bot", 200);
    in_force(&gateway, &third, 401, "invalid_api_key");

    let log = does(&gateway, "GET /audit", 200);
    let told = log["data"].as_array().unwrap().iter().rev();
    let told: Vec<&str> = told
        .filter(|row| row["name"] == "bot")
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        told,
        [
            "create", "disable", "enable", "rotate", "rotate", "expire", "delete"
        ]
    );
}

#[test]
fn a_budget_that_is_cut_binds_and_one_that_is_raised_pays_while_everything_runs() {
    let gateway = Gateway::with(&team("{max_budget: 1}"));
    does(
        &gateway,
        r#"POST /teams {"name": "shop", "max_budget": 1}"#,
        201,
    );
    let till = secret(&does(
        &gateway,
        r#"POST /keys {"name": "till", "team": "shop"}"#,
        201,
    ));
    in_force(&gateway, &till, 200, "");
    does(
        &gateway,
        r#"PATCH /teams/shop {"max_budget": "0.0000001"}"#,
        200,
    );
    in_force(&gateway, &till, 429, "budget_exceeded");
    does(&gateway, r#"PATCH /teams/shop {"max_budget": 1}"#, 200);
    in_force(&gateway, &till, 200, "");
    let accounts = does(&gateway, "GET /accounts?scope=team:shop", 200);
    assert_eq!(accounts["data"][0]["limit"], "1", "{accounts}");
}

#[test]
fn what_is_switched_off_is_off_while_everything_runs() {
    let gateway = Gateway::with(&team("{max_budget: 1}"));
    let key = "sk-tg-one";
    in_force(&gateway, key, 200, "");
    for switch in [
        "provider:alpha",
        "deployment:alpha%2Falpha-small",
        "model:small",
    ] {
        does(
            &gateway,
            &format!(r#"PUT /switches/{switch} {{"reason": "fire"}}"#),
            200,
        );
        in_force(&gateway, key, 503, "switched_off");
        does(&gateway, &format!("DELETE /switches/{switch}"), 200);
        in_force(&gateway, key, 200, "");
    }
}

#[test]
fn commands_do_what_the_api_does() {
    let gateway = Gateway::with(&team("{max_budget: 1}"));
    let made = says(&gateway, "keys create bot --team search");
    let bot = secret(&made);
    in_force(&gateway, &bot, 200, "");
    let listed = says(&gateway, "keys list --team search");
    let names: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["bot", "one"]);
    says(&gateway, "keys disable bot");
    in_force(&gateway, &bot, 401, "disabled_api_key");
    says(&gateway, "keys enable bot");
    says(&gateway, "budgets set key:bot max_budget=0.0000001");
    in_force(&gateway, &bot, 429, "budget_exceeded");
    says(&gateway, "budgets delete key:bot");
    in_force(&gateway, &bot, 200, "");
    says(&gateway, "switch off model small");
    in_force(&gateway, &bot, 503, "switched_off");
    says(&gateway, "switch on model small");
    in_force(&gateway, &bot, 200, "");
    assert_eq!(says(&gateway, "teams list")[0]["name"], "search");
    let spent = wait_for("the spend", || {
        let spent = says(&gateway, "spend --by team");
        let lines = spent["data"].as_array().unwrap().clone();
        lines.into_iter().find(|line| line["team"] == "search")
    });
    assert!(spent["requests"].as_u64().unwrap() > 0, "{spent}");
    // What cannot be done is told with its cure, and the exit code says so too.
    let refused = gateway.command(&["keys", "show", "nobody"]);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("nobody") && told.contains("fix:"), "{told}");
}

#[test]
fn the_document_of_the_running_service_lists_what_it_answers() {
    let gateway = Gateway::with(&team("{max_budget: 1}"));
    let document = does(&gateway, "GET /openapi.json", 200);
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 20, "{}", paths.len());
    for (path, operations) in paths {
        let path = path.trim_start_matches("/api/v1");
        if operations.get("get").is_some() && !path.contains('{') {
            does(&gateway, &format!("GET {path}"), 200);
        }
    }
}

/// What an Envoy had left when it was stopped would count as spent, so it is called back before.
#[test]
fn what_lies_idle_comes_home_when_it_is_recalled() {
    let gateway = Gateway::with(&team("{max_budget: 1}"));
    for _ in 0..3 {
        assert_eq!(answer(&gateway, "sk-tg-one").0, 200);
    }
    settled(&gateway, 3);
    wait_for("money that lies idle", || {
        (balance(&gateway).held > 0).then_some(())
    });
    let recalled = does(&gateway, "POST /recall", 200);
    assert_eq!(recalled["recalled"], 1);
    wait_for("all of it to come home", || {
        (balance(&gateway).held == 0).then_some(())
    });
    assert_eq!(balance(&gateway).posted, served(&gateway));
}
