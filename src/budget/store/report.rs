//! Reports: sums by hour, put together by what was asked.

use std::collections::{BTreeMap, HashMap};

use tollgate_core::units::Timestamp;

use super::facts::{hour_of, start_of};
use super::figures::Figures;
use super::query::{Every, ReportQuery};
use super::series::{Series, SeriesId};

/// One line of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When its piece of the period begins.
    pub from: Timestamp,
    /// A value for each dimension asked for, in that order.
    pub values: Vec<String>,
    /// The sums.
    pub figures: Figures,
}

/// What a report says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// By piece of the period and by values; only those that have records.
    pub lines: Vec<Line>,
    /// The sums of everything that fits. Less than the lines together, where requests have several tags.
    pub total: Figures,
}

/// Puts a report together from sums by hour.
pub(super) struct Builder<'query> {
    query: &'query ReportQuery,
    /// By series: the lines it counts for.
    places: HashMap<SeriesId, Vec<usize>>,
    /// Values of lines, by place.
    values: Vec<Vec<String>>,
    found: BTreeMap<Vec<String>, usize>,
    sums: BTreeMap<(u64, usize), Figures>,
    total: Figures,
}

/// The hours of a period: the first, and the one after the last.
pub(super) fn hours(query: &ReportQuery) -> (u64, u64) {
    let last = query.until.0.saturating_sub(1);
    let end = hour_of(Timestamp(last)).saturating_add(u64::from(query.until.0 > 0));
    (hour_of(query.from), end)
}

impl<'query> Builder<'query> {
    pub(super) fn new(query: &'query ReportQuery) -> Self {
        Self {
            query,
            places: HashMap::new(),
            values: Vec::new(),
            found: BTreeMap::new(),
            sums: BTreeMap::new(),
            total: Figures::default(),
        }
    }

    /// Every series comes before the sums.
    pub(super) fn series(&mut self, id: SeriesId, series: &Series) {
        if !series.fits(&self.query.only) {
            return;
        }
        let mut lines: Vec<Vec<String>> = vec![Vec::new()];
        for dimension in &self.query.by {
            let values = series.values(*dimension);
            let longer = |line: &Vec<String>, value: &&str| {
                let mut line = line.clone();
                line.push((*value).to_owned());
                line
            };
            lines = lines
                .iter()
                .flat_map(|line| values.iter().map(move |value| longer(line, value)))
                .collect();
        }
        let places = lines.into_iter().map(|line| self.place(line)).collect();
        self.places.insert(id, places);
    }

    fn place(&mut self, line: Vec<String>) -> usize {
        let next = self.values.len();
        let place = *self.found.entry(line.clone()).or_insert(next);
        if place == next {
            self.values.push(line);
        }
        place
    }

    pub(super) fn sums(&mut self, hour: u64, id: SeriesId, figures: &Figures) {
        let Some(places) = self.places.get(&id) else {
            return;
        };
        let first = hours(self.query).0;
        let piece = match self.query.every {
            Every::Whole => 0,
            Every::Hours(length) => hour
                .saturating_sub(first)
                .checked_div(u64::from(length.max(1)))
                .unwrap_or_default(),
        };
        for place in places {
            self.sums.entry((piece, *place)).or_default().add(figures);
        }
        self.total.add(figures);
    }

    pub(super) fn finish(self) -> Report {
        let first = hours(self.query).0;
        let length = match self.query.every {
            Every::Whole => 0,
            Every::Hours(length) => u64::from(length.max(1)),
        };
        let line = |((piece, place), figures): ((u64, usize), Figures)| Line {
            from: start_of(first.saturating_add(piece.saturating_mul(length))),
            values: self.values.get(place).cloned().unwrap_or_default(),
            figures,
        };
        let mut lines: Vec<Line> = self.sums.into_iter().map(line).collect();
        lines.sort_by(|one, other| (one.from, &one.values).cmp(&(other.from, &other.values)));
        Report {
            lines,
            total: self.total,
        }
    }
}
