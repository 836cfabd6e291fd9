//! What each key has used on each day, for quotas and for whoever pays.

use serde::Serialize;

use crate::data::Database;
use crate::data::error::Error;
use crate::data::value::{Row, Value};

/// What one key used on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// The id of the key.
    pub key: String,
    /// Days since 1970-01-01, UTC.
    pub day: i64,
    /// Requests that were let in.
    pub requests: i64,
    /// Tokens read and written.
    pub tokens: i64,
}

impl Database {
    /// Adds to the day's use of a key and returns the sum.
    pub fn add_usage(&self, more: &Usage) -> Result<Usage, Error> {
        let values = [
            Value::from(&more.key),
            Value::Int(more.day),
            Value::Int(more.requests),
            Value::Int(more.tokens),
        ];
        let row = self.write(|sql| {
            sql.first(
                "INSERT INTO usage (key, day, requests, tokens) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (key, day) DO UPDATE SET \
                 requests = usage.requests + excluded.requests, \
                 tokens = usage.tokens + excluded.tokens RETURNING key, day, requests, tokens",
                &values,
            )
        })?;
        row.as_ref().map_or_else(|| Ok(more.clone()), usage)
    }

    /// What a key has used on a day.
    pub fn usage(&self, key: &str, day: i64) -> Result<Usage, Error> {
        let row = self.read(|sql| {
            sql.first(
                "SELECT key, day, requests, tokens FROM usage WHERE key = ?1 AND day = ?2",
                &[key.into(), Value::Int(day)],
            )
        })?;
        row.as_ref()
            .map_or_else(|| Ok(Usage { key: key.to_owned(), day, ..Usage::default() }), usage)
    }
}

fn usage(row: &Row) -> Result<Usage, Error> {
    Ok(Usage { key: row.text(0)?, day: row.int(1)?, requests: row.int(2)?, tokens: row.int(3)? })
}
