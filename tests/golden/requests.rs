//! Every client request, written for every provider.

use tollgate_core::dialect::gaps::{Gap, Policy};
use tollgate_core::dialect::speak::{Provider, Target, Written};
use tollgate_core::dialect::tables::{client, providers};

use crate::{Section, walk};

#[test]
fn every_provider_gets_what_the_caller_meant() {
    walk("requests", 40, answers);
}

/// Models whose names decide how they are asked to think.
fn target(provider: &str) -> Target<'static> {
    let model = match provider {
        "anthropic" => "claude-sonnet-4-6",
        "anthropic_vertex" => "claude-3-7-sonnet@20250219",
        "anthropic_bedrock" | "bedrock" => "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "gemini" => "gemini-2.5-flash",
        "gemini_vertex" => "gemini-3-pro",
        _ => "model-x",
    };
    Target {
        model,
        ..Target::default()
    }
}

fn answers(section: &Section) -> String {
    let client = client(&section.head).unwrap();
    let chat = match client.read(section.input.as_bytes()) {
        Ok(chat) => chat,
        Err(refusal) => {
            return format!(
                "--- refused\n{} {} {:?}: {}\n\n",
                refusal.status, refusal.code, refusal.param, refusal.message
            );
        }
    };
    let mut answers: Vec<(Vec<&str>, String)> = Vec::new();
    for provider in providers() {
        let text = one(provider, |policy| {
            provider.write(&chat, &target(provider.name()), policy)
        });
        match answers.iter_mut().find(|(_, known)| *known == text) {
            Some((names, _)) => names.push(provider.name()),
            None => answers.push((vec![provider.name()], text)),
        }
    }
    let mut all: String = answers
        .into_iter()
        .map(|(names, text)| format!("--- {}\n{text}", names.join(", ")))
        .collect();
    all.push('\n');
    all
}

fn one(
    provider: &dyn Provider,
    write: impl Fn(Policy) -> Result<Written, tollgate_core::dialect::gaps::Untranslatable>,
) -> String {
    match (write(Policy::Refuse), write(Policy::Drop)) {
        (Ok(strict), Ok(loose)) => {
            assert_eq!(strict, loose, "{}", provider.name());
            written(&strict)
        }
        (Err(refused), Ok(loose)) => {
            assert!(!refused.gaps.is_empty() && !loose.dropped.is_empty());
            format!("refused {}\n{}", list(&refused.gaps), written(&loose))
        }
        (_, Err(refused)) => panic!("{refused:?} though all may be dropped"),
    }
}

fn written(written: &Written) -> String {
    let body = std::str::from_utf8(&written.body).unwrap();
    // Not read into a value: numbers may be larger than that holds.
    serde_json::from_str::<serde::de::IgnoredAny>(body)
        .unwrap_or_else(|error| panic!("{error}: {body}"));
    let mut text = format!("{}\n", written.path);
    for (name, value) in &written.headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    text.push_str(&format!("{body}\n"));
    if !written.dropped.is_empty() {
        text.push_str(&format!("dropped {}\n", list(&written.dropped)));
    }
    text
}

fn list(gaps: &[Gap]) -> String {
    let list: Vec<String> = gaps
        .iter()
        .map(|gap| format!("`{}` ({})", gap.parameter, gap.why))
        .collect();
    list.join(", ")
}
