//! What we send to Gemini, checked by Google's own SDK: its types know every field, and refuse one that is not there.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tollgate_core::dialect::gaps::Policy;
use tollgate_core::dialect::speak::Target;
use tollgate_core::dialect::tables::{client, provider};

use super::{installed, script};

/// Every client request of the golden files, as each of Google's two gets it.
fn requests() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/core/dialect/golden/requests");
    let mut bodies = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for section in text.strip_prefix("=== ").unwrap().split("\n=== ") {
            let (name, rest) = section.split_once('\n').unwrap();
            let input = rest.split("\n--- ").next().unwrap();
            let Ok(chat) = client(name).unwrap().read(input.trim().as_bytes()) else {
                continue;
            };
            for (name, model) in [
                ("gemini", "gemini-2.5-flash"),
                ("gemini_vertex", "gemini-3-pro"),
            ] {
                let target = Target {
                    model,
                    ..Target::default()
                };
                let written = provider(name).unwrap().write(&chat, &target, Policy::Drop);
                // A number that no program can hold is passed as it was written; Google's checker cannot read it either.
                let Ok(body) = serde_json::from_slice::<Value>(&written.unwrap().body) else {
                    continue;
                };
                bodies.push(json!({"case": path.file_name().unwrap().to_str(), "body": body}));
            }
        }
    }
    bodies
}

#[test]
fn googles_own_types_know_every_field_that_we_write() {
    let requests = requests();
    assert!(requests.len() > 80, "{}", requests.len());
    let python = installed("TOLLGATE_SDK_PYTHON", ".tools/python/bin/python");
    let mut checker = Command::new(python)
        .arg(script("gemini.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = checker.stdin.take().unwrap();
    // Something it must refuse, or it would check nothing.
    let wrong =
        json!({"case": "wrong", "body": {"contents": [{"role": "user", "parts": [{"txt": "x"}]}]}});
    for request in requests.iter().chain([&wrong]) {
        writeln!(input, "{request}").unwrap();
    }
    drop(input);
    let output = checker.wait_with_output().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    // Each complaint begins with its case and may go on for some lines.
    let lines: Vec<&str> = told
        .lines()
        .filter(|line| line.contains("validation error"))
        .collect();
    assert!(
        lines.len() == 1 && lines.iter().all(|line| line.starts_with("wrong: ")),
        "{told}"
    );
}
