//! What targets cost and what fits into them, from the file and from the catalogue.

use tollgate_core::config::{Capability, PriceFrom, Target, Unpriced};
use tollgate_core::price::{Most, Price};
use tollgate_core::units::{NanoUsd, Tokens};

use super::{check_text, nothing_set};

const HEAD: &str = "providers:
  openai: {dialect: openai, fake: 127.0.0.1:7711}
  own: {dialect: vllm, fake: 127.0.0.1:7712}
tenants: {keys: [{name: demo, sha256: 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff}]}
";

/// The targets of the model `m`.
fn targets(rest: &str) -> Vec<Target> {
    let text = format!("{HEAD}{rest}");
    let checked = check_text(&text, &nothing_set).unwrap_or_else(|problems| panic!("{problems:?}"));
    let models = checked.gateway.models.into_iter();
    models.flat_map(|model| model.targets).collect()
}

fn target(rest: &str) -> Target {
    targets(rest).remove(0)
}

fn rates(price: &Price) -> String {
    let rates = &price.rates;
    let cached = rates.cached_input.map(|cached| cached.0.to_string());
    format!("{} {} {cached:?}", rates.input.0, rates.output.0)
}

#[test]
fn what_the_file_does_not_say_the_catalogue_does() {
    let bare = target("models: {m: {targets: [{provider: openai, model: gpt-4o}]}}");
    assert_eq!(bare.price_from, PriceFrom::Catalogue);
    assert_eq!(rates(&bare.price.unwrap()), "$2.5 $10 Some(\"$1.25\")");
    assert_eq!(bare.context_window, Some(Tokens(128_000)));
    assert_eq!(bare.max_output, Some(Tokens(16_384)));
    let able = bare.capabilities.unwrap();
    assert!(able.contains(&Capability::Tools) && !able.contains(&Capability::Reasoning));

    let written = target(
        "models: {m: {targets: [{provider: openai, model: gpt-4o, max_output: 9, context_window: 99}]}}
prices: {openai/gpt-4o: {input: 1, output: 2}}",
    );
    assert_eq!(written.price_from, PriceFrom::File);
    assert_eq!(rates(&written.price.unwrap()), "$1 $2 None");
    assert_eq!(written.context_window, Some(Tokens(99)));
    assert_eq!(written.max_output, Some(Tokens(9)));

    // Whoever runs the server knows what it costs.
    let own = target("models: {m: {targets: [{provider: own, model: gpt-4o}]}}");
    assert_eq!(
        (own.price, own.capabilities, own.max_output),
        (None, None, None)
    );
    assert_eq!(own.price_from, PriceFrom::File);
}

#[test]
fn an_entry_that_extends_the_catalogue_replaces_what_it_names() {
    let extended = target(
        "models: {m: {targets: [{provider: openai, model: gpt-5.4}]}}
prices: {openai/gpt-5.4: {extends: catalogue, input: 2, request: 0.01}}",
    );
    let price = extended.price.unwrap();
    assert_eq!(rates(&price), "$2 $15 Some(\"$0.25\")");
    assert_eq!(price.request, NanoUsd(10_000_000));
    assert_eq!(price.tiers.len(), 1);
    assert_eq!(price.tiers[0].above, Tokens(272_000));
    let other = target(
        "models: {m: {targets: [{provider: openai, model: gpt-5.4}]}}
prices:
  openai/gpt-5.4:
    extends: catalogue
    long_context: [{above: 10, input: 7, output: 8, cached_input: 0.5}, {above: 20, input: 9, output: 9}]",
    );
    let price = other.price.unwrap();
    let tiers: Vec<_> = price.tiers.iter().map(|tier| tier.above.0).collect();
    assert_eq!(tiers, [10, 20]);
    let most = Most {
        input: Tokens(11),
        output: Tokens(0),
        requests: 1,
    };
    assert_eq!(price.most(&most), Ok(NanoUsd(77_000)));
}

#[test]
fn what_nobody_prices_is_refused_estimated_or_allowed() {
    let model = "models:
  m: {targets: [{provider: own, model: a}, {provider: openai, model: gpt-4o-mini}], POLICY}
  n: {targets: [{provider: openai, model: gpt-4o}]}
";
    let first = |policy: &str, global: &str| {
        target(&format!("{}{global}", model.replace("POLICY", policy)))
    };
    let refused = first("default_max_tokens: 50", "");
    assert_eq!((refused.price, refused.unpriced), (None, Unpriced::Refuse));
    assert_eq!(refused.default_max_tokens, Some(Tokens(50)));
    let allowed = first("unbounded_hold: 0.5", "unpriced: allow_and_alert");
    assert_eq!((allowed.price, allowed.unpriced), (None, Unpriced::Allow));
    assert_eq!(allowed.unbounded_hold, Some(NanoUsd(500_000_000)));
    // by the other target of its model, not by the dearest of all
    let estimated = first("unpriced: estimate", "unpriced: allow_and_alert");
    assert_eq!(estimated.price_from, PriceFrom::Estimate);
    assert_eq!(
        rates(&estimated.price.unwrap()),
        "$0.15 $0.6 Some(\"$0.075\")"
    );
    let alone = targets(
        "models:
  m: {targets: [{provider: own, model: a}]}
  n: {targets: [{provider: openai, model: gpt-4o}, {provider: openai, model: gpt-4o-mini}]}
unpriced: estimate",
    );
    assert_eq!(alone[0].price, alone[1].price);
}

#[test]
fn an_answer_is_capped_by_wish_default_or_what_the_model_can_say() {
    let target = |most: Option<u64>, default: Option<u64>| Target {
        max_output: most.map(Tokens),
        default_max_tokens: default.map(Tokens),
        ..Target::default()
    };
    for (wished, most, default, want) in [
        (None, None, None, None),
        (None, Some(9), None, Some(9)),
        (None, Some(9), Some(5), Some(5)),
        (None, Some(9), Some(50), Some(9)),
        (None, None, Some(5), Some(5)),
        (Some(3), Some(9), Some(5), Some(3)),
        (Some(30), Some(9), Some(5), Some(9)),
        (Some(30), None, Some(5), Some(30)),
    ] {
        let cap = target(most, default).output_cap(wished.map(Tokens));
        assert_eq!(cap, want.map(Tokens), "{wished:?} {most:?} {default:?}");
    }
}
