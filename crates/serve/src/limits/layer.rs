//! The layer that holds requests to the limits of their key and lets them in by
//! turns.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::allowance::{Account, Allowance, Arrived, BYTES_PER_TOKEN, Patience};
use crate::auth::gate::in_shape_of;
use crate::auth::guard::Guard;
use crate::auth::role::Principal;
use crate::failure::{Failure, Kind};
use crate::limits::fair::Permit;
use crate::limits::limiter::{Admission, Limited, Standing};
use crate::trace::Scope;

/// Tokens that a request is expected to write.
const EXPECTED: u64 = 256;

/// The layer. What has no [`Principal`] is public and has no limits.
pub async fn layer(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let Some(mut who) = request.extensions().get::<Principal>().cloned() else {
        return next.run(request).await;
    };
    who.limits = guard.rules.get().limits(&who);
    let path = request.uri().path().to_owned();
    // What no model reads, such as a file that is sent, has no tokens.
    let takes_tokens = waits_its_turn(request.method(), &path);
    let body = content_length(request.headers());
    let estimate = if takes_tokens { body / BYTES_PER_TOKEN + EXPECTED } else { 0 };
    let admission = match admit(&guard, &who, estimate).await {
        Ok(Ok(admission)) => admission,
        Ok(Err(limited)) => {
            guard.metering.refuse(&who.id, limited.what);
            return refused(&limited, &path);
        }
        Err(failure) => return in_shape_of(&path, failure),
    };
    let standing = admission.standing;
    let call = call(&guard, &who, &request, Account { guard: guard.clone(), admission, body });
    let mut permit = None;
    if takes_tokens {
        let weight = who.limits.weight.unwrap_or(1);
        let entering = guard.queue.enter(&who.id, weight, estimate);
        match tokio::time::timeout_at(call.deadline().into(), entering).await {
            Ok(Ok(entered)) => permit = Some(entered),
            Ok(Err(full)) => return in_shape_of(&path, Failure::new(Kind::Busy, full.to_string())),
            Err(_) => return in_shape_of(&path, call.late()),
        }
    }
    request.extensions_mut().insert(call.clone());
    let counted = Counted { call, _permit: permit };
    let mut response = next.run(request).await;
    add(response.headers_mut(), &standing);
    response.map(|body| Body::new(Metered { body, counted }))
}

/// How long a request of `who` may take, and who pays for it.
fn call(guard: &Guard, who: &Principal, request: &Request, account: Account) -> Allowance {
    let seconds = |seconds: Option<u32>| seconds.map(|n| Duration::from_secs(u64::from(n)));
    let most = guard.rules.get().request;
    let patience = Patience {
        whole: seconds(who.limits.deadline_seconds).map_or(most, |own| own.min(most)),
        text: seconds(who.limits.token_deadline_seconds),
    };
    let extensions = request.extensions();
    let arrived = extensions.get::<Arrived>().map_or_else(Instant::now, |arrived| arrived.0);
    let scope = extensions.get::<Scope>().cloned().unwrap_or_default();
    Allowance::new(arrived, patience, scope, Some(account))
}

/// What takes a model's time waits for its turn; looking things up does not.
fn waits_its_turn(method: &Method, path: &str) -> bool {
    let asks = ["/v1/", "/v2/", "/api/v1/ask", "/api/v1/search"];
    let is_asking = asks.iter().any(|root| path.starts_with(root)) || path == "/mcp";
    *method == Method::POST && is_asking
}

fn content_length(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
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

/// A request whose turn ends when its response has been sent or its client has
/// gone. Its tokens are settled when nobody works on it any more.
struct Counted {
    call: Allowance,
    _permit: Option<Permit>,
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
            self.counted.call.sent(bytes);
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
