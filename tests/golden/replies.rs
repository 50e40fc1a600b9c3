//! Every recorded reply, written for every client.

use tollgate_core::dialect::event::Event;
use tollgate_core::dialect::reply::Reply;
use tollgate_core::dialect::speak::{Asked, Fault, Provider, UsageWish};
use tollgate_core::dialect::tables::{CLIENTS, provider};
use tollgate_core::eventstream::crc32;

use crate::{Section, walk};

const CUT: Fault<'static> = Fault {
    code: "provider_stream_cut",
    message: "The stream ended before it was complete.",
    param: None,
};

#[test]
fn every_client_gets_what_the_provider_said() {
    walk("replies", 20, answers);
}

fn asked() -> Asked {
    Asked {
        model: "small".to_owned(),
        id: "reply-1".to_owned(),
        created: 1_700_000_000,
        usage: UsageWish::Asked,
    }
}

fn answers(section: &Section) -> String {
    let mut words = section.head.split(' ');
    let provider = provider(words.next().unwrap()).unwrap();
    match words.next().unwrap() {
        "stream" => streamed(provider, &section.input),
        "whole" => whole(provider, section.input.as_bytes()),
        status => error(provider, status.parse().unwrap(), section.input.as_bytes()),
    }
}

fn streamed(provider: &dyn Provider, input: &str) -> String {
    let bytes = match provider.name() {
        "bedrock" | "anthropic_bedrock" => frames(input),
        _ => format!("{input}\n\n").into_bytes(),
    };
    let mut events = Vec::new();
    let mut writers: Vec<_> = CLIENTS
        .iter()
        .map(|client| (client.name(), client.stream(asked()), Vec::new()))
        .collect();
    let mut reader = provider.reader();
    {
        let mut sink = |event: Event<'_>| {
            events.push(format!("{event:?}"));
            for (_, writer, out) in &mut writers {
                writer.write(&event, out);
            }
        };
        reader.feed(&bytes, &mut sink);
        reader.finish(&mut sink);
    }
    assert_eq!(cut_everywhere(provider, &bytes), events, "cut into bytes");
    let mut answer = format!("--- events\n{}\n", events.join("\n"));
    for (name, mut writer, mut out) in writers {
        writer.end(&CUT, &mut out);
        let text = String::from_utf8(out).unwrap();
        answer.push_str(&format!("--- {name}\n{}\n", text.trim_end()));
    }
    answer.push('\n');
    answer
}

fn cut_everywhere(provider: &dyn Provider, bytes: &[u8]) -> Vec<String> {
    let mut events = Vec::new();
    let mut reader = provider.reader();
    let mut sink = |event: Event<'_>| events.push(format!("{event:?}"));
    for byte in bytes {
        reader.feed(std::slice::from_ref(byte), &mut sink);
    }
    reader.finish(&mut sink);
    events
}

fn whole(provider: &dyn Provider, body: &[u8]) -> String {
    let mut reply = Reply::default();
    let mut events = Vec::new();
    let read = provider.read(body, &mut |event| {
        events.push(format!("{event:?}"));
        reply.take(&event);
    });
    if read.is_err() {
        return "--- unreadable\n\n".to_owned();
    }
    let mut answer = format!("--- events\n{}\n", events.join("\n"));
    for client in CLIENTS {
        let body = match &reply.error {
            Some(complaint) => client.error(complaint.class.status(), &Fault::from(complaint)),
            None => client.whole(&asked(), &reply),
        };
        let body = String::from_utf8(body).unwrap();
        serde_json::from_str::<serde::de::IgnoredAny>(&body).unwrap();
        answer.push_str(&format!("--- {}\n{body}\n", client.name()));
    }
    answer.push('\n');
    answer
}

fn error(provider: &dyn Provider, status: u16, body: &[u8]) -> String {
    let complaint = provider.complaint(status, body);
    let mut answer = format!("--- complaint\n{complaint:?}\n");
    for client in CLIENTS {
        let status = complaint.class.status();
        let body = client.error(status, &Fault::from(&complaint));
        let body = String::from_utf8(body).unwrap();
        answer.push_str(&format!("--- {}\n{status} {body}\n", client.name()));
    }
    answer.push('\n');
    answer
}

/// `KIND JSON` a line becomes an event; `!KIND JSON` an exception.
fn frames(input: &str) -> Vec<u8> {
    input
        .lines()
        .flat_map(|line| {
            let (kind, payload) = line.split_once(' ').unwrap();
            match kind.strip_prefix('!') {
                Some(kind) => frame(
                    &[(":message-type", "exception"), (":exception-type", kind)],
                    payload.as_bytes(),
                ),
                None => frame(
                    &[(":message-type", "event"), (":event-type", kind)],
                    payload.as_bytes(),
                ),
            }
        })
        .collect()
}

fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap());
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let total = u32::try_from(16 + head.len() + payload.len()).unwrap();
    let mut frame = total.to_be_bytes().to_vec();
    frame.extend_from_slice(&u32::try_from(head.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame.extend_from_slice(&head);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame
}
