//! The time zones that there are, by name. Their rules are known to who computes windows; this list is for whoever writes
//! a configuration.

use crate::config::suggest;

/// One a line, sorted; links of old names too.
static ZONES: &str = include_str!("zones.txt");

pub(super) fn is_known(name: &str) -> bool {
    ZONES.lines().any(|zone| zone == name)
}

pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let same = |zone: &&str| zone.eq_ignore_ascii_case(name);
    ZONES
        .lines()
        .find(same)
        .or_else(|| suggest::nearest(name, ZONES.lines()))
}

/// Every name, for a test of whoever computes windows.
pub fn all() -> impl Iterator<Item = &'static str> {
    ZONES.lines()
}
