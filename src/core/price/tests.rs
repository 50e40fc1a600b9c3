//! What usage costs, and the most it can.

use proptest::prelude::*;

use super::*;

const HALF: Batch = Batch {
    thousandths: 500,
    cached_thousandths: 500,
};

fn dollars(text: &str) -> PricePerMillion {
    PricePerMillion(NanoUsd::from_dollars(text).unwrap())
}

fn rates(input: &str, output: &str) -> Rates {
    Rates {
        input: dollars(input),
        output: dollars(output),
        ..Rates::default()
    }
}

fn price(rates: Rates) -> Price {
    Price {
        rates,
        ..Price::default()
    }
}

/// Input, cached, written, written for an hour, heard; answered, thought, spoken.
fn usage(prompt: [u64; 5], answer: [u64; 3]) -> Usage {
    let [
        input,
        cached_input,
        cache_write,
        cache_write_hour,
        audio_input,
    ] = prompt.map(Tokens);
    let [output, reasoning, audio_output] = answer.map(Tokens);
    Usage {
        input,
        cached_input,
        cache_write,
        cache_write_hour,
        audio_input,
        output,
        reasoning,
        audio_output,
    }
}

#[test]
fn classes_are_priced_apart_and_rounded_up_once() {
    let plain = usage([10, 90, 0, 0, 0], [5, 3, 0]);
    let every = usage([1, 10, 100, 1_000, 10_000], [7, 70, 700]);
    let own = Rates {
        cached_input: Some(dollars("0.1")),
        cache_write: Some(dollars("1.25")),
        cache_write_hour: Some(dollars("2")),
        audio_input: Some(dollars("40")),
        reasoning: Some(dollars("3")),
        audio_output: Some(dollars("80")),
        ..rates("1", "2")
    };
    let hourless = Rates {
        cache_write_hour: None,
        ..own
    };
    for (rates, usage, want) in [
        (own, plain, 10_000 + 9_000 + 10_000 + 9_000),
        // no price of its own: that of the plain class, never nothing
        (rates("1", "2"), plain, 100_000 + 16_000),
        // a third of a nano-dollar in each class: one rounding, not four
        (rates("0.000000333", "0.000000333"), plain, 1),
        (
            own,
            every,
            1_000 + 1_000 + 125_000 + 2_000_000 + 400_000_000 + 14_000 + 210_000 + 56_000_000,
        ),
        (hourless, usage([0, 0, 0, 4, 0], [0, 0, 0]), 4 * 1_250),
        (rates("1", "2"), every, 11_111 * 1_000 + 777 * 2_000),
    ] {
        assert_eq!(price(rates).cost(&usage, 1), Ok(NanoUsd(want)), "{rates:?}");
    }
}

#[test]
fn a_long_prompt_changes_the_price_of_the_whole_request() {
    let tiered = Price {
        tiers: vec![
            Tier {
                above: Tokens(100),
                rates: rates("2", "4"),
            },
            Tier {
                above: Tokens(200),
                rates: rates("3", "1"),
            },
        ],
        ..price(rates("1", "2"))
    };
    for (prompt, want) in [
        ([100, 0, 0, 0, 0], 100_000 + 20_000),
        ([101, 0, 0, 0, 0], 202_000 + 40_000),
        // every class of the prompt counts
        ([20, 20, 20, 20, 21], 202_000 + 40_000),
        ([200, 0, 0, 0, 0], 400_000 + 40_000),
        ([201, 0, 0, 0, 0], 603_000 + 10_000),
    ] {
        let used = usage(prompt, [10, 0, 0]);
        assert_eq!(tiered.cost(&used, 1), Ok(NanoUsd(want)), "{prompt:?}");
    }
    let most = |input, output| {
        tiered.most(&Most {
            input: Tokens(input),
            output: Tokens(output),
            requests: 1,
        })
    };
    assert_eq!(most(100, 10), Ok(NanoUsd(120_000)));
    assert_eq!(most(101, 10), Ok(NanoUsd(242_000)));
    assert_eq!(most(201, 10), Ok(NanoUsd(613_000)));
    // up to 201 tokens: the tier in the middle charges most for a long answer
    assert_eq!(most(201, 1_000), Ok(NanoUsd(402_000 + 4_000_000)));
}

#[test]
fn fees_and_batches() {
    let own = Price {
        request: NanoUsd(5_000_000),
        batch: Some(Batch {
            thousandths: 500,
            cached_thousandths: 1_000,
        }),
        tiers: vec![Tier {
            above: Tokens(1_000),
            rates: rates("2", "4"),
        }],
        ..price(Rates {
            cached_input: Some(PricePerMillion(NanoUsd(3))),
            ..rates("1", "2")
        })
    };
    let one = usage([10, 0, 0, 0, 0], [10, 0, 0]);
    assert_eq!(own.cost(&one, 0), Ok(NanoUsd(30_000)));
    assert_eq!(own.cost(&one, 2), Ok(NanoUsd(10_030_000)));
    let batched = own.batched().unwrap();
    assert_eq!(batched.cost(&one, 2), Ok(NanoUsd(5_015_000)));
    // this vendor leaves the price of cached tokens as it is
    let cached = PricePerMillion(NanoUsd(3));
    assert_eq!(batched.rates.cached_input, Some(cached));
    let tier = Rates {
        cached_input: Some(dollars("2")),
        ..rates("1", "2")
    };
    assert_eq!(batched.tiers[0].rates, tier);
    assert_eq!(price(rates("1", "2")).batched(), None);
    assert_eq!(own.cost(&one, u64::MAX), Err(MoneyOverflow));
}

#[test]
fn what_costs_nothing_is_free_and_nothing_else() {
    let free = price(Rates::default());
    let hears = Rates {
        audio_input: Some(PricePerMillion(NanoUsd(1))),
        ..Rates::default()
    };
    for (price, want) in [
        (free.clone(), true),
        (price(rates("0", "1")), false),
        (price(hears), false),
        (
            Price {
                request: NanoUsd(1),
                ..free.clone()
            },
            false,
        ),
        (
            Price {
                tiers: vec![Tier {
                    above: Tokens(9),
                    rates: hears,
                }],
                ..free
            },
            false,
        ),
    ] {
        assert_eq!(price.is_free(), want, "{price:?}");
    }
}

#[test]
fn absurd_amounts_are_refused() {
    let dear = price(Rates {
        input: PricePerMillion(NanoUsd(u64::MAX)),
        ..rates("0", "1")
    });
    let all = Tokens(u64::MAX);
    assert_eq!(
        dear.cost(
            &Usage {
                input: all,
                output: all,
                ..Usage::default()
            },
            1
        ),
        Err(MoneyOverflow)
    );
    assert_eq!(
        dear.most(&Most {
            input: all,
            output: all,
            requests: 1
        }),
        Err(MoneyOverflow)
    );
}

#[test]
fn a_price_survives_its_json() {
    let full = Price {
        rates: Rates {
            cached_input: Some(dollars("0.1")),
            cache_write_hour: Some(dollars("2")),
            audio_output: Some(dollars("80")),
            ..rates("1", "2")
        },
        tiers: vec![Tier {
            above: Tokens(200_000),
            rates: rates("2", "3"),
        }],
        request: NanoUsd(5),
        batch: Some(HALF),
    };
    for price in [full, price(rates("1", "2"))] {
        let json = serde_json::to_string(&price).unwrap();
        assert_eq!(
            serde_json::from_str::<Price>(&json).unwrap(),
            price,
            "{json}"
        );
    }
}

fn any_rates() -> impl Strategy<Value = Rates> {
    let money = || (0..100_000_000_000_u64).prop_map(|nanos| PricePerMillion(NanoUsd(nanos)));
    let maybe = move || prop::option::of(money());
    (
        money(),
        money(),
        (maybe(), maybe(), maybe()),
        (maybe(), maybe(), maybe()),
    )
        .prop_map(|(input, output, cache, other)| Rates {
            input,
            output,
            cached_input: cache.0,
            cache_write: cache.1,
            cache_write_hour: cache.2,
            audio_input: other.0,
            reasoning: other.1,
            audio_output: other.2,
        })
}

fn any_price() -> impl Strategy<Value = Price> {
    let tier = (0..2_000_u64, any_rates()).prop_map(|(above, rates)| Tier {
        above: Tokens(above),
        rates,
    });
    let tiers = prop::collection::vec(tier, 0..4);
    (any_rates(), tiers, 0..10_000_u64).prop_map(|(rates, mut tiers, fee)| {
        tiers.sort_by_key(|tier| tier.above);
        Price {
            rates,
            tiers,
            request: NanoUsd(fee),
            batch: Some(HALF),
        }
    })
}

proptest! {
    #[test]
    fn nothing_within_the_bounds_costs_more_than_the_most(
        price in any_price(),
        prompt in prop::array::uniform5(0..600_u64),
        answer in prop::array::uniform3(0..600_u64),
        requests in 0..4_u64,
        spare in prop::array::uniform3(0..500_u64),
    ) {
        let used = usage(prompt, answer);
        let bounds = Most {
            input: used.prompt().plus(Tokens(spare[0])),
            output: used.answer().plus(Tokens(spare[1])),
            requests: requests + spare[2],
        };
        let (cost, most) = (price.cost(&used, requests).unwrap(), price.most(&bounds).unwrap());
        prop_assert!(cost <= most, "{cost} > {most}");
        let batched = price.batched().unwrap();
        prop_assert!(batched.cost(&used, requests).unwrap() <= most);
    }

    /// A hold that no usage can reach would starve others for nothing.
    #[test]
    fn the_most_is_what_some_usage_within_the_bounds_costs(
        rates in any_rates(),
        input in 0..600_u64,
        output in 0..600_u64,
    ) {
        let price = price(rates);
        let most = price.most(&Most { input: Tokens(input), output: Tokens(output), requests: 1 }).unwrap();
        let reached = (0..5).flat_map(|from| (0..3).map(move |to| (from, to))).any(|(from, to)| {
            let mut prompt = [0; 5];
            let mut answer = [0; 3];
            prompt[from] = input;
            answer[to] = output;
            price.cost(&usage(prompt, answer), 1).unwrap() == most
        });
        prop_assert!(reached);
    }

    #[test]
    fn splitting_a_call_never_makes_it_cheaper(
        rates in any_rates(),
        one in prop::array::uniform5(0..600_u64),
        other in prop::array::uniform5(0..600_u64),
    ) {
        let price = price(rates);
        let both: [u64; 5] = std::array::from_fn(|at| one[at] + other[at]);
        let cost = |prompt| price.cost(&usage(prompt, [0; 3]), 1).unwrap().0;
        prop_assert!(cost(both) <= cost(one) + cost(other));
    }
}
