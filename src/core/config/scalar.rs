//! Single values: text, truths, numbers, durations, sizes, money, addresses.

use std::net::SocketAddr;

use super::moment;
use super::node::{Scalar, Style};
use crate::money::message::AMOUNT_MAX;
use crate::units::{NanoUsd, PricePerMillion, Tokens};

/// Why a value is refused, and what to write instead; the place is known to who asked.
pub(super) struct Wrong {
    pub(super) found: String,
    pub(super) fix: String,
}

/// What a value becomes, or why it does not.
pub(super) type Read<T> = Result<T, Wrong>;

fn wrong<T>(found: String, fix: &str) -> Read<T> {
    Err(Wrong {
        found,
        fix: fix.to_owned(),
    })
}

/// Text as written; a bare number or truth is text where text is asked for.
pub(super) fn text(scalar: &Scalar) -> Read<String> {
    if scalar.text.trim().is_empty() {
        return wrong(
            "no text stands here".to_owned(),
            "write a value, or remove the line",
        );
    }
    Ok(scalar.text.clone())
}

/// `true` or `false`.
pub(super) fn truth(scalar: &Scalar) -> Read<bool> {
    match (scalar.style, scalar.text.as_str()) {
        (Style::Plain, "true") => Ok(true),
        (Style::Plain, "false") => Ok(false),
        _ => wrong(
            format!("{} is neither true nor false", scalar.shown()),
            "write `true` or `false`, without quotes",
        ),
    }
}

/// A whole number from 0 to 100,000.
pub(super) fn count(scalar: &Scalar) -> Read<usize> {
    const COUNT_MAX: usize = 100_000;
    let fix = "write a whole number from 0 to 100000";
    match digits(&scalar.text).and_then(|digits| digits.parse().ok()) {
        Some(count) if count <= COUNT_MAX => Ok(count),
        Some(_) => wrong(format!("{} is too large", scalar.shown()), fix),
        None => wrong(format!("{} is not a whole number", scalar.shown()), fix),
    }
}

/// A time with its unit, in milliseconds: `500ms`, `2s`, `10m`, `1h`; more than nothing, at most a day.
pub(super) fn duration(scalar: &Scalar) -> Read<u64> {
    const DAY_MS: u64 = 86_400_000;
    let fix = "write a whole number and its unit, `500ms`, `2s`, `10m` or `1h`, up to a day";
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    match amount(&scalar.text, &units) {
        Amount::Is(0) => wrong(format!("{} would give no time at all", scalar.shown()), fix),
        Amount::Is(millis) if millis <= DAY_MS => Ok(millis),
        Amount::Is(_) | Amount::TooLarge => {
            wrong(format!("{} is more than a day", scalar.shown()), fix)
        }
        Amount::NoUnit => wrong(format!("{} has no unit", scalar.shown()), fix),
        Amount::Unclear => wrong(format!("{} is not a duration", scalar.shown()), fix),
    }
}

/// A number of bytes with its unit: `512KiB`, `8MiB`; more than nothing, at most 64 MiB.
pub(super) fn size(scalar: &Scalar) -> Read<u64> {
    const BYTES_MAX: u64 = 64 << 20;
    let fix = "write a whole number and its unit, `512KiB` or `8MiB`, up to 64MiB";
    let units = [
        ("B", 1),
        ("kB", 1_000),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GB", 1_000_000_000),
        ("GiB", 1 << 30),
    ];
    match amount(&scalar.text, &units) {
        Amount::Is(0) => wrong(format!("{} admits nothing", scalar.shown()), fix),
        Amount::Is(bytes) if bytes <= BYTES_MAX => Ok(bytes),
        Amount::Is(_) | Amount::TooLarge => {
            wrong(format!("{} is more than 64MiB", scalar.shown()), fix)
        }
        Amount::NoUnit => wrong(format!("{} has no unit", scalar.shown()), fix),
        Amount::Unclear => wrong(format!("{} is not a size", scalar.shown()), fix),
    }
}

/// Dollars for a million tokens. Read from the text: a float would not hold `0.15`.
pub(super) fn price(scalar: &Scalar) -> Read<PricePerMillion> {
    /// A dollar for one token; nobody charges that.
    const PRICE_MAX: NanoUsd = NanoUsd(1_000_000_000_000_000);
    /// A tenth of a cent for a million tokens; nobody charges so little, but many write prices
    /// for one token.
    const PRICE_MIN: NanoUsd = NanoUsd(1_000_000);
    let fix = "write dollars for a million tokens as decimals: `0.15`";
    let Some(dollars) = NanoUsd::from_dollars(&scalar.text) else {
        return wrong(
            format!("{} is not an amount of dollars", scalar.shown()),
            fix,
        );
    };
    if dollars > PRICE_MAX {
        return wrong(
            format!("{} is more than a dollar for one token", scalar.shown()),
            fix,
        );
    }
    if dollars > NanoUsd::ZERO && dollars < PRICE_MIN {
        return wrong(
            format!("{} looks like the price of one token", scalar.shown()),
            fix,
        );
    }
    Ok(PricePerMillion(dollars))
}

/// An amount of money, at most what the ledger takes.
pub(super) fn dollars(scalar: &Scalar) -> Read<NanoUsd> {
    let fix = "write dollars as decimals: `100`, `0.50`";
    match NanoUsd::from_dollars(&scalar.text) {
        Some(amount) if amount <= AMOUNT_MAX => Ok(amount),
        Some(_) => wrong(
            format!("{} is more than a billion dollars", scalar.shown()),
            fix,
        ),
        None => wrong(
            format!("{} is not an amount of dollars", scalar.shown()),
            fix,
        ),
    }
}

/// A number of tokens, from 1.
pub(super) fn tokens(scalar: &Scalar) -> Read<Tokens> {
    /// More than any model takes.
    const TOKENS_MAX: u64 = 100_000_000;
    let fix = "write a whole number of tokens, from 1 to 100000000: `128000`";
    match digits(&scalar.text).and_then(|digits| digits.parse().ok()) {
        Some(0) => wrong("no tokens are left for anybody".to_owned(), fix),
        Some(tokens) if tokens <= TOKENS_MAX => Ok(Tokens(tokens)),
        Some(_) => wrong(format!("{} is too many", scalar.shown()), fix),
        None => wrong(
            format!("{} is not a whole number of tokens", scalar.shown()),
            fix,
        ),
    }
}

/// Dollars for one request.
pub(super) fn fee(scalar: &Scalar) -> Read<NanoUsd> {
    const DOLLARS_MAX: NanoUsd = NanoUsd(10_000_000_000_000);
    let fix = "write dollars as decimals: `0.005`";
    match NanoUsd::from_dollars(&scalar.text) {
        Some(dollars) if dollars <= DOLLARS_MAX => Ok(dollars),
        Some(_) => wrong(
            format!("{} is more than $10000 for a request", scalar.shown()),
            fix,
        ),
        None => wrong(
            format!("{} is not an amount of dollars", scalar.shown()),
            fix,
        ),
    }
}

/// A whole number from 1 to a million billions.
pub(super) fn whole(scalar: &Scalar) -> Read<u64> {
    const WHOLE_MAX: u64 = 1_000_000_000_000_000;
    let fix = "write a whole number, at least 1; remove the line for no limit";
    match digits(&scalar.text).map(|digits| digits.parse()) {
        Some(Ok(number @ 1..=WHOLE_MAX)) => Ok(number),
        Some(Ok(0)) => wrong(format!("{} admits nothing", scalar.shown()), fix),
        Some(_) => wrong(format!("{} is too large", scalar.shown()), fix),
        None => wrong(format!("{} is not a whole number", scalar.shown()), fix),
    }
}

/// Percent, with its sign.
pub(super) fn percent(scalar: &Scalar) -> Read<u32> {
    let number = scalar.text.strip_suffix('%').and_then(digits);
    match number.map(|number| number.parse()) {
        Some(Ok(percent @ 0..=1_000)) => Ok(percent),
        Some(_) => wrong(format!("{} is too large", scalar.shown()), PERCENT_HOW),
        None => wrong(format!("{} is no percentage", scalar.shown()), PERCENT_HOW),
    }
}

const PERCENT_HOW: &str = "write a whole number and its sign: `10%`";

/// A day, which begins at midnight UTC, or a moment; in seconds since the epoch.
pub(super) fn moment(scalar: &Scalar) -> Read<u64> {
    moment::read(&scalar.text).map_or_else(
        || {
            wrong(
                format!("{} is neither a day nor a moment", scalar.shown()),
                "write `2027-01-31`, or `2027-01-31T18:00:00Z`",
            )
        },
        Ok,
    )
}

/// An address and a port to listen on.
pub(super) fn address(scalar: &Scalar) -> Read<SocketAddr> {
    let fix =
        "write an IP address and a port: `127.0.0.1:10000`, or `0.0.0.0:10000` for every interface";
    match scalar.text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => wrong(
            format!("{} has port 0, which nobody could find", scalar.shown()),
            fix,
        ),
        Ok(address) => Ok(address),
        Err(_) => wrong(
            format!("{} is not an IP address with a port", scalar.shown()),
            fix,
        ),
    }
}

enum Amount {
    Is(u64),
    TooLarge,
    NoUnit,
    Unclear,
}

fn amount(text: &str, units: &[(&str, u64)]) -> Amount {
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let Some(number) = text.strip_suffix(unit).and_then(digits) else {
        return Amount::Unclear;
    };
    if unit.is_empty() {
        return Amount::NoUnit;
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit.trim()) else {
        return Amount::Unclear;
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor))
        .map_or(Amount::TooLarge, Amount::Is)
}

fn digits(text: &str) -> Option<&str> {
    let only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (!text.is_empty() && only_digits).then_some(text)
}
