//! The most that an attempt at a target can cost: what is held before it is made.

use super::Target;
use crate::price::{Most, Price};
use crate::tokens::{Audio, Beyond, Bound, Media};
use crate::units::{NanoUsd, Tokens};

/// Why nobody can tell what an attempt costs at most. A hard budget cannot cover it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBound {
    /// No price is known.
    Unpriced,
    /// Neither the caller, nor the configuration, nor the catalogue says how long an answer may be.
    NoOutputCap,
    /// Something in the prompt has no bound, and nobody knows what fits into the model.
    Media(Media),
    /// Speech, and no price of speech is known.
    Speech,
    /// More is billed than tokens.
    Beyond(Beyond),
    /// It is more than can be written.
    Overflow,
}

impl Target {
    /// The worst case of one attempt here. `output_cap` is what is sent along, from [`Self::output_cap`]; `answers` is how
    /// many there are, none from an endpoint that does not answer in tokens. A request that cannot be bounded takes the
    /// configured hold, if there is one.
    pub fn most(
        &self,
        prompt: &Bound,
        output_cap: Option<Tokens>,
        answers: u64,
    ) -> Result<NanoUsd, NoBound> {
        let price = self.price.as_ref().ok_or(NoBound::Unpriced)?;
        if price.is_free() {
            return Ok(NanoUsd::ZERO);
        }
        match self.bounds(price, prompt, output_cap, answers) {
            Ok(most) => price.most(&most).map_err(|_| NoBound::Overflow),
            Err(why) => self.unbounded_hold.ok_or(why),
        }
    }

    fn bounds(
        &self,
        price: &Price,
        prompt: &Bound,
        output_cap: Option<Tokens>,
        answers: u64,
    ) -> Result<Most, NoBound> {
        if let Some(beyond) = prompt.beyond {
            return Err(NoBound::Beyond(beyond));
        }
        let hears = price.rates.audio_input.is_some();
        let speaks = price.rates.audio_output.is_some();
        match prompt.audio {
            Some(Audio::Heard) if !hears => return Err(NoBound::Speech),
            Some(Audio::Spoken) if !(hears && speaks) => return Err(NoBound::Speech),
            Some(Audio::Heard | Audio::Spoken) | None => {}
        }
        let unbounded = NoBound::Media(prompt.media.unwrap_or(Media::Unknown));
        let input = prompt.input(self.context_window).ok_or(unbounded)?;
        let each = match (answers, output_cap) {
            (0, _) => Tokens(0),
            (_, cap) => cap.ok_or(NoBound::NoOutputCap)?,
        };
        Ok(Most {
            input,
            output: Tokens(each.0.saturating_mul(answers)),
            requests: 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::Rates;
    use crate::units::PricePerMillion;

    /// A dollar a token in, two out, so that figures can be read.
    fn target() -> Target {
        let per_token = |dollars: u64| PricePerMillion(NanoUsd(dollars * 1_000_000));
        let rates = Rates {
            input: per_token(1),
            output: per_token(2),
            ..Rates::default()
        };
        Target {
            price: Some(Price {
                rates,
                request: NanoUsd(7),
                ..Price::default()
            }),
            ..Target::default()
        }
    }

    fn prompt() -> Bound {
        Bound {
            tokens: Tokens(100),
            ..Bound::default()
        }
    }

    #[test]
    fn the_hold_covers_prompt_answers_and_fee() {
        for (cap, answers, want) in [
            (Some(10), 1, Ok(100 + 20 + 7)),
            (Some(10), 3, Ok(100 + 60 + 7)),
            (None, 0, Ok(107)),
            (Some(10), 0, Ok(107)),
            (None, 1, Err(NoBound::NoOutputCap)),
            (Some(u64::MAX), 2, Err(NoBound::Overflow)),
        ] {
            let held = target().most(&prompt(), cap.map(Tokens), answers);
            assert_eq!(held, want.map(NanoUsd), "{cap:?} {answers}");
        }
    }

    #[test]
    fn what_cannot_be_bounded_is_named_or_takes_the_configured_hold() {
        let bound = |change: fn(&mut Bound)| {
            let mut bound = prompt();
            change(&mut bound);
            bound
        };
        let files = bound(|it| it.media = Some(Media::File));
        let searches = bound(|it| it.beyond = Some(Beyond::HostedTool));
        let speaks = bound(|it| it.audio = Some(Audio::Spoken));
        for (prompt, why) in [
            (files, NoBound::Media(Media::File)),
            (searches, NoBound::Beyond(Beyond::HostedTool)),
            (speaks, NoBound::Speech),
        ] {
            let cap = Some(Tokens(10));
            assert_eq!(target().most(&prompt, cap, 1), Err(why));
            let configured = Target {
                unbounded_hold: Some(NanoUsd(5)),
                ..target()
            };
            assert_eq!(configured.most(&prompt, cap, 1), Ok(NanoUsd(5)));
        }
        // What fits into the model bounds a file, not a search.
        let window = Target {
            context_window: Some(Tokens(1_000)),
            ..target()
        };
        let cap = Some(Tokens(10));
        assert_eq!(window.most(&files, cap, 1), Ok(NanoUsd(1_027)));
        assert!(window.most(&searches, cap, 1).is_err());
        let mut heard = target();
        if let Some(price) = &mut heard.price {
            price.rates.audio_input = Some(PricePerMillion(NanoUsd(40_000_000)));
        }
        let hears = bound(|it| it.audio = Some(Audio::Heard));
        assert_eq!(heard.most(&hears, cap, 1), Ok(NanoUsd(4_027)));
        assert_eq!(heard.most(&speaks, cap, 1), Err(NoBound::Speech));
    }

    #[test]
    fn what_has_no_price_is_not_free_and_what_is_free_needs_no_bound() {
        let unpriced = Target {
            unbounded_hold: Some(NanoUsd(5)),
            ..Target::default()
        };
        assert_eq!(unpriced.most(&prompt(), None, 1), Err(NoBound::Unpriced));
        let free = Target {
            price: Some(Price::default()),
            ..Target::default()
        };
        let anything = Bound {
            beyond: Some(Beyond::HostedTool),
            ..prompt()
        };
        assert_eq!(free.most(&anything, None, 1), Ok(NanoUsd::ZERO));
    }
}
