//! `tollgate prices`: what models cost, by the catalogue of this version and by a configuration.

use std::path::{Path, PathBuf};

use tollgate_core::catalogue::{Catalogue, Listed, Named};
use tollgate_core::config::PriceFrom;
use tollgate_core::price::{Price, Rates};
use tollgate_core::units::{NanoUsd, PricePerMillion, Timestamp};

use crate::config;

/// Tells what models cost: dollars for a million tokens.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum What {
    /// Everything that is known of a model, at every vendor that has it, or of VENDOR/MODEL.
    Show {
        /// As `gpt-4o` or `openai/gpt-4o`.
        model: String,
    },
    /// A line for each model.
    List {
        /// Of this vendor only.
        #[arg(long)]
        vendor: Option<String>,
    },
    /// Where a configuration prices its targets otherwise than the catalogue, or not at all.
    Diff {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = "gateway.yaml")]
        config: PathBuf,
    },
}

/// Prints the answer.
pub fn run(args: &Args) -> Result<(), String> {
    let catalogue = config::catalogue().map_err(|problem| problem.to_string())?;
    let now = config::now();
    let answer = match &args.what {
        What::Show { model } => show(catalogue, model, now)?,
        What::List { vendor } => list(catalogue, vendor.as_deref(), now)?,
        What::Diff { config } => diff(catalogue, config, now)?,
    };
    #[allow(clippy::print_stdout, reason = "the answer of a command")]
    {
        print!("{answer}");
    }
    Ok(())
}

fn show(catalogue: &Catalogue, model: &str, now: Timestamp) -> Result<String, String> {
    let asked = model.to_ascii_lowercase();
    let named = |listed: &&Listed| {
        listed.names.iter().any(|name| {
            *name == asked
                || asked
                    .strip_prefix(listed.vendor.as_str())
                    .and_then(|rest| rest.strip_prefix('/'))
                    .is_some_and(|rest| name == rest)
        })
    };
    let mut answer = String::new();
    for listed in catalogue.listed().filter(named) {
        answer.push_str(&shown(listed, now));
    }
    if answer.is_empty()
        && let Some((dialect, name)) = asked.split_once('/')
        && let Some(found) = catalogue.find(dialect, name)
    {
        let how = match found.by {
            Named::Exactly => "",
            Named::Undated => "not listed by itself; without its date it is\n",
            Named::Tuned => "not listed by itself; tuned from\n",
        };
        answer = format!("{how}{}", shown(found.listed, now));
    }
    if answer.is_empty() {
        return Err(format!(
            "the catalogue of {} has no `{model}`: write its price under `prices`, or look for it with \
             `tollgate prices list`",
            catalogue.made
        ));
    }
    answer.push_str(&sources(catalogue));
    Ok(answer)
}

fn sources(catalogue: &Catalogue) -> String {
    let sources = catalogue.sources.iter();
    let named: Vec<String> = sources
        .map(|source| format!("{} {}", source.name, source.version))
        .collect();
    format!(
        "catalogue of {} from {}\n",
        catalogue.made,
        named.join(", ")
    )
}

/// All that is known of one line of the catalogue.
fn shown(listed: &Listed, now: Timestamp) -> String {
    let mut text = format!("{}/{}\n", listed.vendor, listed.names.join(", "));
    let mut line = |label: &str, value: String| text.push_str(&format!("  {label:<16} {value}\n"));
    match listed.price_at(now) {
        Some(price) => of_price(price, &mut line),
        None => line("price", "unknown".to_owned()),
    }
    for dated in listed.prices.iter().filter(|dated| dated.from > now) {
        let rates = &dated.price.rates;
        let days = dated.from.millis_since(now) / 86_400_000;
        line(
            "will change",
            format!("in {days} days to {}, {}", rates.input.0, rates.output.0),
        );
    }
    if let Some(window) = listed.context_window {
        line("context_window", window.0.to_string());
    }
    if let Some(most) = listed.max_output {
        line("max_output", most.0.to_string());
    }
    if let Some(able) = &listed.capabilities {
        let able: Vec<&str> = able.iter().map(|one| one.name()).collect();
        line("can", able.join(", "));
    }
    for (class, nanos) in &listed.differs {
        line(
            "sources differ",
            format!("{class} is {} elsewhere", NanoUsd(*nanos)),
        );
    }
    for note in &listed.notes {
        line("note", note.clone());
    }
    text
}

fn of_price(price: &Price, line: &mut dyn FnMut(&str, String)) {
    for (class, value) in classes(&price.rates) {
        if let Some(value) = value {
            line(class, value.0.to_string());
        }
    }
    for tier in &price.tiers {
        let written: Vec<String> = classes(&tier.rates)
            .into_iter()
            .filter_map(|(class, value)| Some(format!("{class} {}", value?.0)))
            .collect();
        line(&format!("above {}", tier.above.0), written.join(", "));
    }
    if price.request > NanoUsd::ZERO {
        line("request", price.request.to_string());
    }
    if let Some(batch) = price.batch {
        let told = format!(
            "{} thousandths, {} of what was cached",
            batch.thousandths, batch.cached_thousandths
        );
        line("batch", told);
    }
}

fn classes(rates: &Rates) -> [(&'static str, Option<PricePerMillion>); 8] {
    [
        ("input", Some(rates.input)),
        ("output", Some(rates.output)),
        ("cached_input", rates.cached_input),
        ("cache_write", rates.cache_write),
        ("cache_write_hour", rates.cache_write_hour),
        ("audio_input", rates.audio_input),
        ("reasoning", rates.reasoning),
        ("audio_output", rates.audio_output),
    ]
}

fn list(catalogue: &Catalogue, vendor: Option<&str>, now: Timestamp) -> Result<String, String> {
    let mut text = String::new();
    let wanted = |listed: &&Listed| vendor.is_none_or(|vendor| listed.vendor == vendor);
    for listed in catalogue.listed().filter(wanted) {
        let price = listed.price_at(now).map_or_else(
            || "unknown".to_owned(),
            |price| format!("{} {}", price.rates.input.0, price.rates.output.0),
        );
        for name in &listed.names {
            text.push_str(&format!("{}/{name} {price}\n", listed.vendor));
        }
    }
    if text.is_empty() {
        let vendors: std::collections::BTreeSet<&str> = catalogue
            .listed()
            .map(|listed| listed.vendor.as_str())
            .collect();
        let vendors: Vec<&str> = vendors.into_iter().collect();
        return Err(format!("no such vendor; there are {}", vendors.join(", ")));
    }
    Ok(text)
}

fn diff(catalogue: &Catalogue, file: &Path, now: Timestamp) -> Result<String, String> {
    let checked = config::load(file).map_err(|refused| refused.to_string())?;
    let gateway = checked.gateway;
    let mut told = std::collections::BTreeSet::new();
    let targets = gateway.models.iter().flat_map(|model| &model.targets);
    for target in targets {
        let Some(provider) = gateway.providers.get(target.provider) else {
            continue;
        };
        let name = format!("{}/{}", provider.name, target.model);
        let found = catalogue.find(provider.dialect.name(), &target.model);
        let listed = found.and_then(|found| found.listed.price_at(now));
        match (&target.price, target.price_from, listed) {
            (None, _, _) => {
                told.insert(format!("{name}: no price is known"));
            }
            (Some(_), PriceFrom::Estimate, _) => {
                told.insert(format!("{name}: no price is known, it is estimated"));
            }
            (Some(price), PriceFrom::File, Some(listed)) => {
                told.extend(differences(&name, price, listed));
            }
            (Some(_), PriceFrom::File, None) | (Some(_), PriceFrom::Catalogue, _) => {}
        }
    }
    if told.is_empty() {
        return Ok("every price is that of the catalogue, or the catalogue has none\n".to_owned());
    }
    let lines: Vec<String> = told.into_iter().collect();
    Ok(format!("{}\n", lines.join("\n")))
}

fn differences(name: &str, own: &Price, listed: &Price) -> Vec<String> {
    let shown = |price: Option<PricePerMillion>| {
        price.map_or_else(|| "nothing".to_owned(), |price| price.0.to_string())
    };
    let pairs = classes(&own.rates).into_iter().zip(classes(&listed.rates));
    let mut lines: Vec<String> = pairs
        .filter(|((_, own), (_, listed))| own != listed)
        .map(|((class, own), (_, listed))| {
            format!(
                "{name}: {class} is {}, the catalogue has {}",
                shown(own),
                shown(listed)
            )
        })
        .collect();
    if own.tiers != listed.tiers {
        let (own, listed) = (own.tiers.len(), listed.tiers.len());
        lines.push(format!(
            "{name}: the {own} prices for long prompts are not the {listed} of the catalogue"
        ));
    }
    if own.request != listed.request {
        let (own, listed) = (own.request, listed.request);
        lines.push(format!(
            "{name}: a request is {own}, the catalogue has {listed}"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> &'static Catalogue {
        config::catalogue().unwrap()
    }

    /// Long after everything in the file has begun.
    const LATER: Timestamp = Timestamp(4_000_000_000_000_000_000);

    #[test]
    fn a_model_is_shown_wherever_it_is_served() {
        let everywhere = show(catalogue(), "gpt-4o", LATER).unwrap();
        assert!(everywhere.contains("\nazure/"), "{everywhere}");
        let one = show(catalogue(), "openai/gpt-4o", LATER).unwrap();
        let first = one.split("openrouter/").next().unwrap();
        for line in [
            "openai/gpt-4o, gpt-4o-2024-08-06, gpt-4o-2024-11-20\n",
            "  input            $2.5\n",
            "  cached_input     $1.25\n",
            "  batch            500 thousandths, 1000 of what was cached\n",
            "  max_output       16384\n",
            "  can              tools, parallel_tools, vision",
        ] {
            assert!(first.contains(line), "{line}: {first}");
        }
        let tiers = show(catalogue(), "openai/gpt-5.4", LATER).unwrap();
        let tier = "  above 272000     input $5, output $22.5, cached_input $0.5\n";
        assert!(tiers.contains(tier), "{tiers}");
        let undated = show(catalogue(), "openai/gpt-4o-2031-01-01", LATER).unwrap();
        assert!(undated.starts_with("not listed by itself; without its date"));
        let unknown = show(catalogue(), "gpt-nobody", LATER).unwrap_err();
        assert!(unknown.contains("has no `gpt-nobody`"), "{unknown}");
        assert!(one.ends_with(&sources(catalogue())), "{one}");
    }

    #[test]
    fn a_change_to_come_is_told() {
        let before = show(catalogue(), "openai/gpt-5.6-luna", Timestamp(0)).unwrap();
        assert!(before.contains("days to $0.2, $1.2"), "{before}");
    }

    #[test]
    fn a_vendor_is_listed_alone() {
        let listed = list(catalogue(), Some("anthropic"), LATER).unwrap();
        assert!(listed.contains("anthropic/claude-sonnet-4-5 $3 $15\n"));
        assert!(listed.lines().all(|line| line.starts_with("anthropic/")));
        let wrong = list(catalogue(), Some("antropic"), LATER).unwrap_err();
        assert!(wrong.contains("anthropic, azure"), "{wrong}");
    }

    #[test]
    fn a_configuration_is_compared_with_the_catalogue() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.yaml");
        let text = "providers:
  openai: {dialect: openai, fake: 127.0.0.1:7711}
  own: {dialect: vllm, fake: 127.0.0.1:7712}
tenants: {keys: [{name: demo, sha256: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff}]}
models: {m: {targets: [{provider: openai, model: gpt-4o}, {provider: own, model: x}]}}
";
        let answer = |prices: &str| {
            std::fs::write(&file, format!("{text}{prices}")).unwrap();
            diff(catalogue(), &file, LATER).unwrap()
        };
        let own = "prices: {own/x: {input: 1, output: 1}, openai/gpt-4o: ";
        assert_eq!(answer(""), "own/x: no price is known\n");
        assert_eq!(
            answer(&format!("{own}{{extends: catalogue, input: 2.5}}}}\n")),
            "every price is that of the catalogue, or the catalogue has none\n"
        );
        assert_eq!(
            answer(&format!("{own}{{input: 2, output: 10, request: 0.1}}}}\n")),
            "openai/gpt-4o: a request is $0.1, the catalogue has $0\n\
             openai/gpt-4o: cached_input is nothing, the catalogue has $1.25\n\
             openai/gpt-4o: input is $2, the catalogue has $2.5\n"
        );
    }
}
