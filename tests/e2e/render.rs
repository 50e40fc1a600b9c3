//! What `tollgate render` writes is what every supported Envoy accepts.
#![allow(
    clippy::unwrap_used,
    reason = "in tests a failure is what an unwrap is for, in their helpers too"
)]

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tollgate::render::{EnvoyVersion, Options, bootstrap, render, write};
use tollgate_core::config::deploy::{
    AccessLog, Checked, Credential, Deployment, Secret, Tls, Upstream,
};
use tollgate_core::config::{Dialect, Gateway, Model, Provider, Rules, Target};

/// One of each supported line. Not 1.38.3: the binary of that wheel is built without V8, so no
/// filter can run in it.
const VERSIONS: [&str; 5] = ["1.36.4", "1.37.0", "1.38.2", "1.39.3", "1.40.0"];

/// The smallest module that Envoy takes for a filter: a memory, the version of the ABI, and a
/// `malloc` that is never called.
const FILTER: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x09\x02\x60\0\0\x60\x01\x7f\x01\x7f\
    \x03\x03\x02\0\x01\
    \x05\x03\x01\0\x01\
    \x07\x2d\x03\x06memory\x02\0\x17proxy_abi_version_0_2_1\0\0\x06malloc\0\x01\
    \x0a\x09\x02\x02\0\x0b\x04\0\x41\0\x0b";

/// Everything that rendering can write: TLS by name and by address, both kinds of header, files.
fn everything() -> Checked {
    let tls = |server_name: &str| Tls {
        server_name: server_name.to_owned(),
        ca_file: PathBuf::from("/etc/ssl/certs/ca-certificates.crt"),
    };
    let key = |header: &str, prefix: &str| Credential {
        header: header.to_owned(),
        prefix: prefix.to_owned(),
        secret: Secret::Env("KEY".to_owned()),
    };
    let upstreams = [
        (
            "api.alpha.test",
            Some(tls("api.alpha.test")),
            Some(key("authorization", "Bearer ")),
        ),
        (
            "192.0.2.1",
            Some(tls("192.0.2.1")),
            Some(key("x-api-key", "")),
        ),
        ("127.0.0.1", None, None),
        ("[::1]", None, None),
    ];
    let names = ["alpha", "beta", "gamma", "delta"];
    Checked {
        gateway: Gateway {
            body_bytes_max: 32 * 1024 * 1024,
            idle_timeout_ms: 15_000,
            providers: names.map(provider).to_vec(),
            models: vec![Model {
                name: "it's a \"model\": with # everything".to_owned(),
                targets: (0..names.len()).map(target).collect(),
                ..Model::default()
            }],
            ..Gateway::default()
        },
        deployment: Deployment {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
            access_log: AccessLog::File(PathBuf::from("/dev/null")),
            upstreams: upstreams.map(upstream).to_vec(),
            budget: None,
        },
        tenants: Vec::new(),
    }
}

fn provider(name: &str) -> Provider {
    Provider {
        name: name.to_owned(),
        dialect: Dialect::named("openai").unwrap(),
        cluster: format!("tollgate-{name}"),
        authority: format!("{name}.test"),
        path: "/v1".to_owned(),
        api_version: None,
        first_token_timeout_ms: 30_000,
        reply_timeout_ms: 120_000,
        breaker: Rules::default(),
        retry_percent: 20,
    }
}

fn target(provider: usize) -> Target {
    Target {
        provider,
        model: "m".to_owned(),
        ..Target::default()
    }
}

fn upstream((host, tls, credential): (&str, Option<Tls>, Option<Credential>)) -> Upstream {
    Upstream {
        host: host.to_owned(),
        port: 443,
        tls,
        connect_timeout_ms: 2_500,
        credential,
        signing: None,
        fake: None,
    }
}

/// The Envoys at hand. One that `TOLLGATE_ENVOY_VERSIONS` asks for must be there.
fn envoys() -> Vec<(EnvoyVersion, PathBuf)> {
    let wanted = std::env::var("TOLLGATE_ENVOY_VERSIONS").unwrap_or_default();
    let wanted: BTreeSet<&str> = wanted.split([',', ' ']).filter(|v| !v.is_empty()).collect();
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/envoy");
    let mut found = Vec::new();
    for version in wanted
        .iter()
        .copied()
        .chain(VERSIONS)
        .collect::<BTreeSet<_>>()
    {
        let program = tools.join(version).join("envoy");
        if program.exists() {
            found.push((version.parse().unwrap(), program));
            continue;
        }
        let missing = format!("there is no Envoy {version} at {}", program.display());
        assert!(!wanted.contains(version), "{missing}");
        eprintln!("NOT TESTED: {missing}");
    }
    found
}

fn validate(envoy: &Path, checked: &Checked, version: EnvoyVersion) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        version,
        wasm: directory.path().join("filter.wasm"),
        base: directory.path().to_path_buf(),
    };
    fs::write(&options.wasm, FILTER).unwrap();
    let files = render(checked, &options, &|_| Some("sk-secret".to_owned())).unwrap();
    write(&files, directory.path()).unwrap();
    let output = Command::new(envoy)
        .args(["--mode", "validate", "--disable-hot-restart", "-c"])
        .arg(directory.path().join("envoy.yaml"))
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "Envoy {version} refuses it:\n{log}"
    );
    assert!(!log.contains("deprecated"), "Envoy {version} warns:\n{log}");
}

#[test]
fn every_supported_envoy_accepts_everything_that_is_rendered() {
    for (version, envoy) in envoys() {
        validate(&envoy, &everything(), version);
    }
}

#[test]
fn every_access_log_is_accepted() {
    for (version, envoy) in envoys() {
        for access_log in [AccessLog::Off, AccessLog::Stdout] {
            let mut checked = everything();
            checked.deployment.access_log = access_log;
            validate(&envoy, &checked, version);
        }
    }
}

#[test]
fn the_shipped_envoy_yaml_is_what_render_makes_of_the_shipped_gateway_yaml() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy");
    let checked = tollgate::config::load(&shipped.join("gateway.yaml")).unwrap();
    let written = fs::read_to_string(shipped.join("envoy.yaml")).unwrap();
    let made = bootstrap(&checked, &Options::default());
    let differs = written
        .lines()
        .zip(made.lines())
        .find(|(old, new)| old != new);
    assert!(written == made, "run `make envoy`: {differs:#?}");
}
