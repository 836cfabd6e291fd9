//! What was done for a request, as spans of OpenTelemetry with its conventions
//! for generative models, sent to a collector.
//!
//! - `context` is how spans on several machines find together (W3C Trace
//!   Context); a request's `traceparent` is taken up, and passed on to models on
//!   other machines, also where nothing is recorded here;
//! - `span` is one span, and [`Scope`] where others begin below it;
//! - `genai` names and fills the spans of this service;
//! - `otlp` writes them as OTLP in JSON, and `export` sends them in batches.
//!
//! A request never waits for a collector: spans go through a bounded queue, and
//! those that do not fit are dropped and counted. Texts of prompts and answers
//! are left out unless the settings allow them.

mod context;
mod export;
mod genai;
mod otlp;
mod span;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue};
use tokio::sync::{Notify, mpsc};

use crate::clock;
use crate::observe::Counter;

pub use context::TraceContext;
pub use export::export;
pub use genai::{Told, message};
pub use span::{Scope, SharedSpan, Span};

use span::{Finished, Kind};

/// Where traces go, and what is in them.
#[derive(Clone, PartialEq)]
pub struct TraceSettings {
    /// Address that takes OTLP over HTTP, such as
    /// `http://127.0.0.1:4318/v1/traces`.
    pub url: String,
    /// Sent along, such as a key of the collector.
    pub headers: Vec<(String, String)>,
    /// What the service is called, and more of it.
    pub resource: Vec<(String, String)>,
    /// Part of the requests that is recorded, where the caller has not decided.
    pub sample: f64,
    /// Whether texts of prompts and answers are recorded.
    pub content: bool,
    /// Spans that wait to be sent; more are dropped.
    pub queue: usize,
    /// Spans that are sent at once.
    pub batch: usize,
    /// Between two batches that are not full.
    pub every: Duration,
    /// How long a collector may take.
    pub timeout: Duration,
}

impl std::fmt::Debug for TraceSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TraceSettings")
            .field("url", &self.url)
            .field("headers", &self.headers.len())
            .field("sample", &self.sample)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

/// Begins spans, and hands finished ones on.
#[derive(Debug)]
pub struct Tracer {
    settings: Option<TraceSettings>,
    sender: mpsc::Sender<Finished>,
    /// Taken by the task that sends.
    receiver: Mutex<Option<mpsc::Receiver<Finished>>>,
    closing: Notify,
    /// One moment on both clocks: spans last as long as the steady one says.
    anchor: (Instant, u64),
    spans: Counter,
}

impl Tracer {
    /// Records nothing without settings.
    pub fn new(settings: Option<TraceSettings>) -> Self {
        let queue = settings.as_ref().map_or(1, |settings| settings.queue.max(1));
        let (sender, receiver) = mpsc::channel(queue);
        let spans = Counter::new(
            "plumb_trace_spans_total",
            "Spans of traces, by what became of them.",
            &["outcome"],
        );
        let anchor = (Instant::now(), clock::unix_millis() * 1_000_000);
        let receiver = Mutex::new(Some(receiver));
        Self { settings, sender, receiver, closing: Notify::new(), anchor, spans }
    }

    /// The span of a request, below that of its caller if it names one.
    pub fn request(self: &Arc<Self>, method: &str, route: &str, headers: &HeaderMap) -> Span {
        let caller = TraceContext::of(headers);
        let is_api = ["/v1/", "/v2/", "/api/", "/mcp"].iter().any(|root| route.starts_with(root));
        if self.settings.is_none() || !is_api {
            return Span::none(caller);
        }
        let context = match &caller {
            Some(caller) => caller.child(),
            None => TraceContext::root(|id| self.is_sampled(id)),
        };
        let parent = caller.map(|caller| caller.span_id);
        let mut span =
            Span::begin(self, (context, parent), format!("{method} {route}"), Kind::Server);
        span.set("http.request.method", method);
        span.set("http.route", route);
        span
    }

    fn is_sampled(&self, trace_id: u128) -> bool {
        let sample = self.settings.as_ref().map_or(0.0, |settings| settings.sample);
        // The lower half of an id is uniform; as the reference samplers do it.
        let low = u64::try_from(trace_id & u128::from(u64::MAX)).unwrap_or_default();
        let part = (low >> 11) as f64 / (1_u64 << 53) as f64;
        part < sample
    }

    fn has_content(&self) -> bool {
        self.settings.as_ref().is_some_and(|settings| settings.content)
    }

    /// Nanoseconds since 1970.
    fn nanos(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.anchor.0);
        self.anchor.1 + u64::try_from(since.as_nanos()).unwrap_or(u64::MAX / 2)
    }

    fn take(&self, span: Finished) {
        if self.sender.try_send(span).is_err() {
            self.spans.add(&["dropped"], 1);
        }
    }

    /// Lets [`export`] send what is left, and end.
    pub fn close(&self) {
        self.closing.notify_one();
    }

    /// Its numbers, as text for `/metrics`.
    pub fn write(&self, out: &mut String) {
        self.spans.write(out);
    }

    fn receiver(&self) -> Option<mpsc::Receiver<Finished>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

tokio::task_local! {
    /// Where requests to other machines belong that the running task sends.
    static WITHIN: Scope;
}

/// Runs `work`, whose requests to other machines belong to `scope`.
pub async fn within<F: Future>(scope: Scope, work: F) -> F::Output {
    WITHIN.scope(scope, work).await
}

/// Adds headers that say which trace a request to another machine belongs to.
pub fn propagate(headers: &mut HeaderMap) {
    let Ok(Some(context)) = WITHIN.try_with(|scope| scope.context().cloned()) else { return };
    if let Ok(value) = HeaderValue::from_str(&context.header()) {
        headers.insert("traceparent", value);
    }
    if let Some(Ok(state)) = context.state.as_deref().map(HeaderValue::from_str) {
        headers.insert("tracestate", state);
    }
}
