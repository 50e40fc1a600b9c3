//! Commits whose answer is lost: a database that breaks off at the worst moments.

use tollgate_core::units::Timestamp;

use super::SqlStore;
use super::engine::{Answer, Engine, Fault, Row, Table, Value};
use crate::store::sqlite::Sqlite;
use crate::store::{AuditEntry, Commit, Page, Store, StoreError};

/// What happens at the next commit.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Next {
    Works,
    /// It is written, and nobody hears of it.
    IsWritten,
    /// It is not written, and nobody hears of that.
    IsLost,
}

/// SQLite over a connection that breaks.
struct Breaking {
    inner: Sqlite,
    next: Vec<Next>,
    /// So many attempts to connect fail.
    away: u32,
}

impl Engine for Breaking {
    fn beside(&mut self) -> Answer<Self> {
        Ok(Self {
            inner: self.inner.beside()?,
            next: Vec::new(),
            away: 0,
        })
    }

    fn reconnect(&mut self) -> Answer<()> {
        if let Some(fewer) = self.away.checked_sub(1) {
            self.away = fewer;
            return Err(Fault::Gone("away".to_owned()));
        }
        Ok(())
    }

    fn commit(&mut self) -> Answer<()> {
        match self.next.pop().unwrap_or(Next::Works) {
            Next::Works => self.inner.commit(),
            Next::IsWritten => {
                self.inner.commit()?;
                Err(Fault::Gone("written, perhaps".to_owned()))
            }
            Next::IsLost => {
                self.inner.roll_back();
                Err(Fault::Gone("lost, perhaps".to_owned()))
            }
        }
    }

    fn lock_schema(&mut self) -> Answer<()> {
        self.inner.lock_schema()
    }

    fn begin(&mut self) -> Answer<()> {
        self.inner.begin()
    }

    fn roll_back(&mut self) {
        self.inner.roll_back();
    }

    fn execute(&mut self, sql: &str, parameters: &[Value]) -> Answer<u64> {
        self.inner.execute(sql, parameters)
    }

    fn each(
        &mut self,
        sql: &str,
        parameters: &[Value],
        take: &mut dyn FnMut(Row) -> Answer<()>,
    ) -> Answer<()> {
        self.inner.each(sql, parameters, take)
    }

    fn write(&mut self, table: &Table, rows: Vec<Vec<Value>>) -> Answer<()> {
        self.inner.write(table, rows)
    }

    fn script(&mut self, text: &str) -> Answer<()> {
        self.inner.script(text)
    }

    fn has_table(&mut self, name: &str) -> Answer<bool> {
        self.inner.has_table(name)
    }

    fn examine(&mut self, what: String) -> String {
        what
    }

    fn check(&mut self) -> Answer<()> {
        self.inner.check()
    }
}

fn entry(actor: &str) -> [Commit; 1] {
    [Commit::Audit(AuditEntry {
        actor: actor.to_owned(),
        ..AuditEntry::default()
    })]
}

/// A store whose commits end so, the first one first; the reconnections that fail after the first break.
fn store(folder: &tempfile::TempDir, ends: &[Next], away: u32) -> SqlStore<Breaking> {
    let inner = Sqlite::open(&folder.path().join("money.db")).unwrap();
    let (next, none) = (ends.iter().rev().copied().collect(), Vec::new());
    let engine = Breaking {
        inner,
        next: none,
        away: 0,
    };
    let mut store = SqlStore::open(engine).unwrap();
    store.engine.next = next;
    store.engine.away = away;
    store
}

fn actors(store: &mut dyn Store) -> Vec<String> {
    let rows = store
        .reader()
        .unwrap()
        .audit(&Page::default())
        .unwrap()
        .rows;
    rows.into_iter().rev().map(|row| row.entry.actor).collect()
}

const NOW: Timestamp = Timestamp(1);

#[test]
fn a_commit_whose_answer_is_lost_is_looked_up_and_written_once() {
    use Next::{IsLost, IsWritten, Works};
    for ends in [
        &[IsWritten][..],
        &[IsLost, Works],
        &[IsLost, IsWritten],
        &[IsLost, IsLost, IsLost, Works],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(&folder, ends, 0);
        store.commit(NOW, &entry("a")).unwrap();
        store.commit(NOW, &entry("b")).unwrap();
        assert_eq!(actors(&mut store), ["a", "b"], "{ends:?}");
    }
}

#[test]
fn a_group_in_doubt_may_be_tried_again_and_no_other_in_its_place() {
    for (end, other) in [
        (Next::IsWritten, Err(StoreError::Reload)),
        (Next::IsLost, Ok(vec!["b"])),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(&folder, &[end], 1);
        let unheard = store.commit(NOW, &entry("a")).unwrap_err();
        assert!(unheard.is_passing(), "{unheard:?}");
        store.commit(NOW, &entry("a")).unwrap();
        assert_eq!(actors(&mut store), ["a"], "{end:?}");

        let folder = tempfile::tempdir().unwrap();
        let mut store = self::store(&folder, &[end], 1);
        store.commit(NOW, &entry("a")).unwrap_err();
        let told = store.commit(NOW, &entry("b"));
        match other {
            Ok(want) => {
                told.unwrap();
                assert_eq!(actors(&mut store), want);
            }
            Err(why) => {
                assert_eq!(told, Err(why));
                // Whoever loads anew may go on.
                store.live().unwrap();
                store.commit(NOW, &entry("c")).unwrap();
                assert_eq!(actors(&mut store), ["a", "c"]);
            }
        }
    }
}
