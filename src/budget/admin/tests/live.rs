//! The API over the engine and a store.

use std::sync::Arc;

use serde_json::json;
use tollgate_core::tenancy::KeyHash;

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
