//! One history: proxies, a service, a network, and what goes wrong between them.

use std::collections::BTreeMap;

use tollgate_core::money::ids::{
    AccountKey, BudgetId, Incarnation, ScopeId, Seq, StreamId, WindowId,
};
use tollgate_core::money::ledger::HolderStanding;
use tollgate_core::money::message::{Refusal, SyncReply, SyncRequest};

use crate::network::Network;
use crate::operation::Around;
use crate::oracle::{Oracle, Seen, Wanted};
use crate::proxy::{Answer, Proxy, WORKERS};
use crate::random::Random;
use crate::request::Request;
use crate::service::Service;
use crate::settings::Settings;

/// The total of the organisation, which every request pays.
const ORG: AccountKey = AccountKey {
    budget: BudgetId(20_000),
    window: WindowId(0),
};
/// A process that was killed starts again, and one whose hello is not answered says it again.
const HELLO_AGAIN_TICKS: u64 = 50;
/// Draining takes no longer than this.
const DRAIN_TICKS: u64 = 3_000;

/// What is counted of a history that went well.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) requests: u64,
    pub(crate) served_at_once: u64,
    pub(crate) refused: u64,
    /// Refused although the accounts could have held it.
    pub(crate) refused_in_vain: u64,
    pub(crate) kills: u64,
    pub(crate) traps: u64,
    pub(crate) lost_races: u64,
    /// Times that a scope found no slot, because others stood in both of its own.
    pub(crate) homeless: u64,
    /// Posted to the organisation without a record: what dead holders had left.
    pub(crate) unaccounted: u64,
    /// Spent by the organisation, and its limit.
    pub(crate) spent: u64,
    pub(crate) limit: u64,
    /// What the organisation had spent when a request was refused first.
    pub(crate) spent_at_first_refusal: Option<u64>,
    pub(crate) seen: Seen,
}

impl Figures {
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.served_at_once += other.served_at_once;
        self.refused += other.refused;
        self.refused_in_vain += other.refused_in_vain;
        self.kills += other.kills;
        self.traps += other.traps;
        self.lost_races += other.lost_races;
        self.homeless += other.homeless;
        self.unaccounted += other.unaccounted;
        self.spent += other.spent;
        self.limit += other.limit;
        if let Some(spent) = other.spent_at_first_refusal {
            *self.spent_at_first_refusal.get_or_insert(0) += spent;
        }
        self.seen.records += other.seen.records;
        self.seen.overruns += other.seen.overruns;
        self.seen.presumed += other.seen.presumed;
        self.seen.late += other.seen.late;
        self.seen.rolled_over += other.seen.rolled_over;
        self.seen.debts += other.seen.debts;
    }
}

/// A history that went wrong.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) seed: u64,
    pub(crate) tick: u64,
    pub(crate) what: String,
    /// The last things that happened, if the settings asked for them.
    pub(crate) trace: Vec<String>,
}

#[derive(Clone)]
enum Up {
    Hello { life: u64 },
    Sync(SyncRequest),
}

#[derive(Clone)]
enum Down {
    Hello {
        life: u64,
        incarnation: Incarnation,
    },
    Sync {
        incarnation: Incarnation,
        stream: StreamId,
        seq: Seq,
        result: Result<SyncReply, Refusal>,
    },
}

struct World {
    settings: Settings,
    random: Random,
    service: Service,
    oracle: Oracle,
    proxies: Vec<Proxy>,
    /// Which life each proxy is in, and when it says hello.
    lives: Vec<(u64, u64)>,
    up: Network<Up>,
    down: Network<Down>,
    tick: u64,
    requests: u64,
    ended: BTreeMap<u64, usize>,
    trapped: bool,
    figures: Figures,
    trace: Vec<String>,
}

/// Runs one history to its end.
pub(crate) fn run(settings: Settings) -> Result<Figures, Violation> {
    let mut world = World::new(settings);
    let ticks = world.settings.ticks;
    while world.tick < ticks {
        world.go_wrong();
        world.clients();
        world.go_on()?;
    }
    world.drain()?;
    world.sum_up()
}

impl World {
    fn new(settings: Settings) -> Self {
        let mut random = Random::new(settings.seed);
        let service = Service::new(&settings, &mut random);
        let count = settings.proxies;
        let proxies = (0..count)
            .map(|_| Proxy::new(&settings, &mut random))
            .collect();
        Self {
            service,
            oracle: Oracle::default(),
            proxies,
            lives: vec![(0, 0); count],
            up: Network::new(settings.faults, count),
            down: Network::new(settings.faults, count),
            tick: 0,
            requests: 0,
            ended: BTreeMap::new(),
            trapped: false,
            figures: Figures::default(),
            trace: Vec::new(),
            random,
            settings,
        }
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if self.settings.trace {
            let line = format!("tick {}: {}", self.tick, what());
            self.trace.push(line);
        }
    }

    /// The faults of this tick.
    fn go_wrong(&mut self) {
        let faults = self.settings.faults;
        let tick = self.tick;
        if self.random.happens(faults.outage) {
            let until = tick + self.random.within(1..300);
            self.service.stop_until(until);
            self.note(|| format!("the service is down until {until}"));
        }
        if self.random.happens(faults.limit_change) {
            self.service.change_a_limit(&mut self.random, tick);
            self.note(|| "a limit changes".to_owned());
        }
        if self.random.happens(faults.clock_jump) {
            self.service.jump_clock(&mut self.random);
            self.note(|| "the service's clock jumps".to_owned());
        }
        for index in 0..self.proxies.len() {
            if self.random.happens(faults.partition) {
                let until = tick + self.random.within(1..400);
                if self.random.happens(500_000) {
                    self.up.cut(index, until);
                } else {
                    self.down.cut(index, until);
                }
                self.note(|| format!("proxy {index} is cut off in one direction until {until}"));
            }
            if self.random.happens(faults.kill) {
                self.kill(index);
            }
            if self.random.happens(faults.trap) {
                let worker = self.random.index(WORKERS);
                self.proxies[index].trap(worker);
                self.figures.traps += 1;
                self.trapped = true;
                self.note(|| format!("worker {worker} of proxy {index} traps"));
            }
            if self.random.happens(faults.clock_jump) {
                let jump = self.random.within(0..100_000);
                let clock = &mut self.proxies[index].clock_ms;
                *clock = (*clock + jump).saturating_sub(50_000);
                self.note(|| format!("the clock of proxy {index} jumps"));
            }
        }
    }

    fn kill(&mut self, index: usize) {
        self.note(|| format!("proxy {index} is killed"));
        self.figures.kills += 1;
        self.figures.lost_races += self.proxies[index].table.lost_races;
        self.figures.homeless += self.proxies[index].table.homeless;
        self.proxies[index] = Proxy::new(&self.settings, &mut self.random);
        self.lives[index] = (self.lives[index].0 + 1, self.tick);
        self.ended.retain(|_, proxy| *proxy != index);
    }

    fn clients(&mut self) {
        for index in 0..self.proxies.len() {
            if self.proxies[index].incarnation.is_none() {
                continue;
            }
            if self.random.happens(self.settings.arrivals) {
                self.requests += 1;
                let request = Request::arrive(self.requests, &self.settings, &mut self.random);
                let worker = self.random.index(WORKERS);
                self.proxies[index].arrive(worker, request, self.tick);
            }
        }
    }

    /// One tick of everybody.
    fn go_on(&mut self) -> Result<(), Violation> {
        for index in 0..self.proxies.len() {
            self.proxies[index].plan(self.tick, self.settings.wait_ms);
            self.work(index);
            self.send(index);
            self.answers(index);
            if self.tick.is_multiple_of(16) {
                self.proxies[index].check_books(&mut self.oracle);
            }
        }
        for (index, message) in self.up.arrived(self.tick) {
            self.receive(index, message);
        }
        if self.tick.is_multiple_of(8) {
            self.service.reap(self.tick, &mut self.oracle);
        }
        for (index, message) in self.down.arrived(self.tick) {
            self.hear(index, message);
        }
        self.tick += 1;
        self.check()
    }

    /// The workers of one proxy take steps in any order, until nothing is left to do in this tick.
    fn work(&mut self, index: usize) {
        let proxy = &mut self.proxies[index];
        while !proxy.operations.is_empty() {
            let next = self.random.index(proxy.operations.len().min(8));
            let operation = proxy.operations.swap_remove(next);
            let mut around = Around {
                tick: self.tick,
                service: &self.service,
                oracle: &mut self.oracle,
            };
            let rest = operation.advance(proxy, &mut around);
            proxy.operations.extend(rest);
        }
    }

    fn send(&mut self, index: usize) {
        let proxy = &mut self.proxies[index];
        if proxy.incarnation.is_none() {
            let (life, due) = self.lives[index];
            if due <= self.tick {
                self.lives[index].1 = self.tick + HELLO_AGAIN_TICKS;
                self.up
                    .send(&mut self.random, self.tick, index, Up::Hello { life });
            }
            return;
        }
        for batch in proxy.poll(self.tick) {
            self.up
                .send(&mut self.random, self.tick, index, Up::Sync(batch));
        }
    }

    fn receive(&mut self, index: usize, message: Up) {
        let tick = self.tick;
        let answer = match message {
            Up::Hello { life } => {
                let incarnation = self.service.hello(index, tick);
                incarnation.map(|incarnation| Down::Hello { life, incarnation })
            }
            Up::Sync(batch) => {
                let answer = self
                    .service
                    .sync(&batch, tick, &mut self.random, &mut self.oracle);
                self.note(|| format!("proxy {index} sends {batch:?}, answered {answer:?}"));
                let (incarnation, stream) = (batch.incarnation, batch.stream);
                answer.map(|(seq, result)| Down::Sync {
                    incarnation,
                    stream,
                    seq,
                    result,
                })
            }
        };
        if let Some(answer) = answer
            && !self.random.happens(self.settings.faults.lost_reply)
        {
            self.down.send(&mut self.random, tick, index, answer);
        }
    }

    fn hear(&mut self, index: usize, message: Down) {
        let proxy = &mut self.proxies[index];
        match message {
            Down::Hello { life, incarnation } => {
                if self.lives[index].0 == life {
                    proxy.begin(incarnation);
                }
            }
            Down::Sync {
                incarnation,
                stream,
                seq,
                result,
            } => {
                if proxy.incarnation != Some(incarnation) {
                    return;
                }
                let now = proxy.now(self.tick);
                let worker = usize::try_from(stream.0).unwrap();
                let outbox = &mut proxy.workers[worker].outbox;
                match result {
                    Ok(reply) => {
                        if let Some(arrival) = outbox.on_reply(reply, now) {
                            proxy.arrived(worker, arrival, &mut self.oracle);
                        }
                    }
                    Err(refusal) => outbox.on_refusal(seq, refusal),
                }
            }
        }
        // What arrived is done before anybody may die.
        self.work(index);
    }

    fn answers(&mut self, index: usize) {
        let is_counted = self.tick >= self.settings.warm_ticks && !self.proxies[index].is_draining;
        for answer in std::mem::take(&mut self.proxies[index].answers) {
            match answer {
                Answer::Served { waited, .. } if is_counted => {
                    self.figures.requests += 1;
                    self.figures.served_at_once += u64::from(waited == 0);
                }
                Answer::Refused { most, scope } if is_counted => {
                    self.figures.requests += 1;
                    self.figures.refused += 1;
                    let spent = self.oracle.truth(ORG);
                    self.figures.spent_at_first_refusal.get_or_insert(spent);
                    self.figures.refused_in_vain += u64::from(self.could_hold(scope.0, most));
                }
                Answer::Ended { id } => {
                    self.ended.insert(id, index);
                }
                Answer::Served { .. } | Answer::Refused { .. } => {}
            }
        }
    }

    /// The scope that a request was short of has money that nobody holds.
    fn could_hold(&self, scope: u64, most: u64) -> bool {
        let scopes = &self.service.memory.rows().scopes;
        let Some(scope) = scopes.get(&ScopeId(scope)) else {
            return false;
        };
        scope.budgets.iter().all(|open| {
            let key = AccountKey {
                budget: open.budget.id,
                window: open.window.id,
            };
            let available = self.service.memory.account(key).available(&open.budget);
            available
                .unwrap()
                .is_none_or(|available| available.0 >= most)
        })
    }

    /// Faults are over, clients are gone, every request ends and everything is reported.
    fn drain(&mut self) -> Result<(), Violation> {
        self.up.heal();
        self.down.heal();
        self.settings.faults = crate::settings::Faults::default();
        self.service.stop_until(self.tick);
        for proxy in &mut self.proxies {
            proxy.is_draining = true;
        }
        let last = self.tick + DRAIN_TICKS;
        while !self.proxies.iter().all(Proxy::is_quiet) {
            self.go_on()?;
            if self.tick > last {
                self.oracle.blame("it does not drain");
                return self.check();
            }
        }
        Ok(())
    }

    fn sum_up(mut self) -> Result<Figures, Violation> {
        self.check_end();
        self.check()?;
        let org = self.service.memory.account(ORG);
        let spent = self.oracle.truth(ORG);
        let scope = &self.service.memory.rows().scopes[&ScopeId(2_000)];
        for proxy in &self.proxies {
            self.figures.lost_races += proxy.table.lost_races;
            self.figures.homeless += proxy.table.homeless;
        }
        Ok(Figures {
            unaccounted: org.posted.0 - org.overrun.0 - spent,
            spent,
            limit: scope.budgets[0].budget.limit.0,
            seen: self.oracle.seen,
            ..self.figures
        })
    }

    /// Whoever lives has given everything back; whoever is dead is presumed to have spent what it had.
    fn check_end(&mut self) {
        let living: Vec<Incarnation> = self
            .proxies
            .iter()
            .filter_map(|proxy| proxy.incarnation)
            .collect();
        for proxy in &self.proxies {
            proxy.check_books(&mut self.oracle);
        }
        for (id, lease) in &self.service.memory.rows().leases {
            let rest = lease.remainder().unwrap().0;
            let books = self.proxies.iter().filter_map(|proxy| proxy.books.get(id));
            let trapped: u64 = books.map(|book| book.trapped).sum();
            if living.contains(&lease.incarnation) && rest != trapped {
                self.oracle
                    .blame(format!("lease {} of a living holder has {rest} left", id.0));
            }
        }
        for id in self.ended.keys() {
            if !self.oracle.has_record(*id) {
                self.oracle.blame(format!(
                    "the record of request {id} is lost, and its holder lives"
                ));
            }
        }
        let lives = |incarnation| living.contains(&incarnation);
        let left_open = {
            let mut openings = self.service.memory.openings();
            openings.any(|opening| lives(opening.incarnation))
        };
        if !self.trapped && left_open {
            self.oracle
                .blame("a request of a living holder is still open");
        }
        let holders: Vec<Incarnation> =
            self.service.memory.rows().holders.keys().copied().collect();
        for incarnation in holders {
            let standing = HolderStanding::Presumed;
            self.service
                .presume(incarnation, standing, &mut self.oracle);
        }
        let wanted = if self.figures.kills == 0 && !self.trapped {
            Wanted::Exact
        } else {
            Wanted::AtLeast
        };
        self.oracle.settled(&self.service.memory, wanted);
    }

    fn check(&mut self) -> Result<(), Violation> {
        let Some(what) = self.oracle.violation() else {
            return Ok(());
        };
        Err(Violation {
            seed: self.settings.seed,
            tick: self.tick,
            what: what.clone(),
            trace: std::mem::take(&mut self.trace),
        })
    }
}
