//! What one worker does with the limits: takes for requests, lets them wait, asks the budget service, gives back.

use std::collections::{BTreeMap, BTreeSet};

use super::bucket::{Bucket, MINUTE_MS, Rate};
use super::draw::{Counts, Draw, Over, queue_of};
use super::places::{Places, Workers};
use super::queue::{Queue, Ticket, Waiting};
use super::tell::Status;
use super::{Fed, Lack};
use crate::money::ids::Millis;
use crate::money::rates::{RateGrant, RateId, RateWant};

mod asking;
mod serving;

use asking::Asking;

/// Where rows are: shared by the workers of a process, or a worker's own.
pub trait Rows {
    /// Changes the bucket of a limit. The change gives nothing where the bucket is to stay.
    fn bucket<Said>(
        &mut self,
        limit: RateId,
        change: impl FnMut(Bucket) -> (Option<Bucket>, Said),
    ) -> Said;

    /// Changes the places of a limit.
    fn places<Said>(
        &mut self,
        limit: RateId,
        change: impl FnMut(Places) -> (Option<Places>, Said),
    ) -> Said;
}

/// What a request has of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Took {
    limit: RateId,
    counts: Counts,
    amount: u64,
    rate: Rate,
}

/// What a request has of all its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    took: Vec<Took>,
    /// How each limit stands, for the caller.
    pub standing: Vec<Status>,
}

/// A request that is not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short {
    /// The limit that decides what becomes of it.
    pub draw: Draw,
    /// When all its limits would let it through; none if never.
    pub wait_ms: Option<u64>,
    /// How each limit stands, for the caller.
    pub standing: Vec<Status>,
}

/// What became of a request's limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has all of them.
    Taken(Taken),
    /// It has none.
    Short(Short),
}

/// What a request used in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    /// It did not leave: all goes back.
    Nothing,
    /// It left, and used so many tokens.
    Tokens(u64),
}

/// One worker.
#[derive(Debug, Default)]
pub struct Limiter {
    /// Which of the workers this is, and who else lives.
    pub workers: Workers,
    waiting: Queue,
    asking: Asking,
    /// Limits in whose places this worker is.
    places: BTreeMap<RateId, u32>,
}

/// Why a request cannot have its limits now.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Blocked {
    /// Limits that lack something, by position among the draws.
    lacks: Vec<(usize, Lack)>,
}

impl Blocked {
    fn asks(&self) -> bool {
        self.lacks.iter().all(|(_, lack)| *lack == Lack::Ask)
    }

    /// Until all are there, as far as is known; none if never.
    fn wait_ms(&self) -> Option<u64> {
        let mut longest = 0;
        for (_, lack) in &self.lacks {
            match lack {
                Lack::Never => return None,
                Lack::Wait { ms } => longest = longest.max(*ms),
                Lack::Ask => {}
            }
        }
        Some(longest)
    }

    /// The one that decides: who refuses goes before who knows a cheaper model, and he before who lets wait.
    fn deciding<'a>(&self, draws: &'a [Draw]) -> Option<&'a Draw> {
        let lacking = self.lacks.iter().filter(|(_, lack)| *lack != Lack::Ask);
        let lacking = lacking.filter_map(|(at, _)| draws.get(*at));
        lacking.min_by_key(|draw| match draw.over {
            Over::Refuse => 0,
            Over::Downgrade(_) => 1,
            Over::Queue(_) => 2,
        })
    }
}

impl Limiter {
    /// There is a budget service.
    pub fn share_with_others(&mut self) {
        self.asking = Asking::with_service();
    }

    /// There is none.
    pub fn count_alone(&mut self) {
        self.asking = Asking::default();
    }

    /// Who fills the rows now.
    pub fn fed(&self) -> Fed {
        self.asking.fed()
    }

    /// Takes all that a request needs, or nothing. None: the request waits, and [`Limiter::tick`] or
    /// [`Limiter::arrived`] tells what became of it.
    pub fn take(
        &mut self,
        rows: &mut impl Rows,
        draws: Vec<Draw>,
        (ticket, key): (Ticket, &str),
        now: Millis,
    ) -> Option<Outcome> {
        if !self.others_wait(rows, &draws, now) {
            match self.try_take(rows, &draws, now) {
                Ok(taken) => return Some(Outcome::Taken(taken)),
                Err(blocked) if blocked.asks() => {
                    self.wait_for_service(rows, draws, (ticket, key), now);
                    return None;
                }
                Err(blocked) => {
                    return self.queue_or_refuse(rows, draws, &blocked, (ticket, key, now), now);
                }
            }
        }
        let queued = (0..)
            .zip(&draws)
            .filter(|(_, draw)| matches!(draw.over, Over::Queue(_)));
        let lacks = queued
            .map(|(at, draw)| {
                let ms = self.turn_in_ms(rows, draw, now);
                (at, Lack::Wait { ms })
            })
            .collect();
        self.queue_or_refuse(rows, draws, &Blocked { lacks }, (ticket, key, now), now)
    }

    /// Whether a newcomer would overtake somebody.
    fn others_wait(&self, rows: &mut impl Rows, draws: &[Draw], now: Millis) -> bool {
        let queues = draws
            .iter()
            .filter(|draw| matches!(draw.over, Over::Queue(_)));
        let mut waits = |limit| {
            rows.places(limit, |places| {
                let count = places.at(&self.workers, now).in_use();
                (None, count > 0)
            })
        };
        !draws.is_empty() && queues.into_iter().any(|draw| waits(queue_of(draw.limit)))
    }

    /// When those who wait have had their turn, as far as that can be known.
    fn turn_in_ms(&self, rows: &mut impl Rows, draw: &Draw, now: Millis) -> u64 {
        let own = match self.lack(rows, draw, now) {
            Some(Lack::Wait { ms }) => ms,
            Some(Lack::Never | Lack::Ask) | None => 0,
        };
        if draw.counts != Counts::Requests {
            return own;
        }
        let ahead = rows.places(queue_of(draw.limit), |places| {
            (None, places.at(&self.workers, now).in_use())
        });
        let for_all = ahead.saturating_mul(MINUTE_MS);
        own.saturating_add(
            for_all
                .checked_div(draw.rate.per_minute)
                .unwrap_or_default(),
        )
    }

    /// All or nothing. With several limits it first looks whether all are there: what is taken and put back would in the
    /// meantime be missing to another.
    fn try_take(
        &mut self,
        rows: &mut impl Rows,
        draws: &[Draw],
        now: Millis,
    ) -> Result<Taken, Blocked> {
        if draws.len() > 1 {
            let lacks: Vec<(usize, Lack)> = (0..)
                .zip(draws)
                .filter_map(|(at, draw)| Some((at, self.lack(rows, draw, now)?)))
                .collect();
            if !lacks.is_empty() {
                return Err(Blocked { lacks });
            }
        }
        let mut taken = Taken::default();
        for (at, draw) in draws.iter().enumerate() {
            match self.take_one(rows, draw, now) {
                Ok(status) => {
                    taken.standing.extend(status);
                    taken.took.push(Took {
                        limit: draw.limit,
                        counts: draw.counts,
                        amount: draw.amount,
                        rate: draw.rate,
                    });
                }
                Err(lack) => {
                    self.settle(rows, taken, Used::Nothing, now);
                    let lacks = vec![(at, lack)];
                    return Err(Blocked { lacks });
                }
            }
        }
        Ok(taken)
    }

    /// What a limit lacks for this, without taking it.
    fn lack(&self, rows: &mut impl Rows, draw: &Draw, now: Millis) -> Option<Lack> {
        let (fed, rate) = (self.fed(), draw.rate);
        match draw.counts {
            Counts::Requests | Counts::Tokens => rows.bucket(draw.limit, |bucket| {
                let lack = bucket.take(draw.amount, rate, fed, now).err();
                (bucket.turned_back(rate, fed, now), lack)
            }),
            Counts::Parallel => rows.places(draw.limit, |places| {
                let taken = places.take(rate.burst, fed, &self.workers, now);
                (None, taken.err())
            }),
        }
    }

    fn take_one(
        &mut self,
        rows: &mut impl Rows,
        draw: &Draw,
        now: Millis,
    ) -> Result<Option<Status>, Lack> {
        let (fed, rate) = (self.fed(), draw.rate);
        if draw.counts == Counts::Parallel {
            rows.places(draw.limit, |places| {
                match places.take(rate.burst, fed, &self.workers, now) {
                    Ok(places) => (Some(places), Ok(())),
                    Err(lack) => (None, Err(lack)),
                }
            })?;
            self.holds(draw.limit);
            if fed == Fed::ByService {
                self.asking.uses(draw, now);
            }
            return Ok(None);
        }
        let bucket = rows.bucket(draw.limit, |bucket| {
            match bucket.take(draw.amount, rate, fed, now) {
                Ok(bucket) => (Some(bucket), Ok(bucket)),
                Err(lack) => (bucket.turned_back(rate, fed, now), Err(lack)),
            }
        })?;
        self.asking.took(draw, bucket.here(), now);
        Ok(Some(Status::of(draw, &bucket, now)))
    }

    /// How the limits stand.
    fn standing(&self, rows: &mut impl Rows, draws: &[Draw], now: Millis) -> Vec<Status> {
        let fed = self.fed();
        let rates = draws.iter().filter(|draw| draw.counts != Counts::Parallel);
        rates
            .map(|draw| {
                let bucket =
                    rows.bucket(draw.limit, |bucket| (None, bucket.at(draw.rate, fed, now)));
                Status::of(draw, &bucket, now)
            })
            .collect()
    }

    /// A request is over, or never left: gives back what it did not use, and takes what it used beyond.
    pub fn settle(&mut self, rows: &mut impl Rows, taken: Taken, used: Used, now: Millis) {
        let fed = self.fed();
        for took in taken.took {
            let (more, less) = match (took.counts, used) {
                (Counts::Parallel, _) => {
                    self.leave_place(rows, took.limit);
                    continue;
                }
                (Counts::Requests, Used::Tokens(_)) => continue,
                (Counts::Requests | Counts::Tokens, Used::Nothing) => (took.amount, 0),
                (Counts::Tokens, Used::Tokens(used)) => (
                    took.amount.saturating_sub(used),
                    used.saturating_sub(took.amount),
                ),
            };
            if (more, less) != (0, 0) {
                rows.bucket(took.limit, |bucket| {
                    let bucket = bucket.give(more, less, took.rate, fed, now);
                    (Some(bucket), ())
                });
            }
        }
    }

    pub(super) fn leave_place(&mut self, rows: &mut impl Rows, limit: RateId) {
        let own = self.workers.own;
        rows.places(limit, |places| (Some(places.leave(own)), ()));
        if let Some(count) = self.places.get_mut(&limit) {
            *count = count.saturating_sub(1);
        }
    }

    pub(super) fn holds(&mut self, limit: RateId) {
        let count = self.places.entry(limit).or_default();
        *count = count.saturating_add(1);
    }

    /// Whether the others must hear that this worker lives.
    pub fn holds_places(&self) -> bool {
        self.places.values().any(|count| *count > 0)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
