//! What is known of a request when its way is chosen.

use super::explanation::Because;
use super::traits::Traits;
use super::wishes::Wishes;
use crate::config::Key;
use crate::config::routing::{Complexity, Subject, When};
use crate::units::{Timestamp, Tokens};

/// One request.
pub struct Ask<'a> {
    /// Position of the model asked for.
    pub model: usize,
    /// Positions of the models the caller would take instead, in order.
    pub instead: &'a [usize],
    /// The position of the model that answers because a budget is nearly spent or a limit is reached.
    pub downgraded_to: Option<(usize, Because)>,
    /// The path.
    pub endpoint: &'static str,
    /// Whether the answer streams.
    pub stream: bool,
    /// Tokens of the prompt.
    pub prompt: Tokens,
    /// The body.
    pub body: &'a [u8],
    /// What it says.
    pub traits: &'a Traits,
    /// What the head says.
    pub wishes: &'a Wishes,
    /// Who asks.
    pub caller: &'a Key,
    /// How hard it looks; none where nobody wants to know.
    pub complexity: Option<u8>,
    /// When.
    pub now: Timestamp,
    /// A number nobody can foresee.
    pub random: u64,
}

impl Ask<'_> {
    /// In milliseconds since the epoch.
    pub fn now_ms(&self) -> u64 {
        self.now.0.checked_div(1_000_000).unwrap_or_default()
    }

    /// Tokens of the prompt and of the longest answer the caller takes.
    pub fn tokens(&self) -> Tokens {
        self.prompt
            .plus(Tokens(self.traits.output_max.unwrap_or(0)))
    }

    /// Whether it is one of those; `model` is the name asked for.
    pub fn fits(&self, when: &When, model: &str) -> bool {
        let numbers = |comparisons: &[crate::config::routing::Comparison], value: Option<u64>| {
            comparisons
                .iter()
                .all(|comparison| value.is_some_and(|value| comparison.holds(value)))
        };
        numbers(&when.prompt_tokens, Some(self.prompt.0))
            && numbers(&when.output_tokens, self.traits.output_max)
            && when.stream.is_none_or(|wanted| wanted == self.stream)
            && when
                .needs
                .iter()
                .all(|need| self.traits.needs.contains(need))
            && (when.complexity.is_empty()
                || self
                    .class()
                    .is_some_and(|class| when.complexity.contains(&class)))
            && when
                .texts
                .iter()
                .all(|(subject, wanted)| self.says(subject, wanted, model))
    }

    /// The class of its complexity.
    pub fn class(&self) -> Option<Complexity> {
        self.complexity.map(super::complexity::class)
    }

    fn says(&self, subject: &Subject, wanted: &[String], model: &str) -> bool {
        let one = |text: &str| wanted.iter().any(|pattern| matches(pattern, text));
        match subject {
            Subject::Model => one(model),
            Subject::Endpoint => one(self.endpoint),
            Subject::Org => one(&self.caller.org),
            Subject::Team => one(&self.caller.team),
            Subject::User => one(&self.caller.user) || self.traits.user.as_deref().is_some_and(one),
            Subject::Key => one(&self.caller.name),
            Subject::Tier => one(&self.caller.tier),
            Subject::Tag => self.wishes.tags.iter().any(|tag| one(tag)),
            Subject::Header(name) => self.wishes.header(name).is_some_and(one),
            Subject::Metadata(name) => self.traits.metadata(name).is_some_and(one),
        }
    }
}

/// `search`, or `search-*` for all that begins so. What is not there is empty, which only `*` and an empty pattern match.
pub fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => text.starts_with(beginning),
        None => pattern == text,
    }
}
