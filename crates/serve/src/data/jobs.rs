//! Long work that survives the process: indexing, pulling models, evaluations.
//!
//! A job is leased for a time. A worker that dies lets its lease run out, and
//! the job is taken up again, at most [`MAX_ATTEMPTS`] times.

use serde::Serialize;

use crate::data::error::Error;
use crate::data::id::new_id;
use crate::data::value::{Row, Value};
use crate::data::{Database, Page, UnixMillis};

/// How often a job is begun before it counts as failed.
pub const MAX_ATTEMPTS: i64 = 3;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits for a worker.
    Queued,
    /// A worker has a lease on it.
    Running,
    /// Has a result.
    Done,
    /// Has an error.
    Failed,
    /// Was called off.
    Cancelled,
}

const STATES: [(JobState, &str); 5] = [
    (JobState::Queued, "queued"),
    (JobState::Running, "running"),
    (JobState::Done, "done"),
    (JobState::Failed, "failed"),
    (JobState::Cancelled, "cancelled"),
];

impl JobState {
    /// The name in the database and on the wire.
    pub fn name(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    fn parse(name: &str) -> Result<Self, Error> {
        let known = STATES.iter().find(|(_, known)| *known == name);
        let unknown = || Error::UnknownName { what: "the state of a job", value: name.to_owned() };
        known.map(|(state, _)| *state).ok_or_else(unknown)
    }
}

/// Work that is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// The id of the key that asked for it.
    pub owner: String,
    /// What kind of work, such as `index`.
    pub kind: String,
    /// What the worker needs to know, as JSON.
    pub input: String,
}

/// A job and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Job {
    /// `job_` and hexadecimal digits.
    pub id: String,
    /// The id of the key that asked for it.
    pub owner: String,
    /// What kind of work, such as `index`.
    pub kind: String,
    /// What the worker needs to know, as JSON.
    #[serde(skip)]
    pub input: String,
    /// Where it stands.
    pub state: JobState,
    /// Steps that are done.
    pub done: i64,
    /// Steps in all, once that is known.
    pub total: Option<i64>,
    /// How often it was begun.
    pub attempts: i64,
    /// What came out, as JSON.
    #[serde(skip)]
    pub result: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: UnixMillis,
    /// When it last changed.
    pub updated_at: UnixMillis,
}

const COLUMNS: &str = "id, owner, kind, input, state, done, total, attempts, result, error, \
    created_at, updated_at";

impl Database {
    /// Queues a job.
    pub fn add_job(&self, new: &NewJob, at: UnixMillis) -> Result<Job, Error> {
        let id = new_id("job", at)?;
        let values = [
            Value::from(&id),
            Value::from(&new.owner),
            Value::from(&new.kind),
            Value::from(&new.input),
            Value::Int(at),
        ];
        let insert = format!(
            "INSERT INTO jobs (id, owner, kind, input, state, done, attempts, created_at, \
             updated_at) VALUES (?1, ?2, ?3, ?4, 'queued', 0, 0, ?5, ?5) RETURNING {COLUMNS}"
        );
        let row = self.write(|sql| sql.first(&insert, &values))?;
        row.as_ref().map_or_else(|| Err(Error::NotFound { what: "job", id }), job)
    }

    /// A job, whoever asked for it.
    pub fn job(&self, id: &str) -> Result<Option<Job>, Error> {
        let query = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1");
        self.read(|sql| sql.first(&query, &[id.into()]))?.as_ref().map(job).transpose()
    }

    /// Jobs, newest first: those of `owner`, or everybody's.
    pub fn jobs(&self, owner: Option<&str>, page: &Page) -> Result<Vec<Job>, Error> {
        let query = format!(
            "SELECT {COLUMNS} FROM jobs WHERE (?3 = '' OR owner = ?3) AND (?1 = '' OR EXISTS \
             (SELECT 1 FROM jobs AS seen WHERE seen.id = ?1 AND (jobs.created_at < \
             seen.created_at OR (jobs.created_at = seen.created_at AND jobs.id < seen.id)))) \
             ORDER BY created_at DESC, id DESC LIMIT ?2"
        );
        let owner = Value::from(owner.unwrap_or_default());
        let values = [page.after(), page.limit(), owner];
        let rows = self.read(|sql| sql.query(&query, &values))?;
        rows.iter().map(job).collect()
    }

    /// Takes the oldest job of a kind that waits or whose lease ran out, for
    /// `lease` milliseconds. A job that was begun too often fails instead.
    pub fn take_job(&self, kind: &str, now: UnixMillis, lease: i64) -> Result<Option<Job>, Error> {
        let take = format!(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, leased_until = ?2, \
             updated_at = ?3 WHERE id = (SELECT id FROM jobs WHERE kind = ?1 AND (state = \
             'queued' OR (state = 'running' AND leased_until < ?3)) ORDER BY created_at, id \
             LIMIT 1) AND (state = 'queued' OR leased_until < ?3) RETURNING {COLUMNS}"
        );
        let spent = "UPDATE jobs SET state = 'failed', error = 'it was begun too often', \
            leased_until = NULL, updated_at = ?2 WHERE kind = ?1 AND state = 'running' \
            AND leased_until < ?2 AND attempts >= ?3";
        let until = Value::Int(now.saturating_add(lease));
        let row = self.write(|sql| {
            sql.execute(spent, &[kind.into(), now.into(), MAX_ATTEMPTS.into()])?;
            sql.first(&take, &[kind.into(), until.clone(), now.into()])
        })?;
        row.as_ref().map(job).transpose()
    }

    /// Says how far a running job is and extends its lease. `false` if it is
    /// not running any more: the worker should stop.
    pub fn keep_job(
        &self,
        id: &str,
        (done, total): (i64, Option<i64>),
        now: UnixMillis,
        lease: i64,
    ) -> Result<bool, Error> {
        let values = [
            id.into(),
            Value::Int(done),
            Value::from(total),
            Value::Int(now.saturating_add(lease)),
            Value::Int(now),
        ];
        let changed = self.write(|sql| {
            sql.execute(
                "UPDATE jobs SET done = ?2, total = ?3, leased_until = ?4, updated_at = ?5 \
                 WHERE id = ?1 AND state = 'running'",
                &values,
            )
        })?;
        Ok(changed == 1)
    }

    /// Ends a running job with a result or an error. `false` if it is not
    /// running any more.
    pub fn finish_job(
        &self,
        id: &str,
        outcome: Result<&str, &str>,
        now: UnixMillis,
    ) -> Result<bool, Error> {
        let state = if outcome.is_ok() { JobState::Done } else { JobState::Failed };
        let values = [
            id.into(),
            state.name().into(),
            Value::from(outcome.ok()),
            Value::from(outcome.err()),
            Value::Int(now),
        ];
        let changed = self.write(|sql| {
            sql.execute(
                "UPDATE jobs SET state = ?2, result = ?3, error = ?4, leased_until = NULL, \
                 updated_at = ?5 WHERE id = ?1 AND state = 'running'",
                &values,
            )
        })?;
        Ok(changed == 1)
    }

    /// Puts a running job back into the queue, as if it had not been begun: its
    /// worker has to stop. `false` if it is not running any more.
    pub fn release_job(&self, id: &str, now: UnixMillis) -> Result<bool, Error> {
        let changed = self.write(|sql| {
            sql.execute(
                "UPDATE jobs SET state = 'queued', attempts = attempts - 1, leased_until = NULL, \
                 updated_at = ?2 WHERE id = ?1 AND state = 'running'",
                &[id.into(), now.into()],
            )
        })?;
        Ok(changed == 1)
    }

    /// Calls a job off. `false` if it has ended already.
    pub fn cancel_job(&self, id: &str, now: UnixMillis) -> Result<bool, Error> {
        let changed = self.write(|sql| {
            sql.execute(
                "UPDATE jobs SET state = 'cancelled', leased_until = NULL, updated_at = ?2 \
                 WHERE id = ?1 AND state IN ('queued', 'running')",
                &[id.into(), now.into()],
            )
        })?;
        Ok(changed == 1)
    }
}

fn job(row: &Row) -> Result<Job, Error> {
    Ok(Job {
        id: row.text(0)?,
        owner: row.text(1)?,
        kind: row.text(2)?,
        input: row.text(3)?,
        state: JobState::parse(&row.text(4)?)?,
        done: row.int(5)?,
        total: row.optional_int(6)?,
        attempts: row.int(7)?,
        result: row.optional_text(8)?,
        error: row.optional_text(9)?,
        created_at: row.int(10)?,
        updated_at: row.int(11)?,
    })
}
