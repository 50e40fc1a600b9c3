//! Figures of usage as providers report them, read with care: never negative, never more than can be.

use crate::dialect::event::{Report, Suspect};
use crate::dialect::json::Json;
use crate::units::Tokens;
use crate::usage::Usage;

/// More tokens than any request can have. What is above is not believed beyond it.
pub const TOKENS_MAX: u64 = 1_000_000_000;

/// Reads counts and remembers the first thing that was wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    suspect: Option<Suspect>,
    told: bool,
}

impl Figures {
    /// A count; what is not there is 0.
    pub fn count(&mut self, value: Option<Json<'_>>) -> Tokens {
        let Some(value) = value else {
            return Tokens(0);
        };
        self.told = true;
        // Some write numbers as text: they mean the same.
        let written = || value.text().and_then(|text| text.parse().ok());
        match value.whole().or_else(written) {
            Some(count) if count <= TOKENS_MAX => Tokens(count),
            Some(_) => {
                self.doubt(Suspect::Absurd);
                Tokens(TOKENS_MAX)
            }
            None => {
                self.doubt(Suspect::NotACount);
                Tokens(0)
            }
        }
    }

    /// A field of an object, if that is there.
    pub fn field(&mut self, object: Option<Json<'_>>, name: &str) -> Tokens {
        self.count(object.and_then(|object| object.get(name)))
    }

    /// What is left of a whole without its part, and the part: never more than the whole.
    pub fn divide(&mut self, whole: Tokens, part: Tokens) -> (Tokens, Tokens) {
        if part.0 > whole.0 {
            self.doubt(Suspect::PartAboveWhole);
        }
        let part = part.0.min(whole.0);
        (Tokens(whole.0.saturating_sub(part)), Tokens(part))
    }

    /// What of a prompt is new, and what came from a cache. Where more came than there is, nothing did: that costs more.
    pub fn uncached(&mut self, prompt: Tokens, cached: Tokens) -> (Tokens, Tokens) {
        if cached.0 > prompt.0 {
            self.doubt(Suspect::PartAboveWhole);
            return (prompt, Tokens(0));
        }
        self.divide(prompt, cached)
    }

    /// A part that may overlap with others, as far as it fits into what is left of the whole.
    pub fn within(&mut self, whole: Tokens, left: Tokens, part: Tokens) -> (Tokens, Tokens) {
        if part.0 > whole.0 {
            self.doubt(Suspect::PartAboveWhole);
        }
        let part = part.0.min(left.0);
        (Tokens(left.0.saturating_sub(part)), Tokens(part))
    }

    /// What comes of it, with the total where the provider states one. What that has beyond the classes was produced
    /// unseen and is billed all the same: some count thoughts nowhere else.
    pub fn report(mut self, mut usage: Usage, total: Option<Json<'_>>) -> Report {
        if !self.told {
            self.doubt(Suspect::NotACount);
        }
        let sum = usage.total();
        if total.is_some() {
            let total = self.count(total);
            if total != sum {
                self.doubt(Suspect::TotalIsNotTheSum);
                usage.reasoning = usage.reasoning.plus(Tokens(total.0.saturating_sub(sum.0)));
            }
        }
        Report {
            usage,
            suspect: self.suspect,
        }
    }

    /// Remembers the first thing that is wrong.
    fn doubt(&mut self, what: Suspect) {
        self.suspect = self.suspect.or(Some(what));
    }
}
