//! Events out of a stream, as a browser would read them.

use std::time::Duration;

use serde_json::Value;

/// An event, and when it had arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Its data; several lines are joined.
    pub data: String,
    /// Since the request was sent.
    pub at: Duration,
}

impl Event {
    /// The data as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_default()
    }

    /// The text that it adds to a chat, or to a completion.
    pub fn delta(&self) -> String {
        let json = self.json();
        let paths = ["/choices/0/delta/content", "/choices/0/text"];
        let text = paths.iter().find_map(|path| json.pointer(path)?.as_str());
        text.unwrap_or_default().to_owned()
    }
}

/// Takes the events that are complete out of `buffer`.
pub(crate) fn take(buffer: &mut Vec<u8>, at: Duration) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(length) = event_length(buffer) {
        let raw: Vec<u8> = buffer.drain(..length).collect();
        events.extend(event(&String::from_utf8_lossy(&raw), at));
    }
    events
}

/// Up to and with the empty line that ends an event.
fn event_length(buffer: &[u8]) -> Option<usize> {
    let ends: [&[u8]; 2] = [b"\n\n", b"\r\n\r\n"];
    ends.iter()
        .filter_map(|end| {
            Some(
                buffer
                    .windows(end.len())
                    .position(|window| window == *end)?
                    + end.len(),
            )
        })
        .min()
}

/// Comments alone are no event.
fn event(raw: &str, at: Duration) -> Option<Event> {
    let mut name = None;
    let mut data = Vec::new();
    for line in raw.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = Some(value.to_owned()),
            "data" => data.push(value),
            _ => {}
        }
    }
    (!data.is_empty()).then(|| Event {
        name,
        data: data.join("\n"),
        at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_wherever_the_stream_is_cut() {
        let stream = b": hi\n\ndata: one\n\nevent: x\r\ndata: two\r\ndata:three\r\n\r\ndata: [DONE]\n\ndata: unfinished";
        for size in 1..=stream.len() {
            let mut buffer = Vec::new();
            let mut events = Vec::new();
            for piece in stream.chunks(size) {
                buffer.extend_from_slice(piece);
                events.extend(take(&mut buffer, Duration::ZERO));
            }
            let told: Vec<_> = events
                .iter()
                .map(|event| (event.name.as_deref(), event.data.as_str()))
                .collect();
            assert_eq!(
                told,
                [(None, "one"), (Some("x"), "two\nthree"), (None, "[DONE]")],
                "pieces of {size}"
            );
            assert_eq!(buffer, b"data: unfinished");
        }
    }
}
