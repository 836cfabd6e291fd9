//! `/api/v1/ask`: a question to a collection, and what happens on the way to its
//! checked answer, as typed events.
//!
//! `runs` keeps the events of a question, so that somebody whose connection
//! broke can read on; `work` asks and makes them; `wire` has their shapes.

mod runs;
mod wire;
mod work;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};

use self::runs::{Listener, Run};
use self::wire::AskRequest;
use crate::allowance::Allowance;
use crate::auth::role::Principal;
use crate::body::Body;
use crate::cache::{self, Policy};
use crate::failure::{Failure, beginning};
use crate::query::{Named, Parameters};
use crate::sse;
use crate::state::App;

pub(crate) use runs::Runs;

/// The documented part of this module.
#[derive(OpenApi)]
#[openapi(paths(ask, events, cancel))]
pub(super) struct Api;

/// Its routes.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/ask", post(ask))
        .route("/api/v1/ask/{id}", axum::routing::delete(cancel))
        .route("/api/v1/ask/{id}/events", get(events))
}

/// Where to read on, for those who cannot send the header.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct After {
    /// Number of the last event that was read
    after: Option<usize>,
}

/// Ask a question
///
/// Server-sent events: `search`, `passages`, then `delta`, `citation` and
/// `verified` for each sentence, and `done` with the whole answer, or `error`.
/// Without `stream` the answer alone.
#[utoipa::path(post, path = "/api/v1/ask", tag = "ask", request_body = AskRequest,
    responses((status = 200, description = "A stream of events, or the answer"),
        (status = 400, description = "A parameter cannot be served"), (status = 404, description = "There is no such collection"),
        (status = 429, description = "Too many requests wait")))]
pub(super) async fn ask(
    State(app): State<Arc<App>>,
    who: Principal,
    policy: Policy,
    call: Allowance,
    Body(request): Body<AskRequest>,
) -> Result<Response, Failure> {
    let is_stream = request.stream.unwrap_or(true);
    let run = work::start(&app, &who, (call, policy), request).await?;
    let listener = Listener::new(&run, 0);
    let mut response = if is_stream {
        streamed(listener)
    } else {
        let whole = whole(listener).await?;
        let layer = whole["answer"]["cache"]["layer"].as_str().map(str::to_owned);
        cache::marked(Json(whole).into_response(), layer.as_deref())
    };
    if let Ok(id) = HeaderValue::from_str(&run.id) {
        response.headers_mut().insert("x-plumb-ask", id);
    }
    Ok(response)
}

/// Read on after a broken connection
///
/// From the event after that of the header `Last-Event-ID`, or from the first.
#[utoipa::path(get, path = "/api/v1/ask/{id}/events", tag = "ask",
    params(("id" = String, Path, description = "Its id, as `search` and the header `x-plumb-ask` say"), After),
    responses((status = 200, description = "A stream of events", content_type = "text/event-stream"),
        (status = 404, description = "There is no such question, or it is over for long")))]
pub(super) async fn events(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
    Parameters(After { after }): Parameters<After>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let run = app.runs.find(&who.id, &id).ok_or_else(|| none(&id))?;
    let last = headers.get("last-event-id").and_then(|last| last.to_str().ok());
    let last = last.and_then(|last| last.rsplit(':').next()?.parse().ok());
    Ok(streamed(Listener::new(&run, last.or(after).unwrap_or(0))))
}

/// Call a question off
#[utoipa::path(delete, path = "/api/v1/ask/{id}", tag = "ask",
    params(("id" = String, Path, description = "Its id, as `search` and the header `x-plumb-ask` say")),
    responses((status = 204, description = "It ends soon"), (status = 404, description = "There is none")))]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    who: Principal,
    Named(id): Named,
) -> Result<StatusCode, Failure> {
    app.runs.find(&who.id, &id).ok_or_else(|| none(&id))?.cancel();
    Ok(StatusCode::NO_CONTENT)
}

fn none(id: &str) -> Failure {
    let id = beginning(id);
    Failure::not_found(format!("there is no question `{id}`, or it is over for long"))
}

/// The events as they come. The listener goes with the client.
fn streamed(mut listener: Listener) -> Response {
    sse::response(move |sender| async move {
        while let Some((number, event)) = listener.next().await {
            let id = format!("{}:{number}", listener.id());
            sender.numbered(&id, (event.name, &event.data)).await?;
        }
        Ok(())
    })
}

/// What the last event says, when it has come.
async fn whole(mut listener: Listener) -> Result<serde_json::Value, Failure> {
    while listener.next().await.is_some() {}
    listener.outcome()
}
