//! What providers say when they fail, and what it means.

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

    /// The status that says it to the caller.
    pub fn status(self) -> u16 {
        match self {
            Self::Invalid | Self::ContextLength | Self::ContentFilter => 400,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::RateLimited | Self::Quota => 429,
            Self::Timeout => 504,
            Self::Overloaded => 503,
            // It is the gateway's credential, not the caller's.
            Self::Server | Self::Unknown | Self::Authentication | Self::Permission => 502,
        }
    }

    /// Whether it would be said of this request everywhere: no other target helps.
    pub fn is_the_callers(self) -> bool {
        matches!(self, Self::Invalid | Self::TooLarge)
    }

    /// Whether only the operator can help: it is about the gateway's credential.
    pub fn is_the_operators(self) -> bool {
        matches!(self, Self::Authentication | Self::Permission)
    }

    /// As it stands in records, and in errors of dialects that have no word of their own.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "provider_error",
            Self::Invalid => "invalid_request",
            Self::ContextLength => "context_length_exceeded",
            Self::ContentFilter => "content_filter",
            Self::Authentication | Self::Permission => "provider_credential_refused",
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
    fn what_is_said_of_the_gateways_credential_is_not_passed_on() {
        for class in [Class::Authentication, Class::Permission] {
            let complaint = Complaint::new("Incorrect API key: sk-secret", "x", class);
            let fault = crate::dialect::speak::Fault::from(&complaint);
            assert!(!fault.message.contains("sk-secret"));
            assert_eq!(
                (fault.code, class.status()),
                ("provider_credential_refused", 502)
            );
        }
    }

    #[test]
    fn words_are_cut_to_their_bounds() {
        let complaint = Complaint::new(&"é".repeat(5_000), &"c".repeat(500), Class::Server);
        assert_eq!(complaint.message.chars().count(), MESSAGE_CHARS_MAX);
        assert_eq!(complaint.code.len(), CODE_CHARS_MAX);
    }
}
