//! A text as it stands in a body: as it is, or with the escapes of a JSON string.

use std::borrow::Cow;

use memchr::memchr;

/// A text to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// As it is.
    Plain(&'a str),
    /// What stands between the quotes of a JSON string, with at least one escape in it.
    Escaped(&'a str),
}

impl<'a> Text<'a> {
    /// The text of a JSON string, given what stands between its quotes.
    pub fn in_json(between_quotes: &'a str) -> Self {
        match memchr(b'\\', between_quotes.as_bytes()) {
            Some(_) => Self::Escaped(between_quotes),
            None => Self::Plain(between_quotes),
        }
    }

    /// As it is written. The text has at most as many bytes, and at most as many tokens.
    pub fn written(self) -> &'a str {
        match self {
            Self::Plain(text) | Self::Escaped(text) => text,
        }
    }

    /// The text itself.
    pub fn unescaped(self) -> Cow<'a, str> {
        match self {
            Self::Plain(text) => Cow::Borrowed(text),
            Self::Escaped(_) => {
                let mut text = String::new();
                self.append_to(&mut text);
                Cow::Owned(text)
            }
        }
    }

    /// Appends the text itself. What no JSON writer writes is mended, never refused: half a
    /// surrogate pair becomes U+FFFD, an escape that is none stays as it is.
    pub fn append_to(self, out: &mut String) {
        let mut rest = match self {
            Self::Plain(text) => return out.push_str(text),
            Self::Escaped(text) => text,
        };
        while let Some((before, escape)) = rest.split_once('\\') {
            out.push_str(before);
            rest = match unescape(escape) {
                Some((character, after)) => {
                    out.push(character);
                    after
                }
                None => {
                    out.push('\\');
                    escape
                }
            };
        }
        out.push_str(rest);
    }
}

/// The character of an escape whose backslash has been read, and what follows it.
fn unescape(escape: &str) -> Option<(char, &str)> {
    let mut characters = escape.chars();
    let character = match characters.next()? {
        '"' => '"',
        '\\' => '\\',
        '/' => '/',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return code_point(characters.as_str()),
        _ => return None,
    };
    Some((character, characters.as_str()))
}

fn code_point(digits: &str) -> Option<(char, &str)> {
    let (unit, after) = hexadecimal(digits)?;
    let second = after.strip_prefix("\\u").and_then(hexadecimal);
    if let Some((second, after_both)) = second
        && let Some(Ok(character)) = char::decode_utf16([unit, second]).next()
        && character.len_utf16() == 2
    {
        return Some((character, after_both));
    }
    let character = char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER);
    Some((character, after))
}

/// Four digits; `from_str_radix` alone would also take a sign.
fn hexadecimal(text: &str) -> Option<(u16, &str)> {
    let (digits, after) = text.split_at_checked(4)?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    Some((u16::from_str_radix(digits, 16).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(between_quotes: &str) -> String {
        Text::in_json(between_quotes).unescaped().into_owned()
    }

    #[test]
    fn escapes_are_read_and_broken_ones_mended() {
        for (written, want) in [
            ("plain", "plain"),
            (r#"a\"b\\c\/d"#, r#"a"b\c/d"#),
            (r"\b\f\n\r\t", "\u{8}\u{c}\n\r\t"),
            (r"caf\u00e9", "café"),
            (r"\u4F60\u597d", "你好"),
            (r"\ud83d\ude00!", "😀!"),
            (r"\ud83dx", "\u{fffd}x"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\ud83d\n", "\u{fffd}\n"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
            (r"\u12", r"\u12"),
            (r"\u+123", r"\u+123"),
            (r"\u00é1", r"\u00é1"),
            (r"\x", r"\x"),
            ("end\\", "end\\"),
        ] {
            assert_eq!(text(written), want, "{written}");
            assert!(text(written).len() <= written.len(), "{written}");
        }
    }

    proptest! {
        #[test]
        fn what_a_json_writer_writes_is_read_back(original in ".*") {
            let mut written = String::new();
            for unit in original.encode_utf16() {
                written.push_str(&format!("\\u{unit:04x}"));
            }
            prop_assert_eq!(text(&written), original);
        }

        #[test]
        fn no_text_is_longer_than_it_is_written(written in r#"([\\u"dD8c0-9a]|.)*"#) {
            prop_assert!(text(&written).len() <= written.len());
        }
    }
}
