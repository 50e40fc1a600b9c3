//! Money, tokens and time as types, so that none is taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whole nano-dollars: one dollar is 1,000,000,000.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NanoUsd(pub u64);

/// A number of tokens.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Tokens(pub u64);

/// Nano-dollars for a million tokens.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct PricePerMillion(pub NanoUsd);

/// A moment, in nanoseconds since the epoch. The shell reads the clock; the core is told.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// An amount that does not fit: refused, never rounded to something that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoneyOverflow;

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum, or an overflow; money never wraps and never saturates.
    pub fn plus(self, other: Self) -> Result<Self, MoneyOverflow> {
        self.0.checked_add(other.0).map(Self).ok_or(MoneyOverflow)
    }

    /// What is left, or an overflow; money is never less than nothing.
    pub fn minus(self, other: Self) -> Result<Self, MoneyOverflow> {
        self.0.checked_sub(other.0).map(Self).ok_or(MoneyOverflow)
    }

    /// Reads what a person writes: `0.15`, `$3`, `12.50`. At most nine decimals, no exponent.
    pub fn from_dollars(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('$').unwrap_or(text);
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || fraction.len() > 9 {
            return None;
        }
        if !digits(whole) || !digits(fraction) {
            return None;
        }
        let whole: u64 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        let nanos: u64 = format!("{fraction:0<9}").parse().ok()?;
        whole
            .checked_mul(1_000_000_000)?
            .checked_add(nanos)
            .map(Self)
    }
}

/// As a person reads it: `$0.000045`, without trailing zeros.
impl fmt::Display for NanoUsd {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.checked_div(1_000_000_000).unwrap_or_default();
        let nanos = self.0.checked_rem(1_000_000_000).unwrap_or_default();
        if nanos == 0 {
            return write!(out, "${whole}");
        }
        let fraction = format!("{nanos:09}");
        write!(out, "${whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl PricePerMillion {
    /// The exact cost in millionths of a nano-dollar: summed over classes first, rounded once after.
    pub fn exact(self, tokens: Tokens) -> u128 {
        u128::from(self.0.0).saturating_mul(u128::from(tokens.0))
    }

    /// The cost of these tokens alone. One token is often no whole number of nano-dollars:
    /// keep per million, divide last, round up once.
    pub fn cost(self, tokens: Tokens) -> Result<NanoUsd, MoneyOverflow> {
        round_up(self.exact(tokens))
    }
}

/// Millionths of a nano-dollar, rounded up to whole nano-dollars.
pub fn round_up(exact: u128) -> Result<NanoUsd, MoneyOverflow> {
    u64::try_from(exact.div_ceil(1_000_000))
        .map(NanoUsd)
        .map_err(|_| MoneyOverflow)
}

impl Tokens {
    /// The sum; a count that would pass 2^64 stays there.
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Timestamp {
    /// Whole milliseconds from `earlier` to this moment; a clock that stepped back counts as none.
    pub fn millis_since(self, earlier: Self) -> u64 {
        self.0
            .saturating_sub(earlier.0)
            .checked_div(1_000_000)
            .unwrap_or_default()
    }
}

/// `2026-11-20T09:30:00.125Z`.
pub fn rfc3339(at: Timestamp) -> String {
    let part = |value: u64, by: u64| value.checked_div(by).unwrap_or_default();
    let rest = |value: u64, by: u64| value.checked_rem(by).unwrap_or_default();
    let millis = part(at.0, 1_000_000);
    let seconds = part(millis, 1_000);
    let (year, month, day) = civil(part(seconds, 86_400));
    let mut text = String::with_capacity(24);
    for (value, digits, behind) in [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (rest(part(seconds, 3_600), 24), 2, ':'),
        (rest(part(seconds, 60), 60), 2, ':'),
        (rest(seconds, 60), 2, '.'),
        (rest(millis, 1_000), 3, 'Z'),
    ] {
        push_digits(&mut text, value, digits);
        text.push(behind);
    }
    text
}

/// The last so many digits. `format!` takes ten times as long, once for every request.
fn push_digits(text: &mut String, value: u64, digits: u32) {
    for place in (0..digits).rev() {
        let digit = value
            .checked_div(10_u64.saturating_pow(place))
            .and_then(|digit| u32::try_from(digit.checked_rem(10)?).ok());
        text.extend(digit.and_then(|digit| char::from_digit(digit, 10)));
    }
}

/// Year, month and day of a day since 1970-01-01, by walking 400-year cycles, years and months.
pub fn civil(days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let cycles = days.checked_div(146_097).unwrap_or_default();
    let mut left = days.checked_rem(146_097).unwrap_or_default();
    let mut year = cycles.saturating_mul(400).saturating_add(1970);
    loop {
        let length = if leap(year) { 366 } else { 365 };
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => break,
        }
        year = year.saturating_add(1);
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1_u64;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => break,
        }
        month = month.saturating_add(1);
    }
    (year, month, left.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_divided_last_and_rounded_up_once() {
        for (price, tokens, want) in [
            ("$3", 1, 3_000),
            ("$0.0375", 1, 38),
            ("$0.0375", 2, 75),
            ("$0", 1_000, 0),
            ("0.000000001", 1, 1),
        ] {
            let price = PricePerMillion(NanoUsd::from_dollars(price).unwrap());
            assert_eq!(
                price.cost(Tokens(tokens)),
                Ok(NanoUsd(want)),
                "{price:?} x {tokens}"
            );
        }
        assert_eq!(
            PricePerMillion(NanoUsd(u64::MAX)).cost(Tokens(u64::MAX)),
            Err(MoneyOverflow)
        );
    }

    #[test]
    fn dollars_are_read_as_written_or_not_at_all() {
        for (text, want) in [
            ("1", Some(1_000_000_000)),
            ("$0.15", Some(150_000_000)),
            (".5", Some(500_000_000)),
            ("3.", Some(3_000_000_000)),
            ("0.000000001", Some(1)),
            ("0.0000000001", None),
            ("", None),
            (".", None),
            ("1e3", None),
            ("-1", None),
            ("1,5", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(NanoUsd::from_dollars(text), want.map(NanoUsd), "{text:?}");
        }
    }

    #[test]
    fn dollars_are_shown_without_trailing_zeros() {
        for (nanos, want) in [(0, "$0"), (45_000, "$0.000045"), (12_500_000_000, "$12.5")] {
            assert_eq!(NanoUsd(nanos).to_string(), want);
        }
    }

    #[test]
    fn times_are_written_as_people_read_them() {
        for (seconds, want) in [
            (0, "1970-01-01T00:00:00.125Z"),
            (951_782_400, "2000-02-29T00:00:00.125Z"),
            (1_795_167_000, "2026-11-20T09:30:00.125Z"),
            (4_107_542_399, "2100-02-28T23:59:59.125Z"),
            (4_107_542_400, "2100-03-01T00:00:00.125Z"),
            (13_574_563_200, "2400-02-29T00:00:00.125Z"),
        ] {
            assert_eq!(
                rfc3339(Timestamp(seconds * 1_000_000_000 + 125_000_000)),
                want
            );
        }
    }
}
