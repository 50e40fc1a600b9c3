//! Paths and methods that are none, and those that only look so.

use serde_json::json;

use crate::guarded::{CHAT, Guarded, question_of, refusal};

/// Refusals, by the filter or by Envoy before it, and the places that deserve them.
const PLACES: &[(&str, &[&str])] = &[
    (
        "404 invalid_request_error unknown_endpoint -",
        &[
            "POST /",
            "POST /v1",
            "POST /v1/chat/completions/",
            "POST /v1/chat/completionsx",
            "POST /v1/chat/Completions",
            "POST /v1/chat/completions;x=1",
            "POST /v1;x/chat/completions",
            "POST /v1/chat/completions%20",
            "POST /v1/chat/completions%3F",
            "POST /v1\\..\\chat/completions",
            "POST /openai/v1/chat/completions",
            "POST /v1/fine_tuning/jobs",
            "POST /v1/chat/completions/../../../etc/passwd",
            "GET /v1/models/",
        ],
    ),
    (
        "400 invalid_request_error bad_request -",
        &[
            "POST /v1/chat/completions%00",
            "POST /v1%2Fchat/completions",
            "POST /v1%5Cchat/completions",
        ],
    ),
    (
        "404 invalid_request_error model_not_found model",
        &[
            "GET /v1/models/secret",
            "GET /v1/models/nobody",
            "GET /v1/models/a\"b<script>",
        ],
    ),
    (
        "405 invalid_request_error method_not_allowed -",
        &[
            "GET /v1/chat/completions",
            "PUT /v1/chat/completions",
            "DELETE /v1/chat/completions",
            "PATCH /v1/chat/completions",
            "POST /v1/models",
        ],
    ),
];

#[test]
fn where_nothing_is_served_the_caller_learns_it() {
    let guarded = Guarded::start();
    for (want, places) in PLACES {
        for place in *places {
            let (method, path) = place.split_once(' ').unwrap();
            let call = guarded.gateway.call(method, path).key("team-a");
            let reply = call.json(json!({"model": "small"})).send();
            assert_eq!(refusal(&reply), *want, "{place}");
            let takes = if path == CHAT { "POST" } else { "GET" };
            let allow = want.starts_with("405").then_some(takes);
            assert_eq!(reply.header("allow"), allow, "{place}");
        }
    }
    guarded.is_well();
}

#[test]
fn a_path_that_means_an_endpoint_is_that_endpoint_and_no_trick_of_it_reaches_a_provider() {
    let guarded = Guarded::start();
    for path in [
        "/v1/chat/completions?",
        "/v1/chat/completions?key=sk&api-version=1",
        "/v1/chat/completions?/../../x",
        "//v1//chat///completions",
        "/v1/./chat/completions",
        "/v1/x/../chat/completions",
        "/v1/x/%2e%2e/chat/completions",
        "/%2e/v1/chat/completions",
        "/../v1/chat/completions",
        "/v1/ch%61t/completions",
    ] {
        let call = guarded.gateway.call("POST", path).key("team-a");
        let reply = call.bytes(question_of(100)).send();
        assert_eq!(reply.status(), 200, "{path}: {}", reply.text());
        let seen = guarded.gateway.provider("alpha").requests();
        assert_eq!(seen[0].path, CHAT, "{path}");
        guarded.gateway.provider("alpha").reset();
    }
    guarded.is_well();
}
