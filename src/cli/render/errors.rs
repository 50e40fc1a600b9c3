//! What Envoy says when it answers itself, in the shape that OpenAI's SDKs read.

use super::yaml::{json, text};

/// One kind of answer. `details` is a CEL expression over `response.code_details`, which Envoy
/// sets on its own answers and the filter leaves empty on its own.
struct OwnError {
    details: &'static str,
    status: u16,
    kind: &'static str,
    code: &'static str,
    message: &'static str,
}

/// The first that matches counts.
const OWN_ERRORS: &[OwnError] = &[
    OwnError {
        details: "request_payload_too_large",
        status: 413,
        kind: "invalid_request_error",
        code: "request_too_large",
        message: "The request is too large.",
    },
    OwnError {
        details: "request_(overall|header)_timeout",
        status: 408,
        kind: "invalid_request_error",
        code: "request_timeout",
        message: "The request took too long to arrive.",
    },
    OwnError {
        details: "route_not_found",
        status: 404,
        kind: "invalid_request_error",
        code: "unknown_path",
        message: "There is nothing at this path.",
    },
    OwnError {
        details: "(response_timeout|upstream_per_try_(idle_)?timeout|stream_idle_timeout)",
        status: 504,
        kind: "server_error",
        code: "provider_timeout",
        message: "The provider took too long to answer.",
    },
    OwnError {
        details: "(cluster_not_found|no_healthy_upstream|upstream_reset_before_response_started.*)",
        status: 503,
        kind: "server_error",
        code: "provider_unavailable",
        message: "The provider cannot be reached.",
    },
    OwnError {
        details: "response_payload_too_large",
        status: 502,
        kind: "server_error",
        code: "provider_reply_too_large",
        message: "The provider's reply is too large.",
    },
    OwnError {
        details: "wasm_fail_stream",
        status: 503,
        kind: "server_error",
        code: "gateway_restarting",
        message: "The gateway is starting again. Please try again in a second.",
    },
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
    format!(
        r#"filter:
  extension_filter:
    name: envoy.access_loggers.extension_filters.cel
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter
      expression: {expression}
status_code: {status}
body_format_override:
  content_type: application/json
  text_format_source:
    inline_string: {body}"#,
        expression = text(format!(
            "response.code_details.matches('^{}$')",
            error.details
        )),
        status = error.status,
        body = json(&body.to_string()),
    )
}
