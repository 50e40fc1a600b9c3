//! What differs between databases: how a statement is sent, how many rows go at once, what an error means.

use tollgate_core::money::ids::Incarnation;

use crate::store::error::StoreError;

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing.
    Null,
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Numbers, for `in LIST($1)`.
    List(Vec<i64>),
}

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Text,
    Bytes,
}

/// What happens to a row whose key is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clash {
    /// It is replaced.
    Replace,
    /// It stays.
    Keep,
    /// The transaction fails with [`Fault::Exists`].
    Fail,
}

/// A table that is written in bulk.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// So many of the first columns are its key.
    pub(crate) keys: usize,
    pub(crate) clash: Clash,
}

impl Table {
    /// The end of a statement that inserts.
    pub(crate) fn on_clash(&self) -> String {
        if self.clash == Clash::Fail {
            return String::new();
        }
        let (keys, rest) = self.columns.split_at_checked(self.keys).unwrap_or_default();
        let keys = keys.iter().map(|column| column.0).collect::<Vec<_>>();
        if self.clash == Clash::Keep {
            return " on conflict do nothing".to_owned();
        }
        let set = rest
            .iter()
            .map(|(name, _)| format!("{name} = excluded.{name}"));
        let set = set.collect::<Vec<_>>().join(", ");
        format!(" on conflict ({}) do update set {set}", keys.join(", "))
    }
}

/// Why a statement failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A key is there already.
    Exists,
    /// The connection is gone, and with it the answer.
    Gone(String),
    /// All else.
    Told(StoreError),
}

pub(crate) type Answer<T> = Result<T, Fault>;

/// One connection. Statements name their parameters `$1`, `$2`, and a list as `in LIST($1)`.
pub(crate) trait Engine: Send + Sized {
    /// Another connection to the same database, only to read.
    fn beside(&mut self) -> Answer<Self>;
    /// After [`Fault::Gone`].
    fn reconnect(&mut self) -> Answer<()>;
    /// In a transaction: until its end nobody else changes the schema.
    fn lock_schema(&mut self) -> Answer<()>;
    /// Begins a transaction that writes.
    fn begin(&mut self) -> Answer<()>;
    /// Makes it durable.
    fn commit(&mut self) -> Answer<()>;
    /// Gives it up; if the connection is gone the database does so itself.
    fn roll_back(&mut self);
    /// How many rows were touched.
    fn execute(&mut self, sql: &str, parameters: &[Value]) -> Answer<u64>;
    /// Each row in turn.
    fn each(
        &mut self,
        sql: &str,
        parameters: &[Value],
        take: &mut dyn FnMut(Row) -> Answer<()>,
    ) -> Answer<()>;
    /// Writes many rows of one table.
    fn write(&mut self, table: &Table, rows: Vec<Vec<Value>>) -> Answer<()>;
    /// Runs the text of a schema.
    fn script(&mut self, text: &str) -> Answer<()>;
    /// Whether a table of this name exists.
    fn has_table(&mut self, name: &str) -> Answer<bool>;
    /// Looks closer at what seems damaged, for whoever has to repair it.
    fn examine(&mut self, what: String) -> String;
    /// Reads all of it, as far as the database has a means to.
    fn check(&mut self) -> Answer<()>;
}

/// A row, taken value by value.
pub(crate) struct Row {
    values: std::vec::IntoIter<Value>,
}

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self {
            values: values.into_iter(),
        }
    }

    pub(crate) fn int(&mut self) -> Answer<i64> {
        match self.values.next() {
            Some(Value::Int(value)) => Ok(value),
            other => Err(odd("a number", &other)),
        }
    }

    /// The same 64 bits, unsigned.
    pub(crate) fn number(&mut self) -> Answer<u64> {
        self.int().map(i64::cast_unsigned)
    }

    pub(crate) fn small<Number: TryFrom<u64>>(&mut self) -> Answer<Number> {
        let number = self.number()?;
        Number::try_from(number).map_err(|_| odd("a small number", &Some(Value::Null)))
    }

    pub(crate) fn optional(&mut self) -> Answer<Option<u64>> {
        match self.values.next() {
            Some(Value::Int(value)) => Ok(Some(value.cast_unsigned())),
            Some(Value::Null) => Ok(None),
            other => Err(odd("a number or nothing", &other)),
        }
    }

    pub(crate) fn text(&mut self) -> Answer<String> {
        match self.values.next() {
            Some(Value::Text(value)) => Ok(value),
            other => Err(odd("a text", &other)),
        }
    }

    pub(crate) fn optional_text(&mut self) -> Answer<Option<String>> {
        match self.values.next() {
            Some(Value::Text(value)) => Ok(Some(value)),
            Some(Value::Null) => Ok(None),
            other => Err(odd("a text or nothing", &other)),
        }
    }

    pub(crate) fn bytes(&mut self) -> Answer<Vec<u8>> {
        match self.values.next() {
            Some(Value::Bytes(value)) => Ok(value),
            other => Err(odd("bytes", &other)),
        }
    }
}

fn odd(want: &str, found: &Option<Value>) -> Fault {
    damaged(format!("a row has {found:?} where {want} belongs"))
}

pub(crate) fn damaged(what: String) -> Fault {
    Fault::Told(StoreError::Damaged(what))
}

impl Fault {
    /// As the caller of the store hears it.
    pub(crate) fn told(self) -> StoreError {
        match self {
            Self::Exists => StoreError::Failed("a key is there already".to_owned()),
            Self::Gone(what) => StoreError::Unavailable(what),
            Self::Told(error) => error,
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(number.cast_signed())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        // PostgreSQL takes no zero byte in a text; the stores should not differ in what they give back.
        Self::Text(text.replace('\0', "\u{FFFD}"))
    }
}

impl From<Incarnation> for Value {
    fn from(incarnation: Incarnation) -> Self {
        incarnation.0.into()
    }
}

impl From<Option<u64>> for Value {
    fn from(number: Option<u64>) -> Self {
        number.map_or(Self::Null, Self::from)
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::from)
    }
}
