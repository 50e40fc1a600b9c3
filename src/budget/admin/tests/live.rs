//! The API over the engine and a store.

use std::sync::Arc;

use serde_json::json;
use tollgate_core::money::ids::{BodyHash, RecordNumber, ScopeId, Seq, StreamId};
use tollgate_core::money::message::{Charge, Debt, SyncRequest, Usage, Want};
use tollgate_core::tenancy::KeyHash;
use tollgate_core::units::NanoUsd;

use super::stage::{Service, Stage, runtime};
use crate::engine::{Engine, Settings};
use crate::store;

/// A service over the database in this folder.
fn start(folder: &std::path::Path) -> (Engine, Stage) {
    let runtime = runtime();
    let address = format!("sqlite:{}", folder.join("budget.sqlite3").display());
    let store = store::open(&address).unwrap();
    let (engine, _running) = {
        let _inside = runtime.enter();
        Engine::start(store, &[], Settings::default()).unwrap()
    };
    let backend = Arc::new(engine.clone());
    let stage = Stage::over(backend, Arc::new(Service::default()), runtime);
    (engine, stage)
}

#[test]
fn a_change_is_in_force_at_once_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let secret;
    {
        let (engine, stage) = start(folder.path());
        let since = engine.directory().revision();
        stage.does(r#"POST /teams {"name": "search", "max_budget": "100", "budget_duration": "month", "time_zone": "Europe/Berlin"}"#, 201);
        let made = stage.does(r#"POST /keys {"name": "bot", "team": "search"}"#, 201);
        secret = made["secret"].as_str().unwrap().to_owned();
        let key = engine
            .directory()
            .key(&KeyHash::of(secret.as_bytes()))
            .unwrap();
        assert_eq!(key.purses[0].name, "team:search");
        assert!(engine.directory().changed(since).revision > since);
        stage.does("PUT /switches/model:small", 200);
        stage.does("GET /ready", 200);
        let account = stage.does("GET /accounts", 200)["data"][0].clone();
        assert_eq!(
            (&account["limit"], &account["spent"], &account["available"]),
            (&json!("100"), &json!("0"), &json!("100"))
        );
        for empty in ["GET /spend?by=team", "GET /records", "GET /alerts"] {
            assert_eq!(stage.does(empty, 200)["data"], json!([]), "{empty}");
        }
        assert_eq!(
            stage.refuses(r#"POST /teams {"name": "search"}"#, 409),
            "exists"
        );
    }
    let (engine, stage) = start(folder.path());
    assert!(
        engine
            .directory()
            .key(&KeyHash::of(secret.as_bytes()))
            .is_some()
    );
    assert_eq!(engine.directory().commons().off.models, ["small"]);
    let log = stage.does("GET /audit", 200);
    let rows = log["data"].as_array().unwrap();
    let told: Vec<&str> = rows
        .iter()
        .map(|row| row["action"].as_str().unwrap())
        .filter(|action| *action != "adopt")
        .collect();
    assert_eq!(told[..3], ["switch_off", "create", "create"]);
    assert!(!log.to_string().contains(&secret));
}

/// Three requests of the team `search`: one that paid by a lease and a debt, one that paid what was held, one that another
/// model served.
async fn serve_three(engine: &Engine) {
    let scope = ScopeId::named("team:search");
    let batch = SyncRequest {
        incarnation: engine.hello().await.unwrap().incarnation,
        stream: StreamId(1),
        ..SyncRequest::default()
    };
    let asks = SyncRequest {
        seq: Seq(1),
        wants: vec![Want {
            scope,
            need: NanoUsd(1_000),
            want: NanoUsd(1_000),
        }],
        ..batch.clone()
    };
    let answer = engine.sync(asks, BodyHash::default()).await.unwrap();
    let lease = answer.result.unwrap().grants[0].lease;
    let served = |number: u64, model: &str, basis: &str, paid: u64, owed: u64| {
        Usage {
        number: RecordNumber(number),
        charges: vec![Charge {
            lease,
            nanos: NanoUsd(paid),
            ..Charge::default()
        }],
        debts: (owed > 0)
            .then_some(Debt {
                scope,
                nanos: NanoUsd(owed),
            })
            .into_iter()
            .collect(),
        cost: NanoUsd(paid + owed),
        record: json!({
            "time": "2024-05-20T09:30:00.125Z", "provider": "alpha", "model_served": model, "status": 200, "end": "ok",
            "tokens": {"input": 10, "output": 5}, "cost_nanousd": paid + owed, "cost_basis": basis,
        })
        .to_string()
        .into_bytes(),
        ..Usage::default()
    }
    };
    let tells = SyncRequest {
        seq: Seq(2),
        usage: vec![
            served(1, "small", "reported", 15, 5),
            served(2, "small", "reserved", 7, 0),
            served(3, "large", "reported", 3, 0),
        ],
        ..batch
    };
    let answer = engine.sync(tells, BodyHash::default()).await.unwrap();
    assert!(answer.result.is_ok(), "{answer:?}");
}

#[test]
fn another_price_is_made_up_for_by_entries_and_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, stage) = start(folder.path());
    stage.does(
        r#"POST /teams {"name": "search", "max_budget": "1", "budget_duration": "total"}"#,
        201,
    );
    runtime().block_on(serve_three(&engine));
    let spent = || stage.does("GET /accounts", 200)["data"][0]["spent"].clone();
    let reprice = |more: &str| {
        let line = format!(
            r#"POST /reprice {{"from": "2024-05-20", "prices": [
                {{"provider": "alpha", "model": "small", "price": {{"rates": {{"input": 1, "output": 1}}}}}},
                {{"provider": "alpha", "model": "small", "since": "2024-05-20T09:00:00Z",
                  "price": {{"rates": {{"input": 3000000, "output": 2000000}}}}}}]{more}}}"#
        );
        let told = stage.does(&line, 200);
        let sums = [
            "records",
            "corrected",
            "same",
            "not_by_usage",
            "no_price",
            "failed",
        ];
        assert_eq!(told["next"], json!(null));
        (
            sums.map(|name| told[name].as_u64().unwrap()),
            told["more_nanousd"].as_u64().unwrap(),
        )
    };
    assert_eq!(spent(), "0.00000003");
    assert_eq!(reprice(r#", "dry_run": true"#), ([3, 1, 0, 1, 1, 0], 20));
    assert_eq!(spent(), "0.00000003");
    assert_eq!(reprice(r#", "reason": "x""#), ([3, 1, 0, 1, 1, 0], 20));
    assert_eq!(spent(), "0.00000005");
    assert_eq!(reprice(""), ([3, 0, 1, 1, 1, 0], 0));
    assert_eq!(spent(), "0.00000005");
    let records = stage.does("GET /records?order=oldest_first", 200);
    let first = &records["data"][0];
    assert_eq!(
        (
            &first["cost"],
            &first["corrected"],
            &first["record"]["cost_nanousd"]
        ),
        (&json!("0.00000004"), &json!("0.00000004"), &json!(20))
    );
    let sums = stage.does("GET /spend?from=2024-05-20&by=model_served", 200);
    assert_eq!(sums["total"]["cost_nanousd"], 50);
    let log = stage.does("GET /audit", 200);
    assert_eq!(log["data"][0]["action"], "reprice");
    for wrong in [
        r#"POST /reprice {"from": "yesterday", "prices": []}"#,
        r#"POST /reprice {"from": "2024-05-20"}"#,
        r#"POST /reprice {"from": "2024-05-20", "prices": [], "to": 1}"#,
    ] {
        assert_eq!(stage.refuses(wrong, 400), "invalid_body", "{wrong}");
    }
}
