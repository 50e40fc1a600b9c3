//! Writes the tape: one pass over the bytes, with the open containers linked through it.

use super::{DEPTH_MAX, Kind, NOBODY, Node, NotJson, VALUES_MAX};

pub(super) struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: &'a mut Vec<Node>,
    /// The innermost open container.
    open: u32,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(bytes: &'a [u8], nodes: &'a mut Vec<Node>) -> Self {
        Self {
            bytes,
            at: 0,
            nodes,
            open: NOBODY,
            depth: 0,
        }
    }

    pub(super) fn run(&mut self) -> Result<(), NotJson> {
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
