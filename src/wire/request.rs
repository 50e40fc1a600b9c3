//! Batches.

use tollgate_core::money::holder::BATCH_ENTRIES_MAX;
use tollgate_core::money::ids::{
    Incarnation, LeaseId, OpenId, RecordNumber, ScopeId, Seq, StreamId,
};
use tollgate_core::money::message::{Charge, Debt, Open, Return, SyncRequest, Usage, Want};
use tollgate_core::units::NanoUsd;

use crate::{Unreadable, proto};

impl From<SyncRequest> for proto::SyncRequest {
    fn from(batch: SyncRequest) -> Self {
        Self {
            incarnation: batch.incarnation.0,
            stream: batch.stream.0,
            seq: batch.seq.0,
            opens: batch.opens.into_iter().map(Into::into).collect(),
            usage: batch.usage.into_iter().map(Into::into).collect(),
            returns: batch.returns.into_iter().map(Into::into).collect(),
            wants: batch.wants.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<proto::SyncRequest> for SyncRequest {
    type Error = Unreadable;

    fn try_from(batch: proto::SyncRequest) -> Result<Self, Unreadable> {
        bounded("SyncRequest.opens", batch.opens.len())?;
        bounded("SyncRequest.usage", batch.usage.len())?;
        bounded("SyncRequest.returns", batch.returns.len())?;
        bounded("SyncRequest.wants", batch.wants.len())?;
        let opens = batch.opens.into_iter().map(TryInto::try_into);
        Ok(Self {
            incarnation: Incarnation(batch.incarnation),
            stream: StreamId(batch.stream),
            seq: Seq(batch.seq),
            opens: opens.collect::<Result<_, _>>()?,
            usage: batch.usage.into_iter().map(Into::into).collect(),
            returns: batch.returns.into_iter().map(Into::into).collect(),
            wants: batch.wants.into_iter().map(Into::into).collect(),
        })
    }
}

fn bounded(at: &'static str, entries: usize) -> Result<(), Unreadable> {
    if entries > BATCH_ENTRIES_MAX {
        let why = format!("{entries} entries are more than {BATCH_ENTRIES_MAX}");
        return Err(Unreadable::new(at, why));
    }
    Ok(())
}

impl From<Open> for proto::Open {
    fn from(open: Open) -> Self {
        Self {
            number: open.number,
            trace: open.trace.to_vec(),
            reserved: open.reserved.0,
        }
    }
}

impl TryFrom<proto::Open> for Open {
    type Error = Unreadable;

    fn try_from(open: proto::Open) -> Result<Self, Unreadable> {
        let trace = open.trace.try_into().map_err(|trace: Vec<u8>| {
            let why = format!("a trace has 16 bytes, not {}", trace.len());
            Unreadable::new("Open.trace", why)
        })?;
        Ok(Self {
            number: open.number,
            trace,
            reserved: NanoUsd(open.reserved),
        })
    }
}

impl From<Usage> for proto::Usage {
    fn from(usage: Usage) -> Self {
        Self {
            number: usage.number.0,
            closes: usage.closes.map(Into::into),
            charges: usage.charges.into_iter().map(Into::into).collect(),
            debts: usage.debts.into_iter().map(Into::into).collect(),
            cost: usage.cost.0,
            record: usage.record,
        }
    }
}

impl From<proto::Usage> for Usage {
    fn from(usage: proto::Usage) -> Self {
        Self {
            number: RecordNumber(usage.number),
            closes: usage.closes.map(Into::into),
            charges: usage.charges.into_iter().map(Into::into).collect(),
            debts: usage.debts.into_iter().map(Into::into).collect(),
            cost: NanoUsd(usage.cost),
            record: usage.record,
        }
    }
}

impl From<OpenId> for proto::OpenId {
    fn from(id: OpenId) -> Self {
        Self {
            stream: id.stream.0,
            number: id.number,
        }
    }
}

impl From<proto::OpenId> for OpenId {
    fn from(id: proto::OpenId) -> Self {
        Self {
            stream: StreamId(id.stream),
            number: id.number,
        }
    }
}

impl From<Charge> for proto::Charge {
    fn from(charge: Charge) -> Self {
        Self {
            lease: charge.lease.0,
            nanos: charge.nanos.0,
            over: charge.over.0,
        }
    }
}

impl From<proto::Charge> for Charge {
    fn from(charge: proto::Charge) -> Self {
        Self {
            lease: LeaseId(charge.lease),
            nanos: NanoUsd(charge.nanos),
            over: NanoUsd(charge.over),
        }
    }
}

impl From<Debt> for proto::Debt {
    fn from(debt: Debt) -> Self {
        Self {
            scope: debt.scope.0,
            nanos: debt.nanos.0,
        }
    }
}

impl From<proto::Debt> for Debt {
    fn from(debt: proto::Debt) -> Self {
        Self {
            scope: ScopeId(debt.scope),
            nanos: NanoUsd(debt.nanos),
        }
    }
}

impl From<Return> for proto::Return {
    fn from(back: Return) -> Self {
        Self {
            lease: back.lease.0,
            nanos: back.nanos.0,
        }
    }
}

impl From<proto::Return> for Return {
    fn from(back: proto::Return) -> Self {
        Self {
            lease: LeaseId(back.lease),
            nanos: NanoUsd(back.nanos),
        }
    }
}

impl From<Want> for proto::Want {
    fn from(want: Want) -> Self {
        Self {
            scope: want.scope.0,
            need: want.need.0,
            want: want.want.0,
        }
    }
}

impl From<proto::Want> for Want {
    fn from(want: proto::Want) -> Self {
        Self {
            scope: ScopeId(want.scope),
            need: NanoUsd(want.need),
            want: NanoUsd(want.want),
        }
    }
}
