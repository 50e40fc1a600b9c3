//! The end of a request: its record, what is counted of it, what it costs.

use tollgate_core::bill::bill;
use tollgate_core::handoff::{self, Exchange};
use tollgate_core::metrics::Sample;
use tollgate_core::money::holder::Ending;
use tollgate_core::record;
use tollgate_core::units::{NanoUsd, Timestamp};

use super::{Completeness, Stream};
use crate::bank;
use crate::host;
use crate::host::call::Context;
use crate::weather;

impl Stream {
    /// The request is over, whatever became of it.
    pub(super) fn close(&mut self) {
        let now = host::now();
        bank::leave(Context(self.context));
        let (line, samples) = match self.meeting.as_ref().map(|(_, handle)| handle.clone()) {
            Some(handle) => {
                let Ok(mut shared) = handle.try_borrow_mut() else {
                    return;
                };
                let closed = self.close_forwarded(&mut shared.exchange, now);
                shared.running = None;
                let mut tales = shared.exchange.tales(now);
                tales.extend(shared.exchange.unmade());
                weather::tell(tales, now);
                closed
            }
            None => self.close_answered(now),
        };
        let _ = host::set_property("tollgate_record", line.as_bytes());
        if let Ok(callers) = self.settings.callers.try_borrow() {
            let config = &self.settings.config;
            self.settings
                .counters
                .count(config, callers.labels(), &samples);
        }
    }

    fn close_forwarded(&self, exchange: &mut Exchange, now: Timestamp) -> (String, Vec<Sample>) {
        let reply = match exchange.progress.ending {
            handoff::Ending::Complete => Completeness::Whole,
            handoff::Ending::Failed | handoff::Ending::Open => Completeness::Unknown,
        };
        let ended = self.end(now, reply);
        let (record, samples) = record::of_forwarded(exchange, ended);
        let line = record.line();
        let bill = bill(exchange, ended.broken_by);
        let hold = std::mem::take(&mut exchange.cover.hold);
        let ending = Ending {
            cost: bill.map_or(NanoUsd::ZERO, |bill| bill.cost),
            closes: self.opening.id(),
            record: line.clone().into_bytes(),
        };
        bank::settle(hold, ending);
        (line, samples)
    }

    fn close_answered(&self, now: Timestamp) -> (String, Vec<Sample>) {
        let reply = if self.status > 0 {
            Completeness::Whole
        } else {
            Completeness::Unknown
        };
        let ended = self.end(now, reply);
        let known = &self.admission.known;
        let (record, samples) = record::of_answered(&self.settings.config, known, ended);
        let line = record.line();
        // Strangers fill the log of Envoy at most, not the store of the budget service.
        if known.caller.is_some() {
            let record = line.clone().into_bytes();
            let ending = Ending {
                record,
                ..Ending::default()
            };
            bank::settle(tollgate_core::money::holder::Hold::default(), ending);
        }
        (line, samples)
    }
}
