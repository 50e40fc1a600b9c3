//! A reply in nobody's dialect, one event at a time. Texts are borrowed from the bytes that came.

pub use crate::dialect::complaint::{Class, Complaint};

use crate::units::Tokens;
use crate::usage::Usage;

/// What came.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// The reply begins.
    Start {
        /// The provider's name for it.
        id: &'a str,
        /// The model that answers, as the provider calls it.
        model: &'a str,
        /// Seconds since the epoch, where it is said.
        created: Option<u64>,
    },
    /// Words.
    Text {
        /// Which of several answers.
        choice: u32,
        /// What.
        text: &'a str,
    },
    /// The model declines.
    Refusal {
        /// Which of several answers.
        choice: u32,
        /// In these words.
        text: &'a str,
    },
    /// The model thinks.
    Thinking {
        /// Which of several answers.
        choice: u32,
        /// What.
        text: &'a str,
    },
    /// The seal of the thought that ends here.
    Signature {
        /// Which of several answers.
        choice: u32,
        /// Opaque.
        signature: &'a str,
    },
    /// A thought that is sealed whole.
    SealedThinking {
        /// Which of several answers.
        choice: u32,
        /// Opaque.
        data: &'a str,
    },
    /// A call begins.
    ToolStart {
        /// Which of several answers.
        choice: u32,
        /// Which of its calls, from 0.
        call: u32,
        /// Joins call and result.
        id: &'a str,
        /// Of the tool.
        name: &'a str,
        /// The seal of the thought behind it.
        signature: Option<&'a str>,
    },
    /// A piece of a call's arguments.
    ToolArguments {
        /// Which of several answers.
        choice: u32,
        /// Which of its calls.
        call: u32,
        /// JSON, cut anywhere.
        piece: &'a str,
    },
    /// A call is complete.
    ToolEnd {
        /// Which of several answers.
        choice: u32,
        /// Which of its calls.
        call: u32,
    },
    /// Probabilities of what was said, as OpenAI writes them.
    Logprobs {
        /// Which of several answers.
        choice: u32,
        /// JSON, on one line.
        json: &'a str,
    },
    /// An answer is complete.
    Finish {
        /// Which of several answers.
        choice: u32,
        /// Why it ends.
        reason: Finish,
    },
    /// What was used, so far; the last one counts.
    Usage(Report),
    /// The provider failed.
    Error(&'a Complaint),
    /// The end, as it should be.
    Done,
}

impl Event<'_> {
    /// How many bytes of what the model said it carries.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Text { text, .. } | Self::Refusal { text, .. } | Self::Thinking { text, .. } => {
                text.len()
            }
            Self::Signature {
                signature: text, ..
            }
            | Self::SealedThinking { data: text, .. }
            | Self::ToolArguments { piece: text, .. }
            | Self::Logprobs { json: text, .. } => text.len(),
            Self::ToolStart { name, id, .. } => name.len().saturating_add(id.len()),
            Self::Start { .. }
            | Self::ToolEnd { .. }
            | Self::Finish { .. }
            | Self::Usage(_)
            | Self::Error(_)
            | Self::Done => 0,
        }
    }

    /// Which of several answers it belongs to, if to one.
    pub fn choice(&self) -> Option<u32> {
        match self {
            Self::Text { choice, .. }
            | Self::Refusal { choice, .. }
            | Self::Thinking { choice, .. }
            | Self::Signature { choice, .. }
            | Self::SealedThinking { choice, .. }
            | Self::ToolStart { choice, .. }
            | Self::ToolArguments { choice, .. }
            | Self::ToolEnd { choice, .. }
            | Self::Logprobs { choice, .. }
            | Self::Finish { choice, .. } => Some(*choice),
            Self::Start { .. } | Self::Usage(_) | Self::Error(_) | Self::Done => None,
        }
    }

    /// Whether the caller was waiting for it: from here on nobody else is asked.
    pub fn is_content(&self) -> bool {
        match self {
            Self::Text { .. }
            | Self::Refusal { .. }
            | Self::Thinking { .. }
            | Self::Signature { .. }
            | Self::SealedThinking { .. }
            | Self::ToolStart { .. }
            | Self::ToolArguments { .. }
            | Self::Finish { .. } => true,
            Self::Start { .. }
            | Self::ToolEnd { .. }
            | Self::Logprobs { .. }
            | Self::Usage(_)
            | Self::Error(_)
            | Self::Done => false,
        }
    }
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// All is said.
    Stop,
    /// One of the caller's texts came up.
    StopSequence,
    /// As long as it may be.
    Length,
    /// A tool is to be called.
    ToolCalls,
    /// Somebody else's filter.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// A long turn is interrupted, to be continued.
    Pause,
}

/// What was used, as the provider reported it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In classes that do not overlap.
    pub usage: Usage,
    /// Of `cache_write`, what is kept for an hour: some ask more for it.
    pub cache_write_hour: Tokens,
    /// Of `input`, what was heard.
    pub audio_input: Tokens,
    /// Of `output`, what was spoken.
    pub audio_output: Tokens,
    /// Figures that cannot all be true; the classes above are the cautious reading.
    pub suspect: Option<Suspect>,
}

impl Report {
    /// Every class apart, for pricing: dialects report some as part of another.
    pub fn classes(&self) -> Usage {
        let usage = self.usage;
        let part = |whole: Tokens, part: Tokens| {
            let part = Tokens(part.0.min(whole.0));
            (Tokens(whole.0.saturating_sub(part.0)), part)
        };
        let (cache_write, cache_write_hour) = part(usage.cache_write, self.cache_write_hour);
        let (input, audio_input) = part(usage.input, self.audio_input);
        let (output, audio_output) = part(usage.output, self.audio_output);
        Usage {
            input,
            cache_write,
            cache_write_hour: usage.cache_write_hour.plus(cache_write_hour),
            audio_input: usage.audio_input.plus(audio_input),
            output,
            audio_output: usage.audio_output.plus(audio_output),
            ..usage
        }
    }
}

/// What is wrong with figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspect {
    /// A part is larger than its whole.
    PartAboveWhole,
    /// The total is not the sum.
    TotalIsNotTheSum,
    /// Negative, a fraction, or no number.
    NotACount,
    /// More tokens than any model has.
    Absurd,
}

impl Suspect {
    /// As it stands in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::PartAboveWhole => "part_above_whole",
            Self::TotalIsNotTheSum => "total_is_not_the_sum",
            Self::NotACount => "not_a_count",
            Self::Absurd => "absurd",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reported_as_a_part_is_a_class_of_its_own() {
        let report = Report {
            usage: Usage {
                input: Tokens(100),
                cached_input: Tokens(7),
                cache_write: Tokens(50),
                output: Tokens(30),
                reasoning: Tokens(3),
                ..Usage::default()
            },
            cache_write_hour: Tokens(20),
            audio_input: Tokens(60),
            // more than there is: never more than the whole
            audio_output: Tokens(31),
            suspect: None,
        };
        let classes = report.classes();
        let want = Usage {
            input: Tokens(40),
            cached_input: Tokens(7),
            cache_write: Tokens(30),
            cache_write_hour: Tokens(20),
            audio_input: Tokens(60),
            output: Tokens(0),
            reasoning: Tokens(3),
            audio_output: Tokens(30),
        };
        assert_eq!(classes, want);
        assert_eq!(classes.total(), report.usage.total());
    }
}
