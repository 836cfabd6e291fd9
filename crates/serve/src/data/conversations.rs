//! Conversations and their messages. Every call names the owner, so that no
//! caller can forget whose conversations it may see.

use serde::Serialize;
use utoipa::ToSchema;

use crate::data::error::Error;
use crate::data::id::new_id;
use crate::data::value::{Row, Value};
use crate::data::{Database, Page, Statements, UnixMillis};

/// A conversation, without its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Conversation {
    /// `conv_` and hexadecimal digits.
    pub id: String,
    /// The id of the key that made it.
    #[serde(skip)]
    pub owner: String,
    /// The collection that it asks.
    pub collection: String,
    /// What a list shows; may be empty.
    pub title: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it was last written to.
    pub updated_at: UnixMillis,
    /// How many messages it has.
    pub messages: i64,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ConversationMessage)]
pub struct Message {
    /// `msg_` and hexadecimal digits.
    pub id: String,
    /// The conversation that it belongs to.
    pub conversation: String,
    /// From 1, without gaps, in the order of writing.
    pub position: i64,
    /// `user`, `assistant` or `system`.
    pub role: String,
    /// The text.
    pub content: String,
    /// The stored answer that the text is, if it is one.
    pub answer: Option<String>,
    /// When it was written.
    pub created_at: UnixMillis,
}

/// A message that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// `user`, `assistant` or `system`.
    pub role: String,
    /// The text.
    pub content: String,
    /// The stored answer that the text is, if it is one.
    pub answer: Option<String>,
}

const COLUMNS: &str = "id, owner, collection, title, created_at, updated_at, messages";

impl Database {
    /// Begins a conversation.
    pub fn create_conversation(
        &self,
        owner: &str,
        collection: &str,
        title: &str,
        at: UnixMillis,
    ) -> Result<Conversation, Error> {
        let conversation = Conversation {
            id: new_id("conv", at)?,
            owner: owner.to_owned(),
            collection: collection.to_owned(),
            title: title.to_owned(),
            created_at: at,
            updated_at: at,
            messages: 0,
        };
        let values = [
            Value::from(&conversation.id),
            Value::from(owner),
            Value::from(collection),
            Value::from(title),
            Value::Int(at),
        ];
        self.write(|sql| {
            sql.execute(
                "INSERT INTO conversations \
                 (id, owner, collection, title, created_at, updated_at, messages) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0)",
                &values,
            )
        })?;
        Ok(conversation)
    }

    /// A conversation of `owner`.
    pub fn conversation(&self, owner: &str, id: &str) -> Result<Option<Conversation>, Error> {
        let query = format!("SELECT {COLUMNS} FROM conversations WHERE id = ?1 AND owner = ?2");
        let row = self.read(|sql| sql.first(&query, &[id.into(), owner.into()]))?;
        row.as_ref().map(conversation).transpose()
    }

    /// The conversations of `owner`, last written to first.
    pub fn conversations(&self, owner: &str, page: &Page) -> Result<Vec<Conversation>, Error> {
        // The place of the last row of the page before, so that rows which
        // come in between shift nothing.
        let query = format!(
            "SELECT {COLUMNS} FROM conversations WHERE owner = ?1 AND (?2 = '' OR EXISTS \
             (SELECT 1 FROM conversations AS seen WHERE seen.id = ?2 AND seen.owner = ?1 AND \
             (conversations.updated_at < seen.updated_at OR (conversations.updated_at = \
             seen.updated_at AND conversations.id < seen.id)))) \
             ORDER BY updated_at DESC, id DESC LIMIT ?3"
        );
        let values = [owner.into(), page.after(), page.limit()];
        let rows = self.read(|sql| sql.query(&query, &values))?;
        rows.iter().map(conversation).collect()
    }

    /// Gives a conversation another title. `false` if there is none.
    pub fn rename_conversation(&self, owner: &str, id: &str, title: &str) -> Result<bool, Error> {
        let values = [title.into(), id.into(), owner.into()];
        let changed = self.write(|sql| {
            sql.execute("UPDATE conversations SET title = ?1 WHERE id = ?2 AND owner = ?3", &values)
        })?;
        Ok(changed == 1)
    }

    /// Removes a conversation with its messages. `false` if there is none.
    pub fn delete_conversation(&self, owner: &str, id: &str) -> Result<bool, Error> {
        let values = [id.into(), owner.into()];
        let changed = self.write(|sql| {
            sql.execute("DELETE FROM conversations WHERE id = ?1 AND owner = ?2", &values)
        })?;
        Ok(changed == 1)
    }

    /// Adds messages to the end of a conversation, all or none.
    pub fn add_messages(
        &self,
        owner: &str,
        conversation: &str,
        messages: &[NewMessage],
        at: UnixMillis,
    ) -> Result<Vec<Message>, Error> {
        self.write(|sql| {
            let mut written = Vec::with_capacity(messages.len());
            for message in messages {
                let position = next_position(sql, owner, conversation, at)?;
                written.push(insert(sql, message, (conversation, position, at))?);
            }
            Ok(written)
        })
    }

    /// The messages of a conversation of `owner` after a position, in order;
    /// 0 is before the first.
    pub fn messages(
        &self,
        owner: &str,
        conversation: &str,
        after: i64,
    ) -> Result<Vec<Message>, Error> {
        let values = [conversation.into(), owner.into(), Value::Int(after)];
        let rows = self.read(|sql| {
            sql.query(
                "SELECT messages.id, conversation, position, role, content, answer, \
                 messages.created_at FROM messages \
                 JOIN conversations ON conversations.id = messages.conversation \
                 WHERE conversation = ?1 AND owner = ?2 AND position > ?3 ORDER BY position",
                &values,
            )
        })?;
        rows.iter().map(message).collect()
    }
}

/// Counts one message more. The changed row is locked until the commit, so that
/// writers of one conversation take turns and positions have no gaps.
fn next_position(
    sql: &mut dyn Statements,
    owner: &str,
    conversation: &str,
    at: UnixMillis,
) -> Result<i64, Error> {
    let counted = sql.first(
        "UPDATE conversations SET messages = messages + 1, updated_at = ?1 \
         WHERE id = ?2 AND owner = ?3 RETURNING messages",
        &[Value::Int(at), conversation.into(), owner.into()],
    )?;
    let missing = || Error::NotFound { what: "conversation", id: conversation.to_owned() };
    counted.ok_or_else(missing)?.int(0)
}

fn insert(
    sql: &mut dyn Statements,
    new: &NewMessage,
    (conversation, position, at): (&str, i64, UnixMillis),
) -> Result<Message, Error> {
    let id = new_id("msg", at)?;
    sql.execute(
        "INSERT INTO messages (id, conversation, position, role, content, answer, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        &[
            (&id).into(),
            conversation.into(),
            Value::Int(position),
            (&new.role).into(),
            (&new.content).into(),
            new.answer.as_ref().into(),
            Value::Int(at),
        ],
    )?;
    Ok(Message {
        id,
        conversation: conversation.to_owned(),
        position,
        role: new.role.clone(),
        content: new.content.clone(),
        answer: new.answer.clone(),
        created_at: at,
    })
}

fn conversation(row: &Row) -> Result<Conversation, Error> {
    Ok(Conversation {
        id: row.text(0)?,
        owner: row.text(1)?,
        collection: row.text(2)?,
        title: row.text(3)?,
        created_at: row.int(4)?,
        updated_at: row.int(5)?,
        messages: row.int(6)?,
    })
}

fn message(row: &Row) -> Result<Message, Error> {
    Ok(Message {
        id: row.text(0)?,
        conversation: row.text(1)?,
        position: row.int(2)?,
        role: row.text(3)?,
        content: row.text(4)?,
        answer: row.optional_text(5)?,
        created_at: row.int(6)?,
    })
}
