//! The same questions to providers of every dialect, in the words of every SDK.

use std::process::Command;

use tollgate::fake::Reply;
use tollgate_tests::Gateway;

use super::{agree, installed, script, told};

/// A dialect of providers, and what differs where it answers; the rest must not.
pub(super) struct Dialect {
    name: &'static str,
    /// Where its paths begin.
    path: &'static str,
    /// The code of a refusal, and the type and code of an error inside a stream, as Anthropic's SDKs tell them: Anthropic's
    /// own words pass through, and have no code.
    refusal: &'static str,
    error: &'static str,
    /// The code of that error as OpenAI's SDKs tell it, in a chat, where OpenAI's own words pass through, and in a response.
    chat: &'static str,
    response: &'static str,
    /// The blocks of an answer with thoughts, and the events of its stream.
    thoughts: &'static str,
}

pub(super) const ANTHROPIC: Dialect = Dialect {
    name: "anthropic",
    path: "",
    refusal: "null",
    error: r#""overloaded_error", null"#,
    chat: r#""overloaded""#,
    response: r#""overloaded""#,
    thoughts: r#"[["thinking", true], ["tool_use", false]], ["input_json", "signature", "thinking"]"#,
};
pub(super) const OPENAI: Dialect = Dialect {
    name: "openai",
    path: "/v1",
    refusal: r#""invalid_request""#,
    error: r#""api_error", "server_error""#,
    chat: "null",
    response: r#""server_error""#,
    // Chat completions keep them to themselves.
    thoughts: r#"[["tool_use", false]], ["input_json"]"#,
};
pub(super) const GEMINI: Dialect = Dialect {
    name: "gemini",
    path: "",
    refusal: r#""invalid_request""#,
    error: r#""overloaded_error", "overloaded""#,
    chat: r#""overloaded""#,
    response: r#""overloaded""#,
    thoughts: r#"[["thinking", false], ["tool_use", false]], ["input_json", "thinking"]"#,
};
pub(super) const COHERE: Dialect = Dialect {
    name: "cohere",
    path: "",
    refusal: r#""invalid_request""#,
    error: r#""api_error", "server_error""#,
    chat: r#""server_error""#,
    response: r#""server_error""#,
    thoughts: r#"[["thinking", false], ["tool_use", false]], ["input_json", "thinking"]"#,
};

/// A way to answer, and how it is done.
fn ways() -> [(&'static str, Reply); 9] {
    let text = || Reply::text("one two three");
    [
        ("", Reply::healthy()),
        ("-cached", Reply::healthy().cached_tokens(3)),
        ("-refused", Reply::status(400)),
        ("-limited", Reply::status(429).retry_after(7)),
        ("-down", Reply::status(500)),
        ("-gone", Reply::healthy()),
        ("-ends", text().breaks("end@2")),
        ("-errs", text().breaks("error@2")),
        ("-resets", text().breaks("reset@2")),
    ]
}

/// A provider of this dialect for each way to answer; each has a model of its name.
fn gateway_to(dialect: &Dialect) -> Gateway {
    let Dialect { name, path, .. } = dialect;
    let ways = ways();
    let each = |line: &dyn Fn(String) -> String| -> String {
        ways.iter()
            .map(|(way, _)| line(format!("{name}{way}")))
            .collect()
    };
    let providers = each(&|one| {
        format!(
            "  {one}: {{breaker: {{disabled: true}}, dialect: {name}, url: 'http://{{{one}}}{path}'}}\n"
        )
    });
    let models = each(&|one| format!("  {one}: {{targets: [{{provider: {one}}}]}}\n"));
    let allowed = each(&|one| format!("{one}, "));
    let gateway = Gateway::with(&format!(
        "
listen: {{address: {{listen}}}}
admin: {{address: {{admin}}}}
providers:
{providers}models:
{models}tenants:
  keys:
  - {{name: team-a, sha256: {{key team-a}}, models: [{allowed}]}}
  - {{name: stranger, sha256: {{key stranger}}, models: [{name}-down]}}
"
    ));
    for (way, reply) in ways {
        gateway.provider(&format!("{name}{way}")).always(reply);
    }
    let gone = gateway.provider(&format!("{name}-gone"));
    gone.stop_listening().unwrap();
    gateway
}

/// Python and Node see the same of every provider, but for what is said in [`Dialect`].
pub(super) fn agrees_with(dialect: &Dialect, base: &str, scripts: [(&str, &str); 2]) {
    let gateway = gateway_to(dialect);
    let url = format!("http://{}{base}", gateway.address());
    for (name, want) in scripts {
        let mut command = if name.ends_with(".py") {
            let mut python =
                Command::new(installed("TOLLGATE_SDK_PYTHON", ".tools/python/bin/python"));
            python.arg(script(name)).arg(&url);
            python
        } else {
            let mut node = Command::new("node");
            node.arg(script(name)).arg(&url);
            node.arg(installed("TOLLGATE_SDK_NODE", ".tools/node"));
            node
        };
        let told = told(command.arg(dialect.name));
        let want = want
            .replace("{dialect}", dialect.name)
            .replace("{refusal}", dialect.refusal)
            .replace("{error}", dialect.error)
            .replace("{chat}", dialect.chat)
            .replace("{response}", dialect.response)
            .replace("{thoughts}", dialect.thoughts);
        agree(&told, &want);
    }
}

const MESSAGES_PYTHON: &str = r#"["plain", "message", "assistant", "{dialect}", "{dialect} heard: hi there", "end_turn", [2, 0, 4]]
["system", "{dialect} heard: hi there", [5, 0, 4]]
["cached", [1, 3, 6]]
["too long", "{dialect} heard:", "max_tokens"]
["turns", "{dialect} heard: three", [3, 0, 3]]
["raw response", "{dialect}", "{dialect} heard: hi there"]
["count", true]
["cache hints", "{dialect} heard: hi there", [5, 0, 4]]
["stop and user", "{dialect} heard: hi there", "end_turn"]
["picture by base64", "{dialect} heard: what is it"]
["picture by url", "{dialect} heard: what is it"]
["schema", 1]
["beta", "{dialect} heard: hi there"]
["bearer", "{dialect} heard: hi there"]
["models", true, "{dialect}"]
["streamed", "{dialect} heard: hi there", ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"]]
["stream helper", "{dialect} heard: hi there", "{dialect} heard: hi there", "end_turn", "{dialect}", [2, 0, 4]]
["stream cached", [1, 3, 6]]
["tool", "tool_use", [["weather", {"city": "in Rome", "days": 1}]]]
["tool streamed", "tool_use", [["weather", {"city": "in Rome", "days": 1}]], true]
["parallel tools", "tool_use", [["weather", {"city": "parallel in Rome", "days": 1}], ["weather", {"city": "parallel in Rome", "days": 1}]]]
["parallel tools streamed", "tool_use", [["weather", {"city": "parallel in Rome", "days": 1}], ["weather", {"city": "parallel in Rome", "days": 1}]], true]
["tool result", "{dialect} heard: in Rome", "end_turn"]
["tool by name", [["weather", {"city": "in Rome", "days": 1}]]]
["thoughts", true, {thoughts}]
["thoughts and result", "{dialect} heard: in Rome"]
["unknown key", "AuthenticationError", 401, "authentication_error", "invalid_api_key"]
["unknown model", "NotFoundError", 404, "not_found_error", "model_not_found"]
["model of others", "PermissionDeniedError", 403, "permission_error", "model_not_allowed"]
["bad request", "BadRequestError", 400, "invalid_request_error", "invalid_type"]
["refused by the provider", "BadRequestError", 400, "invalid_request_error", {refusal}]
["limited", "RateLimitError", 429, "rate_limit_error", "provider_rate_limited"]
["provider down", "InternalServerError", 502, "api_error", "provider_error"]
["provider unreachable", "ServiceUnavailableError", 503, "overloaded_error", "provider_unreachable"]
["stream refused", "RateLimitError", 429, "rate_limit_error", "provider_rate_limited"]
["retry after", "7"]
["stream ends", "APIStatusError", 200, "api_error", "provider_stream_cut"]
["stream ends after", "one two"]
["stream errs", "APIStatusError", 200, {error}]
["stream errs after", "one two"]
["stream resets", "RemoteProtocolError"]
["stream resets after", "one two"]
["async", "{dialect} heard: hi there"]
["async streamed", "{dialect} heard: hi there", [2, 0, 4]]
["async tool streamed", [["weather", {"city": "in Rome", "days": 1}]]]
["async together", ["{dialect} heard: number 0", "{dialect} heard: number 1", "{dialect} heard: number 2"]]
["async count", true]
["async error", "NotFoundError", "not_found_error"]
["async limited", "RateLimitError", "rate_limit_error"]
["async stream ends", "APIStatusError", "api_error"]"#;

const MESSAGES_NODE: &str = r#"["plain", "assistant", "{dialect}", "{dialect} heard: hi there", "end_turn", [2, 0, 4]]
["system", "{dialect} heard: hi there", [5, 0, 4]]
["cached", [1, 3, 6]]
["count", true]
["streamed", "{dialect} heard: hi there"]
["stream helper", "{dialect} heard: hi there", "{dialect} heard: hi there", "end_turn", [2, 0, 4]]
["tools", "tool_use", [["weather", {"city": "parallel in Rome"}], ["weather", {"city": "parallel in Rome"}]]]
["tools streamed", "tool_use", [["weather", {"city": "parallel in Rome"}], ["weather", {"city": "parallel in Rome"}]], "{\"city\":\"parallel in Rome\"}{\"city\":\"parallel in Rome\"}"]
["tool results", "{dialect} heard: in Rome"]
["unknown key", "AuthenticationError", 401, "authentication_error", "invalid_api_key"]
["unknown model", "NotFoundError", 404, "not_found_error", "model_not_found"]
["model of others", "PermissionDeniedError", 403, "permission_error", "model_not_allowed"]
["bad request", "BadRequestError", 400, "invalid_request_error", "invalid_type"]
["refused by the provider", "BadRequestError", 400, "invalid_request_error", {refusal}]
["limited", "RateLimitError", 429, "rate_limit_error", "provider_rate_limited"]
["provider down", "InternalServerError", 502, "api_error", "provider_error"]
["stream ends", "APIError", null, "api_error", "provider_stream_cut"]
["stream errs", "APIError", null, {error}]"#;

fn anthropics_sdks(dialect: &Dialect) {
    let scripts = [
        ("messages.py", MESSAGES_PYTHON),
        ("messages.mjs", MESSAGES_NODE),
    ];
    agrees_with(dialect, "", scripts);
}

const TRANSLATED_PYTHON: &str = r#"["chat", "{dialect}-cached heard: one two three four", "stop", [4, 3, 6, 10]]
["chat tool", "tool_calls", [["weather", {"city": "in Rome", "days": 1}]]]
["chat tool streamed", ["tool_calls"], [["weather", {"city": "in Rome", "days": 1}]]]
["chat tool helper", ["weather"], 2]
["chat parallel tools", "tool_calls", [["weather", {"city": "parallel in Rome", "days": 1}], ["weather", {"city": "parallel in Rome", "days": 1}]]]
["chat parallel tools streamed", ["tool_calls"], [["weather", {"city": "parallel in Rome", "days": 1}], ["weather", {"city": "parallel in Rome", "days": 1}]]]
["chat parallel tools helper", ["weather", "weather"], 3]
["chat tool result", "{dialect} heard: in Rome"]
["chat schema", 1]
["plain", "{dialect} heard: hi there", "completed", "{dialect}", [2, 0, 4, 6]]
["instructions", "{dialect} heard: hi there", [5, 0, 4, 9]]
["cached", [4, 3, 6, 10]]
["streamed", "{dialect} heard: hi there", ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added", "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"]]
["streamed response", "{dialect} heard: hi there", "completed", [2, 0, 4, 6]]
["stream helper", "{dialect} heard: hi there"]
["tool", [["weather", {"city": "in Rome", "days": 1}]]]
["tool streamed", [["weather", {"city": "in Rome", "days": 1}]], true]
["parallel tools", [["weather", {"city": "parallel in Rome", "days": 1}], ["weather", {"city": "parallel in Rome", "days": 1}]]]
["parallel tools streamed", [["weather", {"city": "parallel in Rome", "days": 1}], ["weather", {"city": "parallel in Rome", "days": 1}]], true]
["tool result", "{dialect} heard: in Rome"]
["too long", "{dialect} heard:", "incomplete", "max_output_tokens"]
["unknown model", "NotFoundError", 404, "model_not_found"]
["limited", "RateLimitError", 429, "provider_rate_limited"]
["provider down", "InternalServerError", 502, "provider_error"]
["stream refused", "RateLimitError", 429, "provider_rate_limited"]
["stream ends", "no error"]
["stream ends after", "response.failed", "provider_stream_cut"]
["stream ends helper", "Didn't receive a `response.completed` event."]
["chat stream ends", "APIError", "provider_stream_cut"]
["stream errs", "no error"]
["stream errs after", "response.failed", {response}]
["stream errs helper", "Didn't receive a `response.completed` event."]
["chat stream errs", "APIError", {chat}]
["async", "{dialect} heard: hi there"]
["async streamed", "{dialect} heard: hi there"]"#;

const TRANSLATED_NODE: &str = r#"["plain", "{dialect} heard: hi there", "completed", [2, 0, 4, 6]]
["streamed", "{dialect} heard: hi there"]
["tools streamed", [["weather", {"city": "parallel in Rome"}], ["weather", {"city": "parallel in Rome"}]]]
["chat tools streamed", "tool_calls", [{"city": "parallel in Rome"}, {"city": "parallel in Rome"}]]
["limited", "RateLimitError", 429, "provider_rate_limited"]
["provider down", "InternalServerError", 502, "provider_error"]
["stream ends", "response.failed", "failed", "provider_stream_cut"]"#;

fn openais_sdks(dialect: &Dialect) {
    let scripts = [
        ("translated.py", TRANSLATED_PYTHON),
        ("translated.mjs", TRANSLATED_NODE),
    ];
    agrees_with(dialect, "/v1", scripts);
}

#[test]
fn anthropics_sdks_are_at_home_with_anthropic() {
    anthropics_sdks(&ANTHROPIC);
}

#[test]
fn anthropics_sdks_are_at_home_with_openai() {
    anthropics_sdks(&OPENAI);
}

#[test]
fn anthropics_sdks_are_at_home_with_gemini() {
    anthropics_sdks(&GEMINI);
}

#[test]
fn anthropics_sdks_are_at_home_with_cohere() {
    anthropics_sdks(&COHERE);
}

#[test]
fn openais_sdks_are_at_home_with_anthropic() {
    openais_sdks(&ANTHROPIC);
}

#[test]
fn openais_sdks_are_at_home_with_openai() {
    openais_sdks(&OPENAI);
}

#[test]
fn openais_sdks_are_at_home_with_gemini() {
    openais_sdks(&GEMINI);
}

#[test]
fn openais_sdks_are_at_home_with_cohere() {
    openais_sdks(&COHERE);
}
