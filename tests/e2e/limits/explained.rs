//! `tollgate explain` says what the running filter does.

use std::process::Command;

use serde_json::{Value, json};
use tollgate_tests::{Gateway, program};

use crate::alone;

#[test]
fn the_tool_names_the_limits_and_the_very_figures_that_the_filter_takes() {
    let gateway = Gateway::with(&alone("{rpm_limit: 10, tpm_limit: 10000, burst: 100%}"));
    let body = json!({
        "model": "small", "max_tokens": 77, "messages": [{"role": "user", "content": "how are you"}]
    });
    let reply = gateway
        .chat("small", "how are you")
        .key("one")
        .field("max_tokens", 77)
        .send();
    let left = |what: &str| -> u64 {
        let name = format!("x-ratelimit-remaining-{what}");
        reply.header(&name).unwrap().parse().unwrap()
    };
    let file = gateway.directory().join("request.json");
    std::fs::write(&file, body.to_string()).unwrap();
    let output = Command::new(program())
        .args(["explain", "--key", "one", "--config"])
        .arg(gateway.directory().join("gateway.yaml"))
        .arg(file)
        .output()
        .unwrap();
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let takes = |counts: &str| {
        let limits = said["limits"].as_array().unwrap();
        let limit = limits
            .iter()
            .find(|limit| limit["counts"] == counts)
            .unwrap();
        assert_eq!(limit["limit"], "team:search");
        limit["at_once"].as_u64().unwrap() - limit["takes"].as_u64().unwrap()
    };
    assert_eq!(
        (takes("requests"), takes("tokens")),
        (left("requests"), left("tokens"))
    );
    let hold = said["limits_hold"].as_str().unwrap();
    assert!(hold.contains("no budget_service"), "{hold}");
}
