//! YAML by hand: templates that read like the file they make, with comments and a stable order.

/// A string as YAML reads it whatever is in it: JSON's notation is a subset of YAML's.
pub(super) fn text(value: impl AsRef<str>) -> String {
    serde_json::Value::from(value.as_ref()).to_string()
}

/// A path, quoted like [`text`].
pub(super) fn path(value: &std::path::Path) -> String {
    text(value.to_string_lossy())
}

/// One line of JSON as a YAML string. Single quotes, so that its own quotes stay readable.
pub(super) fn json(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// A duration as protobuf writes it: `1.5s`.
pub(super) fn seconds(milliseconds: u64) -> String {
    let whole = milliseconds.checked_div(1_000).unwrap_or_default();
    let rest = milliseconds.checked_rem(1_000).unwrap_or_default();
    if rest == 0 {
        return format!("{whole}s");
    }
    let fraction = format!("{rest:03}");
    format!("{whole}.{}s", fraction.trim_end_matches('0'))
}

/// `block` for a place that is `spaces` deep: its first line stands there already.
pub(super) fn nested(spaces: usize, block: &str) -> String {
    let separator = format!("\n{:spaces$}", "");
    block.lines().collect::<Vec<_>>().join(&separator)
}

/// Blocks as items of a list whose first dash stands already.
pub(super) fn items(spaces: usize, blocks: impl IntoIterator<Item = String>) -> String {
    let inner = spaces.saturating_add(2);
    let items: Vec<String> = blocks
        .into_iter()
        .map(|block| format!("- {}", nested(inner, &block)))
        .collect();
    items.join(&format!("\n{:spaces$}", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_exactly() {
        for (milliseconds, want) in [
            (0, "0s"),
            (1, "0.001s"),
            (1_500, "1.5s"),
            (60_000, "60s"),
            (61_010, "61.01s"),
        ] {
            assert_eq!(seconds(milliseconds), want);
        }
    }

    #[test]
    fn strings_cannot_leave_their_quotes() {
        assert_eq!(text("a\"b\n- c: \\"), r#""a\"b\n- c: \\""#);
        assert_eq!(json(r#"{"name":"it's"}"#), r#"'{"name":"it''s"}'"#);
    }

    #[test]
    fn blocks_keep_their_shape_inside_a_list() {
        let list = items(2, ["a: 1\nb:\n  c: 2".to_owned(), "a: 3".to_owned()]);
        assert_eq!(
            format!("list:\n  {list}"),
            "list:\n  - a: 1\n    b:\n      c: 2\n  - a: 3"
        );
    }
}
