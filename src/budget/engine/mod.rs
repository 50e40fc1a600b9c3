//! The engine: one thread that decides and writes, and the handle by which everybody else speaks to it.
//!
//! Commands queue up while the writer waits for the disk; whatever has come by then is decided together, over rows in
//! memory, and written in one transaction. Only then is anybody answered. When the store fails nobody is: the rows in memory
//! are thrown away and read again, so that memory and store cannot differ, and whoever asked asks again.

mod command;
mod rows;
mod trouble;
mod writer;

#[cfg(test)]
pub(crate) mod scratch;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use tollgate_core::money::ids::{BodyHash, Incarnation, Millis};
use tollgate_core::money::ledger::Patience;
use tollgate_core::money::message::{HelloReply, SyncRequest};
use tollgate_core::money::rates::{RateGrant, RateWant, Rates};
use tollgate_core::tenancy::{Directory, Entity};
use tollgate_core::units::{NanoUsd, Timestamp};
use tollgate_wire::Answer;

use crate::store::{AuditEntry, Committed, Reader, Store, StoreError};
use command::{Command, Work};
use writer::Writer;

pub use command::{Edit, EditRefused, Editing, Plan};
pub use trouble::Trouble;

/// Commands that wait at most; whoever comes then waits to be let in.
const QUEUE_MAX: usize = 4_096;
/// How often silence is judged.
const TICK: Duration = Duration::from_secs(1);

/// What time it is, for the ledger.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How the engine behaves.
#[derive(Clone)]
pub struct Settings {
    /// How long silence is borne.
    pub patience: Patience,
    /// What time it is.
    pub clock: Clock,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            patience: Patience {
                suspect_after_ms: 15_000,
                presume_after_ms: 600_000,
            },
            clock: Arc::new(system_time),
        }
    }
}

/// The handle. Whoever has one may speak.
#[derive(Clone)]
pub struct Engine {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

/// What is read without asking the writer.
pub(crate) struct Shared {
    directory: RwLock<Directory>,
    rates: Mutex<Rates>,
    readers: Mutex<Vec<Box<dyn Reader>>>,
    began: Instant,
    counts: Counts,
    /// Why nothing can be written, if so.
    trouble: Mutex<Option<StoreError>>,
    clock: Clock,
}

/// What was counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    groups: AtomicU64,
    batches: AtomicU64,
    repeated: AtomicU64,
    refused: AtomicU64,
    records: AtomicU64,
    failures: AtomicU64,
    holders: AtomicU64,
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Transactions.
    pub groups: u64,
    /// Batches applied.
    pub batches: u64,
    /// Batches that came again.
    pub repeated: u64,
    /// Batches refused.
    pub refused: u64,
    /// Records written.
    pub records: u64,
    /// Times that the store failed.
    pub failures: u64,
    /// Processes that are not presumed dead.
    pub holders: u64,
}

/// What could be spent uncovered if this service were away: every process that lives may run up the debt of a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// The scope, by name.
    pub scope: String,
    /// What one process may run up.
    pub each: NanoUsd,
    /// What all of them may.
    pub all: NanoUsd,
}

/// The writer's thread, to be waited for.
pub struct Running {
    ended: Option<oneshot::Receiver<Result<(), StoreError>>>,
    ticker: tokio::task::JoinHandle<()>,
}

impl Engine {
    /// Reads the store, brings in what the configuration says of tenants, and begins. Blocks until everything is
    /// read: for a thread of a runtime that may.
    pub fn start(
        mut store: Box<dyn Store>,
        file: &[Entity],
        settings: Settings,
    ) -> Result<(Self, Running), Trouble> {
        let reader = store.reader()?;
        let shared = Arc::new(Shared {
            directory: RwLock::default(),
            rates: Mutex::default(),
            readers: Mutex::new(vec![reader]),
            began: Instant::now(),
            counts: Counts::default(),
            trouble: Mutex::default(),
            clock: Arc::clone(&settings.clock),
        });
        let mut writer = Writer::begin(store, Arc::clone(&shared), settings)?;
        writer.adopt(file)?;
        let (commands, queue) = mpsc::channel(QUEUE_MAX);
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                // Nobody listens any more once the service is gone.
                let _ = end.send(writer.run(queue));
            })
            .map_err(|error| Trouble::Thread(error.to_string()))?;
        let ticks = commands.clone();
        let ticker = tokio::spawn(async move {
            let mut ticks_at = tokio::time::interval(TICK);
            ticks_at.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                ticks_at.tick().await;
                if ticks.send(Command::Work(Work::Tick)).await.is_err() {
                    return;
                }
            }
        });
        let running = Running {
            ended: Some(ended),
            ticker,
        };
        Ok((Self { commands, shared }, running))
    }

    /// A process begins.
    pub async fn hello(&self) -> Result<HelloReply, Trouble> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Work(Work::Hello { reply }), answer).await
    }

    /// A batch.
    pub async fn sync(&self, batch: SyncRequest, hash: BodyHash) -> Result<Answer, Trouble> {
        let (reply, answer) = oneshot::channel();
        let work = Work::Sync {
            batch: Box::new(batch),
            hash,
            reply,
        };
        self.ask(Command::Work(work), answer).await
    }

    /// Shares of limits by the minute.
    pub fn rates(
        &self,
        holder: Incarnation,
        wants: impl IntoIterator<Item = RateWant>,
    ) -> Vec<RateGrant> {
        let passed = self.shared.began.elapsed().as_millis();
        let now = Millis(u64::try_from(passed).unwrap_or(u64::MAX));
        let mut rates = locked(&self.shared.rates);
        wants
            .into_iter()
            .map(|want| rates.take(want, holder, now))
            .collect()
    }

    /// Who may call and who pays, as it is now. Nothing changes while it is looked at, so look quickly.
    pub fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.shared.directory()
    }

    /// What time the ledger has.
    pub fn now(&self) -> Timestamp {
        (self.shared.clock)()
    }

    /// Lets `decide` look at the directory and say what changes. When this returns it is durable and in force. Blocks: for
    /// threads of their own.
    pub fn change<Refused: Send + 'static>(
        &self,
        decide: impl FnOnce(&Directory) -> Result<Plan, Refused> + Send + 'static,
    ) -> Result<Result<Committed, Refused>, Trouble> {
        let (reply, answer) = oneshot::channel();
        let (refusal, refused) = oneshot::channel();
        let decide = Box::new(move |directory: &Directory| match decide(directory) {
            Ok(plan) => Some(plan),
            Err(why) => {
                // The other end waits below.
                let _ = refusal.send(why);
                None
            }
        });
        let committed = self.ask_blocking(Command::Change { decide, reply }, answer)?;
        match committed {
            Some(committed) => Ok(Ok(committed)),
            None => match refused.blocking_recv() {
                Ok(why) => Ok(Err(why)),
                Err(_) => Err(Trouble::Stopping),
            },
        }
    }

    /// Lets `edit` look at the ledger's rows and say what is written. Blocks: for threads of their own.
    pub fn edit(&self, edit: Edit) -> Result<Result<Committed, EditRefused>, Trouble> {
        let (reply, answer) = oneshot::channel();
        self.ask_blocking(Command::Edit { edit, reply }, answer)
    }

    /// Has all holders give back what lies idle with them; says of how many scopes. Blocks: for threads of their own.
    pub fn recall(&self, actor: &str) -> Result<u64, Trouble> {
        let (reply, answer) = oneshot::channel();
        let audit = AuditEntry {
            actor: actor.to_owned(),
            kind: "lease".to_owned(),
            id: "all".to_owned(),
            ..audit("recall", "{}")
        };
        self.ask_blocking(Command::Recall { audit, reply }, answer)
    }

    /// The store, between two transactions: due alerts, old records. Blocks: for threads of their own.
    pub fn with_store<Outcome: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Store) -> Result<Outcome, StoreError> + Send + 'static,
    ) -> Result<Outcome, Trouble> {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move |store: &mut dyn Store| {
            // Whoever asked may be gone.
            let _ = reply.send(work(store).map_err(Trouble::from));
        });
        self.send_blocking(Command::Store(work))?;
        answer.blocking_recv().map_err(|_| Trouble::Stopping)?
    }

    /// The read side of the store. One at a time.
    pub fn read<Outcome>(
        &self,
        read: impl FnOnce(&mut dyn Reader) -> Result<Outcome, StoreError>,
    ) -> Result<Outcome, Trouble> {
        let mut readers = locked(&self.shared.readers);
        let reader = readers.last_mut().ok_or(Trouble::Stopping)?;
        read(reader.as_mut()).map_err(Trouble::from)
    }

    /// Whether money can be written now; if not, why.
    pub fn health(&self) -> Result<(), Trouble> {
        if self.commands.is_closed() {
            return Err(Trouble::Stopping);
        }
        locked(&self.shared.trouble)
            .clone()
            .map_or(Ok(()), |trouble| Err(Trouble::Store(trouble)))
    }

    /// What was counted since the start.
    pub fn figures(&self) -> Figures {
        let counts = &self.shared.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Figures {
            groups: read(&counts.groups),
            batches: read(&counts.batches),
            repeated: read(&counts.repeated),
            refused: read(&counts.refused),
            records: read(&counts.records),
            failures: read(&counts.failures),
            holders: read(&counts.holders),
        }
    }

    /// What could be spent uncovered, by scope.
    pub fn exposed(&self) -> Vec<Exposed> {
        let holders = self.figures().holders;
        let directory = self.directory();
        let mut each: BTreeMap<String, NanoUsd> = BTreeMap::new();
        for scope in directory.scopes() {
            let budgets = directory.budgets(&scope.name).unwrap_or_default();
            let debts = budgets.iter().map(|budget| budget.terms.debt);
            if let Some(debt) = debts.min().filter(|debt| *debt > NanoUsd::ZERO) {
                each.insert(scope.name, debt);
            }
        }
        let exposed = each.into_iter().map(|(scope, each)| Exposed {
            scope,
            each,
            all: NanoUsd(each.0.saturating_mul(holders)),
        });
        exposed.collect()
    }

    /// Takes no more commands; what waits is done.
    pub async fn stop(&self) {
        // If it is gone already, all is done.
        let _ = self.commands.send(Command::Stop).await;
    }

    async fn ask<Reply>(
        &self,
        command: Command,
        answer: oneshot::Receiver<Result<Reply, Trouble>>,
    ) -> Result<Reply, Trouble> {
        let sent = self.commands.send(command).await;
        sent.map_err(|_| Trouble::Stopping)?;
        answer.await.map_err(|_| Trouble::Stopping)?
    }

    fn ask_blocking<Reply>(
        &self,
        command: Command,
        answer: oneshot::Receiver<Result<Reply, Trouble>>,
    ) -> Result<Reply, Trouble> {
        self.send_blocking(command)?;
        answer.blocking_recv().map_err(|_| Trouble::Stopping)?
    }

    fn send_blocking(&self, command: Command) -> Result<(), Trouble> {
        let sent = self.commands.blocking_send(command);
        sent.map_err(|_| Trouble::Stopping)
    }
}

impl Running {
    /// Waits until the writer has ended: because it was told to, or because another service took the store over.
    pub async fn ended(&mut self) -> Result<(), StoreError> {
        let Some(ended) = &mut self.ended else {
            return Ok(());
        };
        let outcome = ended.await;
        self.ended = None;
        self.ticker.abort();
        let died = |_| StoreError::Failed("the writer died".to_owned());
        outcome.map_err(died)?
    }
}

impl Shared {
    fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn add(count: &AtomicU64, more: usize) {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        count.fetch_add(more, Ordering::Relaxed);
    }
}

/// One line of the audit log for what the service itself does.
fn audit(action: &str, detail: &str) -> AuditEntry {
    AuditEntry {
        actor: "tollgate".to_owned(),
        action: action.to_owned(),
        kind: "file".to_owned(),
        id: "gateway.yaml".to_owned(),
        detail: detail.to_owned(),
    }
}

fn locked<Held: ?Sized>(mutex: &Mutex<Held>) -> MutexGuard<'_, Held> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.as_nanos());
    Timestamp(u64::try_from(nanos).unwrap_or(u64::MAX))
}
