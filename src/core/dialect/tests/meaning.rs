//! What a provider is told is what the caller meant: requests are written, read again by a small reader of
//! the provider's dialect, and compared.

use proptest::prelude::*;
use serde_json::Value;

use crate::dialect::chat::{
    Chat, Message, Number, Outcome, Part, Role, Tool, ToolCall, ToolChoice,
};
use crate::dialect::gaps::Policy;
use crate::dialect::json::Tape;
use crate::dialect::speak::Target;
use crate::dialect::tables::{client, provider};

/// A conversation that every dialect can express.
fn chat() -> impl Strategy<Value = Chat> {
    let word = "[^\u{0}]{1,8}";
    let turn = (
        word,
        prop::option::of(word),
        prop::collection::vec(("[a-z]{1,8}", word), 0..3),
    );
    (
        prop::option::of(word),
        prop::collection::vec(turn, 1..4),
        prop::option::of(0_u32..=10),
        prop::collection::vec("[a-z]{1,5}", 0..3),
        prop::option::of(1_u64..5_000),
    )
        .prop_map(|(system, turns, tenths, stop, output_max)| {
            let mut messages = Vec::new();
            let message = |role, parts| Message {
                role,
                name: None,
                parts,
            };
            messages.extend(system.map(|text| message(Role::System, vec![Part::Text(text)])));
            for (number, (asked, said, calls)) in turns.into_iter().enumerate() {
                messages.push(message(Role::User, vec![Part::Text(asked)]));
                let mut parts: Vec<Part> = said.into_iter().map(Part::Text).collect();
                let mut results = Vec::new();
                for (at, (name, result)) in calls.into_iter().enumerate() {
                    let id = format!("call{number:03}{at:02}");
                    parts.push(Part::ToolCall(ToolCall {
                        id: id.clone(),
                        name,
                        arguments: serde_json::json!({ "a": result }).to_string(),
                        signature: None,
                    }));
                    results.push(Part::ToolResult {
                        id,
                        parts: vec![Part::Text(result)],
                        outcome: Outcome::Done,
                    });
                }
                if !parts.is_empty() {
                    messages.push(message(Role::Assistant, parts));
                }
                if !results.is_empty() {
                    messages.push(message(Role::User, results));
                }
            }
            messages.push(message(Role::User, vec![Part::Text("last".to_owned())]));
            let mut tape = Tape::default();
            let temperature = tenths.map(|tenths| format!("{}.{}", tenths / 10, tenths % 10));
            Chat {
                dialect: "openai",
                messages,
                tools: vec![Tool {
                    name: "f".to_owned(),
                    schema: Some(r#"{"type":"object"}"#.to_owned()),
                    ..Tool::default()
                }],
                tool_choice: Some(ToolChoice::Auto),
                stop,
                temperature: temperature
                    .and_then(|text| Number::from_json(tape.read(text.as_bytes()).unwrap())),
                output_max,
                ..Chat::default()
            }
        })
}

/// Who says what, in order: what every dialect must keep.
fn gist(chat: &Chat) -> Vec<String> {
    let mut gist = Vec::new();
    for message in &chat.messages {
        for part in &message.parts {
            gist.push(if let Part::ToolCall(call) = part {
                format!("call {} {} {}", call.id, call.name, normal(&call.arguments))
            } else if let Part::ToolResult { id, parts, .. } = part {
                let text: String = parts.iter().filter_map(text_of).collect();
                format!("result {id} {text}")
            } else {
                format!("{:?} {}", message.role, text_of(part).unwrap())
            });
        }
    }
    gist
}

fn text_of(part: &Part) -> Option<&str> {
    if let Part::Text(text) = part {
        Some(text)
    } else {
        None
    }
}

fn normal(json: &str) -> String {
    serde_json::from_str::<Value>(json).unwrap().to_string()
}

fn written(name: &str, chat: &Chat) -> Value {
    let target = Target {
        model: "m",
        ..Target::default()
    };
    let written = provider(name)
        .unwrap()
        .write(chat, &target, Policy::Refuse)
        .unwrap();
    serde_json::from_slice(&written.body).unwrap()
}

/// Gemini's results go by name, Bedrock's ids stand: both are turned into the same lines.
fn gist_of_gemini(body: &Value) -> Vec<String> {
    let mut gist: Vec<String> = texts(&body["systemInstruction"]["parts"], "System");
    for content in body["contents"].as_array().unwrap() {
        let who = if content["role"] == "model" {
            "Assistant"
        } else {
            "User"
        };
        for part in content["parts"].as_array().unwrap() {
            if let Some(text) = part["text"].as_str() {
                gist.push(format!("{who} {text}"));
            } else if part["functionCall"].is_object() {
                let call = &part["functionCall"];
                gist.push(format!(
                    "call {} {}",
                    call["name"].as_str().unwrap(),
                    call["args"]
                ));
            } else {
                let result = &part["functionResponse"];
                gist.push(format!(
                    "result {} {}",
                    result["name"].as_str().unwrap(),
                    result["response"]
                ));
            }
        }
    }
    gist
}

fn gist_of_bedrock(body: &Value) -> Vec<String> {
    let mut gist = texts(&body["system"], "System");
    for message in body["messages"].as_array().unwrap() {
        let who = if message["role"] == "assistant" {
            "Assistant"
        } else {
            "User"
        };
        for part in message["content"].as_array().unwrap() {
            if let Some(text) = part["text"].as_str() {
                gist.push(format!("{who} {text}"));
            } else if part["toolUse"].is_object() {
                let call = &part["toolUse"];
                gist.push(format!(
                    "call {} {} {}",
                    call["toolUseId"].as_str().unwrap(),
                    call["name"].as_str().unwrap(),
                    call["input"]
                ));
            } else {
                let result = &part["toolResult"];
                gist.push(format!(
                    "result {} {}",
                    result["toolUseId"].as_str().unwrap(),
                    result["content"][0]["text"].as_str().unwrap()
                ));
            }
        }
    }
    gist
}

fn texts(parts: &Value, who: &str) -> Vec<String> {
    let parts = parts.as_array().cloned().unwrap_or_default();
    parts
        .iter()
        .map(|part| format!("{who} {}", part["text"].as_str().unwrap()))
        .collect()
}

/// Words of one speaker in a row are one turn in some dialects: joined, they say the same.
fn no_names(gist: &[String], chat: &Chat) -> Vec<String> {
    let names: Vec<(String, String)> = chat
        .messages
        .iter()
        .flat_map(|message| &message.parts)
        .filter_map(|part| {
            if let Part::ToolCall(call) = part {
                Some((call.id.clone(), call.name.clone()))
            } else {
                None
            }
        })
        .collect();
    gist.iter()
        .map(|line| {
            let mut words = line.splitn(3, ' ');
            match (words.next(), words.next(), words.next()) {
                (Some("call"), Some(_), Some(rest)) => format!("call {rest}"),
                (Some("result"), Some(id), Some(text)) => {
                    let name = &names.iter().rev().find(|(known, _)| known == id).unwrap().1;
                    let object = serde_json::from_str::<Value>(text)
                        .ok()
                        .filter(Value::is_object);
                    let response = object.unwrap_or_else(|| serde_json::json!({ "result": text }));
                    format!("result {name} {response}")
                }
                _ => line.clone(),
            }
        })
        .collect()
}

proptest! {
    #[test]
    fn openai_and_its_accents_are_told_what_was_meant(chat in chat()) {
        for name in ["openai", "vllm", "mistral", "deepseek", "azure"] {
            let body = written(name, &chat).to_string();
            let read = client("openai").unwrap().read(body.as_bytes()).unwrap();
            prop_assert_eq!(gist(&read), gist(&chat), "{}", name);
            prop_assert_eq!((&read.stop, read.output_max), (&chat.stop, chat.output_max));
            prop_assert_eq!(read.tools.len(), 1);
        }
    }

    #[test]
    fn anthropic_is_told_what_was_meant(chat in chat()) {
        let body = written("anthropic", &chat).to_string();
        let read = client("anthropic").unwrap().read(body.as_bytes()).unwrap();
        prop_assert_eq!(gist(&read), gist(&chat));
        prop_assert_eq!((&read.stop, read.output_max), (&chat.stop, Some(chat.output_max.unwrap_or(4_096))));
    }

    #[test]
    fn gemini_is_told_what_was_meant(chat in chat()) {
        let body = written("gemini", &chat);
        prop_assert_eq!(gist_of_gemini(&body), no_names(&gist(&chat), &chat));
        prop_assert_eq!(body["generationConfig"]["maxOutputTokens"].as_u64(), chat.output_max);
    }

    #[test]
    fn bedrock_is_told_what_was_meant(chat in chat()) {
        let body = written("bedrock", &chat);
        prop_assert_eq!(gist_of_bedrock(&body), gist(&chat));
        prop_assert_eq!(body["inferenceConfig"]["maxTokens"].as_u64(), chat.output_max);
    }

    #[test]
    fn cohere_is_told_what_was_meant(chat in chat()) {
        // Its messages are written as OpenAI's are, so OpenAI's reader reads them.
        let body = serde_json::json!({ "messages": written("cohere", &chat)["messages"] }).to_string();
        let read = client("openai").unwrap().read(body.as_bytes()).unwrap();
        prop_assert_eq!(gist(&read), gist(&chat));
    }

    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..100)) {
        for name in ["openai", "anthropic", "openai_responses"] {
            let _ = client(name).unwrap().read(&body);
        }
    }

    #[test]
    fn no_json_panics(inside in r#"("(messages|role|content|type|tools|input|system|text|image_url|function|tool_calls|name)":(\[|\{|"user"|"text"|1|null|\}|\]|,)){0,14}"#) {
        for name in ["openai", "anthropic", "openai_responses"] {
            let _ = client(name).unwrap().read(format!("{{{inside}}}").as_bytes());
        }
    }
}
