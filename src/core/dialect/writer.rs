//! JSON written piece by piece into one buffer: no tree is built to be thrown away.

use crate::dialect::json::{Json, Kind};

/// Writes one value. Whoever writes says where things open; commas are its own matter.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    comma: bool,
}

impl<'a> Writer<'a> {
    /// Writes behind what `out` holds.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, comma: false }
    }

    /// `{...}`
    pub fn object(&mut self, fill: impl FnOnce(&mut Self)) {
        self.container(b'{', fill, b'}');
    }

    /// `[...]`
    pub fn list(&mut self, fill: impl FnOnce(&mut Self)) {
        self.container(b'[', fill, b']');
    }

    fn container(&mut self, open: u8, fill: impl FnOnce(&mut Self), close: u8) {
        self.separate();
        self.out.push(open);
        self.comma = false;
        fill(self);
        self.out.push(close);
        self.comma = true;
    }

    /// The name of the field that is written next.
    pub fn key(&mut self, name: &str) -> &mut Self {
        self.text(name);
        self.out.push(b':');
        self.comma = false;
        self
    }

    /// A string.
    pub fn text(&mut self, text: &str) {
        self.separate();
        self.out.push(b'"');
        escape(self.out, text);
        self.out.push(b'"');
        self.comma = true;
    }

    /// What is JSON already, and on one line.
    pub fn raw(&mut self, json: &str) {
        self.separate();
        self.out.extend_from_slice(json.as_bytes());
        self.comma = true;
    }

    /// A whole number.
    pub fn whole(&mut self, number: u64) {
        let mut digits = [0_u8; 20];
        let mut rest = number;
        let mut length: usize = 0;
        for place in digits.iter_mut().rev() {
            let digit = rest.checked_rem(10).unwrap_or_default();
            *place = b'0'.saturating_add(u8::try_from(digit).unwrap_or_default());
            rest = rest.checked_div(10).unwrap_or_default();
            length = length.saturating_add(1);
            if rest == 0 {
                break;
            }
        }
        self.separate();
        let unused = digits.len().saturating_sub(length);
        self.out
            .extend_from_slice(digits.get(unused..).unwrap_or_default());
        self.comma = true;
    }

    /// A string field, where there is one.
    pub fn text_field(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.key(name).text(text);
        }
    }

    /// A field that is JSON already, where there is one.
    pub fn raw_field(&mut self, name: &str, json: Option<&str>) {
        if let Some(json) = json {
            self.key(name).raw(json);
        }
    }

    /// A field that is a whole number, where there is one.
    pub fn whole_field(&mut self, name: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.key(name).whole(number);
        }
    }

    /// `true` or `false`.
    #[allow(
        clippy::fn_params_excessive_bools,
        reason = "the value that is written, not a switch"
    )]
    pub fn truth(&mut self, truth: bool) {
        self.raw(if truth { "true" } else { "false" });
    }

    /// `null`
    pub fn null(&mut self) {
        self.raw("null");
    }

    /// A value that was read, without the space between its parts. Its depth is bounded by its reader.
    pub fn json(&mut self, json: Json<'_>) {
        match json.kind() {
            Kind::List => self.list(|list| json.items().for_each(|item| list.json(item))),
            Kind::Object => self.object(|object| {
                for (name, value) in json.entries() {
                    object.json(name);
                    object.out.push(b':');
                    object.comma = false;
                    object.json(value);
                }
            }),
            Kind::Null
            | Kind::True
            | Kind::False
            | Kind::Number
            | Kind::Text
            | Kind::EscapedText => self.raw(json.raw()),
        }
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
    }
}

/// One object as a text of its own.
pub fn object(fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out).object(fill);
    out
}

/// A value as text, on one line.
pub fn compact(json: Json<'_>) -> String {
    let mut out = Vec::new();
    Writer::new(&mut out).json(json);
    String::from_utf8(out).unwrap_or_default()
}

/// The inside of a JSON string.
fn escape(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest
        .iter()
        .position(|byte| matches!(byte, 0..=0x1f | b'"' | b'\\'))
    {
        let (plain, behind) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let Some((byte, after)) = behind.split_first() else {
            return;
        };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
        rest = after;
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::json::Tape;

    #[test]
    fn commas_stand_between_and_nowhere_else() {
        let written = object(|o| {
            o.key("a").list(|l| {
                l.whole(0);
                l.whole(u64::MAX);
                l.object(|_| {});
                l.list(|_| {});
            });
            o.key("b").object(|o| o.key("c").null());
            o.key("d").truth(true);
        });
        assert_eq!(
            String::from_utf8(written).unwrap(),
            r#"{"a":[0,18446744073709551615,{},[]],"b":{"c":null},"d":true}"#
        );
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in any::<String>()) {
            let mut out = Vec::new();
            Writer::new(&mut out).text(&text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            prop_assert!(!out.contains(&b'\n'));
        }

        #[test]
        fn compact_keeps_the_value(fields in prop::collection::btree_map(".{0,4}", prop::collection::vec(any::<i32>(), 0..3), 0..4)) {
            let pretty = serde_json::to_string_pretty(&fields).unwrap();
            let mut tape = Tape::default();
            let read = compact(tape.read(pretty.as_bytes()).unwrap());
            prop_assert_eq!(read, serde_json::to_string(&fields).unwrap());
        }
    }
}
