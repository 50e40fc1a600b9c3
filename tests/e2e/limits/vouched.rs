//! Callers without a key of ours, for whom Envoy vouches: tokens that its own `jwt_authn` has verified.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use tollgate_tests::{Call, Envoy, Gateway, Setup};

const GATEWAY: &str = "
listen: {address: {listen}}
admin: {address: {admin}}
providers:
  alpha: {dialect: openai, url: http://{alpha}/v1}
models:
  small: {targets: [{provider: alpha, model: alpha-small}]}
tenants:
  teams: {search: {rpm_limit: 1, burst: 200%, limit_each: user}}
  keys:
  - {name: one, sha256: {key one}}
  - {name: staff, team: search, claims: {iss: \"https://idp.example\", role: search}, user_claim: sub}
telemetry: {access_log: {log}}
";

/// In front of ours, as anybody would write it.
const FILTER: &str = r#"          - name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                idp:
                  issuer: https://idp.example
                  payload_in_metadata: jwt_payload
                  from_headers: [{name: x-token}]
                  local_jwks:
                    inline_string: '{"keys": [{"kty": "oct", "alg": "HS256", "k": "YSBzZWNyZXQgdGhhdCBvbmx5IHRoZSB0ZXN0IGFuZCBFbnZveSBrbm93"}]}'
              rules:
              - match: {prefix: /}
                requires:
                  requires_any:
                    requirements: [{provider_name: idp}, {allow_missing: {}}]
"#;

/// `{"iss": "https://idp.example", "sub": "ann", "role": "search"}`, and the same of `bob` with another role.
const ANN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwic3ViIjoiYW5uIiwicm9sZSI6InNlYXJjaCJ9.ZJbcTyGwAINn753I_kb-Jg_wADOc8uyM-3bXBkGpjFo";
const BOB: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwic3ViIjoiYm9iIiwicm9sZSI6Im90aGVyIn0.Ex-tEooE0wg6cYyFuF94FyiDgBlK3NDYekPJC6ydQ5s";

/// An Envoy that puts the filter into its configuration before it reads it.
fn with_tokens(folder: &TempDir) -> Envoy {
    let (filter, program) = (folder.path().join("filter"), folder.path().join("envoy"));
    fs::write(&filter, FILTER).unwrap();
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --config-path ] && ! grep -q jwt_authn \"$2\"; then\n  sed -i '/^          http_filters:$/r {}' \"$2\"\nfi\nexec {} \"$@\"\n",
        filter.display(),
        Envoy::usual().program().display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    Envoy::at(program)
}

#[test]
fn a_verified_token_is_a_key_with_all_that_holds_for_it() {
    let folder = TempDir::new().unwrap();
    let gateway: Gateway = Setup::of(GATEWAY).envoy(with_tokens(&folder)).start();
    let ask = || -> Call { gateway.chat("small", "hi") };
    let reply = ask().header("x-token", ANN).send();
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let record = gateway.record_of(reply.header("x-tollgate-trace-id"));
    assert_eq!(
        (&record["key"], &record["team"], &record["user"]),
        (&"staff".into(), &"search".into(), &"ann".into())
    );
    // Its limits are those of its team, each user's own.
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("1"));
    // A role that no rule has, no token, and one that nobody signed.
    assert_eq!(
        ask().header("x-token", BOB).send().error(),
        "401 authentication_error missing_api_key"
    );
    assert_eq!(ask().send().status(), 401);
    let forged = format!("{ANN}x");
    assert_eq!(ask().header("x-token", &forged).send().status(), 401);
    // Whoever has a key of ours needs no token, and its key goes first.
    let both = ask().key("one").header("x-token", ANN).send();
    let record = gateway.record_of(both.header("x-tollgate-trace-id"));
    assert_eq!((both.status(), &record["key"]), (200, &"one".into()));
}
