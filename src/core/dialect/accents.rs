//! Who speaks OpenAI's dialect, and with what accent: a provider is a few lines of data here.

use crate::dialect::openai::OpenAi;

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
    /// They are not.
    Kept,
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
        seed: "random_seed",
        required: "any",
        temperature_tenths_max: 15,
        lacks: &["logprobs", "user"],
        ..GENERIC
    }),
    OpenAi(Accent {
        name: "groq",
        limit: LimitField::MaxCompletionTokens,
        lacks: &["logprobs", "n"],
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
