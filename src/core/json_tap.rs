//! Reads chosen fields of a JSON object while it passes, without holding it.

/// How much of one value is kept. A longer one counts as seen but cannot be read.
const VALUE_BYTES_MAX: usize = 65_536;

/// How much of a field's name is kept: longer than any that is chosen.
const NAME_BYTES_MAX: usize = 64;

/// Watches the top-level fields of one JSON object. Bytes may be cut anywhere; what is not JSON
/// finds nothing and does no harm.
#[derive(Debug, PartialEq, Eq)]
pub struct Tap {
    wanted: &'static [&'static str],
    found: Vec<(&'static str, Vec<u8>)>,
    seen: Vec<&'static str>,
    state: State,
    depth: u32,
    name: Vec<u8>,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between things.
    Plain,
    /// In a string that is the name of a top-level field, or inside a value.
    Text { is_name: bool },
    /// Behind a backslash.
    Escape { is_name: bool },
    /// Behind a top-level name.
    ExpectValue,
    /// Inside a top-level value; which of the wanted, if it is one.
    Value(Option<usize>),
    /// In a string inside that value.
    ValueText(Option<usize>),
    /// Behind a backslash in that string.
    ValueEscape(Option<usize>),
}

impl Tap {
    /// Looks for these fields.
    pub fn new(wanted: &'static [&'static str]) -> Self {
        Self {
            wanted,
            found: Vec::new(),
            seen: Vec::new(),
            state: State::Plain,
            depth: 0,
            name: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.state == State::ExpectValue {
                rest = rest.trim_ascii_start();
                if rest.is_empty() {
                    return;
                }
                self.begin();
            }
            let run = self.run(rest);
            let (kept, behind) = rest.split_at_checked(run).unwrap_or((rest, &[]));
            self.keep(kept);
            rest = behind;
            if let Some((byte, after)) = rest.split_first() {
                self.take(*byte);
                rest = after;
            }
        }
    }

    /// The whole value of a wanted field, as JSON.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.found.iter().find(|(known, _)| *known == name)?;
        let open = matches!(self.state, State::Value(Some(at)) | State::ValueText(Some(at)) | State::ValueEscape(Some(at))
            if self.wanted.get(at).copied() == Some(name));
        (!open && value.len() <= VALUE_BYTES_MAX).then_some(value.as_slice())
    }

    /// Whether the value of a wanted field has at least begun.
    pub fn has_begun(&self, name: &str) -> bool {
        self.seen.contains(&name)
    }

    /// How many bytes have passed.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many bytes from here are kept or passed over in one piece. A value goes to its end in one run: what is
    /// inside it matters only for finding that end.
    fn run(&mut self, rest: &[u8]) -> usize {
        let end = match self.state {
            State::Text { .. } => memchr::memchr2(b'"', b'\\', rest),
            State::Plain => rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b':')),
            State::Value(_) | State::ValueText(_) | State::ValueEscape(_) => self.value_end(rest),
            State::Escape { .. } | State::ExpectValue => Some(0),
        };
        end.unwrap_or(rest.len())
    }

    /// Where the value that has begun ends, if it does here: before a comma or a brace of the object itself.
    fn value_end(&mut self, rest: &[u8]) -> Option<usize> {
        let mut from = 0;
        loop {
            let ahead = rest.get(from..)?;
            let (at, state) = match self.state {
                State::ValueEscape(wanted) => (0, State::ValueText(wanted)),
                State::ValueText(wanted) => {
                    let at = memchr::memchr2(b'"', b'\\', ahead)?;
                    match ahead.get(at) {
                        Some(b'"') => (at, State::Value(wanted)),
                        _ => (at, State::ValueEscape(wanted)),
                    }
                }
                State::Value(wanted) => {
                    let structural = |byte: &u8| {
                        matches!(byte, b'"' | b'{' | b'}' | b'[' | b']')
                            || (*byte == b',' && self.depth == 1)
                    };
                    let at = ahead.iter().position(structural)?;
                    match ahead.get(at) {
                        Some(b'"') => (at, State::ValueText(wanted)),
                        Some(b'{' | b'[') => {
                            self.depth = self.depth.saturating_add(1);
                            (at, State::Value(wanted))
                        }
                        Some(b'}' | b',') if self.depth == 1 => return from.checked_add(at),
                        _ => {
                            self.depth = self.depth.saturating_sub(1);
                            (at, State::Value(wanted))
                        }
                    }
                }
                State::Plain | State::Text { .. } | State::Escape { .. } | State::ExpectValue => {
                    return Some(from);
                }
            };
            ahead.get(at)?;
            self.state = state;
            from = from.saturating_add(at).saturating_add(1);
        }
    }

    fn take(&mut self, byte: u8) {
        match (self.state, byte) {
            (State::Plain, b'"') => {
                self.name.clear();
                self.state = State::Text {
                    is_name: self.depth == 1,
                };
            }
            (State::Plain, b'{' | b'[') => self.depth = self.depth.saturating_add(1),
            (State::Plain, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
            (State::Plain, b':') if self.depth == 1 => self.state = State::ExpectValue,
            (State::Plain, _) => {}
            (State::Text { is_name }, b'\\') => self.state = State::Escape { is_name },
            (State::Text { .. }, b'"') => self.state = State::Plain,
            (State::Escape { is_name }, _) => {
                self.keep(&[byte]);
                self.state = State::Text { is_name };
            }
            (State::Text { .. }, _) => self.keep(&[byte]),
            (State::ExpectValue, _) => {}
            // Its run ended here.
            (State::Value(_) | State::ValueText(_) | State::ValueEscape(_), _) => {
                self.state = State::Plain;
                self.take(byte);
            }
        }
    }

    fn begin(&mut self) {
        let name = std::mem::take(&mut self.name);
        let at = self
            .wanted
            .iter()
            .position(|wanted| wanted.as_bytes() == name);
        self.name = name;
        if let Some(wanted) = at.and_then(|at| self.wanted.get(at)) {
            self.seen.push(wanted);
            // A repeated field: the last one counts, as it does for most parsers.
            self.found.retain(|(known, _)| known != wanted);
            self.found.push((wanted, Vec::new()));
        }
        self.state = State::Value(at);
    }

    fn keep(&mut self, bytes: &[u8]) {
        match self.state {
            State::Text { is_name: true } | State::Escape { is_name: true } => {
                if self.name.len().saturating_add(bytes.len()) <= NAME_BYTES_MAX {
                    self.name.extend_from_slice(bytes);
                } else {
                    self.name = vec![b'?'; NAME_BYTES_MAX];
                }
            }
            State::Value(Some(_)) | State::ValueText(Some(_)) | State::ValueEscape(Some(_)) => {
                // One byte more than the bound marks a value that was too long.
                if let Some((_, value)) = self.found.last_mut() {
                    let room = VALUE_BYTES_MAX
                        .saturating_add(1)
                        .saturating_sub(value.len());
                    value.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
                }
            }
            State::Plain
            | State::ExpectValue
            | State::Text { is_name: false }
            | State::Escape { is_name: false }
            | State::Value(None)
            | State::ValueText(None)
            | State::ValueEscape(None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WANTED: &[&str] = &["usage", "error"];

    fn value(json: &str, name: &str) -> Option<String> {
        let mut tap = Tap::new(WANTED);
        tap.feed(json.as_bytes());
        tap.value(name)
            .map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    #[test]
    fn only_whole_top_level_fields_are_found() {
        for (json, want) in [
            (r#"{"usage":{"a":[1,"}"]},"b":1}"#, Some(r#"{"a":[1,"}"]}"#)),
            (r#"{"b":{"usage":1},"usage":null}"#, Some("null")),
            (r#"{"b":["usage",":",1]}"#, None),
            (r#"{"b":"usage","c":"\",\"usage\":1"}"#, None),
            (r#"{ "usage" : 12 , "usage" : 13 }"#, Some("13 ")),
            (r#"{"usage":"x\"y"}"#, Some(r#""x\"y""#)),
            (r#"{"usage":{"a":"#, None),
            (r#"[{"usage":1}]"#, None),
            ("<html>\"usage\":1", None),
            ("", None),
        ] {
            assert_eq!(value(json, "usage").as_deref(), want, "{json}");
        }
    }

    #[test]
    fn a_value_that_is_too_long_is_seen_but_not_read() {
        let json = format!(r#"{{"usage":"{}","error":1}}"#, "x".repeat(VALUE_BYTES_MAX));
        let mut tap = Tap::new(WANTED);
        tap.feed(json.as_bytes());
        assert!(tap.has_begun("usage"));
        assert_eq!(tap.value("usage"), None);
        assert_eq!(tap.value("error"), Some(b"1".as_slice()));
    }

    proptest! {
        #[test]
        fn it_finds_what_a_parser_finds_however_it_is_cut(
            fields in prop::collection::btree_map("usage|error|[a-z\"\\\\{},:]{0,6}", ".{0,8}", 0..5),
            cut in any::<prop::sample::Index>(),
        ) {
            let json = serde_json::to_string(&fields).unwrap();
            let (left, right) = json.as_bytes().split_at(cut.index(json.len() + 1));
            let mut tap = Tap::new(WANTED);
            tap.feed(left);
            tap.feed(right);
            for name in WANTED {
                let got = tap.value(name).map(|value| serde_json::from_slice::<String>(value).unwrap());
                prop_assert_eq!(got.as_ref(), fields.get(*name));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(prop::sample::select(b"{}[]\":,\\usage1 ".to_vec()), 0..80)) {
            let mut tap = Tap::new(WANTED);
            tap.feed(&bytes);
            let _ = tap.value("usage");
        }
    }
}
