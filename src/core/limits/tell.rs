//! What a caller hears of its limits, in the words of its SDK.

use super::bucket::Bucket;
use super::draw::{Counts, Draw};
use crate::money::ids::Millis;

use crate::units::{Timestamp, rfc3339};

/// How a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it counts.
    pub counts: Counts,
    /// So much comes in a minute.
    pub per_minute: u64,
    /// So much is left.
    pub left: u64,
    /// So long until it is full.
    pub full_in_ms: u64,
}

impl Status {
    pub(super) fn of(draw: &Draw, bucket: &Bucket, now: Millis) -> Self {
        Self {
            counts: draw.counts,
            per_minute: draw.rate.per_minute,
            left: bucket.left(draw.rate, now),
            full_in_ms: bucket.full_in_ms(draw.rate, now),
        }
    }
}

const OPENAI: [[&str; 3]; 2] = [
    [
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ],
    [
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
    ],
];

const ANTHROPIC: [[&str; 3]; 2] = [
    [
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ],
    [
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ],
];

/// The headers of a reply to a client of this dialect: of each kind the limit of which least is left.
pub fn headers(client: &str, standing: &[Status], now: Timestamp) -> Vec<(&'static str, String)> {
    let anthropic = client == "anthropic";
    let names = if anthropic { ANTHROPIC } else { OPENAI };
    let mut headers = Vec::new();
    for (counts, [limit, remaining, reset]) in [Counts::Requests, Counts::Tokens].iter().zip(names)
    {
        let of_kind = standing.iter().filter(|status| status.counts == *counts);
        let Some(tightest) = of_kind.min_by_key(|status| status.left) else {
            continue;
        };
        let when = if anthropic {
            let nanos = tightest.full_in_ms.saturating_mul(1_000_000);
            rfc3339(Timestamp(now.0.saturating_add(nanos)))
        } else {
            duration(tightest.full_in_ms)
        };
        headers.push((limit, tightest.per_minute.to_string()));
        headers.push((remaining, tightest.left.to_string()));
        headers.push((reset, when));
    }
    headers
}

/// `120ms`, `1.5s`, `6m0s`: as Go writes it, and OpenAI.
fn duration(ms: u64) -> String {
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let (minutes, rest) = (ms / 60_000, ms % 60_000);
    let seconds = match rest % 1_000 {
        0 => format!("{}s", rest / 1_000),
        millis => {
            let text = format!("{}.{millis:03}", rest / 1_000);
            format!("{}s", text.trim_end_matches('0'))
        }
    };
    if minutes == 0 {
        seconds
    } else {
        format!("{minutes}m{seconds}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(counts: Counts, left: u64) -> Status {
        Status {
            counts,
            per_minute: 60,
            left,
            full_in_ms: 61_500,
        }
    }

    #[test]
    fn the_tightest_of_each_kind_is_told_in_the_words_of_the_sdk() {
        let standing = [
            status(Counts::Requests, 5),
            status(Counts::Requests, 3),
            status(Counts::Tokens, 700),
        ];
        let told = |client, count| {
            let all = headers(client, &standing, Timestamp(1_795_167_000_000_000_000));
            let shown = all.iter().map(|(name, value)| format!("{name}: {value}"));
            shown.take(count).collect::<Vec<_>>()
        };
        assert_eq!(
            told("openai", 4),
            [
                "x-ratelimit-limit-requests: 60",
                "x-ratelimit-remaining-requests: 3",
                "x-ratelimit-reset-requests: 1m1.5s",
                "x-ratelimit-limit-tokens: 60",
            ]
        );
        assert_eq!(
            told("anthropic", 3),
            [
                "anthropic-ratelimit-requests-limit: 60",
                "anthropic-ratelimit-requests-remaining: 3",
                "anthropic-ratelimit-requests-reset: 2026-11-20T09:31:01.500Z",
            ]
        );
        assert!(headers("openai", &[], Timestamp(0)).is_empty());
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (ms, want) in [
            (0, "0ms"),
            (120, "120ms"),
            (1_000, "1s"),
            (1_250, "1.25s"),
            (60_000, "1m0s"),
            (360_001, "6m0.001s"),
        ] {
            assert_eq!(duration(ms), want);
        }
    }
}
