//! Callers who may not.

use crate::guarded::{Guarded, refusal};

/// Refusals, and the headers that deserve them, divided by `|`.
const CREDENTIALS: &[(&str, &[&str])] = &[
    (
        "missing_api_key",
        &[
            "",
            "authorization:",
            "authorization: Bearer",
            "authorization: Basic sk-tg-team-a",
            "authorization: sk-tg-team-a",
            "cookie: api-key=sk-tg-team-a",
            "x-api-key:",
            "api-key:",
            "x-goog-api-key: sk-tg-team-a",
        ],
    ),
    (
        "invalid_api_key",
        &[
            "authorization: Bearer sk-tg-team-b",
            "authorization: Bearer SK-TG-TEAM-A",
            "authorization: Bearer sk-tg-team-a sk-tg-team-a",
            "authorization: Bearer sk-tg-team-a,sk-tg-team-a",
            "authorization: Bearer LONG",
            "authorization: Bearer *",
            "authorization: Bearer ' or 1=1 --",
            "x-api-key: sk-tg-team-b",
            "x-api-key: Bearer sk-tg-team-a",
            "x-api-key: LONG",
            "api-key: sk-tg-team-b",
            "api-key: LONG",
            // Of several the first in a fixed order counts, so that nobody can try a list at once.
            "authorization: Bearer sk-tg-team-b|x-api-key: sk-tg-team-a",
            "api-key: sk-tg-team-a|x-api-key: sk-tg-team-b",
            "authorization: Bearer sk-tg-team-b|authorization: Bearer sk-tg-team-a",
            "x-api-key: sk-tg-team-b|x-api-key: sk-tg-team-a",
        ],
    ),
    (
        "disabled_api_key",
        &[
            "authorization: Bearer sk-tg-gone",
            "x-api-key: sk-tg-gone",
            "api-key: sk-tg-gone",
            "x-api-key: sk-tg-team-a|authorization: Bearer sk-tg-gone",
        ],
    ),
];

#[test]
fn who_may_not_call_is_told_why_and_never_what_would_have_worked() {
    let guarded = Guarded::start();
    let long = "k".repeat(8_000);
    for (want, callers) in CREDENTIALS {
        for headers in *callers {
            let mut call = guarded.gateway.chat("small", "hi");
            let fields = headers.split('|').filter_map(|field| field.split_once(':'));
            for (name, value) in fields {
                call = call.header(name, &value.trim().replace("LONG", &long));
            }
            let reply = call.send();
            let want = format!("401 authentication_error {want} -");
            assert_eq!(refusal(&reply), want, "{headers}");
            let told = String::from_utf8_lossy(reply.body()).into_owned();
            let repeated = told.contains("team-") || told.contains("kkk");
            assert!(!repeated, "a credential is repeated: {told}");
        }
    }
    guarded.is_well();
}

#[test]
fn a_key_is_taken_from_each_of_its_headers_and_goes_no_further() {
    let guarded = Guarded::start();
    for (headers, shown) in [
        (
            [("authorization", "Bearer sk-tg-team-a"), ("x-nothing", "")],
            "bearer",
        ),
        (
            [
                ("Authorization", "bearer   sk-tg-team-a"),
                ("x-nothing", ""),
            ],
            "spaces",
        ),
        (
            [("x-api-key", "sk-tg-team-a"), ("x-nothing", "")],
            "x-api-key",
        ),
        ([("api-key", "sk-tg-team-a"), ("x-nothing", "")], "api-key"),
        (
            [("x-api-key", "sk-tg-team-a"), ("api-key", "sk-tg-else")],
            "two",
        ),
        (
            [("authorization", "Basic eDp5"), ("api-key", "sk-tg-team-a")],
            "another scheme",
        ),
    ] {
        let mut call = guarded.gateway.chat("small", "hi");
        for (name, value) in headers {
            call = call.header(name, value);
        }
        assert_eq!(call.send().status(), 200, "{shown}");
        let seen = guarded.gateway.provider("alpha").requests();
        let told = format!("{:?}", seen[0].headers);
        assert_eq!(seen.len(), 1);
        assert!(
            !told.contains("sk-tg") && !told.contains("eDp5"),
            "{shown}: {told}"
        );
        guarded.gateway.provider("alpha").reset();
    }
    guarded.is_well();
}
