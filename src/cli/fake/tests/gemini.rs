//! What Gemini's clients rely on.

use super::super::{Ending, Reply, UsageClaim};
use super::*;

const WHOLE: &str = "/gemini/v1beta/models/gemini-x:generateContent";
const STREAM: &str = "/gemini/v1beta/models/gemini-x:streamGenerateContent?alt=sse";

fn question() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "hello there"}]}]})
}

fn ask(fake: &Fake, path: &str, body: &Value) -> Got {
    send(fake, &post(path, "", &body.to_string()))
}

fn config(config: Value) -> Value {
    json!({"generationConfig": config})
}

fn tools() -> Value {
    json!({"tools": [{"functionDeclarations": [{"name": "look", "parameters":
        {"type": "OBJECT", "properties": {"at": {"type": "STRING"}}}}]}]})
}

/// One word for each event.
fn story(events: &[Value]) -> String {
    let words: Vec<_> = events.iter().map(word).collect();
    words.join(" ")
}

fn word(event: &Value) -> String {
    if let Some(status) = event.pointer("/error/status") {
        return status.as_str().unwrap().to_owned();
    }
    let candidate = &event["candidates"][0];
    let part = &candidate["content"]["parts"][0];
    let text = part["text"].as_str().unwrap_or_default().trim();
    if let Some(reason) = candidate["finishReason"].as_str() {
        return reason.to_owned();
    }
    match (&part["functionCall"]["name"], &part["thought"]) {
        (Value::String(name), _) => format!("{name}!"),
        (_, Value::Bool(true)) => format!("({text})"),
        _ => text.to_owned(),
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
        "candidates": [{
            "content": {"role": "model", "parts": [{"text": "one two three"}]},
            "index": 0,
            "finishReason": "STOP",
        }],
        "usageMetadata": {
            "promptTokenCount": 2,
            "cachedContentTokenCount": 1,
            "candidatesTokenCount": 3,
            "thoughtsTokenCount": 4,
            "totalTokenCount": 9,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}],
        },
        "modelVersion": "gemini-x",
        "responseId": "fake0000000000000001",
    });
    assert_eq!(ask(&fake, WHOLE, &question()).json(), want);
    let totals = fake.totals();
    assert_eq!((totals.prompt_tokens, totals.completion_tokens), (2, 7));
}

#[test]
fn a_stream_tells_its_story_in_order() {
    let think = config(json!({"thinkingConfig": {"includeThoughts": true}}));
    let both = json!({"contents": [{"parts": [{"text": "in parallel"}]}]});
    let none = json!({"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}});
    let short = config(json!({"maxOutputTokens": 2}));
    for (more, want) in [
        (json!({}), "fake heard: hello there STOP"),
        (short.clone(), "fake heard: MAX_TOKENS"),
        (think, "(the) (gate) (opens) fake heard: hello there STOP"),
        (
            json!({"generation_config": {"max_output_tokens": 4, "thinkingConfig": {"include_thoughts": true}}}),
            "(the) (gate) (opens) fake MAX_TOKENS",
        ),
        (tools(), "look! STOP"),
        (with(&tools(), &both), "look! look! STOP"),
        (with(&tools(), &short), " MAX_TOKENS"),
        (with(&tools(), &none), "fake heard: hello there STOP"),
        (
            config(json!({"candidateCount": 2})),
            "fake fake heard: heard: hello hello there there STOP",
        ),
    ] {
        let fake = start();
        let events = ask(&fake, STREAM, &with(&question(), &more)).events();
        assert_eq!(story(&events), want, "{more}");
        let used = &events.last().unwrap()["usageMetadata"];
        let count = |name: &str| used[name].as_u64().unwrap_or(0);
        assert_eq!(
            fake.totals().completion_tokens,
            count("candidatesTokenCount") + count("thoughtsTokenCount"),
            "{more}"
        );
        let whole = ask(&fake, WHOLE, &with(&question(), &more)).json();
        assert_eq!(whole["usageMetadata"], *used, "{more}");
        let list = STREAM.replace("?alt=sse", "");
        let list = ask(&fake, &list, &with(&question(), &more)).json();
        assert_eq!(story(list.as_array().unwrap()), want, "{more}");
    }
}

#[test]
fn usage_grows_with_the_stream_and_is_told_as_the_reply_says() {
    let claimed = UsageClaim::Claimed {
        prompt_tokens: 9,
        completion_tokens: 8,
    };
    for (claim, want) in [
        (UsageClaim::True, [json!(1), json!(2), json!(2)]),
        (UsageClaim::Wrong, [json!(1002), json!(1002), json!(1002)]),
        (claimed, [json!(8), json!(8), json!(8)]),
        (UsageClaim::None, [Value::Null, Value::Null, Value::Null]),
    ] {
        let fake = start();
        fake.next(Reply::text("a b").usage(claim));
        let events = ask(&fake, STREAM, &question()).events();
        let told: Vec<_> = events
            .iter()
            .map(|event| event["usageMetadata"]["candidatesTokenCount"].clone())
            .collect();
        assert_eq!(told, want);
    }
}

#[test]
fn a_call_is_answered_in_words() {
    let fake = start();
    let reply = ask(&fake, WHOLE, &with(&question(), &tools())).json();
    let part = json!({"functionCall": {"name": "look", "args": {"at": "hello there"}}});
    assert_eq!(reply["candidates"][0]["content"]["parts"], json!([part]));
    let answered = json!({
        "systemInstruction": {"parts": [{"text": "be kind"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hello there"}]},
            {"role": "model", "parts": [{"text": "not counted", "thought": true}, part]},
            {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"result": ["a b", "c"]}}}]},
        ],
    });
    let reply = ask(&fake, WHOLE, &with(&tools(), &answered)).json();
    let text = reply.pointer("/candidates/0/content/parts/0/text").unwrap();
    assert_eq!(
        (text, &reply["usageMetadata"]["promptTokenCount"]),
        (&json!("fake heard: hello there"), &json!(7))
    );
}

#[test]
fn who_asks_for_json_gets_json() {
    let schema = json!({"type": "OBJECT", "properties": {"count": {"type": "INTEGER"}}});
    let plain = json!({"responseMimeType": "application/json"});
    for (format, want) in [
        (plain.clone(), json!({"answer": "fake heard: hello there"})),
        (
            with(&plain, &json!({"responseSchema": schema})),
            json!({"count": 1}),
        ),
    ] {
        let reply = ask(&start(), WHOLE, &with(&question(), &config(format))).json();
        let text = reply.pointer("/candidates/0/content/parts/0/text").unwrap();
        let said: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        assert_eq!(said, want);
    }
}

#[test]
fn what_the_real_one_refuses_is_refused() {
    let fake = start();
    for (path, body, status, said) in [
        (WHOLE, json!([]), 400, "Root element"),
        (WHOLE, json!({}), 400, "contents is not specified"),
        (STREAM, json!({"contents": []}), 400, "contents is not"),
        (
            WHOLE,
            json!({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}),
            400,
            "valid role",
        ),
        (
            WHOLE,
            json!({"contents": [{"role": "user", "parts": []}]}),
            400,
            "parts",
        ),
        (
            WHOLE,
            with(&question(), &config(json!({"maxOutputTokens": 0}))),
            400,
            "maxOutputTokens",
        ),
        ("/v1beta/models/x:embed", question(), 404, "not found"),
        ("/v1beta/cachedContents", question(), 404, "not found"),
    ] {
        let reply = ask(&fake, path, &body);
        let error = &reply.json()["error"];
        assert_eq!(
            (reply.status(), &error["code"]),
            (status, &json!(status)),
            "{body}"
        );
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(said), "{body}: {message}");
    }
    assert_eq!(fake.totals().prompt_tokens, 0, "nobody pays for a refusal");
}

#[test]
fn a_key_is_wanted_where_one_is_set() {
    let fake = start();
    fake.set(|settings| settings.api_key = Some("k1".to_owned()));
    let vertex = "/gemini/v1/projects/p/locations/l/publishers/google/models/m:generateContent";
    let bare = "/v1beta/models/m:generateContent";
    for (path, header, status, said) in [
        (bare, "", 403, "PERMISSION_DENIED"),
        (bare, "x-goog-api-key: k2\r\n", 400, "INVALID_ARGUMENT"),
        (
            bare,
            "authorization: Bearer k1\r\n",
            403,
            "PERMISSION_DENIED",
        ),
        (bare, "X-Goog-Api-Key: k1\r\n", 200, ""),
        ("/v1beta/models/m:generateContent?key=k1", "", 200, ""),
        (vertex, "authorization: Bearer k1\r\n", 200, ""),
    ] {
        let reply = send(&fake, &post(path, header, &question().to_string()));
        let told = reply.json()["error"]["status"].clone();
        assert_eq!(
            (reply.status(), told.as_str().unwrap_or_default()),
            (status, said),
            "{path} {header}"
        );
    }
}

#[test]
fn a_broken_stream_breaks_where_it_says() {
    for (fault, want, complete, tokens) in [
        ("cut@0", "", false, 0),
        ("cut@2", "a b", false, 2),
        ("cut@9", "a b c", false, 3),
        ("end@9", "a b c", true, 3),
        ("end@1", "a", true, 1),
        ("error@start", "UNAVAILABLE", true, 0),
        ("error@1", "a UNAVAILABLE", true, 1),
    ] {
        let fake = start();
        let header = format!("x-fake-fault: {fault};text=a b c\r\n");
        let got = send(&fake, &post(STREAM, &header, &question().to_string()));
        assert_eq!(
            (story(&got.events()).as_str(), got.chunks().1),
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
    for (status, said) in [(429, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE")] {
        fake.next(Reply::status(status));
        let reply = ask(&fake, STREAM, &question());
        assert_eq!(
            (reply.status(), &reply.json()["error"]["status"]),
            (status, &json!(said))
        );
    }
}
