//! A key goes to its own provider and nowhere else; what a caller sends beside the question goes to nobody.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "in tests a failure is what an unwrap is for, in their helpers too"
)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tollgate::fake::{Reply as Scripted, Seen};
use tollgate_tests::{Call, Envoy, Gateway, Setup};

const ALPHA_KEY: &str = "sk-alpha-Zq3vW8nLxT";
const BETA_KEY: &str = "sk-beta-Hk7cR2mYpD";
/// What `.key("team-a")` sends.
const CALLERS_KEY: &str = "sk-tg-team-a";

/// The last Envoy on which an attempt passes an inner listener, and the usual one, on which all share a head.
fn both_ways() -> [Envoy; 2] {
    [Envoy::version("1.38.2"), Envoy::usual()]
}

fn start(envoy: Envoy) -> Gateway {
    Setup::named("with-keys.yaml")
        .env("ALPHA_KEY", ALPHA_KEY)
        .file("beta.key", format!("{BETA_KEY}\n"))
        .envoy(envoy)
        .start()
}

fn ask(gateway: &Gateway) -> Call {
    gateway.chat("small", "hi").key("team-a")
}

fn credentials(gateway: &Gateway) -> Vec<String> {
    let seen = gateway.seen();
    let told = seen.iter().map(|(name, seen)| {
        let key = seen.header("authorization").unwrap_or("none");
        format!("{name} {key}")
    });
    told.collect()
}

/// The whole request, to look for what must not be in it.
fn all_of(seen: &Seen) -> String {
    let body = String::from_utf8_lossy(&seen.body);
    format!("{} {:?} {body}", seen.path, seen.headers)
}

#[test]
fn each_provider_gets_its_own_key_and_never_that_of_another() {
    for envoy in both_ways() {
        let gateway = start(envoy);
        gateway.provider("alpha").always(Scripted::status(503));
        gateway.provider("beta").always(Scripted::status(429));
        for streamed in [false, true] {
            let reply = ask(&gateway).field("stream", streamed).send();
            assert_eq!(reply.text(), "gamma heard: hi");
        }
        let alpha = format!("alpha Bearer {ALPHA_KEY}");
        let beta = format!("beta Bearer {BETA_KEY}");
        let once = [alpha.as_str(), beta.as_str(), "gamma none"];
        assert_eq!(credentials(&gateway), once.repeat(2));
        for (name, own, others) in [
            ("alpha", ALPHA_KEY, [BETA_KEY, CALLERS_KEY]),
            ("beta", BETA_KEY, [ALPHA_KEY, CALLERS_KEY]),
            ("gamma", "", [ALPHA_KEY, BETA_KEY]),
        ] {
            for seen in gateway.provider(name).requests() {
                let told = all_of(&seen);
                assert!(told.contains(own), "{name}: {told}");
                assert!(
                    !others.iter().any(|key| told.contains(key)),
                    "{name}: {told}"
                );
            }
        }
    }
}

/// Every file below, with what is in it.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    found
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    let secret = secret.as_bytes();
    bytes.windows(secret.len()).any(|window| window == secret)
}

#[test]
fn keys_stand_in_files_of_their_own_that_only_the_owner_can_read() {
    for envoy in both_ways() {
        let gateway = start(envoy);
        ask(&gateway).send();
        gateway.record();
        let secrets = gateway.directory().join("data/secrets");
        for (name, key) in [("alpha.yaml", ALPHA_KEY), ("beta.yaml", BETA_KEY)] {
            let path = secrets.join(name);
            assert!(holds(&fs::read(&path).unwrap(), key));
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
        let ours = gateway.directory().join("beta.key");
        let elsewhere = files(gateway.directory());
        let elsewhere: Vec<_> = elsewhere
            .iter()
            .filter(|(path, _)| !path.starts_with(&secrets) && *path != ours)
            .collect();
        let names: BTreeSet<_> = elsewhere
            .iter()
            .filter_map(|(path, _)| path.file_name()?.to_str())
            .collect();
        for looked_at in ["envoy.yaml", "envoy.log", "access.log", "up.log"] {
            assert!(names.contains(looked_at), "{names:?}");
        }
        for (path, bytes) in elsewhere {
            for key in [ALPHA_KEY, BETA_KEY, CALLERS_KEY] {
                assert!(!holds(bytes, key), "{key} in {}", path.display());
            }
        }
    }
}

#[test]
fn no_key_can_be_read_from_envoy_or_from_a_reply() {
    for envoy in both_ways() {
        let gateway = start(envoy);
        gateway
            .provider("alpha")
            .script([Scripted::status(401), Scripted::status(503)]);
        gateway.provider("beta").script([Scripted::healthy()]);
        let refused = ask(&gateway).send();
        assert_eq!(
            refused.error(),
            "502 server_error provider_credential_refused"
        );
        let answered = ask(&gateway).send();
        assert_eq!(answered.text(), "beta heard: hi");
        let mut told: Vec<(String, Vec<u8>)> = [refused, answered]
            .iter()
            .map(|reply| {
                let all = format!(
                    "{:?} {}",
                    reply.headers(),
                    String::from_utf8_lossy(reply.body())
                );
                ("a reply".to_owned(), all.into_bytes())
            })
            .collect();
        for page in [
            "/config_dump?include_eds",
            "/stats",
            "/stats/prometheus",
            "/clusters",
            "/server_info",
        ] {
            let answer = gateway.ask_envoy(page);
            assert_eq!(answer.status(), 200, "{page}");
            assert!(!answer.body().is_empty(), "{page}");
            told.push((page.to_owned(), answer.body().to_vec()));
        }
        // The dump does speak of the secrets, or its silence would prove nothing.
        assert!(told.iter().any(|(_, said)| holds(said, "tollgate-alpha")));
        assert!(told.iter().any(|(_, said)| holds(said, "[redacted]")));
        for (place, said) in &told {
            for key in [ALPHA_KEY, BETA_KEY, CALLERS_KEY] {
                assert!(!holds(said, key), "{key} in {place}");
            }
        }
    }
}

/// What a caller may send, and no provider may see.
const PRIVATE: &[(&str, &str)] = &[
    ("x-api-key", "private-1"),
    ("api-key", "private-2"),
    ("cookie", "session=private-3"),
    ("x-forwarded-for", "203.0.113.4"),
    ("x-forwarded-host", "private-5"),
    ("x-forwarded-client-cert", "private-6"),
    ("forwarded", "for=private-7"),
    ("x-real-ip", "203.0.113.8"),
    ("via", "private-9"),
    ("x-team", "private-10"),
    ("openai-organization", "private-11"),
    ("openai-project", "private-12"),
    ("x-amz-security-token", "private-13"),
    ("x-goog-api-key", "private-14"),
    ("proxy-authorization", "Basic private-15"),
    ("referer", "http://private-16/"),
    ("origin", "http://private-17"),
    ("x-envoy-external-address", "private-18"),
    ("x-tollgate-team", "private-19"),
    ("x-fake-fault", "500"),
];

/// What a provider may see.
const PUBLIC: &[&str] = &[
    "accept",
    "accept-encoding",
    "authorization",
    "content-length",
    "content-type",
    "host",
    "openai-beta",
    "traceparent",
    "user-agent",
    "x-forwarded-proto",
    "x-request-id",
    "x-stainless-lang",
];

#[test]
fn what_a_caller_sends_beside_the_question_reaches_no_provider() {
    for envoy in both_ways() {
        let gateway = start(envoy);
        gateway.provider("alpha").always(Scripted::status(503));
        gateway.provider("beta").always(Scripted::status(503));
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut call = ask(&gateway)
            .header("user-agent", "OpenAI/Python 2.0")
            .header("x-stainless-lang", "python")
            .header("openai-beta", "assistants=v2")
            .header("traceparent", trace)
            .header("accept-encoding", "gzip, br")
            .header("accept", "application/json");
        for (name, value) in PRIVATE {
            call = call.header(name, value);
        }
        assert_eq!(call.send().text(), "gamma heard: hi");
        for name in ["alpha", "beta", "gamma"] {
            let seen = gateway.provider(name).requests().remove(0);
            let names = seen.headers.iter().map(|(name, _)| name.as_str());
            let extra: Vec<_> = names.filter(|name| !PUBLIC.contains(name)).collect();
            assert!(extra.is_empty(), "{name} sees {extra:?}");
            let told = all_of(&seen);
            for (_, value) in PRIVATE.iter().filter(|(name, _)| *name != "x-fake-fault") {
                assert!(!told.contains(value), "{name} sees {value}: {told}");
            }
            for (header, value) in [
                ("user-agent", "OpenAI/Python 2.0"),
                ("x-stainless-lang", "python"),
                ("openai-beta", "assistants=v2"),
                ("accept-encoding", "identity"),
            ] {
                assert_eq!(seen.header(header), Some(value), "{name}");
            }
        }
    }
}

/// Headers by which a caller might steer Envoy or the filter.
const COMMANDS: &[(&str, &str)] = &[
    ("x-envoy-max-retries", "0"),
    ("x-envoy-retry-on", "retriable-4xx"),
    ("x-envoy-retriable-status-codes", "400"),
    ("x-envoy-retriable-header-names", "x-request-id"),
    ("x-envoy-upstream-rq-timeout-ms", "1"),
    ("x-envoy-upstream-rq-per-try-timeout-ms", "1"),
    ("x-envoy-expected-rq-timeout-ms", "1"),
    ("x-envoy-hedge-on-per-try-timeout", "true"),
    ("x-envoy-upstream-rq-timeout-alt-response", "1"),
    ("x-envoy-upstream-stream-duration-ms", "1"),
    ("x-envoy-original-path", "/v1/models"),
    ("x-envoy-original-host", "elsewhere"),
    ("x-envoy-attempt-count", "3"),
    ("x-envoy-internal", "true"),
    ("x-envoy-overloaded", "true"),
    ("x-envoy-ratelimited", "true"),
    ("x-envoy-immediate-health-check-fail", "true"),
    ("x-tollgate-cluster", "tollgate-gamma"),
    ("x-tollgate-next", "tollgate-gamma"),
    ("x-tollgate-record", "{}"),
    ("x-tollgate-provider", "gamma"),
];

#[test]
fn no_header_of_a_caller_steers_retries_timeouts_or_the_way() {
    for envoy in both_ways() {
        let gateway = start(envoy);
        let alpha = gateway.provider("alpha");
        for (name, value) in COMMANDS {
            for (first, want, attempts) in [
                (Scripted::text("slow").head_ms(20), "200 slow", 1),
                (Scripted::status(503), "200 beta heard: hi", 2),
                (Scripted::status(400), "400 The request is invalid.", 1),
            ] {
                alpha.next(first);
                let before = gateway.seen().len();
                let reply = ask(&gateway).header(name, value).send();
                let told = match reply.status() {
                    200 => reply.text(),
                    _ => reply.json()["error"]["message"]
                        .as_str()
                        .unwrap()
                        .to_owned(),
                };
                assert_eq!(
                    format!("{} {told}", reply.status()),
                    want,
                    "{name}: {value}"
                );
                assert_eq!(gateway.seen().len() - before, attempts, "{name}: {value}");
            }
        }
        assert_eq!(gateway.provider("gamma").requests(), []);
    }
}

#[test]
fn the_name_of_a_running_exchange_opens_nothing() {
    for envoy in both_ways() {
        let gateway = Setup::named("with-keys.yaml")
            .env("ALPHA_KEY", ALPHA_KEY)
            .file("beta.key", BETA_KEY)
            .envoy(envoy)
            // So that all requests meet in the same memory.
            .workers(1)
            .start();
        let alpha = gateway.provider("alpha");
        alpha.script([Scripted::text("mine alone").breaks("stall@1")]);
        let mut running = ask(&gateway).stream();
        assert_eq!(running.read_tokens(1).last().unwrap().delta(), "mine");
        // Nobody outside learns a name, so these are guesses, of every form that names have.
        for guess in ["", "s", "p", "s-", "p-", "s-1", "p-1", "s-0-1", "p-0-1"] {
            for (key, want) in [("team-a", "200"), ("nobody", "401")] {
                let call = gateway.chat("small", "who am I").key(key);
                let call = call.header("x-tollgate-exchange", guess);
                let reply = call.send();
                assert_eq!(reply.status().to_string(), want, "{guess}");
                let text = reply.text();
                assert!(!text.contains("mine"), "{guess}: {text}");
                if want == "200" {
                    assert_eq!(text, "alpha heard: who am I", "{guess}");
                }
            }
        }
        assert_eq!(running.end(), None, "it still runs");
    }
}
