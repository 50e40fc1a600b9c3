//! Envoy's ids of the series that were counted before: defining one again costs ten times as much.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tollgate_core::config::Gateway;
use tollgate_core::metrics::{Kind, Labels, Metric, Sample, Series};

use crate::host;

/// A figure of the process goes up or down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shift {
    pub(crate) metric: Metric,
    pub(crate) by: i64,
}

/// Envoy's id of a series; none if it does not take it.
fn id_of(
    ids: &mut BTreeMap<Series, u32>,
    series: &Series,
    name: impl FnOnce() -> String,
) -> Option<u32> {
    if let Some(id) = ids.get(series) {
        return Some(*id);
    }
    let id = host::define(series.metric.kind(), &name()).ok()?;
    ids.insert(*series, id);
    Some(id)
}

/// The series of one configuration.
#[derive(Debug)]
pub(crate) struct Counters {
    ids: RefCell<BTreeMap<Series, u32>>,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            ids: RefCell::default(),
        }
    }

    /// Counts; what Envoy does not take is not counted, and nothing else happens.
    pub(crate) fn count(&self, config: &Gateway, labels: &Labels, samples: &[Sample]) {
        let Ok(mut ids) = self.ids.try_borrow_mut() else {
            return;
        };
        for Sample { series, value } in samples {
            let Some(id) = id_of(&mut ids, series, || labels.name(series, config)) else {
                continue;
            };
            match series.metric.kind() {
                Kind::Counter => host::increment(id, *value),
                Kind::Gauge => host::shift(id, i64::try_from(*value).unwrap_or(i64::MAX)),
                Kind::Histogram => host::observe(id, *value),
            }
        }
    }

    /// Moves figures of the process.
    pub(crate) fn shift(&self, config: &Gateway, labels: &Labels, shifts: &[Shift]) {
        let Ok(mut ids) = self.ids.try_borrow_mut() else {
            return;
        };
        for Shift { metric, by } in shifts {
            let series = Series::new(*metric);
            if let Some(id) = id_of(&mut ids, &series, || labels.name(&series, config)) {
                host::shift(id, *by);
            }
        }
    }
}
