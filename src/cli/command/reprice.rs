//! `tollgate reprice`: what was served is charged by the prices that a configuration has now.
#![allow(
    clippy::indexing_slicing,
    reason = "JSON by name: what is not there is null"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tollgate_core::config::moment;
use tollgate_core::price::Price;
use tollgate_core::units::{NanoUsd, Timestamp};

use crate::admin::{Access, Client, Output, print_one, segment};
use crate::config;

const SECOND: u64 = 1_000_000_000;

/// Charges what was served since a day by the prices that the configuration has now, and those of the catalogue by their
/// dates. Records stay as they are: entries beside them make up for the difference.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(flatten)]
    access: Access,
    /// How the answer is shown.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// The beginning: `2026-11-01`, `2026-11-01T12:00:00Z`.
    #[arg(long, value_name = "MOMENT")]
    from: String,
    /// The end, which is not in it; now where nothing is said.
    #[arg(long, value_name = "MOMENT")]
    until: Option<String>,
    /// The configuration that has the right prices.
    #[arg(long, value_name = "FILE", default_value = "gateway.yaml")]
    config: PathBuf,
    /// Why, for whoever reads the entries.
    #[arg(long, default_value = "tollgate reprice")]
    reason: String,
    /// Only tells what would become of it.
    #[arg(long)]
    dry_run: bool,
}

const MORE: &str = "more_nanousd";
const LESS: &str = "less_nanousd";

/// What is added up over the pages.
const SUMS: [&str; 8] = [
    "records",
    "same",
    "corrected",
    MORE,
    LESS,
    "not_by_usage",
    "no_price",
    "failed",
];

/// Asks the admin API, a page of records at a time, and prints what became of all of them.
pub fn run(args: &Args) -> Result<(), String> {
    let from = read_moment("--from", &args.from)?;
    let until = args.until.as_deref();
    let until = until.map(|text| read_moment("--until", text)).transpose()?;
    let client = Client::of(&args.access)?;
    let mut query = format!(
        "/spend?by=provider,model_served&from={}",
        segment(&args.from)
    );
    if let Some(until) = &args.until {
        query.push_str(&format!("&until={}", segment(until)));
    }
    let served = served(&client.get(&query)?);
    let mut body = json!({
        "from": args.from,
        "reason": args.reason,
        "dry_run": args.dry_run,
        "prices": prices(&args.config, from, until, &served)?,
    });
    if let Some(until) = &args.until {
        body["until"] = json!(until);
    }
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    loop {
        let page = client.ask("POST", "/reprice", &body)?;
        for name in SUMS {
            let sum = sums.entry(name).or_default();
            *sum = sum.saturating_add(page[name].as_u64().unwrap_or_default());
        }
        match page["next"].as_str() {
            Some(next) => body["after"] = json!(next),
            None => break,
        }
    }
    let mut told = json!({});
    for (name, sum) in sums {
        match name {
            MORE => told["more"] = json!(NanoUsd(sum).to_string()),
            LESS => told["less"] = json!(NanoUsd(sum).to_string()),
            _ => told[name] = json!(sum),
        }
    }
    print_one(&told, args.output);
    Ok(())
}

/// Who has answered: only their prices are asked for.
fn served(spend: &Value) -> BTreeSet<(String, String)> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let lines = spend["data"].as_array().into_iter().flatten();
    lines
        .map(|line| (word(&line["provider"]), word(&line["model_served"])))
        .collect()
}

/// The prices of the configuration, and since when each of them holds: those of the catalogue change at its dates.
fn prices(
    file: &Path,
    from: Timestamp,
    until: Option<Timestamp>,
    served: &BTreeSet<(String, String)>,
) -> Result<Vec<Value>, String> {
    let catalogue = config::catalogue().map_err(|problem| problem.to_string())?;
    let until = until.unwrap_or_else(config::now);
    let dates = catalogue.listed().flat_map(|listed| &listed.prices);
    let dates = dates.map(|dated| dated.from);
    let mut moments: BTreeSet<Timestamp> =
        dates.filter(|date| (from..until).contains(date)).collect();
    moments.insert(from);
    let mut last: BTreeMap<(String, String), Price> = BTreeMap::new();
    let mut prices = Vec::new();
    for since in moments {
        let checked = config::load_as_of(file, since).map_err(|refused| refused.to_string())?;
        let gateway = checked.gateway;
        for target in gateway.models.iter().flat_map(|model| &model.targets) {
            let provider = gateway.providers.get(target.provider);
            let (Some(provider), Some(price)) = (provider, &target.price) else {
                continue;
            };
            let name = (provider.name.clone(), target.model.clone());
            if !served.contains(&name) || last.get(&name) == Some(price) {
                continue;
            }
            last.insert(name.clone(), price.clone());
            prices.push(json!({
                "provider": name.0,
                "model": name.1,
                "since": moment::show(since.0.checked_div(SECOND).unwrap_or_default()),
                "price": price,
            }));
        }
    }
    Ok(prices)
}

fn read_moment(option: &str, text: &str) -> Result<Timestamp, String> {
    let at = moment::read(text).and_then(|seconds| seconds.checked_mul(SECOND));
    at.map(Timestamp).ok_or_else(|| {
        format!(
            "{option}: `{text}` is no moment\n  fix: write `2026-11-20` or `2026-11-20T09:00:00Z`"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_of_the_catalogue_hold_from_their_dates_and_those_of_the_file_always() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.yaml");
        let text = "providers: {openai: {dialect: openai, fake: 127.0.0.1:7711}}
tenants: {keys: [{name: demo, sha256: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff}]}
models:
  luna: {targets: [{provider: openai, model: gpt-5.6-luna}]}
  own: {targets: [{provider: openai, model: own}]}
  other: {targets: [{provider: openai, model: gpt-4o}]}
prices: {openai/own: {input: 1, output: 2}}
";
        std::fs::write(&file, text).unwrap();
        let served = ["gpt-5.6-luna", "own", "gone"];
        let served = served.map(|model| ("openai".to_owned(), model.to_owned()));
        // Long after everything in the catalogue has begun.
        let later = Timestamp(4_000_000_000 * SECOND);
        let told = prices(&file, Timestamp(0), Some(later), &served.into()).unwrap();
        let of = |model: &str| -> Vec<&Value> {
            told.iter()
                .filter(|price| price["model"] == model)
                .collect()
        };
        assert!(of("gpt-5.6-luna").len() > 1, "{told:?}");
        assert_eq!(of("own").len(), 1);
        assert_eq!(of("own")[0]["since"], "1970-01-01T00:00:00Z");
        assert_eq!(of("own")[0]["price"]["rates"]["input"], 1_000_000_000);
        assert_eq!((of("gpt-4o").len(), of("gone").len()), (0, 0));
    }
}
