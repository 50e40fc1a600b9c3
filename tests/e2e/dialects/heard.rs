//! What callers hear, each in its dialect; and whether a stream is one that its SDK can read.

use serde_json::{Value, json};
use tollgate_tests::{Event, Reply};

use crate::client::{Client, Shape};

/// An answer, whatever it was written in.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Heard {
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    /// Of the prompt, of what was cached, of the answer: as the fields stand there.
    pub(crate) usage: [u64; 3],
    /// Why it ended.
    pub(crate) reason: String,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
    /// In how many pieces the arguments came.
    pub(crate) pieces: usize,
}

/// How a stream ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finale {
    /// As the dialect has it.
    Complete,
    /// With an error as the dialect has it: its code, else its type.
    Failed(String),
}

fn text(value: &Value, path: &str) -> String {
    let found = value.pointer(path).and_then(Value::as_str);
    found.unwrap_or_default().to_owned()
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    let found = value.pointer(path).and_then(Value::as_array);
    found.map_or(&[], Vec::as_slice)
}

fn piece(delta: &Value, path: &str) -> usize {
    usize::from(!text(delta, path).is_empty())
}

impl Client {
    /// A reply that succeeded.
    pub(crate) fn hear(self, reply: &Reply, shape: Shape) -> Heard {
        assert_eq!(
            reply.status(),
            200,
            "{}",
            String::from_utf8_lossy(reply.body())
        );
        let kind = reply.header("content-type").unwrap_or_default();
        match shape {
            Shape::Whole => {
                assert!(kind.starts_with("application/json"), "{kind}");
                self.whole(&reply.json())
            }
            Shape::Streamed => {
                assert!(kind.starts_with("text/event-stream"), "{kind}");
                let events = reply.events();
                assert_eq!(self.finale(&events), Finale::Complete, "{events:#?}");
                self.streamed(&events)
            }
        }
    }

    fn usage(self, usage: &Value) -> [u64; 3] {
        let paths = match self {
            Self::Chat | Self::Completions => [
                "/prompt_tokens",
                "/prompt_tokens_details/cached_tokens",
                "/completion_tokens",
            ],
            Self::Messages => [
                "/input_tokens",
                "/cache_read_input_tokens",
                "/output_tokens",
            ],
            Self::Responses => [
                "/input_tokens",
                "/input_tokens_details/cached_tokens",
                "/output_tokens",
            ],
        };
        paths.map(|path| {
            let found = usage.pointer(path).and_then(Value::as_u64);
            found.unwrap_or_else(|| panic!("no {path} in {usage}"))
        })
    }

    fn whole(self, reply: &Value) -> Heard {
        let usage = self.usage(&reply["usage"]);
        match self {
            Self::Chat => Heard {
                text: text(reply, "/choices/0/message/content"),
                calls: list(reply, "/choices/0/message/tool_calls")
                    .iter()
                    .map(|call| Call::new(call, ["/id", "/function/name", "/function/arguments"]))
                    .collect(),
                usage,
                reason: text(reply, "/choices/0/finish_reason"),
            },
            Self::Completions => Heard {
                text: text(reply, "/choices/0/text"),
                usage,
                reason: text(reply, "/choices/0/finish_reason"),
                ..Heard::default()
            },
            Self::Messages => {
                let blocks = list(reply, "/content");
                let calls = blocks.iter().filter(|block| block["type"] == "tool_use");
                Heard {
                    text: blocks.iter().map(|block| text(block, "/text")).collect(),
                    calls: calls
                        .map(|call| Call {
                            arguments: call["input"].to_string(),
                            ..Call::new(call, ["/id", "/name", ""])
                        })
                        .collect(),
                    usage,
                    reason: text(reply, "/stop_reason"),
                }
            }
            Self::Responses => Self::response(reply, usage),
        }
    }

    fn response(reply: &Value, usage: [u64; 3]) -> Heard {
        let items = list(reply, "/output");
        let parts = items.iter().flat_map(|item| list(item, "/content"));
        let calls = items.iter().filter(|item| item["type"] == "function_call");
        Heard {
            text: parts.map(|part| text(part, "/text")).collect(),
            calls: calls
                .map(|call| Call::new(call, ["/call_id", "/name", "/arguments"]))
                .collect(),
            usage,
            reason: text(reply, "/status"),
        }
    }

    /// The text that an event adds.
    pub(crate) fn delta(self, event: &Event) -> String {
        let json = event.json();
        let path = match self {
            Self::Chat => "/choices/0/delta/content",
            Self::Completions => "/choices/0/text",
            Self::Messages => "/delta/text",
            Self::Responses if json["type"] == "response.output_text.delta" => "/delta",
            Self::Responses => return String::new(),
        };
        text(&json, path)
    }

    /// All the text of a stream, however it ended.
    pub(crate) fn text_of(self, events: &[Event]) -> String {
        events.iter().map(|event| self.delta(event)).collect()
    }

    fn streamed(self, events: &[Event]) -> Heard {
        let jsons: Vec<_> = events.iter().map(Event::json).collect();
        let said = self.text_of(events);
        match self {
            Self::Chat | Self::Completions => {
                let usage = jsons.iter().rfind(|json| json["usage"].is_object());
                let reason = jsons
                    .iter()
                    .map(|json| text(json, "/choices/0/finish_reason"));
                Heard {
                    text: said,
                    calls: calls_of_chunks(&jsons),
                    usage: self.usage(&usage.expect("a chunk with the figures")["usage"]),
                    reason: reason.collect(),
                }
            }
            Self::Messages => {
                // As the SDK does: what comes last is laid over what came first.
                let mut usage = jsons[0]["message"]["usage"].clone();
                let last = jsons.iter().find(|json| json["type"] == "message_delta");
                let last = last.expect("a message_delta");
                for (name, value) in last["usage"].as_object().into_iter().flatten() {
                    usage[name] = value.clone();
                }
                Heard {
                    text: said,
                    calls: calls_of_blocks(&jsons),
                    usage: self.usage(&usage),
                    reason: text(last, "/delta/stop_reason"),
                }
            }
            Self::Responses => {
                let last = &jsons.last().unwrap()["response"];
                let heard = Self::response(last, self.usage(&last["usage"]));
                assert_eq!(heard.text, said, "the whole is what its pieces said");
                heard
            }
        }
    }

    /// How a stream ended. It is an error in the gateway if no SDK could read it.
    pub(crate) fn finale(self, events: &[Event]) -> Finale {
        let last = events.last().expect("a stream has events");
        match self {
            Self::Chat | Self::Completions => {
                let ends = events.iter().filter(|event| event.data == "[DONE]").count();
                if last.data == "[DONE]" {
                    assert_eq!(ends, 1, "{events:#?}");
                    return Finale::Complete;
                }
                assert_eq!(ends, 0, "{events:#?}");
                failed(&last.json()["error"])
            }
            Self::Messages => {
                blocks_are_in_order(events);
                match last.name.as_deref() {
                    Some("message_stop") => Finale::Complete,
                    _ => {
                        assert_eq!(last.json()["type"], "error", "{events:#?}");
                        failed(&last.json()["error"])
                    }
                }
            }
            Self::Responses => {
                items_are_in_order(events);
                match last.name.as_deref() {
                    Some("response.completed") => Finale::Complete,
                    name => {
                        assert_eq!(name, Some("response.failed"), "{events:#?}");
                        failed(&last.json()["response"]["error"])
                    }
                }
            }
        }
    }
}

fn failed(error: &Value) -> Finale {
    assert!(!text(error, "/message").is_empty(), "{error}");
    let word = |name: &str| error[name].as_str().map(str::to_owned);
    Finale::Failed(
        word("code")
            .or_else(|| word("type"))
            .expect("a code or a type"),
    )
}

impl Call {
    fn new(call: &Value, [id, name, arguments]: [&str; 3]) -> Self {
        Self {
            id: text(call, id),
            name: text(call, name),
            arguments: text(call, arguments),
            pieces: 1,
        }
    }
}

fn calls_of_chunks(chunks: &[Value]) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let deltas = chunks
        .iter()
        .flat_map(|chunk| list(chunk, "/choices/0/delta/tool_calls"));
    for delta in deltas {
        let at = usize::try_from(delta["index"].as_u64().unwrap()).unwrap();
        calls.resize_with(calls.len().max(at + 1), Call::default);
        let call = &mut calls[at];
        call.id.push_str(&text(delta, "/id"));
        call.name.push_str(&text(delta, "/function/name"));
        call.arguments.push_str(&text(delta, "/function/arguments"));
        call.pieces += piece(delta, "/function/arguments");
    }
    calls
}

fn calls_of_blocks(events: &[Value]) -> Vec<Call> {
    let mut calls: Vec<(Value, Call)> = Vec::new();
    for event in events {
        if event["content_block"]["type"] == "tool_use" {
            let call = Call::new(&event["content_block"], ["/id", "/name", ""]);
            calls.push((event["index"].clone(), Call { pieces: 0, ..call }));
        } else if event["delta"]["type"] == "input_json_delta" {
            let of = |(index, _): &&mut (Value, Call)| *index == event["index"];
            let (_, call) = calls.iter_mut().find(of).expect("a block that was begun");
            call.arguments.push_str(&text(event, "/delta/partial_json"));
            call.pieces += piece(event, "/delta/partial_json");
        }
    }
    calls.into_iter().map(|(_, call)| call).collect()
}

/// Anthropic's grammar: a message is begun once, blocks are begun, added to and ended, nothing comes after the end.
fn blocks_are_in_order(events: &[Event]) {
    let mut open: Vec<Value> = Vec::new();
    let mut next = 0;
    for (at, event) in events.iter().enumerate() {
        let json = event.json();
        let kind = text(&json, "/type");
        assert_eq!(event.name.as_deref(), Some(kind.as_str()));
        assert_eq!(kind == "message_start", at == 0, "{events:#?}");
        let is_last = at + 1 == events.len();
        match kind.as_str() {
            "content_block_start" => {
                assert_eq!(json["index"], json!(next));
                next += 1;
                open.push(json["index"].clone());
            }
            "content_block_delta" => assert!(open.contains(&json["index"]), "{events:#?}"),
            "content_block_stop" => {
                let before = open.len();
                open.retain(|index| *index != json["index"]);
                assert_eq!(open.len() + 1, before, "{events:#?}");
            }
            "message_delta" => assert!(open.is_empty(), "{events:#?}"),
            "message_stop" | "error" => assert!(is_last, "{events:#?}"),
            "message_start" | "ping" => {}
            other => panic!("{other} is no event of Anthropic's"),
        }
    }
}

/// The Responses' grammar: numbered without gaps, begun once, items begun and ended, nothing after the end.
fn items_are_in_order(events: &[Event]) {
    let (mut begun, mut ended) = (0, 0);
    for (at, event) in events.iter().enumerate() {
        let json = event.json();
        let kind = text(&json, "/type");
        assert_eq!(event.name.as_deref(), Some(kind.as_str()));
        assert_eq!(json["sequence_number"], json!(at));
        assert_eq!(kind == "response.created", at == 0, "{events:#?}");
        match kind.as_str() {
            "response.output_item.added" => {
                assert_eq!(json["output_index"], json!(begun));
                begun += 1;
            }
            "response.output_item.done" => ended += 1,
            "response.completed" => assert_eq!((begun, at + 1), (ended, events.len())),
            "response.failed" => assert_eq!(at + 1, events.len()),
            _ => {}
        }
    }
}
