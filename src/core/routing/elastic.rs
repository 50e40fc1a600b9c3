//! Answers that fit what is left: rather a shorter one than none.

use crate::price::Price;
use crate::units::{NanoUsd, Tokens};
use crate::usage::Usage;

/// An answer shorter than this is not worth asking for.
pub const OUTPUT_TOKENS_MIN: u64 = 16;

/// What the rest of a budget buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elastic {
    /// All that was asked for.
    Fits,
    /// An answer of at most so many tokens.
    Clamped(u64),
    /// Nothing worth asking for.
    Nothing,
}

/// How long an answer the rest buys, where the caller takes at most `output_max`.
pub fn elastic(price: &Price, prompt: Tokens, output_max: u64, rest: NanoUsd) -> Elastic {
    let buys = |output: u64| {
        let usage = Usage {
            input: prompt,
            output: Tokens(output),
            ..Usage::default()
        };
        price.cost(&usage, 1).is_ok_and(|cost| cost <= rest)
    };
    if buys(output_max) {
        return Elastic::Fits;
    }
    // The most that it still buys: costs only grow with the length.
    let (mut bought, mut too_much) = (0, output_max);
    if !buys(bought) {
        return Elastic::Nothing;
    }
    while too_much.saturating_sub(bought) > 1 {
        let middle = bought.midpoint(too_much);
        if buys(middle) {
            bought = middle;
        } else {
            too_much = middle;
        }
    }
    if bought < OUTPUT_TOKENS_MIN.min(output_max) {
        return Elastic::Nothing;
    }
    Elastic::Clamped(bought)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::config;

    /// A dollar for a million tokens of prompt, two for a million of answer.
    fn price() -> Price {
        config().models[0].targets[0].price.clone().unwrap()
    }

    #[test]
    fn a_rest_buys_as_much_as_it_does() {
        for (output_max, rest, want) in [
            (100, 1_000_000, Elastic::Fits),
            (100, 210_000, Elastic::Fits),
            (100, 209_999, Elastic::Clamped(99)),
            (100, 60_000, Elastic::Clamped(25)),
            (100, 40_000, Elastic::Nothing),
            (100, 9_999, Elastic::Nothing),
            (8, 25_000, Elastic::Nothing),
            (8, 26_000, Elastic::Fits),
        ] {
            let got = elastic(&price(), Tokens(10), output_max, NanoUsd(rest));
            assert_eq!(got, want, "{output_max} {rest}");
        }
    }

    proptest! {
        #[test]
        fn what_is_clamped_is_bought_and_one_more_is_not(prompt in 0_u64..100_000, most in 1_u64..200_000, rest in 0_u64..1_000_000_000) {
            let cost = |output| price().cost(&Usage { input: Tokens(prompt), output: Tokens(output), ..Usage::default() }, 1).unwrap();
            match elastic(&price(), Tokens(prompt), most, NanoUsd(rest)) {
                Elastic::Fits => prop_assert!(cost(most).0 <= rest),
                Elastic::Clamped(bought) => prop_assert!(cost(bought).0 <= rest && cost(bought + 1).0 > rest && bought < most),
                Elastic::Nothing => prop_assert!(cost(OUTPUT_TOKENS_MIN.min(most)).0 > rest),
            }
        }
    }
}
