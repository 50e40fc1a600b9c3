//! What is said about usage: mostly the truth.

use serde::Serialize;

use crate::fake::reply::{Reply, UsageClaim};

/// By how much a wrong report is wrong, for each kind of token.
const WRONG_BY: u64 = 1_000;

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    audio_tokens: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

/// The report, if the reply is to bring one.
pub(super) fn claimed(prompt: u64, completion: u64, reply: &Reply) -> Option<Usage> {
    let (prompt, completion) = match reply.usage {
        UsageClaim::True => (prompt, completion),
        UsageClaim::None => return None,
        UsageClaim::Wrong => (
            prompt.saturating_add(WRONG_BY),
            completion.saturating_add(WRONG_BY),
        ),
        UsageClaim::Claimed {
            prompt_tokens,
            completion_tokens,
        } => (prompt_tokens, completion_tokens),
    };
    Some(Usage {
        prompt_tokens: prompt,
        completion_tokens: completion,
        total_tokens: prompt.saturating_add(completion),
        prompt_tokens_details: PromptDetails {
            cached_tokens: reply.cached_tokens,
            audio_tokens: 0,
        },
        completion_tokens_details: CompletionDetails {
            reasoning_tokens: reply.reasoning_tokens,
            audio_tokens: 0,
            accepted_prediction_tokens: 0,
            rejected_prediction_tokens: 0,
        },
    })
}
