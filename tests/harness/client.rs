//! A client: plain, blocking, one connection a call.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::sse::{self, Event};
use crate::template;
use crate::wire::{End, Framing, Head, Part, Wire};

/// A request in the making.
#[derive(Clone, Debug)]
pub struct Call {
    address: SocketAddr,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Body,
    patience: Duration,
}

#[derive(Clone, Debug)]
enum Body {
    Json(Value),
    Bytes(Vec<u8>),
}

impl Call {
    /// A request without a body.
    pub fn new(address: SocketAddr, method: &str, path: &str) -> Self {
        Self {
            address,
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Body::Bytes(Vec::new()),
            patience: crate::PATIENCE,
        }
    }

    /// A question to a model.
    pub fn chat(address: SocketAddr, model: &str, text: &str) -> Self {
        let message = json!({"role": "user", "content": text});
        Self::new(address, "POST", "/v1/chat/completions")
            .json(json!({"model": model, "messages": [message]}))
    }

    /// With the key of this name: the one whose hash `{key NAME}` is in the configuration.
    #[must_use]
    pub fn key(self, name: &str) -> Self {
        let key = template::key(name);
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Body::Json(body);
        self
    }

    /// With one more field in the body, or another value for one.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        match &mut self.body {
            Body::Json(body) => body[name] = value.into(),
            Body::Bytes(_) => panic!("`field` is for a body in JSON"),
        }
        self
    }

    /// With these bytes as body, whatever they are.
    #[must_use]
    pub fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Bytes(body.into());
        self
    }

    /// Waiting so long for each byte of the reply.
    #[must_use]
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// Method, path and headers, for who writes the request in another way.
    pub(crate) fn head(&self) -> (&str, &str, &[(String, String)]) {
        (&self.method, &self.path, &self.headers)
    }

    /// The body, as long as nothing frames it.
    pub(crate) fn body_bytes(&self) -> Vec<u8> {
        match &self.body {
            Body::Json(body) => body.to_string().into_bytes(),
            Body::Bytes(body) => body.clone(),
        }
    }

    /// The request as it goes over the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let body = self.body_bytes();
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {}\r\n",
            self.method, self.path, self.address
        );
        let has = |name: &str| {
            self.headers
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
        };
        if matches!(self.body, Body::Json(_)) && !has("content-type") {
            head.push_str("content-type: application/json\r\n");
        }
        if !has("content-length")
            && !has("transfer-encoding")
            && (!body.is_empty() || self.method == "POST")
        {
            write!(head, "content-length: {}\r\n", body.len()).unwrap();
        }
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Sends it and reads the whole reply.
    pub fn send(self) -> Reply {
        self.open().whole()
    }

    /// The same when there may be no reply at all.
    pub fn try_send(self) -> Result<Reply, End> {
        Ok(self.try_open()?.whole())
    }

    /// Sends it, asking for a stream where the body is JSON, and reads only the head of the reply.
    pub fn stream(self) -> Stream {
        match self.body {
            Body::Json(_) => self.field("stream", true).open(),
            Body::Bytes(_) => self.open(),
        }
    }

    /// The same when there may be no reply at all.
    pub fn try_stream(self) -> Result<Stream, End> {
        self.field("stream", true).try_open()
    }

    fn open(self) -> Stream {
        let what = format!("{} {}", self.method, self.path);
        self.try_open()
            .unwrap_or_else(|end| panic!("{what} got no reply: {end:?}"))
    }

    fn try_open(self) -> Result<Stream, End> {
        let mut wire = Wire::try_connect(self.address).map_err(|_| End::Refused)?;
        wire.patience(self.patience);
        let sent = Instant::now();
        wire.send(self.to_bytes());
        let head = final_head(&mut wire)?;
        Ok(Stream {
            framing: Framing::of(&self.method, &head),
            wire,
            head,
            sent,
            buffer: Vec::new(),
            ready: Vec::new().into_iter(),
            end: None,
        })
    }
}

/// The head after those that only say to go on.
fn final_head(wire: &mut Wire) -> Result<Head, End> {
    loop {
        let head = wire.head()?;
        if head.status >= 200 {
            return Ok(head);
        }
    }
}

impl Wire {
    /// A whole reply to a request of this method; the connection stays for the next.
    pub fn reply(&mut self, method: &str) -> Result<Reply, End> {
        let start = Instant::now();
        let head = final_head(self)?;
        let mut framing = Framing::of(method, &head);
        let mut body = Vec::new();
        let end = loop {
            match self.part(&mut framing) {
                Part::Bytes(bytes) => body.extend_from_slice(&bytes),
                Part::Complete => break End::Complete,
                Part::Broken(end) => break end,
            }
        };
        Ok(Reply {
            elapsed: start.elapsed(),
            head,
            body,
            end,
        })
    }
}

/// A reply, read to its end.
#[derive(Clone, Debug)]
pub struct Reply {
    head: Head,
    body: Vec<u8>,
    end: End,
    elapsed: Duration,
}

impl Reply {
    pub(crate) fn new(head: Head, body: Vec<u8>, end: End, elapsed: Duration) -> Self {
        Self {
            head,
            body,
            end,
            elapsed,
        }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The first value of a header; write its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// All headers, in order.
    pub fn headers(&self) -> &[(String, String)] {
        &self.head.headers
    }

    /// The body as it came.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// How it ended.
    pub fn end(&self) -> End {
        self.end
    }

    /// From the request to the end of the reply.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The body as JSON. Fails the test, showing the body, if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!(
                "{error} in {}: {}",
                self.status(),
                String::from_utf8_lossy(&self.body)
            )
        })
    }

    /// The events of a streamed body.
    pub fn events(&self) -> Vec<Event> {
        sse::take(&mut self.body.clone(), self.elapsed)
    }

    /// What the model said, streamed or not; else the body as text.
    pub fn text(&self) -> String {
        let kind = self.header("content-type").unwrap_or_default();
        if kind.starts_with("text/event-stream") {
            return self.events().iter().map(Event::delta).collect();
        }
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let paths = ["/choices/0/message/content", "/choices/0/text"];
        let text = paths.iter().find_map(|path| json.pointer(path)?.as_str());
        text.map_or_else(
            || String::from_utf8_lossy(&self.body).into_owned(),
            str::to_owned,
        )
    }

    /// `status type code` of an error, for one comparison.
    pub fn error(&self) -> String {
        let json = self.json();
        let error = &json["error"];
        let word = |name: &str| error[name].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", self.status(), word("type"), word("code"))
    }
}

/// A reply on its way.
pub struct Stream {
    wire: Wire,
    head: Head,
    framing: Framing,
    sent: Instant,
    buffer: Vec<u8>,
    ready: std::vec::IntoIter<Event>,
    end: Option<End>,
}

impl Stream {
    fn whole(mut self) -> Reply {
        let mut body = Vec::new();
        let end = loop {
            match self.part() {
                Part::Bytes(bytes) => body.extend_from_slice(&bytes),
                Part::Complete => break End::Complete,
                Part::Broken(end) => break end,
            }
        };
        Reply {
            elapsed: self.sent.elapsed(),
            head: self.head,
            body,
            end,
        }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The first value of a header; write its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// How it ended, once it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Goes away in the middle.
    pub fn leave(self) {
        drop(self);
    }

    /// Reads events until so many tokens of text have come.
    pub fn read_tokens(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        let mut tokens = 0;
        while tokens < count {
            let Some(event) = self.next() else {
                panic!(
                    "the stream ended ({:?}) after {tokens} of {count} tokens",
                    self.end
                );
            };
            tokens += usize::from(!event.delta().is_empty());
            events.push(event);
        }
        events
    }

    /// Reads to the end, and says what the model said.
    pub fn text(&mut self) -> String {
        self.map(|event| event.delta()).collect()
    }

    fn part(&mut self) -> Part {
        self.wire.part(&mut self.framing)
    }
}

/// Event by event, as they arrive.
impl Iterator for Stream {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.next() {
                return Some(event);
            }
            if self.end.is_some() {
                return None;
            }
            match self.part() {
                Part::Bytes(bytes) => {
                    self.buffer.extend_from_slice(&bytes);
                    self.ready = sse::take(&mut self.buffer, self.sent.elapsed()).into_iter();
                }
                Part::Complete => self.end = Some(End::Complete),
                Part::Broken(end) => self.end = Some(end),
            }
        }
    }
}
