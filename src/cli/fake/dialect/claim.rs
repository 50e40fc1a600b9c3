//! What is said about usage, whatever the dialect: mostly the truth.

use crate::fake::reply::{Reply, UsageClaim};

/// By how much a wrong report is wrong, for each kind of token.
const WRONG_BY: u64 = 1_000;

/// The figures of a report, as OpenAI divides them: the prompt with what was cached, the answer with its thoughts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) prompt: u64,
    pub(super) completion: u64,
    pub(super) cached: u64,
    pub(super) reasoning: u64,
}

impl Claim {
    /// The report, if the reply is to bring one.
    pub(super) fn of(prompt: u64, completion: u64, reasoning: u64, reply: &Reply) -> Option<Self> {
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
        Some(Self {
            prompt,
            completion,
            cached: reply.cached_tokens,
            reasoning,
        })
    }

    /// The prompt without what came from the cache.
    pub(super) fn uncached(self) -> u64 {
        self.prompt.saturating_sub(self.cached)
    }

    /// The answer without its thoughts.
    pub(super) fn visible(self) -> u64 {
        self.completion.saturating_sub(self.reasoning)
    }
}
