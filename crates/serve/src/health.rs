//! Whether the process lives, whether it serves, and its numbers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::failure::Failure;
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
    let loaded = app.ready()?;
    let names = |served: Vec<String>| served;
    let body = json!({
        "status": "ready",
        "models": names(loaded.generators.iter().map(|g| g.id.name.clone()).collect()),
        "collections": names(loaded.collections.iter().map(|c| c.name.clone()).collect()),
    });
    Ok(Json(body).into_response())
}

/// Numbers in the text format of Prometheus
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "Counters, histograms and gauges", body = String)))]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, app.metrics.text(&app))
}
