//! The store over SQL: the same statements for SQLite and PostgreSQL, over an [`engine::Engine`] that knows the difference.

pub(crate) mod engine;
mod form;
#[cfg(test)]
mod lost_answers;
mod reader;
mod record_form;
mod records;
mod rows;
mod transaction;
mod writes;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tollgate_core::money::ids::{AccountKey, Incarnation, LeaseId};
use tollgate_core::money::ledger::View;
use tollgate_core::units::Timestamp;

use super::books;
use super::commit::{Commit, Committed, Revision};
use super::error::StoreError;
use super::figures::Figures;
use super::query::{AlertRow, Entity};
use super::series::SeriesId;
use super::{Reader, Store};
use engine::{Answer, Engine, Fault};
use reader::SqlReader;
use writes::Writes;

/// One text a version. A database that was made by an older program is brought up to date, step by step, and never back.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];
/// Series that are known to be written.
const SERIES_MAX: usize = 262_144;
/// A broken connection is made anew so often before the caller hears of it.
const RECONNECTS_MAX: u32 = 3;

/// A store over SQL.
pub(crate) struct SqlStore<E> {
    engine: E,
    /// Whoever raises it takes the store over.
    epoch: u64,
    known: Option<Known>,
    doubt: Option<Doubt>,
}

/// What stands in the database, so that it need not be read again. Forgotten whenever anything fails.
#[derive(Debug, Default)]
struct Known {
    /// Commits so far.
    position: u64,
    revision: u64,
    alert: u64,
    audit: u64,
    entry: u64,
    /// Records so far, forgotten ones too.
    record: u64,
    /// Sums that stand only in `rollup_pending`, and how many rows they are there.
    pending: BTreeMap<(u64, SeriesId), Figures>,
    pending_rows: usize,
    series: HashSet<SeriesId>,
}

/// A group whose answer was lost: it may be there, or not.
struct Doubt {
    position: u64,
    group: Vec<Commit>,
}

/// How a transaction ended.
enum Ending {
    Done,
    /// Found to be there already.
    Before,
}

impl<E: Engine + 'static> SqlStore<E> {
    /// Brings the schema up to date and takes the store over.
    pub(crate) fn open(mut engine: E) -> Result<Self, StoreError> {
        let taken = migrate(&mut engine).and_then(|()| take_over(&mut engine).map_err(Fault::told));
        let epoch = taken.map_err(|why| examined(&mut engine, why))?;
        let mut store = Self {
            engine,
            epoch,
            known: None,
            doubt: None,
        };
        store.know().map_err(Fault::told)?;
        Ok(store)
    }

    /// What stands in the database, read if it was forgotten.
    fn know(&mut self) -> Answer<&mut Known> {
        let known = match self.known.take() {
            Some(known) => known,
            None => rows::known(&mut self.engine, self.epoch)?,
        };
        Ok(self.known.insert(known))
    }

    /// Repeats what reads while the connection breaks.
    fn reading<T>(&mut self, mut read: impl FnMut(&mut E) -> Answer<T>) -> Result<T, StoreError> {
        let mut left = RECONNECTS_MAX;
        loop {
            match read(&mut self.engine) {
                Err(Fault::Gone(why)) => {
                    self.known = None;
                    let fewer = left.checked_sub(1);
                    let again = fewer.filter(|_| self.engine.reconnect().is_ok());
                    left = again.ok_or(StoreError::Unavailable(why))?;
                }
                answer => return answer.map_err(Fault::told),
            }
        }
    }

    /// One try. What is written in it counts the position up, from what the database says to `position`.
    fn try_group(&mut self, now: Timestamp, writes: &Writes, position: u64) -> Answer<Ending> {
        let epoch = self.epoch;
        let known = self.know()?;
        if known.position == position {
            return Ok(Ending::Before);
        }
        let written = match self.known.as_mut() {
            Some(known) => {
                transaction::run(&mut self.engine, known, epoch, position, |engine, known| {
                    transaction::write(engine, known, now, writes)
                })
            }
            None => Err(Fault::Gone("nothing is known".to_owned())),
        };
        if written.is_err() {
            self.engine.roll_back();
            self.known = None;
        }
        written.map(|()| Ending::Done)
    }

    /// Whether the group before, whose answer was lost, is there after all.
    fn settle_doubt(&mut self, group: &[Commit]) -> Result<bool, StoreError> {
        let Some(doubt) = self.doubt.take() else {
            return Ok(false);
        };
        self.known = None;
        let epoch = self.epoch;
        let found = self.reading(|engine| rows::known(engine, epoch).map(|known| known.position));
        let is_there = match found {
            Ok(position) => position == doubt.position,
            Err(why) => {
                self.doubt = Some(doubt);
                return Err(why);
            }
        };
        if is_there && doubt.group != group {
            return Err(StoreError::Reload);
        }
        Ok(is_there)
    }

    fn revision(&mut self) -> Result<Committed, StoreError> {
        let known = self.know().map_err(Fault::told)?;
        let revision = Revision(known.revision);
        if known.series.len() > SERIES_MAX {
            known.series.clear();
        }
        Ok(Committed { revision })
    }
}

impl<E: Engine + 'static> Store for SqlStore<E> {
    fn live(&mut self) -> Result<View, StoreError> {
        self.doubt = None;
        self.known = None;
        let view = self.reading(rows::live);
        let sound = view.and_then(|view| books::check(&view).map(|()| view));
        sound.map_err(|why| examined(&mut self.engine, why))
    }

    fn leases(&mut self, ids: &BTreeSet<LeaseId>) -> Result<View, StoreError> {
        self.reading(|engine| rows::leases(engine, ids))
    }

    fn holder(&mut self, incarnation: Incarnation) -> Result<View, StoreError> {
        self.reading(|engine| rows::holder(engine, incarnation))
    }

    fn accounts(&mut self, keys: &BTreeSet<AccountKey>) -> Result<View, StoreError> {
        let accounts = self.reading(|engine| rows::accounts(engine, keys))?;
        Ok(View {
            accounts,
            ..View::default()
        })
    }

    fn commit(&mut self, now: Timestamp, group: &[Commit]) -> Result<Committed, StoreError> {
        if self.settle_doubt(group)? {
            return self.revision();
        }
        let writes = Writes::of(now, group)?;
        let mut left = RECONNECTS_MAX;
        let mut position = None;
        loop {
            // The position is chosen once: a second try must not become a second commit.
            let ended = match position {
                Some(position) => self.try_group(now, &writes, position),
                None => match self.know() {
                    Ok(known) => {
                        let next = known.position.saturating_add(1);
                        position = Some(next);
                        self.try_group(now, &writes, next)
                    }
                    Err(fault) => Err(fault),
                },
            };
            match (ended, left.checked_sub(1)) {
                (Ok(Ending::Done | Ending::Before), _) => return self.revision(),
                (Err(Fault::Gone(why)), fewer) => {
                    self.known = None;
                    let again = fewer.filter(|_| self.engine.reconnect().is_ok());
                    let Some(fewer) = again else {
                        let group = group.to_vec();
                        self.doubt = position.map(|position| Doubt { position, group });
                        return Err(StoreError::Unavailable(why));
                    };
                    left = fewer;
                }
                (Err(Fault::Exists), _) => return Err(self.existing(&writes)),
                (Err(Fault::Told(why)), _) => return Err(why),
            }
        }
    }

    fn entities(&mut self, since: Revision) -> Result<Vec<Entity>, StoreError> {
        self.reading(|engine| rows::entities(engine, since))
    }

    fn due_alerts(&mut self, now: Timestamp, at_most: usize) -> Result<Vec<AlertRow>, StoreError> {
        self.reading(|engine| rows::due_alerts(engine, now, at_most))
    }

    fn forget_records(&mut self, before: Timestamp, at_most: usize) -> Result<usize, StoreError> {
        self.settle_doubt(&[])?;
        let (epoch, engine) = (self.epoch, &mut self.engine);
        let forgotten = transaction::forget(engine, epoch, before, at_most);
        if forgotten.is_err() {
            self.engine.roll_back();
            self.known = None;
        }
        match forgotten {
            Err(Fault::Gone(why)) => {
                let _ = self.engine.reconnect();
                Err(StoreError::Unavailable(why))
            }
            answer => answer.map_err(Fault::told),
        }
    }

    fn reader(&mut self) -> Result<Box<dyn Reader>, StoreError> {
        let beside = self.reading(Engine::beside)?;
        Ok(Box::new(SqlReader::new(beside)))
    }
}

impl<E: Engine + 'static> SqlStore<E> {
    /// Which record was there already.
    fn existing(&mut self, writes: &Writes) -> StoreError {
        for name in writes.record_names() {
            match rows::has_record(&mut self.engine, name) {
                Ok(true) => return StoreError::RecordExists(name),
                Ok(false) => {}
                Err(fault) => return fault.told(),
            }
        }
        Fault::Exists.told()
    }
}

/// What seems damaged at start is looked at more closely.
fn examined(engine: &mut impl Engine, why: StoreError) -> StoreError {
    if let StoreError::Damaged(what) = why {
        engine.roll_back();
        return StoreError::Damaged(engine.examine(what));
    }
    why
}

/// Brings the schema up to date, one version a transaction.
fn migrate(engine: &mut impl Engine) -> Result<(), StoreError> {
    let newest = u64::try_from(MIGRATIONS.len()).unwrap_or(u64::MAX);
    loop {
        engine.begin().map_err(Fault::told)?;
        engine.lock_schema().map_err(Fault::told)?;
        let version = schema_version(engine).map_err(Fault::told)?;
        if version > newest {
            engine.roll_back();
            return Err(StoreError::Newer {
                found: version,
                known: newest,
            });
        }
        let step = usize::try_from(version).ok();
        let Some(text) = step.and_then(|step| MIGRATIONS.get(step)) else {
            engine.roll_back();
            return Ok(());
        };
        migrate_by(engine, text).map_err(Fault::told)?;
    }
}

fn schema_version(engine: &mut impl Engine) -> Answer<u64> {
    let mut version = 0;
    if engine.has_table("schema_version")? {
        engine.each("select version from schema_version", &[], &mut |mut row| {
            version = row.number()?;
            Ok(())
        })?;
    } else {
        engine.script(
            "create table schema_version (version BIGINT not null) PLAIN;
             insert into schema_version (version) values (0);",
        )?;
    }
    Ok(version)
}

fn migrate_by(engine: &mut impl Engine, text: &str) -> Answer<()> {
    engine.script(text)?;
    engine.execute("update schema_version set version = version + 1", &[])?;
    engine.commit()
}

/// From now on, whoever had the store before cannot commit.
fn take_over(engine: &mut impl Engine) -> Answer<u64> {
    engine.begin()?;
    engine.execute("update writer set epoch = epoch + 1 where id = 1", &[])?;
    let mut epoch = None;
    engine.each(
        "select epoch from writer where id = 1",
        &[],
        &mut |mut row| {
            epoch = Some(row.number()?);
            Ok(())
        },
    )?;
    let epoch = epoch.ok_or_else(|| engine::damaged("nobody may write: no epoch".to_owned()))?;
    engine.commit()?;
    Ok(epoch)
}
