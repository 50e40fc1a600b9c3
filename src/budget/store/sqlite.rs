//! SQLite: a file beside the service, one writer, every commit on the disk before it is answered.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, ToSql, params_from_iter};

use super::error::StoreError;
use super::sql::engine::{Answer, Engine, Fault, Row, Table, Value, damaged};

/// Versions before this could lose commits that were answered, when a checkpoint met a writer.
const VERSION_MIN: i32 = 3_051_003;
/// Another program may hold the file for a moment: a backup, a shell.
const BUSY: Duration = Duration::from_secs(5);
/// Statements that stay prepared.
const STATEMENTS: usize = 128;

/// One connection to the file.
pub(crate) struct Sqlite {
    connection: Connection,
    path: PathBuf,
}

impl Sqlite {
    /// Opens the file, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        if rusqlite::version_number() < VERSION_MIN {
            let version = rusqlite::version();
            return Err(StoreError::Engine(format!(
                "SQLite {version} is too old: 3.51.3 is the first that never loses a commit"
            )));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = connect(path, flags).map_err(|fault| at(path, fault).told())?;
        let mut sqlite = Self {
            connection,
            path: path.to_owned(),
        };
        let ready = sqlite.prepare_for_writing();
        ready.map_err(|fault| at(path, fault).told())?;
        Ok(sqlite)
    }

    fn prepare_for_writing(&mut self) -> Answer<()> {
        let mode: String = self
            .connection
            .query_row("pragma journal_mode = wal", [], |row| row.get(0))
            .map_err(fault)?;
        if mode != "wal" {
            return Err(Fault::Told(StoreError::Failed(format!(
                "{}: the file system does not allow a write-ahead log (journal mode {mode})",
                self.path.display()
            ))));
        }
        // FULL: the log is synced by every commit. A checkpoint every 32 MB keeps it from being copied all the time.
        self.connection
            .execute_batch(
                "pragma synchronous = full;
                 pragma wal_autocheckpoint = 8192;
                 pragma journal_size_limit = 67108864;
                 pragma temp_store = memory;
                 pragma cache_size = -65536;",
            )
            .map_err(fault)
    }

    fn pragma_check(&mut self, which: &str) -> Answer<()> {
        let mut found = Vec::new();
        self.each(&format!("pragma {which}(20)"), &[], &mut |mut row| {
            found.push(row.text()?);
            Ok(())
        })?;
        if found == ["ok"] {
            return Ok(());
        }
        Err(damaged(found.join("; ")))
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Answer<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.busy_timeout(BUSY).map_err(fault)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

impl Engine for Sqlite {
    fn beside(&mut self) -> Answer<Self> {
        let connection = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(Self {
            connection,
            path: self.path.clone(),
        })
    }

    fn reconnect(&mut self) -> Answer<()> {
        // There is no connection that could be lost.
        Ok(())
    }

    fn lock_schema(&mut self) -> Answer<()> {
        // Whoever writes is alone.
        Ok(())
    }

    fn begin(&mut self) -> Answer<()> {
        self.plain("begin immediate")
    }

    fn commit(&mut self) -> Answer<()> {
        self.plain("commit")
    }

    fn roll_back(&mut self) {
        if !self.connection.is_autocommit() {
            // What it fails with, the next statement says as well.
            let _ = self.plain("rollback");
        }
    }

    fn execute(&mut self, sql: &str, parameters: &[Value]) -> Answer<u64> {
        let sql = written(sql);
        let mut statement = self.connection.prepare_cached(&sql).map_err(fault)?;
        let touched = statement.execute(params_from_iter(parameters));
        let touched = touched.map_err(|error| at(&self.path, fault(error)))?;
        Ok(u64::try_from(touched).unwrap_or(u64::MAX))
    }

    fn each(
        &mut self,
        sql: &str,
        parameters: &[Value],
        take: &mut dyn FnMut(Row) -> Answer<()>,
    ) -> Answer<()> {
        let sql = written(sql);
        let mut statement = self.connection.prepare_cached(&sql).map_err(fault)?;
        let columns = statement.column_count();
        let mut rows = statement
            .query(params_from_iter(parameters))
            .map_err(fault)?;
        while let Some(row) = rows.next().map_err(|error| at(&self.path, fault(error)))? {
            let mut values = Vec::with_capacity(columns);
            for column in 0..columns {
                values.push(value(row.get_ref(column).map_err(fault)?)?);
            }
            take(Row::new(values))?;
        }
        Ok(())
    }

    fn write(&mut self, table: &Table, rows: Vec<Vec<Value>>) -> Answer<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let sql = insert(table);
        let mut statement = self.connection.prepare_cached(&sql).map_err(fault)?;
        for row in &rows {
            let written = statement.execute(params_from_iter(row));
            written.map_err(|error| at(&self.path, fault(error)))?;
        }
        Ok(())
    }

    fn script(&mut self, text: &str) -> Answer<()> {
        let text = text
            .replace("BIGINT", "INTEGER")
            .replace("CLUSTERED;", "strict, without rowid;")
            .replace("PLAIN;", "strict;");
        self.plain(&text)
    }

    fn has_table(&mut self, name: &str) -> Answer<bool> {
        let mut found = false;
        let sql = "select 1 from sqlite_schema where type = 'table' and name = $1";
        self.each(sql, &[name.into()], &mut |_| {
            found = true;
            Ok(())
        })?;
        Ok(found)
    }

    fn examine(&mut self, what: String) -> String {
        match self.pragma_check("quick_check") {
            Err(Fault::Told(StoreError::Damaged(all))) if all != what => format!("{what}; {all}"),
            _ => what,
        }
    }

    fn check(&mut self) -> Answer<()> {
        self.pragma_check("integrity_check")
    }
}

impl Sqlite {
    fn plain(&mut self, sql: &str) -> Answer<()> {
        let done = self.connection.execute_batch(sql);
        done.map_err(|error| at(&self.path, fault(error)))
    }
}

/// Our statements in SQLite's words.
fn written(sql: &str) -> String {
    let mut words = String::with_capacity(sql.len());
    for (number, part) in sql.split("LIST($").enumerate() {
        if number == 0 {
            words.push_str(part);
        } else if let Some((which, rest)) = part.split_once(')') {
            words.push_str("(select value from json_each($");
            words.push_str(which);
            words.push_str("))");
            words.push_str(rest);
        }
    }
    words.replace('$', "?")
}

fn insert(table: &Table) -> String {
    let names = table.columns.iter().map(|column| column.0);
    let names = names.collect::<Vec<_>>().join(", ");
    let marks = vec!["?"; table.columns.len()].join(", ");
    let (name, clash) = (table.name, table.on_clash());
    format!("insert into {name} ({names}) values ({marks}){clash}")
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Int(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::List(numbers) => {
                let text = serde_json::to_string(numbers).unwrap_or_default();
                ToSqlOutput::Owned(rusqlite::types::Value::Text(text))
            }
        })
    }
}

fn value(value: ValueRef<'_>) -> Answer<Value> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(number) => return Err(damaged(format!("{number} in a row"))),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(why) => return Err(damaged(format!("a text: {why}"))),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    })
}

/// With the file it is about.
fn at(path: &Path, fault: Fault) -> Fault {
    let named = |what: String| {
        let path = path.display().to_string();
        if what.contains(&path) {
            what
        } else {
            format!("{path}: {what}")
        }
    };
    let Fault::Told(told) = fault else {
        return fault;
    };
    Fault::Told(match told {
        StoreError::Full(what) => StoreError::Full(named(what)),
        StoreError::ReadOnly(what) => StoreError::ReadOnly(named(what)),
        StoreError::Damaged(what) => StoreError::Damaged(named(what)),
        StoreError::Unavailable(what) => StoreError::Unavailable(named(what)),
        StoreError::Failed(what) => StoreError::Failed(named(what)),
        other @ (StoreError::Address(_)
        | StoreError::Newer { .. }
        | StoreError::Engine(_)
        | StoreError::Fenced
        | StoreError::Reload
        | StoreError::RecordExists(_)
        | StoreError::RecordDiffers(_)
        | StoreError::Cursor(_)) => other,
    })
}

fn fault(error: Error) -> Fault {
    let what = error.to_string();
    Fault::Told(match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => return Fault::Exists,
        Some(ErrorCode::DiskFull) => StoreError::Full(what),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            StoreError::ReadOnly(what)
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(what),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Unavailable(what),
        _ => StoreError::Failed(what),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_put_into_its_words() {
        assert_eq!(
            written("select a from b where c = $1 and d in LIST($2) and e = $3"),
            "select a from b where c = ?1 and d in (select value from json_each(?2)) and e = ?3"
        );
    }
}
