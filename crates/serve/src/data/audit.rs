//! The audit log: who did what to what, when, and whether it was allowed.
//!
//! It holds no content: no question, no text, no secret. Each entry carries
//! the SHA-256 of itself and of the hash before it, and the last hash is kept
//! apart, so that an entry that was changed, put in, or taken out, also at the
//! end, is found by [`Database::check_audit`]. Somebody who may write to the
//! whole database can still forge a whole chain: copy the last hash to
//! another place from time to time.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::data::error::Error;
use crate::data::id::hex;
use crate::data::value::{Row, Value};
use crate::data::{Database, UnixMillis};

/// Something that is to be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit<'a> {
    /// The id of the key, or where the request came from.
    pub actor: &'a str,
    /// What was done, such as `key.create`.
    pub action: &'a str,
    /// What it was done to, by id.
    pub target: &'a str,
    /// `ok`, or why not.
    pub outcome: &'a str,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// From 1, without gaps.
    pub position: i64,
    /// When.
    pub at: UnixMillis,
    /// The id of the key, or where the request came from.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub target: String,
    /// `ok`, or why not.
    pub outcome: String,
    /// Chains this entry to the one before.
    pub hash: String,
}

/// The first place where the chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("entry {position} of the audit log is not what was written")]
    Changed { position: i64 },
    #[error("entry {position} of the audit log is missing")]
    Missing { position: i64 },
    #[error("the audit log has {found} entries after which {wanted} were written")]
    Cut { found: i64, wanted: i64 },
}

const COLUMNS: &str = "position, at, actor, action, target, outcome, hash";

/// Entries that are checked at a time.
const BATCH: i64 = 1000;

impl Entry {
    /// What `hash` must be after an entry with the hash `before`. Lengths keep
    /// two fields from being read as two others.
    fn chained(&self, before: &str) -> String {
        let mut hasher = Sha256::new();
        hasher.update(self.position.to_be_bytes());
        hasher.update(self.at.to_be_bytes());
        for field in [before, &self.actor, &self.action, &self.target, &self.outcome] {
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field.as_bytes());
        }
        hex(&hasher.finalize())
    }
}

impl Database {
    /// Appends to the audit log, durably.
    pub fn append_audit(&self, audit: &Audit<'_>, at: UnixMillis) -> Result<(), Error> {
        self.write(|sql| {
            // The first statement locks the row: appends take turns.
            let head = sql.first(
                "UPDATE audit_head SET position = position + 1 RETURNING position, hash",
                &[],
            )?;
            let head =
                head.ok_or(Error::NotFound { what: "head of the audit log", id: String::new() })?;
            let text = |text: &str| text.replace('\0', "\u{fffd}");
            let mut entry = Entry {
                position: head.int(0)?,
                at,
                actor: text(audit.actor),
                action: text(audit.action),
                target: text(audit.target),
                outcome: text(audit.outcome),
                hash: String::new(),
            };
            entry.hash = entry.chained(&head.text(1)?);
            sql.execute(
                "INSERT INTO audit (position, at, actor, action, target, outcome, hash) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                &[
                    entry.position.into(),
                    entry.at.into(),
                    (&entry.actor).into(),
                    (&entry.action).into(),
                    (&entry.target).into(),
                    (&entry.outcome).into(),
                    (&entry.hash).into(),
                ],
            )?;
            sql.execute("UPDATE audit_head SET hash = ?1", &[(&entry.hash).into()])
        })?;
        Ok(())
    }

    /// The entries before a position, newest first; `None` begins at the end.
    pub fn audit(&self, before: Option<i64>, limit: u32) -> Result<Vec<Entry>, Error> {
        let query = format!(
            "SELECT {COLUMNS} FROM audit WHERE position < ?1 ORDER BY position DESC LIMIT ?2"
        );
        let before = Value::Int(before.unwrap_or(i64::MAX));
        let limit = Value::Int(i64::from(limit.clamp(1, 1000)));
        let rows = self.read(|sql| sql.query(&query, &[before.clone(), limit.clone()]))?;
        rows.iter().map(entry).collect()
    }

    /// Checks the whole chain and returns its length and its last hash.
    pub fn check_audit(&self) -> Result<Result<(i64, String), ChainError>, Error> {
        // One transaction: what is appended meanwhile is not seen.
        self.read(|sql| {
            let head = sql.first("SELECT position, hash FROM audit_head", &[])?;
            let head =
                head.ok_or(Error::NotFound { what: "head of the audit log", id: String::new() })?;
            let (wanted, last) = (head.int(0)?, head.text(1)?);
            let query = format!(
                "SELECT {COLUMNS} FROM audit WHERE position > ?1 ORDER BY position LIMIT ?2"
            );
            let (mut found, mut hash) = (0, String::new());
            loop {
                let rows = sql.query(&query, &[Value::Int(found), Value::Int(BATCH)])?;
                if rows.is_empty() {
                    break;
                }
                for row in &rows {
                    let entry = entry(row)?;
                    if entry.position != found + 1 {
                        return Ok(Err(ChainError::Missing { position: found + 1 }));
                    }
                    if entry.hash != entry.chained(&hash) {
                        return Ok(Err(ChainError::Changed { position: entry.position }));
                    }
                    (found, hash) = (entry.position, entry.hash);
                }
            }
            if found != wanted || hash != last {
                return Ok(Err(ChainError::Cut { found, wanted }));
            }
            Ok(Ok((found, hash)))
        })
    }
}

fn entry(row: &Row) -> Result<Entry, Error> {
    Ok(Entry {
        position: row.int(0)?,
        at: row.int(1)?,
        actor: row.text(2)?,
        action: row.text(3)?,
        target: row.text(4)?,
        outcome: row.text(5)?,
        hash: row.text(6)?,
    })
}
