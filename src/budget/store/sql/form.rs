//! Rows of the ledger as values of columns, and back. Whatever cannot be read back is damage, never a default.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tollgate_core::money::ids::{
    AccountKey, BodyHash, BudgetId, Incarnation, LeaseId, OpenId, RecordNumber, ScopeId, Seq,
    StreamId, WindowId,
};
use tollgate_core::money::ledger::{
    Account, Holder, HolderStanding, Lease, LeaseStanding, Opening, Stream,
};
use tollgate_core::money::message::{Charge, Debt, Grant, Open, Status, SyncReply};
use tollgate_core::money::thresholds::Action;
use tollgate_core::units::{NanoUsd, Timestamp};

use super::engine::{Answer, Clash, Kind, Row, Table, Value, damaged};

use Kind::{Bytes, Int, Text};

pub(super) const COUNTER: Table = Table {
    name: "counter",
    columns: &[("name", Text), ("value", Int)],
    keys: 1,
    clash: Clash::Replace,
};

pub(super) const HOLDER: Table = Table {
    name: "holder",
    columns: &[
        ("incarnation", Int),
        ("joined_at", Int),
        ("heard_at", Int),
        ("standing", Int),
    ],
    keys: 1,
    clash: Clash::Replace,
};

pub(super) fn holder_values(by: Incarnation, holder: &Holder) -> Vec<Value> {
    let standing: u32 = match holder.standing {
        HolderStanding::Alive => 0,
        HolderStanding::Suspect => 1,
        HolderStanding::Presumed => PRESUMED_HOLDER,
    };
    vec![
        by.into(),
        holder.joined_at.0.into(),
        holder.heard_at.0.into(),
        standing.into(),
    ]
}

pub(super) const PRESUMED_HOLDER: u32 = 2;

pub(super) fn holder(row: &mut Row) -> Answer<(Incarnation, Holder)> {
    let by = Incarnation(row.number()?);
    let (joined_at, heard_at) = (Timestamp(row.number()?), Timestamp(row.number()?));
    let standing = match row.int()? {
        0 => HolderStanding::Alive,
        1 => HolderStanding::Suspect,
        2 => HolderStanding::Presumed,
        other => return Err(damaged(format!("holder {} stands {other}", by.0))),
    };
    let holder = Holder {
        joined_at,
        heard_at,
        standing,
    };
    Ok((by, holder))
}

pub(super) const STREAM: Table = Table {
    name: "stream",
    columns: &[
        ("incarnation", Int),
        ("stream", Int),
        ("answered", Int),
        ("hash", Bytes),
        ("reply", Text),
        ("last_record", Int),
    ],
    keys: 2,
    clash: Clash::Replace,
};

pub(super) fn stream_values(name: (Incarnation, StreamId), stream: &Stream) -> Vec<Value> {
    vec![
        name.0.into(),
        name.1.0.into(),
        stream.answered.0.into(),
        Value::Bytes(stream.hash.0.to_vec()),
        Value::Text(reply_text(&stream.reply)),
        stream.last_record.0.into(),
    ]
}

pub(super) fn stream(row: &mut Row) -> Answer<((Incarnation, StreamId), Stream)> {
    let name = (Incarnation(row.number()?), StreamId(row.small()?));
    let answered = Seq(row.number()?);
    let hash = row.bytes()?;
    let hash = BodyHash(
        hash.try_into()
            .map_err(|_| damaged("a digest".to_owned()))?,
    );
    let reply = read_reply(&row.text()?)?;
    let last_record = RecordNumber(row.number()?);
    let stream = Stream {
        answered,
        hash,
        reply,
        last_record,
    };
    Ok((name, stream))
}

type GrantForm = (u64, u64, u32, u64, u32);
type StatusForm = (u64, u8, u64, u64, Option<u64>, Option<u64>);
type ReplyForm = (u64, Vec<GrantForm>, Vec<u64>, Vec<u64>, Vec<StatusForm>);

fn reply_text(reply: &SyncReply) -> String {
    let grant = |grant: &Grant| {
        (
            grant.scope.0,
            grant.lease.0,
            grant.window.0,
            grant.nanos.0,
            grant.ttl_ms,
        )
    };
    let status = |status: &Status| {
        (
            status.scope.0,
            action_number(status.action),
            status.spent.0,
            status.limit.0,
            status.resets_in_ms,
            status.left.map(|left| left.0),
        )
    };
    let scopes = |scopes: &[ScopeId]| scopes.iter().map(|scope| scope.0).collect::<Vec<u64>>();
    let form: ReplyForm = (
        reply.seq.0,
        reply.grants.iter().map(grant).collect(),
        scopes(&reply.denied),
        scopes(&reply.recall),
        reply.status.iter().map(status).collect(),
    );
    json(&form)
}

fn read_reply(text: &str) -> Answer<SyncReply> {
    let (seq, grants, denied, recall, status): ReplyForm = read_json(text)?;
    let grant = |(scope, lease, window, nanos, ttl_ms): GrantForm| Grant {
        scope: ScopeId(scope),
        lease: LeaseId(lease),
        window: WindowId(window),
        nanos: NanoUsd(nanos),
        ttl_ms,
    };
    let mut reply = SyncReply {
        seq: Seq(seq),
        grants: grants.into_iter().map(grant).collect(),
        denied: denied.into_iter().map(ScopeId).collect(),
        recall: recall.into_iter().map(ScopeId).collect(),
        status: Vec::with_capacity(status.len()),
    };
    for (scope, action, spent, limit, resets_in_ms, left) in status {
        reply.status.push(Status {
            scope: ScopeId(scope),
            action: read_action(action)?,
            spent: NanoUsd(spent),
            limit: NanoUsd(limit),
            resets_in_ms,
            left: left.map(NanoUsd),
        });
    }
    Ok(reply)
}

fn action_number(action: Action) -> u8 {
    match action {
        Action::None => 0,
        Action::Log => 1,
        Action::Warn => 2,
        Action::Downgrade => 3,
        Action::Refuse => 4,
    }
}

fn read_action(number: u8) -> Answer<Action> {
    Ok(match number {
        0 => Action::None,
        1 => Action::Log,
        2 => Action::Warn,
        3 => Action::Downgrade,
        4 => Action::Refuse,
        other => return Err(damaged(format!("an answer asks for {other}"))),
    })
}

pub(super) const LEASE: Table = Table {
    name: "lease",
    columns: &[
        ("id", Int),
        ("incarnation", Int),
        ("scope", Int),
        ("accounts", Text),
        ("granted", Int),
        ("settled", Int),
        ("returned", Int),
        ("overrun", Int),
        ("standing", Int),
        ("is_live", Int),
    ],
    keys: 1,
    clash: Clash::Replace,
};

pub(super) fn lease_values(id: LeaseId, lease: &Lease) -> Vec<Value> {
    let accounts = lease
        .accounts
        .iter()
        .map(|key| (key.budget.0, key.window.0));
    let standing: u32 = match lease.standing {
        LeaseStanding::Active => 0,
        LeaseStanding::Presumed => 1,
    };
    vec![
        id.0.into(),
        lease.incarnation.into(),
        lease.scope.0.into(),
        Value::Text(json(&accounts.collect::<Vec<_>>())),
        lease.granted.0.into(),
        lease.settled.0.into(),
        lease.returned.0.into(),
        lease.overrun.0.into(),
        standing.into(),
        u32::from(crate::store::books::is_live(lease)).into(),
    ]
}

pub(super) fn lease(row: &mut Row) -> Answer<(LeaseId, Lease)> {
    let id = LeaseId(row.number()?);
    let (incarnation, scope) = (Incarnation(row.number()?), ScopeId(row.number()?));
    let accounts: Vec<(u64, u32)> = read_json(&row.text()?)?;
    let key = |(budget, window)| AccountKey {
        budget: BudgetId(budget),
        window: WindowId(window),
    };
    let lease = Lease {
        incarnation,
        scope,
        accounts: accounts.into_iter().map(key).collect(),
        granted: NanoUsd(row.number()?),
        settled: NanoUsd(row.number()?),
        returned: NanoUsd(row.number()?),
        overrun: NanoUsd(row.number()?),
        standing: match row.int()? {
            0 => LeaseStanding::Active,
            1 => LeaseStanding::Presumed,
            other => return Err(damaged(format!("lease {} stands {other}", id.0))),
        },
    };
    Ok((id, lease))
}

pub(super) const CURRENT: Table = Table {
    name: "current_lease",
    columns: &[("incarnation", Int), ("scope", Int), ("lease", Int)],
    keys: 2,
    clash: Clash::Replace,
};

pub(super) const ACCOUNT: Table = Table {
    name: "account",
    columns: &[
        ("budget", Int),
        ("window_id", Int),
        ("held", Int),
        ("posted", Int),
        ("carried", Int),
        ("overrun", Int),
        ("announced", Int),
    ],
    keys: 2,
    clash: Clash::Replace,
};

pub(super) fn account_values(key: AccountKey, account: &Account) -> Vec<Value> {
    vec![
        key.budget.0.into(),
        key.window.0.into(),
        account.held.0.into(),
        account.posted.0.into(),
        account.carried.0.into(),
        account.overrun.0.into(),
        account.announced.into(),
    ]
}

pub(super) fn account(row: &mut Row) -> Answer<(AccountKey, Account)> {
    let key = AccountKey {
        budget: BudgetId(row.number()?),
        window: WindowId(row.small()?),
    };
    let account = Account {
        held: NanoUsd(row.number()?),
        posted: NanoUsd(row.number()?),
        carried: NanoUsd(row.number()?),
        overrun: NanoUsd(row.number()?),
        announced: row.small()?,
    };
    Ok((key, account))
}

pub(super) const OPENING: Table = Table {
    name: "opening",
    columns: &[
        ("incarnation", Int),
        ("stream", Int),
        ("number", Int),
        ("trace", Bytes),
        ("reserved", Int),
    ],
    keys: 3,
    clash: Clash::Replace,
};

pub(super) fn opening_values(name: (Incarnation, OpenId), opening: &Opening) -> Vec<Value> {
    vec![
        name.0.into(),
        name.1.stream.0.into(),
        name.1.number.into(),
        Value::Bytes(opening.open.trace.to_vec()),
        opening.open.reserved.0.into(),
    ]
}

pub(super) fn opening(row: &mut Row) -> Answer<Opening> {
    let (incarnation, stream) = (Incarnation(row.number()?), StreamId(row.small()?));
    let number = row.number()?;
    let trace = row.bytes()?.try_into();
    Ok(Opening {
        incarnation,
        stream,
        open: Open {
            number,
            trace: trace.map_err(|_| damaged("the trace of an opening".to_owned()))?,
            reserved: NanoUsd(row.number()?),
        },
    })
}

type PaidForm = (Vec<(u64, u64, u64)>, Vec<(u64, u64)>);

/// Who paid for a record.
pub(super) fn paid_text(charges: &[Charge], debts: &[Debt]) -> String {
    let charges = charges
        .iter()
        .map(|charge| (charge.lease.0, charge.nanos.0, charge.over.0));
    let debts = debts.iter().map(|debt| (debt.scope.0, debt.nanos.0));
    let form: PaidForm = (charges.collect(), debts.collect());
    json(&form)
}

pub(super) fn read_paid(text: &str) -> Answer<(Vec<Charge>, Vec<Debt>)> {
    let (charges, debts): PaidForm = read_json(text)?;
    let charge = |(lease, nanos, over)| Charge {
        lease: LeaseId(lease),
        nanos: NanoUsd(nanos),
        over: NanoUsd(over),
    };
    let debt = |(scope, nanos)| Debt {
        scope: ScopeId(scope),
        nanos: NanoUsd(nanos),
    };
    Ok((
        charges.into_iter().map(charge).collect(),
        debts.into_iter().map(debt).collect(),
    ))
}

fn json(form: &impl Serialize) -> String {
    // Numbers and lists of numbers can always be written.
    serde_json::to_string(form).unwrap_or_default()
}

fn read_json<Form: DeserializeOwned>(text: &str) -> Answer<Form> {
    serde_json::from_str(text).map_err(|why| damaged(format!("`{text}` in a row: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_comes_back_as_it_was_given() {
        let status = |action| Status {
            scope: ScopeId(u64::MAX),
            action,
            spent: NanoUsd(3),
            limit: NanoUsd(u64::MAX),
            resets_in_ms: Some(7),
            left: Some(NanoUsd(8)),
        };
        use Action::{Downgrade, Log, None, Refuse, Warn};
        let reply = SyncReply {
            seq: Seq(9),
            grants: vec![Grant {
                scope: ScopeId(1),
                lease: LeaseId(2),
                window: WindowId(3),
                nanos: NanoUsd(4),
                ttl_ms: 5,
            }],
            denied: vec![ScopeId(6)],
            recall: vec![ScopeId(7), ScopeId(8)],
            status: [None, Log, Warn, Downgrade, Refuse].map(status).to_vec(),
        };
        assert_eq!(read_reply(&reply_text(&reply)), Ok(reply));
        assert!(read_reply("[1,[],[],[],[[1,9,1,1,null]]]").is_err());
    }
}
