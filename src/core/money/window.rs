//! Windows of budgets: days, weeks and months by the wall clock of a zone, and the total.
//!
//! A window is derived from the time, so nothing has to run at midnight, and nothing breaks if it does not. The core
//! has no database of time zones: a [`Zone`] says how far the wall clock is from UTC at a moment.

use serde::{Deserialize, Serialize};

use super::ids::WindowId;
use crate::units::Timestamp;

const DAY_SECONDS: i64 = 86_400;
const NANOS: u64 = 1_000_000_000;
/// 1970-01-01 was a Thursday: three days after a Monday.
const THURSDAY: i64 = 3;

/// How often a budget begins anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// At midnight.
    Day,
    /// At midnight before Monday.
    Week,
    /// At midnight before the first.
    Month,
    /// Never.
    #[default]
    Total,
}

/// Where a wall clock hangs.
pub trait Zone {
    /// Seconds that the wall clock is ahead of UTC at this moment (seconds since the epoch).
    fn offset_at(&self, utc_seconds: i64) -> i32;
}

/// A zone without summer time.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedOffset(pub i32);

impl Zone for FixedOffset {
    fn offset_at(&self, _utc_seconds: i64) -> i32 {
        self.0
    }
}

/// The window of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowNow {
    /// Which window it is.
    pub id: WindowId,
    /// How long it lasts yet; none for a total.
    pub ends_in_ms: Option<u64>,
}

/// The window that `at` falls into, and when it ends.
pub fn window_at(period: Period, zone: &dyn Zone, at: Timestamp) -> WindowNow {
    let utc = i64::try_from(at.0 / NANOS).unwrap_or(i64::MAX);
    let id = id_at(period, zone, utc);
    let ends_in_ms = next_start(period, zone, utc).map(|end| {
        let end = u64::try_from(end).unwrap_or_default();
        let end = Timestamp(end.saturating_mul(NANOS));
        end.millis_since(at)
    });
    WindowNow { id, ends_in_ms }
}

fn id_at(period: Period, zone: &dyn Zone, utc: i64) -> WindowId {
    let local = utc.saturating_add(i64::from(zone.offset_at(utc)));
    let days = local.div_euclid(DAY_SECONDS);
    let id = match period {
        Period::Day => days,
        Period::Week => days.saturating_add(THURSDAY).div_euclid(7),
        Period::Month => month_of(days),
        Period::Total => 0,
    };
    WindowId(u32::try_from(id).unwrap_or_default())
}

/// The first second of the next window, in UTC.
fn next_start(period: Period, zone: &dyn Zone, utc: i64) -> Option<i64> {
    let next = WindowId(id_at(period, zone, utc).0.saturating_add(1));
    let wall_clock = first_day(period, next)?.saturating_mul(DAY_SECONDS);
    let offset = zone.offset_at(utc);
    let guess = wall_clock.saturating_sub(i64::from(offset));
    if zone.offset_at(guess) == offset && zone.offset_at(guess.saturating_sub(1)) == offset {
        return Some(guess);
    }
    // The clock is turned between now and then, perhaps over midnight itself, which then happens never or twice:
    // look for the second in which the day changes.
    let mut before = utc;
    let mut after = guess.saturating_add(DAY_SECONDS);
    while after.saturating_sub(before) > 1 {
        let middle = before.midpoint(after);
        if id_at(period, zone, middle) >= next {
            after = middle;
        } else {
            before = middle;
        }
    }
    Some(after)
}

/// The day since the epoch on which a window begins.
fn first_day(period: Period, id: WindowId) -> Option<i64> {
    let number = i64::from(id.0);
    match period {
        Period::Day => Some(number),
        Period::Week => Some(number.saturating_mul(7).saturating_sub(THURSDAY)),
        Period::Month => Some(first_of_month(number)),
        Period::Total => None,
    }
}

// Months are counted from March of the year 0, because then the leap day is the last of its year, and the lengths
// of the months follow a straight line: day 0 of month m is (153 m + 2) / 5.
const EPOCH_FROM_MARCH_0: i64 = 719_468;
const ERA_DAYS: i64 = 146_097;
const ERA_YEARS: i64 = 400;

/// Year x 12 + month (January is 0) of a day since the epoch.
fn month_of(days: i64) -> i64 {
    let days = days.saturating_add(EPOCH_FROM_MARCH_0);
    let era = days.div_euclid(ERA_DAYS);
    let day = days.rem_euclid(ERA_DAYS);
    // Day of the era without its leap days: one in 1,460 days, but for centuries and the era's last day.
    let leaps = (day / 1_460)
        .saturating_sub(day / 36_524)
        .saturating_add(day / 146_096);
    let year = day.saturating_sub(leaps) / 365;
    let day_of_year = day.saturating_sub(days_before_year(year));
    let month_from_march = day_of_year.saturating_mul(5).saturating_add(2) / 153;
    era.saturating_mul(ERA_YEARS)
        .saturating_add(year)
        .saturating_mul(12)
        .saturating_add(month_from_march)
        .saturating_add(2)
}

/// The first day of a month, the reverse of [`month_of`].
pub(crate) fn first_of_month(month: i64) -> i64 {
    let from_march = month.saturating_sub(2);
    let year = from_march.div_euclid(12);
    let month = from_march.rem_euclid(12);
    let era = year.div_euclid(ERA_YEARS);
    let days = days_before_year(year.rem_euclid(ERA_YEARS))
        .saturating_add(month.saturating_mul(153).saturating_add(2) / 5);
    era.saturating_mul(ERA_DAYS)
        .saturating_add(days)
        .saturating_sub(EPOCH_FROM_MARCH_0)
}

/// When a day begins in UTC, of `YYYY-MM-DD`.
pub fn start_of_day(date: &str) -> Option<Timestamp> {
    let mut numbers = date.splitn(3, '-').map(|part| part.parse::<u16>().ok());
    let (year, month, day) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let first = i64::from(year)
        .checked_mul(12)?
        .checked_add(i64::from(month.checked_sub(1)?))?;
    let next = first_of_month(first.checked_add(1)?);
    let days = first_of_month(first).checked_add(i64::from(day.checked_sub(1)?))?;
    if month > 12 || days >= next {
        return None;
    }
    let seconds = u64::try_from(days.checked_mul(DAY_SECONDS)?).ok()?;
    seconds.checked_mul(1_000_000_000).map(Timestamp)
}

/// Days of an era before its year `year`.
fn days_before_year(year: i64) -> i64 {
    year.saturating_mul(365)
        .saturating_add(year / 4)
        .saturating_sub(year / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A zone by the moments at which its clock is turned.
    struct Turns(&'static [(i64, i32)]);

    impl Zone for Turns {
        fn offset_at(&self, utc_seconds: i64) -> i32 {
            let turned = self.0.iter().rev().find(|turn| turn.0 <= utc_seconds);
            turned.unwrap_or(&self.0[0]).1
        }
    }

    const HOUR: i64 = 3_600;
    /// 2026: summer time begins on 29 March at 01:00 UTC and ends on 25 October at 01:00 UTC.
    const BERLIN: Turns = Turns(&[(0, 3_600), (1_774_746_000, 7_200), (1_792_890_000, 3_600)]);
    /// 2026: the clock goes from midnight to one on 8 March, and back from one to midnight on 1 November.
    const HAVANA: Turns = Turns(&[
        (0, -18_000),
        (1_772_946_000, -14_400),
        (1_793_509_200, -18_000),
    ]);
    /// Invented: the clock goes back from midnight to 23:00, so one midnight happens twice.
    const TWICE: Turns = Turns(&[(0, 7_200), (1_792_879_200, 3_600)]);

    fn at(utc: i64) -> Timestamp {
        Timestamp(u64::try_from(utc).unwrap() * NANOS)
    }

    /// Days since the epoch of `YYYY-MM-DD`.
    fn day(text: &str) -> i64 {
        let numbers: Vec<i64> = text.split('-').map(|part| part.parse().unwrap()).collect();
        first_of_month(numbers[0] * 12 + numbers[1] - 1) + numbers[2] - 1
    }

    /// Seconds since the epoch of `YYYY-MM-DD HH:MM` in UTC.
    fn utc(text: &str) -> i64 {
        let (date, time) = text.split_once(' ').unwrap();
        let (hour, minute) = time.split_once(':').unwrap();
        let number = |text: &str| text.parse::<i64>().unwrap();
        day(date) * DAY_SECONDS + number(hour) * HOUR + number(minute) * 60
    }

    #[test]
    fn a_date_is_the_moment_its_day_begins() {
        for (date, want) in [
            ("1970-01-01", Some(0)),
            ("2026-11-20", Some(1_795_132_800)),
            ("2024-02-29", Some(1_709_164_800)),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-00-01", None),
            ("2026-01-00", None),
            ("1969-12-31", None),
            ("2026-01", None),
            ("2026-01-01-01", None),
            ("", None),
        ] {
            let want = want.map(|seconds: i64| at(seconds));
            assert_eq!(start_of_day(date), want, "{date}");
        }
    }

    #[test]
    fn the_calendar_is_the_one_on_the_wall() {
        for (text, seconds) in [
            ("1970-01-01 00:00", 0),
            ("2000-02-29 00:00", 951_782_400),
            ("2026-03-29 01:00", 1_774_746_000),
            ("2026-10-25 01:00", 1_792_890_000),
            ("2100-03-01 00:00", 4_107_542_400),
        ] {
            assert_eq!(utc(text), seconds, "{text}");
        }
    }

    #[test]
    fn a_moment_has_one_window_and_an_end() {
        // Period, zone, moment in UTC, first day of its window, hours until it ends.
        let table = "day    utc       2026-11-20 12:00  2026-11-20  12
                     day    new_york  2026-11-20 03:00  2026-11-19  2
                     week   utc       2026-11-22 23:00  2026-11-16  1
                     week   utc       2026-11-23 00:00  2026-11-23  168
                     month  utc       2024-02-29 23:00  2024-02-01  1
                     month  utc       2026-12-31 23:00  2026-12-01  1
                     month  paris     2026-12-31 23:00  2027-01-01  744
                     day    berlin    2026-03-28 23:00  2026-03-29  23
                     day    berlin    2026-10-24 22:00  2026-10-25  25
                     month  berlin    2026-02-28 23:00  2026-03-01  743
                     day    havana    2026-03-08 04:00  2026-03-07  1
                     day    havana    2026-03-08 05:00  2026-03-08  23
                     day    havana    2026-11-01 04:00  2026-11-01  25";
        for line in table.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let period = match words[0] {
                "day" => Period::Day,
                "week" => Period::Week,
                _ => Period::Month,
            };
            let zone: &dyn Zone = match words[1] {
                "new_york" => &FixedOffset(-18_000),
                "paris" => &FixedOffset(3_600),
                "berlin" => &BERLIN,
                "havana" => &HAVANA,
                _ => &FixedOffset(0),
            };
            let window = window_at(period, zone, at(utc(&words[2..4].join(" "))));
            assert_eq!(first_day(period, window.id), Some(day(words[4])), "{line}");
            let hours = window.ends_in_ms.unwrap() / 3_600_000;
            assert_eq!(hours, words[5].parse::<u64>().unwrap(), "{line}");
        }
        let total = window_at(Period::Total, &FixedOffset(0), at(utc("2026-11-20 12:00")));
        assert_eq!((total.id, total.ends_in_ms), (WindowId(0), None));
    }

    #[test]
    fn an_end_is_found_where_midnight_happens_twice() {
        let start = 1_792_879_200 - HOUR;
        let window = window_at(Period::Day, &TWICE, at(start));
        let ends = start + i64::try_from(window.ends_in_ms.unwrap()).unwrap() / 1_000;
        assert!(id_at(Period::Day, &TWICE, ends) > window.id);
        assert!(id_at(Period::Day, &TWICE, ends - 1) == window.id);
    }

    proptest! {
        #[test]
        fn the_end_of_a_window_is_the_beginning_of_the_next(
            utc in 1_700_000_000_i64..1_900_000_000,
            period in prop_oneof![Just(Period::Day), Just(Period::Week), Just(Period::Month)],
            berlin: bool,
        ) {
            let zone: &dyn Zone = if berlin { &BERLIN } else { &FixedOffset(-34_200) };
            let window = window_at(period, zone, at(utc));
            let ends = utc + i64::try_from(window.ends_in_ms.unwrap()).unwrap() / 1_000;
            prop_assert!(ends > utc);
            prop_assert_eq!(id_at(period, zone, ends).0, window.id.0 + 1);
            prop_assert_eq!(id_at(period, zone, ends - 1), window.id);
        }

        #[test]
        fn every_month_begins_with_its_first_day(month in 1_970_i64 * 12..2_400 * 12) {
            prop_assert_eq!(month_of(first_of_month(month)), month);
            prop_assert_eq!(month_of(first_of_month(month) - 1), month - 1);
        }
    }
}
