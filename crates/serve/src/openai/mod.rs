//! The API of OpenAI, as far as its clients need it.

mod chat;
mod completions;
mod completions_wire;
mod embeddings;
mod models;
mod parameters;
mod render;
mod responses;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use utoipa::OpenApi;

use crate::failure::Shape;
use crate::router::in_shape;
use crate::state::App;

pub(crate) use parameters::fresh_sampling;

/// The documented part of this module.
#[derive(OpenApi)]
#[openapi(paths(
    chat::create,
    completions::create,
    embeddings::create,
    models::list,
    models::get,
    responses::create,
    responses::get,
    responses::remove
))]
pub(crate) struct Api;

/// Its routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    let routes = Router::new()
        .route("/v1/models", get(models::list))
        // Ids of collections have a slash in them.
        .route("/v1/models/{*model}", get(models::get))
        .route("/v1/chat/completions", post(chat::create))
        .route("/v1/completions", post(completions::create))
        .route("/v1/embeddings", post(embeddings::create))
        .route("/v1/responses", post(responses::create))
        .route("/v1/responses/{id}", get(responses::get).delete(responses::remove));
    in_shape(Shape::OpenAi, routes)
}
