//! How callers ask, each in its dialect.

use serde_json::{Value, json};
use tollgate_tests::{Call, Gateway};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Chat,
    Messages,
    Responses,
    Completions,
}

pub(crate) const CLIENTS: [Client; 4] = [
    Client::Chat,
    Client::Messages,
    Client::Responses,
    Client::Completions,
];

/// In one piece, or as events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Whole,
    Streamed,
}

pub(crate) const SHAPES: [Shape; 2] = [Shape::Whole, Shape::Streamed];

/// A call that a model made, with what came of it.
pub(crate) struct Returned<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) arguments: &'a Value,
    pub(crate) result: &'a str,
}

impl Client {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::Responses => "/v1/responses",
            Self::Completions => "/v1/completions",
        }
    }

    /// With key and headers as its SDK sends them.
    pub(crate) fn call(self, gateway: &Gateway, body: Value) -> Call {
        let call = gateway.call("POST", self.path()).json(body);
        match self {
            Self::Messages => call
                .header("x-api-key", "sk-tg-team-a")
                .header("anthropic-version", "2023-06-01"),
            Self::Chat | Self::Responses | Self::Completions => call.key("team-a"),
        }
    }

    /// A question in plain words. Figures are asked for where they come only then.
    pub(crate) fn ask(self, gateway: &Gateway, (model, text): (&str, &str), shape: Shape) -> Call {
        shaped(self, self.call(gateway, self.question(model, text)), shape)
    }

    pub(crate) fn question(self, model: &str, text: &str) -> Value {
        let messages = json!([{"role": "user", "content": text}]);
        match self {
            Self::Chat => json!({"model": model, "messages": messages}),
            Self::Messages => json!({"model": model, "messages": messages, "max_tokens": 100}),
            Self::Responses => json!({"model": model, "input": text}),
            Self::Completions => json!({"model": model, "prompt": text}),
        }
    }

    /// The same with a tool that takes a place; only for those who have tools.
    pub(crate) fn question_with_tool(self, model: &str, text: &str) -> Value {
        let schema =
            json!({"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]});
        let function = json!({"name": "look", "description": "Looks.", "parameters": schema});
        let tool = match self {
            Self::Chat => json!({"type": "function", "function": function}),
            Self::Messages => {
                json!({"name": "look", "description": "Looks.", "input_schema": schema})
            }
            Self::Responses => {
                json!({"type": "function", "name": "look", "description": "Looks.", "parameters": schema})
            }
            Self::Completions => panic!("there are no tools in completions"),
        };
        let mut body = self.question(model, text);
        body["tools"] = json!([tool]);
        body
    }

    /// What comes after the question: the calls and their results.
    pub(crate) fn give_back(self, question: &mut Value, calls: &[Returned<'_>]) {
        let each = |form: fn(&Returned<'_>) -> Value| calls.iter().map(form).collect::<Vec<_>>();
        let more = match self {
            Self::Chat => {
                let asked = each(|call| {
                    let function =
                        json!({"name": call.name, "arguments": call.arguments.to_string()});
                    json!({"id": call.id, "type": "function", "function": function})
                });
                let results = each(
                    |call| json!({"role": "tool", "tool_call_id": call.id, "content": call.result}),
                );
                let mut more =
                    vec![json!({"role": "assistant", "content": null, "tool_calls": asked})];
                more.extend(results);
                more
            }
            Self::Messages => {
                let asked = each(
                    |call| json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}),
                );
                let results = each(
                    |call| json!({"type": "tool_result", "tool_use_id": call.id, "content": call.result}),
                );
                vec![
                    json!({"role": "assistant", "content": asked}),
                    json!({"role": "user", "content": results}),
                ]
            }
            Self::Responses | Self::Completions => panic!("{self:?} gives nothing back here"),
        };
        let messages = question["messages"].as_array_mut().unwrap();
        messages.extend(more);
    }

    /// What it is told of a prompt, what of that came from a cache, and an answer, as its vendor defines it.
    pub(crate) fn figures(self, prompt: u64, cached: u64, answer: u64) -> [u64; 3] {
        match self {
            Self::Messages => [prompt - cached, cached, answer],
            Self::Chat | Self::Responses | Self::Completions => [prompt, cached, answer],
        }
    }
}

/// Whole or streamed, with the figures.
pub(crate) fn shaped(client: Client, call: Call, shape: Shape) -> Call {
    match (shape, client) {
        (Shape::Whole, _) => call,
        (Shape::Streamed, Client::Messages | Client::Responses) => call.field("stream", true),
        (Shape::Streamed, Client::Chat | Client::Completions) => call
            .field("stream", true)
            .field("stream_options", json!({"include_usage": true})),
    }
}
