//! Spend, records, the audit log, alerts: what the store says.

use serde_json::{Value, json};
use tollgate_core::config::moment;
use tollgate_core::tenancy::form::dollars;
use tollgate_core::units::Timestamp;

use super::operation::Operation;
use super::reply::{Refused, Reply, put};
use super::request::{Context, Request, read_duration, wrong};
use crate::store::{
    AlertRow, AlertStanding, AuditRow, Dimension, Every, Figures, Order, Paged, RecordFilter,
    ReportQuery, StoredRecord,
};

const SECOND: u64 = 1_000_000_000;
/// Where no beginning is said: a month.
const PERIOD: u64 = 30 * 86_400 * SECOND;
/// A report with more pieces is none that anybody reads.
const PIECES_MAX: u64 = 1_000;

const DIMENSIONS: [(&str, Dimension); 10] = [
    ("org", Dimension::Org),
    ("team", Dimension::Team),
    ("user", Dimension::User),
    ("key", Dimension::Key),
    ("model", Dimension::Model),
    ("model_served", Dimension::ModelServed),
    ("provider", Dimension::Provider),
    ("endpoint", Dimension::Endpoint),
    ("tag", Dimension::Tag),
    ("status_class", Dimension::StatusClass),
];

fn only(request: &Request) -> Vec<(Dimension, String)> {
    let asked = |(name, dimension): &(&str, Dimension)| {
        request
            .asks(name)
            .map(|value| (*dimension, value.to_owned()))
    };
    DIMENSIONS.iter().filter_map(asked).collect()
}

pub(super) fn spend(context: &Context, _: &Operation, request: &Request) -> Result<Reply, Refused> {
    let until = request.moment("until")?.unwrap_or(request.now);
    let from = request.moment("from")?;
    let from = from.unwrap_or_else(|| Timestamp(until.0.saturating_sub(PERIOD)));
    if from >= until {
        return Err(wrong("from", "write a moment before `until`"));
    }
    let mut by = Vec::new();
    let names = request.asks("by").unwrap_or_default();
    for name in names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        let known = DIMENSIONS.iter().find(|(known, _)| *known == name);
        let (_, dimension) = known.ok_or_else(|| {
            let names: Vec<&str> = DIMENSIONS.iter().map(|(name, _)| *name).collect();
            wrong("by", &format!("write some of `{}`", names.join("`, `")))
        })?;
        by.push((name.to_owned(), *dimension));
    }
    let every = every(request, from, until)?;
    let query = ReportQuery {
        from,
        until,
        only: only(request),
        by: by.iter().map(|(_, dimension)| *dimension).collect(),
        every,
    };
    let report = context.read(|reader| reader.report(&query))?;
    let lines: Vec<Value> = report
        .lines
        .iter()
        .map(|line| {
            let mut shown = figures(&line.figures);
            if every != Every::Whole {
                put(&mut shown, "from", json!(show_moment(line.from)));
            }
            for ((name, _), value) in by.iter().zip(&line.values) {
                put(&mut shown, name, json!(value));
            }
            shown
        })
        .collect();
    Ok(Reply::ok(json!({
        "from": show_moment(from),
        "until": show_moment(until),
        "data": lines,
        "total": figures(&report.total),
    })))
}

fn every(request: &Request, from: Timestamp, until: Timestamp) -> Result<Every, Refused> {
    let Some(text) = request.asks("every") else {
        return Ok(Every::Whole);
    };
    let seconds = read_duration(text).filter(|seconds| *seconds > 0 && seconds % 3_600 == 0);
    let hours = seconds.and_then(|seconds| u32::try_from(seconds / 3_600).ok());
    let hours = hours.ok_or_else(|| wrong("every", "write whole hours or days: `1h`, `1d`"))?;
    let piece = u64::from(hours).saturating_mul(3_600 * SECOND);
    let pieces = until.0.saturating_sub(from.0).checked_div(piece);
    if pieces.is_none_or(|pieces| pieces > PIECES_MAX) {
        let fix = format!("write longer pieces, or a shorter period: at most {PIECES_MAX} pieces");
        return Err(wrong("every", &fix));
    }
    Ok(Every::Hours(hours))
}

fn figures(figures: &Figures) -> Value {
    json!({
        "requests": figures.requests,
        "errors": figures.errors,
        "client_left": figures.client_left,
        "fallbacks": figures.fallbacks,
        "cost": dollars(figures.cost),
        "cost_nanousd": figures.cost.0,
        "unpriced": figures.unpriced,
        "tokens": figures.tokens,
        "tokens_total": figures.tokens_total(),
        "cache_hits": figures.cache_hits,
        "cache_misses": figures.cache_misses,
        "saved": dollars(figures.saved),
    })
}

pub(super) fn records(
    context: &Context,
    _: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    let status = match request.asks("status").map(str::parse) {
        None => None,
        Some(Ok(status)) => Some(status),
        Some(Err(_)) => return Err(wrong("status", "write a status: `200`")),
    };
    let order = match request.asks("order") {
        None | Some("newest_first") => Order::NewestFirst,
        Some("oldest_first") => Order::OldestFirst,
        Some(_) => return Err(wrong("order", "write `newest_first` or `oldest_first`")),
    };
    let filter = RecordFilter {
        from: request.moment("from")?,
        until: request.moment("until")?,
        only: only(request),
        trace: request.asks("trace").map(str::to_owned),
        status,
        end: request.asks("end").map(str::to_owned),
        order,
    };
    let page = request.page()?;
    let paged = context.read(|reader| reader.records(&filter, &page))?;
    Ok(paged_reply(paged, |record: &StoredRecord| {
        let line = serde_json::from_str::<Value>(&record.line);
        json!({
            "name": record.name.to_string(),
            "record": line.unwrap_or_else(|_| json!(record.line)),
            "cost": dollars(record.cost()),
            "corrected": record.corrected.map(dollars),
        })
    }))
}

pub(super) fn audit(context: &Context, _: &Operation, request: &Request) -> Result<Reply, Refused> {
    let page = request.page()?;
    let paged = context.read(|reader| reader.audit(&page))?;
    Ok(paged_reply(paged, |row: &AuditRow| {
        json!({
            "id": row.id,
            "at": show_moment(row.at),
            "actor": row.entry.actor,
            "action": row.entry.action,
            "kind": row.entry.kind,
            "name": row.entry.id,
            "detail": serde_json::from_str::<Value>(&row.entry.detail).unwrap_or_default(),
        })
    }))
}

pub(super) fn alerts(
    context: &Context,
    _: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    let page = request.page()?;
    let paged = context.read(|reader| reader.alerts(&page))?;
    Ok(paged_reply(paged, |row: &AlertRow| {
        let standing = match row.standing {
            AlertStanding::Pending => "pending",
            AlertStanding::Sent => "sent",
            AlertStanding::GivenUp => "given_up",
        };
        json!({
            "id": row.id.0,
            "at": show_moment(row.at),
            "alert": serde_json::from_str::<Value>(&row.body).unwrap_or_default(),
            "standing": standing,
            "tries": row.tries,
        })
    }))
}

fn paged_reply<Row>(paged: Paged<Row>, show: fn(&Row) -> Value) -> Reply {
    let data: Vec<Value> = paged.rows.iter().map(show).collect();
    Reply::ok(json!({"data": data, "next": paged.next}))
}

fn show_moment(at: Timestamp) -> String {
    moment::show(at.0 / SECOND)
}
