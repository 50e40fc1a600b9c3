//! What one worker does with the budget service: who is calling, money for requests, reports of what they cost.
//!
//! One for each VM. Calls are made for the plugin's own context, so that their answers come even if the request that
//! asked is gone; a request that waits is told through its context.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use tollgate_core::auth::KeyHash;
use tollgate_core::callers::Callers;
use tollgate_core::config::{BudgetService, Commons, Key};
use tollgate_core::limits;
use tollgate_core::money::holder::{Ending, Hold, Keeper, Outbox, Outcome, Part, Standing};
use tollgate_core::money::ids::{Millis, OpenId, ScopeId, StreamId};
use tollgate_core::money::message::Open;
use tollgate_core::money::rates::{RateGrant, RateId, RateWant};
use tollgate_core::money::wanted::{Standings, Wanted};
use tollgate_core::units::Timestamp;
use tollgate_wire::proto;
use tollgate_wire::{Answer, SERVICE, decode, encode_batch};

use crate::counters::Shift;
use crate::figures::{Figures, Now};
use crate::host;
use crate::host::call::{self, Context};
use crate::line::{self, Begun, Line, Orphan};
use crate::room;
use crate::rows::Slots;

/// Deciding calls are given up after this; the outbox sends again.
const CALL_MS: u32 = 3_000;
/// Changes of keys and switches are asked for this often.
const WATCH_MS: u64 = 1_000;
/// Reports go this often, unless somebody waits.
const REPORT_MS: u64 = 100;
/// Waking more than this in one callback would nest the host's callbacks too deep.
const WOKEN_MAX: usize = 64;
/// More keys than this are not asked about at once.
const LOOKUPS_MAX: usize = 1_000;

/// What a request that waits is told.
#[derive(Debug)]
pub(crate) enum News {
    /// Whose key it is, is known now.
    Identity,
    /// What became of its wish for money.
    Money(Outcome),
    /// What became of its limits.
    Room(limits::Outcome),
    /// Its opening is durable; or it could not be made so.
    Opened(Durable),
}

/// Whether an opening can be found again after everything here has died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durable {
    Yes,
    No,
}

#[derive(Debug)]
enum Call {
    Hello,
    Sync(StreamId),
    Lookup(KeyHash),
    Watch,
    Rates(Vec<RateWant>),
}

#[derive(Debug, Default)]
struct Bank {
    plugin: Option<Context>,
    service: Option<BudgetService>,
    keeper: Keeper,
    rows: Slots,
    line: Option<Line>,
    /// Lines of workers whose VM was lost.
    adopted: Vec<Outbox>,
    calls: BTreeMap<u32, Call>,
    /// Who waits for which key.
    identifying: BTreeMap<KeyHash, Vec<u32>>,
    /// Who waits for which opening, and until when.
    opening: Vec<(u32, OpenId, Millis)>,
    /// Who is to be told what.
    news: VecDeque<(u32, News)>,
    revision: u64,
    /// The oldest state of which a key is known.
    looked_up_at: Option<u64>,
    watched_at: Millis,
    reported_at: Millis,
    calls_failed: u64,
    figures: Figures,
}

thread_local! {
    static BANK: RefCell<Bank> = RefCell::default();
}

fn with<Said>(run: impl FnOnce(&mut Bank) -> Said) -> Option<Said> {
    BANK.with(|bank| Some(run(&mut *bank.try_borrow_mut().ok()?)))
}

/// Milliseconds of Envoy's clock.
pub(crate) fn millis(now: Timestamp) -> Millis {
    Millis(now.0.checked_div(1_000_000).unwrap_or_default())
}

/// The plugin was configured: from now on its calls are made for it.
pub(crate) fn configure(plugin: Context, service: Option<BudgetService>) {
    match service {
        Some(_) => room::share_with_others(),
        None => room::count_alone(),
    }
    with(|bank| {
        bank.plugin = Some(plugin);
        bank.service = service;
    });
}

/// Asks for shares of limits; the answer goes to [`room`].
pub(crate) fn ask_rates(wants: Vec<RateWant>, caller: Context, now: Timestamp) {
    with(|bank| bank.ask_rates(wants, caller, now));
}

/// How budgets stood when this worker last heard.
#[derive(Debug)]
pub(crate) struct Heard;

impl Standings for Heard {
    fn of(&self, scope: ScopeId) -> Option<Standing> {
        with(|bank| bank.keeper.of(scope)).flatten()
    }
}

/// Asks whose key this is; the request hears [`News::Identity`].
pub(crate) fn identify(hash: KeyHash, request: Context, callers: &mut Callers, now: Timestamp) {
    with(|bank| {
        let full = bank.identifying.len() >= LOOKUPS_MAX;
        let waiting = bank.identifying.entry(hash).or_default();
        waiting.push(request.0);
        let is_first = waiting.len() == 1;
        if is_first && (full || !bank.lookup(hash, request)) {
            callers.away(hash, now);
            bank.identified(hash);
        }
    });
}

/// Holds money. None: the request waits, and hears [`News::Money`].
pub(crate) fn hold(wanted: Wanted, request: Context, now: Timestamp) -> Option<Outcome> {
    with(|bank| {
        let now = millis(now);
        let Bank { keeper, rows, .. } = bank;
        let outcome = keeper.hold(rows, wanted, request.0, now);
        bank.send_if_urgent(request, now);
        outcome
    })
    .flatten()
}

/// Puts back what a request does not need any more.
pub(crate) fn release(parts: Vec<Part>) {
    with(|bank| bank.keeper.release(&mut bank.rows, parts));
}

/// A request that waited for something is gone.
pub(crate) fn leave(request: Context) {
    room::leave(request);
    with(|bank| {
        bank.keeper.leave(request.0);
        bank.opening.retain(|(waiting, ..)| *waiting != request.0);
        for waiting in bank.identifying.values_mut() {
            waiting.retain(|waiting| *waiting != request.0);
        }
        let told = std::mem::take(&mut bank.news);
        for (waiting, news) in told {
            match news {
                // What came too late for it goes back.
                News::Money(Outcome::Held(hold)) if waiting == request.0 => {
                    bank.keeper.release(&mut bank.rows, hold.parts);
                }
                News::Room(limits::Outcome::Taken(taken)) if waiting == request.0 => {
                    room::settle(taken, limits::Used::Nothing, host::now());
                }
                _ if waiting == request.0 => {}
                // Limits go back when the request does.
                news @ (News::Identity | News::Money(_) | News::Room(_) | News::Opened(_)) => {
                    bank.news.push_back((waiting, news));
                }
            }
        }
    });
}

/// Reports a request that begins; it hears [`News::Opened`] when that is durable.
pub(crate) fn open(
    open: Open,
    request: Context,
    patience_ms: u64,
    now: Timestamp,
) -> Option<OpenId> {
    with(|bank| {
        let now = millis(now);
        let id = bank.keeper.open(open)?;
        bank.opening.push((request.0, id, now.after(patience_ms)));
        bank.send_if_urgent(request, now);
        Some(id)
    })
    .flatten()
}

/// A request is over: pays for it and reports it.
pub(crate) fn settle(hold: Hold, ending: Ending) {
    with(|bank| {
        if bank.service.is_none() {
            return;
        }
        bank.keeper.settle(&mut bank.rows, hold, ending);
        if let (Some(line), Some(outbox)) = (&bank.line, bank.keeper.outbox()) {
            line.keep_newest(outbox);
        }
    });
}

/// Time passes. What moved among the figures.
pub(crate) fn tick(now: Timestamp) -> Vec<Shift> {
    let shifts = with(|bank| {
        bank.tick(now);
        bank.shifts(millis(now))
    });
    shifts.unwrap_or_default()
}

/// Tells those who wait, some at a time.
pub(crate) fn tell(tell: impl Fn(Context, News)) {
    for _ in 0..WOKEN_MAX {
        let Some((request, news)) = with(|bank| bank.news.pop_front()).flatten() else {
            return;
        };
        tell(Context(request), news);
    }
}

/// The answer to a call.
pub(crate) fn answered(
    token: u32,
    message: &[u8],
    callers: &mut Callers,
    now: Timestamp,
) -> Option<Commons> {
    with(|bank| bank.answered(token, message, callers, now)).flatten()
}

/// A call failed.
pub(crate) fn failed(token: u32, callers: &mut Callers, now: Timestamp) {
    with(|bank| bank.failed(token, callers, now));
}

impl Bank {
    fn shifts(&mut self, now: Millis) -> Vec<Shift> {
        if self.service.is_none() {
            return Vec::new();
        }
        self.figures.shifts(Now {
            moved: self.rows.moved.take(),
            waiting: self.keeper.waiting(),
            away: u64::from(self.keeper.is_away(now)),
            failures: self.calls_failed,
        })
    }

    /// Whether the call is on its way. `caller` is who the running callback acts for.
    fn call(&mut self, method: &str, message: &[u8], what: Call, caller: Context) -> bool {
        let (Some(plugin), Some(service)) = (self.plugin, &self.service) else {
            return false;
        };
        call::act_for(plugin);
        let sent = call::grpc(&service.cluster, SERVICE, method, message, CALL_MS);
        call::act_for(caller);
        match sent {
            Ok(token) => {
                self.calls.insert(token, what);
                true
            }
            Err(host::Failed) => false,
        }
    }

    fn lookup(&mut self, hash: KeyHash, caller: Context) -> bool {
        let Some(digest) = digest_of(&hash) else {
            return false;
        };
        let request = proto::LookupRequest {
            key_sha256: vec![digest],
        };
        let message = prost::Message::encode_to_vec(&request);
        self.call("Lookup", &message, Call::Lookup(hash), caller)
    }

    fn identified(&mut self, hash: KeyHash) {
        for request in self.identifying.remove(&hash).unwrap_or_default() {
            self.news.push_back((request, News::Identity));
        }
    }

    fn ask_rates(&mut self, wants: Vec<RateWant>, caller: Context, now: Timestamp) {
        let incarnation = self.line.as_ref().map_or(0, |line| line.incarnation().0);
        let message = prost::Message::encode_to_vec(&proto::RatesRequest {
            incarnation,
            wants: wants.iter().map(proto_want).collect(),
        });
        if !self.call("Rates", &message, Call::Rates(wants), caller) {
            let told = room::lost(now);
            self.tell_room(told);
        }
    }

    fn tell_room(&mut self, told: Vec<(u32, limits::Outcome)>) {
        let told = told.into_iter();
        self.news
            .extend(told.map(|(ticket, outcome)| (ticket, News::Room(outcome))));
    }

    fn tick(&mut self, now: Timestamp) {
        let told = room::tick(now);
        self.tell_room(told);
        let (Some(plugin), true) = (self.plugin, self.service.is_some()) else {
            return;
        };
        if let Some(wants) = room::asks(now) {
            self.ask_rates(wants, plugin, now);
        }
        let at = millis(now);
        self.begin(plugin, at);
        let told = self.keeper.tick(&mut self.rows, at);
        self.news.extend(
            told.into_iter()
                .map(|(ticket, outcome)| (ticket, News::Money(outcome))),
        );
        let Self { opening, news, .. } = self;
        opening.retain(|(request, _, until)| {
            let late = at >= *until;
            if late {
                news.push_back((*request, News::Opened(Durable::No)));
            }
            !late
        });
        if at.is_over(self.reported_at, REPORT_MS) || self.keeper.is_urgent() {
            self.reported_at = at;
            self.send(plugin, at);
        }
        if at.is_over(self.watched_at, WATCH_MS) {
            self.watched_at = at;
            let request = proto::WatchRequest {
                since: self.revision,
            };
            let message = prost::Message::encode_to_vec(&request);
            self.call("Watch", &message, Call::Watch, plugin);
            if let Some(line) = &self.line {
                line.live(at);
                for orphan in line.adopt_orphans(at) {
                    match orphan {
                        Orphan::Speaks(outbox) => self.adopted.push(outbox),
                        Orphan::OfAForgottenLife(outbox) => {
                            self.keeper.inherit(&mut self.rows, outbox)
                        }
                    }
                }
            }
        }
        self.send_adopted(plugin, at);
    }

    /// What lost workers left to say.
    fn send_adopted(&mut self, plugin: Context, now: Millis) {
        let mut adopted = std::mem::take(&mut self.adopted);
        adopted.retain_mut(|outbox| {
            let stream = outbox.stream();
            if outbox.is_empty() {
                line::finish(stream);
                return false;
            }
            line::keep_alive(stream, now);
            if let Some(batch) = outbox.poll(now) {
                let message = encode_batch(batch.clone());
                self.call("Sync", &message, Call::Sync(stream), plugin);
            }
            true
        });
        self.adopted.extend(adopted);
    }

    /// Finds out who this process is, and takes a stream of its own.
    fn begin(&mut self, plugin: Context, now: Millis) {
        if self.keeper.has_begun() {
            return;
        }
        match Line::begin(now) {
            Begun::Line(begun) => {
                let (line, outbox, leases_from) = *begun;
                self.line = Some(line);
                self.rows.leases_from = leases_from;
                self.keeper.begin(&mut self.rows, outbox, leases_from);
            }
            Begun::SayHello => {
                let request = proto::HelloRequest {
                    node: host::property("xds\0node\0id")
                        .and_then(|id| String::from_utf8(id).ok())
                        .unwrap_or_default(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                };
                let message = prost::Message::encode_to_vec(&request);
                self.keeper.sent(now);
                self.call("Hello", &message, Call::Hello, plugin);
            }
            Begun::Wait => {}
        }
    }

    fn send_if_urgent(&mut self, caller: Context, now: Millis) {
        if self.keeper.is_urgent() {
            self.send(caller, now);
        }
    }

    fn send(&mut self, caller: Context, now: Millis) {
        let Some(outbox) = self.keeper.outbox() else {
            return;
        };
        let Some(batch) = outbox.poll(now).cloned() else {
            return;
        };
        let bookmark = outbox.bookmark();
        let message = encode_batch(batch.clone());
        if let Some(line) = &self.line {
            line.keep_batch(bookmark, &message);
        }
        self.keeper.sent(now);
        if !self.call("Sync", &message, Call::Sync(batch.stream), caller) {
            self.calls_failed = self.calls_failed.saturating_add(1);
        }
    }

    fn answered(
        &mut self,
        token: u32,
        message: &[u8],
        callers: &mut Callers,
        now: Timestamp,
    ) -> Option<Commons> {
        let call = self.calls.remove(&token)?;
        let at = millis(now);
        match call {
            Call::Hello => {
                let reply: proto::HelloReply = decode("HelloReply", message).ok()?;
                Line::introduce(reply.incarnation, reply.leases_from);
                self.keeper.heard(at);
                let plugin = self.plugin?;
                self.begin(plugin, at);
                None
            }
            Call::Sync(stream) => {
                self.synced(stream, message, at);
                None
            }
            Call::Lookup(hash) => {
                match decode::<proto::LookupReply>("LookupReply", message) {
                    Ok(reply) => {
                        let at = self.looked_up_at.unwrap_or(reply.revision);
                        self.looked_up_at = Some(at.min(reply.revision));
                        let state = reply.keys.into_iter().next();
                        let key = state.and_then(|state| read_key(&state.key_json));
                        callers.learn(hash, key, now);
                    }
                    Err(_) => callers.away(hash, now),
                }
                self.identified(hash);
                None
            }
            Call::Watch => self.watched(message, callers, now),
            Call::Rates(wants) => {
                let told = match decode::<proto::RatesReply>("RatesReply", message) {
                    Ok(reply) => {
                        let grants: Vec<RateGrant> = reply.grants.iter().map(grant).collect();
                        room::arrived(&wants, &grants, now)
                    }
                    Err(_) => room::lost(now),
                };
                self.tell_room(told);
                if let (Some(plugin), Some(wants)) = (self.plugin, room::asks(now)) {
                    self.ask_rates(wants, plugin, now);
                }
                None
            }
        }
    }

    fn synced(&mut self, stream: StreamId, message: &[u8], now: Millis) {
        let answer = decode::<proto::SyncReply>("SyncReply", message).and_then(Answer::try_from);
        let answer = match answer {
            Ok(answer) => answer,
            Err(unreadable) => {
                log::error!("the budget service answers what cannot be read: {unreadable}");
                return;
            }
        };
        let own = self
            .keeper
            .outbox()
            .filter(|outbox| outbox.stream() == stream);
        let is_own = own.is_some();
        let adopted = self
            .adopted
            .iter_mut()
            .find(|outbox| outbox.stream() == stream);
        let Some(outbox) = own.or(adopted) else {
            return;
        };
        match answer.result {
            Ok(reply) => {
                let Some(arrival) = outbox.on_reply(reply, now) else {
                    return;
                };
                let bookmark = outbox.bookmark();
                if let Some(line) = self.line.as_ref().filter(|_| is_own) {
                    line.answered(bookmark);
                }
                let opened: Vec<u64> = arrival
                    .answered
                    .opens
                    .iter()
                    .map(|open| open.number)
                    .collect();
                self.opening.retain(|(request, id, _)| {
                    let durable = opened.contains(&id.number);
                    if durable {
                        self.news.push_back((*request, News::Opened(Durable::Yes)));
                    }
                    !durable
                });
                let told = self.keeper.arrived(&mut self.rows, arrival, now);
                let told = told.into_iter();
                self.news
                    .extend(told.map(|(ticket, outcome)| (ticket, News::Money(outcome))));
                if let Some(plugin) = self.plugin {
                    self.send_if_urgent(plugin, now);
                }
            }
            Err(refusal) if refusal.is_of_one_who_forgot() => self.start_over(now),
            Err(refusal) => {
                log::error!(
                    "the budget service refuses a batch: its log says why; the batch is kept and sent again"
                );
                outbox.on_refusal(answer.seq, refusal);
            }
        }
    }

    /// The budget service has forgotten who this process is: it asks again, and goes on under another name.
    fn start_over(&mut self, now: Millis) {
        log::error!(
            "the budget service has forgotten this process: its store was lost or replaced; what was spent and not answered is reported anew",
        );
        if let Some(line) = self.line.take() {
            line.forget_process();
        }
        self.keeper.start_over();
        for outbox in std::mem::take(&mut self.adopted) {
            line::finish(outbox.stream());
            self.keeper.inherit(&mut self.rows, outbox);
        }
        for (request, ..) in std::mem::take(&mut self.opening) {
            self.news.push_back((request, News::Opened(Durable::No)));
        }
        if let Some(plugin) = self.plugin {
            self.begin(plugin, now);
        }
    }

    fn watched(
        &mut self,
        message: &[u8],
        callers: &mut Callers,
        now: Timestamp,
    ) -> Option<Commons> {
        let reply: proto::WatchReply = decode("WatchReply", message).ok()?;
        // To the first question the answer is always that all may be new; what was looked up since then is not.
        let is_first = self.revision == 0;
        let is_new = self.looked_up_at.is_none_or(|at| at >= reply.revision);
        self.revision = reply.revision;
        if reply.reset && !(is_first && is_new) {
            callers.forget();
        }
        for state in reply.keys {
            if let Some(hash) = hash_of(&state.key_sha256) {
                callers.changed(hash, read_key(&state.key_json), now);
            }
        }
        callers.heard(now);
        if reply.commons_json.is_empty() {
            return None;
        }
        serde_json::from_slice(&reply.commons_json).ok()
    }

    fn failed(&mut self, token: u32, callers: &mut Callers, now: Timestamp) {
        let Some(call) = self.calls.remove(&token) else {
            return;
        };
        self.calls_failed = self.calls_failed.saturating_add(1);
        match call {
            Call::Lookup(hash) => {
                callers.away(hash, now);
                self.identified(hash);
            }
            Call::Sync(_) | Call::Hello => self.keeper.cut_off(),
            Call::Rates(_) => {
                let told = room::lost(now);
                self.tell_room(told);
            }
            Call::Watch => {}
        }
    }
}

fn proto_want(want: &RateWant) -> proto::RateWant {
    proto::RateWant {
        limit: want.limit.0,
        amount: want.amount,
        per_minute: want.per_minute,
        burst: want.burst,
        unused: want.unused,
        in_use: want.in_use,
    }
}

fn grant(grant: &proto::RateGrant) -> RateGrant {
    RateGrant {
        limit: RateId(grant.limit),
        amount: grant.amount,
        valid_ms: grant.valid_ms,
        retry_ms: grant.retry_ms,
        left: grant.left,
    }
}

/// A key as the service tells it; none if there is no such key.
fn read_key(json: &[u8]) -> Option<Key> {
    serde_json::from_slice(json).ok()
}

fn digest_of(hash: &KeyHash) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(hash).ok()?;
    let pairs = (0..text.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(text.get(at..at.checked_add(2)?)?, 16).ok())
        .collect()
}

fn hash_of(digest: &[u8]) -> Option<KeyHash> {
    let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    text.into_bytes().try_into().ok()
}
