//! Server-sent events out of bytes that may be cut anywhere.

use std::borrow::Cow;

/// One event is held until it is whole, so that it can be kept back or followed by one of ours.
/// A longer one is passed on unread.
pub const EVENT_BYTES_MAX: usize = 1_048_576;

/// What is done with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Goes to the caller as it came.
    Keep,
    /// Is not passed on.
    Drop,
}

/// Cuts a stream into events. Between two calls it holds at most one event that is not whole yet.
#[derive(Debug, Default)]
pub struct Splitter {
    carry: Vec<u8>,
    /// The held event was too long: its bytes pass until it ends.
    passing: bool,
}

/// What the caller gets in place of the bytes that came.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// The very bytes that came.
    Same,
    /// These.
    Changed(Vec<u8>),
}

impl Splitter {
    /// Takes the bytes of one callback, shows each whole event's data to `judge`, and says what goes on.
    /// No allocation unless an event is cut in two or kept back.
    pub fn feed(&mut self, chunk: &[u8], mut judge: impl FnMut(&[u8]) -> Verdict) -> Output {
        let held = std::mem::take(&mut self.carry);
        let bytes: Cow<'_, [u8]> = if held.is_empty() {
            Cow::Borrowed(chunk)
        } else {
            let mut joined = held;
            joined.extend_from_slice(chunk);
            Cow::Owned(joined)
        };
        let mut changed = matches!(bytes, Cow::Owned(_)).then(Vec::new);
        let mut from: usize = 0;
        while let Some(end) = event_end(&bytes, from) {
            let event = bytes.get(from..end).unwrap_or_default();
            let verdict = if self.passing {
                Verdict::Keep
            } else {
                judge(&data(event))
            };
            self.passing = false;
            match (&mut changed, verdict) {
                (None, Verdict::Keep) => {}
                (Some(output), Verdict::Keep) => output.extend_from_slice(event),
                (None, Verdict::Drop) => {
                    changed = Some(bytes.get(..from).unwrap_or_default().to_vec())
                }
                (Some(_), Verdict::Drop) => {}
            }
            from = end;
        }
        self.keep_rest(&bytes, from, changed)
    }

    /// The stream has ended: the bytes of an event that never became whole.
    pub fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.carry)
    }

    /// Whether the event that is coming was too long to be held: its bytes pass unread.
    pub fn passes(&self) -> bool {
        self.passing
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.carry.len()
    }

    fn keep_rest(&mut self, bytes: &[u8], from: usize, changed: Option<Vec<u8>>) -> Output {
        let rest = bytes.get(from..).unwrap_or_default();
        if rest.is_empty() {
            return changed.map_or(Output::Same, Output::Changed);
        }
        let mut output = changed.unwrap_or_else(|| bytes.get(..from).unwrap_or_default().to_vec());
        if self.passing || rest.len() > EVENT_BYTES_MAX {
            // The last line's end, and a byte before it so that the line does not look blank, wait for the
            // bytes that follow: else the end of the event would be missed, or seen too early.
            let ending = rest
                .iter()
                .rev()
                .take(3)
                .take_while(|byte| matches!(byte, b'\r' | b'\n'));
            let split = rest.len().saturating_sub(ending.count()).saturating_sub(1);
            self.passing = true;
            output.extend_from_slice(rest.get(..split).unwrap_or_default());
            self.carry = rest.get(split..).unwrap_or_default().to_vec();
        } else {
            self.carry = rest.to_vec();
        }
        Output::Changed(output)
    }
}

/// Where the event that starts at `from` ends: behind the blank line. None while that has not come.
/// Lines end with LF, CRLF or CR; a CR at the very end may be half a CRLF, so it waits.
fn event_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut line = from;
    loop {
        let rest = bytes.get(line..)?;
        let at = memchr::memchr2(b'\n', b'\r', rest)?;
        let next = line
            .saturating_add(at)
            .saturating_add(match rest.get(at..)? {
                [b'\r', b'\n', ..] => 2,
                [b'\r'] => return None,
                _ => 1,
            });
        if at == 0 {
            return Some(next);
        }
        line = next;
    }
}

/// The value of the `data` lines of an event, joined by line feeds where there are several.
fn data(event: &[u8]) -> Cow<'_, [u8]> {
    let mut value: Option<Cow<'_, [u8]>> = None;
    for line in event.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let Some(rest) = line.strip_prefix(b"data") else {
            continue;
        };
        let part = match rest {
            [] => rest,
            [b':', b' ', part @ ..] | [b':', part @ ..] => part,
            _ => continue,
        };
        value = Some(match value {
            None => Cow::Borrowed(part),
            Some(before) => {
                let mut joined = before.into_owned();
                joined.push(b'\n');
                joined.extend_from_slice(part);
                Cow::Owned(joined)
            }
        });
    }
    value.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds the pieces; gives the data of all events and what the caller got.
    fn run(pieces: &[&[u8]], drop: &str) -> (Vec<String>, Vec<u8>) {
        let mut splitter = Splitter::default();
        let (mut seen, mut got) = (Vec::new(), Vec::new());
        for piece in pieces {
            let output = splitter.feed(piece, |data| {
                let data = String::from_utf8_lossy(data).into_owned();
                let verdict = if data == drop {
                    Verdict::Drop
                } else {
                    Verdict::Keep
                };
                seen.push(data);
                verdict
            });
            match output {
                Output::Same => got.extend_from_slice(piece),
                Output::Changed(bytes) => got.extend_from_slice(&bytes),
            }
        }
        got.extend_from_slice(&splitter.rest());
        (seen, got)
    }

    #[test]
    fn events_are_found_however_lines_end() {
        for (stream, want) in [
            ("data: a\n\ndata: b\n\n", vec!["a", "b"]),
            ("data:a\r\n\r\ndata:  b\r\n\r\n", vec!["a", " b"]),
            ("data: a\r\rdata: b\r\r.", vec!["a", "b"]),
            ("event: x\nid: 1\ndata: a\ndata: b\n\n", vec!["a\nb"]),
            (": keep-alive\n\ndata: a\n\n", vec!["", "a"]),
            ("\u{feff}data: a\n\n", vec!["a"]),
            ("data\n\ndatabase: x\n\n", vec!["", ""]),
            ("data: never whole", vec![]),
        ] {
            let (seen, got) = run(&[stream.as_bytes()], "-");
            assert_eq!(
                (seen, got),
                (
                    want.iter().map(ToString::to_string).collect(),
                    stream.as_bytes().to_vec()
                )
            );
        }
    }

    #[test]
    fn whole_events_pass_without_a_copy() {
        let mut splitter = Splitter::default();
        assert_eq!(
            splitter.feed(b"data: a\n\ndata: b\n\n", |_| Verdict::Keep),
            Output::Same
        );
        assert_eq!(
            splitter.feed(b"data: c\n\nda", |_| Verdict::Keep),
            Output::Changed(b"data: c\n\n".to_vec())
        );
        assert_eq!(
            splitter.feed(b"ta: d\n\n", |_| Verdict::Keep),
            Output::Changed(b"data: d\n\n".to_vec())
        );
        assert_eq!(
            splitter.feed(b"data: e\n\n", |_| Verdict::Keep),
            Output::Same
        );
    }

    #[test]
    fn an_endless_event_is_passed_on_and_the_next_one_is_seen() {
        let long = vec![b'x'; EVENT_BYTES_MAX + 10];
        let (seen, got) = run(&[b"data: ", &long, b"yy\r\n", b"\r\n", b"data: a\n\n"], "a");
        assert_eq!(seen, ["a"]);
        assert_eq!(got.len(), 6 + long.len() + 2 + 4);
    }

    proptest! {
        #[test]
        fn where_a_stream_is_cut_does_not_matter(
            stream in "(data: [a-c]{0,3}|data:drop|: ping|event: e|\n|\r\n|\n\n|\r\n\r\n){0,20}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let bytes = stream.as_bytes();
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            places.extend([0, bytes.len()]);
            places.sort_unstable();
            let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(run(&pieces, "drop"), run(&[bytes], "drop"));
        }

        #[test]
        fn nothing_is_lost_if_nothing_is_dropped(bytes in prop::collection::vec(prop::sample::select(b"da:\r\n x".to_vec()), 0..60), cut in any::<prop::sample::Index>()) {
            let (left, right) = bytes.split_at(cut.index(bytes.len() + 1));
            prop_assert_eq!(run(&[left, right], "-none-").1, bytes.clone());
        }
    }
}
