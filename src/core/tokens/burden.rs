//! How much work a body makes for whoever reads it, found before it is read.
//!
//! Bytes alone do not bound that: a large body of nothing but brackets, empty strings or escapes takes every reader
//! (the parser, the counter, a translator) a step for each, ten times what the same bytes of text take.

use memchr::memchr2;

use super::json::is_between;

/// What one value costs, in units of which an escape costs one, and eight bytes that stand between values.
const VALUE: usize = 8;
/// 125,000 values, or a million escapes, or 8 MB of blanks: ten times what the largest agents send.
pub const UNITS_MAX: usize = 1_000_000;
/// No body of this size can cost too much.
const HARMLESS_BYTES: usize = UNITS_MAX / VALUE;

/// Whether the readers of a body can bear it: no more than [`UNITS_MAX`].
pub fn is_bearable(body: &[u8]) -> bool {
    body.len() <= HARMLESS_BYTES || units_left(body).is_some()
}

fn units_left(body: &[u8]) -> Option<usize> {
    let mut left = UNITS_MAX;
    let mut rest = body;
    loop {
        let blank = rest
            .iter()
            .position(|byte| !is_between(*byte))
            .unwrap_or(rest.len());
        left = left.checked_sub(blank / VALUE)?;
        rest = rest.get(blank..).unwrap_or_default();
        let length = match rest.split_first() {
            None => return Some(left),
            Some((b'"', inside)) => string_length(inside, &mut left)?.saturating_add(1),
            Some((b'{' | b'[' | b'}' | b']', _)) => 1,
            Some(_) => {
                let inside = |byte: &u8| {
                    !is_between(*byte) && !matches!(byte, b'"' | b'{' | b'}' | b'[' | b']')
                };
                let length = rest.iter().take_while(|byte| inside(byte)).count();
                left = left.checked_sub(length / VALUE)?;
                length
            }
        };
        left = left.checked_sub(VALUE)?;
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// Up to and with the quote that ends it.
fn string_length(inside: &[u8], left: &mut usize) -> Option<usize> {
    let mut at = 0;
    while let Some(ahead) = memchr2(b'"', b'\\', inside.get(at..).unwrap_or_default()) {
        let found = at.saturating_add(ahead);
        if inside.get(found) == Some(&b'"') {
            return Some(found.saturating_add(1));
        }
        *left = left.checked_sub(1)?;
        at = found.saturating_add(2);
    }
    Some(inside.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGABYTE: usize = 1_000_000;

    #[test]
    fn what_people_send_is_bearable_and_what_only_makes_work_is_not() {
        let message = r#"{"role":"user","content":"Tell me, \"friend\":\nwhy?"},"#;
        let filled = |unit: &str| format!("[{}]", unit.repeat(8 * MEGABYTE / unit.len()));
        let pretty = format!("{}{message}\n", " ".repeat(60));
        for (what, body, want) in [
            (
                "one string",
                format!("\"{}\"", "x".repeat(8 * MEGABYTE)),
                true,
            ),
            (
                "messages of 400 bytes",
                filled(&message.replace("why", &"why ".repeat(90))),
                true,
            ),
            (
                "indented",
                filled(&pretty.replace("why", &"why ".repeat(200))),
                true,
            ),
            ("few empty strings", "\"\",".repeat(30_000), true),
            ("empty strings", filled("\"\","), false),
            ("lists", filled("["), false),
            ("pairs", filled("{}"), false),
            ("numbers", filled("1,"), false),
            (
                "escapes",
                format!("\"{}\"", "\\n".repeat(4 * MEGABYTE)),
                false,
            ),
            (
                "a string without an end",
                format!("\"{}", "\\".repeat(8 * MEGABYTE)),
                false,
            ),
            ("blanks", " ".repeat(9 * MEGABYTE), false),
            ("commas", ",".repeat(9 * MEGABYTE), false),
            ("a number", "1".repeat(9 * MEGABYTE), false),
        ] {
            assert_eq!(is_bearable(body.as_bytes()), want, "{what}");
        }
    }

    #[test]
    fn a_small_body_is_always_bearable() {
        for unit in ["[", "\"\"", "{}", "\\", " ", "\"\\", "1,"] {
            let body = unit.repeat(HARMLESS_BYTES / unit.len());
            assert!(is_bearable(body.as_bytes()));
            assert!(units_left(body.as_bytes()).is_some(), "{unit}");
        }
    }
}
