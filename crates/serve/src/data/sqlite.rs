//! SQLite, compiled into the program: one file, one writer, readers beside it.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, Value as Stored, ValueRef};
use rusqlite::{Connection, TransactionBehavior, params_from_iter};

use crate::data::error::Error;
use crate::data::migrations::{self, Dialect};
use crate::data::value::{Row, Value};
use crate::data::{Backend, Statements, Work};

/// How long a statement waits for another process to finish its own.
const BUSY: Duration = Duration::from_secs(20);

/// `synchronous = FULL` syncs the log at each commit; `fullfsync` makes that
/// reach the disk on macOS and means nothing elsewhere.
const SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA fullfsync = ON; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;";

/// A file with a connection that writes and one that reads. In WAL mode a
/// reader sees what was committed when it began and waits for nobody.
pub(super) struct Sqlite {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

impl Sqlite {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|source| Error::Folder { path: folder.to_owned(), source })?;
        }
        let writer = connect(path)?;
        keep_private(path);
        let reader = connect(path)?;
        let opened = reader.execute_batch("PRAGMA query_only = ON");
        opened.map_err(|source| Error::OpenSqlite { path: path.to_owned(), source })?;
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(reader) })
    }
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let failed = |source| Error::OpenSqlite { path: path.to_owned(), source };
    let connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    connection.execute_batch(SETTINGS).map_err(failed)?;
    Ok(connection)
}

/// Conversations are nobody else's business on a shared machine. SQLite gives
/// the files beside it the same permissions.
fn keep_private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A file of another owner keeps its permissions; opening it worked.
        let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
    }
    #[cfg(not(unix))]
    let _ = path;
}

/// A panic inside a transaction drops and so undoes it: the connection is good.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Backend for Sqlite {
    fn read(&self, work: Work<'_>) -> Result<(), Error> {
        let mut connection = lock(&self.reader);
        // One transaction, so that several queries see one state.
        let transaction = connection.transaction().map_err(refused("BEGIN"))?;
        work(&mut Open(&transaction))
    }

    fn write(&self, work: Work<'_>) -> Result<(), Error> {
        let mut connection = lock(&self.writer);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(refused("BEGIN IMMEDIATE"))?;
        work(&mut Open(&transaction))?;
        transaction.commit().map_err(refused("COMMIT"))
    }

    fn migrate(&self) -> Result<(), Error> {
        self.write(&mut |sql| {
            sql.execute(migrations::TABLE, &[])?;
            let applied = sql.query(migrations::APPLIED, &[])?;
            for step in migrations::missing(&applied, Dialect::Sqlite)? {
                sql.batch(step.sql(Dialect::Sqlite))?;
                sql.execute(migrations::APPLY, &step.record(Dialect::Sqlite))?;
            }
            Ok(())
        })
    }
}

fn refused(sql: &str) -> impl Fn(rusqlite::Error) -> Error {
    move |source| Error::Sqlite { sql: sql.to_owned(), source }
}

/// Statements on a connection that is in a transaction.
struct Open<'a>(&'a Connection);

impl Statements for Open<'_> {
    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, Error> {
        let mut statement = self.0.prepare_cached(sql).map_err(refused(sql))?;
        let changed = statement.execute(params_from_iter(values)).map_err(refused(sql))?;
        Ok(changed as u64)
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Error> {
        let mut statement = self.0.prepare_cached(sql).map_err(refused(sql))?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(values)).map_err(refused(sql))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().map_err(refused(sql))? {
            let mut found = Vec::with_capacity(columns);
            for column in 0..columns {
                found.push(value(column, row.get_ref(column).map_err(refused(sql))?)?);
            }
            all.push(Row(found));
        }
        Ok(all)
    }

    fn batch(&mut self, sql: &str) -> Result<(), Error> {
        self.0.execute_batch(sql).map_err(refused(sql))
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Stored::Null),
            Self::Int(number) => ToSqlOutput::Owned(Stored::Integer(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

fn value(column: usize, stored: ValueRef<'_>) -> Result<Value, Error> {
    let wrong = |found| Error::WrongType { column, wanted: "text or a number", found };
    match stored {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(Value::Int(number)),
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| wrong("text that is not UTF-8"))?;
            Ok(Value::Text(text.to_owned()))
        }
        ValueRef::Real(_) => Err(wrong("a fraction")),
        ValueRef::Blob(_) => Err(wrong("bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_synced_and_keys_between_tables_hold() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(&folder.path().join("d.db")).unwrap();
        for connection in [&sqlite.writer, &sqlite.reader] {
            let connection = lock(connection);
            let setting = |name: &str| -> String {
                let sql = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
                connection.query_row(&sql, [], |row| row.get(0)).unwrap()
            };
            // 2 is FULL.
            assert_eq!(setting("synchronous"), "2");
            assert_eq!(setting("foreign_keys"), "1");
            assert_eq!(setting("journal_mode"), "wal");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/d.db");
        drop(Sqlite::open(&path).unwrap());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
