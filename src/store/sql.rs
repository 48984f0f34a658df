//! The SQL facade: what the rest of the store knows of a database engine.
//!
//! Statements use `?N` parameters and a common subset of SQL, so that a second engine takes the
//! same text. Getters are strict: a NULL, a text or a fraction never becomes a zero, and a value
//! that is not what its column promises is [`StoreError::BadValue`] of that record.

use std::rc::Rc;

use judge::time::Timestamp;

use super::StoreError;
use super::loads::Loads;

/// A value as the engine has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Val {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
}

impl From<i64> for Val {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Val {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<u64> for Val {
    /// Counts and limits; nothing countable reaches the other half of the range.
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Val {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

impl From<bool> for Val {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<f64> for Val {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Val {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&String> for Val {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<Timestamp> for Val {
    fn from(value: Timestamp) -> Self {
        Self::Int(value.as_millisecond())
    }
}

impl<T: Into<Self>> From<Option<T>> for Val {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The arguments of one statement.
macro_rules! args {
    ($($value:expr),* $(,)?) => {
        &[$($crate::store::sql::Val::from($value)),*]
    };
}
pub(super) use args;

/// One row; values are asked for by column name.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) columns: Rc<[String]>,
    pub(super) values: Vec<Val>,
}

impl Row {
    fn value(&self, column: &str) -> Result<&Val, StoreError> {
        let index = self.columns.iter().position(|name| name == column);
        index
            .and_then(|index| self.values.get(index))
            .ok_or_else(|| bad(column, "no such column in the answer"))
    }

    pub(super) fn int(&self, column: &str) -> Result<i64, StoreError> {
        match self.value(column)? {
            Val::Int(value) => Ok(*value),
            other => Err(unexpected(column, "an integer", other)),
        }
    }

    pub(super) fn real(&self, column: &str) -> Result<f64, StoreError> {
        match self.value(column)? {
            Val::Real(value) => Ok(*value),
            other => Err(unexpected(column, "a number", other)),
        }
    }

    pub(super) fn text(&self, column: &str) -> Result<String, StoreError> {
        match self.value(column)? {
            Val::Text(value) => Ok(value.clone()),
            other => Err(unexpected(column, "a text", other)),
        }
    }

    /// A count: an integer that is not negative.
    pub(super) fn count(&self, column: &str) -> Result<u64, StoreError> {
        u64::try_from(self.int(column)?).map_err(|_| bad(column, "a count below zero"))
    }

    /// A small count.
    pub(super) fn small(&self, column: &str) -> Result<u32, StoreError> {
        u32::try_from(self.int(column)?).map_err(|_| bad(column, "a count out of range"))
    }

    pub(super) fn flag(&self, column: &str) -> Result<bool, StoreError> {
        match self.int(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(bad(column, "a flag that is neither 0 nor 1")),
        }
    }

    pub(super) fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        Timestamp::from_millisecond(self.int(column)?)
            .map_err(|_| bad(column, "an instant out of range"))
    }

    pub(super) fn opt_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        self.unless_null(column, Self::text)
    }

    pub(super) fn opt_time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        self.unless_null(column, Self::time)
    }

    pub(super) fn unless_null<T>(
        &self,
        column: &str,
        get: impl Fn(&Self, &str) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match self.value(column)? {
            Val::Null => Ok(None),
            _ => get(self, column).map(Some),
        }
    }
}

/// A value that is not what its column promises.
pub(super) fn bad(column: &str, problem: &str) -> StoreError {
    StoreError::BadValue { column: column.to_owned(), problem: problem.to_owned() }
}

fn unexpected(column: &str, wanted: &str, found: &Val) -> StoreError {
    let found = match found {
        Val::Null => "NULL",
        Val::Int(_) => "an integer",
        Val::Real(_) => "a fraction",
        Val::Text(_) => "a text",
    };
    bad(column, &format!("{found} where {wanted} belongs"))
}

/// One connection of an engine. Not shared between threads.
pub(super) trait Sql {
    /// Runs one statement; returns how many rows it touched.
    fn exec(&self, sql: &str, args: &[Val]) -> Result<u64, StoreError>;

    /// Runs one statement that answers with rows (`SELECT` or `RETURNING`).
    fn query(&self, sql: &str, args: &[Val]) -> Result<Vec<Row>, StoreError>;

    /// Runs several statements without parameters.
    fn batch(&self, sql: &str) -> Result<(), StoreError>;

    /// Opens a transaction that may write: nobody else writes until it ends.
    fn begin_write(&self) -> Result<(), StoreError>;

    /// Whether the transaction that was begun still stands.
    fn in_transaction(&self) -> bool;

    /// A number that changes when another connection wrote, and only then.
    fn changed_by_others(&self) -> Result<i64, StoreError>;

    /// What this connection knows of the queues.
    fn loads(&self) -> &Loads;

    /// What the engine finds wrong with its own file.
    fn self_check(&self) -> Result<Vec<String>, StoreError>;

    /// The first row of an answer.
    fn first(&self, sql: &str, args: &[Val]) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, args)?.into_iter().next())
    }
}

/// The next value of a named counter; under a transaction the row is locked until it ends.
pub(super) fn next_count(sql: &dyn Sql, name: &str) -> Result<i64, StoreError> {
    sql.first("UPDATE counters SET value = value + 1 WHERE name = ?1 RETURNING value", args![name])?
        .ok_or_else(|| bad("counters.value", "a counter is missing"))?
        .int("value")
}
