//! A `gateway.yaml` with places to fill in.
//!
//! `{listen}`, `{admin}`, `{budget}` and `{budget-admin}` are free addresses, `{log}` is the file for the access log, `{dir}` a folder of the test's
//! own, `{key NAME}` the hash of the key that clients send by `.key("NAME")`; and any other name in braces, such as
//! `{alpha}`, is the address of a fake provider that is started under that name. Braces with anything else in them,
//! such as `{provider: alpha}`, are left alone.

use sha2::{Digest, Sha256};

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
    Key(&'a str),
}

/// The names that are filled in, each once, in order of appearance.
pub(crate) fn names(template: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for piece in pieces(template) {
        if let Piece::Name(name) = piece
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

/// The text with its places filled in.
pub(crate) fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    pieces(template)
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Name(name) => value(name),
            Piece::Key(name) => hash(&key(name)),
        })
        .collect()
}

/// The key of this name.
pub(crate) fn key(name: &str) -> String {
    format!("sk-tg-{name}")
}

fn hash(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let closed = after.split_once('}').filter(|_| !before.ends_with('$'));
        let place = closed.and_then(|(inside, behind)| Some((place(inside)?, behind)));
        match place {
            Some((place, behind)) => {
                pieces.extend([Piece::Text(before), place]);
                rest = behind;
            }
            None => {
                pieces.extend([Piece::Text(before), Piece::Text("{")]);
                rest = after;
            }
        }
    }
    pieces.push(Piece::Text(rest));
    pieces
}

fn place(inside: &str) -> Option<Piece<'_>> {
    match inside.strip_prefix("key ") {
        Some(name) => is_name(name).then_some(Piece::Key(name)),
        None => is_name(inside).then_some(Piece::Name(inside)),
    }
}

fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_all_else_is_left() {
        for (template, want) in [
            ("", ""),
            ("url: http://{alpha}/v1", "url: http://<alpha>/v1"),
            ("{a}{b-2}", "<a><b-2>"),
            (
                "- {provider: alpha, model: x}",
                "- {provider: alpha, model: x}",
            ),
            ("key: {env: NAME}", "key: {env: NAME}"),
            ("${NAME} ${name} $${name}", "${NAME} ${name} $${name}"),
            ("{", "{"),
            ("{}", "{}"),
            ("{{a}}", "{<a>}"),
            ("{A}", "{A}"),
            (
                "{key demo}",
                "6e9736d6bb33209777c3b8abcf2feb43c3a16f3ca3a6a3133e1ddf171013fc3b",
            ),
        ] {
            assert_eq!(
                fill(template, |name| format!("<{name}>")),
                want,
                "{template}"
            );
        }
        assert_eq!(names("{a} {key k} {b} {a} {x: y} ${c}"), ["a", "b"]);
    }
}
