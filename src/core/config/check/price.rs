//! What targets cost, what fits into them, what they can do: as written, else as the catalogue has it.

use std::collections::BTreeMap;

use super::{must, suggest};
use crate::catalogue::{Catalogue, Listed};
use crate::config::problem::{Place, Problems};
use crate::config::raw::{self, Given, Written};
use crate::config::{Dialect, Model, PriceFrom, Target, Unpriced};
use crate::price::{Most, Price, Rates, Tier};
use crate::units::{NanoUsd, PricePerMillion, Timestamp, Tokens};

const RATES_HOW: &str = "write dollars for a million tokens: `input: 0.15`, `output: 0.60`";

/// What is known beside the file.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// Prices and limits of models.
    pub catalogue: &'a Catalogue,
    /// The prices of this moment count.
    pub now: Timestamp,
}

/// The entries of `prices`, by `PROVIDER/MODEL`.
pub(super) struct Prices<'a> {
    written: BTreeMap<&'a str, &'a Written<raw::Price>>,
    known: Beside<'a>,
}

/// A target as it stands in the file, for what is to be found out about it.
pub(super) struct Asked<'a> {
    /// `PROVIDER/MODEL`.
    pub(super) full_name: &'a str,
    /// What the provider speaks; none where that is mistaken.
    pub(super) dialect: Option<Dialect>,
    /// The provider's own name for it.
    pub(super) model: &'a str,
    /// The rest of it.
    pub(super) target: &'a raw::Target,
}

/// Judges what can be judged without a target.
pub(super) fn check<'a>(
    written: &'a raw::Config,
    known: Beside<'a>,
    problems: &mut Problems,
) -> Prices<'a> {
    let mut entries = BTreeMap::new();
    for named in written.prices.written().iter().flat_map(|all| &all.value) {
        let Given::Written(body) = &named.body else {
            continue;
        };
        if matches!(body.value.extends, Given::Absent) {
            whole_rates(&body.value.rates, &named.name.place, problems);
        }
        tiers(&body.value, problems);
        entries.insert(named.name.value.as_str(), body);
    }
    Prices {
        written: entries,
        known,
    }
}

impl Prices<'_> {
    /// Fills in what is known of a target. An entry that extends what is not there is reported.
    pub(super) fn fill(&self, asked: &Asked<'_>, target: &mut Target, problems: &mut Problems) {
        let dialect = asked.dialect.map(Dialect::name);
        let found = dialect.and_then(|name| self.known.catalogue.find(name, asked.model));
        let listed = found.map(|found| found.listed);
        let listed_price = listed.and_then(|listed| listed.price_at(self.known.now));
        match self.written.get(asked.full_name) {
            Some(entry) => target.price = written_price(entry, listed_price, asked, problems),
            None => {
                target.price = listed_price.cloned();
                target.price_from = PriceFrom::Catalogue;
            }
        }
        if target.price.is_none() {
            target.price_from = PriceFrom::default();
        }
        let of_listed = |read: fn(&Listed) -> Option<Tokens>| listed.and_then(read);
        let written = |given: &Given<Tokens>| given.written().map(|written| written.value);
        target.context_window = written(&asked.target.context_window)
            .or_else(|| of_listed(|listed| listed.context_window));
        target.max_output =
            written(&asked.target.max_output).or_else(|| of_listed(|listed| listed.max_output));
        target.capabilities = listed.and_then(|listed| listed.capabilities.clone());
    }
}

fn written_price(
    entry: &Written<raw::Price>,
    listed: Option<&Price>,
    asked: &Asked<'_>,
    problems: &mut Problems,
) -> Option<Price> {
    let written = &entry.value;
    let mut price = match &written.extends {
        Given::Mistaken => return None,
        Given::Absent => Price::default(),
        Given::Written(extends) => match (extends.value, listed) {
            (raw::Extends::Catalogue, Some(listed)) => listed.clone(),
            (raw::Extends::Catalogue, None) => {
                // Where the dialect is mistaken, that is what is told.
                if asked.dialect.is_some() {
                    problems.push(extends.place.problem(
                        format!(
                            "the catalogue has no price of {}",
                            super::shown(asked.full_name)
                        ),
                        "remove `extends` and write every price",
                    ));
                }
                return None;
            }
        },
    };
    price.rates = rates(&written.rates, price.rates);
    if let Some(request) = written.request.written() {
        price.request = request.value;
    }
    if let Some(list) = written.long_context.written() {
        let tier = |given: &Given<raw::LongContext>| {
            let tier = &given.written()?.value;
            Some(Tier {
                above: tier.above.written()?.value,
                rates: rates(&tier.rates, Rates::default()),
            })
        };
        price.tiers = list.value.iter().filter_map(tier).collect();
    }
    Some(price)
}

/// What is written, over what was there.
fn rates(written: &raw::Rates, base: Rates) -> Rates {
    let over = |given: &Given<PricePerMillion>, base| given.value_or(base);
    let over_none = |given: &Given<PricePerMillion>, base: Option<PricePerMillion>| {
        given.written().map(|written| written.value).or(base)
    };
    Rates {
        input: over(&written.input, base.input),
        output: over(&written.output, base.output),
        cached_input: over_none(&written.cached_input, base.cached_input),
        cache_write: over_none(&written.cache_write, base.cache_write),
        cache_write_hour: over_none(&written.cache_write_hour, base.cache_write_hour),
        audio_input: over_none(&written.audio_input, base.audio_input),
        reasoning: over_none(&written.reasoning, base.reasoning),
        audio_output: over_none(&written.audio_output, base.audio_output),
    }
}

fn whole_rates(rates: &raw::Rates, place: &Place, problems: &mut Problems) {
    must(&rates.input, "input", place, RATES_HOW, problems);
    must(&rates.output, "output", place, RATES_HOW, problems);
}

fn tiers(price: &raw::Price, problems: &mut Problems) {
    let mut last = Tokens(0);
    for given in price
        .long_context
        .written()
        .iter()
        .flat_map(|all| &all.value)
    {
        let Given::Written(tier) = given else {
            continue;
        };
        whole_rates(&tier.value.rates, &tier.place, problems);
        let how = "write for prompts of how many tokens it is: `above: 200000`";
        let Some(above) = must(&tier.value.above, "above", &tier.place, how, problems) else {
            continue;
        };
        if above.value <= last {
            problems.push(above.place.problem(
                "the threshold before this one is not lower",
                "write the lowest threshold first, each once",
            ));
        }
        last = above.value;
    }
}

/// What is written about a model as a whole goes to each of its targets, and what nobody prices gets the price of the
/// dearest at hand where the file wants that.
pub(super) fn finish(written: &raw::Config, models: &mut [Model], problems: &mut Problems) {
    let everywhere = written.unpriced.value_or(raw::Unpriced::default());
    let dearest = models
        .iter()
        .flat_map(|model| &model.targets)
        .filter_map(|target| target.price.as_ref())
        .max_by_key(|price| typical(price))
        .cloned();
    for named in written.models.written().iter().flat_map(|all| &all.value) {
        let (Given::Written(body), name) = (&named.body, &named.name) else {
            continue;
        };
        let policy = body.value.unpriced.value_or(everywhere);
        let Some(model) = models.iter_mut().find(|model| model.name == name.value) else {
            continue;
        };
        let own = model
            .targets
            .iter()
            .filter_map(|target| target.price.as_ref());
        let own = own.max_by_key(|price| typical(price)).cloned();
        let estimate = own.or_else(|| dearest.clone());
        for target in &mut model.targets {
            let cap = body.value.default_max_tokens.written();
            target.default_max_tokens = cap.map(|written| written.value);
            let hold = body.value.unbounded_hold.written();
            target.unbounded_hold = hold.map(|written| written.value);
            if target.price.is_some() {
                continue;
            }
            match policy {
                raw::Unpriced::Refuse => {}
                raw::Unpriced::AllowAndAlert => target.unpriced = Unpriced::Allow,
                raw::Unpriced::Estimate if estimate.is_some() => {
                    target.price.clone_from(&estimate);
                    target.price_from = PriceFrom::Estimate;
                }
                raw::Unpriced::Estimate => problems.push(name.place.problem(
                    "no price is known from which this model's could be estimated",
                    "write the price of a target under `prices`, or `unpriced: refuse`",
                )),
            }
        }
    }
}

/// For comparing prices: what a long conversation costs.
fn typical(price: &Price) -> NanoUsd {
    let most = Most {
        input: Tokens(100_000),
        output: Tokens(10_000),
        requests: 1,
    };
    // What cannot be added up is the dearest.
    price.most(&most).unwrap_or(NanoUsd(u64::MAX))
}

/// Entries that no target asks for.
pub(super) fn unused(
    written: &raw::Config,
    targets: &std::collections::BTreeSet<String>,
    problems: &mut Problems,
) {
    for named in written.prices.written().iter().flat_map(|all| &all.value) {
        let name = &named.name;
        if targets.contains(&name.value) {
            continue;
        }
        let known = targets.iter().map(String::as_str);
        let fix = match suggest::nearest(&name.value, known) {
            Some(meant) => format!("write `{meant}`, or remove it"),
            None => "write `PROVIDER/MODEL` as a target has them, or remove it".to_owned(),
        };
        let found = format!("no target is {}", name.shown());
        problems.push(name.place.problem(found, fix));
    }
}
