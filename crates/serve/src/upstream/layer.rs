//! Requests for a model that a pool serves are passed on as they are.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::Value;

use crate::auth::gate::in_shape_of;
use crate::failure::{Failure, Kind};
use crate::state::App;
use crate::upstream::error::Error;
use crate::upstream::pool::{Pool, UpstreamRequest};
use crate::upstream::reply::Reply;

/// What is passed on, and where it goes below an endpoint's address.
const PASSED: [(&str, &str); 3] = [
    ("/v1/chat/completions", "/chat/completions"),
    ("/v1/completions", "/completions"),
    ("/v1/embeddings", "/embeddings"),
];

/// The layer. It looks at requests only where there are pools.
pub(crate) async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let passed = PASSED.iter().find(|(path, _)| *path == request.uri().path());
    let Some((own, path)) = passed.filter(|_| *request.method() == Method::POST) else {
        return next.run(request).await;
    };
    let pools = app.pools();
    if pools.is_empty() {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, app.limits().body_bytes).await else {
        let message = "the body is larger than this server reads, or broke off";
        return in_shape_of(own, Failure::new(Kind::TooLarge, message));
    };
    let parsed: Option<Value> = serde_json::from_slice(&bytes).ok();
    let model = parsed.as_ref().and_then(|body| body["model"].as_str());
    let pool = model.and_then(|model| pools.iter().find(|pool| pool.name() == model));
    match (pool.cloned(), parsed) {
        (Some(pool), Some(body)) => {
            let sent = UpstreamRequest { path, body, check: None };
            let limit = app.limits().request;
            let limited = tokio::time::timeout(limit, pass_on(&pool, &sent)).await;
            let late = |_| Err(Failure::new(Kind::Deadline, "no endpoint answered in time"));
            limited.unwrap_or_else(late).unwrap_or_else(|failure| in_shape_of(own, failure))
        }
        _ => next.run(Request::from_parts(head, Body::from(bytes))).await,
    }
}

async fn pass_on(pool: &Pool, request: &UpstreamRequest) -> Result<Response, Failure> {
    match pool.send(request).await? {
        Reply::Whole { status, body } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            let json = HeaderValue::from_static("application/json");
            Ok((status, [(header::CONTENT_TYPE, json)], body).into_response())
        }
        Reply::Stream(stream) => {
            let events = [
                (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            ];
            let body = Body::from_stream(stream.map(Ok::<Bytes, std::convert::Infallible>));
            Ok((events, body).into_response())
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::NoneWorks { .. } => Kind::Unavailable,
            Error::Busy { .. } => Kind::Busy,
            Error::Failed { .. } | Error::Address { .. } => Kind::Upstream,
            Error::NotJson { .. } => Kind::Invalid,
        };
        let mut failure = Self::new(kind, error.to_string());
        if let Error::NoneWorks { retry_after, .. } = error {
            failure.retry_after = Some(retry_after.as_secs() + 1);
        }
        failure
    }
}
