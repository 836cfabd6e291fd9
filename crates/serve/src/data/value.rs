//! The values that go into statements and come out of queries.

use crate::data::error::Error;

/// A parameter or a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// No value.
    Null,
    /// `BIGINT`.
    Int(i64),
    /// `TEXT`.
    Text(String),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Int(_) => "a number",
            Self::Text(_) => "text",
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    /// PostgreSQL cannot hold a zero byte in text. The replacement character
    /// stands for it, so that both databases hold the same.
    fn from(value: &str) -> Self {
        Self::Text(value.replace('\0', "\u{fffd}"))
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::from(value.as_str())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub(super) Vec<Value>);

impl Row {
    fn at(&self, column: usize) -> &Value {
        self.0.get(column).unwrap_or(&Value::Null)
    }

    fn wrong(&self, column: usize, wanted: &'static str) -> Error {
        Error::WrongType { column, wanted, found: self.at(column).kind() }
    }

    /// The text in a column, counted from 0.
    pub fn text(&self, column: usize) -> Result<String, Error> {
        self.optional_text(column)?.ok_or_else(|| self.wrong(column, "text"))
    }

    /// The number in a column.
    pub fn int(&self, column: usize) -> Result<i64, Error> {
        self.optional_int(column)?.ok_or_else(|| self.wrong(column, "a number"))
    }

    /// The text in a column that may be empty.
    pub fn optional_text(&self, column: usize) -> Result<Option<String>, Error> {
        match self.at(column) {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text.clone())),
            Value::Int(_) => Err(self.wrong(column, "text")),
        }
    }

    /// The number in a column that may be empty.
    pub fn optional_int(&self, column: usize) -> Result<Option<i64>, Error> {
        match self.at(column) {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(*number)),
            Value::Text(_) => Err(self.wrong(column, "a number")),
        }
    }
}
