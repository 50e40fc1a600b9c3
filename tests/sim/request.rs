//! What clients ask for.

use tollgate_core::money::holder::{Hold, Part};
use tollgate_core::money::ids::{OpenId, ScopeId};

use crate::random::Random;
use crate::settings::Settings;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) scopes: Vec<ScopeId>,
    /// The worst case, which is held.
    pub(crate) most: u64,
    /// What it will cost.
    pub(crate) cost: u64,
    pub(crate) ticks: u64,
    /// What becomes of it half way.
    pub(crate) turn: Turn,
    pub(crate) is_strict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing.
    Straight,
    /// Its hold shrinks to this.
    Shrinks(u64),
    /// It falls back to another target, which costs so much more at most, and so much in truth.
    FallsBack { most: u64, cost: u64 },
}

/// A request that waits for money.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) request: Request,
    pub(crate) since: u64,
    /// Where it was short, and when it tries again all the same.
    pub(crate) short_of: Option<ScopeId>,
    pub(crate) tries_at: u64,
}

/// A request that was sent to a provider.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) request: Request,
    pub(crate) hold: Hold,
    pub(crate) opened: Option<OpenId>,
    pub(crate) turns_at: u64,
    pub(crate) ends_at: u64,
}

impl Request {
    pub(crate) fn arrive(id: u64, settings: &Settings, random: &mut Random) -> Self {
        // Some users ask much more than others.
        let users = settings.users;
        let user = random.within(0..users) * random.within(0..users) / users;
        let most = random.within(100..400);
        let mut cost = most * random.within(10..61) / 100;
        let mut turn = Turn::Straight;
        if settings.faults.delay_ticks > 0 {
            if random.happens(settings.faults.overrun) {
                cost = most * random.within(101..150) / 100;
            } else if random.happens(200_000) {
                turn = Turn::Shrinks(random.within(cost..most));
            } else if random.happens(100_000) {
                let more = random.within(50..200);
                turn = Turn::FallsBack {
                    most: more,
                    cost: random.within(0..more),
                };
            }
        }
        Self {
            id,
            scopes: vec![
                ScopeId(1 + user),
                ScopeId(1_000 + user % settings.teams),
                ScopeId(2_000),
            ],
            most,
            cost,
            ticks: random.within(2..40),
            turn,
            is_strict: random.happens(50_000),
        }
    }
}

/// How much of `cost` each part of a hold pays, as far as the hold reaches.
pub(crate) fn shares(hold: &Hold, cost: u64) -> Vec<(Part, u64)> {
    let mut shares: Vec<(Part, u64)> = Vec::new();
    for part in &hold.parts {
        let same = shares.iter().filter(|share| share.0.scope == part.scope);
        let paid: u64 = same.map(|share| share.1).sum();
        shares.push((*part, part.nanos.0.min(cost - paid)));
    }
    shares
}
