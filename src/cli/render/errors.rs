//! What Envoy says when it answers itself, in the shape that OpenAI's SDKs read.

use super::yaml::{json, text};

/// One kind of answer.
struct OwnError {
    when: When,
    kind: &'static str,
    code: &'static str,
    message: &'static str,
}

/// Told apart by `response.code_details`, which Envoy sets on its own answers; the filter's are `tollgate`.
enum When {
    /// These details (a regular expression); the answer gets this status.
    Details(&'static str, u16),
    /// Anything else with a status in this hundred, which stays.
    Hundred(u16),
}

impl OwnError {
    const fn ours(when: When, code: &'static str, message: &'static str) -> Self {
        Self {
            when,
            kind: "server_error",
            code,
            message,
        }
    }

    const fn theirs(when: When, code: &'static str, message: &'static str) -> Self {
        Self {
            when,
            kind: "invalid_request_error",
            code,
            message,
        }
    }
}

/// The first that matches counts.
const OWN_ERRORS: &[OwnError] = &[
    OwnError::theirs(
        When::Details("request_payload_too_large", 413),
        "request_too_large",
        "The request is too large.",
    ),
    OwnError::theirs(
        When::Details("request_(overall|header)_timeout", 408),
        "request_timeout",
        "The request took too long to arrive.",
    ),
    OwnError::theirs(
        When::Details("route_not_found", 404),
        "unknown_path",
        "There is nothing at this path.",
    ),
    OwnError::ours(
        When::Details(
            "(response_timeout|upstream_per_try_(idle_)?timeout|stream_idle_timeout)",
            504,
        ),
        "provider_timeout",
        "The provider took too long to answer.",
    ),
    OwnError::ours(
        When::Details("upstream_reset_before_response_started.overflow.*", 503),
        "gateway_overloaded",
        "The gateway has too much to do. Please try again in a second.",
    ),
    OwnError::ours(
        When::Details(
            "(cluster_not_found|no_healthy_upstream|upstream_reset_before_response_started.*)",
            503,
        ),
        "provider_unavailable",
        "The provider cannot be reached.",
    ),
    OwnError::ours(
        When::Details("failed_to_inject_credential", 503),
        "provider_key_missing",
        "The gateway has no key for the provider.",
    ),
    OwnError::ours(
        When::Details("response_payload_too_large", 502),
        "provider_reply_too_large",
        "The provider's reply is too large.",
    ),
    OwnError::ours(
        When::Details("wasm_fail_stream", 503),
        "gateway_restarting",
        "The gateway is starting again. Please try again in a second.",
    ),
    OwnError::theirs(
        When::Hundred(400),
        "bad_request",
        "The request is not well-formed HTTP, or asks for what the gateway does not do.",
    ),
    OwnError::ours(
        When::Hundred(500),
        "gateway_error",
        "The gateway could not answer.",
    ),
];

/// Entries for `local_reply_config.mappers`.
pub(super) fn mappers() -> impl Iterator<Item = String> {
    OWN_ERRORS.iter().map(mapper)
}

fn mapper(error: &OwnError) -> String {
    let body = serde_json::json!({"error": {
        "message": error.message,
        "type": error.kind,
        "param": null,
        "code": error.code,
    }});
    let (expression, status) = match error.when {
        When::Details(details, status) => (
            format!("response.code_details.matches('^{details}$')"),
            format!("\nstatus_code: {status}"),
        ),
        When::Hundred(hundred) => (
            format!(
                "response.code_details != 'tollgate' && response.code / 100 * 100 == {hundred}"
            ),
            String::new(),
        ),
    };
    format!(
        r#"filter:
  extension_filter:
    name: envoy.access_loggers.extension_filters.cel
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter
      expression: {expression}{status}
body_format_override:
  content_type: application/json
  text_format_source:
    inline_string: {body}"#,
        expression = text(expression),
        body = json(&body.to_string()),
    )
}
