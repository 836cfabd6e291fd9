//! What the service remembers: conversations, answers, feedback, keys, jobs
//! and the audit log, in SQLite or in PostgreSQL.
//!
//! [`Database`] hides which of the two it is. Both are given the same numbered
//! migrations and the same statements, written in the SQL that they share with
//! `?1`, `?2` for parameters, and both pass the tests in `tests/it/data`.
//!
//! A call that returned has been committed: SQLite runs in WAL mode with
//! `synchronous = FULL`, PostgreSQL with its default `synchronous_commit`.
//! Calls block; from asynchronous code use [`Database::call`].
//!
//! Times are milliseconds since 1970-01-01 UTC and are arguments.

mod answers;
mod audit;
mod conversations;
mod error;
mod id;
mod jobs;
mod keys;
mod migrations;
mod postgres;
mod sessions;
mod sqlite;
mod usage;
mod value;

use std::path::PathBuf;
use std::sync::Arc;

pub use answers::{Feedback, NewAnswer, StoredAnswer};
pub use audit::{Audit, ChainError, Entry};
pub use conversations::{Conversation, Message, NewMessage};
pub use error::Error;
pub(crate) use id::hex;
pub use id::random_hex;
pub use jobs::{Job, JobState, MAX_ATTEMPTS, NewJob};
pub use keys::KeyRow;
pub use sessions::SessionRow;
pub use usage::Usage;
pub use value::{Row, Value};

/// Milliseconds since 1970-01-01 UTC.
pub type UnixMillis = i64;

/// Where the data lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file, made if it is missing.
    Sqlite(PathBuf),
    /// A `postgres://` address.
    Postgres(String),
}

impl Location {
    /// What the setting `database` means: a `postgres://` address, or a file
    /// relative to nothing but the working folder.
    pub fn parse(setting: &str) -> Self {
        if setting.starts_with("postgres://") || setting.starts_with("postgresql://") {
            Self::Postgres(setting.to_owned())
        } else {
            Self::Sqlite(PathBuf::from(setting))
        }
    }

    /// The location without the password that an address may hold.
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres(address) => without_password(address),
        }
    }
}

fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return String::new() };
    // Parameters may hold a password as well.
    let rest = rest.split('?').next().unwrap_or(rest);
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{place}")
}

/// A page of a list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows at most, in `1..=1000`.
    pub limit: u32,
    /// The id of the last row of the page before, if there was one.
    pub after: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: 50, after: None }
    }
}

impl Page {
    fn limit(&self) -> Value {
        Value::Int(i64::from(self.limit.clamp(1, 1000)))
    }

    fn after(&self) -> Value {
        Value::Text(self.after.clone().unwrap_or_default())
    }
}

/// Runs statements, in one transaction or outside of any.
pub trait Statements {
    /// Runs a statement and returns the number of rows that it changed.
    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, Error>;

    /// Runs a query, or a statement with `RETURNING`.
    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Error>;

    /// Runs several statements that have no parameters.
    fn batch(&mut self, sql: &str) -> Result<(), Error>;

    /// The first row of a query, if it has any.
    fn first(&mut self, sql: &str, values: &[Value]) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, values)?.into_iter().next())
    }
}

/// Work inside a transaction.
type Work<'a> = &'a mut dyn FnMut(&mut dyn Statements) -> Result<(), Error>;

/// One kind of database.
trait Backend: Send + Sync {
    /// Runs `work` without changing anything.
    fn read(&self, work: Work<'_>) -> Result<(), Error>;

    /// Runs `work` in a transaction that is committed durably if it succeeds
    /// and taken back if it fails.
    fn write(&self, work: Work<'_>) -> Result<(), Error>;

    /// Applies the migrations that are missing, all or none.
    fn migrate(&self) -> Result<(), Error>;
}

/// A handle to the data; clones share it.
#[derive(Clone)]
pub struct Database {
    backend: Arc<dyn Backend>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database")
    }
}

impl Database {
    /// Opens the data, makes the tables that are missing, and refuses tables
    /// that a newer program made.
    pub fn open(location: &Location) -> Result<Self, Error> {
        let backend: Arc<dyn Backend> = match location {
            Location::Sqlite(path) => Arc::new(sqlite::Sqlite::open(path)?),
            Location::Postgres(address) => Arc::new(postgres::Postgres::open(address)?),
        };
        backend.migrate()?;
        Ok(Self { backend })
    }

    /// Runs `work` on a thread that may block.
    pub async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let database = self.clone();
        let joined = tokio::task::spawn_blocking(move || work(&database)).await;
        joined.map_err(|_| Error::Interrupted)?
    }

    /// Whether the data can be read now.
    pub fn check(&self) -> Result<(), Error> {
        self.read(|sql| sql.query("SELECT position FROM audit_head", &[]).map(drop))
    }

    fn read<T>(
        &self,
        mut work: impl FnMut(&mut dyn Statements) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut result = None;
        self.backend.read(&mut |sql| {
            result = Some(work(sql)?);
            Ok(())
        })?;
        result.ok_or(Error::Interrupted)
    }

    fn write<T>(
        &self,
        mut work: impl FnMut(&mut dyn Statements) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut result = None;
        self.backend.write(&mut |sql| {
            result = Some(work(sql)?);
            Ok(())
        })?;
        result.ok_or(Error::Interrupted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let shown = |address: &str| Location::parse(address).shown();
        assert_eq!(shown("postgres://u:s3cret@h:5/d?password=x"), "postgres://h:5/d");
        assert_eq!(shown("postgresql://h/d"), "postgresql://h/d");
        assert_eq!(shown("data/plumb.db"), "data/plumb.db");
    }
}
