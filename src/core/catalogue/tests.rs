//! The catalogue that is shipped, and readings of ones that are not.

use super::*;
use crate::money::window::start_of_day;
use crate::units::NanoUsd;
use crate::usage::Usage;

fn catalogue() -> Catalogue {
    Catalogue::shipped().unwrap_or_else(|malformed| panic!("{malformed}"))
}

/// Dollars for a million prompt tokens and a million answered ones, on a day.
fn dollars(catalogue: &Catalogue, dialect: &str, model: &str, day: &str) -> Option<String> {
    let found = catalogue.find(dialect, model)?;
    let price = found.listed.price_at(start_of_day(day).unwrap())?;
    let (input, output) = (price.rates.input.0, price.rates.output.0);
    Some(format!("{input} {output} {:?}", found.by))
}

#[test]
fn models_are_found_by_the_names_people_write() {
    let catalogue = catalogue();
    for (dialect, model, want) in [
        ("openai", "gpt-4o", Some("$2.5 $10 Exactly")),
        ("openai", "GPT-4o-2024-11-20", Some("$2.5 $10 Exactly")),
        // dearer than its later namesake
        ("openai", "gpt-4o-2024-05-13", Some("$5 $15 Exactly")),
        ("openai", "gpt-4o-2031-01-01", Some("$2.5 $10 Undated")),
        (
            "openai",
            "ft:gpt-4o-2024-08-06:acme::x",
            Some("$3.75 $15 Tuned"),
        ),
        ("openai", "gpt-4o-nobody-knows", None),
        ("azure", "gpt-4o", Some("$2.5 $10 Exactly")),
        (
            "anthropic",
            "claude-sonnet-4-5-20250929",
            Some("$3 $15 Exactly"),
        ),
        ("gemini", "models/gemini-2.5-pro", Some("$1.25 $10 Exactly")),
        ("gemini_vertex", "gemini-2.5-pro", Some("$1.25 $10 Exactly")),
        ("openrouter", "openai/gpt-4o", Some("$2.5 $10 Exactly")),
        // whoever serves it decides what it costs
        ("vllm", "gpt-4o", None),
        ("anthropic", "gpt-4o", None),
        ("openai", "", None),
    ] {
        let found = dollars(&catalogue, dialect, model, "2026-11-20");
        assert_eq!(found.as_deref(), want, "{dialect}/{model}");
    }
}

#[test]
fn a_price_holds_from_its_date() {
    let catalogue = catalogue();
    for (day, want) in [
        ("1970-01-01", "$1 $6 Exactly"),
        ("2026-07-29", "$1 $6 Exactly"),
        ("2026-07-30", "$0.2 $1.2 Exactly"),
        ("2027-01-01", "$0.2 $1.2 Exactly"),
    ] {
        let found = dollars(&catalogue, "openai", "gpt-5.6-luna", day);
        assert_eq!(found.as_deref(), Some(want), "{day}");
    }
}

#[test]
fn long_prompts_cost_more_where_their_vendor_says_so() {
    let catalogue = catalogue();
    let gemini = catalogue.find("gemini", "gemini-2.5-pro").unwrap().listed;
    let price = gemini.price_at(Timestamp(0)).unwrap();
    let cost = |input| {
        let usage = Usage {
            input: Tokens(input),
            ..Usage::default()
        };
        price.cost(&usage, 1)
    };
    assert_eq!(cost(200_000), Ok(NanoUsd(250_000_000)));
    assert_eq!(cost(200_001), Ok(NanoUsd(500_002_500)));
    assert_eq!(gemini.context_window, Some(Tokens(1_048_576)));
    assert!(gemini.max_output.is_some_and(|most| most.0 > 60_000));
    let able = gemini.capabilities.as_ref().unwrap();
    assert!(able.contains(&Capability::Vision) && !able.contains(&Capability::AudioOutput));
}

#[test]
fn nothing_in_the_file_is_free_by_mistake_or_absurd() {
    let catalogue = catalogue();
    assert!(catalogue.made.as_str() >= "2026-11-20");
    assert_eq!(catalogue.sources.len(), 2);
    let mut priced = 0;
    for listed in catalogue.listed() {
        for Dated { price, .. } in &listed.prices {
            let free = listed.names.iter().all(|name| name.ends_with("free"));
            assert!(!price.is_free() || free, "{listed:?}");
            // the dearest model there is costs $600 for a million tokens, speech a little more
            let dollar = NanoUsd(1_000_000_000_000);
            assert!(price.rates.input.0 < dollar && price.rates.output.0 < dollar);
            priced += 1;
        }
    }
    assert!(priced > 1_000, "{priced}");
}

#[test]
fn a_file_that_is_not_understood_is_refused_with_its_line() {
    let head = r#"{"catalogue":1,"made":"2026-11-20","sources":[]}"#;
    let line = |rest: &str| format!("{head}\n{{\"v\":\"a\",\"n\":[\"b\"]{rest}}}");
    assert!(Catalogue::parse(&line("")).is_ok());
    for (text, at, reason) in [
        (String::new(), 1, "empty"),
        ("{}".to_owned(), 1, "missing field"),
        (head.replace(":1,", ":2,"), 1, "form 2"),
        (line(r#","x":1"#), 2, "unknown field"),
        (line(r#","p":[{"i":1}]"#), 2, "missing field `o`"),
        (line(r#","p":[{"i":-1,"o":1}]"#), 2, "invalid value"),
        (line(r#","p":[{"i":1.5,"o":1}]"#), 2, "invalid type"),
        (
            line(r#","p":[{"from":"2026-02-30","i":1,"o":1}]"#),
            2,
            "no date",
        ),
        (
            line(r#","p":[{"from":"2026-02-03","i":1,"o":1},{"i":1,"o":1}]"#),
            2,
            "order of their dates",
        ),
        (
            line(r#","p":[{"i":1,"o":1,"t":[{"above":9,"i":1,"o":1},{"above":9,"i":1,"o":1}]}]"#),
            2,
            "order of their thresholds",
        ),
        (line(r#","can":["fly"]"#), 2, "unknown variant"),
        (
            format!("{}\n{}", line(""), r#"{"v":"a","n":["b"]}"#),
            3,
            "a/b is there already",
        ),
    ] {
        let malformed = Catalogue::parse(&text).unwrap_err();
        assert_eq!(malformed.line, at, "{text}");
        assert!(malformed.reason.contains(reason), "{malformed}");
    }
}
