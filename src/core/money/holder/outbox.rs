//! Reports to the service and brings back money: one batch at a time, the same batch until it is answered.

use std::collections::{BTreeMap, VecDeque};

use crate::money::ids::{
    Incarnation, LeaseId, Millis, OpenId, RecordNumber, ScopeId, Seq, StreamId,
};
use crate::money::message::{
    Grant, Open, Refusal, Return, Status, SyncReply, SyncRequest, Usage, Want,
};
use crate::units::NanoUsd;

/// A batch that is not answered is sent again after this.
pub const OUTBOX_RETRY_MS: u64 = 500;
/// A service that has not answered for so long is away.
pub const AWAY_AFTER_MS: u64 = 1_000;
/// A batch that was refused is sent again after this: whoever repaired the cause should not have to restart anything.
const REFUSED_RETRY_MS: u64 = 5_000;
/// A holder with nothing to say says so this often, lest it be taken for dead.
const HEARTBEAT_MS: u64 = 1_000;
/// Entries of one kind in one batch; the rest waits for the next.
pub const BATCH_ENTRIES_MAX: usize = 1_024;
/// Bytes of records in one batch; a record that is larger goes alone.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of records that wait while the service is away. Beyond them only the money of requests is kept, in one sum: a
/// worker that ran out of memory would lose that too.
pub const BACKLOG_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What a report weighs besides its record.
const REPORT_BYTES: usize = 256;

/// One stream of batches of one process.
#[derive(Debug)]
pub struct Outbox {
    incarnation: Incarnation,
    stream: StreamId,
    answered: Seq,
    last_record: RecordNumber,
    last_open: u64,
    heard_at: Millis,
    opens: VecDeque<Open>,
    usage: VecDeque<Usage>,
    /// What these weigh.
    usage_bytes: usize,
    /// Requests of which only the money was kept.
    summed_up: u64,
    returns: BTreeMap<LeaseId, NanoUsd>,
    wants: BTreeMap<ScopeId, Want>,
    state: State,
}

#[derive(Debug)]
enum State {
    Collecting,
    ExpectReply {
        batch: SyncRequest,
        first_sent_at: Millis,
        sent_at: Millis,
    },
    ExpectCure {
        batch: SyncRequest,
        first_sent_at: Millis,
        sent_at: Millis,
        refusal: Refusal,
    },
}

/// How far a stream is: with the unanswered batch all that must outlive the VM. It is taken after each [`Outbox::poll`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bookmark {
    /// The last batch that was answered.
    pub answered: Seq,
    /// The last record that was put into a batch.
    pub last_record: RecordNumber,
    /// The last request that was opened.
    pub last_open: u64,
}

/// What the answer to a batch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The batch: it is durable now.
    pub answered: SyncRequest,
    /// Money, to be landed in rows.
    pub grants: Vec<Grant>,
    /// Wants that got nothing, to be noted in rows.
    pub denied: Vec<ScopeId>,
    /// Scopes whose rows are recalled.
    pub recall: Vec<ScopeId>,
    /// How the wanted scopes stand.
    pub status: Vec<Status>,
    /// When the batch was sent first: lives of leases count from here.
    pub sent_at: Millis,
}

impl Outbox {
    /// A stream that begins.
    pub fn new(incarnation: Incarnation, stream: StreamId) -> Self {
        Self::resume(incarnation, stream, Bookmark::default(), None)
    }

    /// A stream that goes on after its VM was lost. The batch that waited for an answer is sent again at once; whatever
    /// was in no batch yet should have been kept elsewhere (in a shared queue), and is held by the service otherwise.
    pub fn resume(
        incarnation: Incarnation,
        stream: StreamId,
        bookmark: Bookmark,
        unanswered: Option<SyncRequest>,
    ) -> Self {
        let never = Millis(0);
        let state = unanswered.map_or(State::Collecting, |batch| State::ExpectReply {
            batch,
            first_sent_at: never,
            sent_at: never,
        });
        Self {
            incarnation,
            stream,
            answered: bookmark.answered,
            last_record: bookmark.last_record,
            last_open: bookmark.last_open,
            heard_at: never,
            opens: VecDeque::new(),
            usage: VecDeque::new(),
            usage_bytes: 0,
            summed_up: 0,
            returns: BTreeMap::new(),
            wants: BTreeMap::new(),
            state,
        }
    }

    /// How far the stream is.
    pub fn bookmark(&self) -> Bookmark {
        Bookmark {
            answered: self.answered,
            last_record: self.last_record,
            last_open: self.last_open,
        }
    }

    /// Reports a request that begins, and says how its usage is to name it. That usage belongs on this stream too: another
    /// might arrive first, and close what is not open yet.
    pub fn open(&mut self, open: Open) -> OpenId {
        self.last_open = self.last_open.saturating_add(1);
        let number = self.last_open;
        self.opens.push_back(Open { number, ..open });
        OpenId {
            stream: self.stream,
            number,
        }
    }

    /// Reports a request that ended. Its number is given when it is sent.
    pub fn report(&mut self, usage: Usage) {
        let weight = weight(&usage);
        if self.usage_bytes.saturating_add(weight) <= BACKLOG_BYTES_MAX {
            self.usage_bytes = self.usage_bytes.saturating_add(weight);
            self.usage.push_back(usage);
            return;
        }
        self.summed_up = self.summed_up.saturating_add(1);
        let bare = Usage {
            record: Vec::new(),
            ..usage
        };
        match self.usage.back_mut() {
            // What was opened must be closed, each by its own.
            Some(sum) if sum.record.is_empty() && bare.closes.is_none() => add(sum, bare),
            Some(_) | None => self.usage.push_back(bare),
        }
    }

    /// Requests of which only the money was kept, because too many waited to be reported.
    pub fn summed_up(&self) -> u64 {
        self.summed_up
    }

    /// Gives money back.
    pub fn give_back(&mut self, back: Return) {
        let sum = self.returns.entry(back.lease).or_default();
        // Parts of one lease, and a lease fits: see `LeaseRow::land`.
        *sum = NanoUsd(sum.0.saturating_add(back.nanos.0));
    }

    /// Asks for money.
    pub fn want(&mut self, want: Want) {
        self.wants.insert(want.scope, want);
    }

    /// Whose stream it is.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Which of its streams.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// Nothing waits here, to be sent or to be answered.
    pub fn is_empty(&self) -> bool {
        matches!(self.state, State::Collecting) && self.has_collected_nothing()
    }

    /// Nothing waits here to be put into a batch.
    pub fn has_collected_nothing(&self) -> bool {
        self.opens.is_empty()
            && self.usage.is_empty()
            && self.returns.is_empty()
            && self.wants.is_empty()
    }

    /// The report that came last and is in no batch yet.
    pub fn newest(&self) -> Option<&Usage> {
        self.usage.back()
    }

    /// Requests that ended and are not in a batch yet: what a service that is away lets grow.
    pub fn backlog(&self) -> usize {
        self.usage.len()
    }

    /// Why the service does not take the batch that is next, if it does not.
    pub fn refusal(&self) -> Option<Refusal> {
        match self.state {
            State::ExpectCure { refusal, .. } => Some(refusal),
            State::Collecting | State::ExpectReply { .. } => None,
        }
    }

    /// Whether the service is away: a batch of this stream has waited too long for its answer. One that is refused was
    /// answered.
    pub fn is_unanswered(&self, now: Millis) -> bool {
        match self.state {
            State::ExpectReply { first_sent_at, .. } => now.is_over(first_sent_at, AWAY_AFTER_MS),
            State::Collecting | State::ExpectCure { .. } => false,
        }
    }

    /// What to send now, if anything. A batch is the same whenever it is sent.
    pub fn poll(&mut self, now: Millis) -> Option<&SyncRequest> {
        if matches!(self.state, State::Collecting) {
            let quiet = !now.is_over(self.heard_at, HEARTBEAT_MS);
            if self.has_collected_nothing() && quiet {
                return None;
            }
            let batch = self.batch();
            self.state = State::ExpectReply {
                batch,
                first_sent_at: now,
                sent_at: now,
            };
            return self.unanswered();
        }
        let (sent_at, patience) = match &mut self.state {
            State::Collecting => return None,
            State::ExpectReply { sent_at, .. } => (sent_at, OUTBOX_RETRY_MS),
            State::ExpectCure { sent_at, .. } => (sent_at, REFUSED_RETRY_MS),
        };
        if !now.is_over(*sent_at, patience) {
            return None;
        }
        *sent_at = now;
        self.unanswered()
    }

    /// The answer to a batch. Answers to others (late, doubled) change nothing.
    pub fn on_reply(&mut self, reply: SyncReply, now: Millis) -> Option<Arrival> {
        if self.unanswered()?.seq != reply.seq {
            return None;
        }
        let state = std::mem::replace(&mut self.state, State::Collecting);
        let (answered, sent_at) = match state {
            State::ExpectReply {
                batch,
                first_sent_at,
                ..
            }
            | State::ExpectCure {
                batch,
                first_sent_at,
                ..
            } => (batch, first_sent_at),
            State::Collecting => return None,
        };
        self.answered = reply.seq;
        self.heard_at = now;
        Some(Arrival {
            answered,
            grants: reply.grants,
            denied: reply.denied,
            recall: reply.recall,
            status: reply.status,
            sent_at,
        })
    }

    /// The service will not take a batch. It is kept, and tried again from time to time.
    pub fn on_refusal(&mut self, seq: Seq, refusal: Refusal) {
        if self.unanswered().is_none_or(|batch| batch.seq != seq) {
            return;
        }
        let state = std::mem::replace(&mut self.state, State::Collecting);
        self.state = match state {
            State::Collecting => State::Collecting,
            State::ExpectReply {
                batch,
                first_sent_at,
                sent_at,
            }
            | State::ExpectCure {
                batch,
                first_sent_at,
                sent_at,
                ..
            } => State::ExpectCure {
                batch,
                first_sent_at,
                sent_at,
                refusal,
            },
        };
    }

    /// The batch that waits for its answer: what to keep where a trap of the VM does not reach.
    pub fn unanswered(&self) -> Option<&SyncRequest> {
        match &self.state {
            State::Collecting => None,
            State::ExpectReply { batch, .. } | State::ExpectCure { batch, .. } => Some(batch),
        }
    }

    /// What ended and was not answered, of a stream that nobody knows any more.
    pub fn abandon(self) -> Vec<Usage> {
        let batch = match self.state {
            State::Collecting => None,
            State::ExpectReply { batch, .. } | State::ExpectCure { batch, .. } => Some(batch),
        };
        let sent = batch.into_iter().flat_map(|batch| batch.usage);
        sent.chain(self.usage).collect()
    }

    /// As many of the requests that ended as go into one batch.
    fn first_usage(&mut self) -> Vec<Usage> {
        let mut bytes: usize = 0;
        let fits = |usage: &&Usage| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(usage.record.len());
            is_first || bytes <= BATCH_BYTES_MAX
        };
        let waiting = self.usage.iter().take(BATCH_ENTRIES_MAX);
        let count = waiting.take_while(fits).count();
        let first: Vec<Usage> = self.usage.drain(..count).collect();
        let gone: usize = first.iter().map(weight).sum();
        self.usage_bytes = self.usage_bytes.saturating_sub(gone);
        first
    }

    fn batch(&mut self) -> SyncRequest {
        let opens = first(&mut self.opens);
        // What closes an opening must not go before it.
        let mut usage = if self.opens.is_empty() {
            self.first_usage()
        } else {
            Vec::new()
        };
        for record in &mut usage {
            self.last_record = RecordNumber(self.last_record.0.saturating_add(1));
            record.number = self.last_record;
        }
        let returns = std::iter::from_fn(|| self.returns.pop_first());
        let returns = returns.take(BATCH_ENTRIES_MAX);
        let returns = returns.map(|(lease, nanos)| Return { lease, nanos });
        let returns = returns.collect();
        let wants = std::iter::from_fn(|| self.wants.pop_first());
        let wants = wants.take(BATCH_ENTRIES_MAX);
        let wants = wants.map(|(_, want)| want).collect();
        SyncRequest {
            incarnation: self.incarnation,
            stream: self.stream,
            seq: Seq(self.answered.0.saturating_add(1)),
            opens,
            usage,
            returns,
            wants,
        }
    }
}

fn first<Entry>(queue: &mut VecDeque<Entry>) -> Vec<Entry> {
    let count = queue.len().min(BATCH_ENTRIES_MAX);
    queue.drain(..count).collect()
}

fn weight(usage: &Usage) -> usize {
    usage.record.len().saturating_add(REPORT_BYTES)
}

fn add(sum: &mut Usage, more: Usage) {
    let plus = |one: NanoUsd, other: NanoUsd| NanoUsd(one.0.saturating_add(other.0));
    sum.cost = plus(sum.cost, more.cost);
    for charge in more.charges {
        let mut known = sum.charges.iter_mut();
        match known.find(|known| known.lease == charge.lease) {
            Some(known) => {
                known.nanos = plus(known.nanos, charge.nanos);
                known.over = plus(known.over, charge.over);
            }
            None => sum.charges.push(charge),
        }
    }
    for debt in more.debts {
        let mut known = sum.debts.iter_mut();
        match known.find(|known| known.scope == debt.scope) {
            Some(known) => known.nanos = plus(known.nanos, debt.nanos),
            None => sum.debts.push(debt),
        }
    }
}
