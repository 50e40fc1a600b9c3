//! Records, series and sums as values of columns, and back.

use sha2::{Digest, Sha256};
use tollgate_core::money::ids::{Incarnation, RecordNumber, StreamId};
use tollgate_core::units::{NanoUsd, Timestamp, Tokens};
use tollgate_core::usage::Usage;

use super::engine::{Answer, Clash, Kind, Row, Table, Value, damaged};
use super::form::{paid_text, read_paid};
use crate::store::commit::RecordName;
use crate::store::facts::{CacheUse, Facts, Pricing, StoredRecord};
use crate::store::figures::Figures;
use crate::store::histogram::Histogram;
use crate::store::series::{Series, SeriesId, Tags};

use Kind::{Bytes, Int, Text};

pub(super) const RECORD: Table = Table {
    name: "record",
    columns: &[
        ("incarnation", Int),
        ("stream", Int),
        ("number", Int),
        ("at", Int),
        ("series", Int),
        ("chunk", Int),
        ("trace_hash", Int),
        ("trace", Text),
        ("status", Int),
        ("ending", Text),
        ("input", Int),
        ("cached_input", Int),
        ("cache_write", Int),
        ("output", Int),
        ("reasoning", Int),
        ("cost", Int),
        ("pricing", Int),
        ("duration_ms", Int),
        ("first_token_ms", Int),
        ("attempts", Int),
        ("cache", Int),
        ("saved", Int),
        ("charges", Text),
        ("line", Text),
    ],
    keys: 3,
    clash: Clash::Fail,
};

/// So many records that came together have an index of their traces in common. Traces are random: the smaller the index, the
/// fewer pages are touched by what comes in, and the more of them a search has to ask.
const CHUNK: u64 = 1_024;

/// The chunk of the record of this number, counted over all.
pub(super) fn chunk_of(count: u64) -> u64 {
    count / CHUNK
}

/// What stands in the index for a trace.
pub(super) fn trace_hash(trace: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(trace.as_bytes()).into();
    u64::from_le_bytes(digest.first_chunk().copied().unwrap_or_default())
}

/// The record that is the `count`th of all.
pub(super) fn record_values(record: &StoredRecord, series: SeriesId, count: u64) -> Vec<Value> {
    let facts = &record.facts;
    let pricing: u32 = match facts.pricing {
        Pricing::Known => 0,
        Pricing::Unknown => 1,
    };
    let cache: u32 = match facts.cache {
        CacheUse::Unused => 0,
        CacheUse::Hit => 1,
        CacheUse::Miss => 2,
    };
    vec![
        record.name.incarnation.into(),
        record.name.stream.0.into(),
        record.name.number.0.into(),
        facts.at.0.into(),
        series.0.into(),
        chunk_of(count).into(),
        trace_hash(&facts.trace).into(),
        facts.trace.as_str().into(),
        u32::from(facts.status).into(),
        facts.end.as_str().into(),
        facts.tokens.input.0.into(),
        facts.tokens.cached_input.0.into(),
        facts.tokens.cache_write.0.into(),
        facts.tokens.output.0.into(),
        facts.tokens.reasoning.0.into(),
        facts.cost.0.into(),
        pricing.into(),
        facts.duration_ms.into(),
        facts.first_token_ms.into(),
        facts.attempts.into(),
        cache.into(),
        facts.saved.0.into(),
        Value::Text(paid_text(&record.charges, &record.debts)),
        Value::Text(record.line.clone()),
    ]
}

/// What [`record`] reads.
pub(super) const RECORD_COLUMNS: &str = "incarnation, stream, number, series, at, trace, status, ending, input, \
    cached_input, cache_write, output, reasoning, cost, pricing, duration_ms, first_token_ms, attempts, cache, saved, \
    corrected, charges, line";

/// A record, but for the values of its series.
pub(super) fn record(row: &mut Row) -> Answer<(SeriesId, StoredRecord)> {
    let name = RecordName {
        incarnation: Incarnation(row.number()?),
        stream: StreamId(row.small()?),
        number: RecordNumber(row.number()?),
    };
    let series = SeriesId(row.number()?);
    let facts = Facts {
        at: Timestamp(row.number()?),
        series: Series::default(),
        trace: row.text()?,
        status: row.small()?,
        end: row.text()?,
        tokens: tokens(row)?,
        cost: NanoUsd(row.number()?),
        pricing: match row.int()? {
            0 => Pricing::Known,
            1 => Pricing::Unknown,
            other => return Err(damaged(format!("record {name} is priced {other}"))),
        },
        duration_ms: row.number()?,
        first_token_ms: row.optional()?,
        attempts: row.number()?,
        cache: match row.int()? {
            0 => CacheUse::Unused,
            1 => CacheUse::Hit,
            2 => CacheUse::Miss,
            other => return Err(damaged(format!("record {name} was cached {other}"))),
        },
        saved: NanoUsd(row.number()?),
    };
    let corrected = row.optional()?.map(NanoUsd);
    let (charges, debts) = read_paid(&row.text()?)?;
    let record = StoredRecord {
        name,
        facts,
        corrected,
        charges,
        debts,
        line: row.text()?,
    };
    Ok((series, record))
}

pub(super) const SERIES: Table = Table {
    name: "series",
    columns: &[
        ("id", Int),
        ("org", Text),
        ("team", Text),
        ("user_name", Text),
        ("key_name", Text),
        ("model", Text),
        ("model_served", Text),
        ("provider", Text),
        ("endpoint", Text),
        ("tags", Text),
        ("status_class", Int),
    ],
    keys: 1,
    clash: Clash::Keep,
};

pub(super) fn series_values(id: SeriesId, series: &Series) -> Vec<Value> {
    let mut values = vec![id.0.into()];
    values.extend(series.texts().map(Value::from));
    values.push(u32::from(series.status_class).into());
    values
}

pub(super) fn series(row: &mut Row) -> Answer<(SeriesId, Series)> {
    let id = SeriesId(row.number()?);
    let series = Series {
        org: row.text()?,
        team: row.text()?,
        user: row.text()?,
        key: row.text()?,
        model: row.text()?,
        model_served: row.text()?,
        provider: row.text()?,
        endpoint: row.text()?,
        tags: Tags::stored(row.text()?),
        status_class: row.small()?,
    };
    Ok((id, series))
}

pub(super) const ROLLUP: Table = Table {
    name: "rollup_hour",
    columns: &[
        ("hour", Int),
        ("series", Int),
        ("requests", Int),
        ("errors", Int),
        ("client_left", Int),
        ("fallbacks", Int),
        ("input", Int),
        ("cached_input", Int),
        ("cache_write", Int),
        ("output", Int),
        ("reasoning", Int),
        ("cost", Int),
        ("unpriced", Int),
        ("cache_hits", Int),
        ("cache_misses", Int),
        ("saved", Int),
        ("duration_ms", Int),
        ("durations", Bytes),
        ("first_token_ms", Int),
        ("first_tokens", Bytes),
    ],
    keys: 2,
    clash: Clash::Replace,
};

/// The same, by the commit that brought it.
pub(super) const PENDING: Table = Table {
    name: "rollup_pending",
    columns: &[
        ("position", Int),
        ("hour", Int),
        ("series", Int),
        ("requests", Int),
        ("errors", Int),
        ("client_left", Int),
        ("fallbacks", Int),
        ("input", Int),
        ("cached_input", Int),
        ("cache_write", Int),
        ("output", Int),
        ("reasoning", Int),
        ("cost", Int),
        ("unpriced", Int),
        ("cache_hits", Int),
        ("cache_misses", Int),
        ("saved", Int),
        ("duration_ms", Int),
        ("durations", Bytes),
        ("first_token_ms", Int),
        ("first_tokens", Bytes),
    ],
    keys: 3,
    clash: Clash::Fail,
};

/// What [`rollup`] reads.
pub(super) const ROLLUP_COLUMNS: &str = "hour, series, requests, errors, client_left, fallbacks, input, cached_input, \
    cache_write, output, reasoning, cost, unpriced, cache_hits, cache_misses, saved, duration_ms, durations, \
    first_token_ms, first_tokens";

pub(super) fn rollup_values(hour: u64, series: SeriesId, figures: &Figures) -> Vec<Value> {
    vec![
        hour.into(),
        series.0.into(),
        figures.requests.into(),
        figures.errors.into(),
        figures.client_left.into(),
        figures.fallbacks.into(),
        figures.tokens.input.0.into(),
        figures.tokens.cached_input.0.into(),
        figures.tokens.cache_write.0.into(),
        figures.tokens.output.0.into(),
        figures.tokens.reasoning.0.into(),
        figures.cost.0.into(),
        figures.unpriced.into(),
        figures.cache_hits.into(),
        figures.cache_misses.into(),
        figures.saved.0.into(),
        figures.durations.sum.into(),
        Value::Bytes(figures.durations.to_bytes()),
        figures.first_tokens.sum.into(),
        Value::Bytes(figures.first_tokens.to_bytes()),
    ]
}

pub(super) fn rollup(row: &mut Row) -> Answer<((u64, SeriesId), Figures)> {
    let name = (row.number()?, SeriesId(row.number()?));
    let figures = Figures {
        requests: row.number()?,
        errors: row.number()?,
        client_left: row.number()?,
        fallbacks: row.number()?,
        tokens: tokens(row)?,
        cost: NanoUsd(row.number()?),
        unpriced: row.number()?,
        cache_hits: row.number()?,
        cache_misses: row.number()?,
        saved: NanoUsd(row.number()?),
        durations: histogram(row)?,
        first_tokens: histogram(row)?,
    };
    Ok((name, figures))
}

fn histogram(row: &mut Row) -> Answer<Histogram> {
    let sum = row.number()?;
    let histogram = Histogram::from_bytes(&row.bytes()?, sum);
    histogram.ok_or_else(|| damaged("the durations of an hour".to_owned()))
}

fn tokens(row: &mut Row) -> Answer<Usage> {
    Ok(Usage {
        input: Tokens(row.number()?),
        cached_input: Tokens(row.number()?),
        cache_write: Tokens(row.number()?),
        output: Tokens(row.number()?),
        reasoning: Tokens(row.number()?),
        ..Usage::default()
    })
}
