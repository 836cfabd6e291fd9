//! Which address is served by what, and the document that says so.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use utoipa::OpenApi;

use crate::failure::{Failure, Kind, Shape, shaped};
use crate::observe::observed;
use crate::state::App;
use crate::{anthropic, auth, health, mcp, native, openai, page, rerank, upstream};

/// Plumb's HTTP API
#[derive(OpenApi)]
#[openapi(info(title = "Plumb"), paths(health::live, health::ready, health::metrics))]
struct Api;

/// The `OpenAPI` document, as served at `/openapi.json`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut api = Api::openapi();
    api.merge(openai::Api::openapi());
    api.merge(anthropic::Api::openapi());
    api.merge(rerank::Api::openapi());
    api.merge(auth::routes::Api::openapi());
    api.merge(mcp::routes::Api::openapi());
    api.merge(native::openapi());
    api
}

/// All routes.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let limit = app.settings.limits.body_bytes;
    let apis = Router::new()
        .merge(openai::routes())
        .merge(anthropic::routes())
        .merge(rerank::routes())
        .merge(in_shape(Shape::Native, auth::routes::routes()))
        .merge(in_shape(Shape::Native, native::routes(app)))
        .merge(in_shape(Shape::Native, mcp::routes::routes(app)))
        .layer(middleware::from_fn_with_state(app.clone(), accepting));
    let routes = Router::new()
        .merge(apis)
        .merge(page::routes())
        .route("/healthz", get(health::live))
        .route("/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(async || Json(openapi())))
        .fallback(async || Failure::not_found("there is nothing at this address"))
        .method_not_allowed_fallback(async || {
            Failure::new(Kind::Method, "this address does not take that method")
        })
        .layer(DefaultBodyLimit::max(limit))
        .layer(middleware::from_fn_with_state(app.clone(), upstream::layer))
        .with_state(app.clone());
    // Who is refused is counted as well.
    app.guard.before(routes).layer(middleware::from_fn_with_state(app.clone(), observed))
}

/// Refuses requests while the server stops.
async fn accepting(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    if !app.drain.is_accepting() {
        return Err(Failure::unavailable("the server is stopping"));
    }
    Ok(next.run(request).await)
}

/// Routes whose failures are written in `shape`.
pub(crate) fn in_shape(shape: Shape, routes: Router<Arc<App>>) -> Router<Arc<App>> {
    routes.layer(middleware::from_fn(move |request, next| shaped(shape, request, next)))
}
