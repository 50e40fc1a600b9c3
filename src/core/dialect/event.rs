//! A reply in nobody's dialect, one event at a time. Texts are borrowed from the bytes that came.

pub use crate::dialect::complaint::{Class, Complaint};

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

    /// Which call of its answer it belongs to, if to one.
    pub fn call(&self) -> Option<u32> {
        match self {
            Self::ToolStart { call, .. }
            | Self::ToolArguments { call, .. }
            | Self::ToolEnd { call, .. } => Some(*call),
            Self::Text { .. }
            | Self::Refusal { .. }
            | Self::Thinking { .. }
            | Self::Signature { .. }
            | Self::SealedThinking { .. }
            | Self::Logprobs { .. }
            | Self::Finish { .. }
            | Self::Start { .. }
            | Self::Usage(_)
            | Self::Error(_)
            | Self::Done => None,
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
    /// Figures that cannot all be true; the classes above are the cautious reading.
    pub suspect: Option<Suspect>,
}

impl Report {
    /// Whether these are figures at all: nobody is charged by what is no count, or more than can be.
    pub fn counts(&self) -> bool {
        !matches!(self.suspect, Some(Suspect::NotACount | Suspect::Absurd))
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
