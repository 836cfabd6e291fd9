//! Every request is counted, timed and logged when its last byte is sent, or
//! when its client goes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;

use crate::allowance::Arrived;
use crate::clock;
use crate::failure::Failure;
use crate::observe::Level;
use crate::shutdown::Running;
use crate::state::App;
use crate::trace::Span;

/// What a handler adds to the line of log of its request, as an extension of
/// the response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    pub(crate) model: Option<String>,
}

/// One request, noted when it is dropped.
struct Observation {
    span: Span,
    app: Arc<App>,
    id: String,
    endpoint: String,
    method: String,
    started: Instant,
    status: u16,
    failure: Option<&'static str>,
    model: Option<String>,
    is_whole: bool,
    /// Keeps the server from stopping before this is done.
    _running: Option<Running>,
}

impl Drop for Observation {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.span.set("http.response.status_code", usize::from(self.status));
        match self.failure {
            // Who asks for what cannot be is no fault of the server.
            kind if self.status >= 500 => self.span.fail(kind.unwrap_or("internal"), ""),
            Some(kind) => self.span.set("error.type", kind),
            None => {}
        }
        let metrics = &self.app.metrics;
        metrics.requests.add(&[&self.endpoint, &self.status.to_string()], 1);
        metrics.request_seconds.observe(&[&self.endpoint], seconds);
        if let Some(kind) = self.failure {
            metrics.failures.add(&[&self.endpoint, kind], 1);
        }
        let level = match self.status {
            500.. => Level::Error,
            // Who goes before the end is refused nothing.
            499 => Level::Info,
            400.. => Level::Warn,
            _ => Level::Info,
        };
        self.app.log.write_at(
            level,
            "request",
            json!({
                "id": self.id,
                "method": self.method,
                "endpoint": self.endpoint,
                "status": self.status,
                "error": self.failure,
                "model": self.model,
                "seconds": seconds,
                "complete": self.is_whole,
            }),
        );
    }
}

/// The layer around all routes.
pub(crate) async fn observed(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let endpoint = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = app.tracer.request(request.method().as_str(), &endpoint, request.headers());
    request.extensions_mut().insert(Arrived(started));
    request.extensions_mut().insert(span.scope());
    let mut observation = Observation {
        span,
        id: clock::new_id("req-"),
        method: request.method().to_string(),
        endpoint,
        started,
        // What is logged if the client goes before there is a response.
        status: 499,
        failure: None,
        model: None,
        is_whole: false,
        _running: app.drain.enter(),
        app,
    };
    let mut response = next.run(request).await;
    observation.status = response.status().as_u16();
    observation.failure = response.extensions().get::<Failure>().map(|f| f.kind.label());
    observation.model = response.extensions().get::<Labels>().and_then(|l| l.model.clone());
    if let Ok(id) = HeaderValue::from_str(&observation.id) {
        response.headers_mut().insert("x-request-id", id);
    }
    let (head, body) = response.into_parts();
    Response::from_parts(head, Body::new(Watched { body, observation }))
}

/// A body that notes its own end.
struct Watched {
    body: Body,
    observation: Observation,
}

impl HttpBody for Watched {
    type Data = axum::body::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None)) || self.body.is_end_stream() {
            self.observation.is_whole = true;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
