//! Every recorded reply, written for every client.

use tollgate_core::dialect::event::{Event, Report};
use tollgate_core::dialect::passage::{self, End, Passage, Seen};
use tollgate_core::dialect::speak::{Asked, Calls, Fault, Provider, UsageWish};
use tollgate_core::dialect::tables::{CLIENTS, provider};
use tollgate_core::eventstream::crc32;
use tollgate_core::units::Tokens;
use tollgate_core::usage::Usage;

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
        calls: Calls::Any,
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
    let events = events(provider, &[&bytes]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(self::events(provider, &single), events, "cut into bytes");
    let mut answer = format!("--- events\n{}\n", events.join("\n"));
    for client in CLIENTS {
        let mut passage = Passage::new(provider, *client, asked());
        let mut out = Vec::new();
        passage.feed(&bytes, &mut out, &mut ours);
        passage.finish(&CUT, &mut out, &mut ours);
        let text = String::from_utf8(out).unwrap();
        answer.push_str(&format!("--- {}\n{}\n", client.name(), text.trim_end()));
    }
    answer.push('\n');
    answer
}

/// Stands in where the provider gives no figures, or none that can be.
fn ours(_: &Seen) -> Option<Report> {
    let usage = Usage {
        input: Tokens(7_000),
        output: Tokens(3_000),
        ..Usage::default()
    };
    Some(Report {
        usage,
        ..Report::default()
    })
}

fn events(provider: &dyn Provider, pieces: &[&[u8]]) -> Vec<String> {
    let mut events = Vec::new();
    let mut reader = provider.reader();
    let mut sink = |event: Event<'_>| events.push(line(&event));
    for piece in pieces {
        reader.feed(piece, &mut sink);
    }
    reader.finish(&mut sink);
    events
}

/// Classes of which nothing was used are not worth reading.
fn line(event: &Event<'_>) -> String {
    let Event::Usage(Report { usage, suspect }) = event else {
        return format!("{event:?}");
    };
    let classes: Vec<String> = usage
        .classes()
        .iter()
        .filter(|(_, tokens)| tokens.0 > 0)
        .map(|(name, tokens)| format!("{name}: {}", tokens.0))
        .collect();
    let doubt = suspect.map_or(String::new(), |suspect| {
        format!(" suspect: {}", suspect.name())
    });
    format!("Usage {{ {} }}{doubt}", classes.join(", "))
}

fn whole(provider: &dyn Provider, body: &[u8]) -> String {
    let mut events = Vec::new();
    let read = provider.read(body, &mut |event| events.push(line(&event)));
    if read.is_err() {
        return "--- unreadable\n\n".to_owned();
    }
    let mut answer = format!("--- events\n{}\n", events.join("\n"));
    for client in CLIENTS {
        let told = passage::whole((provider, body), (*client, &asked()), &mut ours);
        let (mut body, seen) = told.unwrap();
        if let End::Failed(complaint) = &seen.end {
            body = client.error(complaint.class.status(), &Fault::from(complaint));
        }
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
