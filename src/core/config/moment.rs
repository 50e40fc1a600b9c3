//! Days and moments as people write them, in UTC.

use crate::money::window::first_of_month;

const DAY_SECONDS: i64 = 86_400;

/// Seconds since the epoch of `2027-01-31` or `2027-01-31T18:00:00Z`.
pub fn read(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, time.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || hour > 23 || minute > 59 {
        return None;
    }
    let months = year.checked_mul(12)?.checked_add(month)?.checked_sub(1)?;
    let first = first_of_month(months);
    let days = first.checked_add(day)?.checked_sub(1)?;
    if day < 1 || second > 59 || days >= first_of_month(months.checked_add(1)?) {
        return None;
    }
    let minutes = hour.checked_mul(60)?.checked_add(minute)?;
    let of_day = minutes.checked_mul(60)?.checked_add(second)?;
    let seconds = days.checked_mul(DAY_SECONDS)?.checked_add(of_day)?;
    u64::try_from(seconds).ok()
}

fn numbers(text: &str, gap: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(gap);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// `2027-01-31T18:00:00Z`.
pub fn show(seconds: u64) -> String {
    let part = |by: u64| seconds.checked_div(by).unwrap_or_default();
    let rest = |value: u64, by: u64| value.checked_rem(by).unwrap_or_default();
    let (year, month, day) = crate::units::civil(part(86_400));
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest(part(3_600), 24),
        rest(part(60), 60),
        rest(seconds, 60),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_shown() {
        for (text, want) in [
            ("1970-01-01", Some(0)),
            ("2000-02-29", Some(951_782_400)),
            ("2026-03-29T01:00:00Z", Some(1_774_746_000)),
            ("2026-12-31T23:59:59Z", Some(1_798_761_599)),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-00-01", None),
            ("2026-01-00", None),
            ("2026-01-32", None),
            ("2026-01-01T24:00:00Z", None),
            ("2026-01-01T00:60:00Z", None),
            ("2026-01-01T00:00:60Z", None),
            ("2026-01-01T00:00:00", None),
            ("2026-1-1", None),
            ("1969-12-31", None),
            ("26-01-01", None),
            ("+026-01-01", None),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(read(text), want, "{text}");
            if let (Some(seconds), true) = (want, text.contains('T')) {
                assert_eq!(show(seconds), text);
            }
        }
    }
}
