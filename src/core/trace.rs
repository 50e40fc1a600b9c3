//! The identity that joins a request's log line, trace and record.

use sha2::{Digest, Sha256};

use crate::head::Head;

const ID_CHARS_MAX: usize = 128;

/// The caller's `x-trace-id`, else the trace of its `traceparent`, else Envoy's `x-request-id`.
/// Only what is harmless in a header, a log line and a label counts.
pub fn id(head: Head<'_>) -> String {
    let own = head.text("x-trace-id").filter(|id| harmless(id));
    let parent = || {
        let trace = head.text("traceparent")?.split('-').nth(1)?;
        (trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(trace)
    };
    own.or_else(parent)
        .or_else(|| head.text("x-request-id").filter(|id| harmless(id)))
        .unwrap_or_default()
        .to_owned()
}

/// The identity in sixteen bytes: itself if it is a trace id of W3C, else a digest of it.
pub fn bytes(id: &str) -> [u8; 16] {
    let plain: String = id.chars().filter(|char| *char != '-').collect();
    let pairs = (0..plain.len()).step_by(2);
    let pairs = pairs.map(|at| {
        let pair = plain.get(at..at.checked_add(2)?)?;
        u8::from_str_radix(pair, 16).ok()
    });
    let read: Option<Vec<u8>> = pairs.collect();
    read.and_then(|bytes| bytes.try_into().ok())
        .unwrap_or_else(|| {
            let digest: [u8; 32] = Sha256::digest(id.as_bytes()).into();
            digest.first_chunk().copied().unwrap_or_default()
        })
}

fn harmless(id: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/');
    !id.is_empty() && id.len() <= ID_CHARS_MAX && id.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_identity_comes_first_if_it_is_harmless() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let long = "x".repeat(ID_CHARS_MAX + 1);
        for (own, parent, request, want) in [
            ("my-trace", parent, "r", "my-trace"),
            ("", parent, "r", "0af7651916cd43dd8448eb211c80319c"),
            ("a\"b", "00-xyz-1-01", "r-1", "r-1"),
            (long.as_str(), "", "r-1", "r-1"),
            ("", "", "", ""),
        ] {
            let pairs: Vec<(&[u8], &[u8])> = [
                ("x-trace-id", own),
                ("traceparent", parent),
                ("x-request-id", request),
            ]
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect();
            assert_eq!(id(Head(&pairs)), want);
        }
    }
}
