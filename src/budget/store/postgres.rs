//! PostgreSQL: one writing connection, rows in bulk, and a connection that breaks is made anew.

use std::collections::HashMap;
use std::time::Duration;

use ::postgres::error::SqlState;
use ::postgres::fallible_iterator::FallibleIterator;
use ::postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use ::postgres::{Client, Config, Error, NoTls, Statement};

use super::error::StoreError;
use super::sql::engine::{Answer, Engine, Fault, Kind, Row, Table, Value, damaged};
use super::tls::{self, Tls};

/// A server that does not answer is gone after this.
const PATIENCE: Duration = Duration::from_secs(10);
/// The last wait before a server counts as gone: with those before it, a second.
const RECONNECT_WAIT_MAX: Duration = Duration::from_millis(400);
/// What a session must know: how long anything may take, and that a commit is on the disk when it is answered.
const SESSION: &str = "set statement_timeout = '60s';
    set lock_timeout = '10s';
    set idle_in_transaction_session_timeout = '30s';
    set timezone = 'UTC';
    select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off';";
/// Any number, as long as nobody else's.
const SCHEMA_LOCK: u64 = 7_600_760_176_007_601;

/// One connection to the server.
pub(crate) struct Postgres {
    config: Config,
    tls: Tls,
    client: Client,
    statements: HashMap<String, Statement>,
}

impl Postgres {
    /// Connects by a URL, as `psql` takes it.
    pub(crate) fn open(address: &str) -> Result<Self, StoreError> {
        let (address, tls) = tls::split(address)?;
        // Without the address itself, which may have a password in it.
        let config: Result<Config, Error> = address.parse();
        let mut config = config.map_err(|why| {
            StoreError::Address(format!(
                "the address of the PostgreSQL server: {}",
                told(&why)
            ))
        })?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(PATIENCE);
        }
        config.keepalives_idle(PATIENCE);
        config.tcp_user_timeout(PATIENCE);
        config.application_name("tollgate-budget");
        let mut postgres = Self {
            client: connect(&config, &tls).map_err(Fault::told)?,
            config,
            tls,
            statements: HashMap::new(),
        };
        postgres.check_server()?;
        Ok(postgres)
    }

    /// What the server must be set to, or a commit would not mean what we say it does.
    fn check_server(&mut self) -> Result<(), StoreError> {
        for (setting, wants, why) in [
            ("fsync", "on", "a commit would not be on the disk"),
            ("server_encoding", "UTF8", "names could not be stored"),
        ] {
            let mut found = String::new();
            let sql = "select current_setting($1::text)";
            self.each(sql, &[setting.into()], &mut |mut row| {
                found = row.text()?;
                Ok(())
            })
            .map_err(Fault::told)?;
            if found != wants {
                return Err(StoreError::Engine(format!(
                    "PostgreSQL has {setting} = {found}: {why}\n  fix: set {setting} = {wants}"
                )));
            }
        }
        Ok(())
    }

    fn statement(&mut self, sql: &str) -> Answer<Statement> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(&written(sql)).map_err(fault)?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

fn connect(config: &Config, tls: &Tls) -> Answer<Client> {
    let client = match tls {
        Tls::No => config.connect(NoTls),
        Tls::Verified(connector) => config.connect(connector.clone()),
    };
    let mut client = client.map_err(fault)?;
    client.batch_execute(SESSION).map_err(fault)?;
    Ok(client)
}

impl Engine for Postgres {
    fn beside(&mut self) -> Answer<Self> {
        let mut client = connect(&self.config, &self.tls)?;
        // Reports may take longer than a commit, and never write.
        client
            .batch_execute(
                "set statement_timeout = '300s'; set default_transaction_read_only = on;",
            )
            .map_err(fault)?;
        Ok(Self {
            client,
            config: self.config.clone(),
            tls: self.tls.clone(),
            statements: HashMap::new(),
        })
    }

    fn reconnect(&mut self) -> Answer<()> {
        self.statements.clear();
        // A server that was killed is back in a moment, and says so until then.
        let mut wait = Duration::from_millis(20);
        loop {
            match connect(&self.config, &self.tls) {
                Ok(client) => {
                    self.client = client;
                    return Ok(());
                }
                Err(why) if wait > RECONNECT_WAIT_MAX => return Err(why),
                Err(_) => std::thread::sleep(wait),
            }
            wait = wait.saturating_mul(2);
        }
    }

    fn lock_schema(&mut self) -> Answer<()> {
        self.each(
            "select 1::bigint from pg_advisory_xact_lock($1)",
            &[SCHEMA_LOCK.into()],
            &mut |_| Ok(()),
        )
    }

    fn begin(&mut self) -> Answer<()> {
        self.client.batch_execute("begin").map_err(fault)
    }

    fn commit(&mut self) -> Answer<()> {
        self.client.batch_execute("commit").map_err(fault)
    }

    fn roll_back(&mut self) {
        // Without a connection there is nothing to roll back, and without a transaction only a warning.
        let _ = self.client.batch_execute("rollback");
    }

    fn execute(&mut self, sql: &str, parameters: &[Value]) -> Answer<u64> {
        let statement = self.statement(sql)?;
        let parameters: Vec<_> = parameters.iter().map(parameter).collect();
        self.client.execute(&statement, &parameters).map_err(fault)
    }

    fn each(
        &mut self,
        sql: &str,
        parameters: &[Value],
        take: &mut dyn FnMut(Row) -> Answer<()>,
    ) -> Answer<()> {
        let statement = self.statement(sql)?;
        let mut rows = self
            .client
            .query_raw(&statement, parameters)
            .map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            let mut values = Vec::with_capacity(row.len());
            for column in 0..row.len() {
                values.push(value(&row, column)?);
            }
            take(Row::new(values))?;
        }
        Ok(())
    }

    fn write(&mut self, table: &Table, rows: Vec<Vec<Value>>) -> Answer<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let statement = self.statement(&insert(table))?;
        let columns = columns(table, rows);
        let columns = columns.iter().map(Column::parameter);
        let columns: Vec<_> = columns.collect();
        let done = self.client.execute(&statement, &columns);
        done.map(|_| ()).map_err(fault)
    }

    fn script(&mut self, text: &str) -> Answer<()> {
        let text = text
            .replace("BLOB", "BYTEA")
            .replace("CLUSTERED;", ";")
            .replace("PLAIN;", ";");
        self.client.batch_execute(&text).map_err(fault)
    }

    fn has_table(&mut self, name: &str) -> Answer<bool> {
        let sql =
            "select case when to_regclass($1::text) is null then 0::bigint else 1::bigint end";
        let mut found = false;
        self.each(sql, &[name.into()], &mut |mut row| {
            found = row.int()? == 1;
            Ok(())
        })?;
        Ok(found)
    }

    fn examine(&mut self, what: String) -> String {
        // The server's own log says more than it could.
        what
    }

    fn check(&mut self) -> Answer<()> {
        // It has no means to check itself over a connection, but whatever cannot be read is found by reading it all.
        for table in [
            "record",
            "rollup_hour",
            "series",
            "stream",
            "lease",
            "account",
        ] {
            let sql = format!("select count(hashtext(whole::text)) from {table} as whole");
            self.each(&sql, &[], &mut |_| Ok(()))?;
        }
        Ok(())
    }
}

/// Our statements in PostgreSQL's words.
fn written(sql: &str) -> String {
    let mut words = String::with_capacity(sql.len());
    for (number, part) in sql.split("LIST($").enumerate() {
        if number == 0 {
            words.push_str(part);
        } else if let Some((which, rest)) = part.split_once(')') {
            words.push_str("(select unnest($");
            words.push_str(which);
            words.push_str("::bigint[]))");
            words.push_str(rest);
        }
    }
    words
}

/// All rows in one statement, a column an array.
fn insert(table: &Table) -> String {
    let names = table.columns.iter().map(|column| column.0);
    let names = names.collect::<Vec<_>>().join(", ");
    let arrays = table.columns.iter().zip(1_usize..);
    let array = |((_, kind), number): (&(&str, Kind), usize)| match kind {
        Kind::Int => format!("${number}::bigint[]"),
        Kind::Text => format!("${number}::text[]"),
        Kind::Bytes => format!("${number}::bytea[]"),
    };
    let arrays = arrays.map(array).collect::<Vec<_>>().join(", ");
    let (name, clash) = (table.name, table.on_clash());
    format!("insert into {name} ({names}) select * from unnest({arrays}){clash}")
}

fn parameter(value: &Value) -> &(dyn ToSql + Sync) {
    value
}

/// A column of many rows.
enum Column {
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Column {
    fn parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Ints(values) => values,
            Self::Texts(values) => values,
            Self::Bytes(values) => values,
        }
    }
}

fn columns(table: &Table, rows: Vec<Vec<Value>>) -> Vec<Column> {
    let empty = |(_, kind): &(&str, Kind)| match kind {
        Kind::Int => Column::Ints(Vec::with_capacity(rows.len())),
        Kind::Text => Column::Texts(Vec::with_capacity(rows.len())),
        Kind::Bytes => Column::Bytes(Vec::with_capacity(rows.len())),
    };
    let mut columns: Vec<Column> = table.columns.iter().map(empty).collect();
    for row in rows {
        for (column, value) in columns.iter_mut().zip(row) {
            match (column, value) {
                (Column::Ints(values), Value::Int(number)) => values.push(Some(number)),
                (Column::Texts(values), Value::Text(text)) => values.push(Some(text)),
                (Column::Bytes(values), Value::Bytes(bytes)) => values.push(Some(bytes)),
                // Where nothing may stand the database refuses it.
                (Column::Ints(values), _) => values.push(None),
                (Column::Texts(values), _) => values.push(None),
                (Column::Bytes(values), _) => values.push(None),
            }
        }
    }
    columns
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
            Self::List(numbers) => numbers.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BYTEA, Type::INT8_ARRAY].contains(kind)
    }

    to_sql_checked!();
}

fn value(row: &::postgres::Row, column: usize) -> Answer<Value> {
    let kind = row
        .columns()
        .get(column)
        .map(|column| column.type_().clone());
    let value = match kind {
        Some(Type::INT8) => row
            .try_get(column)
            .map(|value: Option<i64>| value.map(Value::Int)),
        Some(Type::TEXT) => row
            .try_get(column)
            .map(|value: Option<String>| value.map(Value::Text)),
        Some(Type::BYTEA) => row
            .try_get(column)
            .map(|value: Option<Vec<u8>>| value.map(Value::Bytes)),
        other => return Err(damaged(format!("a column of type {other:?}"))),
    };
    Ok(value.map_err(fault)?.unwrap_or(Value::Null))
}

fn fault(error: Error) -> Fault {
    let what = told(&error);
    let Some(code) = error.code() else {
        // Not from the server: the connection is gone, or was never there.
        return Fault::Gone(what);
    };
    let lost = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::QUERY_CANCELED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    if lost.contains(code) || code.code().starts_with("08") {
        return Fault::Gone(what);
    }
    if *code == SqlState::UNIQUE_VIOLATION {
        return Fault::Exists;
    }
    let full = [SqlState::DISK_FULL, SqlState::OUT_OF_MEMORY];
    let damaged = [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED];
    let read_only = [
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ];
    Fault::Told(if full.contains(code) {
        StoreError::Full(what)
    } else if damaged.contains(code) {
        StoreError::Damaged(what)
    } else if read_only.contains(code) {
        StoreError::ReadOnly(what)
    } else {
        StoreError::Failed(what)
    })
}

/// With its cause, which the error itself does not say.
fn told(error: &Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => format!("{} ({})", said.message(), said.code().code()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}
