//! A report of usage, as OpenAI writes it.

use serde::Serialize;

use crate::fake::dialect::claim::Claim;
use crate::fake::reply::Reply;

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
    let claim = Claim::of(prompt, completion, reply.reasoning_tokens, reply)?;
    Some(Usage {
        prompt_tokens: claim.prompt,
        completion_tokens: claim.completion,
        total_tokens: claim.prompt.saturating_add(claim.completion),
        prompt_tokens_details: PromptDetails {
            cached_tokens: claim.cached,
            audio_tokens: 0,
        },
        completion_tokens_details: CompletionDetails {
            reasoning_tokens: claim.reasoning,
            audio_tokens: 0,
            accepted_prediction_tokens: 0,
            rejected_prediction_tokens: 0,
        },
    })
}
