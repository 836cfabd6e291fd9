//! What comes back: a whole response or a stream that is passed on.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::upstream::client::Answered;
use crate::upstream::error::Fault;
use crate::upstream::pool::{Lease, UpstreamRequest};

/// The largest whole response that is read.
const MAX_WHOLE: usize = 64 << 20;

/// Bytes within which a stream must have said something.
const MAX_OPENING: usize = 64 << 10;

/// The event that ends a stream which was not cut off.
const DONE: &[u8] = b"data: [DONE]";

/// What an endpoint answered.
#[derive(Debug)]
pub enum Reply {
    /// All of it.
    Whole {
        /// 200, or a status that says what is wrong with the request.
        status: u16,
        /// JSON.
        body: Bytes,
    },
    /// Server-sent events.
    Stream(ReplyStream),
}

/// Pieces of a stream as they come. Dropping it ends the request upstream.
pub struct ReplyStream {
    inner: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
}

impl std::fmt::Debug for ReplyStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReplyStream")
    }
}

impl Stream for ReplyStream {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.inner.as_mut().poll_next(context)
    }
}

/// What a whole answer must have, by the path that was asked.
fn key_of(path: &str) -> &'static str {
    if path.ends_with("/embeddings") { "data" } else { "choices" }
}

/// Reads a response that comes all at once, and looks whether it is an answer:
/// a server that says `200 OK` to everything is found out here.
pub(super) async fn whole(
    response: Answered,
    request: &UpstreamRequest,
    lease: &Lease,
    limit: Duration,
) -> Result<Reply, Fault> {
    let url = || lease.url().to_owned();
    let status = response.status();
    let silent = |_| Fault::Silent { url: url(), seconds: limit.as_secs() };
    let body = http_body_util::Limited::new(response.into_body(), MAX_WHOLE).collect();
    let body = timeout(limit, body).await.map_err(silent)?;
    let body = body.map_err(|_| Fault::Broken { url: url() })?.to_bytes();
    let nonsense = |reason| Fault::Nonsense { url: url(), reason };
    let json: serde_json::Value =
        serde_json::from_slice(&body).map_err(|_| nonsense("it is not JSON"))?;
    let list = json.get(key_of(request.path)).and_then(serde_json::Value::as_array);
    if status.is_success() && list.is_none_or(Vec::is_empty) {
        return Err(nonsense("it holds no result"));
    }
    let check = request.check.as_ref().filter(|_| status.is_success());
    if let Some(reason) = check.and_then(|check| check.fault(&json)) {
        return Err(Fault::Unfit { url: url(), reason });
    }
    Ok(Reply::Whole { status: status.as_u16(), body })
}

/// A stream in progress.
struct Passing {
    body: Incoming,
    /// Held until the stream ends, and told how it went.
    lease: Option<Lease>,
    /// What is still to be passed on before the body goes on.
    ready: Option<Bytes>,
    /// The last bytes, to see the end in them.
    tail: Vec<u8>,
    idle: Duration,
}

/// Waits for the first event of a stream, and passes the rest on.
pub(super) async fn stream(
    response: Answered,
    lease: Lease,
    (first, idle): (Duration, Duration),
) -> Result<Reply, (Lease, Fault)> {
    let url = lease.url().to_owned();
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
        return Err((lease, Fault::Nonsense { url, reason: "it is not a stream of events" }));
    }
    let mut body = response.into_body();
    let opening = match timeout(first, opening(&mut body, &url)).await {
        Ok(Ok(opening)) => opening,
        Ok(Err(fault)) => return Err((lease, fault)),
        Err(_) => return Err((lease, Fault::Silent { url, seconds: first.as_secs() })),
    };
    let passing =
        Passing { body, lease: Some(lease), ready: Some(opening), tail: Vec::new(), idle };
    let inner = Box::pin(futures_util::stream::unfold(passing, Passing::next));
    Ok(Reply::Stream(ReplyStream { inner }))
}

/// Reads until a whole event with data is there, and looks whether it is one.
async fn opening(body: &mut Incoming, url: &str) -> Result<Bytes, Fault> {
    let nonsense = |reason| Fault::Nonsense { url: url.to_owned(), reason };
    let mut read = Vec::new();
    loop {
        let frame = body.frame().await.ok_or_else(|| nonsense("the stream is empty"))?;
        let frame = frame.map_err(|_| Fault::Broken { url: url.to_owned() })?;
        if let Ok(data) = frame.into_data() {
            read.extend_from_slice(&data);
        }
        let text = String::from_utf8_lossy(&read);
        // The last line may not be whole yet.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        if let Some(data) = complete.lines().find_map(|line| line.strip_prefix("data:")) {
            let event: Result<serde_json::Value, _> = serde_json::from_str(data.trim());
            return match event {
                Ok(event) if event.get("choices").is_some() => Ok(Bytes::from(read)),
                Ok(_) => Err(nonsense("its first event is no part of an answer")),
                Err(_) => Err(nonsense("its first event is not JSON")),
            };
        }
        if read.len() > MAX_OPENING {
            return Err(nonsense("its beginning holds no event"));
        }
    }
}

impl Passing {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if let Some(ready) = self.ready.take() {
            self.watch(&ready);
            return Some((ready, self));
        }
        // After the end was told there is nothing more.
        self.lease.as_ref()?;
        loop {
            match timeout(self.idle, self.body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    self.watch(&data);
                    return Some((data, self));
                }
                Ok(None) if self.is_done() => {
                    self.lease.take()?.succeed();
                    return None;
                }
                _ => return self.cut_off(),
            }
        }
    }

    /// The endpoint died in the middle. What came cannot be taken back, so the
    /// client is told instead of being left with half an answer that looks whole.
    fn cut_off(mut self) -> Option<(Bytes, Self)> {
        let lease = self.lease.take()?;
        let fault = Fault::Broken { url: lease.url().to_owned() };
        lease.fail(&fault);
        let event = serde_json::json!({"error": {
            "message": "the model's server broke off in the middle of the answer",
            "type": "server_error",
            "code": "upstream_broken",
        }});
        Some((Bytes::from(format!("\n\ndata: {event}\n\n")), self))
    }

    fn watch(&mut self, data: &[u8]) {
        self.tail.extend_from_slice(data);
        let surplus = self.tail.len().saturating_sub(64);
        self.tail.drain(..surplus);
    }

    fn is_done(&self) -> bool {
        self.tail.windows(DONE.len()).any(|window| window == DONE)
    }
}
