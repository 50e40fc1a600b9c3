//! Writers of every client: whatever events come, what goes out is legal, and ends once.

use proptest::prelude::*;

use super::read;
use crate::dialect::event::{Class, Complaint, Event, Finish, Report};
use crate::dialect::reply::{Reply, Said};
use crate::dialect::speak::{Asked, Calls, Client, Fault, UsageWish};
use crate::dialect::tables::{CLIENTS, client, provider};
use crate::units::Tokens;
use crate::usage::Usage;

const CUT: Fault<'static> = Fault {
    code: "cut",
    message: "cut",
    param: None,
};

fn asked() -> Asked {
    Asked {
        model: "small".to_owned(),
        id: "r".to_owned(),
        created: 1,
        usage: UsageWish::Asked,
        calls: Calls::Any,
    }
}

/// Events that own their texts.
#[derive(Clone, Debug)]
enum Script {
    Start,
    Text(u32, String),
    Refusal(String),
    Thinking(String),
    Signature(String),
    Sealed(String),
    Call(u32, String),
    Arguments(u32, String),
    CallEnd(u32),
    Finish(u32, Finish),
    Usage(u64),
    Error,
    Done,
}

impl Script {
    fn play(&self, sink: &mut dyn FnMut(Event<'_>)) {
        let complaint = Complaint::new("busy", "overloaded", Class::Overloaded);
        sink(match self {
            Self::Start => Event::Start {
                id: "m",
                model: "x",
                created: Some(7),
            },
            Self::Text(choice, text) => Event::Text {
                choice: *choice,
                text,
            },
            Self::Refusal(text) => Event::Refusal { choice: 0, text },
            Self::Thinking(text) => Event::Thinking { choice: 0, text },
            Self::Signature(signature) => Event::Signature {
                choice: 0,
                signature,
            },
            Self::Sealed(data) => Event::SealedThinking { choice: 0, data },
            Self::Call(call, name) => Event::ToolStart {
                choice: 0,
                call: *call,
                id: name,
                name,
                signature: None,
            },
            Self::Arguments(call, piece) => Event::ToolArguments {
                choice: 0,
                call: *call,
                piece,
            },
            Self::CallEnd(call) => Event::ToolEnd {
                choice: 0,
                call: *call,
            },
            Self::Finish(choice, reason) => Event::Finish {
                choice: *choice,
                reason: *reason,
            },
            Self::Usage(tokens) => Event::Usage(Report {
                usage: Usage {
                    input: Tokens(*tokens),
                    output: Tokens(tokens / 2),
                    ..Usage::default()
                },
                ..Report::default()
            }),
            Self::Error => Event::Error(&complaint),
            Self::Done => Event::Done,
        });
    }
}

fn any_event() -> impl Strategy<Value = Script> {
    prop_oneof![
        Just(Script::Start),
        (0_u32..3, ".{0,4}").prop_map(|(choice, text)| Script::Text(choice, text)),
        ".{0,4}".prop_map(Script::Refusal),
        ".{0,4}".prop_map(Script::Thinking),
        "[a-z]{0,4}".prop_map(Script::Signature),
        "[a-z]{0,4}".prop_map(Script::Sealed),
        (0_u32..3, "[a-z]{0,4}").prop_map(|(call, name)| Script::Call(call, name)),
        (0_u32..3, ".{0,4}").prop_map(|(call, piece)| Script::Arguments(call, piece)),
        (0_u32..3).prop_map(Script::CallEnd),
        (0_u32..3).prop_map(|choice| Script::Finish(choice, Finish::Stop)),
        (0_u64..1_000).prop_map(Script::Usage),
        Just(Script::Error),
        Just(Script::Done),
    ]
}

/// As a provider would say it: thoughts, words, calls, an end, figures.
fn reply() -> impl Strategy<Value = Vec<Script>> {
    let thought = prop::option::of((".{1,6}", "[a-zA-Z0-9+/]{1,6}"));
    let calls = prop::collection::vec(
        (
            "[a-z]{1,6}",
            prop::collection::vec("[^\u{0}-\u{1f}]{1,4}", 1..3),
        ),
        0..3,
    );
    (
        thought,
        prop::collection::vec(".{1,6}", 1..4),
        calls,
        0_u64..1_000,
    )
        .prop_map(|(thought, texts, calls, tokens)| {
            let mut script = vec![Script::Start];
            if let Some((text, seal)) = thought {
                script.extend([Script::Thinking(text), Script::Signature(seal)]);
            }
            script.extend(texts.into_iter().map(|text| Script::Text(0, text)));
            let called = !calls.is_empty();
            for (number, (name, pieces)) in (0_u32..).zip(calls) {
                script.push(Script::Call(number, format!("{name}{number}")));
                let json = serde_json::json!({ "a": pieces.concat() }).to_string();
                let half = json.char_indices().nth(3).unwrap().0;
                let (left, right) = json.split_at(half);
                script.push(Script::Arguments(number, left.to_owned()));
                script.push(Script::Arguments(number, right.to_owned()));
                script.push(Script::CallEnd(number));
            }
            script.push(Script::Finish(
                0,
                if called {
                    Finish::ToolCalls
                } else {
                    Finish::Stop
                },
            ));
            script.extend([Script::Usage(tokens), Script::Done]);
            script
        })
}

fn streamed(client: &dyn Client, script: &[Script]) -> String {
    let mut out = Vec::new();
    let mut stream = client.stream(asked());
    for event in script {
        event.play(&mut |event| stream.write(&event, &mut out));
    }
    stream.end(&CUT, &mut out);
    String::from_utf8(out).unwrap()
}

fn collected(script: &[Script]) -> Reply {
    let mut reply = Reply::default();
    for event in script {
        event.play(&mut |event| reply.take(&event));
    }
    reply
}

/// How often each client is told that it is over, well or not.
fn ends(text: &str) -> usize {
    [
        "data: [DONE]",
        "event: message_stop",
        "event: error",
        "event: response.completed",
        "event: response.incomplete",
        "event: response.failed",
        "data: {\"error\":",
    ]
    .iter()
    .map(|end| text.lines().filter(|line| line.starts_with(end)).count())
    .sum()
}

/// What of a reply can be compared after it went through a dialect.
fn gist(reply: &Reply) -> (Vec<Said>, Option<Finish>, Option<(u64, u64)>) {
    let first = reply.choices.first();
    let mut said: Vec<Said> = first.map(|choice| choice.said.clone()).unwrap_or_default();
    for one in &mut said {
        if let Said::Call { signature, .. } = one {
            *signature = None;
        }
    }
    let used = reply
        .report
        .map(|report| (report.usage.input.0, report.usage.output.0));
    (said, first.and_then(|choice| choice.finish), used)
}

/// OpenAI's chat has one place for thoughts and another for their seals.
fn without_seals(mut said: Vec<Said>) -> Vec<Said> {
    for one in &mut said {
        if let Said::Thinking { signature, .. } = one {
            signature.clear();
        }
    }
    said
}

proptest! {
    #[test]
    fn whatever_comes_goes_out_legally_and_ends_once(script in prop::collection::vec(any_event(), 0..20)) {
        for client in CLIENTS {
            let text = streamed(*client, &script);
            prop_assert_eq!(ends(&text), 1, "{}: {}", client.name(), text);
            for line in text.lines() {
                let data = line.strip_prefix("data: ").unwrap_or("null");
                let known = line.is_empty() || line.starts_with("event: ") || line.starts_with("data: ");
                prop_assert!(known && (data == "[DONE]" || serde_json::from_str::<serde_json::Value>(data).is_ok()), "{line}");
            }
            let whole = client.whole(&asked(), &collected(&script));
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&whole).is_ok());
        }
    }

    #[test]
    fn what_a_client_is_told_is_what_was_said(script in reply()) {
        let want = gist(&collected(&script));
        for name in ["openai", "anthropic"] {
            let (client, provider) = (client(name).unwrap(), provider(name).unwrap());
            let text = streamed(client, &script);
            let (events, streamed) = read(&mut *provider.reader(), &[text.as_bytes()]);
            prop_assert_eq!(events.last().map(String::as_str), Some("Done"));
            let mut whole = Reply::default();
            let body = client.whole(&asked(), &collected(&script));
            prop_assert!(provider.read(&body, &mut |event| whole.take(&event)).is_ok());
            for got in [gist(&streamed), gist(&whole)] {
                if name == "openai" {
                    prop_assert_eq!(without_seals(got.0), without_seals(want.0.clone()));
                } else {
                    prop_assert_eq!(normal(got.0), normal(want.0.clone()));
                }
                prop_assert_eq!((got.1, got.2), (want.1, want.2));
            }
        }
    }
}

/// Arguments become an object and text again in Anthropic's whole replies: the value counts, not its escapes.
fn normal(mut said: Vec<Said>) -> Vec<Said> {
    for one in &mut said {
        if let Said::Call { arguments, .. } = one {
            let value: serde_json::Value = serde_json::from_str(arguments).unwrap();
            *arguments = value.to_string();
        }
    }
    said
}
