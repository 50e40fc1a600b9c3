//! Which window of which budget is open now, by the wall clocks of the world. The database of time zones is in this
//! program, so that every machine agrees on midnight.

use std::collections::BTreeMap;
use std::fmt;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use tollgate_core::money::ids::{ScopeId, WindowId};
use tollgate_core::money::ledger::{OpenBudget, Scope};
use tollgate_core::money::window::{WindowNow, Zone, window_at};
use tollgate_core::tenancy::{BudgetSpec, ScopeSpec};
use tollgate_core::units::Timestamp;

const NANOS_PER_MILLI: u64 = 1_000_000;

/// No wall clock hangs there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownZone(pub String);

impl fmt::Display for UnknownZone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.0;
        write!(
            out,
            "no time zone is named `{name}`: write one like `Europe/Berlin`, or `UTC`"
        )
    }
}

impl std::error::Error for UnknownZone {}

/// The wall clock of a zone.
#[derive(Clone, Debug)]
pub struct Wall(TimeZone);

impl Wall {
    /// By its name in the IANA database.
    pub fn of(zone: &str) -> Result<Self, UnknownZone> {
        let known = TimeZoneDatabase::bundled().get(zone);
        known.map(Self).map_err(|_| UnknownZone(zone.to_owned()))
    }
}

impl Zone for Wall {
    fn offset_at(&self, utc_seconds: i64) -> i32 {
        // What is out of range is not on any calendar: there all clocks show UTC.
        let Ok(at) = jiff::Timestamp::from_second(utc_seconds) else {
            return 0;
        };
        self.0.to_offset(at).seconds()
    }
}

/// Scopes, and the windows of their budgets that were open when somebody last asked.
#[derive(Debug, Default)]
pub struct Calendar {
    scopes: BTreeMap<ScopeId, Vec<Kept>>,
}

#[derive(Debug)]
struct Kept {
    spec: BudgetSpec,
    wall: Wall,
    /// None until somebody asks.
    window: Option<Window>,
}

/// A window is the same from the moment it was looked at until it ends.
#[derive(Clone, Copy, Debug)]
struct Window {
    id: WindowId,
    from: Timestamp,
    until: Option<Timestamp>,
}

impl Calendar {
    /// Takes a scope with its budgets as they are from now on.
    pub fn set(&mut self, scope: ScopeSpec) -> Result<(), UnknownZone> {
        let kept = scope.budgets.into_iter().map(|spec| {
            let wall = Wall::of(&spec.time_zone)?;
            Ok(Kept {
                spec,
                wall,
                window: None,
            })
        });
        let kept = kept.collect::<Result<_, _>>()?;
        self.scopes.insert(scope.id, kept);
        Ok(())
    }

    /// Forgets a scope.
    pub fn remove(&mut self, scope: ScopeId) {
        self.scopes.remove(&scope);
    }

    /// The scope with the windows that are open now.
    pub fn open(&mut self, id: ScopeId, now: Timestamp) -> Option<Scope> {
        let budgets = self.scopes.get_mut(&id)?.iter_mut().map(|kept| OpenBudget {
            budget: kept.spec.budget.clone(),
            window: kept.window_now(now),
        });
        Some(Scope {
            id,
            budgets: budgets.collect(),
            holders: 0,
        })
    }

    /// Every scope.
    pub fn scopes(&self) -> impl Iterator<Item = ScopeId> {
        self.scopes.keys().copied()
    }
}

impl Kept {
    fn window_now(&mut self, now: Timestamp) -> WindowNow {
        let holds =
            |window: &Window| window.from <= now && window.until.is_none_or(|until| now < until);
        let window = match self.window.filter(holds) {
            Some(window) => window,
            None => {
                let found = window_at(self.spec.period, &self.wall, now);
                let until = found.ends_in_ms.map(|ms| after(now, ms));
                let window = Window {
                    id: found.id,
                    from: now,
                    until,
                };
                *self.window.insert(window)
            }
        };
        WindowNow {
            id: window.id,
            ends_in_ms: window.until.map(|until| until.millis_since(now)),
        }
    }
}

fn after(now: Timestamp, millis: u64) -> Timestamp {
    Timestamp(now.0.saturating_add(millis.saturating_mul(NANOS_PER_MILLI)))
}

/// The windows of a scope's budgets, in their order.
pub fn windows(scope: &ScopeSpec, now: Timestamp) -> Result<Vec<WindowNow>, UnknownZone> {
    let windows = scope.budgets.iter().map(|spec| {
        let wall = Wall::of(&spec.time_zone)?;
        Ok(window_at(spec.period, &wall, now))
    });
    windows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::money::ids::BudgetId;
    use tollgate_core::money::ledger::Budget;
    use tollgate_core::money::thresholds::{Mode, STEPS};
    use tollgate_core::money::window::Period;
    use tollgate_core::units::NanoUsd;

    const HOUR: u64 = 3_600_000_000_000;

    fn scope(period: Period, zone: &str) -> ScopeSpec {
        let budget = Budget {
            id: BudgetId(1),
            limit: NanoUsd(1),
            overflow_percent: 0,
            mode: Mode::Enforce,
            steps: STEPS.to_vec(),
        };
        ScopeSpec {
            id: ScopeId(1),
            name: "team:a".to_owned(),
            budgets: vec![BudgetSpec {
                budget,
                period,
                time_zone: zone.to_owned(),
            }],
        }
    }

    /// Moments are hours since the epoch.
    fn hours_left(zone: &str, period: Period, hour: u64) -> Option<u64> {
        let now = Timestamp(hour * HOUR);
        let windows = windows(&scope(period, zone), now).unwrap();
        Some(windows[0].ends_in_ms? / 3_600_000)
    }

    #[test]
    fn midnight_is_where_the_clock_hangs_also_when_it_is_turned() {
        // 2026-03-28 22:00 UTC, 23:00 in Berlin; the clock is turned in the night after.
        let evening = 1_774_735_200 / 3_600;
        for (zone, period, hour, left) in [
            ("UTC", Period::Day, evening, Some(2)),
            ("Europe/Berlin", Period::Day, evening, Some(1)),
            ("Europe/Berlin", Period::Day, evening + 1, Some(23)),
            ("Asia/Kolkata", Period::Day, evening, Some(20)),
            ("Europe/Berlin", Period::Total, evening, None),
            ("Europe/Berlin", Period::Month, evening, Some(72)),
        ] {
            let came = hours_left(zone, period, hour);
            assert_eq!(came, left, "{zone} {period:?} {hour}");
        }
    }

    #[test]
    fn every_zone_that_the_configuration_takes_is_known_here() {
        for zone in tollgate_core::config::check::zones::all() {
            assert!(Wall::of(zone).is_ok(), "{zone}");
        }
        let unknown = Wall::of("Europe/Atlantis").unwrap_err();
        assert!(unknown.to_string().contains("Europe/Atlantis"));
    }

    #[test]
    fn a_calendar_says_what_the_clock_says_also_when_it_jumps() {
        let mut calendar = Calendar::default();
        calendar.set(scope(Period::Day, "Europe/Berlin")).unwrap();
        for hour in [
            490_000, 490_001, 490_030, 490_002, 489_000, 490_029, 490_031,
        ] {
            let now = Timestamp(hour * HOUR + 17);
            let open = calendar.open(ScopeId(1), now).unwrap();
            let want = windows(&scope(Period::Day, "Europe/Berlin"), now).unwrap();
            assert_eq!(open.budgets[0].window.id, want[0].id, "{hour}");
            let (one, other) = (open.budgets[0].window.ends_in_ms, want[0].ends_in_ms);
            assert!(one.unwrap().abs_diff(other.unwrap()) <= 1, "{hour}");
        }
        assert_eq!(calendar.open(ScopeId(2), Timestamp(0)), None);
        calendar.remove(ScopeId(1));
        assert_eq!(calendar.open(ScopeId(1), Timestamp(0)), None);
    }
}
