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

/// A conversation in every client's dialect, with these tools.
fn with_tools(client: &str, names: &[String], schema: &str) -> Option<String> {
    let tools = |one: &dyn Fn(&String) -> String| {
        let tools: Vec<String> = names.iter().map(one).collect();
        tools.join(",")
    };
    Some(match client {
        "openai" => format!(
            r#"{{"messages":[{{"role":"user","content":"x"}},{{"role":"assistant","tool_calls":[{{"id":"same","type":"function","function":{{"name":"tool1","arguments":"{{}}"}}}}]}},{{"role":"tool","tool_call_id":"same","content":"r"}},{{"role":"assistant","tool_calls":[{{"id":"same","type":"function","function":{{"name":"tool2","arguments":"{{}}"}}}}]}},{{"role":"tool","tool_call_id":"same","content":"r"}}],"tools":[{}]}}"#,
            tools(&|name| format!(
                r#"{{"type":"function","function":{{"name":"{name}","parameters":{schema}}}}}"#
            ))
        ),
        "anthropic" => format!(
            r#"{{"max_tokens":9,"messages":[{{"role":"user","content":"x"}},{{"role":"assistant","content":[{{"type":"tool_use","id":"same","name":"tool1","input":{{}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"same","content":"r"}}]}},{{"role":"assistant","content":[{{"type":"tool_use","id":"same","name":"tool2","input":{{}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"same","content":"r"}}]}}],"tools":[{}]}}"#,
            tools(&|name| format!(r#"{{"name":"{name}","input_schema":{schema}}}"#))
        ),
        "openai_responses" => format!(
            r#"{{"input":[{{"role":"user","content":"x"}},{{"type":"function_call","call_id":"same","name":"tool1","arguments":"{{}}"}},{{"type":"function_call_output","call_id":"same","output":"r"}},{{"type":"function_call","call_id":"same","name":"tool2","arguments":"{{}}"}},{{"type":"function_call_output","call_id":"same","output":"r"}}],"tools":[{}]}}"#,
            tools(&|name| format!(
                r#"{{"type":"function","name":"{name}","parameters":{schema}}}"#
            ))
        ),
        // It has no tools.
        "openai_completions" => return None,
        other => panic!("{other} has no body here"),
    })
}

#[test]
fn many_tools_deep_schemas_and_equal_ids_are_carried_by_every_pair() {
    let names: Vec<String> = (0..1_000).map(|at| format!("tool{at}")).collect();
    let deep = format!(
        r#"{{"type":"object","properties":{}{{"const":"bottom"}}{}}}"#,
        r#"{"a":{"type":"object","properties":"#.repeat(64),
        "}}".repeat(64)
    );
    for client in CLIENTS {
        let plain = r#"{"type":"object"}"#.to_owned();
        for (names, schema, want) in [
            (&names[..], &plain, "tool999"),
            (&names[..3], &deep, "bottom"),
        ] {
            let Some(body) = with_tools(client.name(), names, schema) else {
                continue;
            };
            let chat = client.read(body.as_bytes()).unwrap();
            for provider in providers() {
                let pair = format!("{} to {}", client.name(), provider.name());
                let target = Target {
                    model: "m",
                    ..Target::default()
                };
                let written = provider.write(&chat, &target, Policy::Refuse);
                let written = written.unwrap_or_else(|lost| panic!("{pair}: {lost:?}"));
                let text = String::from_utf8(written.body).unwrap();
                assert!(text.contains(want), "{pair}");
                // A result goes by the nearest call of its id.
                if provider.name() == "gemini" {
                    let result =
                        |name| text.find(&format!(r#""functionResponse":{{"name":"{name}""#));
                    assert!(
                        result("tool1").unwrap() < result("tool2").unwrap(),
                        "{pair}"
                    );
                }
            }
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
