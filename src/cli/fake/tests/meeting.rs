//! The core's writers and readers meet this provider: two writings of one format, which find each other's mistakes.

use tollgate_core::dialect::event::Event;
use tollgate_core::dialect::gaps::Policy;
use tollgate_core::dialect::reply::{Choice, Reply as Heard, Said};
use tollgate_core::dialect::speak::Target;
use tollgate_core::dialect::tables;

use super::super::{Reply, Settings};
use super::*;

/// Each with the prefix of its paths here, and the header that has its key.
const PROVIDERS: &[(&str, &str, &str)] = &[
    ("openai", "/openai/v1", "authorization: Bearer k1"),
    ("anthropic", "/anthropic", "x-api-key: k1"),
    ("gemini", "/gemini", "x-goog-api-key: k1"),
    (
        "gemini_vertex",
        "/gemini/v1/projects/p/locations/l/publishers/google",
        "authorization: Bearer k1",
    ),
    ("cohere", "/cohere", "authorization: Bearer k1"),
];

/// Asks as the gateway does, and tells what it understood: the words, why it ended, the figures, whether it was complete.
fn ask(place: (&str, &str, &str), fake: &Fake, body: &Value) -> String {
    let (name, prefix, key) = place;
    let provider = tables::provider(name).unwrap();
    let chat = tables::client("openai")
        .unwrap()
        .read(body.to_string().as_bytes())
        .unwrap();
    let target = Target {
        model: "claude-sonnet-4-6",
        ..Target::default()
    };
    let written = provider.write(&chat, &target, Policy::Drop).unwrap();
    let mut headers = format!("{key}\r\n");
    for (name, value) in &written.headers {
        headers.push_str(&format!("{name}: {value}\r\n"));
    }
    let path = format!("{prefix}{}", written.path);
    let question = String::from_utf8(written.body).unwrap();
    let got = send(fake, &post(&path, &headers, &question));
    if got.status() != 200 {
        let complaint = provider.complaint(got.status(), got.body().as_bytes());
        return format!("{:?}", complaint.class);
    }
    let (mut heard, mut done) = (Heard::default(), "cut");
    let mut sink = |event: Event<'_>| {
        if event == Event::Done {
            done = "done";
        }
        heard.take(&event);
    };
    if body["stream"] == json!(true) {
        let mut reader = provider.reader();
        reader.feed(got.body().as_bytes(), &mut sink);
        reader.finish(&mut sink);
    } else if provider.read(got.body().as_bytes(), &mut sink).is_err() {
        return "Unreadable".to_owned();
    }
    format!("{} {done}", told(&heard))
}

fn told(heard: &Heard) -> String {
    if let Some(complaint) = &heard.error {
        return format!("{:?}", complaint.class);
    }
    let used = heard.report.unwrap_or_default();
    assert_eq!(used.suspect, None);
    let used = used.usage;
    let figures = format!(
        "{}+{} in {} out",
        used.input.0,
        used.cached_input.0,
        used.output.0 + used.reasoning.0
    );
    let choices = heard.choices.iter().map(chosen);
    format!("{}: {figures}", choices.collect::<String>())
}

fn chosen(choice: &Choice) -> String {
    let said = choice.said.iter().filter_map(|said| match said {
        Said::Text(text) => Some(text.clone()),
        Said::Call {
            name, arguments, ..
        } => Some(format!("{name}({arguments})")),
        Said::Thinking { .. } | Said::SealedThinking(_) | Said::Refusal(_) => None,
    });
    let said: Vec<_> = said.collect();
    let finish = choice.finish.map(|finish| format!(" {finish:?}"));
    format!("{}{}", said.join(" "), finish.unwrap_or_default())
}

fn provider() -> Fake {
    let settings = Settings {
        api_key: Some("k1".to_owned()),
        ..Settings::default()
    };
    Fake::start("127.0.0.1:0", settings).unwrap()
}

fn ways(body: &Value) -> [Value; 2] {
    let usage = json!({"stream": true, "stream_options": {"include_usage": true}});
    [body.clone(), with(body, &usage)]
}

#[test]
fn the_same_is_understood_whoever_is_asked() {
    let tools = json!({"tools": [{"type": "function", "function": {"name": "look", "parameters":
        {"type": "object", "properties": {"at": {"type": "string"}}}}}]});
    let answered = json!({"messages": [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "hello there"},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "a b c"},
    ]});
    let echo = "fake heard: hello there";
    let call = "look({\"at\":\"hello there\"})";
    for (more, reply, want) in [
        (
            json!({}),
            Reply::healthy(),
            format!("{echo} Stop: 2+0 in 4 out done"),
        ),
        (
            json!({"max_tokens": 2}),
            Reply::healthy(),
            "fake heard: Length: 2+0 in 2 out done".to_owned(),
        ),
        (
            json!({}),
            Reply::text("a b c").cached_tokens(1).reasoning_tokens(4),
            "a b c Stop: 1+1 in 7 out done".to_owned(),
        ),
        (
            tools.clone(),
            Reply::healthy(),
            format!("{call} ToolCalls: 2+0 in 4 out done"),
        ),
        (
            with(&tools, &answered),
            Reply::healthy(),
            format!("{echo} Stop: 7+0 in 4 out done"),
        ),
    ] {
        for place in PROVIDERS {
            let fake = provider();
            fake.always(reply.clone());
            for body in ways(&with(&question(), &more)) {
                let mut want = want.clone();
                if place.0 == "cohere" && want.contains("ToolCalls") {
                    // It says first what it will do, in four words.
                    want = want.replace("4 out", "8 out");
                }
                assert_eq!(ask(*place, &fake, &body), want, "{} {body}", place.0);
            }
        }
    }
}

#[test]
fn a_failure_is_understood_whoever_fails() {
    for place in PROVIDERS {
        let fake = provider();
        let [whole, streamed] = ways(&question());
        for (reply, want) in [
            (Reply::status(429), "RateLimited"),
            (Reply::status(500), "Server"),
        ] {
            for body in [&whole, &streamed] {
                fake.next(reply.clone());
                assert_eq!(ask(*place, &fake, body), want, "{} {body}", place.0);
            }
        }
        fake.next(Reply::text("a b c").breaks("end@9"));
        let told = ask(*place, &fake, &streamed);
        assert!(told.ends_with("cut"), "{}: {told}", place.0);
        for fault in ["error@start", "error@2"] {
            fake.next(Reply::text("a b c").breaks(fault));
            let told = ask(*place, &fake, &streamed);
            assert!(
                ["Server cut", "Overloaded cut"].contains(&told.as_str()),
                "{} {fault}: {told}",
                place.0
            );
        }
        let stranger = (place.0, place.1, "x-none: 1");
        for body in [&whole, &streamed] {
            let told = ask(stranger, &fake, body);
            assert!(
                ["Authentication", "Permission"].contains(&told.as_str()),
                "{}: {told}",
                place.0
            );
        }
    }
}
