//! Wall clocks by the name of their zone. Only the check knows zones; the filter gets the moments at which a clock is
//! turned, as numbers.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::routing::Clock;

/// Turns from 2025 on are known, as far as zones are foreseen: until 2045.
const FROM: i64 = 1_735_689_600;
const UNTIL: i64 = 2_366_841_600;

/// The clock of `Europe/Berlin`, `UTC`, `+02:00`; none for what is no zone.
pub fn of(name: &str) -> Option<Clock> {
    if let Some(offset) = fixed(name) {
        return Some(Clock {
            offset,
            turns: Vec::new(),
        });
    }
    // The database finds names in any case, but whoever reads the file should find it too.
    let zone = TimeZone::get(name).ok()?;
    let from = Timestamp::from_second(FROM).ok()?;
    let turns = zone
        .following(from)
        .map(|turn| (turn.timestamp().as_second(), turn.offset().seconds()))
        .take_while(|(at, _)| *at < UNTIL);
    let offset = zone.to_offset(from).seconds();
    let mut clock = Clock {
        offset,
        turns: Vec::new(),
    };
    let mut last = offset;
    for (at, offset) in turns {
        if offset != last {
            clock.turns.push((at, offset));
            last = offset;
        }
    }
    Some(clock)
}

/// `+02:00`, in seconds.
fn fixed(name: &str) -> Option<i32> {
    let (sign, rest) = match name.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str, max: i32| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i32>()
            .ok()
            .filter(|number| plain && *number <= max)
    };
    let minutes = number(hours, 14)?
        .checked_mul(60)?
        .checked_add(number(minutes, 59)?)?;
    minutes.checked_mul(60)?.checked_mul(sign)
}

/// The first day on which a time of the day is skipped or happens twice, and which of both.
pub fn turned_at(clock: &Clock, minute: u16) -> Option<(String, &'static str)> {
    let mut before = clock.offset;
    for (at, after) in &clock.turns {
        let old = at.saturating_add(i64::from(before));
        let new = at.saturating_add(i64::from(*after));
        let (from, to, how) = if new > old {
            (old, new, "skipped")
        } else {
            (new, old, "there twice")
        };
        before = *after;
        let day = from.div_euclid(86_400).saturating_mul(86_400);
        let time = i64::from(minute).saturating_mul(60);
        // What lies between may reach over midnight.
        let times = [day, day.saturating_add(86_400)].map(|day| day.saturating_add(time));
        if times.iter().any(|time| (from..to).contains(time)) {
            let date = Timestamp::from_second(from).ok()?;
            let date = date.to_zoned(TimeZone::UTC).date();
            return Some((date.to_string(), how));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_known_by_name_and_by_offset() {
        for (name, winter, summer) in [
            ("UTC", 0, 0),
            ("Europe/Berlin", 3_600, 7_200),
            ("America/New_York", -18_000, -14_400),
            ("Asia/Kolkata", 19_800, 19_800),
            ("+02:00", 7_200, 7_200),
            ("-09:30", -34_200, -34_200),
        ] {
            let clock = of(name).unwrap_or_else(|| panic!("{name}"));
            use crate::money::window::Zone;
            // 2026-11-20 and 2040-06-21.
            let got = (
                clock.offset_at(1_795_132_800),
                clock.offset_at(2_223_763_200),
            );
            assert_eq!(got, (winter, summer), "{name}");
        }
        for name in ["", "+", "Europe/Berln", "+2", "+15:00", "CEST+1", "../UTC"] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn times_that_a_day_skips_or_has_twice_are_found() {
        let berlin = of("Europe/Berlin").unwrap();
        for (hour, minute, want) in [
            (1, 59, None),
            (2, 0, Some("skipped")),
            (2, 30, Some("skipped")),
            (3, 0, None),
            (8, 0, None),
        ] {
            let got = turned_at(&berlin, hour * 60 + minute).map(|(_, how)| how);
            assert_eq!(got, want, "{hour}:{minute}");
        }
        let (date, how) = turned_at(&berlin, 150).unwrap();
        assert_eq!((date.as_str(), how), ("2025-03-30", "skipped"));
        // Twice it happens where the clock is only turned back.
        let back = Clock {
            offset: 7_200,
            turns: vec![(1_792_890_000, 3_600)],
        };
        assert_eq!(
            turned_at(&back, 150).unwrap(),
            ("2026-10-25".to_owned(), "there twice")
        );
        assert_eq!(turned_at(&Clock::default(), 150), None);
    }
}
