//! What is rendered, stanza by stanza, and what is refused.

use std::net::SocketAddr;

use tollgate_core::config::deploy::{
    AccessLog, Credential, Deployment, Secret, Signing, Tls, Upstream,
};
use tollgate_core::config::{Dialect, Gateway, Model, Provider, Rules, Target};

use super::*;

/// Two hosted providers with keys of their own, and a local one that asks for nothing.
fn example() -> Checked {
    let provider = |name: &str| Provider {
        name: name.to_owned(),
        dialect: Dialect::named("openai").expect("in the table"),
        cluster: format!("tollgate-{name}"),
        authority: format!("{name}.test"),
        path: "/v1".to_owned(),
        api_version: None,
        first_token_timeout_ms: 30_000,
        reply_timeout_ms: 120_000,
        breaker: Rules::default(),
        retry_percent: 20,
    };
    let target = |provider| Target {
        provider,
        model: "m".to_owned(),
        ..Target::default()
    };
    Checked {
        gateway: Gateway {
            body_bytes_max: 4 * 1024 * 1024,
            idle_timeout_ms: 15_000,
            providers: vec![provider("alpha"), provider("beta"), provider("local")],
            models: vec![Model {
                name: "it's \"small\"".to_owned(),
                targets: vec![target(0), target(1), target(2)],
                ..Model::default()
            }],
            ..Gateway::default()
        },
        deployment: Deployment {
            listen: SocketAddr::from(([127, 0, 0, 1], 10_000)),
            admin: SocketAddr::from(([127, 0, 0, 1], 9_901)),
            access_log: AccessLog::Stdout,
            upstreams: vec![
                hosted(
                    "alpha.test",
                    "authorization",
                    "Bearer ",
                    Secret::Env("ALPHA".into()),
                ),
                hosted("beta.test", "x-api-key", "", Secret::Env("BETA".into())),
                Upstream {
                    host: "127.0.0.1".to_owned(),
                    port: 8_000,
                    tls: None,
                    connect_timeout_ms: 1_000,
                    credential: None,
                    signing: None,
                    fake: None,
                },
            ],
            budget: None,
        },
        tenants: Vec::new(),
    }
}

fn hosted(host: &str, header: &str, prefix: &str, secret: Secret) -> Upstream {
    Upstream {
        host: host.to_owned(),
        port: 443,
        tls: Some(Tls {
            server_name: host.to_owned(),
            ca_file: PathBuf::from("/etc/ssl/certs/ca-certificates.crt"),
        }),
        connect_timeout_ms: 2_500,
        credential: Some(Credential {
            header: header.to_owned(),
            prefix: prefix.to_owned(),
            secret,
        }),
        signing: None,
        fake: None,
    }
}

fn keys(name: &str) -> Option<String> {
    match name {
        "ALPHA" => Some("sk-alpha".to_owned()),
        "BETA" => Some("sk-\"beta\"\n".to_owned()),
        _ => None,
    }
}

fn options(version: &str) -> Options {
    Options {
        version: version.parse().unwrap(),
        ..Options::default()
    }
}

fn rendered(version: &str) -> Vec<Rendered> {
    render(&example(), &options(version), &keys).unwrap()
}

fn paths(files: &[Rendered]) -> Vec<String> {
    let paths = files.iter().map(|file| file.path.display().to_string());
    paths.collect()
}

fn text_of<'a>(files: &'a [Rendered], path: &str) -> &'a str {
    let file = files.iter().find(|file| file.path == Path::new(path));
    &file.unwrap().text
}

#[test]
fn each_version_gets_the_files_its_mode_needs() {
    assert_eq!(
        paths(&rendered("1.40.0")),
        [
            "envoy.yaml",
            "gateway.json",
            "attempt-alpha.json",
            "attempt-beta.json",
            "attempt-local.json",
            "secrets/alpha.yaml",
            "secrets/beta.yaml",
        ]
    );
    assert_eq!(
        paths(&rendered("1.38.3")),
        [
            "envoy.yaml",
            "gateway.json",
            "attempt-hop.json",
            "secrets/alpha.yaml",
            "secrets/beta.yaml",
        ]
    );
}

#[test]
fn the_plugin_json_reads_back_as_what_was_checked() {
    let files = rendered("1.40.0");
    let read = |path: &str| serde_json::from_str::<Plugin>(text_of(&files, path)).unwrap();
    assert_eq!(
        read("gateway.json"),
        Plugin::Gateway(Box::new(example().gateway))
    );
    let provider = "beta".to_owned();
    let beta = Plugin::Attempt(Attempt::Cluster { provider });
    assert_eq!(read("attempt-beta.json"), beta);
}

#[test]
fn secrets_stand_in_their_own_files_and_nowhere_else() {
    for version in ["1.36.4", "1.40.0"] {
        let files = rendered(version);
        for file in &files {
            let secret = file.path.starts_with("secrets");
            assert_eq!(file.readers == Readers::Owner, secret, "{:?}", file.path);
            assert_eq!(file.text.contains("sk-"), secret, "{:?}", file.path);
        }
        let alpha = text_of(&files, "secrets/alpha.yaml");
        assert!(
            alpha.contains(r#"inline_string: "Bearer sk-alpha""#),
            "{alpha}"
        );
        let beta = text_of(&files, "secrets/beta.yaml");
        assert!(beta.contains(r#"inline_string: "sk-\"beta\"""#), "{beta}");
    }
}

#[test]
fn every_secret_that_is_missing_is_named_with_its_cure() {
    let mut checked = example();
    let upstreams = &mut checked.deployment.upstreams;
    let secret = |upstream: &mut Upstream, secret| {
        upstream.credential.as_mut().unwrap().secret = secret;
    };
    secret(&mut upstreams[0], Secret::Env("NOT_SET".into()));
    secret(&mut upstreams[1], Secret::File("/nowhere/beta.key".into()));
    let problems = render(&checked, &Options::default(), &keys).unwrap_err();
    let told: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}: {}; {}", problem.at, problem.found, problem.fix))
        .collect();
    assert_eq!(
        told,
        [
            "providers.alpha.key: the environment variable NOT_SET is not set; \
             export NOT_SET=<the provider's key>",
            "providers.beta.key: the key file /nowhere/beta.key cannot be read: \
             No such file or directory (os error 2); \
             put the provider's key into /nowhere/beta.key, or name another file",
        ]
    );
}

#[test]
fn a_secret_that_cannot_be_a_header_is_refused_and_not_quoted() {
    for (value, want) in [
        ("", "the environment variable KEY is empty"),
        ("  \n", "the environment variable KEY is empty"),
        (
            "sk-one\nsk-two",
            "the environment variable KEY holds characters that no HTTP header may have",
        ),
        (
            "sk-\u{fc}",
            "the environment variable KEY holds characters that no HTTP header may have",
        ),
    ] {
        let mut checked = example();
        checked.deployment.upstreams = vec![hosted("a", "x", "", Secret::Env("KEY".into()))];
        let environment = |_: &str| Some(value.to_owned());
        let problems = render(&checked, &Options::default(), &environment).unwrap_err();
        assert_eq!(problems[0].found, want);
    }
}

#[test]
fn a_request_that_is_still_being_tried_is_not_idle() {
    let files = rendered("1.40.0");
    let envoy = text_of(&files, "envoy.yaml");
    // Three targets: 3 x (30 s + 15 s) and 3 x 120 s, and a minute more.
    for want in [
        "idle_timeout: 195s",
        "idle_timeout: 420s",
        "per_try_idle_timeout: 30s",
    ] {
        assert!(envoy.contains(want), "{want}\n{envoy}");
    }
}

#[test]
fn bodies_larger_than_the_default_are_held_whole() {
    let mut checked = example();
    for (body_bytes_max, want) in [
        (1, 16 * 1024 * 1024),
        (32 * 1024 * 1024, 32 * 1024 * 1024 + 64 * 1024),
        (u64::MAX, u64::from(u32::MAX)),
    ] {
        checked.gateway.body_bytes_max = body_bytes_max;
        let envoy = bootstrap(&checked, &Options::default());
        for field in [
            "per_connection_buffer_limit_bytes",
            "request_body_buffer_limit",
        ] {
            let want = format!("{field}: {want}\n");
            assert!(envoy.contains(&want), "{want}");
        }
    }
}

#[test]
fn addresses_and_names_are_reached_and_checked_each_in_their_way() {
    let certificates = PathBuf::from("/ca.pem");
    for (host, server_name, discovery, address, checked_as) in [
        (
            "a.test",
            "b.test",
            "LOGICAL_DNS",
            "\"a.test\"",
            "san_type: DNS",
        ),
        (
            "192.0.2.1",
            "192.0.2.1",
            "STATIC",
            "\"192.0.2.1\"",
            "san_type: IP_ADDRESS",
        ),
        (
            "[2001:db8::1]",
            "c.test",
            "STATIC",
            "\"2001:db8::1\"",
            "san_type: DNS",
        ),
    ] {
        let mut checked = example();
        checked.deployment.upstreams[0].host = host.to_owned();
        checked.deployment.upstreams[0].tls = Some(Tls {
            server_name: server_name.to_owned(),
            ca_file: certificates.clone(),
        });
        let envoy = bootstrap(&checked, &Options::default());
        let mut clusters = envoy.split("- name: \"tollgate-");
        let cluster =
            clusters.find(|text| text.contains("socket_address") && text.starts_with("alpha"));
        let cluster = cluster.unwrap();
        let sni = format!("sni: \"{server_name}\"");
        assert_eq!(
            cluster.contains(&sni),
            checked_as.ends_with("DNS"),
            "{cluster}"
        );
        for want in [
            format!("type: {discovery}\n"),
            format!("address: {address}\n"),
            format!("{checked_as}\n"),
            format!("exact: \"{server_name}\"\n"),
            "filename: \"/ca.pem\"\n".to_owned(),
        ] {
            assert!(cluster.contains(&want), "{want} {cluster}");
        }
    }
}

#[test]
fn where_a_name_has_no_address_the_attempt_is_refused_and_its_filters_run_all_the_same() {
    let cluster = |envoy: &str, name: &str| {
        let begin = format!("\n  - name: {name}\n");
        let (_, rest) = envoy.split_once(&begin)?;
        Some(rest.split("\n  - name: ").next().unwrap_or(rest).to_owned())
    };
    let envoy = bootstrap(&example(), &options("1.40.0"));
    for provider in ["alpha", "beta"] {
        let asked = cluster(&envoy, &format!("\"tollgate-{provider}\"")).unwrap();
        let members = format!("clusters: [\"tollgate-{provider}.dns\", tollgate.unreachable]\n");
        for want in [
            &members,
            "name: tollgate_attempt\n",
            "credential_injector\n",
        ] {
            assert!(asked.contains(want), "{want} {asked}");
        }
        // The filters of a member never run: they must not seem to.
        let member = cluster(&envoy, &format!("\"tollgate-{provider}.dns\"")).unwrap();
        assert!(member.contains("UpstreamTlsContext") && !member.contains("tollgate_attempt"));
    }
    let local = cluster(&envoy, "\"tollgate-local\"").unwrap();
    assert!(local.contains("type: STATIC\n") && local.contains("tollgate_attempt"));
    assert_eq!(envoy.matches("- name: tollgate.unreachable\n").count(), 1);
    let mut addresses = example();
    for upstream in &mut addresses.deployment.upstreams {
        upstream.host = "192.0.2.1".to_owned();
    }
    // Without names there is no need; and before 1.39 the inner listener answers, which is retried.
    for envoy in [
        bootstrap(&addresses, &options("1.40.0")),
        bootstrap(&example(), &options("1.38.2")),
    ] {
        assert!(!envoy.contains("aggregate") && !envoy.contains("unreachable"));
    }
}

#[cfg(unix)]
#[test]
fn files_are_replaced_and_secrets_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let mode = |path: &str| {
        let metadata = fs::metadata(directory.path().join(path)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    let mut files = rendered("1.40.0");
    write(&files, directory.path()).unwrap();
    files[5].text = "again".to_owned();
    fs::write(directory.path().join("secrets/alpha.yaml.new"), "left over").unwrap();
    write(&files, directory.path()).unwrap();
    let alpha = fs::read_to_string(directory.path().join("secrets/alpha.yaml")).unwrap();
    assert_eq!(alpha, "again");
    assert_eq!(
        (mode("secrets"), mode("secrets/alpha.yaml")),
        (0o700, 0o600)
    );
    let left: Vec<_> = fs::read_dir(directory.path().join("secrets"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn signed_requests_are_signed_last_and_with_what_the_file_says() {
    let mut checked = example();
    checked.deployment.upstreams[0].credential = None;
    checked.deployment.upstreams[0].signing = Some(Signing {
        service: "bedrock",
        region: "us-east-1".to_owned(),
        credentials_file: Some(PathBuf::from("/etc/aws/credentials")),
        profile: Some("prod".to_owned()),
    });
    for version in ["1.36.4", "1.40.0"] {
        let options = Options {
            version: version.parse().unwrap(),
            ..Options::default()
        };
        let text = bootstrap(&checked, &options);
        let signer = text.find("envoy.filters.http.aws_request_signing").unwrap();
        let (before, after) = text.split_at(signer);
        let (filter, _) = after.split_once("upstream_codec").unwrap();
        for field in [
            "service_name: bedrock",
            "region: \"us-east-1\"",
            "filename: \"/etc/aws/credentials\"",
            "path: \"/etc/aws\"",
            "profile: \"prod\"",
            "custom_credential_provider_chain: true",
        ] {
            assert!(filter.contains(field), "{version}: {field}\n{filter}");
        }
        // Behind the filter, which stands in the cluster from 1.39 on.
        let cluster = before.rsplit_once("name: \"tollgate-alpha\"").unwrap().1;
        assert_eq!(cluster.contains("tollgate_attempt"), version == "1.40.0");
    }
}
