//! A reply in nobody's dialect, one event at a time. Texts are borrowed from the bytes that came.

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

/// What a provider said was wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// Its words; shown to the caller, cut to a bound.
    pub message: String,
    /// Its code or type, for the record.
    pub code: String,
    /// What it means.
    pub class: Class,
}

/// How much of a provider's words is kept.
pub const MESSAGE_CHARS_MAX: usize = 2_000;

/// How much of a provider's code is kept.
pub const CODE_CHARS_MAX: usize = 64;

impl Complaint {
    /// Cut to its bounds.
    pub fn new(message: &str, code: &str, class: Class) -> Self {
        Self {
            message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
            code: code.chars().take(CODE_CHARS_MAX).collect(),
            class,
        }
    }

    /// Whether the provider said anything.
    pub fn says_nothing(&self) -> bool {
        self.message.is_empty() && self.code.is_empty()
    }

    /// The class by its code and words, else by the status.
    pub fn classified(mut self, status: Option<u16>) -> Self {
        self.class = Class::of_words(&self.code, &self.message)
            .or_else(|| status.map(Class::of_status))
            .unwrap_or_default();
        self
    }
}

/// Kinds of complaint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// It is not said.
    #[default]
    Unknown,
    /// The request is wrong.
    Invalid,
    /// The prompt is longer than the model reads.
    ContextLength,
    /// A filter does not want it.
    ContentFilter,
    /// The credential is not known.
    Authentication,
    /// The credential may not.
    Permission,
    /// No such model or path.
    NotFound,
    /// More bytes than are read.
    TooLarge,
    /// Too often, or too much.
    RateLimited,
    /// The account is empty.
    Quota,
    /// It took too long.
    Timeout,
    /// The provider is busy.
    Overloaded,
    /// The provider is broken.
    Server,
}

/// Codes and types of all providers, in lower case, with what they mean. One list: they do not contradict
/// each other.
const CODES: &[(&str, Class)] = &[
    ("context_length_exceeded", Class::ContextLength),
    ("string_above_max_length", Class::ContextLength),
    ("content_filter", Class::ContentFilter),
    ("content_policy_violation", Class::ContentFilter),
    ("insufficient_quota", Class::Quota),
    ("billing_error", Class::Quota),
    ("insufficient_balance", Class::Quota),
    ("servicequotaexceededexception", Class::Quota),
    ("rate_limit_error", Class::RateLimited),
    ("rate_limit_exceeded", Class::RateLimited),
    ("rate_limit_reached_error", Class::RateLimited),
    ("too_many_requests", Class::RateLimited),
    ("resource_exhausted", Class::RateLimited),
    ("throttlingexception", Class::RateLimited),
    ("invalid_api_key", Class::Authentication),
    ("authentication_error", Class::Authentication),
    ("unauthenticated", Class::Authentication),
    ("unrecognizedclientexception", Class::Authentication),
    ("permission_error", Class::Permission),
    ("permission_denied", Class::Permission),
    ("accessdeniedexception", Class::Permission),
    ("model_not_found", Class::NotFound),
    ("not_found_error", Class::NotFound),
    ("not_found", Class::NotFound),
    ("resourcenotfoundexception", Class::NotFound),
    ("request_too_large", Class::TooLarge),
    ("timeout_error", Class::Timeout),
    ("deadline_exceeded", Class::Timeout),
    ("modeltimeoutexception", Class::Timeout),
    ("overloaded_error", Class::Overloaded),
    ("overloaded", Class::Overloaded),
    ("unavailable", Class::Overloaded),
    ("serviceunavailableexception", Class::Overloaded),
    ("modelnotreadyexception", Class::Overloaded),
    ("api_error", Class::Server),
    ("server_error", Class::Server),
    ("internal", Class::Server),
    ("internalserverexception", Class::Server),
    ("modelerrorexception", Class::Server),
    ("modelstreamerrorexception", Class::Server),
    ("invalid_request_error", Class::Invalid),
    ("invalid_argument", Class::Invalid),
    ("failed_precondition", Class::Invalid),
    ("validationexception", Class::Invalid),
];

/// Words in messages that mean more than the code beside them.
const WORDS: &[(&str, Class)] = &[
    ("maximum context length", Class::ContextLength),
    ("prompt is too long", Class::ContextLength),
    ("input is too long", Class::ContextLength),
    ("exceeds the maximum number of tokens", Class::ContextLength),
    ("too many tokens", Class::ContextLength),
    ("credit balance is too low", Class::Quota),
];

impl Class {
    /// By the provider's words.
    pub fn of_words(code: &str, message: &str) -> Option<Self> {
        let (code, message) = (code.to_ascii_lowercase(), message.to_ascii_lowercase());
        let by_code = CODES
            .iter()
            .find(|(known, _)| *known == code)
            .map(|(_, class)| *class);
        let by_words = WORDS
            .iter()
            .find(|(known, _)| message.contains(known))
            .map(|(_, class)| *class);
        match by_code {
            Some(Self::Invalid) | None => by_words.or(by_code),
            Some(class) => Some(class),
        }
    }

    /// By the status alone.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Quota,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimited,
            400..=499 => Self::Invalid,
            503 | 529 => Self::Overloaded,
            500..=599 => Self::Server,
            _ => Self::Unknown,
        }
    }

    /// The status that says it.
    pub fn status(self) -> u16 {
        match self {
            Self::Invalid | Self::ContextLength | Self::ContentFilter => 400,
            Self::Authentication => 401,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::RateLimited | Self::Quota => 429,
            Self::Timeout => 504,
            Self::Overloaded => 503,
            Self::Server | Self::Unknown => 502,
        }
    }

    /// Whether it would be said of this request everywhere: no other target helps.
    pub fn is_the_callers(self) -> bool {
        matches!(self, Self::Invalid | Self::TooLarge)
    }

    /// As it stands in records, and in errors of dialects that have no word of their own.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "provider_error",
            Self::Invalid => "invalid_request",
            Self::ContextLength => "context_length_exceeded",
            Self::ContentFilter => "content_filter",
            Self::Authentication => "invalid_api_key",
            Self::Permission => "permission_denied",
            Self::NotFound => "not_found",
            Self::TooLarge => "request_too_large",
            Self::RateLimited => "rate_limit_exceeded",
            Self::Quota => "insufficient_quota",
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::Server => "server_error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_known_by_code_then_words_then_status() {
        for (code, message, status, want) in [
            ("insufficient_quota", "", Some(429), Class::Quota),
            ("ThrottlingException", "", Some(400), Class::RateLimited),
            (
                "invalid_request_error",
                "This model's maximum context length is 8192 tokens",
                Some(400),
                Class::ContextLength,
            ),
            ("whatever", "", Some(529), Class::Overloaded),
            ("whatever", "", None, Class::Unknown),
            ("", "", Some(418), Class::Invalid),
        ] {
            let complaint = Complaint::new(message, code, Class::Unknown).classified(status);
            assert_eq!(complaint.class, want, "{code} {message} {status:?}");
        }
    }

    #[test]
    fn words_are_cut_to_their_bounds() {
        let complaint = Complaint::new(&"é".repeat(5_000), &"c".repeat(500), Class::Server);
        assert_eq!(complaint.message.chars().count(), MESSAGE_CHARS_MAX);
        assert_eq!(complaint.code.len(), CODE_CHARS_MAX);
    }
}
