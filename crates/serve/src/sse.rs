//! Streams of server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::mpsc;

/// A comment is sent after so long without an event, so that nobody on the way
/// takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Events between the one who writes and a slow client.
const BUFFER: usize = 64;

/// Where a task writes the events of one response.
pub(crate) struct Sender(mpsc::Sender<Event>);

/// The client has gone.
pub(crate) struct Gone;

impl Sender {
    /// Sends `data` as one event without a name.
    pub(crate) async fn data(&self, data: &impl Serialize) -> Result<(), Gone> {
        self.send(Event::default().data(json(data))).await
    }

    /// Sends `data` as an event called `name`.
    pub(crate) async fn named(&self, name: &str, data: &impl Serialize) -> Result<(), Gone> {
        self.send(Event::default().event(name).data(json(data))).await
    }

    /// Sends an event called `name` with an id, from which a client can go on.
    pub(crate) async fn numbered(&self, id: &str, (name, json): (&str, &str)) -> Result<(), Gone> {
        self.send(Event::default().id(id).event(name).data(json)).await
    }

    /// Sends the end mark of OpenAI's streams.
    pub(crate) async fn done(&self) -> Result<(), Gone> {
        self.send(Event::default().data("[DONE]")).await
    }

    async fn send(&self, event: Event) -> Result<(), Gone> {
        self.0.send(event).await.map_err(|_| Gone)
    }

    /// Returns when the client has gone.
    pub(crate) async fn gone(&self) {
        self.0.closed().await;
    }
}

fn json(data: &impl Serialize) -> String {
    // Wire types have string keys and finite numbers.
    serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned())
}

/// A response whose events `write` sends. The task that runs it ends with the
/// client: what it holds is dropped then, also while it waits for an engine.
pub(crate) fn response<F>(write: impl FnOnce(std::sync::Arc<Sender>) -> F) -> Response
where
    F: Future<Output = Result<(), Gone>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(BUFFER);
    let sender = std::sync::Arc::new(Sender(sender));
    let writing = write(sender.clone());
    tokio::spawn(async move {
        tokio::select! {
            _ = writing => {}
            () = sender.gone() => {}
        }
    });
    let events = stream::unfold(receiver, |mut receiver| async move {
        let event = receiver.recv().await?;
        Some((Ok::<_, Infallible>(event), receiver))
    });
    let keep_alive = KeepAlive::new().interval(HEARTBEAT);
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    headers.insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    response
}
