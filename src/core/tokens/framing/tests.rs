//! Requests as clients write them, counted by the rules and by hand.

use super::*;

const WEATHER_TOOLS: &str = r#"[{"type": "function", "function": {
    "name": "get_current_weather",
    "description": "Get the current weather in a given location",
    "parameters": {"type": "object", "properties": {
        "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
        "unit": {"type": "string", "description": "The unit of temperature to return",
                 "enum": ["celsius", "fahrenheit"]}},
    "required": ["location"]}}}]"#;
const WEATHER_MESSAGES: &str = r#"[
    {"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
    {"role": "user", "content": "What's the weather like in San Francisco?"}]"#;
const JARGON_MESSAGES: &str = r#"[
    {"role": "system", "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
    {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
    {"role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue."},
    {"role": "system", "name": "example_user", "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
    {"role": "system", "name": "example_assistant", "content": "Let's talk later when we're less busy about how to do better."},
    {"role": "user", "content": "This late pivot means we don't have time to boil the ocean for the client deliverable."}]"#;

fn count(model: &str, body: &str) -> Count {
    count_chat(&mut Counter::new(), Family::of(model), body.as_bytes(), 1)
}

fn tokens_and_how(model: &str, body: &str) -> (u64, How) {
    let count = count(model, body);
    (count.tokens.0, count.how)
}

/// The numbers are those that the cookbook prints, and says that the API reports.
#[test]
fn the_examples_of_the_cookbook_come_out_as_printed() {
    for (model, messages, tools, want) in [
        ("gpt-4o", JARGON_MESSAGES, "[]", 124),
        ("gpt-4o-mini", JARGON_MESSAGES, "[]", 124),
        ("gpt-4-0613", JARGON_MESSAGES, "[]", 129),
        ("gpt-3.5-turbo", JARGON_MESSAGES, "[]", 129),
        ("gpt-4o", WEATHER_MESSAGES, WEATHER_TOOLS, 101),
        ("gpt-4o-mini", WEATHER_MESSAGES, WEATHER_TOOLS, 101),
        ("gpt-4", WEATHER_MESSAGES, WEATHER_TOOLS, 105),
        ("gpt-3.5-turbo", WEATHER_MESSAGES, WEATHER_TOOLS, 105),
    ] {
        let body = format!(r#"{{"model": "{model}", "messages": {messages}, "tools": {tools}}}"#);
        assert_eq!(
            tokens_and_how(model, &body),
            (want, How::Exact),
            "{model} {tools}"
        );
    }
}

/// "hello" is one token, and so is "user": a message of both is 3 + 1 + 1, and 3 before the reply.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_shape_of_a_request_is_counted() {
    for (body, want, how) in [
        (
            r#"{"messages":[{"role":"user","content":"hello"}]}"#,
            8,
            How::Exact,
        ),
        (
            r#"{"temperature":0.5,"user":"x y z","messages":[{"role":"user","content":"hello"}]}"#,
            8,
            How::Exact,
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hello"}]}]}"#,
            8,
            How::Exact,
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hello"},"hello"]}]}"#,
            9,
            How::Exact,
        ),
        (
            r#"{"messages":[{"role":"user","content":"hello","name":"hello"}]}"#,
            10,
            How::Exact,
        ),
        (
            r#"{"messages":[{"role":"user","content":"\u0068ello"}]}"#,
            8,
            How::Exact,
        ),
        (
            r#"{"m\u0065ssages":[{"role":"user","c\u006fntent":"hello"}]}"#,
            8,
            How::Exact,
        ),
        (
            r#"{"messages":[{"role":"user","content":"hello"}],"messages":[{"role":"user","content":"hello"}]}"#,
            16,
            How::Exact,
        ),
        (
            r#"{"messages":[{"role":"user","content":null}]}"#,
            7,
            How::Exact,
        ),
        (r#"{"messages":[]}"#, 3, How::Exact),
        (
            r#"{"messages":[{"role":"user","content":"hello","tool_call_id":"call_abcdef"}]}"#,
            8,
            How::Exact,
        ),
        (
            r#"{"messages":[{"role":"user","tool_calls":[{"id":"call_x","type":"function","function":{"name":"hello","arguments":"hello"}}]}]}"#,
            9,
            How::Estimated,
        ),
        (
            r#"{"messages":[{"role":"user","content":{"hello":"hello"}}]}"#,
            9,
            How::Estimated,
        ),
        (
            r#"{"messages":[{"role":"user","content":"hello","new":"hello"}]}"#,
            9,
            How::Exact,
        ),
        (r#"{"messages":"hello"}"#, 1, How::Estimated),
        (r#"{"messages":["hello"]}"#, 7, How::Estimated),
        (r#"{"prompt":"hello"}"#, 1, How::Exact),
        (r#"{"input":["hello","hello"]}"#, 2, How::Exact),
        (
            r#"{"tools":[{"type":"function","function":{"name":"hello"}}]}"#,
            20,
            How::Exact,
        ),
        (r#"{"functions":[{"name":"hello"}]}"#, 20, How::Exact),
        (
            r#"{"functions":[{"name":"hello","parameters":{}}]}"#,
            20,
            How::Exact,
        ),
        (
            r#"{"functions":[{"name":"hello","parameters":{"properties":{}}}]}"#,
            20,
            How::Exact,
        ),
        (
            r#"{"functions":[{"name":"hello","parameters":{"properties":{"hello":{}}}}]}"#,
            27,
            How::Exact,
        ),
        (r#"{"tools":[]}"#, 0, How::Exact),
        (
            r#"{"response_format":{"type":"json_object"}}"#,
            0,
            How::Exact,
        ),
        (
            r#"{"response_format":{"type":"json_schema","json_schema":{"name":"hello","schema":{"properties":{"hello":{"type":"string"}}}}}}"#,
            9,
            How::Estimated,
        ),
        ("hello", 1, How::Estimated),
        ("[]", 1, How::Estimated),
        ("", 0, How::Exact),
        (
            r#"{"messages":[{"role":"user","content":"hello"}]} hello"#,
            9,
            How::Estimated,
        ),
    ] {
        assert_eq!(tokens_and_how("gpt-4o", body), (want, how), "{body}");
    }
}

#[test]
fn a_number_stands_for_other_vendors_and_the_count_says_so() {
    let body = r#"{"prompt":"hello hello hello hello hello hello hello hello hello hello"}"#;
    for (model, want, how) in [
        ("gpt-4o", 10, How::Exact),
        ("gpt-oss-120b", 10, How::Estimated),
        ("anthropic.claude-3-haiku", 12, How::Estimated),
        ("claude-opus-9", 15, How::Estimated),
        ("gemini-2.5-pro", 11, How::Estimated),
        ("my-own-model", 11, How::Estimated),
    ] {
        assert_eq!(tokens_and_how(model, body), (want, how), "{model}");
    }
}

#[test]
fn images_are_counted_by_size_where_it_can_be_seen() {
    // The header of a picture of 1024 x 512.
    let png = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAABAAAAAIACAIAAAA";
    for (image, want, how) in [
        (
            format!(r#"{{"url":"{png}","detail":"low"}}"#),
            85,
            How::Exact,
        ),
        (format!(r#"{{"url":"{png}"}}"#), 85 + 2 * 170, How::Exact),
        (
            format!(r#"{{"detail":"high","url":"{}"}}"#, png.replace('/', "\\/")),
            425,
            How::Exact,
        ),
        (
            r#"{"url":"https://example.com/a.png"}"#.into(),
            85 + 4 * 170,
            How::Estimated,
        ),
        (
            r#"{"url":"https://example.com/a.png","detail":"low"}"#.into(),
            85,
            How::Exact,
        ),
        (r#""https://example.com/a.png""#.into(), 765, How::Estimated),
        (
            format!(r#"{{"url":"{png}","detail":null}}"#),
            425,
            How::Exact,
        ),
        (r#"{"url":null}"#.into(), 765, How::Estimated),
        ("null".into(), 0, How::Exact),
        ("[\"hello\"]".into(), 1, How::Estimated),
    ] {
        let body = format!(
            r#"{{"messages":[{{"content":[{{"type":"image_url","image_url":{image}}}]}}]}}"#
        );
        assert_eq!(tokens_and_how("gpt-4o", &body), (6 + want, how), "{body}");
    }
}

#[test]
fn recordings_are_not_counted_as_text() {
    let body = format!(
        r#"{{"messages":[{{"content":[{{"type":"input_audio","input_audio":{{"data":"{}","format":"mp3"}}}}]}}]}}"#,
        "A".repeat(64_000)
    );
    assert_eq!(tokens_and_how("gpt-4o", &body), (6 + 30, How::Estimated));
}

#[test]
fn a_large_request_is_sampled_and_the_bound_holds() {
    let sentence = "The quick brown fox jumps over the lazy dog, again and again. ";
    let messages = |count: usize, text: &str| {
        let message = format!(r#"{{"role":"user","content":"{}"}}"#, text.repeat(100));
        format!(r#"{{"messages":[{}]}}"#, vec![message; count].join(","))
    };
    let exact = count("gpt-4o", &messages(20, sentence));
    assert_eq!(exact.how, How::Exact);
    assert_eq!(exact.at_most, exact.tokens);

    let sampled = count("gpt-4o", &messages(400, sentence));
    assert_eq!(sampled.how, How::Sampled);
    let want = exact.tokens.0 * 20;
    assert!(
        sampled.tokens.0.abs_diff(want) * 50 < want,
        "{sampled:?} {want}"
    );
    assert!(sampled.at_most.0 >= want * 4, "{sampled:?} {want}");

    let escaped = count(
        "gpt-4o",
        &messages(400, r"\u4f60\u597d\uff0c\u4e16\u754c\u3002"),
    );
    let want = 400 * count("gpt-4o", &messages(1, "你好，世界。")).tokens.0;
    assert!(
        escaped.tokens.0.abs_diff(want) * 20 < want,
        "{escaped:?} {want}"
    );
}

#[test]
fn whatever_the_body_is_it_is_counted() {
    let deep = |open: &str| open.repeat(50_000);
    for body in [
        deep("["),
        deep("{\"messages\":"),
        format!("{{\"tools\":[{}", deep("{\"function\":")),
        format!(
            "{{\"functions\":[{{\"parameters\":{}",
            deep("{\"properties\":{\"a\":")
        ),
        format!("{{\"functions\":[{{\"parameters\":{}", deep("{\"items\":")),
        format!("{{\"messages\":[{{\"content\":\"{}", deep("\\")),
        "{\"messages\":[{\"content\":[{\"image_url\":{\"url\":\"data:;base64,\"}}]}]}".into(),
    ] {
        for model in ["gpt-4o", "gpt-4", "claude-3"] {
            let count = count(model, &body);
            assert!(
                count.at_most.0 > 0 && count.at_most >= count.tokens,
                "{count:?}"
            );
        }
    }
    let invalid = b"{\"messages\":[{\"content\":\"\xff\xfe hello\"}]}";
    let count = count_chat(&mut Counter::new(), Family::of("gpt-4o"), invalid, 1);
    assert_eq!(count.how, How::Estimated);
    assert!((5..=40).contains(&count.tokens.0), "{count:?}");
}

mod properties {
    use proptest::prelude::*;
    use serde_json::json;
    use tollgate_tokens::Encoding;

    use super::*;

    /// Values of every kind under every key that is known, at every depth.
    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        const KEYS: &[&str] = &[
            "messages",
            "role",
            "content",
            "name",
            "tool_calls",
            "function_call",
            "tool_call_id",
            "type",
            "text",
            "image_url",
            "url",
            "detail",
            "input_audio",
            "data",
            "tools",
            "functions",
            "function",
            "description",
            "parameters",
            "properties",
            "items",
            "enum",
            "required",
            "response_format",
            "json_schema",
            "schema",
            "strict",
            "prompt",
            "arguments",
            "id",
            "a\"b",
            "",
        ];
        let leaf =
            prop::sample::select(vec![json!(null), json!(true), json!(-1.5), json!("a\"]}")]);
        let known = prop::collection::vec(prop::sample::select(KEYS), 0..6);
        (
            known,
            leaf.prop_recursive(8, 60, 5, |inner| {
                prop_oneof![
                    prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                    prop::collection::vec((prop::sample::select(KEYS), inner), 0..5).prop_map(
                        |members| {
                            members
                                .into_iter()
                                .map(|(key, value)| (key.to_owned(), value))
                                .collect()
                        }
                    ),
                ]
            }),
        )
            .prop_map(|(path, leaf)| {
                path.into_iter()
                    .rev()
                    .fold(leaf, |value, key| json!({key: value}))
            })
    }

    /// As Python's json module writes by default.
    fn escape(body: &str) -> String {
        let escaped = |unit: u16| format!("\\u{unit:04x}");
        body.chars()
            .map(|character| match character {
                ..='\x7f' => character.to_string(),
                _ => character
                    .encode_utf16(&mut [0; 2])
                    .iter()
                    .copied()
                    .map(escaped)
                    .collect(),
            })
            .collect()
    }

    proptest! {
        /// No cut, no repetition and no stray byte makes it fail or pass its bound.
        #[test]
        fn torn_requests_are_counted(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", "\"", "\\", ",", ":", " ", "null", "1", "é", "\"messages\":",
                    "\"content\":", "\"role\":\"user\"", "\"tools\":", "\"function\":", "\"parameters\":",
                    "\"properties\":", "\"items\":", "\"enum\":", "\"image_url\":", "\"hello\"",
                    "\"input_audio\":", "\"response_format\":", "\"tool_calls\":",
                ]),
                0..60,
            ),
        ) {
            let body = pieces.concat();
            let count = count("gpt-4o", &body);
            prop_assert!(count.at_most >= count.tokens);
        }

        /// Whatever stands where: as long as it is JSON, all of it is understood.
        #[test]
        fn json_of_any_shape_is_read_to_its_end(body in any_json()) {
            let body = body.to_string();
            let mut json = Reader::new(&body);
            let mut framing = Framing::new(Family::of("gpt-4o"), None);
            framing.request(&mut json);
            let rest = if body.starts_with('{') { "" } else { body.as_str() };
            prop_assert_eq!(json.rest(), rest.trim_matches([' ', ',', ':']));
        }

        /// Each text is counted as it is, whatever escapes the writer of the body has chosen.
        #[test]
        fn messages_count_as_the_sum_of_their_texts(
            messages in prop::collection::vec((".{0,40}", prop::option::of(".{0,10}")), 0..6),
            ascii_only in any::<bool>(),
        ) {
            let mut counter = Counter::new();
            let mut want = 3;
            let mut written = Vec::new();
            for (content, name) in &messages {
                let mut text = |text: &str| counter.count(Encoding::O200k, text);
                want += 3 + text("user") + text(content);
                want += name.as_ref().map_or(0, |name| 1 + text(name));
                written.push(match name {
                    Some(name) => json!({"role": "user", "content": content, "name": name}),
                    None => json!({"content": content, "role": "user"}),
                });
            }
            let mut body = json!({"messages": written}).to_string();
            if ascii_only {
                body = escape(&body);
            }
            prop_assert_eq!(tokens_and_how("gpt-4o", &body), (want, How::Exact));
        }

        #[test]
        fn a_longer_prompt_never_counts_for_less(words in prop::collection::vec("[a-z]{1,8}", 1..20)) {
            let body = |words: &[String]| {
                let content = words.join(" ");
                format!(r#"{{"messages":[{{"role":"user","content":"{content}"}}]}}"#)
            };
            let whole = count("gpt-4o", &body(&words)).tokens;
            let shorter = count("gpt-4o", &body(words.get(1..).unwrap())).tokens;
            prop_assert!(shorter <= whole);
        }
    }
}
