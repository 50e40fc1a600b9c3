//! Reads a body for its texts, in one pass and without recursion. It never fails: where the body
//! stops being JSON, reading stops and [`Reader::rest`] is what was not understood.

use memchr::memchr2;
use tollgate_tokens::Text;

/// A place in a JSON text.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a str,
    /// Reading has stopped; `rest` is where.
    broken: bool,
}

/// What stands next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Text,
    Object,
    Array,
    /// A number, `true`, `false`, `null`, or something that is none of these.
    Scalar,
    /// The end of the object, of the array, or of all.
    End,
}

impl<'a> Reader<'a> {
    pub(super) fn new(body: &'a str) -> Self {
        Self {
            rest: body,
            broken: false,
        }
    }

    /// What has not been read.
    pub(super) fn rest(self) -> &'a str {
        self.rest
            .trim_matches(|character| u8::try_from(character).is_ok_and(is_between))
    }

    pub(super) fn next(&mut self) -> Next {
        let between = self
            .rest
            .bytes()
            .take_while(|byte| is_between(*byte))
            .count();
        self.rest = self.rest.get(between..).unwrap_or_default();
        match self.rest.as_bytes().first() {
            _ if self.broken => Next::End,
            Some(b'"') => Next::Text,
            Some(b'{') => Next::Object,
            Some(b'[') => Next::Array,
            None | Some(b'}' | b']') => Next::End,
            Some(_) => Next::Scalar,
        }
    }

    /// Steps into an object or array, if one stands next.
    pub(super) fn enter(&mut self, kind: Next) -> bool {
        let here = matches!(kind, Next::Object | Next::Array) && self.next() == kind;
        if here {
            self.step();
        }
        here
    }

    /// The key of the next member of the object stepped into; after the last, steps out.
    pub(super) fn key(&mut self) -> Option<Text<'a>> {
        let Some(key) = self.text() else {
            self.leave(b'}');
            return None;
        };
        Some(key)
    }

    /// Whether the array stepped into has another item; after the last, steps out.
    pub(super) fn item(&mut self) -> bool {
        let more = self.next() != Next::End;
        if !more {
            self.leave(b']');
        }
        more
    }

    /// The string that stands next, if one does.
    pub(super) fn text(&mut self) -> Option<Text<'a>> {
        if self.next() != Next::Text {
            return None;
        }
        let (text, rest) = string(self.rest)?;
        self.rest = rest;
        Some(text)
    }

    /// The string that stands next; of anything else there, nothing.
    pub(super) fn text_or_skip(&mut self) -> Option<Text<'a>> {
        let text = self.text();
        if text.is_none() {
            self.value(|_| ());
        }
        text
    }

    /// Reads one value, however deep, and shows every text in it: keys, strings, and scalars as
    /// they are written.
    pub(super) fn value(&mut self, mut each: impl FnMut(Text<'a>)) {
        let mut depth = 0usize;
        loop {
            match self.next() {
                Next::Text => {
                    if let Some(text) = self.text() {
                        each(text);
                    }
                }
                Next::Scalar => each(Text::Plain(self.scalar())),
                Next::Object | Next::Array => {
                    self.step();
                    depth = depth.saturating_add(1);
                }
                Next::End if depth == 0 || self.broken || self.rest.is_empty() => return,
                Next::End => {
                    self.step();
                    depth = depth.saturating_sub(1);
                }
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn scalar(&mut self) -> &'a str {
        let inside =
            |byte: u8| !is_between(byte) && !matches!(byte, b'"' | b'{' | b'}' | b'[' | b']');
        let end = self.rest.bytes().take_while(|byte| inside(*byte)).count();
        let (scalar, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        scalar
    }

    fn leave(&mut self, close: u8) {
        self.next();
        if self.rest.as_bytes().first() == Some(&close) {
            self.step();
        } else {
            self.broken = true;
        }
    }

    /// Over the one byte of a bracket.
    fn step(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }
}

/// White space, and the signs that tell nothing a reader of well-formed JSON does not know.
pub(super) fn is_between(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',' | b':')
}

/// The string at the start, and what follows it. A string without an end ends with the body.
fn string(text: &str) -> Option<(Text<'_>, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut kind: fn(_) -> _ = Text::Plain;
    let mut at = 0;
    while let Some(ahead) = memchr2(b'"', b'\\', inside.as_bytes().get(at..).unwrap_or_default()) {
        let found = at.saturating_add(ahead);
        if inside.as_bytes().get(found) == Some(&b'"') {
            let (text, quote_and_rest) = inside.split_at_checked(found)?;
            return Some((kind(text), quote_and_rest.get(1..)?));
        }
        kind = Text::Escaped;
        at = found.saturating_add(2);
    }
    Some((kind(inside), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Vec<&str> {
        let mut texts = Vec::new();
        let mut reader = Reader::new(body);
        reader.value(|text| texts.push(text.written()));
        texts
    }

    #[test]
    fn every_text_of_a_value_is_shown() {
        for (body, want) in [
            (r#""a""#, vec!["a"]),
            (r#""" "b""#, vec![""]),
            (
                r#"{"k":"v","n":-1.5e3,"t":[true,null]}"#,
                vec!["k", "v", "n", "-1.5e3", "t", "true", "null"],
            ),
            (
                r#"{"a":{"b":["c\"d\\","e"]}} "f""#,
                vec!["a", "b", r#"c\"d\\"#, "e"],
            ),
            (r#"["open"#, vec!["open"]),
            ("[\"\\", vec!["\\"]),
            ("", vec![]),
            ("}", vec![]),
            ("nonsense é", vec!["nonsense"]),
        ] {
            assert_eq!(texts(body), want, "{body}");
        }
    }

    #[test]
    fn a_million_brackets_are_read_without_recursion() {
        assert_eq!(texts(&"[".repeat(1_000_000)), Vec::<&str>::new());
        assert_eq!(texts(&"{\"a\":".repeat(100_000)).len(), 100_000);
    }

    #[test]
    fn members_and_items_are_stepped_through() {
        let mut reader = Reader::new(r#" {"a": 1, "b": [ "x" , 2 ], "c": {} } tail"#);
        let mut seen = Vec::new();
        assert!(reader.enter(Next::Object));
        while let Some(key) = reader.key() {
            seen.push(key.written());
            if reader.enter(Next::Array) {
                while reader.item() {
                    reader.value(|text| seen.push(text.written()));
                }
            } else {
                reader.value(|text| seen.push(text.written()));
            }
        }
        assert_eq!(seen, ["a", "1", "b", "x", "2", "c"]);
        assert_eq!(reader.rest(), "tail");
    }

    #[test]
    fn reading_stops_where_it_is_no_longer_json() {
        for (body, rest) in [
            ("{1:2}", "1:2}"),
            ("[]", "[]"),
            (r#"{"a":1]"#, "]"),
            ("{", ""),
        ] {
            let mut reader = Reader::new(body);
            if reader.enter(Next::Object) {
                while reader.key().is_some() {
                    reader.value(|_| ());
                }
            }
            assert_eq!(reader.rest(), rest, "{body}");
        }
    }
}
