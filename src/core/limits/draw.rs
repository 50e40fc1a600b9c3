//! What a request takes, and of which limits.

use crate::config::{Commons, Each, Key, Limited, Limits, Queue};
use crate::money::ids::ScopeId;
use crate::money::rates::RateId;
use crate::routing::random;

use super::bucket::Rate;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counts {
    /// Requests in a minute.
    Requests,
    /// Tokens in a minute.
    Tokens,
    /// Requests at the same time.
    Parallel,
}

impl Counts {
    /// As it stands in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Parallel => "parallel",
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Requests => "requests a minute",
            Self::Tokens => "tokens a minute",
            Self::Parallel => "requests at the same time",
        }
    }

    fn salt(self) -> u64 {
        match self {
            Self::Requests => 1,
            Self::Tokens => 2,
            Self::Parallel => 3,
        }
    }
}

/// What becomes of a request that a limit does not let through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// It is refused.
    #[default]
    Refuse,
    /// It waits.
    Queue(Queue),
    /// This model answers it.
    Downgrade(String),
}

/// Something that a request takes of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Of which.
    pub limit: RateId,
    /// Whose: `team:search`.
    pub name: String,
    /// What it counts.
    pub counts: Counts,
    /// How much is taken.
    pub amount: u64,
    /// How fast it comes back and how much there can be; for what runs at the same time, how many places there are.
    pub rate: Rate,
    /// What becomes of the request where it is not there.
    pub over: Over,
}

/// What is known of a request when its limits are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The model that is to answer, by the name that callers use.
    pub model: &'a str,
    /// The path.
    pub endpoint: &'a str,
    /// What it is for.
    pub tags: &'a [String],
    /// Tokens of the prompt and of the expected answer.
    pub tokens: u64,
}

/// How much of a minute may come at once, where nothing is written.
pub const BURST_PERCENT: u32 = 150;

/// Everything that a request takes, in an order that is the same for all requests.
pub fn draws(key: &Key, commons: &Commons, asked: Asked<'_>) -> Vec<Draw> {
    let mut draws = Vec::new();
    let common = commons
        .limits
        .iter()
        .filter(|limited| concerns(&limited.name, key, asked));
    for limited in key.limits.iter().chain(common) {
        add(limited, key, asked.tokens, &mut draws);
    }
    draws.sort_by_key(|draw| (draw.limit, draw.counts));
    draws
}

fn concerns(name: &str, key: &Key, asked: Asked<'_>) -> bool {
    match name.split_once(':') {
        None => name == "everyone",
        Some(("model", model)) => model == asked.model,
        Some(("endpoint", path)) => path == asked.endpoint,
        Some(("tier", tier)) => tier == key.tier,
        Some(("tag", tag)) => {
            asked.tags.iter().any(|it| it == tag) || key.tags.iter().any(|it| it == tag)
        }
        Some(_) => false,
    }
}

fn add(limited: &Limited, key: &Key, tokens: u64, draws: &mut Vec<Draw>) {
    let limits = &limited.limits;
    let whose = limits.each.map(|each| whose(each, key));
    let rate = |per_minute: u64| {
        let percent = limits.burst_percent.unwrap_or(BURST_PERCENT);
        let burst = u128::from(per_minute).saturating_mul(u128::from(percent)) / 100;
        Rate {
            per_minute,
            burst: u64::try_from(burst).unwrap_or(u64::MAX),
        }
    };
    let places = |max| Rate {
        per_minute: 0,
        burst: max,
    };
    let wanted = [
        (Counts::Requests, limits.rpm_limit.map(rate), 1),
        (Counts::Tokens, limits.tpm_limit.map(rate), tokens),
        (
            Counts::Parallel,
            limits.max_parallel_requests.map(places),
            1,
        ),
    ];
    for (counts, rate, amount) in wanted {
        let Some(rate) = rate else { continue };
        draws.push(Draw {
            limit: id(limited.scope, counts, whose.as_deref().unwrap_or_default()),
            name: match &whose {
                Some(whose) => format!("{} for {whose}", limited.name),
                None => limited.name.clone(),
            },
            counts,
            amount,
            rate,
            over: over(limits),
        });
    }
}

fn over(limits: &Limits) -> Over {
    match (&limits.queue, &limits.downgrade_to) {
        (Some(queue), _) => Over::Queue(*queue),
        (None, Some(model)) => Over::Downgrade(model.clone()),
        (None, None) => Over::Refuse,
    }
}

/// Whose own the limit is, where everybody has one of his own. Who has no user is known by his key.
fn whose(each: Each, key: &Key) -> String {
    let name = match each {
        Each::Org => &key.org,
        Each::Team => &key.team,
        Each::User => &key.user,
        Each::Key => &key.name,
    };
    if name.is_empty() {
        format!("key:{}", key.name)
    } else {
        format!("{}:{name}", each.name())
    }
}

fn id(scope: ScopeId, counts: Counts, whose: &str) -> RateId {
    let seed = scope.0 ^ counts.salt().rotate_left(60);
    let hash = whose.bytes().fold(seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    RateId(random::mix(hash))
}

/// Where those stand who wait for a limit.
pub fn queue_of(limit: RateId) -> RateId {
    RateId(random::mix(limit.0 ^ 0x7175_6575_6500))
}
