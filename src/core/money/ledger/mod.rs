//! The side of the service: what a batch changes, decided over the rows it touches.
//!
//! A store loads a [`View`], asks here, and writes the [`Changes`] in one transaction; only then is the reply sent. Nothing
//! here knows the store. For every account b and lease l, after every decision:
//!
//! * at every grant of x: `posted_b + held_b + x <= limit_b`;
//! * `held_b` is the sum of `granted - settled - returned` over the active leases;
//! * `posted_b` is the sum of what the records charged, of what is presumed, and of what was corrected.

mod correction;
mod evidence;
mod grant;
mod rows;
mod silence;
mod status;
mod tight;
mod view;

pub use correction::{correct, reconcile};
pub use rows::{
    Account, Budget, Counters, Holder, HolderStanding, Lease, LeaseStanding, OpenBudget, Scope,
    Stream,
};
pub use silence::{Patience, judge, presume};
pub use tight::Tight;
pub use view::{Alert, Changes, Correction, Needs, Opening, Record, View, before};

use crate::money::ids::{BodyHash, Incarnation, LeaseId, ScopeId, Seq};
use crate::money::message::{HelloReply, Refusal, SyncReply, SyncRequest};
use crate::units::{NanoUsd, Timestamp};
use grant::Asker;
use view::Draft;

/// What became of a batch that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is new: write the changes, then reply.
    Applied(Box<Applied>),
    /// It was answered before: reply the same.
    Repeated(SyncReply),
}

/// What a new batch does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What to answer once the changes are durable.
    pub reply: SyncReply,
    /// What to write.
    pub changes: Changes,
    /// Scopes in which somebody needed more than there was, for [`Tight`].
    pub short: Vec<ScopeId>,
}

/// Gives a new process its incarnation. A hello that is repeated gets another one; the first is never used.
pub fn hello(view: &View, now: Timestamp) -> Result<(HelloReply, Changes), Refusal> {
    let mut counters = view.counters;
    let next = counters.incarnation.0.checked_add(1);
    let incarnation = Incarnation(next.ok_or(Refusal::AbsurdAmount)?);
    counters.incarnation = incarnation;
    let leases_from = LeaseId(counters.lease.0.saturating_add(1));
    let holder = Holder {
        joined_at: now,
        heard_at: now,
        standing: HolderStanding::Alive,
    };
    let changes = Changes {
        counters: Some(counters),
        holders: [(incarnation, holder)].into(),
        ..Changes::default()
    };
    let reply = HelloReply {
        incarnation,
        leases_from,
    };
    Ok((reply, changes))
}

/// Decides about one batch. `recall` names the scopes in which money is tight.
pub fn apply(
    view: &View,
    batch: &SyncRequest,
    hash: BodyHash,
    now: Timestamp,
    recall: &[ScopeId],
) -> Result<Outcome, Refusal> {
    let name = (batch.incarnation, batch.stream);
    let holder = view.holders.get(&batch.incarnation);
    let mut holder = *holder.ok_or(Refusal::UnknownHolder)?;
    let stream = view.streams.get(&name).cloned().unwrap_or_default();
    if let Some(reply) = answered_before(&stream, batch.seq, hash)? {
        return Ok(Outcome::Repeated(reply));
    }
    let mut draft = Draft::new(view);
    let mut last_record = stream.last_record;
    for open in &batch.opens {
        evidence::check(open.reserved)?;
        draft.changes.opened.push(Opening {
            incarnation: batch.incarnation,
            stream: batch.stream,
            open: open.clone(),
        });
    }
    for usage in &batch.usage {
        if usage.number <= last_record {
            let number = usage.number;
            return Err(Refusal::RecordRepeated { number });
        }
        last_record = usage.number;
        for charge in &usage.charges {
            evidence::charge(&mut draft, batch.incarnation, *charge)?;
        }
        for debt in &usage.debts {
            evidence::owe(&mut draft, batch.incarnation, *debt)?;
        }
        let closed = usage.closes.map(|open| (batch.incarnation, open));
        draft.changes.closed.extend(closed);
        draft.changes.records.push(Record {
            incarnation: batch.incarnation,
            stream: batch.stream,
            usage: usage.clone(),
        });
    }
    for back in &batch.returns {
        evidence::give_back(&mut draft, batch.incarnation, *back)?;
    }
    status::announce(&mut draft)?;
    let asker = Asker {
        incarnation: batch.incarnation,
        age_ms: now.millis_since(holder.joined_at),
    };
    let (reply, short) = answer(&mut draft, &asker, batch, recall)?;
    holder.heard_at = holder.heard_at.max(now);
    holder.standing = HolderStanding::Alive;
    let mut changes = draft.changes;
    changes.holders.insert(batch.incarnation, holder);
    let stream = Stream {
        answered: batch.seq,
        hash,
        reply: reply.clone(),
        last_record,
    };
    changes.streams.insert(name, stream);
    Ok(Outcome::Applied(Box::new(Applied {
        reply,
        changes,
        short,
    })))
}

/// Only the next batch of a stream is new. The last one is known by its digest.
fn answered_before(
    stream: &Stream,
    seq: Seq,
    hash: BodyHash,
) -> Result<Option<SyncReply>, Refusal> {
    let answered = stream.answered;
    let expected = Seq(answered.0.saturating_add(1));
    if seq == expected {
        Ok(None)
    } else if seq > expected {
        Err(Refusal::Gap { expected })
    } else if seq < answered || seq == Seq(0) {
        Err(Refusal::Stale { answered })
    } else if hash == stream.hash {
        Ok(Some(stream.reply.clone()))
    } else {
        Err(Refusal::ReplayDiffers)
    }
}

fn answer(
    draft: &mut Draft<'_>,
    asker: &Asker,
    batch: &SyncRequest,
    recall: &[ScopeId],
) -> Result<(SyncReply, Vec<ScopeId>), Refusal> {
    let mut reply = SyncReply {
        seq: batch.seq,
        recall: recall.to_vec(),
        ..SyncReply::default()
    };
    let mut short = Vec::new();
    for want in &batch.wants {
        evidence::check(want.need)?;
        evidence::check(want.want)?;
        // A scope that was deleted gives nothing, and there is no reason to hold up the rest of the batch.
        let Some(scope) = draft.view.scopes.get(&want.scope) else {
            reply.denied.push(want.scope);
            continue;
        };
        let granted = grant::grant(draft, asker, scope, want)?;
        if granted.is_none() {
            reply.denied.push(want.scope);
            if want.need > NanoUsd::ZERO {
                short.push(want.scope);
            }
        }
        reply.grants.extend(granted);
        reply.status.extend(status::status(draft, scope)?);
    }
    Ok((reply, short))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod stories;
