//! The provider, met over loopback by clients that write bytes.

mod anthropic;
mod cohere;
mod dialect;
mod faults;
mod gemini;
mod ledger;
mod meeting;
mod wire;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Fake, Settings};

const CHAT: &str = "/v1/chat/completions";
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

fn start() -> Fake {
    Fake::start("127.0.0.1:0", Settings::default()).unwrap()
}

fn question() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hello there"}]})
}

fn streamed() -> Value {
    with(&question(), &json!({"stream": true}))
}

fn with(body: &Value, more: &Value) -> Value {
    let mut body = body.clone();
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    body
}

/// How a connection ended for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
    StillOpen,
}

/// What the client got.
#[derive(Debug)]
struct Got {
    raw: Vec<u8>,
    end: End,
}

/// Connects; reads give up after `time`.
fn connect(fake: &Fake, time: Duration) -> TcpStream {
    let stream = TcpStream::connect(fake.address()).unwrap();
    stream.set_read_timeout(Some(time)).unwrap();
    stream
}

fn read_to_end(stream: &mut TcpStream) -> Got {
    let mut raw = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let end = match stream.read(&mut buffer) {
            Ok(0) => End::Closed,
            Ok(count) => {
                raw.extend_from_slice(&buffer[..count]);
                continue;
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
            Err(error) => {
                let late = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                assert!(late.contains(&error.kind()), "{error}");
                End::StillOpen
            }
        };
        return Got { raw, end };
    }
}

/// A POST that closes the connection afterwards; `headers` are lines with their ends.
fn post(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: fake\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}

fn send(fake: &Fake, raw: &str) -> Got {
    send_within(fake, raw, PATIENCE)
}

fn send_within(fake: &Fake, raw: &str, time: Duration) -> Got {
    let mut stream = connect(fake, time);
    stream.write_all(raw.as_bytes()).unwrap();
    read_to_end(&mut stream)
}

fn chat(fake: &Fake, body: &Value) -> Got {
    send(fake, &post(CHAT, "", &body.to_string()))
}

fn faulty(fake: &Fake, fault: &str, body: &Value) -> Got {
    let header = format!("x-fake-fault: {fault}\r\n");
    send(fake, &post(CHAT, &header, &body.to_string()))
}

impl Got {
    fn parts(&self) -> (String, &[u8]) {
        let end = self.raw.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head in {self:?}"));
        let head = String::from_utf8(self.raw[..end].to_vec()).unwrap();
        (head, &self.raw[end + 4..])
    }

    fn status(&self) -> u16 {
        self.parts().0[9..12].parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<String> {
        let (head, _) = self.parts();
        head.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            (known == name).then(|| value.to_owned())
        })
    }

    /// The chunks as they came, and whether the last one was there.
    fn chunks(&self) -> (Vec<Vec<u8>>, bool) {
        let (_, mut rest) = self.parts();
        let mut chunks = Vec::new();
        while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
            let size = std::str::from_utf8(&rest[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            if size == 0 {
                assert_eq!(rest, b"0\r\n\r\n");
                return (chunks, true);
            }
            chunks.push(rest[end + 2..end + 2 + size].to_vec());
            rest = &rest[end + 4 + size..];
        }
        (chunks, false)
    }

    fn body(&self) -> String {
        let bytes = match self.header("transfer-encoding") {
            Some(_) => self.chunks().0.concat(),
            None => self.parts().1.to_vec(),
        };
        String::from_utf8(bytes).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body()).unwrap()
    }

    /// The data of each event; `[DONE]` as a string.
    fn events(&self) -> Vec<Value> {
        let body = self.body().replace("\r\n", "\n");
        let events = body.split_terminator("\n\n");
        let data = events.filter(|event| !event.starts_with(':'));
        data.map(|event| {
            let data = event.strip_prefix("data: ").unwrap();
            serde_json::from_str(data).unwrap_or_else(|_| Value::from(data))
        })
        .collect()
    }

    /// The name and the data of each event, where each has a name.
    fn named_events(&self) -> Vec<(String, Value)> {
        let body = self.body();
        let events = body.split_terminator("\n\n");
        let read = |event: &str| {
            let (name, data) = event.strip_prefix("event: ")?.split_once("\ndata: ")?;
            Some((name.to_owned(), serde_json::from_str(data).ok()?))
        };
        events
            .map(|event| read(event).unwrap_or_else(|| panic!("{event:?}")))
            .collect()
    }

    /// One word for each event.
    fn story(&self) -> String {
        let words: Vec<_> = self.events().iter().map(word).collect();
        words.join(" ")
    }
}

fn word(event: &Value) -> String {
    if let Some(text) = event.as_str() {
        return text.to_owned();
    }
    if event.get("error").is_some() {
        return "error".to_owned();
    }
    let Some(choice) = event["choices"].get(0) else {
        return format!("usage:{}", event["usage"]["completion_tokens"]);
    };
    let delta = &choice["delta"];
    if let Some(reason) = choice["finish_reason"].as_str() {
        return reason.to_owned();
    }
    if delta.get("role").is_some() {
        return "role".to_owned();
    }
    if let Some(call) = delta.pointer("/tool_calls/0") {
        let name = call.pointer("/function/name").and_then(Value::as_str);
        return name.map_or("piece", |_| "call").to_owned();
    }
    delta["content"].as_str().unwrap().trim().to_owned()
}
