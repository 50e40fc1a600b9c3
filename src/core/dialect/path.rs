//! Names in paths.

/// One segment of a path, or the value of a query: whatever is not plainly a name is escaped, so that no
/// model's name can reach another path.
pub fn segment(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b':') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    if escaped.bytes().all(|byte| byte == b'.') {
        escaped = escaped.replace('.', "%2E");
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_its_segment() {
        for (name, want) in [
            ("gpt-4o", "gpt-4o"),
            ("us.anthropic.claude-3:0", "us.anthropic.claude-3:0"),
            ("../x?y#z", "..%2Fx%3Fy%23z"),
            ("..", "%2E%2E"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(segment(name), want);
        }
    }
}
