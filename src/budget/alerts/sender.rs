//! Sends what is due, marks what arrived, tries again what did not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, park_timeout, spawn};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tollgate_core::money::ids::ScopeId;
use tollgate_core::units::Timestamp;

use super::Shape;
use super::message::{message, percent};
use crate::engine::Trouble;
use crate::store::{AlertId, AlertOutcome, AlertRow};

const SECOND: u64 = 1_000_000_000;
/// Looked for what is due so often.
const EVERY: Duration = Duration::from_secs(1);
/// In one go; the rest a second later.
const ROWS_MAX: usize = 50;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Between two tries at most.
const PAUSE_SECONDS_MAX: u64 = 900;
/// Older news is no news.
const TRIED_SECONDS_MAX: u64 = 2 * 86_400;

/// Where alerts go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// The webhook. It is often a secret: it is in no log and no answer.
    pub url: String,
    /// What it understands.
    pub shape: Shape,
    /// Which shares of a budget it hears of; all that ask for an alert where nothing is said.
    pub at: Option<BTreeSet<u64>>,
}

/// The store's side of it.
pub trait Outbox: Send + Sync + 'static {
    /// What is to be sent now, oldest first.
    fn due(&self, now: Timestamp, at_most: usize) -> Result<Vec<AlertRow>, Trouble>;
    /// Writes what became of it.
    fn mark(&self, id: AlertId, outcome: AlertOutcome) -> Result<(), Trouble>;
    /// What a scope is called.
    fn scope_name(&self, scope: ScopeId) -> Option<String>;
}

/// A thread that sends; it ends with this.
pub struct Sender {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    /// Begins.
    pub fn start(outbox: Arc<dyn Outbox>, sinks: Vec<Sink>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = spawn(move || {
            let post = Post::new(sinks);
            while !told.load(Ordering::Relaxed) {
                // A store that does not answer now is asked again.
                let _ = post.round(&*outbox, now());
                park_timeout(EVERY);
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Whoever delivers.
pub(super) struct Post {
    agent: ureq::Agent,
    sinks: Vec<Sink>,
}

impl Post {
    pub(super) fn new(sinks: Vec<Sink>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_WITHIN))
            .http_status_as_error(false)
            // A webhook that moved is to be configured anew, not followed to wherever it points.
            .max_redirects(0)
            .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")));
        Self {
            agent: config.build().into(),
            sinks,
        }
    }

    /// Sends what is due, once to each sink that has not got it yet.
    pub(super) fn round(&self, outbox: &dyn Outbox, now: Timestamp) -> Result<(), Trouble> {
        for row in outbox.due(now, ROWS_MAX)? {
            let outcome = self.send(outbox, &row, now);
            outbox.mark(row.id, outcome)?;
        }
        Ok(())
    }

    fn send(&self, outbox: &dyn Outbox, row: &AlertRow, now: Timestamp) -> AlertOutcome {
        let mut got = got(&row.note);
        let mut why = String::new();
        let wanted = self.sinks.iter().filter(|sink| sink.wants(row));
        let mut missing = 0_usize;
        let mut nobody = true;
        for sink in wanted {
            nobody = false;
            let id = sink.id();
            if got.contains(&id) {
                continue;
            }
            match self.post(outbox, row, sink) {
                Ok(()) => {
                    got.insert(id);
                }
                Err(problem) => {
                    missing = missing.saturating_add(1);
                    why = problem;
                }
            }
        }
        if nobody {
            let note = "no webhook wants it".to_owned();
            return AlertOutcome::GivenUp { note };
        }
        if missing == 0 {
            return AlertOutcome::Sent;
        }
        let note = json!({"got": got, "why": why}).to_string();
        let age = now.0.saturating_sub(row.at.0) / SECOND;
        if age >= TRIED_SECONDS_MAX {
            return AlertOutcome::GivenUp { note };
        }
        let pause = 1_u64.checked_shl(row.tries.min(63)).unwrap_or(u64::MAX);
        let pause = pause.min(PAUSE_SECONDS_MAX).saturating_mul(SECOND);
        AlertOutcome::Retry {
            at: Timestamp(now.0.saturating_add(pause)),
            note,
        }
    }

    fn post(&self, outbox: &dyn Outbox, row: &AlertRow, sink: &Sink) -> Result<(), String> {
        let body = message(row, sink.shape, &|scope| outbox.scope_name(scope));
        let sent = self
            .agent
            .post(&sink.url)
            .header("content-type", "application/json")
            .header("x-tollgate-alert", row.id.0.to_string())
            .send(body.to_string());
        match sent {
            Ok(reply) if reply.status().is_success() => Ok(()),
            Ok(reply) => Err(format!("it answered {}", reply.status().as_u16())),
            // Not in its own words: they may have the address in them.
            Err(ureq::Error::Timeout(_)) => Err("it did not answer in time".to_owned()),
            Err(ureq::Error::BadUri(_)) => Err("its address is none".to_owned()),
            Err(_) => Err("it cannot be reached".to_owned()),
        }
    }
}

/// Which sinks have it already.
fn got(note: &str) -> BTreeSet<String> {
    let note: Value = serde_json::from_str(note).unwrap_or_default();
    let got = note.get("got").and_then(Value::as_array);
    let got = got.into_iter().flatten();
    got.filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Sink {
    fn wants(&self, row: &AlertRow) -> bool {
        match (percent(row), &self.at) {
            (Some(percent), Some(at)) => at.contains(&percent),
            (Some(_), None) => asks_for_an_alert(row),
            (None, _) => true,
        }
    }

    /// Tells sinks apart in the outbox without their addresses.
    fn id(&self) -> String {
        let digest = Sha256::digest(self.url.as_bytes());
        digest
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// A step that only asks for a line in the log is no alert.
fn asks_for_an_alert(row: &AlertRow) -> bool {
    let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
    let action = body.get("action").and_then(Value::as_str);
    !matches!(action, Some("none" | "log"))
}
