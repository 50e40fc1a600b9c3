//! Who waits, and what is told to them: all that happens while time passes and answers come.

use super::super::bucket::Home;
use super::asking::PATIENCE_MS;
use super::{
    BTreeSet, Blocked, Counts, Draw, Fed, Limiter, Millis, Outcome, Over, RateGrant, RateId,
    RateWant, Rows, Short, Ticket, Waiting, queue_of,
};

/// More requests than this do not wait in one worker, whatever is configured.
const WAITING_MAX: usize = 10_000;
/// How long a row of places is leased at least before it is asked for again.
const RENEW_MS: u64 = 1_000;

impl Limiter {
    /// Waits until the budget service has answered.
    pub(super) fn wait_for_service(
        &mut self,
        rows: &mut impl Rows,
        draws: Vec<Draw>,
        (ticket, key): (Ticket, &str),
        now: Millis,
    ) {
        for draw in &draws {
            if self.lack(rows, draw, now).is_some() {
                self.asking.lacks(draw, now);
            }
        }
        self.waiting.push(Waiting {
            ticket,
            key: key.to_owned(),
            draws,
            since: now,
            until: now.after(PATIENCE_MS),
            place: None,
        });
    }

    /// What becomes of a request that is not let through.
    pub(super) fn queue_or_refuse(
        &mut self,
        rows: &mut impl Rows,
        draws: Vec<Draw>,
        blocked: &Blocked,
        (ticket, key, since): (Ticket, &str, Millis),
        now: Millis,
    ) -> Option<Outcome> {
        let place = self.place_in_queue(rows, &draws, blocked, now);
        let Some((place, max_wait_ms)) = place else {
            return Some(self.refuse(rows, &draws, blocked, now));
        };
        self.waiting.push(Waiting {
            ticket,
            key: key.to_owned(),
            draws,
            since,
            until: since.after(max_wait_ms),
            place: Some(place),
        });
        None
    }

    /// A place among those who wait for the limit that decides; none where nobody waits, where it is full, or where
    /// waiting is in vain: requests that were made are not given back.
    fn place_in_queue(
        &mut self,
        rows: &mut impl Rows,
        draws: &[Draw],
        blocked: &Blocked,
        now: Millis,
    ) -> Option<(RateId, u64)> {
        let draw = blocked.deciding(draws)?;
        let Over::Queue(queue) = &draw.over else {
            return None;
        };
        let in_vain = blocked.wait_ms()? > queue.max_wait_ms && draw.counts == Counts::Requests;
        if in_vain || self.waiting.len() >= WAITING_MAX {
            return None;
        }
        let limit = queue_of(draw.limit);
        let taken = rows.places(limit, |places| {
            // Those who wait are of this process: the service knows nothing of them.
            match places.take(queue.max_waiting, Fed::ByTime, &self.workers, now) {
                Ok(places) => (Some(places), true),
                Err(_) => (None, false),
            }
        });
        if !taken {
            return None;
        }
        self.holds(limit);
        Some((limit, queue.max_wait_ms))
    }

    fn refuse(
        &self,
        rows: &mut impl Rows,
        draws: &[Draw],
        blocked: &Blocked,
        now: Millis,
    ) -> Outcome {
        let standing = self.standing(rows, draws, now);
        let decides = blocked.deciding(draws).or_else(|| {
            let (at, _) = blocked.lacks.first()?;
            draws.get(*at)
        });
        match decides {
            Some(draw) => Outcome::Short(Short {
                draw: draw.clone(),
                wait_ms: blocked.wait_ms().map(|ms| ms.max(1)),
                standing,
            }),
            // Nothing lacks: it has all it asked for.
            None => Outcome::Taken(super::Taken::default()),
        }
    }

    /// A request that waited is gone.
    pub fn leave(&mut self, rows: &mut impl Rows, ticket: Ticket) {
        if let Some(place) = self.waiting.leave(ticket).and_then(|gone| gone.place) {
            self.leave_place(rows, place);
        }
    }

    /// Time passes: tells who has its turn and who waited long enough.
    pub fn tick(&mut self, rows: &mut impl Rows, now: Millis) -> Vec<(Ticket, Outcome)> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        self.serve(rows, now)
    }

    fn serve(&mut self, rows: &mut impl Rows, now: Millis) -> Vec<(Ticket, Outcome)> {
        let mut told = Vec::new();
        // Who stands behind somebody that a limit keeps waits for that limit too.
        let mut kept: BTreeSet<RateId> = BTreeSet::new();
        for waiting in self.waiting.by_turn() {
            let stands_behind = waiting.draws.iter().any(|draw| kept.contains(&draw.limit));
            let tried = if stands_behind {
                None
            } else {
                Some(self.try_take(rows, &waiting.draws, now))
            };
            let blocked = match tried {
                Some(Ok(taken)) => {
                    self.waiting.had_turn(&waiting.key);
                    self.leave_queue(rows, &waiting);
                    told.push((waiting.ticket, Outcome::Taken(taken)));
                    continue;
                }
                Some(Err(blocked)) => Some(blocked),
                None => None,
            };
            let lacks = blocked.iter().flat_map(|blocked| &blocked.lacks);
            let lacking = lacks.filter_map(|(at, _)| waiting.draws.get(*at));
            kept.extend(lacking.map(|draw| draw.limit));
            if let Some(outcome) = self.wait_on(rows, waiting.clone(), blocked, now) {
                told.push((waiting.ticket, outcome));
            }
        }
        self.waiting.forget_turns();
        told
    }

    fn leave_queue(&mut self, rows: &mut impl Rows, waiting: &Waiting) {
        if let Some(place) = waiting.place {
            self.leave_place(rows, place);
        }
    }

    /// It is not its turn: it waits on, or is told so.
    fn wait_on(
        &mut self,
        rows: &mut impl Rows,
        waiting: Waiting,
        blocked: Option<Blocked>,
        now: Millis,
    ) -> Option<Outcome> {
        let over = now >= waiting.until;
        if let (Some(blocked), None, true) = (&blocked, waiting.place, !over)
            && !blocked.asks()
        {
            // The service has answered, and there is not enough.
            let who = (waiting.ticket, waiting.key.as_str(), waiting.since);
            return self.queue_or_refuse(rows, waiting.draws, blocked, who, now);
        }
        if !over {
            if let Some(blocked) = &blocked {
                for (at, lack) in &blocked.lacks {
                    if let (super::Lack::Ask, Some(draw)) = (lack, waiting.draws.get(*at)) {
                        self.asking.lacks(draw, now);
                    }
                }
            }
            self.waiting.put_back(waiting);
            return None;
        }
        self.leave_queue(rows, &waiting);
        let blocked = blocked.unwrap_or_else(|| self.look(rows, &waiting.draws, now));
        if waiting.place.is_none() && blocked.asks() {
            // It did not answer in time.
            self.asking.lost(now);
            let who = (waiting.ticket, waiting.key.as_str());
            return self.take(rows, waiting.draws, who, now);
        }
        Some(self.refuse(rows, &waiting.draws, &blocked, now))
    }

    /// What lacks. Where nothing does, others stand before it.
    fn look(&self, rows: &mut impl Rows, draws: &[Draw], now: Millis) -> Blocked {
        let lacks: Vec<_> = (0..)
            .zip(draws)
            .filter_map(|(at, draw)| Some((at, self.lack(rows, draw, now)?)))
            .collect();
        if lacks.is_empty() {
            let lacks = vec![(0, super::Lack::Wait { ms: RENEW_MS })];
            return Blocked { lacks };
        }
        Blocked { lacks }
    }

    /// What the service is to be asked for now; none where it is not to be asked at all.
    pub fn asks(&mut self, rows: &mut impl Rows, now: Millis) -> Option<Vec<RateWant>> {
        if self.asking.probes(now) {
            return Some(Vec::new());
        }
        if self.fed() != Fed::ByService {
            return None;
        }
        let mut wants = Vec::new();
        for limit in self.asking.low() {
            if self.asking.may_ask(limit, now) {
                wants.extend(self.want(rows, limit, now));
            }
        }
        (!wants.is_empty()).then_some(wants)
    }

    /// What is asked for a limit: what those need who wait for it, and a share beside.
    fn want(&mut self, rows: &mut impl Rows, limit: RateId, now: Millis) -> Option<RateWant> {
        let mine = *self.asking.mine.get(&limit)?;
        let draws = self.waiting.iter().flat_map(|waiting| &waiting.draws);
        let needed = draws
            .filter(|draw| draw.limit == limit)
            .map(|draw| draw.amount);
        let needed = needed.fold(0, u64::saturating_add);
        let (amount, in_use) = match mine.counts {
            Counts::Requests | Counts::Tokens => {
                let most = needed.saturating_add(mine.share()).min(mine.rate.burst);
                let missing = rows.bucket(limit, |bucket| {
                    let bucket = bucket.at(mine.rate, Fed::ByService, now);
                    (None, bucket.missing(most))
                });
                if missing == 0 {
                    self.asking.answered(limit);
                    return None;
                }
                (missing, None)
            }
            Counts::Parallel => rows.places(limit, |places| {
                let in_use = places.in_use();
                let (places, wanted) = places.wanted(needed);
                (Some(places), (wanted.min(mine.rate.burst), Some(in_use)))
            }),
        };
        Some(RateWant {
            limit,
            amount,
            per_minute: mine.rate.per_minute,
            burst: mine.rate.burst,
            unused: 0,
            in_use,
        })
    }

    /// The service answered; who waited for it is told.
    pub fn arrived(
        &mut self,
        rows: &mut impl Rows,
        wants: &[RateWant],
        grants: &[RateGrant],
        now: Millis,
    ) -> Vec<(Ticket, Outcome)> {
        self.asking.heard();
        for (want, grant) in wants.iter().zip(grants) {
            self.asking.answered(want.limit);
            if want.in_use.is_some() {
                rows.places(want.limit, |places| {
                    let landed = places.land(grant.amount, want.amount, grant.valid_ms, now);
                    (Some(landed), ())
                });
            } else {
                rows.bucket(want.limit, |bucket| {
                    (Some(bucket.land(want, grant, now)), ())
                });
            }
        }
        self.serve(rows, now)
    }

    /// The service could not be asked: from now on this process counts for itself.
    pub fn lost(&mut self, rows: &mut impl Rows, now: Millis) -> Vec<(Ticket, Outcome)> {
        self.asking.lost(now);
        self.serve(rows, now)
    }

    /// What lies idle here and goes back to the service, and places that are to be kept: to be asked once a second.
    pub fn goes_home(&mut self, rows: &mut impl Rows, now: Millis) -> Vec<RateWant> {
        if self.fed() != Fed::ByService {
            return Vec::new();
        }
        let mut wants = Vec::new();
        for (limit, mine) in self.asking.mine.clone() {
            let (rate, per_minute, burst) = (mine.rate, mine.rate.per_minute, mine.rate.burst);
            let back = |amount, unused, in_use| RateWant {
                limit,
                amount,
                per_minute,
                burst,
                unused,
                in_use,
            };
            if mine.counts == Counts::Parallel {
                wants.extend(rows.places(limit, |places| {
                    let in_use = places.in_use();
                    if in_use == 0 && !places.is_leased(now) {
                        return (None, None);
                    }
                    let (places, wanted) = places.wanted(0);
                    let want = back(wanted.min(burst), 0, Some(in_use));
                    (Some(places), Some(want))
                }));
                if self.places.contains_key(&limit)
                    && let Some(mine) = self.asking.mine.get_mut(&limit)
                {
                    mine.used_at = now;
                }
                continue;
            }
            let home = rows.bucket(limit, |bucket| {
                let (bucket, home) = bucket.send_home(rate, now);
                ((home != Home::Nothing).then_some(bucket), home)
            });
            match home {
                Home::Nothing => {}
                Home::Idle(unused) => wants.push(back(0, unused, None)),
                Home::Renewed(unused) => wants.push(back(unused, unused, None)),
            }
        }
        wants
    }

    /// What this worker does not use any more is forgotten: to be asked for once a second.
    pub fn forget(&mut self, now: Millis) {
        self.places.retain(|_, count| *count > 0);
        self.asking.forget_unused(now);
    }
}
