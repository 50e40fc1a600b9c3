//! What applications are written with: LangChain and the Vercel AI SDK reach every provider over each dialect they speak.

use super::dialects::{ANTHROPIC, COHERE, Dialect, GEMINI, OPENAI, agrees_with};

/// Each of these is said over chat completions, responses and messages.
fn each(lines: &str) -> String {
    let say = |over: &str| lines.trim().replace("{over}", over);
    ["chat", "responses", "messages"].map(say).join("\n")
}

const LANGCHAIN: &str = r#"
["{over}", "plain", "{dialect} heard: hi there", [2, 4, 6]]
["{over}", "turns", "{dialect} heard: hi there"]
["{over}", "streamed", "{dialect} heard: hi there", [2, 4, 6]]
["{over}", "tools", [["weather", {"city": "parallel in Rome"}], ["weather", {"city": "parallel in Rome"}]]]
["{over}", "tools", "result", "{dialect} heard: parallel in Rome"]
["{over}", "tools streamed", [["weather", {"city": "parallel in Rome"}], ["weather", {"city": "parallel in Rome"}]]]
["{over}", "tools streamed", "result", "{dialect} heard: parallel in Rome"]
["{over}", "tool by name", [["weather", {"city": "in Rome"}]]]
"#;

const LANGCHAIN_LIMITED: &str = r#"["chat", "limited", "OpenAIRateLimitError", 429]
["chat", "limited streamed", "OpenAIRateLimitError", 429]
["responses", "limited", "OpenAIRateLimitError", 429]
["responses", "limited streamed", "OpenAIRateLimitError", 429]
["messages", "limited", "AnthropicRateLimitError", 429]
["messages", "limited streamed", "AnthropicRateLimitError", 429]"#;

const VERCEL: &str = r#"
["{over}", "plain", "{dialect} heard: hi there", "stop", [4, 4, 8]]
["{over}", "streamed", "{dialect} heard: hi there", "stop", [2, 4, 6]]
["{over}", "tools", [["weather", {"city": "parallel in Rome"}], ["weather", {"city": "parallel in Rome"}]], "{dialect} heard: parallel in Rome", 2]
["{over}", "tools streamed", [["weather", {"city": "parallel in Rome"}], ["weather", {"city": "parallel in Rome"}]], "{dialect} heard: parallel in Rome", 2, true, false]
["{over}", "object", ["city"]]
"#;

const VERCEL_BROKEN: &str = r#"["chat", "limited", "AI_APICallError", 429]
["responses", "limited", "AI_APICallError", 429]
["messages", "limited", "AI_APICallError", 429]
["chat", "ends", "one two", true]
["responses", "ends", "one two", true]
["messages", "ends", "one two", true]"#;

fn frameworks(dialect: &Dialect) {
    let langchain = format!("{}\n{LANGCHAIN_LIMITED}", each(LANGCHAIN));
    let vercel = format!("{}\n{VERCEL_BROKEN}", each(VERCEL));
    let scripts = [
        ("frameworks.py", langchain.as_str()),
        ("frameworks.mjs", &vercel),
    ];
    agrees_with(dialect, "", scripts);
}

#[test]
fn frameworks_are_at_home_with_anthropic() {
    frameworks(&ANTHROPIC);
}

#[test]
fn frameworks_are_at_home_with_openai() {
    frameworks(&OPENAI);
}

#[test]
fn frameworks_are_at_home_with_gemini() {
    frameworks(&GEMINI);
}

#[test]
fn frameworks_are_at_home_with_cohere() {
    frameworks(&COHERE);
}
