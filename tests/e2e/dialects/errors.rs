//! What goes wrong is said in the caller's words, whoever said it first.

use serde_json::{Value, json};
use tollgate::fake::Reply as Scripted;
use tollgate_tests::Reply;

use crate::client::{CLIENTS, Client, SHAPES};
use crate::{PROVIDERS, only, secret, start};

/// The word of each family for a status.
fn kind(client: Client, status: u16) -> &'static str {
    match (client, status) {
        (_, 400) => "invalid_request_error",
        (Client::Messages, 429) => "rate_limit_error",
        (Client::Messages, 503) => "overloaded_error",
        (Client::Messages, _) => "api_error",
        (_, 429) => "rate_limit_error",
        (_, _) => "server_error",
    }
}

/// Only Anthropic's say of themselves that they are errors.
fn has_the_shape_of(client: Client, reply: &Reply) {
    let json = reply.json();
    let said = &json["error"]["message"];
    assert!(said.as_str().is_some_and(|said| !said.is_empty()), "{json}");
    let outer = match client {
        Client::Messages => json!("error"),
        Client::Chat | Client::Responses | Client::Completions => Value::Null,
    };
    assert_eq!(json["type"], outer, "{client:?}: {json}");
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[test]
fn an_error_of_a_provider_is_told_in_the_callers_dialect() {
    let gateway = start();
    for provider in PROVIDERS {
        for client in CLIENTS {
            for (fault, status, code, retry_after) in [
                ("429;retry_after=7", 429, "provider_rate_limited", Some("7")),
                ("500", 502, "provider_error", None),
                ("503;retry_after=9", 503, "provider_error", Some("9")),
                ("error@start", 502, "provider_error", None),
                ("401", 502, "provider_credential_refused", None),
                ("403", 502, "provider_credential_refused", None),
            ] {
                for shape in SHAPES {
                    gateway.provider(provider).next(fault.parse().unwrap());
                    let reply = client.ask(&gateway, (&only(provider), "hi"), shape).send();
                    let want = format!("{status} {} {code}", kind(client, status));
                    let case = format!("{client:?} to {provider}, {shape:?}, {fault}");
                    assert_eq!(reply.error(), want, "{case}");
                    assert_eq!(reply.header("retry-after"), retry_after, "{case}");
                    has_the_shape_of(client, &reply);
                }
            }
        }
    }
}

#[test]
fn what_a_provider_refuses_is_refused_in_the_callers_dialect() {
    let gateway = start();
    for provider in PROVIDERS {
        for client in CLIENTS {
            for shape in SHAPES {
                gateway.provider(provider).next(Scripted::status(400));
                let reply = client.ask(&gateway, (&only(provider), "hi"), shape).send();
                let case = format!("{client:?} to {provider}, {shape:?}");
                let error = reply.error();
                let words: Vec<_> = error.split(' ').take(2).collect();
                assert_eq!(words, ["400", "invalid_request_error"], "{case}");
                has_the_shape_of(client, &reply);
            }
        }
    }
    for record in gateway.records(32) {
        assert_eq!(record["end"], "provider_refused", "{record}");
        assert_eq!(record["tokens"], Value::Null, "{record}");
    }
}

#[test]
fn pages_of_a_provider_and_what_is_no_answer_stay_here_and_when_to_come_back_does_not() {
    let gateway = start();
    for provider in PROVIDERS {
        // A page in front of the provider quotes what was sent, with our credential.
        let page = format!("<html><h1>Oops</h1><pre>{}</pre></html>", secret(provider));
        let trace = format!("{{\"trace\": \"at {} line 7\"}}", secret(provider));
        for client in CLIENTS {
            for (status, kind, body, want) in [
                (400, "text/html", &page, 400),
                (404, "text/html", &page, 404),
                (429, "text/html", &page, 429),
                (502, "text/html", &page, 502),
                (503, "text/plain", &page, 503),
                (500, "application/json", &trace, 502),
                (200, "text/html", &page, 502),
                (200, "application/json", &page, 502),
            ] {
                let reply = Scripted::status(status)
                    .body(kind, body.as_str())
                    .retry_after(11);
                gateway.provider(provider).next(reply);
                let reply = client
                    .ask(&gateway, (&only(provider), "hi"), SHAPES[0])
                    .send();
                let case = format!("{client:?} to {provider}, {status} {kind}");
                assert_eq!(reply.status(), want, "{case}");
                has_the_shape_of(client, &reply);
                let told = reply.text();
                assert!(
                    !told.contains("Oops") && !told.contains("line 7"),
                    "{case}: {told}"
                );
                assert!(!told.contains(&secret(provider)), "{case}: {told}");
                let failed = matches!(status, 429 | 500..);
                let later = reply.header("retry-after");
                assert_eq!(later, failed.then_some("11"), "{case}");
            }
        }
    }
}

#[test]
fn a_wrong_credential_of_ours_is_never_shown() {
    let gateway = start();
    for provider in PROVIDERS {
        let fake = gateway.provider(provider);
        fake.set(|settings| settings.api_key = Some("another".to_owned()));
        for client in CLIENTS {
            let reply = client
                .ask(&gateway, (&only(provider), "hi"), SHAPES[0])
                .send();
            let want = format!("502 {} provider_credential_refused", kind(client, 502));
            assert_eq!(reply.error(), want, "{client:?} to {provider}");
            let body = String::from_utf8_lossy(reply.body()).into_owned();
            assert!(!body.contains(&secret(provider)), "{body}");
        }
    }
}

#[test]
fn what_is_refused_before_any_provider_is_told_in_the_callers_dialect() {
    let gateway = start();
    for client in CLIENTS {
        let question = client.question("by-openai", "hi");
        let without_key = gateway.call("POST", client.path()).json(question.clone());
        let wrong_key = without_key.clone().header("x-api-key", "sk-tg-nobody");
        let asks = |body| client.call(&gateway, body);
        for (call, status, code) in [
            (without_key, 401, "missing_api_key"),
            (wrong_key, 401, "invalid_api_key"),
            (
                asks(client.question("nothing", "hi")),
                404,
                "model_not_found",
            ),
            (asks(json!({})).bytes("{"), 400, "invalid_json"),
        ] {
            let reply = call.send();
            let kind = match (client, status) {
                (_, 401) => "authentication_error",
                (Client::Messages, 404) => "not_found_error",
                _ => "invalid_request_error",
            };
            assert_eq!(
                reply.error(),
                format!("{status} {kind} {code}"),
                "{client:?}"
            );
            has_the_shape_of(client, &reply);
        }
    }
    assert_eq!(gateway.attempts(), Vec::<String>::new());
}
