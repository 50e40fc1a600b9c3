//! From the name in a configuration to the name in the catalogue.

use super::Named;

/// Whose models a dialect leads to, and where else they may be listed.
const VENDORS: &[(&str, &[&str])] = &[
    ("openai", &["openai"]),
    // Deployments there have names of one's own; who calls them like the model finds it.
    ("azure", &["azure", "openai"]),
    ("anthropic", &["anthropic"]),
    ("anthropic_vertex", &["vertex"]),
    ("anthropic_bedrock", &["bedrock"]),
    ("bedrock", &["bedrock"]),
    ("gemini", &["google"]),
    ("gemini_vertex", &["vertex"]),
    ("cohere", &["cohere"]),
    ("mistral", &["mistral"]),
    ("groq", &["groq"]),
    ("together", &["together"]),
    ("deepseek", &["deepseek"]),
    ("openrouter", &["openrouter"]),
    ("xai", &["xai"]),
    ("fireworks", &["fireworks"]),
];

/// None for a server of one's own.
pub(super) fn vendors(dialect: &str) -> Option<&'static [&'static str]> {
    VENDORS
        .iter()
        .find(|(name, _)| *name == dialect)
        .map(|(_, vendors)| *vendors)
}

/// The names to look for, the likeliest first.
pub(super) fn candidates(model: &str) -> Vec<(String, Named)> {
    let model = model.to_ascii_lowercase();
    // Google's own way to write it.
    let model = model.strip_prefix("models/").unwrap_or(&model);
    let mut names = vec![(model.to_owned(), Named::Exactly)];
    if let Some(tuned) = model.strip_prefix("ft:") {
        // `ft:BASE:organisation:name:id`
        let base = tuned.split(':').next().unwrap_or_default();
        names.push((format!("ft:{base}"), Named::Tuned));
        names.push((format!("ft:{}", undated(base)), Named::Tuned));
        return names;
    }
    names.push((undated(model).to_owned(), Named::Undated));
    names
}

/// Without `-2024-08-06`, `-20250929`, `@20250929`, `-latest` at the end.
fn undated(name: &str) -> &str {
    if let Some(name) = name.strip_suffix("-latest") {
        return name;
    }
    for pattern in ["-0000-00-00", "-00000000", "@00000000"] {
        let Some(at) = name.len().checked_sub(pattern.len()) else {
            continue;
        };
        let Some((before, end)) = name.split_at_checked(at) else {
            continue;
        };
        let fits = end
            .bytes()
            .zip(pattern.bytes())
            .all(|(byte, want)| match want {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            });
        if fits && !before.is_empty() {
            return before;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::tables::providers;

    /// Dialects of servers that belong to whoever runs them: what they cost is written by hand.
    const OWN_SERVERS: &[&str] = &["openai_compatible", "vllm", "sglang", "ollama"];

    #[test]
    fn every_dialect_leads_to_a_vendor_or_belongs_to_its_owner() {
        for provider in providers() {
            let name = provider.name();
            let listed = vendors(name).is_some();
            assert_ne!(listed, OWN_SERVERS.contains(&name), "{name}");
        }
        for (name, _) in VENDORS {
            assert!(
                providers().any(|provider| provider.name() == *name),
                "{name}"
            );
        }
    }

    #[test]
    fn dates_and_versions_come_off_and_nothing_else() {
        for (name, want) in [
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
            ("mistral-large-latest", "mistral-large"),
            ("gpt-4o-mini", "gpt-4o-mini"),
            ("command-a-03-2025", "command-a-03-2025"),
            ("-20250929", "-20250929"),
            ("ä-2025", "ä-2025"),
            ("ää20250929", "ää20250929"),
            ("", ""),
        ] {
            assert_eq!(undated(name), want, "{name}");
        }
        let names = |model| {
            let names = candidates(model).into_iter();
            names.map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(
            names("ft:GPT-4o-mini-2024-07-18:acme::x"),
            [
                "ft:gpt-4o-mini-2024-07-18:acme::x",
                "ft:gpt-4o-mini-2024-07-18",
                "ft:gpt-4o-mini"
            ]
        );
        assert_eq!(names("models/gemini-2.5-pro")[0], "gemini-2.5-pro");
    }
}
