//! JSON in one pass onto a tape that is used again: no allocation per event, order and numbers kept as
//! written, nothing recurses.

use std::borrow::Cow;

/// Containers within containers.
pub const DEPTH_MAX: usize = 128;

/// Values in one text: a bound on the memory of the tape.
pub const VALUES_MAX: usize = 1_048_576;

const NOBODY: u32 = u32::MAX;

/// The memory of a reader.
#[derive(Debug, Default)]
pub struct Tape {
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    start: u32,
    end: u32,
    /// Behind this value and all in it; while a container is open, the container around it.
    next: u32,
}

/// What kind of value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
    /// As written.
    Number,
    /// Without escapes.
    Text,
    /// With escapes.
    EscapedText,
    /// `[...]`
    List,
    /// `{...}`
    Object,
}

/// Why it could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson {
    /// The byte that is wrong.
    pub at: usize,
    /// What is.
    pub why: &'static str,
}

/// A value on the tape.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a> {
    text: &'a str,
    nodes: &'a [Node],
    at: usize,
}

impl Tape {
    /// Reads one JSON text.
    pub fn read<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Json<'a>, NotJson> {
        self.nodes.clear();
        let text = std::str::from_utf8(bytes).map_err(|error| NotJson {
            at: error.valid_up_to(),
            why: "it is not UTF-8",
        })?;
        Parser {
            bytes,
            at: 0,
            nodes: &mut self.nodes,
            open: NOBODY,
            depth: 0,
        }
        .run()?;
        Ok(Json {
            text,
            nodes: &self.nodes,
            at: 0,
        })
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: &'a mut Vec<Node>,
    /// The innermost open container.
    open: u32,
    depth: usize,
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), NotJson> {
        loop {
            let opened = self.value()?;
            if opened {
                continue;
            }
            if self.behind_value()? {
                return Ok(());
            }
        }
    }

    /// Whether a container was opened that is not empty.
    fn value(&mut self) -> Result<bool, NotJson> {
        self.space();
        match self.peek() {
            Some(b'{') => self.open(Kind::Object, b'}'),
            Some(b'[') => self.open(Kind::List, b']'),
            Some(b'"') => self.string().map(|()| false),
            Some(b't') => self.literal(b"true", Kind::True),
            Some(b'f') => self.literal(b"false", Kind::False),
            Some(b'n') => self.literal(b"null", Kind::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.wrong("a value should stand here")),
            None => Err(self.wrong("it ends too early")),
        }
    }

    /// Whether the text is at its end.
    fn behind_value(&mut self) -> Result<bool, NotJson> {
        loop {
            self.space();
            let inside = self.container();
            match (inside, self.peek()) {
                (None, None) => return Ok(true),
                (None, Some(_)) => return Err(self.wrong("something stands behind the value")),
                (Some(Kind::Object), Some(b',')) => {
                    self.step();
                    return self.name().map(|()| false);
                }
                (Some(_), Some(b',')) => {
                    self.step();
                    return Ok(false);
                }
                (Some(Kind::Object), Some(b'}')) | (Some(Kind::List), Some(b']')) => self.close(),
                (Some(_), Some(_)) => {
                    return Err(self.wrong("a comma or the end should stand here"));
                }
                (Some(_), None) => return Err(self.wrong("it ends too early")),
            }
        }
    }

    fn container(&self) -> Option<Kind> {
        let node = self.nodes.get(usize::try_from(self.open).ok()?)?;
        Some(node.kind)
    }

    fn open(&mut self, kind: Kind, end: u8) -> Result<bool, NotJson> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > DEPTH_MAX {
            return Err(self.wrong("it nests too deep"));
        }
        let at = u32::try_from(self.nodes.len()).unwrap_or(NOBODY);
        let start = self.at;
        self.push(kind, start, start, self.open)?;
        self.open = at;
        self.step();
        self.space();
        if self.peek() == Some(end) {
            self.close();
            return Ok(false);
        }
        if kind == Kind::Object {
            self.name()?;
        }
        Ok(true)
    }

    fn close(&mut self) {
        self.step();
        self.depth = self.depth.saturating_sub(1);
        let behind = u32::try_from(self.nodes.len()).unwrap_or(NOBODY);
        let end = u32::try_from(self.at).unwrap_or(NOBODY);
        let open = usize::try_from(self.open).unwrap_or(usize::MAX);
        if let Some(node) = self.nodes.get_mut(open) {
            self.open = node.next;
            node.next = behind;
            node.end = end;
        }
    }

    fn name(&mut self) -> Result<(), NotJson> {
        self.space();
        if self.peek() != Some(b'"') {
            return Err(self.wrong("the name of a field should stand here"));
        }
        self.string()?;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.wrong("a colon should stand here"));
        }
        self.step();
        Ok(())
    }

    fn string(&mut self) -> Result<(), NotJson> {
        self.step();
        let start = self.at;
        let mut kind = Kind::Text;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(length) = memchr::memchr2(b'"', b'\\', rest) else {
                return Err(self.wrong("a string has no end"));
            };
            let plain = rest.get(..length).unwrap_or_default();
            if plain.iter().any(|byte| *byte < 0x20) {
                return Err(self.wrong("a control character stands in a string"));
            }
            self.at = self.at.saturating_add(length);
            if self.peek() == Some(b'"') {
                let end = self.at;
                self.step();
                return self.leaf(kind, start, end);
            }
            kind = Kind::EscapedText;
            self.escape()?;
        }
    }

    fn escape(&mut self) -> Result<(), NotJson> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = match rest {
            [
                _,
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                ..,
            ] => 2,
            [_, b'u', a, b, c, d, ..]
                if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) =>
            {
                6
            }
            _ => return Err(self.wrong("an escape is wrong")),
        };
        self.at = self.at.saturating_add(length);
        Ok(())
    }

    fn literal(&mut self, word: &[u8], kind: Kind) -> Result<bool, NotJson> {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.wrong("a value should stand here"));
        }
        self.at = start.saturating_add(word.len());
        self.leaf(kind, start, self.at).map(|()| false)
    }

    fn number(&mut self) -> Result<bool, NotJson> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.step();
        }
        if self.peek() == Some(b'0') {
            self.step();
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.step();
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.step();
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.step();
            }
            self.digits()?;
        }
        self.leaf(Kind::Number, start, self.at).map(|()| false)
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.step();
        }
        if self.at == start {
            return Err(self.wrong("a digit should stand here"));
        }
        Ok(())
    }

    fn leaf(&mut self, kind: Kind, start: usize, end: usize) -> Result<(), NotJson> {
        let next = u32::try_from(self.nodes.len().saturating_add(1)).unwrap_or(NOBODY);
        self.push(kind, start, end, next)
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize, next: u32) -> Result<(), NotJson> {
        if self.nodes.len() >= VALUES_MAX {
            return Err(self.wrong("it holds too many values"));
        }
        let place = |at: usize| {
            u32::try_from(at).map_err(|_| NotJson {
                at,
                why: "it is too long",
            })
        };
        self.nodes.push(Node {
            kind,
            start: place(start)?,
            end: place(end)?,
            next,
        });
        Ok(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.step();
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn wrong(&self, why: &'static str) -> NotJson {
        NotJson { at: self.at, why }
    }
}

impl<'a> Json<'a> {
    /// What kind of value it is.
    pub fn kind(self) -> Kind {
        self.node().map_or(Kind::Null, |node| node.kind)
    }

    /// A field that is there and not null. The last one counts, as it does for most parsers.
    pub fn get(self, name: &str) -> Option<Self> {
        self.entries()
            .filter(|(known, _)| known.is(name))
            .last()
            .map(|(_, value)| value)
            .filter(|value| value.kind() != Kind::Null)
    }

    /// The text of a string.
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self.kind() {
            Kind::Text => Some(Cow::Borrowed(self.inner())),
            Kind::EscapedText => Some(Cow::Owned(unescape(self.inner()))),
            Kind::Null | Kind::True | Kind::False | Kind::Number | Kind::List | Kind::Object => {
                None
            }
        }
    }

    /// The text of a string field.
    pub fn text_of(self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name).and_then(Self::text)
    }

    /// A number, as written.
    pub fn number(self) -> Option<&'a str> {
        (self.kind() == Kind::Number).then(|| self.inner())
    }

    /// A whole number from 0; `2.0` is one too.
    pub fn whole(self) -> Option<u64> {
        let number = self.number()?;
        let number = number.strip_suffix(".0").unwrap_or(number);
        number.parse().ok()
    }

    /// `true` or `false`.
    pub fn truth(self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            Kind::Null
            | Kind::Number
            | Kind::Text
            | Kind::EscapedText
            | Kind::List
            | Kind::Object => None,
        }
    }

    /// Whether it is a string that says this.
    pub fn is(self, text: &str) -> bool {
        match self.kind() {
            Kind::Text => self.inner() == text,
            Kind::EscapedText => unescape(self.inner()) == text,
            Kind::Null | Kind::True | Kind::False | Kind::Number | Kind::List | Kind::Object => {
                false
            }
        }
    }

    /// The values of a list; of anything else none.
    pub fn items(self) -> Items<'a> {
        self.inside(Kind::List)
    }

    /// The fields of an object with their names, in order; of anything else none.
    pub fn entries(self) -> impl Iterator<Item = (Self, Self)> {
        let mut inside = self.inside(Kind::Object);
        std::iter::from_fn(move || Some((inside.next()?, inside.next()?)))
    }

    /// As written, strings with their quotes.
    pub fn raw(self) -> &'a str {
        let Some(node) = self.node() else {
            return "null";
        };
        let (start, end) = (position(node.start), position(node.end));
        match node.kind {
            Kind::Text | Kind::EscapedText => self
                .text
                .get(start.saturating_sub(1)..end.saturating_add(1)),
            Kind::Null | Kind::True | Kind::False | Kind::Number | Kind::List | Kind::Object => {
                self.text.get(start..end)
            }
        }
        .unwrap_or("null")
    }

    fn inside(self, kind: Kind) -> Items<'a> {
        let at = self.at.saturating_add(1);
        let end = match self.node() {
            Some(node) if node.kind == kind => position(node.next),
            _ => at,
        };
        Items {
            text: self.text,
            nodes: self.nodes,
            at,
            end,
        }
    }

    fn inner(self) -> &'a str {
        self.node()
            .and_then(|node| self.text.get(position(node.start)..position(node.end)))
            .unwrap_or_default()
    }

    fn node(self) -> Option<&'a Node> {
        self.nodes.get(self.at)
    }
}

/// Walks the values of a list.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    text: &'a str,
    nodes: &'a [Node],
    at: usize,
    end: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Json<'a>> {
        if self.at >= self.end {
            return None;
        }
        let value = Json {
            text: self.text,
            nodes: self.nodes,
            at: self.at,
        };
        self.at = position(self.nodes.get(self.at)?.next);
        Some(value)
    }
}

fn position(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// Half of a surrogate pair alone becomes U+FFFD: a model may well say one.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escaped)) = rest.split_once('\\') {
        plain.push_str(before);
        let mut characters = escaped.chars();
        let said = match characters.next() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let (said, length) = unicode(escaped);
                plain.push(said);
                rest = escaped.get(length..).unwrap_or_default();
                continue;
            }
            Some(other) => other,
            None => break,
        };
        plain.push(said);
        rest = characters.as_str();
    }
    plain.push_str(rest);
    plain
}

/// From `u0041`, or `ud83d\ude00`: the character and how many bytes said it.
fn unicode(escaped: &str) -> (char, usize) {
    let unit = |from: usize| {
        let digits = escaped.get(from..from.saturating_add(4))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(1).unwrap_or(0xfffd);
    let second = escaped
        .get(5..7)
        .filter(|text| *text == "\\u")
        .and_then(|_| unit(7));
    let pair = [first, second.unwrap_or_default()];
    let both = char::decode_utf16(pair).next();
    match (both, (0xd800..=0xdfff).contains(&first)) {
        (Some(Ok(said)), true) => (said, 11),
        (Some(Ok(said)), false) => (said, 5),
        (Some(Err(_)) | None, _) => (char::REPLACEMENT_CHARACTER, 5),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(json: Json<'_>, value: &serde_json::Value) -> bool {
        use serde_json::Value;
        match value {
            Value::Null => json.kind() == Kind::Null,
            Value::Bool(truth) => json.truth() == Some(*truth),
            Value::Number(number) => serde_json::from_str::<serde_json::Number>(json.raw())
                .is_ok_and(|read| read == *number),
            Value::String(text) => json.text().as_deref() == Some(text) && json.is(text),
            Value::Array(items) => {
                json.items().count() == items.len()
                    && json
                        .items()
                        .zip(items)
                        .all(|(left, right)| same(left, right))
            }
            Value::Object(fields) => fields.iter().all(|(name, value)| {
                json.entries()
                    .any(|(known, read)| known.is(name) && same(read, value))
            }),
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, want) in [
            ("", Some((0, "it ends too early"))),
            ("{\"a\":1", Some((6, "it ends too early"))),
            ("{\"a\" 1}", Some((5, "a colon should stand here"))),
            ("{a:1}", Some((1, "the name of a field should stand here"))),
            ("[1,]", Some((3, "a value should stand here"))),
            ("[1}", Some((2, "a comma or the end should stand here"))),
            ("1 2", Some((2, "something stands behind the value"))),
            ("01", Some((1, "something stands behind the value"))),
            ("-", Some((1, "a digit should stand here"))),
            ("\"\\x\"", Some((1, "an escape is wrong"))),
            (
                "\"\n\"",
                Some((1, "a control character stands in a string")),
            ),
            (" [ {} , [] ] ", None),
        ] {
            let mut tape = Tape::default();
            let got = tape.read(text.as_bytes()).err();
            assert_eq!(got.map(|wrong| (wrong.at, wrong.why)), want, "{text}");
        }
        let mut tape = Tape::default();
        let deep = "[".repeat(DEPTH_MAX + 1);
        assert_eq!(
            tape.read(deep.as_bytes()).unwrap_err().why,
            "it nests too deep"
        );
        let many = format!("[{}0]", "0,".repeat(VALUES_MAX));
        assert_eq!(
            tape.read(many.as_bytes()).unwrap_err().why,
            "it holds too many values"
        );
    }

    #[test]
    fn values_are_read_as_written() {
        let mut tape = Tape::default();
        let text = r#"{"a":1e3,"a":2.0,"n":null,"t":"x\u0041\ud83d\ude00\ud83d!","l":[1,{"z":1,"b":2},[]]}"#;
        let json = tape.read(text.as_bytes()).unwrap();
        assert_eq!(json.get("a").and_then(Json::whole), Some(2));
        assert_eq!(json.get("n").map(Json::kind), None);
        assert_eq!(json.text_of("t").as_deref(), Some("xA😀\u{fffd}!"));
        assert_eq!(
            json.get("t").unwrap().raw(),
            r#""x\u0041\ud83d\ude00\ud83d!""#
        );
        let list: Vec<_> = json.get("l").unwrap().items().map(Json::raw).collect();
        assert_eq!(list, ["1", r#"{"z":1,"b":2}"#, "[]"]);
    }

    proptest! {
        #[test]
        fn it_reads_what_serde_reads(text in r#"([{}\[\],:" ]|"(a|\\n|\\u00e9|\\ud83d\\ude00|é|b){0,3}"|-?[0-9]{1,3}(\.[0-9])?(e[0-9])?|true|null){0,24}"#) {
            let mut tape = Tape::default();
            let ours = tape.read(text.as_bytes());
            match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(value) => prop_assert!(ours.is_ok_and(|json| same(json, &value)), "{text}"),
                Err(_) => prop_assert!(ours.is_err(), "{text}"),
            }
        }

        #[test]
        fn it_reads_every_tree(value in tree()) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            let mut tape = Tape::default();
            prop_assert!(same(tape.read(text.as_bytes()).unwrap(), &value));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Tape::default().read(&bytes);
        }
    }

    fn tree() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,6}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map(".{0,3}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }
}
