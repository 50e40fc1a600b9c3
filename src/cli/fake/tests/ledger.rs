//! What is remembered, and how it is asked for.

use super::super::{Ending, Reply};
use super::*;

fn ask(fake: &Fake, method: &str, path: &str, body: &str) -> Got {
    send(fake, &post(path, "", body).replacen("POST", method, 1))
}

#[test]
fn the_ledger_has_what_was_sent_to_the_byte() {
    let fake = start();
    let body = "{\"model\": \"m\" ,\"messages\":[{\"role\":\"user\",\"content\":\"\u{fc}\"}]}";
    send(
        &fake,
        &post(
            "/v1/chat/completions?x=1",
            "X-One: 1\r\nx-two: 2\r\nX-One: 3\r\n",
            body,
        ),
    );
    let seen = &fake.requests()[0];
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str()),
        ("POST", "/v1/chat/completions?x=1")
    );
    assert_eq!(seen.body, body.as_bytes());
    assert_eq!(
        (seen.number, seen.connection, seen.status, seen.ending),
        (1, 1, Some(200), Ending::Served)
    );
    let names: Vec<_> = seen
        .headers
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(names[3..], ["X-One=1", "x-two=2", "X-One=3"]);
    assert_eq!(
        (seen.header("x-one"), seen.json()["model"].as_str()),
        (Some("1"), Some("m"))
    );
}

#[test]
fn a_client_that_leaves_is_noticed_and_counted() {
    let fake = start();
    fake.next(Reply::tokens(1_000).pace_ms(20));
    let mut stream = connect(&fake, PATIENCE);
    stream
        .write_all(post(CHAT, "", &streamed().to_string()).as_bytes())
        .unwrap();
    let mut got = Vec::new();
    while String::from_utf8_lossy(&got)
        .matches("\"content\":")
        .count()
        < 4
    {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).unwrap();
        got.extend_from_slice(&buffer[..count]);
    }
    drop(stream);
    let seen = fake
        .wait(PATIENCE, |seen| seen[0].ending == Ending::ClientLeft)
        .unwrap();
    // The role and three tokens were read; on a busy machine some more were under way.
    let tokens = seen[0].tokens;
    assert!((3..50).contains(&tokens), "{tokens}");
    assert_eq!(fake.totals().completion_tokens, seen[0].tokens);
}

#[test]
fn the_control_endpoint_does_what_the_handle_does() {
    let fake = start();
    let control = json!({"script": ["429;retry_after=1", {"text": "hi"}], "always": [{"status": 500, "every": 2}], "name": "bob"});
    assert_eq!(
        ask(&fake, "POST", "/_control", &control.to_string()).status(),
        200
    );
    let statuses: Vec<_> = (0..4).map(|_| chat(&fake, &question()).status()).collect();
    assert_eq!(statuses, [429, 200, 200, 500]);
    assert_eq!(
        chat(&fake, &question()).json()["choices"][0]["message"]["content"],
        "bob heard: hello there"
    );
    let ledger = ask(&fake, "GET", "/_ledger", "").json();
    assert_eq!(
        ledger["totals"]["requests"], 5,
        "talk about the ledger is not in it"
    );
    assert_eq!(
        (
            &ledger["requests"][0]["status"],
            &ledger["requests"][1]["ending"]
        ),
        (&json!(429), &json!("served"))
    );
    assert_eq!(
        ask(&fake, "POST", "/_control", "{\"always\":[]}").status(),
        200
    );
    assert_eq!(chat(&fake, &question()).status(), 200);
    assert_eq!(ask(&fake, "POST", "/_reset", "").status(), 200);
    assert_eq!((fake.requests(), fake.totals().requests), (vec![], 0));
}

#[test]
fn a_mistaken_order_changes_nothing() {
    let fake = start();
    for (method, path, body, status) in [
        (
            "POST",
            "/_control",
            "{\"script\":[\"429\",\"nonsense\"]}",
            400,
        ),
        (
            "POST",
            "/_control",
            "{\"script\":[{\"status\":429,\"every\":2}]}",
            400,
        ),
        (
            "POST",
            "/_control",
            "{\"script\":[{\"status\":429,\"times\":1000000000}]}",
            400,
        ),
        ("POST", "/_control", "{\"scripts\":[]}", 400),
        ("POST", "/_control", "", 400),
        ("GET", "/_control", "", 405),
        ("POST", "/_ledger", "", 405),
        ("GET", "/_reset", "", 405),
    ] {
        assert_eq!(
            ask(&fake, method, path, body).status(),
            status,
            "{method} {path} {body}"
        );
    }
    assert_eq!(chat(&fake, &question()).status(), 200);
}

#[test]
fn nothing_is_kept_for_benchmarks_but_all_is_counted() {
    let settings = Settings {
        keep_requests: 0,
        ..Settings::default()
    };
    let fake = Fake::start("127.0.0.1:0", settings).unwrap();
    for _ in 0..3 {
        chat(&fake, &question());
    }
    assert_eq!(
        (
            fake.requests(),
            fake.totals().requests,
            fake.totals().completion_tokens
        ),
        (vec![], 3, 12)
    );
}
