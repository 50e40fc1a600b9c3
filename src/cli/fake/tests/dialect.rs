//! What OpenAI's clients rely on.

use super::super::{Reply, UsageClaim};
use super::*;

#[test]
fn a_whole_answer_has_every_field_of_a_real_one() {
    let fake = start();
    fake.next(
        Reply::text("one two three")
            .cached_tokens(1)
            .reasoning_tokens(4),
    );
    let reply = chat(&fake, &question());
    let mut json = reply.json();
    assert!(json["created"].as_u64().unwrap() > 1_700_000_000);
    json["created"] = json!(0);
    let want = json!({
        "id": "chatcmpl-fake000000000000000000000001",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": "one two three", "refusal": null, "annotations": []},
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": {
            "prompt_tokens": 2,
            "completion_tokens": 7,
            "total_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 4, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_tollgate_fake",
    });
    assert_eq!(json, want);
    let totals = fake.totals();
    assert_eq!(
        (
            totals.requests,
            totals.prompt_tokens,
            totals.completion_tokens
        ),
        (1, 2, 7)
    );
}

#[test]
fn a_stream_tells_its_story_in_order() {
    let usage = json!({"stream_options": {"include_usage": true}});
    let tools = json!({"tools": [{"type": "function", "function": {"name": "look", "parameters":
        {"type": "object", "properties": {"at": {"type": "string"}}}}}]});
    let both = json!({"messages": [{"role": "user", "content": "in parallel"}]});
    for (more, want) in [
        (json!({}), "role fake heard: hello there stop [DONE]"),
        (usage, "role fake heard: hello there stop usage:4 [DONE]"),
        (json!({"max_tokens": 2}), "role fake heard: length [DONE]"),
        (
            json!({"max_completion_tokens": 3, "max_tokens": 1}),
            "role fake heard: hello length [DONE]",
        ),
        (
            json!({"max_tokens": 4}),
            "role fake heard: hello there stop [DONE]",
        ),
        (
            json!({"n": 2, "max_tokens": 1}),
            "role role fake fake length length [DONE]",
        ),
        (
            tools.clone(),
            "role call piece piece piece piece tool_calls [DONE]",
        ),
        (
            with(&tools, &both),
            "role call piece piece piece piece call piece piece piece piece tool_calls [DONE]",
        ),
        (
            with(&tools, &json!({"tool_choice": "none", "max_tokens": 1})),
            "role fake length [DONE]",
        ),
    ] {
        let reply = chat(&start(), &with(&streamed(), &more));
        assert_eq!(reply.story(), want, "{more}");
        assert_eq!(
            reply.header("content-type").unwrap(),
            "text/event-stream; charset=utf-8"
        );
    }
}

#[test]
fn usage_is_null_until_the_last_event_of_who_asked_for_it() {
    let fake = start();
    let asked = with(
        &streamed(),
        &json!({"stream_options": {"include_usage": true}}),
    );
    let events = chat(&fake, &asked).events();
    let (last, others) = events[..events.len() - 1].split_last().unwrap();
    assert!(
        others
            .iter()
            .all(|event| event.get("usage") == Some(&Value::Null))
    );
    assert_eq!(
        (&last["choices"], &last["usage"]["total_tokens"]),
        (&json!([]), &json!(6))
    );
    let events = chat(&fake, &streamed()).events();
    assert!(events.iter().all(|event| event.get("usage").is_none()));
}

#[test]
fn calls_of_tools_are_the_same_in_one_body_and_in_pieces() {
    let fake = start();
    let tools = json!({"tools": [
        {"type": "function", "function": {"name": "other"}},
        {"type": "function", "function": {"name": "look", "parameters":
            {"type": "object", "properties": {"at": {"type": "string"}, "times": {"type": "integer"}}}}},
    ], "tool_choice": {"type": "function", "function": {"name": "look"}}});
    let reply = chat(&fake, &with(&question(), &tools)).json();
    let choice = &reply["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let function = &choice["message"]["tool_calls"][0]["function"];
    assert_eq!(
        *function,
        json!({"name": "look", "arguments": "{\"at\":\"hello there\",\"times\":1}"})
    );
    let events = chat(&fake, &with(&streamed(), &tools)).events();
    let pieces: Vec<_> = events
        .iter()
        .filter_map(|event| {
            event
                .pointer("/choices/0/delta/tool_calls/0/function/arguments")?
                .as_str()
        })
        .collect();
    assert!(pieces.len() > 2, "{pieces:?}");
    assert_eq!(json!(pieces.concat()), function["arguments"]);
    assert_eq!(
        reply["usage"]["completion_tokens"],
        json!(pieces.len() - 1),
        "the first opens the call"
    );
    let after = json!({"messages": [{"role": "user", "content": "hello there"}, {"role": "tool", "content": "x", "tool_call_id": "c"}]});
    let reply = chat(&fake, &with(&with(&question(), &tools), &after)).json();
    assert_eq!(
        reply["choices"][0]["message"]["content"],
        "fake heard: hello there"
    );
}

#[test]
fn who_asks_for_json_gets_json() {
    let fake = start();
    let schema = json!({"type": "object", "properties": {"count": {"type": "integer"}}});
    for (format, want) in [
        (
            json!({"type": "json_object"}),
            json!({"answer": "fake heard: hello there"}),
        ),
        (
            json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}),
            json!({"count": 1}),
        ),
    ] {
        let reply = chat(
            &fake,
            &with(&question(), &json!({"response_format": format})),
        )
        .json();
        let content = reply["choices"][0]["message"]["content"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(content).unwrap(), want);
    }
}

#[test]
fn parts_of_a_message_count_like_text() {
    let parts = json!({"messages": [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": "what is"}, {"type": "image_url", "image_url": {"url": "x y z"}}, {"type": "text", "text": "this"}]},
    ]});
    let reply = chat(&start(), &with(&question(), &parts)).json();
    assert_eq!(reply["usage"]["prompt_tokens"], 5);
    assert_eq!(
        reply["choices"][0]["message"]["content"],
        "fake heard: what is this"
    );
}

/// Path, body, and what the refusal says: status, parameter, code.
const REFUSALS: &[(&str, &str, &str)] = &[
    (CHAT, "{", "400 null null"),
    (CHAT, "[]", "400 null null"),
    (CHAT, r#"{"messages":[]}"#, "400 null null"),
    (
        CHAT,
        r#"{"model":"m"}"#,
        "400 \"messages\" \"missing_required_parameter\"",
    ),
    (CHAT, r#"{"model":1}"#, "400 \"model\" null"),
    (
        CHAT,
        r#"{"model":"m","messages":[]}"#,
        "400 \"messages\" null",
    ),
    (
        CHAT,
        r#"{"model":"m","messages":[{}]}"#,
        "400 \"messages\" null",
    ),
    (
        "/v1/embeddings",
        r#"{"model":"m"}"#,
        "400 \"input\" \"missing_required_parameter\"",
    ),
    (
        "/v1/completions",
        r#"{"model":"m","prompt":1}"#,
        "400 \"prompt\" null",
    ),
    ("/v1/nothing", "{}", "404 null \"unknown_url\""),
    ("/v1/models", "{}", "405 null \"method_not_supported\""),
];

#[test]
fn what_the_real_one_refuses_is_refused() {
    let fake = start();
    let refusal = |path: &str, body: &str| {
        let reply = send(&fake, &post(path, "", body));
        let error = &reply.json()["error"];
        assert!(error["message"].is_string() && error["type"].is_string());
        format!("{} {} {}", reply.status(), error["param"], error["code"])
    };
    for (path, body, want) in REFUSALS {
        assert_eq!(refusal(path, body), *want, "{path} {body}");
    }
    for (param, value) in [
        ("stream", json!("yes")),
        ("n", json!(0)),
        ("max_tokens", json!(-1)),
        ("stream_options", json!({})),
    ] {
        let body = with(&question(), &json!({param: value}));
        let want = format!("400 \"{param}\" null");
        assert_eq!(refusal(CHAT, &body.to_string()), want, "{body}");
    }
    assert_eq!(fake.totals().prompt_tokens, 0, "nobody pays for a refusal");
}

#[test]
fn a_key_is_wanted_where_one_is_set() {
    let fake = start();
    fake.set(|settings| settings.api_key = Some("sk-1".to_owned()));
    for (header, status) in [
        ("", 401),
        ("authorization: Bearer sk-2\r\n", 401),
        ("Authorization: Bearer sk-1\r\n", 200),
    ] {
        let reply = send(&fake, &post(CHAT, header, &question().to_string()));
        assert_eq!(reply.status(), status, "{header}");
    }
    assert_eq!(fake.requests()[0].status, Some(401));
}

#[test]
fn the_same_is_spoken_under_both_prefixes() {
    let fake = start();
    for path in [
        "/v1/models",
        "/openai/v1/models",
        "/openai/v1/models?after=x",
    ] {
        let reply = send(
            &fake,
            &format!("GET {path} HTTP/1.1\r\nconnection: close\r\n\r\n"),
        );
        assert_eq!(
            (reply.status(), &reply.json()["data"][0]["id"]),
            (200, &json!("gpt-4o")),
            "{path}"
        );
    }
    let reply = send(
        &fake,
        &post("/openai/v1/chat/completions", "", &question().to_string()),
    );
    assert_eq!(reply.status(), 200);
}

#[test]
fn completions_are_answered_for_each_prompt() {
    let fake = start();
    let body = json!({"model": "m", "prompt": ["a b", "c"], "max_tokens": 3});
    let reply = send(&fake, &post("/v1/completions", "", &body.to_string())).json();
    let texts: Vec<_> = reply["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| (&choice["text"], &choice["finish_reason"]))
        .collect();
    assert_eq!(
        texts,
        [
            (&json!("fake heard: a"), &json!("length")),
            (&json!("fake heard: c"), &json!("stop"))
        ]
    );
    assert_eq!(
        (
            &reply["usage"]["prompt_tokens"],
            &reply["usage"]["completion_tokens"]
        ),
        (&json!(3), &json!(6))
    );
    let body = with(
        &body,
        &json!({"prompt": "a", "stream": true, "stream_options": {"include_usage": true}}),
    );
    let events = send(&fake, &post("/v1/completions", "", &body.to_string())).events();
    let text: String = events
        .iter()
        .filter_map(|event| event.pointer("/choices/0/text")?.as_str())
        .collect();
    assert_eq!(
        (
            text.as_str(),
            &events[4]["usage"]["completion_tokens"],
            &events[5]
        ),
        ("fake heard: a", &json!(3), &json!("[DONE]"))
    );
}

#[test]
fn the_same_text_has_the_same_vector() {
    let fake = start();
    let body = json!({"model": "m", "input": ["a b", "c", "a b"], "dimensions": 64});
    let reply = send(&fake, &post("/v1/embeddings", "", &body.to_string())).json();
    let vectors: Vec<_> = reply["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["embedding"])
        .collect();
    assert_eq!(vectors[0], vectors[2]);
    assert_ne!(vectors[0], vectors[1]);
    assert_eq!(vectors[0].as_array().unwrap().len(), 64);
    assert_eq!(
        reply["usage"],
        json!({"prompt_tokens": 5, "total_tokens": 5})
    );
    let body = with(
        &body,
        &json!({"input": [1, 2, 3], "encoding_format": "base64"}),
    );
    let reply = send(&fake, &post("/v1/embeddings", "", &body.to_string())).json();
    assert_eq!(reply["data"][0]["embedding"].as_str().unwrap().len(), 344);
    assert_eq!(reply["usage"]["prompt_tokens"], 3);
}

#[test]
fn usage_can_be_left_out_or_wrong() {
    let fake = start();
    let asked = with(
        &streamed(),
        &json!({"stream_options": {"include_usage": true}}),
    );
    let claimed = UsageClaim::Claimed {
        prompt_tokens: 1,
        completion_tokens: 9,
    };
    for (claim, whole, stream) in [
        (UsageClaim::True, json!(1), "role x stop usage:1 [DONE]"),
        (UsageClaim::None, Value::Null, "role x stop [DONE]"),
        (
            UsageClaim::Wrong,
            json!(1001),
            "role x stop usage:1001 [DONE]",
        ),
        (claimed, json!(9), "role x stop usage:9 [DONE]"),
    ] {
        fake.next(Reply::text("x").usage(claim).times(2));
        assert_eq!(
            chat(&fake, &question()).json()["usage"]["completion_tokens"],
            whole
        );
        assert_eq!(chat(&fake, &asked).story(), stream);
    }
    assert_eq!(
        fake.totals().completion_tokens,
        8,
        "the ledger has the truth"
    );
}
