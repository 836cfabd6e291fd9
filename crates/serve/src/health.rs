//! Whether the process lives, whether it serves, and its numbers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::auth::role::{Principal, Scope};
use crate::failure::{Failure, Kind};
use crate::state::App;

/// The process answers
#[utoipa::path(get, path = "/healthz", tag = "operations",
    responses((status = 200, description = "The process is alive")))]
pub(crate) async fn live() -> Json<serde_json::Value> {
    Json(json!({"status": "alive"}))
}

/// Models and collections are open, and the server is not stopping
#[utoipa::path(get, path = "/ready", tag = "operations",
    responses(
        (status = 200, description = "Requests are served"),
        (status = 503, description = "Still loading, or stopping")))]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<Response, Failure> {
    if !app.drain.is_accepting() {
        return Err(Failure::unavailable("the server is stopping"));
    }
    app.ready()?;
    // Nobody needs a key to ask this, so that it names neither models nor collections.
    Ok(Json(json!({"status": "ready"})).into_response())
}

/// Numbers in the text format of Prometheus
///
/// They name keys and collections, so a key of some collections does not get them.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses(
        (status = 200, description = "Counters, histograms and gauges", body = String),
        (status = 403, description = "The key is one of some collections only")))]
pub(crate) async fn metrics(
    State(app): State<Arc<App>>,
    who: Principal,
) -> Result<Response, Failure> {
    if !who.may_grant(&Scope::All) {
        let why = "numbers are of all collections, and this key is one of some: make a key \
                   without --collection";
        return Err(Failure::new(Kind::Forbidden, why));
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, app.metrics.text(&app)).into_response())
}
