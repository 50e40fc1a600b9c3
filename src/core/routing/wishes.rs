//! What a caller says in the head of a request about its way.

use crate::head::Head;

/// Longer texts are nobody's name.
const TEXT_BYTES_MAX: usize = 256;

/// What the head says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// What the request is about; whoever reads the head for the money knows it already.
    pub tags: Vec<String>,
    /// `x-tollgate-region`: only there.
    pub regions: Vec<String>,
    /// `x-tollgate-max-latency`: to the first token, in milliseconds.
    pub latency_ms: Option<u64>,
    /// `x-tollgate-timeout`: an attempt may take so long to its first token, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Headers that policies look at.
    pub headers: Vec<(String, String)>,
}

/// Where it must be answered.
pub const REGION: &str = "x-tollgate-region";
/// How long the first token may take.
pub const MAX_LATENCY: &str = "x-tollgate-max-latency";
/// How long an attempt may take.
pub const TIMEOUT: &str = "x-tollgate-timeout";

impl Wishes {
    /// Reads a head; `looked_at` are the headers of policies.
    pub fn read(head: Head<'_>, looked_at: &[String]) -> Self {
        let list = |name: &str| {
            let text = head.text(name).unwrap_or_default();
            let words = text.split(',').map(str::trim);
            words
                .filter(|word| !word.is_empty() && word.len() <= TEXT_BYTES_MAX)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let headers = looked_at.iter().filter_map(|name| {
            let text = head.text(name)?;
            (text.len() <= TEXT_BYTES_MAX).then(|| (name.clone(), text.to_owned()))
        });
        Self {
            tags: Vec::new(),
            regions: list(REGION),
            latency_ms: head.text(MAX_LATENCY).and_then(millis),
            timeout_ms: head.text(TIMEOUT).and_then(millis).filter(|ms| *ms > 0),
            headers: headers.collect(),
        }
    }

    /// A header that policies look at.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, text)| text.as_str())
    }
}

/// `800`, `800ms`, `2s`.
fn millis(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Some(number) = text.strip_suffix("ms") {
        return number.trim().parse().ok();
    }
    match text.strip_suffix('s') {
        Some(number) => number.trim().parse::<u64>().ok()?.checked_mul(1_000),
        None => text.parse().ok(),
    }
}
