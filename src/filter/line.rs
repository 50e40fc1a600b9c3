//! A worker's line of batches to the budget service, as far as it must outlive the worker's VM.
//!
//! In data shared by all workers stand: who this process is and how many lines it has (`tollgate.H`); for each line the
//! batch that waits for its answer (`tollgate.B.N`), the reports that are in no batch yet (`tollgate.P.N.M`), and when it
//! was last alive (`tollgate.T.N`). A line whose VM was lost is silent, and another worker adopts what it left.

use tollgate_core::money::holder::{Bookmark, Outbox};
use tollgate_core::money::ids::{Incarnation, LeaseId, Millis, RecordNumber, Seq, StreamId};
use tollgate_core::money::message::{SyncRequest, Usage};
use tollgate_wire::{decode_batch, encode_batch};

use crate::host::shared;

const PROCESS: &str = "tollgate.H";
/// Whoever asked for a name and got none is taken for dead after this.
const ASKED_FOR_DEAD_MS: u64 = 2_000;
/// A line that was silent for so long has lost its VM.
const ORPHAN_MS: u64 = 5_000;
/// Reports that are kept apart from batches; more than these are only in the VM.
const KEPT: u64 = 1_024;
/// Lines a process may have: one for each life of each worker's VM.
const LINES_MAX: u32 = 4_096;
/// The line has nothing left to say.
const FINISHED: u64 = u64::MAX;

/// A line of this worker.
#[derive(Debug)]
pub(crate) struct Line {
    incarnation: Incarnation,
    stream: StreamId,
}

/// What came of the wish for a line.
#[derive(Debug)]
pub(crate) enum Begun {
    /// Here it is.
    Line(Box<(Line, Outbox, LeaseId)>),
    /// Nobody knows who this process is: the service must be asked, by this worker.
    SayHello,
    /// Another worker asks.
    Wait,
}

/// What a lost VM left.
#[derive(Debug)]
pub(crate) enum Orphan {
    /// A line that goes on.
    Speaks(Outbox),
    /// Reports of a line that the budget service does not know any more.
    OfAForgottenLife(Outbox),
}

/// Who this process is.
#[derive(Clone, Copy, Debug, Default)]
struct Process {
    incarnation: u64,
    lines: u64,
    asked_at: u64,
    /// The first lease it was given under this name.
    leases_from: u64,
    /// The first line that speaks under this name.
    lines_from: u64,
}

impl Process {
    fn read(bytes: &[u8]) -> Self {
        let [incarnation, lines, asked_at, leases_from, lines_from] = words(bytes);
        Self {
            incarnation,
            lines,
            asked_at,
            leases_from,
            lines_from,
        }
    }

    fn bytes(self) -> Vec<u8> {
        bytes([
            self.incarnation,
            self.lines,
            self.asked_at,
            self.leases_from,
            self.lines_from,
        ])
    }
}

fn words<const COUNT: usize>(bytes: &[u8]) -> [u64; COUNT] {
    let mut words = [0; COUNT];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

fn bytes<const COUNT: usize>(words: [u64; COUNT]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl Line {
    /// Takes the next line of this process.
    pub(crate) fn begin(now: Millis) -> Begun {
        let begun = shared::change(PROCESS, |value| {
            let process = Process::read(value);
            if process.incarnation == 0 {
                let asking = process.asked_at > 0
                    && !now.is_over(Millis(process.asked_at), ASKED_FOR_DEAD_MS);
                if asking {
                    return (None, None);
                }
                let asks = Process {
                    asked_at: now.0,
                    ..process
                };
                return (Some(asks.bytes()), Some(Process::default()));
            }
            let taken = Process {
                lines: process.lines.saturating_add(1),
                ..process
            };
            (Some(taken.bytes()), Some(process))
        });
        match begun {
            Ok(Some(Process { incarnation: 0, .. })) => Begun::SayHello,
            Ok(Some(process)) => {
                let incarnation = Incarnation(process.incarnation);
                let stream = StreamId(u32::try_from(process.lines).unwrap_or(u32::MAX));
                let line = Self {
                    incarnation,
                    stream,
                };
                line.live(now);
                let outbox = Outbox::new(incarnation, stream);
                Begun::Line(Box::new((line, outbox, LeaseId(process.leases_from))))
            }
            Ok(None) | Err(_) => Begun::Wait,
        }
    }

    /// The service said who this process is. The first answer counts.
    pub(crate) fn introduce(incarnation: u64, leases_from: u64) {
        let _ = shared::change(PROCESS, |value| {
            let process = Process::read(value);
            if process.incarnation > 0 {
                return (None, ());
            }
            let named = Process {
                incarnation,
                leases_from,
                lines_from: process.lines,
                ..process
            };
            (Some(named.bytes()), ())
        });
    }

    /// The service has forgotten who this process is: it needs another name. Only whoever finds out first takes it away.
    pub(crate) fn forget_process(self) {
        finish(self.stream);
        let _ = shared::change(PROCESS, |value| {
            let process = Process::read(value);
            if process.incarnation != self.incarnation.0 {
                return (None, ());
            }
            let nameless = Process {
                incarnation: 0,
                asked_at: 0,
                ..process
            };
            (Some(nameless.bytes()), ())
        });
    }

    /// Keeps the report that came last, until it is in a batch. Its place is the one that its number will have there.
    pub(crate) fn keep_newest(&self, outbox: &Outbox) {
        let waiting = u64::try_from(outbox.backlog()).unwrap_or(u64::MAX);
        let (Some(newest), Some(before)) = (outbox.newest(), waiting.checked_sub(1)) else {
            return;
        };
        if before < KEPT {
            let place = outbox.bookmark().last_record.0.saturating_add(before);
            let mut value = bytes([place]);
            value.extend(encode_batch(SyncRequest {
                usage: vec![newest.clone()],
                ..SyncRequest::default()
            }));
            let _ = shared::write(&report_key(self.stream, place), &value);
        }
    }

    /// Keeps a batch until it is answered.
    pub(crate) fn keep_batch(&self, bookmark: Bookmark, message: &[u8]) {
        let mut value = bytes([
            bookmark.answered.0,
            bookmark.last_record.0,
            bookmark.last_open,
        ]);
        value.extend_from_slice(message);
        let _ = shared::write(&batch_key(self.stream), &value);
    }

    /// The batch was answered. This is written before what the answer brought is used: a batch that is sent again gets
    /// the same answer again, and money must not land twice.
    pub(crate) fn answered(&self, bookmark: Bookmark) {
        let value = bytes([
            bookmark.answered.0,
            bookmark.last_record.0,
            bookmark.last_open,
        ]);
        let _ = shared::write(&batch_key(self.stream), &value);
    }

    /// Whose line it is.
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// It is alive.
    pub(crate) fn live(&self, now: Millis) {
        let _ = shared::write(&life_key(self.stream), &bytes([now.0]));
    }

    /// Lines whose VM was lost: what they left goes on from here.
    pub(crate) fn adopt_orphans(&self, now: Millis) -> Vec<Orphan> {
        let read = shared::read(PROCESS).ok().flatten();
        let process = read.map_or_else(Process::default, |read| Process::read(&read.value));
        if process.incarnation != self.incarnation.0 {
            return Vec::new();
        }
        let number = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let first = StreamId(number(process.lines_from));
        let last = number(process.lines);
        (last.saturating_sub(LINES_MAX)..last)
            .map(StreamId)
            .filter(|stream| *stream != self.stream && claim(*stream, now))
            .map(|stream| {
                let left = adopt(self.incarnation, stream);
                if stream < first {
                    finish(stream);
                    Orphan::OfAForgottenLife(left)
                } else {
                    Orphan::Speaks(left)
                }
            })
            .collect()
    }
}

/// The line has nothing left to say.
pub(crate) fn finish(stream: StreamId) {
    let _ = shared::write(&life_key(stream), &bytes([FINISHED]));
}

/// An adopted line is alive.
pub(crate) fn keep_alive(stream: StreamId, now: Millis) {
    let _ = shared::write(&life_key(stream), &bytes([now.0]));
}

/// Only one worker adopts a line.
fn claim(stream: StreamId, now: Millis) -> bool {
    let claimed = shared::change(&life_key(stream), |value| {
        let [lived_at] = words(value);
        let orphaned = lived_at > 0 && lived_at != FINISHED && {
            let silent_ms = now.since(Millis(lived_at));
            silent_ms > ORPHAN_MS
        };
        (orphaned.then(|| bytes([now.0])), orphaned)
    });
    claimed.unwrap_or(false)
}

fn adopt(incarnation: Incarnation, stream: StreamId) -> Outbox {
    let kept = shared::read(&batch_key(stream)).ok().flatten();
    let (bookmark, batch) = kept.map_or_else(
        || (Bookmark::default(), None),
        |read| {
            let [answered, last_record, last_open] = words(&read.value);
            let bookmark = Bookmark {
                answered: Seq(answered),
                last_record: RecordNumber(last_record),
                last_open,
            };
            let message = read.value.get(24..).unwrap_or_default();
            (
                bookmark,
                decode_batch(message).ok().filter(|_| !message.is_empty()),
            )
        },
    );
    let first = bookmark.last_record.0;
    let mut outbox = Outbox::resume(incarnation, stream, bookmark, batch);
    for number in first..first.saturating_add(KEPT) {
        match kept_report(stream, number) {
            Some(usage) => outbox.report(usage),
            None => break,
        }
    }
    outbox
}

fn kept_report(stream: StreamId, number: u64) -> Option<Usage> {
    let read = shared::read(&report_key(stream, number)).ok().flatten()?;
    let [kept] = words(&read.value);
    if kept != number {
        return None;
    }
    let batch = decode_batch(read.value.get(8..)?).ok()?;
    batch.usage.into_iter().next()
}

fn batch_key(stream: StreamId) -> String {
    format!("tollgate.B.{}", stream.0)
}

fn life_key(stream: StreamId) -> String {
    format!("tollgate.T.{}", stream.0)
}

fn report_key(stream: StreamId, number: u64) -> String {
    let slot = number.checked_rem(KEPT).unwrap_or_default();
    format!("tollgate.P.{}.{slot}", stream.0)
}
