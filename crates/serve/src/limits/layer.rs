//! The layer that holds requests to the limits of their key and lets them in by
//! turns.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::auth::gate::in_shape_of;
use crate::auth::guard::Guard;
use crate::auth::role::Principal;
use crate::failure::{Failure, Kind};
use crate::limits::fair::Permit;
use crate::limits::limiter::{Admission, Limited, Standing};

/// Bytes of a body that stand for one token until it is known how many there
/// are.
const BYTES_PER_TOKEN: u64 = 4;

/// Tokens that a request is expected to write.
const EXPECTED: u64 = 256;

/// Counts the tokens of one request, for whoever knows them. Handlers find it
/// among the request's extensions.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// Adds tokens that were read or written.
    pub fn add(&self, tokens: u64) {
        self.0.fetch_add(tokens, Ordering::Relaxed);
    }

    fn tokens(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The layer. What has no [`Principal`] is public and has no limits.
pub async fn layer(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let Some(mut who) = request.extensions().get::<Principal>().cloned() else {
        return next.run(request).await;
    };
    who.limits = guard.rules.get().limits(&who);
    let path = request.uri().path().to_owned();
    // What no model reads, such as a file that is sent, has no tokens.
    let takes_tokens = waits_its_turn(request.method(), &path);
    let estimate = if takes_tokens { estimate(request.headers()) } else { 0 };
    let admission = match admit(&guard, &who, estimate).await {
        Ok(Ok(admission)) => admission,
        Ok(Err(limited)) => return refused(&limited, &path),
        Err(failure) => return in_shape_of(&path, failure),
    };
    let mut permit = None;
    if takes_tokens {
        let weight = who.limits.weight.unwrap_or(1);
        match guard.queue.enter(&who.id, weight, estimate).await {
            Ok(entered) => permit = Some(entered),
            Err(full) => {
                guard.limiter.settle(&admission, 0, (guard.gate.clock)());
                return in_shape_of(&path, Failure::new(Kind::Busy, full.to_string()));
            }
        }
    }
    let meter = Meter::default();
    request.extensions_mut().insert(meter.clone());
    let standing = admission.standing;
    let counted = Counted { guard, admission, meter, estimate, sent: 0, _permit: permit };
    let mut response = next.run(request).await;
    add(response.headers_mut(), &standing);
    response.map(|body| Body::new(Metered { body, counted }))
}

/// What takes a model's time waits for its turn; looking things up does not.
fn waits_its_turn(method: &Method, path: &str) -> bool {
    let asks = ["/v1/", "/v2/", "/api/v1/ask", "/api/v1/search"];
    let is_asking = asks.iter().any(|root| path.starts_with(root)) || path == "/mcp";
    *method == Method::POST && is_asking
}

fn estimate(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let length: u64 = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    length / BYTES_PER_TOKEN + EXPECTED
}

async fn admit(
    guard: &Arc<Guard>,
    who: &Principal,
    tokens: u64,
) -> Result<Result<Admission, Limited>, Failure> {
    let (guard, who) = (Arc::clone(guard), who.clone());
    let work = move || guard.limiter.admit(&who, tokens, (guard.gate.clock)());
    let admitted = tokio::task::spawn_blocking(work).await;
    match admitted {
        Ok(Ok(admitted)) => Ok(admitted),
        _ => Err(Failure::unavailable("limits cannot be checked now")),
    }
}

fn refused(limited: &Limited, path: &str) -> Response {
    let mut failure = Failure::new(Kind::Busy, limited.to_string());
    failure.retry_after = Some(limited.retry_after.div_ceil(1000).max(1));
    let mut response = in_shape_of(path, failure);
    add(response.headers_mut(), &limited.standing);
    response
}

fn add(headers: &mut HeaderMap, standing: &Standing) {
    for (name, value) in standing.headers() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// A request whose tokens are settled, and whose turn ends, when its response
/// has been sent or its client has gone.
struct Counted {
    guard: Arc<Guard>,
    admission: Admission,
    meter: Meter,
    estimate: u64,
    /// Bytes of the response.
    sent: u64,
    _permit: Option<Permit>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let known = self.meter.tokens();
        // Where nobody counted, the length of what was said stands for it.
        let guessed = match self.estimate.checked_sub(EXPECTED) {
            Some(read) => read + self.sent / BYTES_PER_TOKEN,
            None => 0,
        };
        let tokens = if known > 0 { known } else { guessed };
        self.guard.limiter.settle(&self.admission, tokens, (self.guard.gate.clock)());
    }
}

/// A body that counts its bytes.
struct Metered {
    body: Body,
    counted: Counted,
}

impl HttpBody for Metered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.counted.sent += bytes as u64;
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
