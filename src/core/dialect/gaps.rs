//! What a target cannot express: said by name, never dropped in silence.

use crate::dialect::chat::{Chat, Extra, Number};
use crate::refusal::Refusal;

/// What to do with a parameter that the target cannot express.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The request does not go to this target.
    Refuse,
    /// It goes without, and that is recorded.
    Drop,
}

/// A parameter that is not expressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// By the caller's name for it.
    pub parameter: String,
    /// Why.
    pub why: &'static str,
}

/// Everything the target cannot express.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untranslatable {
    /// The target's dialect.
    pub target: &'static str,
    /// At least one.
    pub gaps: Vec<Gap>,
}

/// More are counted, not listed.
const LISTED_MAX: usize = 32;

/// Fields of clients' dialects that change no answer.
const ADVICE: &[&str] = &[
    "cache_control",
    "include",
    // A thought that its maker has kept: nobody else could read it.
    "input.item_reference",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning.summary",
    "safety_identifier",
    "store",
];

/// What comes anyway: saying it is saying nothing.
const DEFAULTS: &[(&str, &str)] = &[
    ("background", "false"),
    ("logit_bias", "{}"),
    ("modalities", r#"["text"]"#),
    ("service_tier", r#""auto""#),
    ("service_tier", r#""default""#),
    ("truncation", r#""disabled""#),
];

/// Why a file cannot be named.
pub const OTHERS_FILE: &str = "it lies with another provider; send the data itself";

/// Collects while a request is written.
#[derive(Debug)]
pub struct Gaps {
    target: &'static str,
    policy: Policy,
    lost: Vec<Gap>,
    /// What only advises: caches, billing notes. The answer is the same without.
    advice: Vec<Gap>,
    files: Files,
}

/// Whether names of files that the caller uploaded mean something to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    Unknown,
    Known,
}

impl Gaps {
    /// None yet.
    pub fn new(target: &'static str, policy: Policy) -> Self {
        Self {
            target,
            policy,
            lost: Vec::new(),
            advice: Vec::new(),
            files: Files::Unknown,
        }
    }

    /// The answer would be another one without it.
    pub fn lost(&mut self, parameter: impl Into<String>, why: &'static str) {
        push(&mut self.lost, parameter.into(), why);
    }

    /// The caller's files lie with this very provider.
    pub fn keep_files(&mut self) {
        self.files = Files::Known;
    }

    /// Whether they do.
    pub fn keeps_files(&self) -> bool {
        self.files == Files::Known
    }

    /// Everything that was lost already when the request was understood.
    pub fn inherit(&mut self, chat: &Chat, why: &'static str) {
        for path in &chat.unread {
            self.lost(path.as_str(), why);
        }
    }

    /// Fields that only the client's own dialect knows. Those that only advise are never refused.
    pub fn extras(&mut self, chat: &Chat) {
        chat.extras.iter().for_each(|extra| self.extra(extra));
    }

    /// One of them.
    pub fn extra(&mut self, extra: &Extra) {
        if DEFAULTS.contains(&(extra.name.as_str(), extra.json.as_str())) {
            return;
        }
        if ADVICE.contains(&extra.name.as_str()) {
            self.advice(extra.name.as_str(), "this provider has no such parameter");
        } else {
            self.lost(extra.name.as_str(), "this provider has no such parameter");
        }
    }

    /// Parameters that the target does not have: lost, unless they ask for what it does anyway.
    pub fn unless_default(&mut self, chat: &Chat, lacks: &[&'static str]) {
        let zero = |number: &Option<Number>| {
            number
                .as_ref()
                .is_some_and(|number| !number.is_within(0.0, 0.0))
        };
        for name in lacks {
            let said = match *name {
                "n" => chat.n.is_some_and(|n| n != 1),
                "seed" => chat.seed.is_some(),
                "frequency_penalty" => zero(&chat.frequency_penalty),
                "presence_penalty" => zero(&chat.presence_penalty),
                "logprobs" => chat.logprobs.is_some(),
                "top_k" => chat.top_k.is_some(),
                _ => false,
            };
            if said {
                self.lost(*name, "this provider has no such parameter");
            }
        }
    }

    /// The answer is the same without it: recorded, never refused.
    pub fn advice(&mut self, parameter: impl Into<String>, why: &'static str) {
        push(&mut self.advice, parameter.into(), why);
    }

    /// What was dropped, or that nothing may be.
    pub fn settle(self) -> Result<Vec<Gap>, Untranslatable> {
        if self.policy == Policy::Refuse && !self.lost.is_empty() {
            return Err(Untranslatable {
                target: self.target,
                gaps: self.lost,
            });
        }
        let mut dropped = self.lost;
        dropped.extend(self.advice);
        Ok(dropped)
    }
}

fn push(list: &mut Vec<Gap>, parameter: String, why: &'static str) {
    let known = list.iter().any(|gap| gap.parameter == parameter);
    if !known && list.len() < LISTED_MAX {
        list.push(Gap { parameter, why });
    }
}

impl Untranslatable {
    /// As the caller is told, if no other target takes it.
    pub fn refusal(&self) -> Refusal {
        let list: Vec<String> = self
            .gaps
            .iter()
            .map(|gap| format!("`{}` ({})", gap.parameter, gap.why))
            .collect();
        Refusal {
            headers: Vec::new(),
            status: 400,
            code: "untranslatable_parameter",
            param: None,
            message: format!(
                "The provider behind this model speaks `{}`, which cannot express {}. Leave it out, or ask for \
                 another model.",
                self.target,
                list.join(", ")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_refused_or_listed_and_advice_is_only_listed() {
        let collect = |policy| {
            let mut gaps = Gaps::new("anthropic", policy);
            gaps.advice("prompt_cache_key", "it has none");
            gaps.lost("seed", "it has none");
            gaps.lost("seed", "it has none");
            gaps.settle()
        };
        let dropped = collect(Policy::Drop).unwrap();
        let names: Vec<_> = dropped.iter().map(|gap| gap.parameter.as_str()).collect();
        assert_eq!(names, ["seed", "prompt_cache_key"]);
        let refusal = collect(Policy::Refuse).unwrap_err().refusal();
        assert_eq!(refusal.code, "untranslatable_parameter");
        assert!(
            refusal.message.contains("`seed` (it has none)"),
            "{refusal:?}"
        );
        assert!(!refusal.message.contains("prompt_cache_key"), "{refusal:?}");
    }
}
