//! The end of a request: its record, what is counted of it, what it costs.

use tollgate_core::bill::{bill, used};
use tollgate_core::handoff::{self, Exchange};
use tollgate_core::limits::{Taken, Used};
use tollgate_core::metrics::{Metric, Sample, Series};
use tollgate_core::money::holder::Ending;
use tollgate_core::record;
use tollgate_core::units::{NanoUsd, Timestamp};

use super::{Completeness, Stream};
use crate::bank;
use crate::host;
use crate::host::call::Context;
use crate::room;
use crate::weather;

/// What counts against limits by the minute.
fn tokens(exchange: &Exchange) -> u64 {
    let (usage, _) = used(exchange);
    usage.prompt().plus(usage.answer()).0
}

/// What the last attempt used of its deployment, and what that costs.
fn spent(exchange: &Exchange) -> (u64, NanoUsd) {
    let (usage, _) = used(exchange);
    let price = exchange
        .last()
        .and_then(|(_, target, _)| target.price.as_ref());
    let cost = price.and_then(|price| price.cost(&usage, 1).ok());
    (tokens(exchange), cost.unwrap_or(NanoUsd::ZERO))
}

impl Stream {
    /// The request is over, whatever became of it.
    pub(super) fn close(&mut self) {
        let now = host::now();
        bank::leave(Context(self.context));
        let mut used = Used::Nothing;
        let (mut line, mut samples) = match self.meeting.as_ref().map(|(_, handle)| handle.clone())
        {
            Some(handle) => {
                let Ok(mut shared) = handle.try_borrow_mut() else {
                    return;
                };
                self.waited = self.waited.max(shared.exchange.cover.waited);
                if !shared.exchange.attempts.is_empty() {
                    used = Used::Tokens(tokens(&shared.exchange));
                }
                let spent = spent(&shared.exchange);
                let closed = self.close_forwarded(&mut shared.exchange, now);
                learn(&shared.exchange, now);
                shared.running = None;
                if let Some(attempting) = &mut shared.attempting {
                    attempting.used = spent;
                }
                shared.attempting = None;
                let mut tales = shared.exchange.tales(now);
                tales.extend(shared.exchange.unmade());
                weather::tell(tales, now);
                closed
            }
            None => self.close_answered(now),
        };
        samples.extend(self.waits_sample());
        if self.taken != Taken::default() {
            room::settle(std::mem::take(&mut self.taken), used, now);
        }
        // Envoy's log adds nothing, so that it writes nothing for a request that has no record.
        line.push(b'\n');
        let _ = host::set_property("tollgate_record", &line);
        if let Ok(callers) = self.settings.callers.try_borrow() {
            let config = &self.settings.config;
            self.settings
                .counters
                .count(config, callers.labels(), &samples);
        }
    }

    /// How many wait for a round trip, and how many for none.
    fn waits_sample(&self) -> Option<Sample> {
        let by_service = self.settings.config.budget_service.is_some();
        let series = Series {
            kind: self.waited.name(),
            ..Series::new(Metric::Waits)
        };
        let known = self.admission.known.caller.is_some();
        (by_service && known).then_some(Sample { series, value: 1 })
    }

    fn close_forwarded(&self, exchange: &mut Exchange, now: Timestamp) -> (Vec<u8>, Vec<Sample>) {
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
            record: line.clone(),
        };
        bank::settle(hold, ending);
        (line, samples)
    }

    fn close_answered(&self, now: Timestamp) -> (Vec<u8>, Vec<Sample>) {
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
            let record = line.clone();
            let ending = Ending {
                record,
                ..Ending::default()
            };
            bank::settle(tollgate_core::money::holder::Hold::default(), ending);
        }
        (line, samples)
    }
}

/// Remembers how long the answer was, for what soft budgets hold.
fn learn(exchange: &Exchange, now: Timestamp) {
    let cover = &exchange.cover;
    let whole = exchange.progress.ending == handoff::Ending::Complete;
    let answered = exchange
        .last()
        .filter(|_| whole && !cover.purses.is_empty() && !cover.is_hard());
    let planned = answered.and_then(|(tried, ..)| exchange.chain.get(tried.number));
    if let Some(planned) = planned {
        let (usage, _) = used(exchange);
        let key = &exchange.caller.key.name;
        weather::with(now, |weather| {
            weather.usual.learn(key, planned.model, usage.answer())
        });
    }
}
