//! Answers as they were given, and what readers thought of them.

use serde::Serialize;

use crate::data::error::Error;
use crate::data::value::{Row, Value};
use crate::data::{Database, Page, UnixMillis};

/// An answer that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAnswer {
    /// The id that the answer has given itself.
    pub id: String,
    /// The id of the key that asked.
    pub owner: String,
    /// The collection that was asked.
    pub collection: String,
    /// The question as it was asked.
    pub question: String,
    /// `answered` or `abstained`.
    pub status: String,
    /// The snapshot that was answered from.
    pub snapshot: String,
    /// The answer object, as JSON.
    pub body: String,
    /// What a replay needs besides: settings, history, what a remote model
    /// wrote; JSON.
    pub replay: String,
}

/// A kept answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// What was kept.
    pub answer: NewAnswer,
    /// When.
    pub created_at: UnixMillis,
}

/// Feedback with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedAnswer {
    /// What was thought.
    pub feedback: Feedback,
    /// The collection that was asked.
    pub collection: String,
    /// The question as it was asked.
    pub question: String,
}

/// What a reader thought of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Feedback {
    /// The id of the answer.
    pub answer: String,
    /// The id of the key that judged.
    pub owner: String,
    /// 1 is good, -1 is bad.
    pub rating: i64,
    /// Why; may be empty.
    pub comment: String,
    /// When.
    pub created_at: UnixMillis,
}

const COLUMNS: &str = "id, owner, collection, question, status, snapshot, body, replay, created_at";

impl Database {
    /// Keeps an answer. An answer with the same id from the same owner takes
    /// the place of the first: ids follow from the content, so that several
    /// owners may have one each.
    pub fn save_answer(&self, new: &NewAnswer, at: UnixMillis) -> Result<(), Error> {
        let values = [
            Value::from(&new.id),
            Value::from(&new.owner),
            Value::from(&new.collection),
            Value::from(&new.question),
            Value::from(&new.status),
            Value::from(&new.snapshot),
            Value::from(&new.body),
            Value::from(&new.replay),
            Value::Int(at),
        ];
        self.write(|sql| {
            sql.execute(
                "INSERT INTO answers (id, owner, collection, question, status, snapshot, body, \
                 replay, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
                 ON CONFLICT (id, owner) DO UPDATE SET body = excluded.body, \
                 replay = excluded.replay, created_at = excluded.created_at",
                &values,
            )
        })?;
        Ok(())
    }

    /// An answer that was given to `owner`.
    pub fn answer(&self, owner: &str, id: &str) -> Result<Option<StoredAnswer>, Error> {
        let query = format!("SELECT {COLUMNS} FROM answers WHERE id = ?1 AND owner = ?2");
        let row = self.read(|sql| sql.first(&query, &[id.into(), owner.into()]))?;
        row.as_ref().map(stored).transpose()
    }

    /// The answers given to `owner`, newest first.
    pub fn answers(&self, owner: &str, page: &Page) -> Result<Vec<StoredAnswer>, Error> {
        let query = format!(
            "SELECT {COLUMNS} FROM answers WHERE owner = ?1 AND (?2 = '' OR EXISTS \
             (SELECT 1 FROM answers AS seen WHERE seen.id = ?2 AND seen.owner = ?1 AND \
             (answers.created_at < seen.created_at OR (answers.created_at = seen.created_at \
             AND answers.id < seen.id)))) ORDER BY created_at DESC, id DESC LIMIT ?3"
        );
        let values = [owner.into(), page.after(), page.limit()];
        let rows = self.read(|sql| sql.query(&query, &values))?;
        rows.iter().map(stored).collect()
    }

    /// Sets what the owner of the feedback thinks of an answer given to them.
    /// `false` if there is no such answer.
    pub fn set_feedback(&self, feedback: &Feedback) -> Result<bool, Error> {
        let values = [
            Value::from(&feedback.answer),
            Value::from(&feedback.owner),
            Value::Int(feedback.rating.clamp(-1, 1)),
            Value::from(&feedback.comment),
            Value::Int(feedback.created_at),
        ];
        let written = self.write(|sql| {
            let known = "SELECT id FROM answers WHERE id = ?1 AND owner = ?2";
            if sql.first(known, &values[..2])?.is_none() {
                return Ok(0);
            }
            sql.execute(
                "INSERT INTO feedback (answer, owner, rating, comment, created_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (answer, owner) DO UPDATE SET \
                 rating = excluded.rating, comment = excluded.comment, \
                 created_at = excluded.created_at",
                &values,
            )
        })?;
        Ok(written == 1)
    }

    /// What `owner` thought of an answer given to them.
    pub fn feedback_on(&self, owner: &str, answer: &str) -> Result<Option<Feedback>, Error> {
        let query = "SELECT answer, owner, rating, comment, created_at FROM feedback \
            WHERE answer = ?1 AND owner = ?2";
        let row = self.read(|sql| sql.first(query, &[answer.into(), owner.into()]))?;
        row.as_ref().map(judged).transpose()
    }

    /// Takes back what `owner` thought of an answer. `false` if that is nothing.
    pub fn remove_feedback(&self, owner: &str, answer: &str) -> Result<bool, Error> {
        let values = [answer.into(), owner.into()];
        let removed = self.write(|sql| {
            sql.execute("DELETE FROM feedback WHERE answer = ?1 AND owner = ?2", &values)
        })?;
        Ok(removed == 1)
    }

    /// All feedback, newest first, for whoever looks after the service.
    pub fn feedback(&self, limit: u32) -> Result<Vec<JudgedAnswer>, Error> {
        let rows = self.read(|sql| {
            sql.query(
                "SELECT feedback.answer, feedback.owner, rating, comment, feedback.created_at, \
                 collection, question FROM feedback JOIN answers \
                 ON answers.id = feedback.answer AND answers.owner = feedback.owner \
                 ORDER BY feedback.created_at DESC, feedback.answer DESC, feedback.owner LIMIT ?1",
                &[Value::Int(i64::from(limit.clamp(1, 1000)))],
            )
        })?;
        let all = rows.iter().map(|row| {
            Ok(JudgedAnswer {
                feedback: judged(row)?,
                collection: row.text(5)?,
                question: row.text(6)?,
            })
        });
        all.collect()
    }
}

fn judged(row: &Row) -> Result<Feedback, Error> {
    Ok(Feedback {
        answer: row.text(0)?,
        owner: row.text(1)?,
        rating: row.int(2)?,
        comment: row.text(3)?,
        created_at: row.int(4)?,
    })
}

fn stored(row: &Row) -> Result<StoredAnswer, Error> {
    Ok(StoredAnswer {
        answer: NewAnswer {
            id: row.text(0)?,
            owner: row.text(1)?,
            collection: row.text(2)?,
            question: row.text(3)?,
            status: row.text(4)?,
            snapshot: row.text(5)?,
            body: row.text(6)?,
            replay: row.text(7)?,
        },
        created_at: row.int(8)?,
    })
}
