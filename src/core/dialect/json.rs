//! JSON in one pass onto a tape that is used again: no allocation per event, order and numbers kept as
//! written, nothing recurses.

use std::borrow::Cow;

use parser::Parser;

mod parser;

/// Containers within containers. A schema that is 64 objects deep has two or three for each of them.
pub const DEPTH_MAX: usize = 256;

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
        Parser::new(bytes, &mut self.nodes).run()?;
        Ok(Json {
            text,
            nodes: &self.nodes,
            at: 0,
        })
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
mod tests;
