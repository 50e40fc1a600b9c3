//! The one thread that decides and writes.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tollgate_core::money::ids::{BodyHash, Incarnation, LeaseId, ScopeId};
use tollgate_core::money::ledger::{
    Changes, Counters, HolderStanding, LeaseStanding, Outcome, Tight, apply, hello, judge, presume,
};
use tollgate_core::money::live::Live;
use tollgate_core::money::message::{HelloReply, SyncRequest};
use tollgate_core::tenancy::{Directory, Entity, Kind, plan};
use tollgate_core::units::{NanoUsd, Timestamp};
use tollgate_wire::Answer;

use super::command::{Command, Edit, EditRefused, Plan, Planning, Reply, Work};
use super::trouble::Trouble;
use super::{Counts, Settings, Shared, audit, locked, rows};
use crate::calendar::{Calendar, Wall};
use crate::store::{AuditEntry, Commit, Committed, EntityChange, Revision, Store, StoreError};

/// Batches decided together at most.
const GROUP_MAX: usize = 256;
/// After a failure the store is left alone for this long.
const REST: Duration = Duration::from_millis(200);
/// Whoever was not heard because this process slept, or because its clock was set, was not silent.
const TICK_LATE_MS: u64 = 5_000;
/// Nobody gives out so many ids for long.
const IDS_PER_MS: u64 = 1_024;
/// Rows that nobody asks for any more are forgotten this often.
const FORGET_TICKS: u64 = 60;

pub(super) struct Writer {
    store: Box<dyn Store>,
    shared: Arc<Shared>,
    settings: Settings,
    live: Live,
    calendar: Calendar,
    tight: Tight,
    listening_since: Timestamp,
    ticked_at: (Instant, Timestamp),
    ticks: u64,
    /// Since when memory and store may differ.
    failed_at: Option<Instant>,
}

/// What is to be answered once the group is written.
enum Decided {
    Hello(HelloReply),
    Answer(Answer),
    Nothing,
}

/// A group so far.
#[derive(Default)]
struct Group {
    decided: Vec<Decided>,
    commits: Vec<Commit>,
}

impl Writer {
    /// Reads everything.
    pub(super) fn begin(
        store: Box<dyn Store>,
        shared: Arc<Shared>,
        settings: Settings,
    ) -> Result<Self, Trouble> {
        let now = (settings.clock)();
        let mut writer = Self {
            store,
            shared,
            settings,
            live: Live::default(),
            calendar: Calendar::default(),
            tight: Tight::default(),
            listening_since: now,
            ticked_at: (Instant::now(), now),
            ticks: 0,
            failed_at: None,
        };
        let (directory, calendar) = read_tenants(writer.store.as_mut())?;
        writer.calendar = calendar;
        writer.replace_directory(directory);
        writer.reload()?;
        writer.leave_lost_ids_behind()?;
        Ok(writer)
    }

    /// Ids begin where the clock stands: those that were given out and then lost with their store, because it was
    /// replaced or restored, are never given to anybody else.
    fn leave_lost_ids_behind(&mut self) -> Result<(), StoreError> {
        let now = (self.settings.clock)();
        let from = (now.0 / 1_000_000).saturating_mul(IDS_PER_MS);
        let given = self.live.rows().counters;
        let counters = Counters {
            incarnation: given.incarnation.max(Incarnation(from)),
            lease: given.lease.max(LeaseId(from)),
        };
        if counters == given {
            return Ok(());
        }
        let changes = Changes {
            counters: Some(counters),
            ..Changes::default()
        };
        self.live.absorb(&changes);
        let commit = Commit::Ledger(Box::new(changes));
        self.store.commit(now, &[commit])?;
        Ok(())
    }

    /// Brings in what `gateway.yaml` says of tenants.
    pub(super) fn adopt(&mut self, file: &[Entity]) -> Result<(), Trouble> {
        let entities = plan(&self.shared.directory(), file);
        if entities.is_empty() {
            return Ok(());
        }
        let count = entities.len();
        let plan = Plan {
            entities,
            audit: vec![audit("apply", &format!("{{\"entities\":{count}}}"))],
        };
        self.change(plan)?;
        // What is new nobody holds money of, so nothing of it is to be called back.
        self.tight = Tight::default();
        Ok(())
    }

    /// Until it is told to stop and all is done, or another service has taken the store over.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Command>) -> Result<(), StoreError> {
        let mut next = queue.blocking_recv();
        while let Some(command) = next.take() {
            let outcome = match command {
                Command::Work(work) => {
                    let mut works = vec![work];
                    while works.len() < GROUP_MAX && next.is_none() {
                        match queue.try_recv() {
                            Ok(Command::Work(work)) => works.push(work),
                            Ok(other) => next = Some(other),
                            Err(_) => break,
                        }
                    }
                    self.work(works)
                }
                Command::Change { decide, reply } => self.answer_change(decide, reply),
                Command::Edit { edit, reply } => {
                    let outcome = self.edit(edit);
                    self.answered(reply, outcome)
                }
                Command::Recall { audit, reply } => {
                    let outcome = self.recall(audit);
                    self.answered(reply, outcome)
                }
                Command::Store(work) => {
                    work(self.store.as_mut());
                    Ok(())
                }
                Command::Stop => {
                    queue.close();
                    Ok(())
                }
            };
            outcome?;
            if next.is_none() {
                next = queue.blocking_recv();
            }
        }
        Ok(())
    }

    /// Answers a group. Only a store that is somebody else's ends the writer.
    fn work(&mut self, works: Vec<Work>) -> Result<(), StoreError> {
        match self.attempt(&works) {
            Ok(decided) => {
                self.deliver(works, decided);
                Ok(())
            }
            // One of them cannot be written: the others should not suffer for it.
            Err(StoreError::RecordExists(_)) if works.len() > 1 => {
                works.into_iter().try_for_each(|work| self.work(vec![work]))
            }
            Err(error) => {
                for work in works {
                    work.refuse(&Trouble::Store(error.clone()));
                }
                end_if_fenced(error)
            }
        }
    }

    /// Decides about a group and writes it. After a failure memory is no longer trusted.
    fn attempt(&mut self, works: &[Work]) -> Result<Vec<Decided>, StoreError> {
        self.try_to(|writer| {
            let now = (writer.settings.clock)();
            let mut group = Group::default();
            for work in works {
                writer.decide(work, now, &mut group)?;
            }
            if !group.commits.is_empty() {
                writer.store.commit(now, &group.commits)?;
                Counts::add(&writer.shared.counts.groups, 1);
            }
            Ok(group.decided)
        })
    }

    /// Does something after making sure that memory and store agree, and notes if it fails.
    fn try_to<Outcome>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<Outcome, StoreError>,
    ) -> Result<Outcome, StoreError> {
        let outcome = self.recover().and_then(|()| act(self));
        let mut trouble = locked(&self.shared.trouble);
        match &outcome {
            Ok(_) => *trouble = None,
            Err(error) => {
                Counts::add(&self.shared.counts.failures, 1);
                *trouble = Some(error.clone());
                self.failed_at = match error {
                    // The store works: it is what was to be written that cannot be.
                    StoreError::RecordExists(_) | StoreError::RecordDiffers(_) => {
                        Instant::now().checked_sub(REST)
                    }
                    StoreError::Address(_)
                    | StoreError::Unavailable(_)
                    | StoreError::Full(_)
                    | StoreError::ReadOnly(_)
                    | StoreError::Damaged(_)
                    | StoreError::Newer { .. }
                    | StoreError::Engine(_)
                    | StoreError::Fenced
                    | StoreError::Reload
                    | StoreError::Cursor(_)
                    | StoreError::Failed(_) => self.failed_at.or_else(|| Some(Instant::now())),
                };
            }
        }
        drop(trouble);
        outcome
    }

    /// Reads again what is in the store, if a failure left it unclear.
    fn recover(&mut self) -> Result<(), StoreError> {
        let Some(failed_at) = self.failed_at else {
            return Ok(());
        };
        if failed_at.elapsed() < REST {
            let last = locked(&self.shared.trouble).clone();
            return Err(last.unwrap_or_else(|| StoreError::Unavailable("just failed".to_owned())));
        }
        self.failed_at = Some(Instant::now());
        self.reload()?;
        self.failed_at = None;
        Ok(())
    }

    fn reload(&mut self) -> Result<(), StoreError> {
        self.live = Live::of(self.store.live()?);
        let now = (self.settings.clock)();
        let scopes: Vec<ScopeId> = self.calendar.scopes().collect();
        for scope in scopes {
            rows::open(&mut self.live, &mut self.calendar, scope, now);
        }
        // Nobody could be heard meanwhile.
        self.listening_since = now;
        self.count_holders();
        Ok(())
    }

    fn decide(&mut self, work: &Work, now: Timestamp, group: &mut Group) -> Result<(), StoreError> {
        let decided = match work {
            Work::Hello { .. } => match hello(self.live.rows(), now) {
                Ok((reply, changes)) => {
                    self.take(changes, group);
                    self.count_holders();
                    Decided::Hello(reply)
                }
                // Every number was given out.
                Err(refusal) => return Err(StoreError::Damaged(format!("{refusal:?}"))),
            },
            Work::Sync { batch, hash, .. } => self.sync(batch, *hash, now, group)?,
            Work::Tick => {
                self.tick(now, group);
                Decided::Nothing
            }
        };
        group.decided.push(decided);
        Ok(())
    }

    fn sync(
        &mut self,
        batch: &SyncRequest,
        hash: BodyHash,
        now: Timestamp,
        group: &mut Group,
    ) -> Result<Decided, StoreError> {
        let store = self.store.as_mut();
        let view = rows::load(&mut self.live, store, &mut self.calendar, batch, now)?;
        let recall = self.tight.scopes(now);
        let counts = &self.shared.counts;
        let result = match apply(&view, batch, hash, now, &recall) {
            Ok(Outcome::Applied(applied)) => {
                Counts::add(&counts.batches, 1);
                Counts::add(&counts.records, applied.changes.records.len());
                for scope in applied.short {
                    self.tight.note(scope, now);
                }
                self.take(applied.changes, group);
                Ok(applied.reply)
            }
            Ok(Outcome::Repeated(reply)) => {
                Counts::add(&counts.repeated, 1);
                Ok(reply)
            }
            Err(refusal) => {
                Counts::add(&counts.refused, 1);
                Err(refusal)
            }
        };
        let seq = batch.seq;
        Ok(Decided::Answer(Answer { seq, result }))
    }

    fn take(&mut self, changes: Changes, group: &mut Group) {
        self.live.absorb(&changes);
        group.commits.push(Commit::Ledger(Box::new(changes)));
    }

    /// Judges silence. A clock that was set, or a machine that slept, makes nobody silent.
    fn tick(&mut self, now: Timestamp, group: &mut Group) {
        let instant = Instant::now();
        let (was, then) = std::mem::replace(&mut self.ticked_at, (instant, now));
        let passed = u64::try_from(was.elapsed().as_millis()).unwrap_or(u64::MAX);
        let shown = now.millis_since(then);
        if passed.max(shown) > TICK_LATE_MS || now < then {
            self.listening_since = now;
        }
        let holders = self.live.rows().holders.iter();
        let judged = holders.filter_map(|(by, holder)| {
            let patience = self.settings.patience;
            let standing = judge(holder, patience, self.listening_since, now);
            (standing != holder.standing).then_some((*by, standing))
        });
        let judged: Vec<(Incarnation, HolderStanding)> = judged.collect();
        for (by, standing) in judged {
            // A holder whose rows contradict each other is left as it is: its next batch is refused by name.
            if let Ok(changes) = presume(&self.live.load_holder(by), by, standing) {
                self.take(changes, group);
            }
        }
        self.ticks = self.ticks.wrapping_add(1);
        if self.ticks.is_multiple_of(FORGET_TICKS) {
            self.live.forget_settled();
        }
        self.count_holders();
    }

    fn count_holders(&self) {
        let holders = self.live.rows().holders.values();
        let living = holders.filter(|holder| holder.standing != HolderStanding::Presumed);
        let living = u64::try_from(living.count()).unwrap_or(u64::MAX);
        let counts = &self.shared.counts;
        counts.holders.store(living, Ordering::Relaxed);
    }

    fn deliver(&self, works: Vec<Work>, decided: Vec<Decided>) {
        for (work, decided) in works.into_iter().zip(decided) {
            // Whoever asked may be gone: then it asks again, and is answered the same.
            match (work, decided) {
                (Work::Hello { reply }, Decided::Hello(hello)) => drop(reply.send(Ok(hello))),
                (Work::Sync { reply, .. }, Decided::Answer(answer)) => {
                    drop(reply.send(Ok(answer)));
                }
                (work, Decided::Hello(_) | Decided::Answer(_) | Decided::Nothing) => drop(work),
            }
        }
    }

    fn answer_change(
        &mut self,
        decide: Planning,
        reply: Reply<Option<Committed>>,
    ) -> Result<(), StoreError> {
        let plan = decide(&self.shared.directory());
        let outcome = plan.map(|plan| self.change(plan)).transpose();
        self.answered(reply, outcome)
    }

    /// Writes a change of the directory; then it is in force.
    fn change(&mut self, plan: Plan) -> Result<Committed, Trouble> {
        check(&self.shared.directory(), &plan.entities)?;
        let changes = plan.entities.iter().map(|entity| {
            Commit::Entity(EntityChange {
                kind: entity.kind().name().to_owned(),
                id: entity.id(),
                body: entity.body(),
            })
        });
        let audit = plan.audit.into_iter().map(Commit::Audit);
        let commits: Vec<Commit> = changes.chain(audit).collect();
        let committed = self.try_to(|writer| {
            let now = (writer.settings.clock)();
            writer.store.commit(now, &commits)
        })?;
        self.enforce(plan.entities, committed.revision)?;
        Ok(committed)
    }

    /// What is written is in force: in the directory, in the calendar, and by calling back what is idle.
    fn enforce(
        &mut self,
        entities: Vec<Entity>,
        Revision(revision): Revision,
    ) -> Result<(), Trouble> {
        let mut directory = self
            .shared
            .directory
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let mut touched = Vec::new();
        for entity in entities {
            touched.extend(directory.apply(entity, revision)?.scope);
        }
        let now = (self.settings.clock)();
        for scope in touched {
            match directory.scope(scope) {
                Some(spec) => self.calendar.set(spec)?,
                None => self.calendar.remove(scope),
            }
            rows::open(&mut self.live, &mut self.calendar, scope, now);
            // A limit that was cut takes effect by what comes back.
            self.tight.note(scope, now);
        }
        Ok(())
    }

    /// Calls back what is idle of every lease.
    fn recall(&mut self, audit: AuditEntry) -> Result<u64, Trouble> {
        let now = (self.settings.clock)();
        self.try_to(|writer| writer.store.commit(now, &[Commit::Audit(audit)]))?;
        let leases = self.live.rows().leases.values();
        let active = leases.filter(|lease| {
            let rest = lease.remainder().unwrap_or_default();
            lease.standing == LeaseStanding::Active && rest > NanoUsd::ZERO
        });
        let scopes: BTreeSet<ScopeId> = active.map(|lease| lease.scope).collect();
        for scope in &scopes {
            self.tight.note(*scope, now);
        }
        Ok(u64::try_from(scopes.len()).unwrap_or(u64::MAX))
    }

    fn edit(&mut self, edit: Edit) -> Result<Result<Committed, EditRefused>, Trouble> {
        let outcome = self.try_to(|writer| {
            let store = writer.store.as_mut();
            let live = &mut writer.live;
            rows::fetch_leases(live, store, &edit.leases)?;
            let of_leases = edit
                .leases
                .iter()
                .filter_map(|id| live.rows().leases.get(id));
            let mut accounts = edit.accounts;
            accounts.extend(of_leases.flat_map(|lease| lease.accounts.iter().copied()));
            accounts.retain(|key| !live.rows().accounts.contains_key(key));
            if !accounts.is_empty() {
                rows::fetch_accounts(live, store, accounts)?;
            }
            let commits = match (edit.decide)(live) {
                Ok(commits) => commits,
                Err(refused) => return Ok(Err(refused)),
            };
            let now = (writer.settings.clock)();
            let committed = store.commit(now, &commits)?;
            for commit in &commits {
                if let Commit::Ledger(changes) = commit {
                    live.absorb(changes);
                } else if let Commit::Reprice(reprice) = commit {
                    live.absorb(&reprice.changes);
                }
            }
            Ok(Ok(committed))
        });
        Ok(outcome?)
    }

    fn answered<Outcome>(
        &self,
        reply: Reply<Outcome>,
        outcome: Result<Outcome, Trouble>,
    ) -> Result<(), StoreError> {
        let fenced = matches!(outcome, Err(Trouble::Store(StoreError::Fenced)));
        // Whoever asked may be gone.
        let _ = reply.send(outcome);
        if fenced {
            return Err(StoreError::Fenced);
        }
        Ok(())
    }

    fn replace_directory(&self, directory: Directory) {
        let mut shared = self
            .shared
            .directory
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *shared = directory;
    }
}

impl Work {
    fn refuse(self, trouble: &Trouble) {
        // Whoever asked may be gone.
        match self {
            Self::Hello { reply } => drop(reply.send(Err(trouble.clone()))),
            Self::Sync { reply, .. } => drop(reply.send(Err(trouble.clone()))),
            Self::Tick => {}
        }
    }
}

fn end_if_fenced(error: StoreError) -> Result<(), StoreError> {
    if error == StoreError::Fenced {
        return Err(error);
    }
    Ok(())
}

/// Whether a change can be in force once it is written.
fn check(directory: &Directory, entities: &[Entity]) -> Result<(), Trouble> {
    for entity in entities {
        let budgets = match entity {
            Entity::Tenant(_, _, Some(tenant)) => tenant.budgets.as_slice(),
            Entity::Common(_, Some(common)) => common.budgets.as_slice(),
            Entity::Tenant(_, _, None) | Entity::Common(_, None) | Entity::Switch(..) => &[],
        };
        for budget in budgets {
            Wall::of(&budget.time_zone)?;
        }
    }
    if let [entity] = entities {
        return Ok(directory.check(entity)?);
    }
    // One may make room for another.
    let mut next = directory.clone();
    for entity in entities {
        let revision = next.revision();
        next.apply(entity.clone(), revision)?;
    }
    Ok(())
}

/// What the store says of who may call and who pays.
fn read_tenants(store: &mut dyn Store) -> Result<(Directory, Calendar), Trouble> {
    let stored = store.entities(Revision(0))?;
    let revision = stored.iter().map(|entity| entity.revision).max();
    let mut entities = Vec::new();
    for entity in stored.iter().filter(|entity| entity.body.is_some()) {
        // Other kinds are somebody else's.
        if let Some(kind) = Kind::read(&entity.kind) {
            entities.push(Entity::read(kind, &entity.id, entity.body.as_deref())?);
        }
    }
    let directory = Directory::of(entities, revision.unwrap_or_default().0)?;
    let mut calendar = Calendar::default();
    for scope in directory.scopes() {
        calendar.set(scope)?;
    }
    Ok((directory, calendar))
}
