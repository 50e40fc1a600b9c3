//! The API as its callers see it, over a socket.

mod document;
mod live;
mod stage;

use serde_json::{Value, json};
use stage::{Stage, TOKEN, fields};
use tollgate_core::money::ledger::Account;
use tollgate_core::tenancy::{Entity, KeyHash, Level, Managed, Secret, Tenant};
use tollgate_core::units::NanoUsd;

fn of_file(stage: &Stage, name: &str) {
    let tenant = Tenant {
        managed: Managed::File,
        secrets: vec![Secret {
            sha256: KeyHash::of(name.as_bytes()),
            expires: None,
        }],
        ..Tenant::default()
    };
    let entity = Entity::Tenant(Level::Key, name.to_owned(), Some(Box::new(tenant)));
    let mut directory = stage.service.directory.write().unwrap();
    let revision = directory.revision() + 1;
    directory.apply(entity, revision).unwrap();
}

#[test]
fn a_key_lives_from_its_making_to_its_end() {
    let stage = Stage::new();
    stage.does(
        r#"POST /orgs {"name": "acme", "max_budget": "1000", "budget_duration": "month"}"#,
        201,
    );
    let team = r#"POST /teams {"name": "search", "org": "acme", "models": ["small"]}"#;
    stage.does(team, 201);
    let made = stage.does(
        r#"POST /keys {"name": "bot", "team": "search", "max_budget": 5}"#,
        201,
    );
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(
        secret.starts_with("sk-tg-") && secret.len() == 49,
        "{secret}"
    );

    let shown = stage.does("GET /keys/bot", 200);
    assert_eq!(shown["secret"], Value::Null);
    assert_eq!(shown["resolved"]["org"], "acme");
    assert_eq!(shown["resolved"]["models"], json!(["small"]));
    assert_eq!(shown["max_budget"], "5");
    let directory = || stage.service.directory.read().unwrap();
    let known = |secret: &str| directory().key(&KeyHash::of(secret.as_bytes()));
    assert_eq!(known(&secret).unwrap().purses.len(), 2);

    let rotated = stage.does(r#"POST /keys/bot/rotate {"overlap": "1h"}"#, 200);
    let second = rotated["secret"].as_str().unwrap().to_owned();
    assert!(known(&secret).unwrap().expires.is_some());
    assert_eq!(known(&second).unwrap().expires, None);
    let third = stage.does(r#"POST /keys/bot/rotate {"overlap": "0s"}"#, 200);
    assert_eq!((known(&secret), known(&second)), (None, None));
    let third = third["secret"].as_str().unwrap();

    stage.does("POST /keys/bot/disable", 200);
    assert!(known(third).unwrap().disabled);
    stage.does("POST /keys/bot/enable", 200);
    assert!(!known(third).unwrap().disabled);
    let expired = stage.does(r#"POST /keys/bot/expire {"at": "2030-01-31"}"#, 200);
    assert_eq!(expired["expires"], "2030-01-31T00:00:00Z");
    let changed = stage.does(
        r#"PATCH /keys/bot {"expires": null, "max_budget": "7.50"}"#,
        200,
    );
    let asked = ["expires", "max_budget"];
    let wanted = json!({"max_budget": "7.5"});
    assert_eq!(fields(&changed, &asked), fields(&wanted, &asked));

    assert_eq!(stage.refuses("DELETE /teams/search", 409), "has_members");
    stage.does("DELETE /keys/bot", 200);
    assert_eq!(known(third), None);
    stage.does("DELETE /teams/search", 200);
    assert_eq!(stage.refuses("GET /keys/bot", 404), "not_found");

    let log = stage.does("GET /audit", 200);
    assert_eq!(
        actions(&log),
        [
            "create org acme",
            "create team search",
            "create key bot",
            "rotate key bot",
            "rotate key bot",
            "disable key bot",
            "enable key bot",
            "expire key bot",
            "update key bot",
            "delete key bot",
            "delete team search",
        ]
    );
    assert_eq!(log["data"][2]["detail"]["after"]["max_budget"], "7.5");
    for secret in [&secret, &second, third] {
        assert!(!tells(&log, secret));
    }
}

/// Whether it has a secret in it, or the hash of one.
fn tells(log: &Value, secret: &str) -> bool {
    let text = log.to_string();
    text.contains(secret) || text.contains(&KeyHash::of(secret.as_bytes()).to_string())
}

/// What the audit log tells, the first first.
fn actions(log: &Value) -> Vec<String> {
    let rows = log["data"].as_array().unwrap().iter().rev();
    let told = rows.map(|row| {
        let [action, kind, name] = ["action", "kind", "name"].map(|it| row[it].as_str().unwrap());
        format!("{action} {kind} {name}")
    });
    told.collect()
}

#[test]
fn nobody_gets_in_without_the_token() {
    let stage = Stage::new();
    let with = |value: &str| {
        let headers = [("authorization", value.to_owned())];
        let (status, reply) = stage.raw("GET", "/api/v1/keys", &headers, "");
        (
            status,
            reply["error"]["code"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    assert_eq!(with(&format!("bearer {TOKEN} ")).0, 200);
    for wrong in ["Bearer ", "Bearer 0123456789abcdef0124", "Basic abc"] {
        assert_eq!(with(wrong).0, 401, "{wrong}");
    }
    assert_eq!(with("Bearer x").1, "wrong_token");
    let (status, reply) = stage.raw("GET", "/api/v1/keys", &[], "");
    assert_eq!(
        (status, &reply["error"]["code"]),
        (401, &json!("missing_token"))
    );
    for open in ["/api/v1/health", "/api/v1/ready", "/api/v1/openapi.json"] {
        assert_eq!(stage.raw("GET", open, &[], "").0, 200, "{open}");
    }
    *stage.service.unwell.lock().unwrap() = Some("the database does not answer".to_owned());
    let (status, reply) = stage.raw("GET", "/api/v1/ready", &[], "");
    assert_eq!(
        (status, &reply["error"]["message"]),
        (503, &json!("the database does not answer"))
    );
    assert_eq!(stage.raw("GET", "/api/v1/health", &[], "").0, 200);
}

#[test]
fn what_the_file_manages_can_only_be_disabled() {
    let stage = Stage::new();
    of_file(&stage, "demo");
    for line in [
        r#"PATCH /keys/demo {"models": ["small"]}"#,
        r#"PATCH /keys/demo {"disabled": true, "models": ["small"]}"#,
        "DELETE /keys/demo",
        "POST /keys/demo/rotate",
        "POST /keys/demo/expire",
        r#"PUT /budgets/key:demo {"max_budget": 3}"#,
        "DELETE /limits/key:demo",
    ] {
        assert_eq!(stage.refuses(line, 409), "managed_by_file", "{line}");
    }
    let shown = stage.does("POST /keys/demo/disable", 200);
    assert_eq!(
        fields(&shown, &["disabled", "managed"]),
        fields(
            &json!({"disabled": true, "managed": "file"}),
            &["disabled", "managed"]
        )
    );
    let shown = stage.does(r#"PATCH /keys/demo {"disabled": false}"#, 200);
    assert_eq!(shown["disabled"], false);
}

const MISTAKES: &[(&str, u16, &str)] = &[
    ("POST /teams", 400, "invalid_body"),
    ("POST /teams []", 400, "invalid_body"),
    ("POST /teams {}", 400, "invalid_body"),
    (
        r#"POST /teams {"name": "x", "org": "nobody"}"#,
        400,
        "unknown_parent",
    ),
    (
        r#"POST /keys {"name": "x", "sha256": "12"}"#,
        400,
        "invalid_body",
    ),
    (
        r#"POST /keys {"name": "x", "max_budget": 1e300}"#,
        400,
        "invalid_body",
    ),
    ("GET /keys?limit=0", 400, "invalid_parameter"),
    ("GET /keys?limit=2&limit=3", 400, "invalid_parameter"),
    ("GET /keys?colour=red", 400, "unknown_parameter"),
    ("GET /keys?disabled=maybe", 400, "invalid_parameter"),
    ("GET /nothing", 404, "not_found"),
    ("GET /keys/a/b/c", 404, "not_found"),
    ("GET /keys/%zz", 404, "not_found"),
    ("PUT /keys", 405, "wrong_method"),
    (r#"DELETE /keys/x {"really": true}"#, 400, "invalid_body"),
    (r#"PATCH /keys/x {"a": 1}"#, 404, "not_found"),
    (r#"PUT /switches/model:smal {}"#, 400, "invalid_switch"),
    (r#"PUT /switches/alpha {}"#, 400, "invalid_switch"),
    (r#"PUT /budgets/team:x {"max_budget": 1}"#, 404, "not_found"),
    (
        r#"PUT /budgets/what {"max_budget": 1}"#,
        400,
        "invalid_scope",
    ),
    (
        r#"PUT /budgets/everyone {"rpm_limit": 1}"#,
        400,
        "invalid_body",
    ),
    (
        r#"PUT /budgets/model:smal {"max_budget": 1}"#,
        404,
        "not_found",
    ),
    ("GET /accounts?scope=team:x", 404, "not_found"),
    ("GET /spend?by=colour", 400, "invalid_parameter"),
    ("GET /spend?every=5m", 400, "invalid_parameter"),
    ("GET /spend?every=1h&from=3000d", 400, "invalid_parameter"),
    ("GET /spend?from=tomorrow", 400, "invalid_parameter"),
    ("GET /records?status=many", 400, "invalid_parameter"),
];

#[test]
fn every_mistake_of_a_body_is_told_with_its_cure() {
    let stage = Stage::new();
    let reply = stage.does(
        r#"POST /teams {"name": "a b", "modells": [], "models": ["smal"], "budgets": [{"max": 1, "window": "month", "time_zone": "Europe/Berln"}]}"#,
        400,
    );
    let problems = reply["error"]["problems"].as_array().unwrap();
    let told: Vec<&str> = problems
        .iter()
        .map(|it| it["at"].as_str().unwrap())
        .collect();
    assert_eq!(
        told,
        ["modells", "name", "budgets[0].time_zone", "models[0]"]
    );
    assert_eq!(problems[2]["fix"], "write `Europe/Berlin`");
    for (line, status, code) in MISTAKES {
        assert_eq!(stage.refuses(line, *status), *code, "{line}");
    }
    stage.does(r#"POST /keys {"name": "x"}"#, 201);
    assert_eq!(stage.refuses(r#"POST /keys {"name": "x"}"#, 409), "exists");
    assert_eq!(
        stage.refuses(r#"PATCH /keys/x {"name": "y"}"#, 400),
        "invalid_body"
    );
    let sha256 = KeyHash::of(b"mine");
    stage.does(
        &format!(r#"POST /keys {{"name": "y", "sha256": "{sha256}"}}"#),
        201,
    );
    let again = format!(r#"POST /keys {{"name": "z", "sha256": "{sha256}"}}"#);
    assert_eq!(stage.refuses(&again, 409), "conflict");
}

#[test]
fn a_body_has_bounds() {
    let stage = Stage::new();
    let headers = [("authorization", format!("Bearer {TOKEN}"))];
    let post = |body: &str| stage.raw("POST", "/api/v1/teams", &headers, body).0;
    assert_eq!(post(&"x".repeat(300_000)), 413);
    assert_eq!(post("{"), 400);
    assert_eq!(post(&"[".repeat(100_000)), 400);
    assert_eq!(post("\u{0}"), 400);
}

#[test]
fn lists_come_in_pages_and_can_be_filtered() {
    let stage = Stage::new();
    stage.does(r#"POST /teams {"name": "one"}"#, 201);
    for number in 0..25 {
        let team = if number % 2 == 0 {
            r#", "team": "one""#
        } else {
            ""
        };
        stage.does(
            &format!(r#"POST /users {{"name": "u{number:02}"{team}}}"#),
            201,
        );
    }
    let mut names = Vec::new();
    let mut after = String::new();
    loop {
        let page = stage.does(&format!("GET /users?limit=10{after}"), 200);
        let rows = page["data"].as_array().unwrap();
        assert!(rows.len() <= 10);
        names.extend(
            rows.iter()
                .map(|row| row["name"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let want: Vec<String> = (0..25).map(|number| format!("u{number:02}")).collect();
    assert_eq!(names, want);
    let count = |path: &str| stage.does(path, 200)["data"].as_array().unwrap().len();
    assert_eq!(count("GET /users?team=one"), 13);
    assert_eq!(count("GET /users?team=two"), 0);
    assert_eq!(count("GET /users?disabled=true"), 0);
    assert_eq!(count("GET /users?managed=file"), 0);
}

#[test]
fn budgets_are_set_by_scope_and_shown_with_how_they_stand() {
    let stage = Stage::new();
    stage.does(r#"POST /teams {"name": "search", "rpm_limit": 9}"#, 201);
    stage.does(
        r#"PUT /budgets/team:search {"max_budget": "100", "budget_duration": "month"}"#,
        200,
    );
    stage.does(
        r#"PUT /budgets/everyone {"budgets": [{"max": "1000", "window": "day", "mode": "audit"}]}"#,
        200,
    );
    stage.does(r#"PUT /limits/model:small {"tpm_limit": 5}"#, 200);
    let scopes = |path: &str| -> Vec<String> {
        let page = stage.does(path, 200);
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["scope"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(scopes("GET /budgets"), ["everyone", "team:search"]);
    assert_eq!(scopes("GET /limits"), ["model:small", "team:search"]);
    assert_eq!(scopes("GET /budgets?limit=1"), ["everyone"]);
    assert_eq!(
        scopes("GET /budgets?limit=1&after=everyone"),
        ["team:search"]
    );
    // Who sets budgets leaves the limits alone.
    let team = stage.does("GET /teams/search", 200);
    assert_eq!(
        (&team["rpm_limit"], &team["max_budget"]),
        (&json!(9), &json!("100"))
    );

    *stage.service.account.lock().unwrap() = Account {
        held: NanoUsd(1_500_000_000),
        posted: NanoUsd(20_000_000_000),
        ..Account::default()
    };
    let accounts = stage.does("GET /accounts?scope=team:search", 200);
    let account = &accounts["data"][0];
    let want = json!({"scope": "team:search", "limit": "100", "spent": "20", "held": "1.5", "presumed": "0", "available": "78.5", "window": "month"});
    let names = [
        "scope",
        "limit",
        "spent",
        "held",
        "presumed",
        "available",
        "window",
    ];
    assert_eq!(fields(account, &names), fields(&want, &names));
    assert!(
        account["resets"]
            .as_str()
            .unwrap()
            .ends_with("-01T00:00:00Z"),
        "{account}"
    );
    let all = stage.does("GET /accounts", 200);
    assert_eq!(all["data"].as_array().unwrap().len(), 2);

    stage.does("DELETE /budgets/team:search", 200);
    assert_eq!(scopes("GET /budgets"), ["everyone"]);
    assert_eq!(scopes("GET /limits"), ["model:small", "team:search"]);
}

#[test]
fn a_switch_turns_things_off_and_on() {
    let stage = Stage::new();
    stage.does(
        r#"PUT /switches/deployment:alpha%2Falpha-small {"reason": "wrong answers"}"#,
        200,
    );
    stage.does("PUT /switches/model:small", 200);
    let list = stage.does("GET /switches", 200);
    assert_eq!(
        list["data"][0],
        json!({"switch": "deployment:alpha/alpha-small", "off": true, "reason": "wrong answers"})
    );
    let off = || stage.service.directory.read().unwrap().commons().off;
    assert_eq!(
        (off().deployments, off().models),
        (
            vec!["alpha/alpha-small".to_owned()],
            vec!["small".to_owned()]
        )
    );
    stage.does("DELETE /switches/deployment:alpha%2Falpha-small", 200);
    stage.does("DELETE /switches/model:small", 200);
    assert!(off().is_empty());
}

#[test]
fn reports_are_asked_for_as_they_are_wanted() {
    let stage = Stage::new();
    let spend = stage.does(
        "GET /spend?by=team,model&from=2026-11-01&until=2026-11-20&every=1d&team=search",
        200,
    );
    assert_eq!(spend["data"][0]["team"], "Team");
    assert_eq!(spend["data"][0]["cost"], "1.5");
    assert_eq!(
        (&spend["from"], &spend["until"]),
        (
            &json!("2026-11-01T00:00:00Z"),
            &json!("2026-11-20T00:00:00Z")
        )
    );
    let records = stage.does(
        "GET /records?team=search&tag=chat&status=200&order=oldest_first",
        200,
    );
    assert_eq!(
        records["data"][0]["record"]["only"],
        r#"[(Team, "search"), (Tag, "chat")]"#
    );
    assert_eq!(records["data"][0]["name"], "1-0-7");
}

#[test]
fn every_zone_that_may_be_written_has_rules() {
    for zone in tollgate_core::config::check::zones::all() {
        assert!(jiff::tz::TimeZone::get(zone).is_ok(), "{zone}");
    }
}
