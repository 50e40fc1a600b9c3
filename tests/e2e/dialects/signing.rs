//! Requests that Envoy signs, and credentials that are replaced while it runs. The provider checks each signature against
//! the request as it arrived: its path, its headers, its body.

use std::env;
use std::fs;

use tollgate::fake::Reply as Scripted;
use tollgate_tests::{Call, End, Envoy, Gateway, Setup, wait_for};

use crate::client::{Client, Shape};

const CONFIG: &str = r#"
listen: {address: "{listen}"}
admin: {address: "{admin}"}
providers:
  converse:
    dialect: bedrock
    breaker: {disabled: true}
    url: http://{converse}/bedrock
    aws: {region: eu-central-1, credentials_file: "{dir}/aws"}
  claude:
    dialect: anthropic_bedrock
    breaker: {disabled: true}
    url: http://{claude}/bedrock
    aws: {region: us-east-1, credentials_file: "{dir}/aws"}
  vertex:
    dialect: gemini_vertex
    breaker: {disabled: true}
    url: http://{vertex}/gemini_vertex/v1/projects/p/locations/l/publishers/google
    key: {file: token}
  openai:
    dialect: openai
    breaker: {disabled: true}
    url: http://{openai}/openai/v1
    key: {env: OPENAI_KEY}
models:
  all:
    targets:
    - {provider: converse, model: "eu.amazon.nova-lite-v1:0"}
    - {provider: claude, model: "arn:aws:bedrock:us-east-1:1:inference-profile/claude"}
    - {provider: vertex, model: gemini-small}
    - {provider: openai, model: openai-small}
tenants:
  keys:
  - {name: team-a, sha256: {key team-a}}
telemetry: {access_log: "{log}"}
"#;

fn credentials(secret: &str) -> String {
    format!("[default]\naws_access_key_id = AKIDTEST\naws_secret_access_key = {secret}\n")
}

fn start(envoy: Envoy) -> Gateway {
    let gateway = Setup::of(CONFIG)
        .envoy(envoy)
        .env("OPENAI_KEY", "secret-of-openai")
        .file("aws", credentials("first"))
        .file("token", "token-1")
        .start();
    for (name, key) in [
        ("converse", "AKIDTEST:first"),
        ("claude", "AKIDTEST:first"),
        ("vertex", "token-1"),
        ("openai", "secret-of-openai"),
    ] {
        let provider = gateway.provider(name);
        provider.set(|settings| settings.api_key = Some(key.to_owned()));
    }
    gateway
}

fn ask(gateway: &Gateway, text: &str, shape: Shape) -> Call {
    Client::Chat.ask(gateway, ("all", text), shape)
}

/// Through every kind of credential in turn: each provider takes what is its own, and gets nothing of the one before.
fn each_gets_its_own(gateway: &Gateway) {
    // The larger one is read again from Envoy's buffer.
    for (text, shape) in [
        ("hi", Shape::Whole),
        ("hi", Shape::Streamed),
        (&"word ".repeat(30_000), Shape::Streamed),
    ] {
        for failing in 0..4 {
            let names = ["converse", "claude", "vertex", "openai"];
            for name in names.iter().take(failing) {
                gateway.provider(name).next(Scripted::status(503));
            }
            let before = gateway.seen().len();
            let reply = ask(gateway, text, shape).send();
            let tried: Vec<_> = gateway.attempts().split_off(before);
            assert_eq!(
                (reply.status(), reply.end()),
                (200, End::Complete),
                "{tried:?}: {}",
                reply.text()
            );
            let by = reply.header("x-tollgate-provider");
            assert_eq!(by, Some(names[failing]), "{tried:?}");
            for (name, seen) in gateway.seen().split_off(before) {
                let signed = seen.header("x-amz-date").is_some();
                let bearer = seen
                    .header("authorization")
                    .unwrap_or_default()
                    .starts_with("Bearer ");
                let want = ["converse", "claude"].contains(&name.as_str());
                assert_eq!((signed, bearer), (want, !want), "{name}: {seen:?}");
            }
        }
    }
}

#[test]
fn every_envoy_signs_what_arrives_and_nothing_of_it_reaches_the_next() {
    let named = env::var("TOLLGATE_ENVOY_VERSIONS").unwrap_or_default();
    let mut versions: Vec<String> = named.split_whitespace().map(str::to_owned).collect();
    if versions.is_empty() {
        versions = Envoy::fetched();
    }
    assert!(!versions.is_empty(), "no Envoy at all: run `make setup`");
    for version in versions {
        // What fails in it is told after this line.
        eprintln!("Envoy {version}");
        each_gets_its_own(&start(Envoy::version(&version)));
    }
}

#[test]
fn credentials_that_are_replaced_are_used_without_a_restart() {
    let gateway = start(Envoy::usual());
    assert_eq!(ask(&gateway, "hi", Shape::Whole).send().status(), 200);
    for name in ["converse", "claude"] {
        let provider = gateway.provider(name);
        provider.set(|settings| settings.api_key = Some("AKIDTEST:second".to_owned()));
    }
    let vertex = gateway.provider("vertex");
    vertex.set(|settings| settings.api_key = Some("token-2".to_owned()));
    let reply = ask(&gateway, "hi", Shape::Whole).send();
    assert_eq!(
        reply.error(),
        "502 server_error provider_credential_refused"
    );

    // In one step, as everybody replaces what is read by others.
    let replace = |name: &str, text: &str| {
        let folder = gateway.directory();
        let fresh = folder.join(format!("{name}.new"));
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, folder.join(name)).unwrap();
    };
    replace("aws", &credentials("second"));
    let served_by = |wanted: &str| {
        let reply = ask(&gateway, "hi", Shape::Whole).send();
        let by = reply.header("x-tollgate-provider").map(str::to_owned);
        (reply.status() == 200 && by.as_deref() == Some(wanted)).then_some(())
    };
    wait_for("signatures of the new secret", || served_by("converse"));
    replace("token", "token-2");
    wait_for("the new token", || {
        for name in ["converse", "claude"] {
            gateway.provider(name).next(Scripted::status(503));
        }
        let served = served_by("vertex");
        for name in ["converse", "claude"] {
            gateway.provider(name).heal();
        }
        served
    });
    let seen = vertex.requests().pop().unwrap();
    assert_eq!(seen.header("authorization"), Some("Bearer token-2"));
}
