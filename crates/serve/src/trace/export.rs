//! Sending spans to a collector, in batches, beside everything else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout, timeout_at};

use super::span::Finished;
use super::{TraceSettings, Tracer, otlp};
use crate::upstream::{Web, connections};

/// Attempts for one batch.
const ATTEMPTS: u32 = 4;

/// What a collector said.
enum Outcome {
    Taken,
    /// It may take it later.
    Later,
    /// It will never take it.
    Never,
}

/// Sends finished spans until the tracer is closed. Ends at once where nothing
/// is recorded.
pub async fn export(tracer: Arc<Tracer>) {
    let (Some(settings), Some(mut spans)) = (&tracer.settings, tracer.receiver()) else { return };
    let web = connections(settings.timeout.min(Duration::from_secs(5)));
    loop {
        let (batch, is_last) = gather(&tracer, settings, &mut spans).await;
        if !batch.is_empty() {
            let attempts = if is_last { 1 } else { ATTEMPTS };
            let outcome = send(&web, settings, &batch, attempts).await;
            tracer.spans.add(&[outcome], batch.len() as u64);
        }
        if is_last && spans.is_empty() {
            return;
        }
        if is_last {
            // More than a batch is left: it is closed still.
            tracer.close();
        }
    }
}

/// Waits for a batch: until it is full, or for some time after its first span.
async fn gather(
    tracer: &Tracer,
    settings: &TraceSettings,
    spans: &mut mpsc::Receiver<Finished>,
) -> (Vec<Finished>, bool) {
    let size = settings.batch.max(1);
    let mut batch = Vec::new();
    let mut is_last = false;
    tokio::select! {
        _ = spans.recv_many(&mut batch, size) => {}
        () = tracer.closing.notified() => is_last = true,
    }
    let until = tokio::time::Instant::now() + settings.every;
    while batch.len() < size && !is_last {
        let left = size - batch.len();
        tokio::select! {
            more = timeout_at(until, spans.recv_many(&mut batch, left)) => {
                if more.is_err() {
                    break;
                }
            }
            () = tracer.closing.notified() => is_last = true,
        }
    }
    while batch.len() < size
        && let Ok(span) = spans.try_recv()
    {
        batch.push(span);
    }
    (batch, is_last)
}

/// Sends one batch, and says what became of it.
async fn send(
    web: &Web,
    settings: &TraceSettings,
    batch: &[Finished],
    attempts: u32,
) -> &'static str {
    let body = Bytes::from(otlp::body(settings, batch));
    for attempt in 0..attempts {
        if attempt > 0 {
            sleep(Duration::from_secs(1 << attempt)).await;
        }
        match timeout(settings.timeout, once(web, settings, body.clone())).await {
            Ok(Outcome::Taken) => return "exported",
            Ok(Outcome::Never) => return "failed",
            Ok(Outcome::Later) | Err(_) => {}
        }
    }
    "failed"
}

async fn once(web: &Web, settings: &TraceSettings, body: Bytes) -> Outcome {
    let Ok(uri) = settings.url.parse::<hyper::Uri>() else { return Outcome::Never };
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in &settings.headers {
        if let (Ok(name), Ok(mut value)) =
            (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()))
        {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    match web.request(request).await {
        Ok(response) if response.status().is_success() => Outcome::Taken,
        // As the protocol says.
        Ok(response) if matches!(response.status().as_u16(), 429 | 502 | 503 | 504) => {
            Outcome::Later
        }
        Ok(_) => Outcome::Never,
        Err(_) => Outcome::Later,
    }
}
