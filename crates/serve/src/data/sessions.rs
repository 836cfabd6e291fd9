//! Sessions of the web page: what a cookie stands for.

use crate::data::error::Error;
use crate::data::value::Value;
use crate::data::{Database, UnixMillis};

/// A session. The cookie holds the secret, the database its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Hex SHA-256 of the cookie's secret.
    pub secret_sha256: String,
    /// The key that was logged in with.
    pub key: String,
    /// When.
    pub created_at: UnixMillis,
    /// When it ends.
    pub expires_at: UnixMillis,
}

impl Database {
    /// Keeps a session, and forgets those that have ended.
    pub fn add_session(&self, session: &SessionRow) -> Result<(), Error> {
        self.write(|sql| {
            let now = Value::Int(session.created_at);
            sql.execute("DELETE FROM sessions WHERE expires_at <= ?1", &[now])?;
            sql.execute(
                "INSERT INTO sessions (secret_sha256, key, created_at, expires_at) \
                 VALUES (?1, ?2, ?3, ?4)",
                &[
                    (&session.secret_sha256).into(),
                    (&session.key).into(),
                    Value::Int(session.created_at),
                    Value::Int(session.expires_at),
                ],
            )
        })?;
        Ok(())
    }

    /// The session whose secret has that hash, if it has not ended.
    pub fn session(&self, sha256: &str, now: UnixMillis) -> Result<Option<SessionRow>, Error> {
        let row = self.read(|sql| {
            sql.first(
                "SELECT secret_sha256, key, created_at, expires_at FROM sessions \
                 WHERE secret_sha256 = ?1 AND expires_at > ?2",
                &[sha256.into(), Value::Int(now)],
            )
        })?;
        row.map(|row| {
            Ok(SessionRow {
                secret_sha256: row.text(0)?,
                key: row.text(1)?,
                created_at: row.int(2)?,
                expires_at: row.int(3)?,
            })
        })
        .transpose()
    }

    /// Ends a session.
    pub fn end_session(&self, sha256: &str) -> Result<(), Error> {
        self.write(|sql| {
            sql.execute("DELETE FROM sessions WHERE secret_sha256 = ?1", &[sha256.into()])
        })?;
        Ok(())
    }
}
