//! Envoy's ids of the series that were counted before: defining one again costs ten times as much.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tollgate_core::config::Gateway;
use tollgate_core::metrics::{Kind, Labels, Sample, Series};

use crate::host;

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
            let id = match ids.get(series) {
                Some(id) => *id,
                None => {
                    let Ok(id) = host::define(series.metric.kind(), &labels.name(series, config))
                    else {
                        continue;
                    };
                    ids.insert(*series, id);
                    id
                }
            };
            match series.metric.kind() {
                Kind::Counter => host::increment(id, *value),
                Kind::Histogram => host::observe(id, *value),
            }
        }
    }
}
