//! `tollgate reprice`: what was served is charged by the right price afterwards, by entries that tell of it.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tollgate_tests::{Gateway, program};

use crate::books::{balance, records, settled};
use crate::{served, team};

/// With the prices of this file.
fn reprice(gateway: &Gateway, config: &str, more: &[&str]) -> Value {
    let output = Command::new(program())
        .args([
            "reprice",
            "--from",
            "2020-01-01",
            "--output",
            "json",
            "--config",
        ])
        .arg(gateway.directory().join(config))
        .args(["--url", &format!("http://{}", gateway.budget_admin())])
        .arg("--data")
        .arg(gateway.directory().join("data"))
        .args(more)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_was_served_at_a_wrong_price_is_charged_by_the_right_one_and_nothing_is_rewritten() {
    let gateway = Gateway::with(&team("{max_budget: 1}"));
    for stream in [false, true, false] {
        let call = gateway.chat("small", "what is it").key("one");
        let reply = call.field("max_tokens", 20).field("stream", stream).send();
        assert_eq!(reply.status(), 200, "{}", reply.text());
    }
    // Somebody who never asked a provider has nothing to be priced.
    gateway.chat("nothing", "hi").key("one").send();
    let before = settled(&gateway, 4).posted;
    assert_eq!(before, served(&gateway));
    let text = fs::read_to_string(gateway.directory().join("gateway.yaml")).unwrap();
    let right = text.replace("{input: 10, output: 40}", "{input: 20, output: 80}");
    assert_ne!(right, text);
    fs::write(gateway.directory().join("right.yaml"), right).unwrap();

    let dry = reprice(&gateway, "right.yaml", &["--dry-run"]);
    assert_eq!(
        (&dry["corrected"], balance(&gateway).posted),
        (&3.into(), before)
    );
    let told = reprice(&gateway, "right.yaml", &["--reason", "a typo"]);
    assert_eq!(told, dry);
    assert_eq!(balance(&gateway).posted, 2 * before);
    let (count, logged) = records(&gateway);
    assert_eq!((count, logged), (4, before), "records stay as they were");
    let again = reprice(&gateway, "right.yaml", &[]);
    assert_eq!(
        (&again["corrected"], &again["same"]),
        (&0.into(), &3.into())
    );
    assert_eq!(balance(&gateway).posted, 2 * before);
    reprice(&gateway, "gateway.yaml", &[]);
    assert_eq!(balance(&gateway).posted, before, "and back");
}
