//! `/api/v1/conversations`: questions and answers that belong together.
//!
//! They are asked in through `/api/v1/ask`, which writes a question and its answer
//! down together when the answer is there.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use plumb_answer::Turn;
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

use super::{Paging, collection};
use crate::auth::role::{Principal, Role};
use crate::body::Body;
use crate::clock;
use crate::data::{Conversation, Database, Message, Page};
use crate::failure::Failure;
use crate::query::{Named, Parameters};
use crate::state::App;

/// Bytes of a title.
const MAX_TITLE: usize = 200;
/// Characters of a question that become a title.
const TITLE_CHARS: usize = 80;

/// The documented part of this module.
#[derive(OpenApi)]
#[openapi(paths(list, create, one, rename, remove))]
pub(super) struct Api;

/// Its routes.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/conversations", get(list).post(create))
        .route("/api/v1/conversations/{id}", get(one).patch(rename).delete(remove))
}

/// A conversation that is to begin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// May be left out where there is one.
    collection: Option<String>,
    /// Without one it is called after its first question.
    #[serde(default)]
    title: String,
}

/// Another title.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Renamed {
    title: String,
}

/// Conversations, last written to first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Conversations {
    conversations: Vec<Conversation>,
}

/// A conversation with what was said in it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Whole {
    #[serde(flatten)]
    conversation: Conversation,
    /// In their order.
    items: Vec<Message>,
}

/// List one's conversations
#[utoipa::path(get, path = "/api/v1/conversations", tag = "conversations", params(Paging),
    responses((status = 200, body = Conversations)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    who: Principal,
    Parameters(paging): Parameters<Paging>,
) -> Result<Json<Conversations>, Failure> {
    let (owner, page) = (who.id.clone(), Page::from(paging));
    let read = app.guard.database().call(move |data| data.conversations(&owner, &page)).await;
    let mut conversations = read?;
    conversations.retain(|conversation| who.sees(&conversation.collection));
    Ok(Json(Conversations { conversations }))
}

/// Begin a conversation
#[utoipa::path(post, path = "/api/v1/conversations", tag = "conversations", request_body = New,
    responses((status = 201, body = Conversation), (status = 404, description = "There is no such collection")))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    who: Principal,
    Body(new): Body<New>,
) -> Result<(StatusCode, Json<Conversation>), Failure> {
    let collection = collection(&app, &who, new.collection.as_deref(), Role::Read)?;
    check_title(&new.title)?;
    let make = move |data: &Database| {
        data.create_conversation(&who.id, &collection.name, new.title.trim(), clock::now())
    };
    let made = app.guard.database().call(make).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Read a conversation
#[utoipa::path(get, path = "/api/v1/conversations/{id}", tag = "conversations",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = Whole), (status = 404, description = "There is none")))]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
) -> Result<Json<Whole>, Failure> {
    read(&app, &who, &id).await.map(|(conversation, items)| Json(Whole { conversation, items }))
}

/// Give a conversation another title
#[utoipa::path(patch, path = "/api/v1/conversations/{id}", tag = "conversations", request_body = Renamed,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = Conversation), (status = 404, description = "There is none")))]
pub(super) async fn rename(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
    Body(Renamed { title }): Body<Renamed>,
) -> Result<Json<Conversation>, Failure> {
    check_title(&title)?;
    if title.trim().is_empty() {
        return Err(Failure::invalid("title", "`title` is empty"));
    }
    let (owner, wanted) = (who.id.clone(), id.clone());
    let rename = move |data: &Database| data.rename_conversation(&owner, &wanted, title.trim());
    app.guard.database().call(rename).await?;
    read(&app, &who, &id).await.map(|(conversation, _)| Json(conversation))
}

/// Remove a conversation with what was said in it
#[utoipa::path(delete, path = "/api/v1/conversations/{id}", tag = "conversations",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 204, description = "It is gone"), (status = 404, description = "There is none")))]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
) -> Result<StatusCode, Failure> {
    let wanted = id.clone();
    let delete = move |data: &Database| data.delete_conversation(&who.id, &wanted);
    if app.guard.database().call(delete).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(none(&id))
}

/// A conversation of `who` with its messages. One in a collection that the key
/// may not see any more is none.
pub(super) async fn read(
    app: &App,
    who: &Principal,
    id: &str,
) -> Result<(Conversation, Vec<Message>), Failure> {
    let (owner, wanted) = (who.id.clone(), id.to_owned());
    let read = move |data: &Database| {
        let found = data.conversation(&owner, &wanted)?;
        Ok((found, data.messages(&owner, &wanted, 0)?))
    };
    let (found, messages) = app.guard.database().call(read).await?;
    let found = found.filter(|conversation| who.sees(&conversation.collection));
    found.map(|conversation| (conversation, messages)).ok_or_else(|| none(id))
}

/// The turns that a next question may refer to.
pub(super) fn turns(messages: &[Message]) -> Vec<Turn> {
    let mut turns = Vec::new();
    let mut open: Option<&Message> = None;
    for message in messages {
        match (message.role.as_str(), open.take()) {
            ("user", _) => open = Some(message),
            ("assistant", Some(question)) => turns
                .push(Turn { question: question.content.clone(), answer: message.content.clone() }),
            _ => {}
        }
    }
    turns
}

/// What a conversation is called that begins with `question`.
pub(super) fn title_of(question: &str) -> String {
    let words: String = question.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = words.chars().take(TITLE_CHARS).collect();
    if short.len() < words.len() { format!("{}...", short.trim_end()) } else { short }
}

fn check_title(title: &str) -> Result<(), Failure> {
    if title.len() <= MAX_TITLE {
        return Ok(());
    }
    let message = format!("`title` has {} bytes; it may have {MAX_TITLE}", title.len());
    Err(Failure::invalid("title", message))
}

fn none(id: &str) -> Failure {
    Failure::no_such("conversation", id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_beginning_of_the_first_question() {
        assert_eq!(title_of("  What\n is dropout? "), "What is dropout?");
        let long = title_of(&"\u{e4}b ".repeat(100));
        assert!(long.ends_with("...") && long.chars().count() <= TITLE_CHARS + 3, "{long}");
    }
}
