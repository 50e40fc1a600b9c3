//! What the handle, the control endpoint and the connections share.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connection::Request;
use super::ledger::{Ledger, Progress, Seen};
use super::reply::Reply;

/// What a provider is like when nothing else is said.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How it calls itself in its answers, so that one sees who answered.
    pub name: String,
    /// The key it wants; without one it takes everybody.
    pub api_key: Option<String>,
    /// Time before the first token.
    pub first_token_ms: u64,
    /// Time before each further token.
    pub pace_ms: u64,
    /// So many requests are kept in the ledger; none for benchmarks.
    pub keep_requests: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "fake".to_owned(),
            api_key: None,
            first_token_ms: 0,
            pace_ms: 0,
            keep_requests: 10_000,
        }
    }
}

/// What is done with a request.
pub(crate) struct Next {
    pub(crate) number: u64,
    pub(crate) reply: Reply,
    /// Why the fault a client asked for is none.
    pub(crate) misspelt: Option<String>,
    pub(crate) settings: Arc<Settings>,
}

/// A reply that stays, and how often it was considered and given.
struct Standing {
    reply: Reply,
    considered: u64,
    given: u64,
}

struct State {
    settings: Arc<Settings>,
    script: VecDeque<Reply>,
    standing: Vec<Standing>,
    ledger: Ledger,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The header by which a client asks for a fault.
const FAULT_HEADER: &str = "x-fake-fault";

impl Shared {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            state: Mutex::new(State {
                ledger: Ledger::keeping(settings.keep_requests),
                settings: Arc::new(settings),
                script: VecDeque::new(),
                standing: Vec::new(),
            }),
            changed: Condvar::new(),
        }
    }

    /// A panic elsewhere leaves counters and queues in order: go on.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this request gets: what its client asks for, else the script, else what stands.
    pub(crate) fn next(&self, request: &Request) -> Next {
        let asked = request.header(FAULT_HEADER).map(asked);
        let mut state = self.lock();
        let number = state.ledger.number();
        let settings = Arc::clone(&state.settings);
        let (reply, misspelt) = match asked {
            Some(Ok(reply)) => (reply, None),
            Some(Err(problem)) => (Reply::default(), Some(problem)),
            None => (state.scripted(), None),
        };
        Next {
            number,
            reply,
            misspelt,
            settings,
        }
    }

    pub(crate) fn enter(&self, number: u64, connection: u64, request: Request) {
        self.change(|state| state.ledger.enter(number, connection, request));
    }

    pub(crate) fn note(&self, progress: Progress) {
        self.change(|state| state.ledger.note(progress));
    }

    pub(crate) fn take_back(&self, number: u64, tokens: u64) {
        self.change(|state| state.ledger.take_back(number, tokens));
    }

    pub(crate) fn abandon(&self, number: u64) {
        self.change(|state| state.ledger.abandon(number));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Adds to the script.
    pub(crate) fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.change(|state| {
            for reply in replies {
                let times = usize::try_from(reply.times.unwrap_or(1)).unwrap_or(usize::MAX);
                state.script.extend(std::iter::repeat_n(reply, times));
            }
        });
    }

    /// Adds to what stands; of what applies, the first is given.
    pub(crate) fn stand(&self, reply: Reply) {
        self.change(|state| {
            state.standing.push(Standing {
                reply,
                considered: 0,
                given: 0,
            });
        });
    }

    /// Back to health: nothing scripted, nothing standing.
    pub(crate) fn heal(&self) {
        self.change(|state| {
            state.script.clear();
            state.standing.clear();
        });
    }

    /// Back to health, and the ledger empty.
    pub(crate) fn reset(&self) {
        self.change(|state| {
            state.script.clear();
            state.standing.clear();
            state.ledger = Ledger::keeping(state.settings.keep_requests);
        });
    }

    /// Changes the settings from the next request on.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Settings)) {
        self.change(|state| change(Arc::make_mut(&mut state.settings)));
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Ledger) -> T) -> T {
        read(&self.lock().ledger)
    }

    /// Waits until the requests are as wanted; gives them back either way.
    pub(crate) fn wait(
        &self,
        time: Duration,
        wanted: impl Fn(&[Seen]) -> bool,
    ) -> Result<Vec<Seen>, Vec<Seen>> {
        let start = Instant::now();
        let mut state = self.lock();
        loop {
            let requests = state.ledger.requests();
            if wanted(&requests) {
                return Ok(requests);
            }
            let Some(left) = time.checked_sub(start.elapsed()) else {
                return Err(requests);
            };
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn asked(text: &str) -> Result<Reply, String> {
    let reply: Reply = text.parse()?;
    if reply.times.is_some() || reply.every.is_some() {
        return Err("`times` and `every` have no meaning for a single request".to_owned());
    }
    Ok(reply)
}

impl State {
    fn scripted(&mut self) -> Reply {
        if let Some(reply) = self.script.pop_front() {
            return reply;
        }
        for standing in &mut self.standing {
            standing.considered = standing.considered.saturating_add(1);
            let due = standing
                .reply
                .every
                .is_none_or(|nth| standing.considered.is_multiple_of(nth));
            let left = standing
                .reply
                .times
                .is_none_or(|times| standing.given < times);
            if due && left {
                standing.given = standing.given.saturating_add(1);
                return standing.reply.clone();
            }
        }
        Reply::default()
    }
}
