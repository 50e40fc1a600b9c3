//! Figures of usage as providers report them, read with care: never negative, never more than can be.

use crate::dialect::event::Suspect;
use crate::dialect::json::Json;
use crate::units::Tokens;

/// More tokens than any request can have. What is above is not believed beyond it.
pub const TOKENS_MAX: u64 = 1_000_000_000;

/// Reads counts and remembers the first thing that was wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    suspect: Option<Suspect>,
}

impl Figures {
    /// A count; what is not there is 0.
    pub fn count(&mut self, value: Option<Json<'_>>) -> Tokens {
        let Some(value) = value else {
            return Tokens(0);
        };
        match value.whole() {
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

    /// A total that the provider states, where it states one.
    pub fn expect_total(&mut self, sum: Tokens, total: Option<Json<'_>>) {
        if total.is_some() && self.count(total) != sum {
            self.doubt(Suspect::TotalIsNotTheSum);
        }
    }

    /// What was wrong first.
    pub fn suspect(self) -> Option<Suspect> {
        self.suspect
    }

    fn doubt(&mut self, what: Suspect) {
        self.suspect = self.suspect.or(Some(what));
    }
}
