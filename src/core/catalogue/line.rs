//! One line of the file.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Capability, Dated, Listed, Source};
use crate::money::window::start_of_day;
use crate::price::{Batch, Price, Rates, Tier};
use crate::units::{NanoUsd, PricePerMillion, Timestamp, Tokens};

/// The form that is read here.
const VERSION: u64 = 1;

/// The first line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    catalogue: u64,
    pub(super) made: String,
    pub(super) sources: Vec<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    v: String,
    n: Vec<String>,
    #[serde(default)]
    p: Vec<WrittenPrice>,
    window: Option<u64>,
    out: Option<u64>,
    can: Option<BTreeSet<Capability>>,
    #[serde(default)]
    differs: BTreeMap<String, u64>,
    #[serde(default)]
    notes: Vec<String>,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPrice {
    from: Option<String>,
    i: u64,
    o: u64,
    c: Option<u64>,
    w: Option<u64>,
    h: Option<u64>,
    a: Option<u64>,
    r: Option<u64>,
    s: Option<u64>,
    #[serde(default)]
    t: Vec<WrittenTier>,
    #[serde(default)]
    f: u64,
    b: Option<[u64; 2]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTier {
    above: u64,
    i: u64,
    o: u64,
    c: Option<u64>,
    w: Option<u64>,
    h: Option<u64>,
    a: Option<u64>,
    r: Option<u64>,
    s: Option<u64>,
}

pub(super) fn head(text: &str) -> Result<Head, String> {
    let head: Head = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if head.catalogue != VERSION {
        return Err(format!(
            "it has form {}, this version of Tollgate reads {VERSION}",
            head.catalogue
        ));
    }
    Ok(head)
}

pub(super) fn listed(text: &str) -> Result<Listed, String> {
    let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let prices: Vec<Dated> = written.p.into_iter().map(dated).collect::<Result<_, _>>()?;
    if !prices.is_sorted_by(|one, other| one.from < other.from) {
        return Err("its prices are not in the order of their dates".to_owned());
    }
    let mut notes = written.notes;
    notes.extend(written.by.map(|source| format!("priced by {source}")));
    Ok(Listed {
        vendor: written.v,
        names: written.n,
        prices,
        context_window: written.window.map(Tokens),
        max_output: written.out.map(Tokens),
        capabilities: written.can,
        differs: written.differs,
        notes,
    })
}

fn dated(written: WrittenPrice) -> Result<Dated, String> {
    let from = match &written.from {
        None => Timestamp(0),
        Some(date) => start_of_day(date).ok_or_else(|| format!("`{date}` is no date"))?,
    };
    let tiers: Vec<Tier> = written.t.iter().map(tier).collect();
    if !tiers.is_sorted_by(|one, other| one.above < other.above) {
        return Err("its tiers are not in the order of their thresholds".to_owned());
    }
    let rates = Rates {
        input: per_million(written.i),
        output: per_million(written.o),
        cached_input: written.c.map(per_million),
        cache_write: written.w.map(per_million),
        cache_write_hour: written.h.map(per_million),
        audio_input: written.a.map(per_million),
        reasoning: written.r.map(per_million),
        audio_output: written.s.map(per_million),
    };
    let batch = written.b.map(|[thousandths, cached_thousandths]| Batch {
        thousandths,
        cached_thousandths,
    });
    let price = Price {
        rates,
        tiers,
        request: NanoUsd(written.f),
        batch,
    };
    Ok(Dated { from, price })
}

fn tier(written: &WrittenTier) -> Tier {
    let rates = Rates {
        input: per_million(written.i),
        output: per_million(written.o),
        cached_input: written.c.map(per_million),
        cache_write: written.w.map(per_million),
        cache_write_hour: written.h.map(per_million),
        audio_input: written.a.map(per_million),
        reasoning: written.r.map(per_million),
        audio_output: written.s.map(per_million),
    };
    Tier {
        above: Tokens(written.above),
        rates,
    }
}

fn per_million(nanos: u64) -> PricePerMillion {
    PricePerMillion(NanoUsd(nanos))
}
