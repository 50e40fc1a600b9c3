//! Another price for what was served already. Records stay as they are: entries beside them, and beside the balances that
//! paid, make up for the difference.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use tollgate_core::config::moment;
use tollgate_core::price::Price;
use tollgate_core::price::rerate::{Recorded, Rerated};
use tollgate_core::tenancy::form::dollars;
use tollgate_core::units::{NanoUsd, Timestamp};

use super::backend::Reprice;
use super::operation::Operation;
use super::reply::{Refused, Reply};
use super::request::{Context, Request};
use crate::store::{AuditEntry, Order, Page, RecordFilter, StoredRecord};

const SECOND: u64 = 1_000_000_000;
/// Records that are rated in one call: it holds up whoever writes records for as long as it takes.
const PAGE_ROWS: usize = 500;
/// Where nobody says why.
const REASON: &str = "another price";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    from: String,
    until: Option<String>,
    after: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    dry_run: bool,
    prices: Vec<Priced>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Priced {
    provider: String,
    model: String,
    since: Option<String>,
    price: Price,
}

/// What became of a page of records.
#[derive(Debug, Default)]
struct Sums {
    same: usize,
    corrected: usize,
    more: u64,
    less: u64,
    not_by_usage: usize,
    no_price: usize,
    failed: usize,
}

/// The right prices of a target, the oldest first.
type Prices = BTreeMap<(String, String), Vec<(Timestamp, Price)>>;

pub(super) fn reprice(
    context: &Context,
    _: &Operation,
    request: &Request,
) -> Result<Reply, Refused> {
    let body: Body = serde_json::from_value(request.body.clone()).map_err(|error| {
        let fix = r#"write {"from": "2026-11-01", "prices": [{"provider": .., "model": .., "price": ..}]}"#;
        Refused::new(400, "invalid_body", error.to_string(), fix)
    })?;
    let filter = RecordFilter {
        from: Some(read_moment("from", &body.from)?),
        until: body
            .until
            .as_deref()
            .map(|text| read_moment("until", text))
            .transpose()?,
        order: Order::OldestFirst,
        ..RecordFilter::default()
    };
    let page = Page {
        size: PAGE_ROWS,
        after: body.after.clone(),
    };
    let prices = read_prices(body.prices)?;
    let found = context.read(|reader| reader.records(&filter, &page))?;
    let rows = found.rows.len();
    let mut sums = Sums::default();
    let mut records = Vec::new();
    for record in found.rows {
        if let Some(is) = sums.rate(&record, &prices) {
            records.push((record, is));
        }
    }
    if !body.dry_run && !records.is_empty() {
        let reason = body.reason.unwrap_or_else(|| REASON.to_owned());
        let audit = AuditEntry {
            actor: request.actor.clone(),
            action: "reprice".to_owned(),
            kind: "record".to_owned(),
            id: body.from,
            detail: json!({"reason": reason, "corrected": records.len()}).to_string(),
        };
        sums.failed = context.backend.reprice(Reprice {
            records,
            reason,
            audit,
        })?;
    }
    Ok(Reply::ok(json!({
        "records": rows,
        "same": sums.same,
        "corrected": sums.corrected.saturating_sub(sums.failed),
        "more": dollars(NanoUsd(sums.more)),
        "more_nanousd": sums.more,
        "less": dollars(NanoUsd(sums.less)),
        "less_nanousd": sums.less,
        "not_by_usage": sums.not_by_usage,
        "no_price": sums.no_price,
        "failed": sums.failed,
        "next": found.next,
    })))
}

impl Sums {
    /// What a record costs, if that is something else than was thought.
    fn rate(&mut self, record: &StoredRecord, prices: &Prices) -> Option<NanoUsd> {
        // Nobody answered: there is nothing to price. What is no record at all was told when it came.
        let recorded = Recorded::read(&record.line).ok().flatten()?;
        let name = (recorded.provider.clone(), recorded.model.clone());
        let holds = |(since, _): &&(Timestamp, Price)| *since <= record.facts.at;
        let price = prices
            .get(&name)
            .and_then(|all| all.iter().rev().find(holds));
        let Some((_, price)) = price else {
            self.no_price = self.no_price.saturating_add(1);
            return None;
        };
        let was = record.cost();
        match recorded.rerate(was, price) {
            Ok(Rerated::Same) => self.same = self.same.saturating_add(1),
            Ok(Rerated::NotByUsage) => self.not_by_usage = self.not_by_usage.saturating_add(1),
            Ok(Rerated::Differs { is }) => {
                self.corrected = self.corrected.saturating_add(1);
                self.more = self.more.saturating_add(is.0.saturating_sub(was.0));
                self.less = self.less.saturating_add(was.0.saturating_sub(is.0));
                return Some(is);
            }
            Err(_) => self.failed = self.failed.saturating_add(1),
        }
        None
    }
}

fn read_prices(written: Vec<Priced>) -> Result<Prices, Refused> {
    let mut prices = Prices::new();
    for priced in written {
        let since = priced.since.as_deref();
        let since = since.map(|text| read_moment("since", text)).transpose()?;
        let of_target = prices.entry((priced.provider, priced.model)).or_default();
        of_target.push((since.unwrap_or(Timestamp(0)), priced.price));
    }
    for of_target in prices.values_mut() {
        of_target.sort_by_key(|(since, _)| *since);
    }
    Ok(prices)
}

fn read_moment(field: &str, text: &str) -> Result<Timestamp, Refused> {
    let at = moment::read(text).and_then(|seconds| seconds.checked_mul(SECOND));
    at.map(Timestamp).ok_or_else(|| {
        let fix = "write `2026-11-20` or `2026-11-20T09:00:00Z`";
        Refused::new(400, "invalid_body", format!("`{field}` is no moment"), fix)
    })
}
