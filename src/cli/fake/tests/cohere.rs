//! What Cohere's clients rely on.

use super::super::{Ending, Reply, UsageClaim};
use super::*;

const CHAT: &str = "/cohere/v2/chat";

fn ask(fake: &Fake, body: &Value) -> Got {
    send(fake, &post(CHAT, "", &body.to_string()))
}

fn tools() -> Value {
    json!({"tools": [{"type": "function", "function": {"name": "look", "parameters":
        {"type": "object", "properties": {"at": {"type": "string"}}}}}]})
}

/// One word for each event; its name must be the type of its data, and `[DONE]` the last word of all.
fn story(got: &Got) -> String {
    let body = got.body();
    let events = body.split_terminator("\n\n").map(|event| {
        let Some((name, data)) = event.split_once("\ndata: ") else {
            return event.trim_start_matches("data: ").to_owned();
        };
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        word(&data)
    });
    events.collect::<Vec<_>>().join(" ")
}

fn word(event: &Value) -> String {
    let message = &event["delta"]["message"];
    let said = |place: &str| message.pointer(place).and_then(Value::as_str);
    match event["type"].as_str().unwrap() {
        "message-start" => "start".to_owned(),
        "content-start" => said("/content/type").unwrap().to_owned(),
        "content-delta" => match said("/content/thinking") {
            Some(thought) => format!("({})", thought.trim()),
            None => said("/content/text").unwrap().trim().to_owned(),
        },
        "tool-plan-delta" => format!("<{}>", said("/tool_plan").unwrap().trim()),
        "tool-call-start" => format!("{}!", said("/tool_calls/function/name").unwrap()),
        "tool-call-delta" => "piece".to_owned(),
        "content-end" | "tool-call-end" => format!("end{}", event["index"]),
        "message-end" => event["delta"]["finish_reason"].as_str().unwrap().to_owned(),
        other => other.to_owned(),
    }
}

#[test]
fn a_whole_reply_has_every_field_of_a_real_one() {
    let fake = start();
    fake.next(
        Reply::text("one two three")
            .cached_tokens(1)
            .reasoning_tokens(4),
    );
    let want = json!({
        "id": "fa4e0000-0000-4000-8000-000000000001",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "one two three"}]},
        "usage": {
            "billed_units": {"input_tokens": 2, "output_tokens": 7},
            "tokens": {"input_tokens": 72, "output_tokens": 7},
            "cached_tokens": 71,
        },
    });
    assert_eq!(ask(&fake, &question()).json(), want);
    let totals = fake.totals();
    assert_eq!((totals.prompt_tokens, totals.completion_tokens), (2, 7));
}

#[test]
fn a_stream_tells_its_story_in_order() {
    let both = json!({"messages": [{"role": "user", "content": "in parallel"}]});
    for (more, want) in [
        (
            json!({}),
            "start text fake heard: hello there end0 COMPLETE [DONE]",
        ),
        (
            json!({"max_tokens": 2}),
            "start text fake heard: end0 MAX_TOKENS [DONE]",
        ),
        (
            json!({"thinking": {"type": "enabled"}}),
            "start thinking (the) (gate) (opens) end0 text fake heard: hello there end1 COMPLETE [DONE]",
        ),
        (
            tools(),
            "start <I> <will> <use> <look.> look! piece piece piece piece end0 TOOL_CALL [DONE]",
        ),
        (
            with(&tools(), &json!({"max_tokens": 5})),
            "start <I> <will> <use> <look.> look! piece end0 MAX_TOKENS [DONE]",
        ),
        (
            with(&tools(), &both),
            "start <I> <will> <use> <look.> look! piece piece piece piece end0 look! piece piece piece piece end1 TOOL_CALL [DONE]",
        ),
        (
            with(&tools(), &json!({"tool_choice": "NONE"})),
            "start text fake heard: hello there end0 COMPLETE [DONE]",
        ),
    ] {
        let fake = start();
        let got = ask(&fake, &with(&streamed(), &more));
        assert_eq!(story(&got), want, "{more}");
        let whole = ask(&fake, &with(&question(), &more)).json();
        let used = whole.pointer("/usage/billed_units/output_tokens").unwrap();
        let totals = fake.totals();
        assert_eq!(
            json!(totals.completion_tokens),
            json!(used.as_u64().unwrap() * 2),
            "{more}"
        );
        let end = format!("\"usage\":{}", whole["usage"]);
        assert!(got.body().contains(&end), "{more}: {end}");
    }
}

#[test]
fn a_call_is_planned_and_answered_in_words() {
    let fake = start();
    let reply = ask(&fake, &with(&question(), &tools())).json();
    let want = json!({
        "role": "assistant",
        "tool_plan": "I will use look.",
        "tool_calls": [{"id": "look_fake000000010", "type": "function",
            "function": {"name": "look", "arguments": "{\"at\":\"hello there\"}"}}],
    });
    assert_eq!(reply["message"], want);
    let answered = json!({"messages": [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": "hello there"}]},
        {"role": "assistant", "tool_calls": want["tool_calls"]},
        {"role": "tool", "tool_call_id": "x", "content": [{"type": "document", "document": {"data": "a b c"}}]},
    ]});
    let reply = ask(&fake, &with(&with(&question(), &tools()), &answered)).json();
    assert_eq!(
        (
            &reply["message"]["content"][0]["text"],
            &reply["usage"]["billed_units"]["input_tokens"]
        ),
        (&json!("fake heard: hello there"), &json!(7))
    );
}

#[test]
fn usage_is_told_as_the_reply_says() {
    let claimed = UsageClaim::Claimed {
        prompt_tokens: 9,
        completion_tokens: 8,
    };
    for (claim, want) in [
        (
            UsageClaim::Wrong,
            json!({"input_tokens": 1002, "output_tokens": 1003}),
        ),
        (claimed, json!({"input_tokens": 9, "output_tokens": 8})),
        (UsageClaim::None, Value::Null),
    ] {
        let fake = start();
        fake.always(Reply::text("a b c").usage(claim));
        let reply = ask(&fake, &question()).json();
        assert_eq!(reply["usage"]["billed_units"], want);
        let body = ask(&fake, &streamed()).body();
        assert_eq!(body.contains(&want.to_string()), !want.is_null());
        assert_eq!(body.contains("usage"), !want.is_null());
    }
}

#[test]
fn who_asks_for_json_gets_json() {
    let schema = json!({"type": "object", "properties": {"count": {"type": "integer"}}});
    for (format, want) in [
        (
            json!({"type": "json_object"}),
            json!({"answer": "fake heard: hello there"}),
        ),
        (
            json!({"type": "json_object", "json_schema": schema}),
            json!({"count": 1}),
        ),
    ] {
        let body = with(&question(), &json!({"response_format": format}));
        let reply = ask(&start(), &body).json();
        let text = reply["message"]["content"][0]["text"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), want);
    }
}

#[test]
fn what_the_real_one_refuses_is_refused() {
    let fake = start();
    for (change, said) in [
        (json!({"model": null}), "model"),
        (json!({"messages": []}), "messages"),
        (
            json!({"messages": [{"role": "developer", "content": "x"}]}),
            "role",
        ),
        (
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            "tool_call_id",
        ),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"stream": "yes"}), "stream"),
    ] {
        let reply = ask(&fake, &with(&question(), &change));
        assert_eq!(reply.status(), 400, "{change}");
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(said), "{change}: {message}");
    }
    let elsewhere = send(&fake, &post("/cohere/v2/embed", "", "{}"));
    assert_eq!(elsewhere.status(), 404);
    assert_eq!(fake.totals().prompt_tokens, 0, "nobody pays for a refusal");
}

#[test]
fn a_key_is_wanted_where_one_is_set() {
    let fake = start();
    fake.set(|settings| settings.api_key = Some("k1".to_owned()));
    for (header, status) in [
        ("", 401),
        ("authorization: Bearer k2\r\n", 401),
        ("Authorization: Bearer k1\r\n", 200),
    ] {
        let reply = send(&fake, &post("/v2/chat", header, &question().to_string()));
        assert_eq!(reply.status(), status, "{header}");
        assert_eq!(reply.json()["message"].is_string(), status == 401);
    }
}

#[test]
fn a_broken_stream_breaks_where_it_says() {
    for (fault, want, complete, tokens) in [
        ("cut@0", "start text", false, 0),
        ("cut@2", "start text a b", false, 2),
        ("cut@9", "start text a b c end0", false, 3),
        ("end@9", "start text a b c end0", true, 3),
        ("end@1", "start text a", true, 1),
        ("error@start", "ERROR", true, 0),
        ("error@1", "start text a ERROR", true, 1),
    ] {
        let fake = start();
        let header = format!("x-fake-fault: {fault};text=a b c\r\n");
        let got = send(&fake, &post(CHAT, &header, &streamed().to_string()));
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
    for status in [429, 500] {
        fake.next(Reply::status(status).retry_after(3));
        let reply = ask(&fake, &question());
        assert_eq!(
            (reply.status(), reply.json()["message"].is_string()),
            (status, true)
        );
        assert_eq!(reply.header("retry-after").as_deref(), Some("3"));
    }
    fake.next(Reply::breaking("error"));
    let reply = ask(&fake, &question());
    assert_eq!(
        (reply.status(), reply.json()["message"].is_string()),
        (200, true)
    );
}
