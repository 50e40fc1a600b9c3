//! What providers say about when to come back, and what is left until then.

use super::row::Left;
use crate::head::Head;
use crate::units::Timestamp;

/// `retry-after-ms`, `retry-after` in seconds or as a date: milliseconds from now.
pub fn retry_after_ms(text: &str, now: Timestamp) -> Option<u64> {
    let text = text.trim();
    if let Some(ms) = decimal_ms(text) {
        return Some(ms);
    }
    let then = http_date(text)?;
    let now_seconds = now.0.checked_div(1_000_000_000)?;
    Some(then.saturating_sub(now_seconds).saturating_mul(1_000))
}

/// Seconds with at most a few decimals.
fn decimal_ms(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000)?
        .checked_add(fraction.parse().ok()?)
}

/// `Fri, 20 Nov 2026 09:30:00 GMT`, in seconds since the epoch.
fn http_date(text: &str) -> Option<u64> {
    let mut words = text
        .split([' ', ',', ':', '-'])
        .filter(|word| !word.is_empty());
    words.next()?;
    let day: u64 = words.next()?.parse().ok()?;
    let month = words.next()?.get(..3)?.to_ascii_lowercase();
    let names = "jan feb mar apr may jun jul aug sep oct nov dec";
    let month = names.split(' ').position(|name| name == month)?;
    let year: u64 = words.next()?.parse().ok()?;
    let mut time = || words.next()?.parse::<u64>().ok();
    let (hour, minute, second) = (time()?, time()?, time()?);
    if !(1970..=9_999).contains(&year) || day > 31 || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_before(year, u64::try_from(month).ok()?).checked_add(day.checked_sub(1)?)?;
    let hours = days.checked_mul(24)?.checked_add(hour)?;
    let minutes = hours.checked_mul(60)?.checked_add(minute)?;
    minutes.checked_mul(60)?.checked_add(second)
}

/// Days from the epoch to the first of a month; January is 0.
fn days_before(year: u64, month: u64) -> u64 {
    let leaps = |year: u64| {
        (year / 4)
            .saturating_sub(year / 100)
            .saturating_add(year / 400)
    };
    let before = year.saturating_sub(1);
    let leap_days = leaps(before).saturating_sub(leaps(1969));
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let february = if leap { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months = usize::try_from(month).unwrap_or_default();
    let of_months: u64 = lengths.iter().take(months).sum();
    year.saturating_sub(1970)
        .saturating_mul(365)
        .saturating_add(leap_days)
        .saturating_add(of_months)
}

/// `250ms`, `6m0s`, `1.5s`, `1h30m`: how OpenAI writes times.
fn go_duration_ms(text: &str) -> Option<u64> {
    if let Some(ms) = decimal_ms(text) {
        return Some(ms);
    }
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let unit_at = rest.find(|letter: char| letter.is_ascii_alphabetic())?;
        let (number, tail) = rest.split_at_checked(unit_at)?;
        let unit_end = tail
            .find(|letter: char| !letter.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, after) = tail.split_at_checked(unit_end)?;
        let thousandths = decimal_ms(number)?;
        let ms = match unit {
            "ms" => thousandths.div_ceil(1_000),
            "s" => thousandths,
            "m" => thousandths.checked_mul(60)?,
            "h" => thousandths.checked_mul(3_600)?,
            _ => return None,
        };
        total = total.checked_add(ms)?;
        rest = after;
    }
    (total > 0 || text.starts_with('0')).then_some(total)
}

/// What the headers of a reply say is left, by the names of OpenAI (and those who copied them) and Anthropic. None
/// where enough is left: only what is nearly gone changes a choice.
pub fn left(head: Head<'_>, now: Timestamp) -> Option<Left> {
    let number = |names: [&str; 2]| {
        names
            .iter()
            .find_map(|name| head.text(name)?.trim().parse::<u64>().ok())
    };
    let requests = number([
        "x-ratelimit-remaining-requests",
        "anthropic-ratelimit-requests-remaining",
    ]);
    let tokens = number([
        "x-ratelimit-remaining-tokens",
        "anthropic-ratelimit-tokens-remaining",
    ]);
    let requests_limit = number([
        "x-ratelimit-limit-requests",
        "anthropic-ratelimit-requests-limit",
    ]);
    let tokens_limit = number([
        "x-ratelimit-limit-tokens",
        "anthropic-ratelimit-tokens-limit",
    ]);
    let scarce = |left: Option<u64>, limit: Option<u64>| match (left, limit) {
        (Some(left), Some(limit)) => left.saturating_mul(20) <= limit,
        (Some(left), None) => left == 0,
        (None, _) => false,
    };
    let (few_requests, few_tokens) = (
        scarce(requests, requests_limit),
        scarce(tokens, tokens_limit),
    );
    if !few_requests && !few_tokens {
        return None;
    }
    let now_ms = now.0.checked_div(1_000_000)?;
    let reset = |names: [&str; 2]| {
        let text = names.iter().find_map(|name| head.text(name))?;
        go_duration_ms(text.trim()).or_else(|| {
            rfc3339_seconds(text.trim())?
                .checked_mul(1_000)?
                .checked_sub(now_ms)
        })
    };
    let resets = [
        few_requests.then(|| {
            reset([
                "x-ratelimit-reset-requests",
                "anthropic-ratelimit-requests-reset",
            ])
        }),
        few_tokens.then(|| {
            reset([
                "x-ratelimit-reset-tokens",
                "anthropic-ratelimit-tokens-reset",
            ])
        }),
    ];
    let wait_ms = resets.into_iter().flatten().flatten().max()?;
    Some(Left {
        requests: u32::try_from(requests.unwrap_or(u64::MAX)).unwrap_or(u32::MAX),
        tokens: tokens.unwrap_or(u64::MAX),
        until_ms: now_ms.saturating_add(wait_ms),
    })
}

/// `2026-11-20T09:30:00Z`, in seconds since the epoch.
fn rfc3339_seconds(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.split('-').map(str::parse::<u64>);
    let mut next = || date.next()?.ok();
    let (year, month, day) = (next()?, next()?.checked_sub(1)?, next()?.checked_sub(1)?);
    let time = time.strip_suffix('Z')?;
    let time = time.split_once('.').map_or(time, |(whole, _)| whole);
    let mut time = time.split(':').map(str::parse::<u64>);
    let mut next = || time.next()?.ok();
    let (hour, minute, second) = (next()?, next()?, next()?);
    if !(1970..=9_999).contains(&year) || month > 11 || day > 30 || hour > 23 || minute > 59 {
        return None;
    }
    let days = days_before(year, month).checked_add(day)?;
    let minutes = days.checked_mul(24)?.checked_add(hour)?.checked_mul(60)?;
    minutes
        .checked_add(minute)?
        .checked_mul(60)?
        .checked_add(second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::head_of;

    /// 2026-11-20 09:30:00 UTC.
    const NOW: Timestamp = Timestamp(1_795_167_000_000_000_000);

    #[test]
    fn a_time_to_come_back_is_read_in_every_form() {
        for (text, want) in [
            ("2", Some(2_000)),
            ("0", Some(0)),
            ("0.25", Some(250)),
            (" 30 ", Some(30_000)),
            ("Fri, 20 Nov 2026 09:30:10 GMT", Some(10_000)),
            ("Fri, 20 Nov 2026 09:29:10 GMT", Some(0)),
            ("Sun, 29 Feb 2032 00:00:00 GMT", Some(166_458_600_000)),
            ("Fri, 20 Nov 0000 09:30:10 GMT", None),
            ("-1", None),
            ("soon", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(retry_after_ms(text, NOW), want, "{text:?}");
        }
    }

    #[test]
    fn durations_are_read_as_openai_writes_them() {
        for (text, want) in [
            ("250ms", Some(250)),
            ("1s", Some(1_000)),
            ("6m0s", Some(360_000)),
            ("1h30m0.5s", Some(5_400_500)),
            ("12", Some(12_000)),
            ("0s", Some(0)),
            ("", None),
            ("m", None),
            ("1d", None),
        ] {
            assert_eq!(go_duration_ms(text), want, "{text:?}");
        }
    }

    #[test]
    fn only_what_is_nearly_gone_is_told() {
        let now_ms = NOW.0 / 1_000_000;
        type Headers = &'static [(&'static str, &'static str)];
        type Left = (u32, u64, u64);
        let cases: &[(Headers, Option<Left>)] = &[
            (&[], None),
            (
                &[
                    ("x-ratelimit-remaining-requests", "50"),
                    ("x-ratelimit-limit-requests", "100"),
                ],
                None,
            ),
            (
                &[
                    ("x-ratelimit-remaining-requests", "5"),
                    ("x-ratelimit-limit-requests", "100"),
                    ("x-ratelimit-reset-requests", "6s"),
                ],
                Some((5, u64::MAX, 6_000)),
            ),
            (
                &[
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-remaining-requests", "7"),
                    ("x-ratelimit-reset-tokens", "1m"),
                ],
                Some((7, 0, 60_000)),
            ),
            (
                &[
                    ("anthropic-ratelimit-tokens-remaining", "0"),
                    ("anthropic-ratelimit-tokens-reset", "2026-11-20T09:30:09Z"),
                ],
                Some((u32::MAX, 0, 9_000)),
            ),
            // It does not say until when.
            (&[("x-ratelimit-remaining-requests", "0")], None),
        ];
        for (lines, want) in cases {
            let lines = head_of(lines);
            let got = left(Head(&lines), NOW)
                .map(|left| (left.requests, left.tokens, left.until_ms - now_ms));
            assert_eq!(got, *want, "{lines:?}");
        }
    }
}
