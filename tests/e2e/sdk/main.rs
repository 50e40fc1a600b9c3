//! The official SDKs of OpenAI and Anthropic, LangChain and the Vercel AI SDK, unchanged but for their base URL: every answer is one they understand, and
//! every error is raised as the class that applications catch, whatever the provider speaks.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in tests a failure is what an unwrap is for"
)]

mod dialects;
mod frameworks;
mod gemini;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tollgate::fake::Reply;
use tollgate_tests::{Gateway, Setup};

/// One healthy provider of OpenAI's, and one for each way to fail; each has a model of its name.
const CONFIG: &str = "
listen: {address: {listen}}
admin: {address: {admin}}
providers:
  alpha: {breaker: {disabled: true}, dialect: openai, url: http://{alpha}/v1}
  refused: {breaker: {disabled: true}, dialect: openai, url: http://{refused}/v1}
  limited: {breaker: {disabled: true}, dialect: openai, url: http://{limited}/v1}
  limited-too: {breaker: {disabled: true}, dialect: openai, url: http://{limited-too}/v1}
  down: {breaker: {disabled: true}, dialect: openai, url: http://{down}/v1}
  gone: {breaker: {disabled: true}, dialect: openai, url: http://{gone}/v1}
  ends: {breaker: {disabled: true}, dialect: openai, url: http://{ends}/v1}
  errs: {breaker: {disabled: true}, dialect: openai, url: http://{errs}/v1}
  resets: {breaker: {disabled: true}, dialect: openai, url: http://{resets}/v1}
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
        .env_remove("OPENAI_API_KEY")
        .env_remove("ANTHROPIC_BASE_URL")
        .env_remove("ANTHROPIC_API_KEY")
        .env_remove("ANTHROPIC_AUTH_TOKEN")
        .env_remove("ANTHROPIC_CUSTOM_HEADERS");
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
fn agree(told: &[Value], want: &str) {
    let want: Vec<Value> = want
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (told, want) in told.iter().zip(&want) {
        assert_eq!(told, want);
    }
    assert_eq!(told.len(), want.len(), "{told:#?}");
}

const PYTHON: &str = r#"["plain", "alpha heard: hi there", "stop", 2, 4]
["streamed", "alpha heard: hi there", []]
["streamed with usage", "alpha heard: hi there", [[0, 2, 4]]]
["stream helper", "alpha heard: hi there"]
["json mode", {"answer": "alpha heard: hi there"}]
["raw response", "alpha", "1", "alpha heard: hi there"]
["models", ["down", "ends", "errs", "gone", "limited", "refused", "resets", "small"], "small"]
["embeddings", [[1.0, 4], [1.0, 4]], 3]
["completions", "alpha heard: once upon", "alpha heard: once upon"]
["tool", "tool_calls", [["weather", {"city": "in Rome", "days": 1}]]]
["tool streamed", [["weather", {"city": "in Rome", "days": 1}]], true]
["parallel tools", "tool_calls", [["weather", {"city": "parallel in Rome", "days": 1}], ["weather", {"city": "parallel in Rome", "days": 1}]]]
["parallel tools streamed", [["weather", {"city": "parallel in Rome", "days": 1}], ["weather", {"city": "parallel in Rome", "days": 1}]], true]
["tool result", "alpha heard: in Rome"]
["unknown key", "AuthenticationError", 401, "invalid_api_key", null]
["unknown model", "NotFoundError", 404, "model_not_found", "model"]
["model of others", "PermissionDeniedError", 403, "model_not_allowed", "model"]
["bad request", "BadRequestError", 400, "invalid_type", "stream"]
["refused by the provider", "BadRequestError", 400, null, null]
["all limited", "RateLimitError", 429, "provider_rate_limited", null]
["provider down", "InternalServerError", 502, "provider_error", null]
["provider unreachable", "InternalServerError", 503, "provider_unreachable", null]
["model retrieve", "NotFoundError", 404, "model_not_found", "model"]
["stream refused", "RateLimitError", 429, "provider_rate_limited", null]
["stream ends", "APIError", "provider_stream_cut"]
["stream ends after", "one two"]
["stream errs", "APIError", null]
["stream errs after", "one two"]
["stream resets", "APIConnectionError", null]
["stream resets after", "one two"]
["async", "alpha heard: hi there"]
["async streamed", "alpha heard: hi there"]
["async together", ["alpha heard: number 0", "alpha heard: number 1", "alpha heard: number 2", "alpha heard: number 3"]]
["async error", "model_not_found"]"#;

#[test]
fn the_python_sdk_understands_every_answer_and_raises_the_right_errors() {
    let gateway = gateway();
    let python = installed("TOLLGATE_SDK_PYTHON", ".tools/python/bin/python");
    let url = format!("http://{}/v1", gateway.address());
    let told = told(Command::new(python).arg(script("checks.py")).arg(url));
    agree(&told, PYTHON);
}

const NODE: &str = r#"["plain", "alpha heard: hi there", 6]
["streamed", "alpha heard: hi there"]
["raw response", "alpha"]
["models", ["down", "ends", "errs", "gone", "limited", "refused", "resets", "small"]]
["embeddings", 4, 2]
["tools", [["weather", {"city": "parallel in Rome"}], ["weather", {"city": "parallel in Rome"}]]]
["tools streamed", [{"city": "parallel in Rome"}, {"city": "parallel in Rome"}]]
["unknown key", "AuthenticationError", 401, "invalid_api_key"]
["unknown model", "NotFoundError", 404, "model_not_found"]
["model of others", "PermissionDeniedError", 403, "model_not_allowed"]
["bad request", "BadRequestError", 400, "invalid_type"]
["all limited", "RateLimitError", 429, "provider_rate_limited"]
["provider down", "InternalServerError", 502, "provider_error"]
["stream ends", "APIError", null, "provider_stream_cut"]"#;

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
    agree(&told, NODE);
}
