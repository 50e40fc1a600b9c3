//! What a deployment charges, what a request cost there, and what it can cost at most. The three share
//! [`Rates::lines`]: what is held for a request is priced by the code that will price its usage.

use serde::{Deserialize, Serialize};

use crate::units::{MoneyOverflow, NanoUsd, PricePerMillion, Tokens, round_up};
use crate::usage::Usage;

pub mod rerate;
#[cfg(test)]
mod tests;

/// What a deployment charges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// For prompts of any length that no tier is for.
    pub rates: Rates,
    /// Other rates for long prompts, the lowest threshold first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// For each request, whatever its tokens.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub request: NanoUsd,
    /// What a batch endpoint charges of all this; nothing is known of batches where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

/// What a batch endpoint charges of the ordinary prices, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// For every class but one.
    pub thousandths: u64,
    /// For what was read from the provider's cache: some leave that price as it is.
    pub cached_thousandths: u64,
}

/// Other rates for the whole of a request whose prompt is long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// A prompt of more tokens than these, of all classes together.
    pub above: Tokens,
    /// Instead of the ordinary rates.
    pub rates: Rates,
}

/// By class of token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Prompt tokens.
    pub input: PricePerMillion,
    /// Answered tokens.
    pub output: PricePerMillion,
    /// Prompt tokens read from the provider's cache; the input price where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<PricePerMillion>,
    /// Prompt tokens written to the provider's cache; the input price where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<PricePerMillion>,
    /// Prompt tokens written to be kept for an hour; the price of other writes where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_hour: Option<PricePerMillion>,
    /// Heard tokens; the input price where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<PricePerMillion>,
    /// Thought tokens; the output price where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<PricePerMillion>,
    /// Spoken tokens; the output price where none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<PricePerMillion>,
}

/// The most that an attempt can use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Most {
    /// Prompt tokens, of whatever class.
    pub input: Tokens,
    /// Answered tokens, thoughts included: the cap of one answer times how many there are.
    pub output: Tokens,
    /// How many requests are billed.
    pub requests: u64,
}

/// Which side of the conversation a token is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Prompt,
    Answer,
}

impl Price {
    /// What this usage costs. A class without a price of its own costs what its plain class costs: never nothing.
    pub fn cost(&self, usage: &Usage, requests: u64) -> Result<NanoUsd, MoneyOverflow> {
        let rates = self.rates_for(usage.prompt());
        round_up(rates.exact(usage)).and_then(|tokens| tokens.plus(self.fees(requests)?))
    }

    /// What nothing within these bounds can cost more than: all of the prompt in its dearest class, all of the
    /// answer in its dearest, at the dearest tier that a prompt up to this length can reach.
    pub fn most(&self, most: &Most) -> Result<NanoUsd, MoneyOverflow> {
        let reached = self.tiers.iter().filter(|tier| tier.above < most.input);
        let dearest = std::iter::once(&self.rates)
            .chain(reached.map(|tier| &tier.rates))
            .map(|rates| rates.exact_most(most))
            .max()
            .unwrap_or_default();
        round_up(dearest).and_then(|tokens| tokens.plus(self.fees(most.requests)?))
    }

    /// What the same costs by a batch endpoint, if that is known. Every price is rounded up.
    pub fn batched(&self) -> Option<Self> {
        let batch = self.batch?;
        let scaled_rates = |rates: &Rates| {
            let scaled = |price: PricePerMillion| {
                PricePerMillion(thousandths_of(price.0, batch.thousandths))
            };
            let cached = rates.cached_input.unwrap_or(rates.input);
            let cached = thousandths_of(cached.0, batch.cached_thousandths);
            Rates {
                cached_input: Some(PricePerMillion(cached)),
                ..rates.map(scaled)
            }
        };
        let tiers = self.tiers.iter().map(|tier| Tier {
            above: tier.above,
            rates: scaled_rates(&tier.rates),
        });
        Some(Self {
            rates: scaled_rates(&self.rates),
            tiers: tiers.collect(),
            request: thousandths_of(self.request, batch.thousandths),
            batch: None,
        })
    }

    /// Whether nothing costs anything here.
    pub fn is_free(&self) -> bool {
        self.request == NanoUsd::ZERO && !self.charges_prompts() && !self.charges_answers()
    }

    /// Whether tokens of the prompt cost anything.
    pub fn charges_prompts(&self) -> bool {
        self.charges(Side::Prompt)
    }

    /// Whether tokens of the answer cost anything.
    pub fn charges_answers(&self) -> bool {
        self.charges(Side::Answer)
    }

    fn charges(&self, side: Side) -> bool {
        let tiers = self.tiers.iter().map(|tier| &tier.rates);
        std::iter::once(&self.rates).chain(tiers).any(|rates| {
            let lines = rates.lines(&Usage::default());
            lines
                .iter()
                .any(|line| line.0 == side && !is_free_line(line))
        })
    }

    /// Tiers stand in the order of their thresholds, so the last one that is passed counts.
    fn rates_for(&self, prompt: Tokens) -> &Rates {
        self.tiers
            .iter()
            .rev()
            .find(|tier| prompt > tier.above)
            .map_or(&self.rates, |tier| &tier.rates)
    }

    fn fees(&self, requests: u64) -> Result<NanoUsd, MoneyOverflow> {
        let fees = self.request.0.checked_mul(requests);
        fees.map(NanoUsd).ok_or(MoneyOverflow)
    }
}

type Line = (Side, PricePerMillion, Tokens);

fn is_free_line((_, price, _): &Line) -> bool {
    price.0 == NanoUsd::ZERO
}

impl Rates {
    /// Every class of usage once: its side, its price, its tokens.
    fn lines(&self, usage: &Usage) -> [Line; 8] {
        let written = self.cache_write.unwrap_or(self.input);
        let prompt = |price, tokens| (Side::Prompt, price, tokens);
        let answer = |price, tokens| (Side::Answer, price, tokens);
        [
            prompt(self.input, usage.input),
            prompt(self.cached_input.unwrap_or(self.input), usage.cached_input),
            prompt(written, usage.cache_write),
            prompt(
                self.cache_write_hour.unwrap_or(written),
                usage.cache_write_hour,
            ),
            prompt(self.audio_input.unwrap_or(self.input), usage.audio_input),
            answer(self.output, usage.output),
            answer(self.reasoning.unwrap_or(self.output), usage.reasoning),
            answer(self.audio_output.unwrap_or(self.output), usage.audio_output),
        ]
    }

    /// In millionths of a nano-dollar.
    fn exact(&self, usage: &Usage) -> u128 {
        let lines = self.lines(usage);
        lines.iter().fold(0, |sum, (_, price, tokens)| {
            sum.saturating_add(price.exact(*tokens))
        })
    }

    /// The same for the worst usage within bounds.
    fn exact_most(&self, most: &Most) -> u128 {
        let lines = self.lines(&Usage::default());
        let dearest = |side| {
            let prices = lines.iter().filter(|line| line.0 == side);
            prices.map(|line| line.1).max().unwrap_or_default()
        };
        let prompt = dearest(Side::Prompt).exact(most.input);
        prompt.saturating_add(dearest(Side::Answer).exact(most.output))
    }

    /// Every price through the same change.
    fn map(&self, change: impl Fn(PricePerMillion) -> PricePerMillion) -> Self {
        Self {
            input: change(self.input),
            output: change(self.output),
            cached_input: self.cached_input.map(&change),
            cache_write: self.cache_write.map(&change),
            cache_write_hour: self.cache_write_hour.map(&change),
            audio_input: self.audio_input.map(&change),
            reasoning: self.reasoning.map(&change),
            audio_output: self.audio_output.map(&change),
        }
    }
}

/// An amount that does not fit stays at the greatest: whatever is priced by it is refused.
fn thousandths_of(money: NanoUsd, thousandths: u64) -> NanoUsd {
    let exact = u128::from(money.0).saturating_mul(u128::from(thousandths));
    NanoUsd(u64::try_from(exact.div_ceil(1_000)).unwrap_or(u64::MAX))
}

fn is_nothing(money: &NanoUsd) -> bool {
    *money == NanoUsd::ZERO
}
