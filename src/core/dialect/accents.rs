//! Who speaks OpenAI's dialect, and with what accent: a provider is a few lines of data here.

use std::borrow::Cow;

use crate::dialect::openai::OpenAi;
use crate::eventstream::crc32;

/// What a provider does otherwise than OpenAI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accent {
    /// As written in a configuration.
    pub name: &'static str,
    /// Where chat is asked for.
    pub path: Path,
    /// What the answer limit is called.
    pub limit: LimitField,
    /// Whether `developer` is a role there.
    pub developer: Developer,
    /// How the figures of a stream are asked for.
    pub stream_usage: StreamUsage,
    /// How to say how hard to think.
    pub reasoning: ReasoningField,
    /// Whether thoughts are given back with the conversation.
    pub thoughts: Thoughts,
    /// What may stand in the id of a call.
    pub ids: CallIds,
    /// What `seed` is called.
    pub seed: &'static str,
    /// What `tool_choice: required` is called.
    pub required: &'static str,
    /// The highest temperature, in tenths.
    pub temperature_tenths_max: u8,
    /// Parameters it does not take, though OpenAI does.
    pub lacks: &'static [&'static str],
    /// Parameters it takes, though OpenAI does not.
    pub also: &'static [&'static str],
}

/// Where chat is asked for, behind the provider's own path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// `/chat/completions`
    Plain,
    /// `/openai/deployments/MODEL/chat/completions?api-version=...`
    Deployments {
        /// Where the configuration names none.
        api_version: &'static str,
    },
}

/// What the answer limit is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitField {
    /// `max_tokens`
    MaxTokens,
    /// `max_completion_tokens`
    MaxCompletionTokens,
}

/// Whether `developer` is a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Developer {
    /// It is.
    Known,
    /// It is called `system`.
    IsSystem,
}

/// How the figures of a stream are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamUsage {
    /// With `stream_options`.
    Asked,
    /// They come anyway; asking is an error.
    Unasked,
}

/// How to say how hard to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningField {
    /// `reasoning_effort: "low"`
    Effort,
    /// `reasoning: {"effort": "low"}` or `{"max_tokens": 2048}`
    Object,
    /// `thinking: {"type": "enabled"}`
    Switch,
    /// Not at all.
    Nothing,
}

/// Whether thoughts are given back with the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thoughts {
    /// As `reasoning_content`.
    Back,
    /// As `reasoning_details`, with their seals.
    Details,
    /// They are not.
    Kept,
}

/// What may stand in the id of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallIds {
    /// Whatever.
    Any,
    /// Not more than forty letters.
    Forty,
    /// Nine letters and digits.
    Nine,
}

impl Accent {
    /// The id of a call as this provider takes it: the same for call and result.
    pub fn id<'a>(&self, id: &'a str) -> Cow<'a, str> {
        let plain = id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match self.ids {
            CallIds::Nine if !plain => Cow::Owned(format!("t{:08x}", crc32(id.as_bytes()))),
            CallIds::Forty if id.len() > 40 => {
                Cow::Owned(format!("call_{:08x}", crc32(id.as_bytes())))
            }
            CallIds::Nine | CallIds::Forty | CallIds::Any => Cow::Borrowed(id),
        }
    }
}

/// OpenAI itself.
pub const OPENAI: Accent = Accent {
    name: "openai",
    path: Path::Plain,
    limit: LimitField::MaxCompletionTokens,
    developer: Developer::Known,
    stream_usage: StreamUsage::Asked,
    reasoning: ReasoningField::Effort,
    thoughts: Thoughts::Kept,
    ids: CallIds::Forty,
    seed: "seed",
    required: "required",
    temperature_tenths_max: 20,
    lacks: &[],
    also: &[],
};

/// Whoever says "compatible" and means what OpenAI did first.
const GENERIC: Accent = Accent {
    name: "openai_compatible",
    limit: LimitField::MaxTokens,
    developer: Developer::IsSystem,
    ids: CallIds::Any,
    ..OPENAI
};

/// Every one of them.
pub static ACCENTS: &[OpenAi] = &[
    OpenAi(OPENAI),
    OpenAi(GENERIC),
    OpenAi(Accent {
        name: "azure",
        path: Path::Deployments {
            api_version: "2024-10-21",
        },
        ..OPENAI
    }),
    OpenAi(Accent {
        name: "vllm",
        thoughts: Thoughts::Back,
        also: &["top_k"],
        ..GENERIC
    }),
    OpenAi(Accent {
        name: "sglang",
        thoughts: Thoughts::Back,
        also: &["top_k"],
        ..GENERIC
    }),
    OpenAi(Accent {
        name: "ollama",
        lacks: &[
            "n",
            "tool_choice",
            "parallel_tool_calls",
            "user",
            "metadata",
        ],
        ..GENERIC
    }),
    OpenAi(Accent {
        name: "mistral",
        stream_usage: StreamUsage::Unasked,
        reasoning: ReasoningField::Nothing,
        ids: CallIds::Nine,
        seed: "random_seed",
        required: "any",
        temperature_tenths_max: 15,
        lacks: &["logprobs", "user"],
        ..GENERIC
    }),
    OpenAi(Accent {
        name: "groq",
        limit: LimitField::MaxCompletionTokens,
        lacks: &["logprobs", "n", "messages.name"],
        ..GENERIC
    }),
    OpenAi(Accent {
        name: "together",
        also: &["top_k"],
        lacks: &["user", "metadata"],
        ..GENERIC
    }),
    OpenAi(Accent {
        name: "deepseek",
        reasoning: ReasoningField::Switch,
        thoughts: Thoughts::Back,
        lacks: &[
            "n",
            "seed",
            "parallel_tool_calls",
            "user",
            "metadata",
            "json_schema",
        ],
        ..GENERIC
    }),
    OpenAi(Accent {
        name: "openrouter",
        reasoning: ReasoningField::Object,
        thoughts: Thoughts::Details,
        also: &["top_k"],
        lacks: &["n", "metadata"],
        ..GENERIC
    }),
    OpenAi(Accent {
        name: "xai",
        lacks: &["metadata"],
        ..GENERIC
    }),
    OpenAi(Accent {
        name: "fireworks",
        also: &["top_k"],
        lacks: &["metadata"],
        ..GENERIC
    }),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_nothing_is_both_lacking_and_there() {
        let names: BTreeSet<&str> = ACCENTS.iter().map(|accent| accent.0.name).collect();
        assert_eq!(names.len(), ACCENTS.len());
        for OpenAi(accent) in ACCENTS {
            let both = accent.lacks.iter().find(|name| accent.also.contains(name));
            assert_eq!(both, None, "{}", accent.name);
        }
    }

    #[test]
    fn ids_are_as_the_provider_takes_them() {
        let nine = Accent {
            ids: CallIds::Nine,
            ..OPENAI
        };
        let long = "x".repeat(41);
        assert_eq!(OPENAI.id(&long), OPENAI.id(&long));
        assert!(OPENAI.id(&long).len() <= 40);
        for (id, want) in [
            ("abcDEF123", "abcDEF123"),
            ("call_1", "tc730b9f4"),
            ("", "t00000000"),
        ] {
            assert_eq!((OPENAI.id(id).as_ref(), nine.id(id).as_ref()), (id, want));
        }
    }
}
