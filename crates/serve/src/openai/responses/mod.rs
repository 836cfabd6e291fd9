//! `/v1/responses`: conversations in OpenAI's newer words.
//!
//! A request is turned into a [`Conversation`] as those of the other APIs are;
//! what is said in reply becomes items, whole or as typed events. A response is
//! kept unless `store` is false, so that the next can name it as the one before.
//!
//! - `wire` is what requests hold, `input` turns their items into messages;
//! - `output` builds the items of a reply and the events on the way;
//! - `kept` is what is remembered of a response.

mod input;
mod kept;
mod output;
mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use self::kept::Kept;
use self::output::Writing;
use self::wire::ResponsesRequest;
use crate::allowance::Allowance;
use crate::auth::role::Principal;
use crate::body::Body;
use crate::cache::{self, Policy};
use crate::conversation::{self, Replying};
use crate::data::random_hex;
use crate::failure::{Failure, Shape};
use crate::observe::Labels;
use crate::query::Named;
use crate::sse::{self, Gone, Sender};
use crate::state::App;

/// Answer a conversation, in items
///
/// The model `docs/COLLECTION` answers from the documents, with citations in
/// `annotations` and the whole answer in `plumb`.
#[utoipa::path(post, path = "/v1/responses", tag = "openai",
    request_body = ResponsesRequest,
    responses(
        (status = 200, description = "A response, or a stream of typed events"),
        (status = 400, description = "A parameter cannot be served, or the prompt is too long"),
        (status = 404, description = "There is no such model, or no such response before"),
        (status = 429, description = "Too many requests wait")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    who: Principal,
    policy: Policy,
    call: Allowance,
    Body(request): Body<ResponsesRequest>,
) -> Result<Response, Failure> {
    let labels = Labels { model: Some(request.model.clone()) };
    let items = request.items()?;
    let before = match &request.previous_response_id {
        Some(id) => kept::items_up_to(&app, &who, id).await?,
        None => Vec::new(),
    };
    let mut conversation = request.conversation(&before, &items)?;
    conversation.policy = policy.and(request.plumb);
    let replying = conversation::start(&app, &who, conversation, &call).await?;
    let kept = request.store.unwrap_or(true).then(|| Kept::new(&who, &request, items));
    let id = format!("resp_{}", random_hex::<16>()?);
    let writing = Writing::new(&id, &request, &replying);
    let is_kept = replying.is_kept();
    let mut response = if request.stream.unwrap_or(false) {
        cache::marked_exact(stream(app, replying, writing, kept), is_kept)
    } else {
        whole(&app, replying, writing, kept).await?
    };
    response.extensions_mut().insert(labels);
    Ok(response)
}

/// Read a response again
#[utoipa::path(get, path = "/v1/responses/{id}", tag = "openai",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The response"), (status = 404, description = "There is none")))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
) -> Result<Json<Value>, Failure> {
    kept::body(&app, &who, &id).await.map(Json)
}

/// Remove a response
#[utoipa::path(delete, path = "/v1/responses/{id}", tag = "openai",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "It is gone"), (status = 404, description = "There is none")))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
) -> Result<(StatusCode, Json<Value>), Failure> {
    kept::remove(&app, &who, &id).await?;
    Ok((StatusCode::OK, Json(json!({"id": id, "object": "response", "deleted": true}))))
}

async fn whole(
    app: &App,
    mut replying: Replying,
    mut writing: Writing,
    kept: Option<Kept>,
) -> Result<Response, Failure> {
    while let Some(said) = replying.next().await? {
        writing.take(said);
    }
    writing.end(replying.usage());
    let response = writing.response();
    if let Some(kept) = kept {
        kept.save(app, &response).await?;
    }
    Ok(cache::marked(Json(response).into_response(), writing.layer()))
}

fn stream(
    app: Arc<App>,
    mut replying: Replying,
    mut writing: Writing,
    kept: Option<Kept>,
) -> Response {
    sse::response(move |sender: Arc<Sender>| async move {
        writing.begin();
        send(&sender, &mut writing).await?;
        loop {
            match replying.next().await {
                Ok(Some(said)) => writing.take(said),
                Ok(None) => break,
                Err(failure) => return fail(&sender, &mut writing, &failure).await,
            }
            send(&sender, &mut writing).await?;
        }
        writing.end(replying.usage());
        // Kept before it is said to be complete: the next may name it at once.
        if let Some(kept) = kept
            && let Err(failure) = kept.save(&app, &writing.response()).await
        {
            return fail(&sender, &mut writing, &failure).await;
        }
        send(&sender, &mut writing).await
    })
}

async fn fail(sender: &Sender, writing: &mut Writing, failure: &Failure) -> Result<(), Gone> {
    let error = &failure.body(Shape::OpenAi)["error"];
    let code = error["code"].as_str().or(error["type"].as_str()).unwrap_or("server_error");
    writing.fail(code, &failure.message);
    send(sender, writing).await
}

async fn send(sender: &Sender, writing: &mut Writing) -> Result<(), Gone> {
    for (name, event) in writing.events() {
        sender.named(name, &event).await?;
    }
    Ok(())
}
