//! API keys as they are stored: a hash instead of the secret.

use crate::data::error::Error;
use crate::data::value::{Row, Value};
use crate::data::{Database, UnixMillis};

/// A key without its secret. What the texts mean is the business of
/// the module `auth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Public part of the key.
    pub id: String,
    /// Who or what it is for.
    pub name: String,
    /// Hex SHA-256 of the secret part.
    pub secret_sha256: String,
    /// What it may do.
    pub role: String,
    /// The collections that it may see, as JSON.
    pub collections: String,
    /// Its limits, as JSON.
    pub limits: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it ends, if ever.
    pub expires_at: Option<UnixMillis>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<UnixMillis>,
}

const COLUMNS: &str = "id, name, secret_sha256, role, collections, limits, created_at, \
    expires_at, revoked_at";

impl Database {
    /// Keeps a new key.
    pub fn add_key(&self, key: &KeyRow) -> Result<(), Error> {
        let values = [
            Value::from(&key.id),
            Value::from(&key.name),
            Value::from(&key.secret_sha256),
            Value::from(&key.role),
            Value::from(&key.collections),
            Value::from(&key.limits),
            Value::Int(key.created_at),
            Value::from(key.expires_at),
        ];
        self.write(|sql| {
            sql.execute(
                "INSERT INTO keys (id, name, secret_sha256, role, collections, limits, \
                 created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                &values,
            )
        })?;
        Ok(())
    }

    /// The key with that id, revoked or not.
    pub fn key(&self, id: &str) -> Result<Option<KeyRow>, Error> {
        let query = format!("SELECT {COLUMNS} FROM keys WHERE id = ?1");
        let row = self.read(|sql| sql.first(&query, &[id.into()]))?;
        row.as_ref().map(key).transpose()
    }

    /// Every key, oldest first.
    pub fn keys(&self) -> Result<Vec<KeyRow>, Error> {
        let query = format!("SELECT {COLUMNS} FROM keys ORDER BY created_at, id");
        let rows = self.read(|sql| sql.query(&query, &[]))?;
        rows.iter().map(key).collect()
    }

    /// Whether a key was ever made. Revoking all of them opens nothing.
    pub fn has_keys(&self) -> Result<bool, Error> {
        Ok(self.read(|sql| sql.first("SELECT id FROM keys LIMIT 1", &[]))?.is_some())
    }

    /// Revokes a key and ends its sessions. `false` if there is no such key or
    /// it was revoked before.
    pub fn revoke_key(&self, id: &str, at: UnixMillis) -> Result<bool, Error> {
        let changed = self.write(|sql| {
            sql.execute("DELETE FROM sessions WHERE key = ?1", &[id.into()])?;
            sql.execute(
                "UPDATE keys SET revoked_at = ?1 WHERE id = ?2 AND revoked_at IS NULL",
                &[Value::Int(at), id.into()],
            )
        })?;
        Ok(changed == 1)
    }
}

fn key(row: &Row) -> Result<KeyRow, Error> {
    Ok(KeyRow {
        id: row.text(0)?,
        name: row.text(1)?,
        secret_sha256: row.text(2)?,
        role: row.text(3)?,
        collections: row.text(4)?,
        limits: row.text(5)?,
        created_at: row.int(6)?,
        expires_at: row.optional_int(7)?,
        revoked_at: row.optional_int(8)?,
    })
}
