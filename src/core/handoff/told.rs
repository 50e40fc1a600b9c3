//! What the attempts of a request tell of the deployments they asked: each end once, as soon as it is known.

use super::{End, Ending, Exchange, Failure};
use crate::config::{DeploymentId, Rules};
use crate::health::change::Took;
use crate::health::retry_after::retry_after_ms;
use crate::health::row::Left;
use crate::health::{Attempted, Outcome, Trouble};
use crate::request::Reply;
use crate::routing::memory::Asked;
use crate::units::Timestamp;

/// What was told already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The ends of so many attempts.
    ends: usize,
    /// That the reply broke off.
    broke: Broke,
    /// What a provider says is left for us, until it is told.
    pub left: Option<Left>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Broke {
    #[default]
    Untold,
    Told,
}

/// Something to tell of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tale {
    /// Of which.
    pub id: DeploymentId,
    /// The position of its provider.
    pub provider: usize,
    /// By which it is judged.
    pub rules: Rules,
    /// As what it was asked.
    pub attempted: Attempted,
    /// What became of it.
    pub outcome: Outcome,
    /// What its provider says is left.
    pub left: Option<Left>,
    /// Whether its provider had failed this request before.
    pub turn: Asked,
}

impl Exchange {
    /// What has not been told yet.
    pub fn tales(&mut self, now: Timestamp) -> Vec<Tale> {
        let mut tales = Vec::new();
        while let Some(tried) = self.attempts.get(self.told.ends) {
            if tried.end == End::Pending {
                break;
            }
            let outcome = self.outcome(tried.number, now);
            let tale = self.tale(tried.number, outcome);
            self.told.ends = self.told.ends.saturating_add(1);
            tales.extend(tale.map(|tale| Tale {
                left: self.told.left.take(),
                ..tale
            }));
        }
        let broke = self.progress.ending == Ending::Failed && self.told.broke == Broke::Untold;
        if let (true, Some(tried)) = (broke, self.attempts.last())
            && matches!(tried.end, End::Accepted { .. })
        {
            let trouble = Trouble::Broken {
                retry_after_ms: None,
            };
            let tale = self.tale(tried.number, Outcome::Failed(trouble));
            self.told.broke = Broke::Told;
            tales.extend(tale.map(|tale| Tale {
                // Its probe was told of when it began to answer.
                attempted: Attempted::Ordinary,
                ..tale
            }));
        }
        tales
    }

    /// At the end of a request: probes that were claimed for it and not made are free again.
    pub fn unmade(&self) -> Vec<Tale> {
        let made = |number: usize| {
            let attempts = self.attempts.iter().take(self.told.ends);
            attempts.into_iter().any(|tried| tried.number == number)
        };
        let probes = self.chain.iter().enumerate();
        probes
            .filter(|(number, planned)| planned.attempted == Attempted::AsProbe && !made(*number))
            .filter_map(|(number, _)| self.tale(number, Outcome::Unknown))
            .collect()
    }

    /// Where the attempt with this number goes.
    pub fn deployment(&self, number: usize) -> Option<DeploymentId> {
        let (target, provider) = self.target(number)?;
        Some(target.deployment(provider))
    }

    fn tale(&self, number: usize, outcome: Outcome) -> Option<Tale> {
        let (target, provider) = self.target(number)?;
        Some(Tale {
            id: target.deployment(provider),
            provider: target.provider,
            rules: provider.breaker,
            attempted: self.chain.get(number)?.attempted,
            outcome,
            left: None,
            turn: self.turn(number, target.provider),
        })
    }

    fn turn(&self, number: usize, provider: usize) -> Asked {
        let before = self
            .attempts
            .iter()
            .take_while(|tried| tried.number < number);
        let same = before
            .filter_map(|tried| self.target(tried.number))
            .any(|(target, _)| target.provider == provider);
        if same { Asked::Again } else { Asked::First }
    }

    fn outcome(&self, number: usize, now: Timestamp) -> Outcome {
        let Some(tried) = self.attempts.iter().find(|tried| tried.number == number) else {
            return Outcome::Unknown;
        };
        let failed = match &tried.end {
            End::Accepted { .. } => {
                let since = self.progress.first_token.unwrap_or(now).0;
                let us = since
                    .saturating_sub(tried.started.0)
                    .checked_div(1_000)
                    .unwrap_or_default();
                return Outcome::Good(match self.request.reply {
                    Reply::Whole => Took::Whole { us },
                    Reply::Streamed(_) => Took::FirstToken { us },
                });
            }
            End::Refused { .. } | End::Pending => return Outcome::Unknown,
            End::Failed(failed) => failed,
        };
        let asked = failed.retry_after.as_deref();
        let retry_after_ms = asked.and_then(|text| retry_after_ms(text, now));
        Outcome::Failed(match failed.why {
            Failure::RateLimited => Trouble::Busy { retry_after_ms },
            Failure::Connection
            | Failure::Timeout
            | Failure::Status
            | Failure::ErrorInReply
            | Failure::NoFirstToken
            | Failure::Unreadable
            | Failure::Credential
            | Failure::MidStream => Trouble::Broken { retry_after_ms },
            // It works: the request is not for it.
            Failure::ContextWindow | Failure::ContentPolicy => return Outcome::Unknown,
        })
    }
}
