//! What Anthropic's clients rely on.

use super::super::{Ending, Reply, UsageClaim};
use super::*;

const MESSAGES: &str = "/anthropic/v1/messages";
const VERSION: &str = "anthropic-version: 2023-06-01\r\n";

fn question() -> Value {
    json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hello there"}]})
}

fn streamed() -> Value {
    with(&question(), &json!({"stream": true}))
}

fn ask(fake: &Fake, body: &Value) -> Got {
    send(fake, &post(MESSAGES, VERSION, &body.to_string()))
}

fn tools() -> Value {
    json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}, {"name": "look", "input_schema":
        {"type": "object", "properties": {"at": {"type": "string"}}}}]})
}

/// One word for each event; its name must be the type of its data.
fn story(got: &Got) -> String {
    let words: Vec<_> = got.named_events().iter().map(word).collect();
    words.join(" ")
}

fn word((name, event): &(String, Value)) -> String {
    assert_eq!(event["type"], json!(name));
    let delta = &event["delta"];
    match name.as_str() {
        "message_start" => "start".to_owned(),
        "content_block_start" => event["content_block"]["type"].as_str().unwrap().to_owned(),
        "content_block_stop" => format!("end{}", event["index"]),
        "message_delta" => delta["stop_reason"].as_str().unwrap().to_owned(),
        "message_stop" => "stop".to_owned(),
        "content_block_delta" => match delta["type"].as_str().unwrap() {
            "text_delta" => delta["text"].as_str().unwrap().trim().to_owned(),
            "thinking_delta" => format!("({})", delta["thinking"].as_str().unwrap().trim()),
            "input_json_delta" => "piece".to_owned(),
            other => other.to_owned(),
        },
        other => other.to_owned(),
    }
}

#[test]
fn a_whole_message_has_every_field_of_a_real_one() {
    let fake = start();
    fake.next(
        Reply::text("one two three")
            .cached_tokens(1)
            .reasoning_tokens(4),
    );
    let want = json!({
        "id": "msg_fake000000000000000000000001",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "one two three"}],
        "stop_reason": "end_turn",
        "stop_sequence": null,
        "usage": {
            "input_tokens": 1,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 1,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 7,
            "output_tokens_details": {"thinking_tokens": 4},
            "service_tier": "standard",
        },
    });
    assert_eq!(ask(&fake, &question()).json(), want);
    let totals = fake.totals();
    assert_eq!((totals.prompt_tokens, totals.completion_tokens), (2, 7));
}

#[test]
fn a_stream_tells_its_story_in_order() {
    let think = json!({"max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}});
    let both = json!({"messages": [{"role": "user", "content": "in parallel"}]});
    for (more, want) in [
        (
            json!({}),
            "start ping text fake heard: hello there end0 end_turn stop",
        ),
        (
            json!({"max_tokens": 2}),
            "start ping text fake heard: end0 max_tokens stop",
        ),
        (
            think,
            "start ping thinking (the) (gate) (opens) signature_delta end0 text fake heard: hello there end1 end_turn stop",
        ),
        (
            tools(),
            "start ping tool_use piece piece piece piece piece end0 tool_use stop",
        ),
        (
            with(&tools(), &json!({"max_tokens": 2})),
            "start ping tool_use piece piece piece end0 max_tokens stop",
        ),
        (
            with(&tools(), &both),
            "start ping tool_use piece piece piece piece piece end0 tool_use piece piece piece piece piece end1 tool_use stop",
        ),
        (
            with(&tools(), &json!({"tool_choice": {"type": "none"}})),
            "start ping text fake heard: hello there end0 end_turn stop",
        ),
    ] {
        let fake = start();
        let got = ask(&fake, &with(&streamed(), &more));
        assert_eq!(story(&got), want, "{more}");
        let events = got.named_events();
        let last = &events[events.len() - 2].1["usage"];
        let used = &last["output_tokens"];
        assert_eq!(json!(fake.totals().completion_tokens), *used, "{more}");
        let whole = ask(&fake, &with(&question(), &more)).json();
        for told in ["output_tokens", "output_tokens_details"] {
            assert_eq!(whole["usage"][told], last[told], "{more}");
        }
    }
}

#[test]
fn calls_are_the_same_in_one_body_and_in_pieces() {
    let fake = start();
    let reply = ask(&fake, &with(&question(), &tools())).json();
    let want = json!([{"type": "tool_use", "id": "toolu_fake0000000000010", "name": "look", "input": {"at": "hello there"}}]);
    assert_eq!(
        (&reply["content"], &reply["stop_reason"]),
        (&want, &json!("tool_use"))
    );
    let events = ask(&fake, &with(&streamed(), &tools())).named_events();
    let pieces: Vec<_> = events
        .iter()
        .filter_map(|(_, event)| event.pointer("/delta/partial_json")?.as_str())
        .collect();
    let input: Value = serde_json::from_str(&pieces.concat()).unwrap();
    assert_eq!(input, want[0]["input"]);
    let answered = json!({"messages": [
        {"role": "user", "content": [{"type": "text", "text": "hello there"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a b"}]}]},
    ]});
    let reply = ask(&fake, &with(&with(&question(), &tools()), &answered)).json();
    assert_eq!(
        (
            &reply["content"][0]["text"],
            &reply["usage"]["input_tokens"]
        ),
        (&json!("fake heard: hello there"), &json!(4))
    );
}

#[test]
fn usage_is_told_as_the_reply_says() {
    let claimed = UsageClaim::Claimed {
        prompt_tokens: 9,
        completion_tokens: 8,
    };
    for (claim, input, output) in [
        (UsageClaim::True, json!(2), json!(3)),
        (UsageClaim::Wrong, json!(1002), json!(1003)),
        (claimed, json!(9), json!(8)),
        (UsageClaim::None, Value::Null, Value::Null),
    ] {
        let fake = start();
        fake.always(Reply::text("a b c").usage(claim));
        let whole = ask(&fake, &question()).json();
        assert_eq!(
            (
                &whole["usage"]["input_tokens"],
                &whole["usage"]["output_tokens"]
            ),
            (&input, &output)
        );
        let events = ask(&fake, &streamed()).named_events();
        let start = events[0].1.pointer("/message/usage/input_tokens");
        assert_eq!(start.unwrap_or(&Value::Null), &input);
        assert_eq!(events[events.len() - 2].1["usage"]["output_tokens"], output);
    }
}

#[test]
fn who_asks_for_a_schema_gets_what_fits_it() {
    let schema = json!({"type": "object", "properties": {"count": {"type": "integer"}}});
    let format = json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}});
    let reply = ask(&start(), &with(&question(), &format)).json();
    assert_eq!(reply["content"][0]["text"], "{\"count\":1}");
}

#[test]
fn what_the_real_one_refuses_is_refused() {
    let fake = start();
    let thinking = |budget: u64| json!({"type": "enabled", "budget_tokens": budget});
    for (change, said) in [
        (json!({"max_tokens": null}), "max_tokens"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"model": 1}), "model"),
        (json!({"messages": []}), "messages"),
        (
            json!({"messages": [{"role": "system", "content": "x"}]}),
            "messages.0.role",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}),
            "non-empty",
        ),
        (json!({"stream": "yes"}), "stream"),
        (json!({"thinking": thinking(100)}), "1024"),
        (json!({"thinking": thinking(1024)}), "max_tokens"),
    ] {
        let reply = ask(&fake, &with(&question(), &change));
        let error = reply.json();
        assert_eq!(
            (reply.status(), &error["type"], &error["error"]["type"]),
            (400, &json!("error"), &json!("invalid_request_error")),
            "{change}"
        );
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(said), "{change}: {message}");
    }
    for missing in ["model", "messages", "max_tokens"] {
        let mut body = question();
        body.as_object_mut().unwrap().remove(missing);
        let error = ask(&fake, &body).json();
        assert_eq!(
            error["error"]["message"],
            json!(format!("{missing}: Field required"))
        );
    }
    let unversioned = send(&fake, &post(MESSAGES, "", &question().to_string()));
    assert_eq!(unversioned.status(), 400);
    let elsewhere = send(&fake, &post("/anthropic/v1/chat", VERSION, "{}"));
    assert_eq!(
        (elsewhere.status(), &elsewhere.json()["error"]["type"]),
        (404, &json!("not_found_error"))
    );
    assert_eq!(fake.totals().prompt_tokens, 0, "nobody pays for a refusal");
}

#[test]
fn a_key_is_wanted_where_one_is_set() {
    let fake = start();
    fake.set(|settings| settings.api_key = Some("sk-1".to_owned()));
    for (header, status) in [
        ("", 401),
        ("authorization: sk-1\r\n", 401),
        ("authorization: Bearer sk-1\r\n", 200),
        ("x-api-key: sk-2\r\n", 401),
        ("X-Api-Key: sk-1\r\n", 200),
    ] {
        let headers = format!("{VERSION}{header}");
        let reply = send(
            &fake,
            &post("/v1/messages", &headers, &question().to_string()),
        );
        assert_eq!(reply.status(), status, "{header}");
        if status == 401 {
            assert_eq!(reply.json()["error"]["type"], "authentication_error");
        }
    }
}

#[test]
fn a_status_brings_an_error_of_its_kind() {
    let fake = start();
    for (status, kind) in [
        (403, "permission_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ] {
        fake.next(Reply::status(status));
        let reply = ask(&fake, &streamed());
        assert_eq!(
            (reply.status(), &reply.json()["error"]["type"]),
            (status, &json!(kind))
        );
    }
}

#[test]
fn a_broken_stream_breaks_where_it_says() {
    for (fault, want, complete, tokens) in [
        ("cut@0", "start ping text", false, 0),
        ("cut@2", "start ping text a b", false, 2),
        ("cut@9", "start ping text a b c end0 end_turn", false, 3),
        ("end@9", "start ping text a b c end0 end_turn", true, 3),
        ("end@1", "start ping text a", true, 1),
        ("error@start", "error", true, 0),
        ("error@1", "start ping text a error", true, 1),
    ] {
        let fake = start();
        let headers = format!("{VERSION}x-fake-fault: {fault};text=a b c\r\n");
        let got = send(&fake, &post(MESSAGES, &headers, &streamed().to_string()));
        assert_eq!(
            (story(&got).as_str(), got.chunks().1),
            (want, complete),
            "{fault}"
        );
        let ending = if complete {
            Ending::Served
        } else {
            Ending::CutByUs
        };
        let seen = fake.wait(PATIENCE, |seen| seen[0].ending == ending);
        assert_eq!(seen.expect(fault)[0].tokens, tokens, "{fault}");
    }
    let fake = start();
    fake.next(Reply::breaking("error"));
    let reply = ask(&fake, &question());
    assert_eq!(
        (reply.status(), &reply.json()["error"]["type"]),
        (200, &json!("api_error"))
    );
}

#[test]
fn tokens_are_counted_for_nothing() {
    let fake = start();
    let body = json!({"model": "m", "system": "be kind", "messages": [{"role": "user", "content": "hello there you"}]});
    let path = "/anthropic/v1/messages/count_tokens?beta=true";
    let reply = send(&fake, &post(path, VERSION, &body.to_string()));
    assert_eq!(reply.json(), json!({"input_tokens": 5}));
    assert_eq!(fake.totals().prompt_tokens, 0);
}
