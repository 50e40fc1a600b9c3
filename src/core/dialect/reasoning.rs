//! How hard a model is asked to think, in words and in tokens.

/// How hard to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// Whether, and how many tokens.
    pub thinking: Thinking,
    /// In words.
    pub effort: Option<Effort>,
}

/// Whether to think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thinking {
    /// As the model does.
    #[default]
    Unsaid,
    /// No.
    Off,
    /// As much as the model likes.
    Adaptive,
    /// At most so many tokens.
    Budget(u64),
}

/// How hard, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Not at all.
    None,
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// More.
    ExtraHigh,
    /// All there is.
    Max,
}

impl Effort {
    /// Every one with its word and the budget that stands for it where only tokens are understood.
    pub const ALL: [(Self, &'static str, u64); 7] = [
        (Self::None, "none", 0),
        (Self::Minimal, "minimal", 1_024),
        (Self::Low, "low", 2_048),
        (Self::Medium, "medium", 8_192),
        (Self::High, "high", 24_576),
        (Self::ExtraHigh, "xhigh", 32_768),
        (Self::Max, "max", 65_536),
    ];

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known, _)| *known == word)
            .map(|(effort, ..)| *effort)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(effort, ..)| *effort == self)
            .map_or("medium", |(_, word, _)| word)
    }

    /// The budget that stands for it.
    pub fn budget(self) -> u64 {
        Self::ALL
            .iter()
            .find(|(effort, ..)| *effort == self)
            .map_or(0, |(.., budget)| *budget)
    }

    /// The least effort whose budget is as large, up to `High`: beyond, not every provider has words.
    pub fn of_budget(budget: u64) -> Self {
        Self::ALL
            .iter()
            .find(|(_, _, known)| *known >= budget)
            .map_or(Self::High, |(effort, ..)| match effort {
                Self::ExtraHigh | Self::Max => Self::High,
                Self::None | Self::Minimal | Self::Low | Self::Medium | Self::High => *effort,
            })
    }
}

impl Reasoning {
    /// In words, for a target that knows no budgets.
    pub fn in_words(self) -> Option<Effort> {
        match (self.effort, self.thinking) {
            (Some(effort), _) => Some(effort),
            (None, Thinking::Budget(budget)) => Some(Effort::of_budget(budget)),
            (None, Thinking::Off) => Some(Effort::None),
            (None, Thinking::Unsaid | Thinking::Adaptive) => None,
        }
    }

    /// In tokens, for a target that knows no words; 0 is none at all.
    pub fn in_tokens(self) -> Option<u64> {
        match (self.thinking, self.effort) {
            (Thinking::Budget(budget), _) => Some(budget),
            (Thinking::Off, _) => Some(0),
            (Thinking::Unsaid | Thinking::Adaptive, Some(effort)) => Some(effort.budget()),
            (Thinking::Unsaid | Thinking::Adaptive, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effort_and_budget_stand_for_each_other() {
        for (effort, word, budget) in Effort::ALL {
            assert_eq!(Effort::parse(word), Some(effort));
            assert_eq!((effort.word(), effort.budget()), (word, budget));
        }
        for (budget, want) in [
            (0, Effort::None),
            (1, Effort::Minimal),
            (2_048, Effort::Low),
            (8_000, Effort::Medium),
            (24_576, Effort::High),
            (1_000_000, Effort::High),
        ] {
            assert_eq!(Effort::of_budget(budget), want, "{budget}");
        }
    }
}
