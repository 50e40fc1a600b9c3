//! The official SDKs of OpenAI, unchanged but for their base URL: every answer is one they understand, and every error
//! is raised as the class that applications catch.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in tests a failure is what an unwrap is for"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tollgate::fake::Reply;
use tollgate_tests::{Gateway, Setup};

/// One healthy provider, and one for each way to fail; each has a model of its name.
const CONFIG: &str = "
listen: {address: {listen}}
admin: {address: {admin}}
providers:
  alpha: {dialect: openai, url: http://{alpha}/v1}
  refused: {dialect: openai, url: http://{refused}/v1}
  limited: {dialect: openai, url: http://{limited}/v1}
  limited-too: {dialect: openai, url: http://{limited-too}/v1}
  down: {dialect: openai, url: http://{down}/v1}
  gone: {dialect: openai, url: http://{gone}/v1}
  ends: {dialect: openai, url: http://{ends}/v1}
  errs: {dialect: openai, url: http://{errs}/v1}
  resets: {dialect: openai, url: http://{resets}/v1}
models:
  small: {targets: [{provider: alpha}]}
  refused: {targets: [{provider: refused}, {provider: alpha}]}
  limited: {targets: [{provider: limited}, {provider: limited-too}]}
  down: {targets: [{provider: down}]}
  gone: {targets: [{provider: gone}]}
  ends: {targets: [{provider: ends}]}
  errs: {targets: [{provider: errs}]}
  resets: {targets: [{provider: resets}]}
tenants:
  keys:
  - {name: team-a, sha256: {key team-a}, models: [small, refused, limited, down, gone, ends, errs, resets]}
  - {name: beta-only, sha256: {key beta-only}, models: [down]}
telemetry:
  access_log: {log}
";

fn gateway() -> Gateway {
    let gateway = Setup::of(CONFIG).start();
    for (provider, reply) in [
        ("refused", Reply::status(400)),
        ("limited", Reply::status(429).retry_after(1)),
        ("limited-too", Reply::status(429).retry_after(7)),
        ("down", Reply::status(500)),
        ("ends", Reply::text("one two three").breaks("end@2")),
        ("errs", Reply::text("one two three").breaks("error@2")),
        ("resets", Reply::text("one two three").breaks("reset@2")),
    ] {
        gateway.provider(provider).always(reply);
    }
    gateway.provider("gone").stop_listening().unwrap();
    gateway
}

/// A script beside this file.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("e2e/sdk")
        .join(name)
}

/// Where `scripts/setup-sdks` has put an SDK.
fn installed(variable: &str, usual: &str) -> PathBuf {
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(usual);
    let path = std::env::var_os(variable).map_or_else(usual, PathBuf::from);
    assert!(
        path.exists(),
        "no SDK at {}: run `make setup`",
        path.display()
    );
    path
}

/// Runs a script to its end; the lines it printed.
fn told(command: &mut Command) -> Vec<Value> {
    // Whatever this machine is set up for must not reach the SDK.
    let command = command
        .env_remove("OPENAI_BASE_URL")
        .env_remove("OPENAI_API_KEY");
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Compares line by line, so that the first difference is the one that is shown.
fn agree(told: &[Value], want: &[Value]) {
    for (told, want) in told.iter().zip(want) {
        assert_eq!(told, want);
    }
    assert_eq!(told.len(), want.len(), "{told:#?}");
}

#[test]
fn the_python_sdk_understands_every_answer_and_raises_the_right_errors() {
    let gateway = gateway();
    let python = installed("TOLLGATE_SDK_PYTHON", ".tools/python/bin/python");
    let url = format!("http://{}/v1", gateway.address());
    let told = told(Command::new(python).arg(script("checks.py")).arg(url));
    let heard = "alpha heard: hi there";
    let rome = |city: &str| json!(["weather", {"city": city, "days": 1}]);
    let together: Vec<_> = (0..8)
        .map(|number| format!("alpha heard: number {number}"))
        .collect();
    let models = [
        "down", "ends", "errs", "gone", "limited", "refused", "resets", "small",
    ];
    agree(
        &told,
        &[
            json!(["plain", heard, "stop", 2, 4]),
            json!(["streamed", heard, []]),
            json!(["streamed with usage", heard, [[0, 2, 4]]]),
            json!(["stream helper", heard]),
            json!(["json mode", {"answer": heard}]),
            json!(["raw response", "alpha", "1", heard]),
            json!(["models", models, "small"]),
            json!(["embeddings", [[1.0, 4], [1.0, 4]], 3]),
            json!([
                "completions",
                "alpha heard: once upon",
                "alpha heard: once upon"
            ]),
            json!(["tool", "tool_calls", [rome("in Rome")]]),
            json!(["tool streamed", [rome("in Rome")], true]),
            json!([
                "parallel tools",
                "tool_calls",
                [rome("parallel in Rome"), rome("parallel in Rome")]
            ]),
            json!([
                "parallel tools streamed",
                [rome("parallel in Rome"), rome("parallel in Rome")],
                true
            ]),
            json!(["tool result", "alpha heard: in Rome"]),
            json!([
                "unknown key",
                "AuthenticationError",
                401,
                "invalid_api_key",
                null
            ]),
            json!([
                "unknown model",
                "NotFoundError",
                404,
                "model_not_found",
                "model"
            ]),
            json!([
                "model of others",
                "PermissionDeniedError",
                403,
                "model_not_allowed",
                "model"
            ]),
            json!([
                "bad request",
                "BadRequestError",
                400,
                "invalid_type",
                "stream"
            ]),
            json!([
                "refused by the provider",
                "BadRequestError",
                400,
                null,
                null
            ]),
            json!([
                "all limited",
                "RateLimitError",
                429,
                "provider_rate_limited",
                null
            ]),
            json!([
                "provider down",
                "InternalServerError",
                502,
                "provider_error",
                null
            ]),
            json!([
                "provider unreachable",
                "InternalServerError",
                503,
                "provider_unreachable",
                null
            ]),
            json!([
                "model retrieve",
                "NotFoundError",
                404,
                "model_not_found",
                "model"
            ]),
            json!([
                "stream refused",
                "RateLimitError",
                429,
                "provider_rate_limited",
                null
            ]),
            json!(["stream ends", "APIError", "provider_stream_cut"]),
            json!(["stream ends after", "one two"]),
            json!(["stream errs", "APIError", null]),
            json!(["stream errs after", "one two"]),
            json!(["stream resets", "APIConnectionError", null]),
            json!(["stream resets after", "one two"]),
            json!(["async", heard]),
            json!(["async streamed", heard]),
            json!(["async together", together]),
            json!(["async error", "model_not_found"]),
        ],
    );
}

#[test]
fn the_node_sdk_understands_every_answer_and_raises_the_right_errors() {
    let gateway = gateway();
    let folder = installed("TOLLGATE_SDK_NODE", ".tools/node");
    let url = format!("http://{}/v1", gateway.address());
    let told = told(
        Command::new("node")
            .arg(script("checks.mjs"))
            .arg(url)
            .arg(folder),
    );
    let heard = "alpha heard: hi there";
    let rome = json!({"city": "parallel in Rome"});
    let models = [
        "down", "ends", "errs", "gone", "limited", "refused", "resets", "small",
    ];
    agree(
        &told,
        &[
            json!(["plain", heard, 6]),
            json!(["streamed", heard]),
            json!(["raw response", "alpha"]),
            json!(["models", models]),
            json!(["embeddings", 4, 2]),
            json!(["tools", [["weather", rome], ["weather", rome]]]),
            json!(["tools streamed", [rome, rome]]),
            json!(["unknown key", "AuthenticationError", 401, "invalid_api_key"]),
            json!(["unknown model", "NotFoundError", 404, "model_not_found"]),
            json!([
                "model of others",
                "PermissionDeniedError",
                403,
                "model_not_allowed"
            ]),
            json!(["bad request", "BadRequestError", 400, "invalid_type"]),
            json!([
                "all limited",
                "RateLimitError",
                429,
                "provider_rate_limited"
            ]),
            json!([
                "provider down",
                "InternalServerError",
                502,
                "provider_error"
            ]),
            json!(["stream ends", "APIError", null, "provider_stream_cut"]),
        ],
    );
}
