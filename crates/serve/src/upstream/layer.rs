//! Requests for a model that a pool serves are passed on as they are.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::Value;

use crate::allowance::Allowance;
use crate::auth::gate::in_shape_of;
use crate::failure::{Failure, Kind};
use crate::state::App;
use crate::trace;
use crate::upstream::error::Error;
use crate::upstream::metering::Tally;
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
    let call = request.extensions().get::<Allowance>().cloned().unwrap_or_else(Allowance::free);
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
            let tally = Tally::begin(&app, call.clone(), (&pool, path), bytes.len());
            let passing = Box::pin(pass_on(&pool, &sent, tally));
            let passed = call.wait(&app.drain, passing).await.and_then(|passed| passed);
            passed.unwrap_or_else(|failure| in_shape_of(own, failure))
        }
        _ => next.run(Request::from_parts(head, Body::from(bytes))).await,
    }
}

async fn pass_on(
    pool: &Pool,
    request: &UpstreamRequest,
    mut tally: Tally,
) -> Result<Response, Failure> {
    let reply = trace::within(tally.scope(), pool.send(request)).await;
    match reply.map_err(|error| tally.fail(error))? {
        Reply::Whole { status, body } => {
            tally.whole(&body);
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            let json = HeaderValue::from_static("application/json");
            Ok((status, [(header::CONTENT_TYPE, json)], body).into_response())
        }
        Reply::Stream(stream) => {
            let events = [
                (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            ];
            // Goes with the stream, and so counts what came also if the client goes.
            let stream = stream.map(move |piece| {
                tally.piece(&piece);
                Ok::<Bytes, std::convert::Infallible>(piece)
            });
            let body = Body::from_stream(stream);
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
