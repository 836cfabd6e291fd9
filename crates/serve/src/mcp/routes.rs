//! `/mcp`: the streamable HTTP transport.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use utoipa::OpenApi;

use crate::allowance::Allowance;
use crate::auth::role::Principal;
use crate::failure::Failure;
use crate::mcp::collections::Served;
use crate::mcp::http;
use crate::mcp::protocol::Server;
use crate::state::App;

/// The transport's part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(paths(message))]
pub(crate) struct Api;

/// The route.
pub(crate) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let server = Server::new(Arc::new(Served(app.clone())));
    Router::new().route("/mcp", post(message)).layer(axum::Extension(server))
}

/// Send a message of the Model Context Protocol
#[utoipa::path(post, path = "/mcp", tag = "mcp", request_body = Object,
    responses((status = 200, description = "The answer, as JSON-RPC"), (status = 202, description = "Nothing is answered to a notification"),
        (status = 400, description = "Not a message of the protocol"), (status = 415, description = "Not JSON")))]
pub(crate) async fn message(
    State(app): State<Arc<App>>,
    axum::Extension(server): axum::Extension<Server>,
    (who, call): (Principal, Allowance),
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failure> {
    http::check(&headers)?;
    call.guess();
    app.workers.run(move || http::answer(&server, &who, &body)).await
}
