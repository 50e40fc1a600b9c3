//! What the gateway role hands to the attempts of a request, and they hand back.

use std::rc::Rc;

use crate::bill;
use crate::callers::Caller;
use crate::config::{DeploymentId, Gateway, Model, Provider, Target};
use crate::cover::Cover;
use crate::dialect::event::{Report, Suspect};
use crate::dialect::speak::{Asked, Calls, UsageWish, Written};
use crate::endpoint::Endpoint;
use crate::health::Attempted;
use crate::money::wanted::Wanted;
use crate::price::Most;
use crate::refusal::Refusal;
use crate::request::{Cap, Reply, Request, UsageEvent};
use crate::routing::{After, Explanation, Why};
use crate::tokens::Count;
use crate::units::{NanoUsd, Timestamp, Tokens};
use crate::usage::Usage;

/// A body up to this size is kept for the attempts; a larger one is read again from Envoy, since the
/// memory of a worker's VM never shrinks.
pub const BODY_KEPT_BYTES_MAX: usize = 65_536;

/// More targets than this are not tried for one request; the check refuses a model that has more.
pub const ATTEMPTS_MAX: usize = 16;

/// So much too early even a short timer of Envoy may strike.
const TIMER_EARLY_MS: u64 = 20;

/// One request on its way, from admission to its record.
#[derive(Debug)]
pub struct Exchange {
    /// As it stood when the request came.
    pub config: Rc<Gateway>,
    /// Who calls.
    pub caller: Rc<Caller>,
    /// What was asked for.
    pub endpoint: &'static Endpoint,
    /// Behind the provider's own path.
    pub path: &'static str,
    /// The parsed body.
    pub request: Request,
    /// Position in [`Gateway::models`].
    pub model: usize,
    /// It is not the model that was asked for: a budget is nearly used up.
    pub downgraded: bool,
    /// Who may be asked, in order, and how.
    pub chain: Vec<Planned>,
    /// The body, as long as an attempt may need it.
    pub body: Body,
    /// Its tokens, counted before it leaves.
    pub prompt: Count,
    /// Joins log, trace and record.
    pub trace: String,
    /// What the caller says it is for.
    pub tags: Vec<String>,
    /// When the head came.
    pub started: Timestamp,
    /// Every attempt, in order.
    pub attempts: Vec<Tried>,
    /// What came back so far.
    pub progress: Progress,
    /// What is held for it.
    pub cover: Cover,
    /// What the caller is to hear of its budget.
    pub warning: Option<String>,
    /// Why an attempt was not made; nobody else is tried.
    pub refused: Option<Refusal>,
    /// Why the chain is as it is.
    pub explanation: Explanation,
    /// How long the caller lets an attempt take to its first token.
    pub timeout_ms: Option<u64>,
    /// What was told of its attempts already.
    pub told: Told,
}

/// One who may be asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Planned {
    /// Position in [`Gateway::models`]: a fallback may be another than the one that was asked for.
    pub model: usize,
    /// Position in the model's targets.
    pub target: usize,
    /// What must have happened for it to be asked.
    pub after: After,
    /// Whether it finds out if its deployment is well again.
    pub attempted: Attempted,
    /// How.
    pub way: Way,
    /// A cap that is put into the body as the caller wrote it.
    pub cap: Option<Cap>,
    /// The most an attempt there may use.
    pub bounds: Most,
    /// And what that costs.
    pub most: NanoUsd,
}

/// How a request reaches a provider.
#[derive(Debug, PartialEq, Eq)]
pub enum Way {
    /// As the caller wrote it, spliced.
    Passes,
    /// In the provider's own dialect.
    Translated(Written),
}

/// Where the original body is.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    /// Here.
    Kept(Vec<u8>),
    /// Only in Envoy's buffer.
    InEnvoy {
        /// Its length.
        bytes: usize,
    },
}

/// One attempt and its end.
#[derive(Debug, PartialEq, Eq)]
pub struct Tried {
    /// Position in [`Exchange::chain`].
    pub number: usize,
    /// When it began.
    pub started: Timestamp,
    /// How it stands.
    pub end: End,
}

/// How an attempt stands.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// No reply yet.
    Pending,
    /// Its reply goes to the caller.
    Accepted {
        /// The provider's status.
        status: u16,
    },
    /// Another provider may do better.
    Failed(Failed),
    /// It would fail everywhere: the caller gets the provider's own words.
    Refused {
        /// The provider's status.
        status: u16,
        /// The provider's body, if it was an error in the caller's dialect.
        body: Vec<u8>,
    },
}

/// A failure that is the provider's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// What kind.
    pub why: Failure,
    /// The provider's status, or 0 where there was no reply.
    pub status: u16,
    /// The provider's `retry-after`, as it came.
    pub retry_after: Option<String>,
}

/// Kinds of failure; the names are label values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// Refused, reset, or unresolved before a reply.
    Connection,
    /// Too long without a reply or a first token.
    Timeout,
    /// 429.
    RateLimited,
    /// 408, 5xx.
    Status,
    /// A good status with an error inside, before the first token.
    ErrorInReply,
    /// The stream ended before its first token.
    NoFirstToken,
    /// Compressed though asked not to be, or no JSON and no events.
    Unreadable,
    /// The provider does not accept our credential.
    Credential,
    /// The stream broke after its first token.
    MidStream,
    /// The prompt is too long for it, and others read longer ones.
    ContextWindow,
    /// Its filter does not want it, and others have another.
    ContentPolicy,
}

impl Failure {
    /// As it stands in records and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::Status => "status",
            Self::ErrorInReply => "error_in_reply",
            Self::NoFirstToken => "no_first_token",
            Self::Unreadable => "unreadable",
            Self::Credential => "credential",
            Self::MidStream => "mid_stream",
            Self::ContextWindow => "context_window",
            Self::ContentPolicy => "content_policy",
        }
    }
}

/// When Envoy's timer may strike, seen from here: it counts from when its loop last looked at the clock, and what
/// the loop has done since then is missing at the end.
fn earliest_ms(timeout_ms: u64) -> u64 {
    let twentieth = timeout_ms.checked_div(20).unwrap_or_default();
    timeout_ms.saturating_sub(twentieth.max(TIMER_EARLY_MS))
}

/// What came back so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// When the first token (or the body of a whole reply) came.
    pub first_token: Option<Timestamp>,
    /// When the last of it came.
    pub last_byte: Timestamp,
    /// The provider's own figures.
    pub usage: Option<Usage>,
    /// What is wrong with them.
    pub suspect: Option<Suspect>,
    /// Events with content.
    pub content_events: u64,
    /// Bytes of text in them.
    pub text_bytes: u64,
    /// How the reply ended, if it has.
    pub ending: Ending,
}

/// Who broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenBy {
    /// Nobody.
    Nobody,
    /// The caller went away.
    Caller,
    /// The provider, or a timeout on its side.
    Provider,
}

/// How a reply ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// It has not, or it was cut off.
    #[default]
    Open,
    /// As it should.
    Complete,
    /// With an error, by the provider or in its place.
    Failed,
}

impl Progress {
    /// The provider's figures, so far.
    pub fn report(&mut self, report: &Report) {
        self.usage = report.counts().then_some(report.usage);
        self.suspect = report.suspect;
    }
}

impl Exchange {
    /// What must be held before the attempt with this number may leave.
    pub fn missing(&self, number: usize) -> Result<Option<Wanted>, Refusal> {
        let most = self.chain.get(number).map(|planned| planned.most);
        let spent = bill::spent_before(self);
        let missing = self.cover.missing(spent, most.unwrap_or_default());
        missing.map_err(|_| Refusal::internal("an amount of money does not fit"))
    }

    /// The cap that the attempt with this number puts in.
    pub fn cap(&self, number: usize) -> Option<Cap> {
        self.chain.get(number).and_then(|planned| planned.cap)
    }

    /// What is enough to hold while a stream runs, once its provider has told how large the prompt was: before, it was
    /// a bound. None as long as nothing is known, or where nothing can be put back. A reply in one piece is over at once.
    pub fn enough(&self) -> Option<NanoUsd> {
        let (usage, tried) = (self.progress.usage.as_ref()?, self.attempts.last()?);
        let runs = self.progress.ending == Ending::Open && self.request.reply != Reply::Whole;
        if self.cover.hold.parts.is_empty() || !runs {
            return None;
        }
        let planned = self.chain.get(tried.number)?;
        let (target, _) = self.target(tried.number)?;
        let prompt = Usage {
            output: Tokens(0),
            reasoning: Tokens(0),
            audio_output: Tokens(0),
            ..*usage
        };
        let most = Most {
            input: Tokens(0),
            ..planned.bounds
        };
        let price = target.price.as_ref()?;
        let rest = price.most(&most).ok()?;
        let enough = price.cost(&prompt, 1).ok()?.plus(rest).ok()?;
        let enough = bill::spent_before(self).plus(enough).ok()?;
        (enough < self.cover.held).then_some(enough)
    }

    /// The model that answers.
    pub fn model(&self) -> Option<&Model> {
        self.config.models.get(self.model)
    }

    /// Tokens that the attempt with this number probably uses.
    pub fn expected_tokens(&self, number: usize) -> u64 {
        let Some(planned) = self.chain.get(number) else {
            return 0;
        };
        let model = self.config.models.get(planned.model);
        let usual = model.map_or(0, |model| model.routing.expected_output);
        let output = planned.bounds.output.0.min(usual);
        self.prompt.tokens.0.saturating_add(output)
    }

    /// How many attempts there may be.
    pub fn attempts_max(&self) -> usize {
        self.chain.len()
    }

    /// The target of the attempt with this number, from 0, and its provider.
    pub fn target(&self, number: usize) -> Option<(&Target, &Provider)> {
        let planned = self.chain.get(number)?;
        let model = self.config.models.get(planned.model)?;
        let target = model.targets.get(planned.target)?;
        Some((target, self.config.providers.get(target.provider)?))
    }

    /// How the attempt that runs asks.
    pub fn way(&self) -> Option<&Way> {
        let number = self.attempts.last()?.number;
        self.chain.get(number).map(|planned| &planned.way)
    }

    /// No attempt follows: the bodies are not needed any more.
    pub fn forget_bodies(&mut self) {
        self.body = Body::InEnvoy {
            bytes: self.body_bytes(),
        };
        for planned in &mut self.chain {
            if let Way::Translated(written) = &mut planned.way {
                written.body = Vec::new();
            }
        }
    }

    /// What the writer of a translated reply needs to know of the question.
    pub fn asked(&self) -> Asked {
        Asked {
            model: self.request.model.clone(),
            id: self.trace.clone(),
            created: self
                .started
                .0
                .checked_div(1_000_000_000)
                .unwrap_or_default(),
            usage: match self.request.reply {
                Reply::Streamed(UsageEvent::Asked) => UsageWish::Asked,
                Reply::Whole | Reply::Streamed(UsageEvent::Hidden) => UsageWish::Unsaid,
            },
            calls: match self.way() {
                Some(Way::Translated(written)) => written.calls,
                Some(Way::Passes) | None => Calls::Any,
            },
        }
    }

    /// Where the last attempt went.
    pub fn last(&self) -> Option<(&Tried, &Target, &Provider)> {
        let tried = self.attempts.last()?;
        let (target, provider) = self.target(tried.number)?;
        Some((tried, target, provider))
    }

    /// Whether there is anyone left to try, should the attempt that runs fail.
    pub fn has_next(&self) -> bool {
        let Some(tried) = self.attempts.last() else {
            return !self.chain.is_empty();
        };
        self.following(tried.number, self.after(tried.number))
            .is_some()
    }

    /// Who is asked next, from how the last attempt ended; past the end of the chain if nobody is.
    pub fn next_number(&self) -> usize {
        let Some(tried) = self.attempts.last() else {
            return 0;
        };
        let after = match tried.end.why() {
            Some(Failure::ContextWindow) => After::ContextWindow,
            Some(Failure::ContentPolicy) => After::ContentPolicy,
            Some(_) | None => self.after(tried.number),
        };
        self.following(tried.number, after)
            .unwrap_or(self.chain.len())
    }

    /// Who comes behind this one of the chain after such an end.
    pub fn following(&self, number: usize, after: After) -> Option<usize> {
        let behind = number.saturating_add(1);
        let rest = self.chain.iter().skip(behind);
        let found = rest
            .into_iter()
            .position(|planned| planned.after == after)?;
        Some(behind.saturating_add(found))
    }

    /// After what this one of the chain is asked.
    pub fn after(&self, number: usize) -> After {
        self.chain
            .get(number)
            .map_or(After::Failure, |planned| planned.after)
    }

    /// How long an attempt may take to its first token or, in one piece, to its head. Envoy takes one
    /// figure for all attempts of a request: the most patient of them.
    pub fn attempt_timeout_ms(&self) -> u64 {
        (0..self.attempts_max())
            .filter_map(|number| self.target(number))
            .map(|(_, provider)| match self.request.reply {
                Reply::Whole => provider.reply_timeout_ms,
                Reply::Streamed(_) => provider.first_token_timeout_ms,
            })
            .max()
            .map(|longest| self.timeout_ms.map_or(longest, |asked| asked.min(longest)))
            .unwrap_or_default()
    }

    /// The length of the original body.
    pub fn body_bytes(&self) -> usize {
        match &self.body {
            Body::Kept(bytes) => bytes.len(),
            Body::InEnvoy { bytes } => *bytes,
        }
    }

    /// Notes the end of the attempt that runs.
    pub fn end(&mut self, end: End) {
        if let Some(tried) = self.attempts.last_mut() {
            tried.end = end;
        }
    }

    /// An attempt that ends without any reply was refused a connection, or took too long.
    pub fn close_silent_attempt(&mut self, now: Timestamp) {
        let timeout_ms = self.attempt_timeout_ms();
        if let Some(tried) = self.attempts.last_mut()
            && tried.end == End::Pending
        {
            let waited_ms = now.millis_since(tried.started);
            let why = if waited_ms >= earliest_ms(timeout_ms) {
                Failure::Timeout
            } else {
                Failure::Connection
            };
            tried.end = End::Failed(Failed {
                why,
                status: 0,
                retry_after: None,
            });
        }
    }

    /// Gives up a reply that has begun and then fallen silent for too long; whether it has. Envoy's own timer for
    /// this never strikes once the one for the first token has.
    pub fn give_up_if_silent(&mut self, now: Timestamp) -> bool {
        let begun = matches!(
            self.attempts.last(),
            Some(Tried {
                end: End::Accepted { .. },
                ..
            })
        );
        let silent_ms = now.millis_since(self.progress.last_byte);
        let silent = begun
            && self.progress.ending == Ending::Open
            && silent_ms > self.config.idle_timeout_ms;
        if silent {
            self.progress.ending = Ending::Failed;
        }
        silent
    }

    /// `alpha 429, beta connection`: what was tried, for messages.
    pub fn story(&self) -> String {
        let mut story = String::new();
        for tried in &self.attempts {
            let provider = self
                .target(tried.number)
                .map_or("?", |(_, provider)| &provider.name);
            if !story.is_empty() {
                story.push_str(", ");
            }
            story.push_str(provider);
            story.push(' ');
            story.push_str(&tried.end.label());
        }
        story
    }
}

mod told;

pub use told::{Tale, Told};

impl Exchange {
    /// A probe of the chain that another request makes already: it is left out, or made like any other attempt where
    /// nobody else is left.
    pub fn give_up_probe(&mut self, number: usize) {
        let ordinary = |planned: &Planned| planned.after == After::Failure;
        let others = self
            .chain
            .iter()
            .filter(|planned| ordinary(planned))
            .count()
            > 1;
        let place = self
            .chain
            .get(number)
            .map(|planned| (planned.model, planned.target));
        if let (true, Some(place)) = (others, place) {
            self.chain.remove(number);
            let why = Why::Resting { for_ms: 0 };
            self.explanation.pass_over(place, why);
        } else if let Some(planned) = self.chain.get_mut(number) {
            planned.attempted = Attempted::Ordinary;
        }
    }

    /// The first probe of the chain, and what it is to find out about.
    pub fn probe(&self) -> Option<(usize, DeploymentId)> {
        let probe = |planned: &Planned| planned.attempted == Attempted::AsProbe;
        let number = self.chain.iter().position(probe)?;
        Some((number, self.deployment(number)?))
    }
}

impl End {
    /// What kind of failure it was, if it was one.
    pub fn why(&self) -> Option<Failure> {
        match self {
            Self::Failed(failed) => Some(failed.why),
            Self::Pending | Self::Accepted { .. } | Self::Refused { .. } => None,
        }
    }

    /// The status where there was one, else the kind of failure.
    pub fn label(&self) -> String {
        match self {
            Self::Pending => "pending".to_owned(),
            Self::Accepted { status } | Self::Refused { status, .. } => status.to_string(),
            Self::Failed(failed)
                if matches!(
                    failed.why,
                    Failure::Status | Failure::RateLimited | Failure::Credential
                ) =>
            {
                failed.status.to_string()
            }
            Self::Failed(failed) => failed.why.name().to_owned(),
        }
    }
}
