//! What is remembered of responses: their items, so that a conversation can go
//! on from any of them, and the response itself.

use serde_json::{Value, json};

use super::wire::ResponsesRequest;
use crate::auth::role::Principal;
use crate::clock;
use crate::data::{self, Database, StoredResponse};
use crate::failure::{Failure, beginning, chain};
use crate::state::{App, COLLECTION_PREFIX};

/// Responses that a conversation may go back; those before are forgotten.
const MOST_BEFORE: usize = 500;

/// A response that is to be kept.
pub(super) struct Kept {
    owner: String,
    model: String,
    previous: Option<String>,
    /// Of the request.
    items: Vec<Value>,
}

impl Kept {
    pub(super) fn new(who: &Principal, request: &ResponsesRequest, items: Vec<Value>) -> Self {
        Self {
            owner: who.id.clone(),
            model: request.model.clone(),
            previous: request.previous_response_id.clone(),
            items,
        }
    }

    /// Keeps `response`.
    pub(super) async fn save(mut self, app: &App, response: &Value) -> Result<(), Failure> {
        let output = response["output"].as_array().cloned().unwrap_or_default();
        self.items.extend(output);
        let stored = StoredResponse {
            id: response["id"].as_str().unwrap_or_default().to_owned(),
            owner: self.owner,
            model: self.model,
            previous: self.previous,
            items: json!(self.items).to_string(),
            body: response.to_string(),
            created_at: clock::now(),
        };
        app.guard
            .database()
            .call(move |data| data.save_response(&stored))
            .await
            .map_err(Failure::from)
    }
}

/// The items of a response and of all before it, oldest first.
pub(super) async fn items_up_to(
    app: &App,
    who: &Principal,
    id: &str,
) -> Result<Vec<Value>, Failure> {
    let (owner, last) = (who.id.clone(), id.to_owned());
    let read = app.guard.database().call(move |data| line(data, &owner, last)).await;
    let mut items = Vec::new();
    for response in read?.map_err(|missing| none(&missing))? {
        check(who, &response)?;
        let own: Result<Vec<Value>, _> = serde_json::from_str(&response.items);
        items.push(own.map_err(|error| Failure::internal(chain(&error)))?);
    }
    Ok(items.into_iter().rev().flatten().collect())
}

/// A response and those before it, newest first; or the id of one that is not
/// there.
fn line(
    data: &Database,
    owner: &str,
    last: String,
) -> Result<Result<Vec<StoredResponse>, String>, data::Error> {
    let mut found: Vec<StoredResponse> = Vec::new();
    let mut next = Some(last);
    while let Some(id) = next.take().filter(|_| found.len() < MOST_BEFORE) {
        let Some(response) = data.response(owner, &id)? else { return Ok(Err(id)) };
        next.clone_from(&response.previous);
        found.push(response);
    }
    Ok(Ok(found))
}

/// A response as it was given.
pub(super) async fn body(app: &App, who: &Principal, id: &str) -> Result<Value, Failure> {
    let (owner, wanted) = (who.id.clone(), id.to_owned());
    let read = app.guard.database().call(move |data| data.response(&owner, &wanted)).await;
    let found = read?.ok_or_else(|| none(id))?;
    check(who, &found)?;
    serde_json::from_str(&found.body).map_err(|error| Failure::internal(chain(&error)))
}

/// Removes a response.
pub(super) async fn remove(app: &App, who: &Principal, id: &str) -> Result<(), Failure> {
    let (owner, wanted) = (who.id.clone(), id.to_owned());
    let remove = app.guard.database().call(move |data| data.remove_response(&owner, &wanted)).await;
    if remove? { Ok(()) } else { Err(none(id)) }
}

/// What was said of a collection that the key may not see any more is not there.
fn check(who: &Principal, response: &StoredResponse) -> Result<(), Failure> {
    match response.model.strip_prefix(COLLECTION_PREFIX) {
        Some(collection) if !who.sees(collection) => Err(none(&response.id)),
        _ => Ok(()),
    }
}

fn none(id: &str) -> Failure {
    let id = beginning(id);
    let message = format!("there is no response `{id}`: it was not kept, or is not yours");
    Failure { param: Some("previous_response_id".to_owned()), ..Failure::not_found(message) }
}
