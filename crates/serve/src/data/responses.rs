//! Responses of OpenAI's API of that name, which a later request may name as the
//! one that it follows.

use crate::data::error::Error;
use crate::data::value::{Row, Value};
use crate::data::{Database, UnixMillis};

/// A kept response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// `resp_` and hexadecimal digits.
    pub id: String,
    /// The id of the key that asked.
    pub owner: String,
    /// The model that was asked for.
    pub model: String,
    /// The response that this one follows.
    pub previous: Option<String>,
    /// The items of the request and of the reply, as JSON.
    pub items: String,
    /// The response object, as JSON.
    pub body: String,
    /// When.
    pub created_at: UnixMillis,
}

impl Database {
    /// Keeps a response.
    pub fn save_response(&self, new: &StoredResponse) -> Result<(), Error> {
        let values = [
            Value::from(&new.id),
            Value::from(&new.owner),
            Value::from(&new.model),
            Value::from(new.previous.as_ref()),
            Value::from(&new.items),
            Value::from(&new.body),
            Value::Int(new.created_at),
        ];
        self.write(|sql| {
            sql.execute(
                "INSERT INTO responses (id, owner, model, previous, items, body, created_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                &values,
            )
        })?;
        Ok(())
    }

    /// A response that was given to `owner`.
    pub fn response(&self, owner: &str, id: &str) -> Result<Option<StoredResponse>, Error> {
        let query = "SELECT id, owner, model, previous, items, body, created_at FROM responses \
            WHERE id = ?1 AND owner = ?2";
        let row = self.read(|sql| sql.first(query, &[id.into(), owner.into()]))?;
        row.as_ref().map(stored).transpose()
    }

    /// Removes a response. `false` if there is none.
    pub fn remove_response(&self, owner: &str, id: &str) -> Result<bool, Error> {
        let values = [id.into(), owner.into()];
        let removed = self.write(|sql| {
            sql.execute("DELETE FROM responses WHERE id = ?1 AND owner = ?2", &values)
        })?;
        Ok(removed == 1)
    }
}

fn stored(row: &Row) -> Result<StoredResponse, Error> {
    Ok(StoredResponse {
        id: row.text(0)?,
        owner: row.text(1)?,
        model: row.text(2)?,
        previous: row.optional_text(3)?,
        items: row.text(4)?,
        body: row.text(5)?,
        created_at: row.int(6)?,
    })
}
