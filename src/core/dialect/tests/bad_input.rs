//! Requests that cannot be served are refused by name; odd ones that can be are carried faithfully.

use crate::dialect::chat::Chat;
use crate::dialect::gaps::Policy;
use crate::dialect::speak::Target;
use crate::dialect::tables::{CLIENTS, client, providers};
use crate::refusal::Refusal;

fn read(dialect: &str, body: &str) -> Result<Chat, Refusal> {
    client(dialect).unwrap().read(body.as_bytes())
}

#[derive(Clone, Copy, Debug)]
enum Within {
    Nothing,
    Messages,
    Tools,
    Top,
}

impl Within {
    fn body(self, inside: &str) -> String {
        let good = r#"{"role":"user","content":"x"}"#;
        match self {
            Self::Nothing => inside.to_owned(),
            Self::Messages => format!(r#"{{"messages":[{inside}]}}"#),
            Self::Tools => format!(r#"{{"messages":[{good}],"tools":[{inside}]}}"#),
            Self::Top => format!(r#"{{"messages":[{good}],{inside}}}"#),
        }
    }
}

/// What stands where, and the place that is named.
const WRONG: &[(Within, &str, &str)] = &[
    (
        Within::Messages,
        r#"{"role":"oracle","content":"x"}"#,
        "messages[0].role",
    ),
    (Within::Messages, r#"{"content":"x"}"#, "messages[0].role"),
    (
        Within::Messages,
        r#"{"role":"user","content":7}"#,
        "messages[0].content",
    ),
    (
        Within::Messages,
        r#"{"role":"user","content":[7]}"#,
        "messages[0].content[0].type",
    ),
    (
        Within::Messages,
        r#"{"role":"user","content":[{"type":"smell"}]}"#,
        "messages[0].content[0].smell",
    ),
    (
        Within::Messages,
        r#"{"role":"tool","content":"x"}"#,
        "messages[0].tool_call_id",
    ),
    (
        Within::Messages,
        r#"{"role":"assistant","tool_calls":[{"id":"a"}]}"#,
        "messages[0].tool_calls[0].function",
    ),
    (
        Within::Messages,
        r#"{"role":"assistant","tool_calls":[{"id":"a","function":{}}]}"#,
        "messages[0].tool_calls[0].function.name",
    ),
    (
        Within::Messages,
        r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,not base64"}}]}"#,
        "messages[0].content[0].image_url.url",
    ),
    (
        Within::Messages,
        r#"{"role":"user","content":[{"type":"file","file":{}}]}"#,
        "messages[0].content[0].file.file_data",
    ),
    (Within::Messages, "7", "messages[0]"),
    (Within::Messages, "", "messages"),
    (Within::Nothing, r#"{"messages":{}}"#, "messages"),
    (Within::Nothing, "{}", "messages"),
    (Within::Tools, r#"{"type":"function"}"#, "tools[0].function"),
    (
        Within::Tools,
        r#"{"type":"function","function":{"name":""}}"#,
        "tools[0].function.name",
    ),
    (
        Within::Tools,
        r#"{"type":"function","function":{"parameters":{}}}"#,
        "tools[0].function.name",
    ),
    (
        Within::Tools,
        r#"{"type":"function","function":{"name":"f","parameters":[]}}"#,
        "tools[0].function.parameters",
    ),
    (Within::Top, r#""tools":{}"#, "tools"),
    (Within::Top, r#""tool_choice":"perhaps""#, "tool_choice"),
    (Within::Top, r#""temperature":"0.5""#, "temperature"),
    (Within::Top, r#""temperature":2.1"#, "temperature"),
    (Within::Top, r#""top_p":-0.1"#, "top_p"),
    (Within::Top, r#""n":-1"#, "n"),
    (Within::Top, r#""n":1.5"#, "n"),
    (Within::Top, r#""max_tokens":"9""#, "max_tokens"),
    (Within::Top, r#""stop":[1]"#, "stop"),
    (Within::Top, r#""stream":"yes""#, "stream"),
    (Within::Top, r#""user":1"#, "user"),
    (
        Within::Top,
        r#""reasoning_effort":"heroic""#,
        "reasoning_effort",
    ),
    (
        Within::Top,
        r#""thinking":{"type":"enabled","budget_tokens":"9"}"#,
        "thinking.budget_tokens",
    ),
    (
        Within::Top,
        r#""response_format":{"type":"xml"}"#,
        "response_format.type",
    ),
    (
        Within::Top,
        r#""response_format":{"type":"json_schema"}"#,
        "response_format.json_schema",
    ),
    (
        Within::Top,
        r#""response_format":{"type":"json_schema","json_schema":{"name":"x"}}"#,
        "response_format.json_schema.schema",
    ),
];

const WRONG_ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "anthropic",
        r#"{"messages":[{"role":"user","content":"x"}]}"#,
        "max_tokens",
    ),
    (
        "anthropic",
        r#"{"max_tokens":1,"messages":[{"role":"system","content":"x"}]}"#,
        "messages[0].role",
    ),
    (
        "anthropic",
        r#"{"max_tokens":1,"messages":[{"role":"user"}]}"#,
        "messages[0].content",
    ),
    (
        "anthropic",
        r#"{"max_tokens":1,"messages":[{"role":"user","content":[{"text":"x"}]}]}"#,
        "messages[0].content[0].type",
    ),
    (
        "anthropic",
        r#"{"max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"b","input":"c"}]}]}"#,
        "messages[0].content[0].input",
    ),
    (
        "anthropic",
        r#"{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"","data":"AAAA"}}]}]}"#,
        "messages[0].content[0].source",
    ),
    (
        "anthropic",
        r#"{"max_tokens":1,"messages":[{"role":"user","content":"x"}],"tools":[{"name":"f"}]}"#,
        "tools[0].input_schema",
    ),
    (
        "anthropic",
        r#"{"max_tokens":1,"messages":[{"role":"user","content":"x"}],"temperature":1.5}"#,
        "temperature",
    ),
    ("openai_responses", "{}", "input"),
    ("openai_responses", r#"{"input":[]}"#, "input"),
    (
        "openai_responses",
        r#"{"input":[{"role":"tool","content":"x"}]}"#,
        "input[0].role",
    ),
    (
        "openai_responses",
        r#"{"input":[{"type":"function_call","name":"f"}]}"#,
        "input[0].call_id",
    ),
    (
        "openai_responses",
        r#"{"input":"x","tools":[{"type":"function"}]}"#,
        "tools[0].name",
    ),
    (
        "openai_responses",
        r#"{"input":"x","text":{"format":{"type":"xml"}}}"#,
        "text.format.type",
    ),
];

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (within, inside, want) in WRONG {
        let body = within.body(inside);
        let refusal = read("openai", &body).expect_err(&body);
        assert_eq!(refusal.status, 400, "{body}");
        let named = refusal.message.contains(&format!("`{want}`"));
        assert!(named, "{body}: {}", refusal.message);
    }
}

#[test]
fn the_other_dialects_name_places_too() {
    for (dialect, body, want) in WRONG_ELSEWHERE {
        let refusal = read(dialect, body).expect_err(body);
        let named = refusal.message.contains(&format!("`{want}`"));
        assert!(named, "{body}: {}", refusal.message);
    }
}

#[test]
fn no_json_is_no_request() {
    for client in CLIENTS {
        for body in ["", "[]", "7", "{", "\u{0}", r#"{"messages":"#] {
            let refusal = client.read(body.as_bytes()).expect_err(body);
            assert_eq!(refusal.code, "invalid_json", "{} {body}", client.name());
        }
        let deep = format!(
            r#"{{"messages":{}{}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        let refusal = client.read(deep.as_bytes()).unwrap_err();
        assert!(refusal.message.contains("nests too deep"), "{refusal:?}");
    }
}

#[test]
fn many_tools_and_equal_ids_are_carried() {
    let tools: Vec<String> = (0..1_000)
        .map(|at| format!(r#"{{"type":"function","function":{{"name":"tool{at}","parameters":{{"type":"object"}}}}}}"#))
        .collect();
    let call = r#"{"role":"assistant","tool_calls":[{"id":"same","type":"function","function":{"name":"NAME","arguments":"{}"}}]},{"role":"tool","tool_call_id":"same","content":"r"}"#;
    let body = format!(
        r#"{{"messages":[{},{}],"tools":[{}]}}"#,
        call.replace("NAME", "tool1"),
        call.replace("NAME", "tool2"),
        tools.join(",")
    );
    let chat = read("openai", &body).unwrap();
    for provider in providers() {
        let written = provider
            .write(
                &chat,
                &Target {
                    model: "m",
                    ..Target::default()
                },
                Policy::Drop,
            )
            .unwrap();
        let text = String::from_utf8(written.body).unwrap();
        assert!(text.contains("tool999"), "{}", provider.name());
        // A result goes by the nearest call of its id.
        if provider.name() == "gemini" {
            let (one, two) = (
                text.find(r#""functionResponse":{"name":"tool1""#),
                text.find(r#""functionResponse":{"name":"tool2""#),
            );
            assert!(one.unwrap() < two.unwrap());
        }
    }
}

#[test]
fn what_nobody_read_is_never_dropped_in_silence() {
    let body = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"x","glow":1}],"mood":"blue"}],"colour":"red","tools":[{"type":"function","function":{"name":"f","aura":2}}]}"#;
    let chat = read("openai", body).unwrap();
    for provider in providers() {
        let target = Target {
            model: "m",
            ..Target::default()
        };
        let refused = provider.write(&chat, &target, Policy::Refuse).unwrap_err();
        let message = refused.refusal().message;
        for name in [
            "messages[0].content[0].glow",
            "messages[0].mood",
            "tools[0].function.aura",
        ] {
            assert!(message.contains(name), "{}: {message}", provider.name());
        }
        let written = provider.write(&chat, &target, Policy::Drop).unwrap();
        let dropped = written.dropped.iter().any(|gap| gap.parameter == "colour");
        let told = String::from_utf8(written.body).unwrap().contains("colour");
        assert!(dropped != told, "{}", provider.name());
    }
}
