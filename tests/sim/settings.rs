//! What a history is made of. Everything that is not written here follows from the seed.

use tollgate_core::money::ledger::Patience;

use crate::random::Random;

/// A deliberate mistake. The shipped code has none of them: they are made where the simulator calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    None,
    /// A holder taken for dead gets its rest refunded instead of presumed spent.
    RefundOnExpiry,
    /// A batch that comes again is applied again.
    NoDedupe,
    /// A process that starts again is who it was.
    ReusedIncarnation,
    /// A crash leaves half a transaction.
    TornCommit,
    /// A request that finds too little goes ahead and is charged afterwards.
    ChargeAfter,
    /// A request that holds one scope and not the next goes ahead.
    NonAtomicHierarchy,
    /// A row is written without comparing.
    BlindSwap,
    /// What was taken from the first scope is not given back when the second is short.
    ForgottenRefund,
    /// A process that finds nobody borrows whatever it needs.
    BoundlessDebt,
    /// What was owed is not told when it was posted, so it is posted without being owed.
    ForgottenDebt,
}

/// How often something goes wrong, in a million.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// For each message.
    pub(crate) drop: u64,
    pub(crate) duplicate: u64,
    pub(crate) lost_reply: u64,
    /// Messages take up to so many ticks, and overtake each other.
    pub(crate) delay_ticks: u64,
    /// For each tick (and proxy).
    pub(crate) partition: u64,
    pub(crate) kill: u64,
    pub(crate) trap: u64,
    pub(crate) outage: u64,
    pub(crate) limit_change: u64,
    pub(crate) clock_jump: u64,
    /// For each batch: the service dies between decision and commit, or between commit and reply.
    pub(crate) crash: u64,
    /// For each request: it costs more than was held.
    pub(crate) overrun: u64,
}

/// Whose limits a history runs into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// Users, teams and the organisation have less and less.
    Every,
    /// Everyone below the organisation has as much as it.
    Organisation,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) mutant: Mutant,
    pub(crate) faults: Faults,
    pub(crate) patience: Patience,
    pub(crate) proxies: usize,
    pub(crate) users: u64,
    pub(crate) teams: u64,
    pub(crate) slots: u32,
    pub(crate) org_limit: u64,
    pub(crate) binding: Binding,
    pub(crate) tick_ms: u64,
    pub(crate) ticks: u64,
    /// Requests before this are not counted.
    pub(crate) warm_ticks: u64,
    /// Per proxy and tick, in a million.
    pub(crate) arrivals: u64,
    /// A request that finds too little waits for so long.
    pub(crate) wait_ms: u64,
    pub(crate) trace: bool,
    /// What each process may spend of each scope while it finds nobody.
    pub(crate) debt: u64,
}

impl Settings {
    /// Everything may go wrong. Each seed has about half of the faults, so that none hides behind another.
    pub(crate) fn hostile(seed: u64, mutant: Mutant) -> Self {
        let mut random = Random::new(seed ^ 0x5EED);
        let mut fault = |most: u64| {
            let rate = random.within(0..most);
            if random.happens(500_000) { rate } else { 0 }
        };
        let faults = Faults {
            drop: fault(200_000),
            duplicate: fault(200_000),
            lost_reply: fault(20_000),
            delay_ticks: 1 + fault(20),
            partition: fault(3_000),
            kill: fault(2_000),
            trap: fault(1_000),
            outage: fault(2_000),
            limit_change: fault(4_000),
            clock_jump: fault(1_000),
            crash: fault(20_000),
            overrun: fault(30_000),
        };
        let mut up_to = |most: u64| random.within(0..most);
        let suspect_after_ms = 200 + up_to(3_000);
        Self {
            seed,
            mutant,
            faults,
            patience: Patience {
                suspect_after_ms,
                presume_after_ms: suspect_after_ms + up_to(3_000),
            },
            proxies: usize::try_from(2 + up_to(4)).unwrap(),
            users: 5 + up_to(40),
            teams: 1 + up_to(5),
            slots: u32::try_from(8 + 2 * up_to(60)).unwrap(),
            org_limit: 20_000 + up_to(200_000),
            binding: Binding::Every,
            tick_ms: 10 + up_to(40),
            ticks: 1_200,
            warm_ticks: 0,
            arrivals: 100_000 + up_to(200_000),
            wait_ms: 2_000,
            trace: false,
            debt: up_to(2) * up_to(4_000),
        }
    }

    /// Nothing goes wrong.
    pub(crate) fn calm(seed: u64, proxies: usize) -> Self {
        let patience = Patience {
            suspect_after_ms: 5_000,
            presume_after_ms: 30_000,
        };
        Self {
            faults: Faults::default(),
            patience,
            proxies,
            users: 40,
            teams: 4,
            slots: 4_096,
            tick_ms: 10,
            debt: 0,
            ..Self::hostile(seed, Mutant::None)
        }
    }
}
