//! How hard a request looks: a score from 0 to 100 by cheap signs, and three classes.
//!
//! | sign | points |
//! |-|-|
//! | prompt tokens: from 50 / 200 / 1,000 / 4,000 | 5 / 10 / 20 / 30 |
//! | messages: from 4 / 10 | 5 / 10 |
//! | code | 15 |
//! | a list or table, or more than ten lines | 5 |
//! | words that ask for thought: each, up to three | 10 |
//! | tools, an image, a schema: each | 10 |
//! | reasoning asked for | 20 |
//!
//! Below 20 is simple, from 50 on complex.

use super::traits::Traits;
use crate::config::routing::{Capability, Complexity};
use crate::units::Tokens;

/// So much of the end of a body is looked at: the question stands there.
const LOOKED_AT_BYTES: usize = 8_192;

const THOUGHTFUL: &[&str] = &[
    "algorithm",
    "analyse",
    "analyze",
    "architecture",
    "compare",
    "debug",
    "derive",
    "design",
    "evaluate",
    "explain why",
    "optimise",
    "optimize",
    "plan ",
    "proof",
    "prove",
    "refactor",
    "root cause",
    "step by step",
    "strategy",
    "trade-off",
];

/// The class of a score.
pub fn class(score: u8) -> Complexity {
    match score {
        0..20 => Complexity::Simple,
        20..50 => Complexity::Medium,
        50.. => Complexity::Complex,
    }
}

/// The score of a request.
pub fn score(prompt: Tokens, traits: &Traits, body: &[u8]) -> u8 {
    let from = body.len().saturating_sub(LOOKED_AT_BYTES);
    let end = body.get(from..).unwrap_or_default().to_ascii_lowercase();
    let count = |what: &str| memchr::memmem::find_iter(&end, what).count();
    let holds = |what: &&str| memchr::memmem::find(&end, what.as_bytes()).is_some();
    let length: u8 = match prompt.0 {
        0..50 => 0,
        50..200 => 5,
        200..1_000 => 10,
        1_000..4_000 => 20,
        4_000.. => 30,
    };
    let history = match count("\"role\"") {
        0..4 => 0,
        4..10 => 5,
        10.. => 10,
    };
    let code = if ["```", "traceback", "stack trace", "fn ", "def ", "select "]
        .iter()
        .any(holds)
    {
        15
    } else {
        0
    };
    let structured = ["\\n- ", "\\n1. ", "\\n* ", "|---"].iter().any(holds) || count("\\n") > 10;
    let structure = if structured { 5 } else { 0 };
    let words = THOUGHTFUL.iter().filter(|word| holds(word)).take(3).count();
    let words = u8::try_from(words).unwrap_or(3).saturating_mul(10);
    let needs = traits.needs.iter().map(|need| match need {
        Capability::Tools | Capability::Vision | Capability::Schema => 10,
        Capability::Reasoning => 20,
    });
    [length, history, code, structure, words]
        .into_iter()
        .chain(needs)
        .fold(0, u8::saturating_add)
        .min(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_is_simple_and_a_design_is_complex() {
        let body = |text: &str| format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#);
        for (text, tokens, want) in [
            ("hi", 8, Complexity::Simple),
            ("What is the capital of France?", 14, Complexity::Simple),
            ("Translate this letter", 900, Complexity::Simple),
            ("Compare these two and explain why", 60, Complexity::Medium),
            (
                "```rust\\nfn a() {}``` please debug",
                40,
                Complexity::Medium,
            ),
            (
                "Design a strategy and prove it step by step:\\n- one\\n- two",
                2_000,
                Complexity::Complex,
            ),
        ] {
            let body = body(text);
            let traits = Traits::read(body.as_bytes()).unwrap();
            let score = score(Tokens(tokens), &traits, body.as_bytes());
            assert_eq!(class(score), want, "{text}: {score}");
        }
    }

    #[test]
    fn a_score_never_leaves_its_range() {
        let body = THOUGHTFUL.join(" ") + "``` \\n- " + &"\"role\" \\n".repeat(500);
        let traits = Traits {
            needs: Capability::ALL.to_vec(),
            ..Traits::default()
        };
        assert_eq!(score(Tokens(u64::MAX), &traits, body.as_bytes()), 100);
    }
}
