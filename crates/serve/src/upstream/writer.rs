//! A pool as the writer of answers. What it writes is checked like everything
//! that was written.

use std::ops::ControlFlow;

use futures_util::StreamExt;
use plumb_answer::{ModelId, Request, Writer, WriterError};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::trace::{self, Scope};
use crate::upstream::pool::{Pool, UpstreamRequest};
use crate::upstream::reply::Reply;

/// Longest event that is read.
const MAX_EVENT: usize = 1 << 20;

/// How often a text is begun again after its endpoint broke off.
const BEGINNINGS: usize = 2;

/// A pool that words answers. It blocks its thread, which must not be one that
/// drives the runtime.
#[derive(Clone, Debug)]
pub struct PoolWriter {
    pool: Pool,
    runtime: Handle,
    scope: Scope,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Pool(#[from] crate::upstream::Error),
    #[error("the endpoint refused the request with status {status}: {message}")]
    Refused { status: u16, message: String },
    #[error("the endpoint broke off in the middle of the text")]
    Broken,
    #[error("the endpoint sent an event that is no part of a text")]
    Nonsense,
}

impl PoolWriter {
    /// Lets `pool` write. `runtime` is where its connections live.
    pub fn new(pool: Pool, runtime: Handle) -> Self {
        Self { pool, runtime, scope: Scope::default() }
    }

    /// Writes as part of a trace.
    #[must_use]
    pub fn traced(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// What writes.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    async fn stream(
        &self,
        request: &UpstreamRequest,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<String, Failure> {
        let mut shown = Shown { text: String::new(), on_text, is_stopped: false };
        for beginning in 1.. {
            match self.once(request, &mut shown).await {
                Err(Failure::Broken) if beginning < BEGINNINGS => {}
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        Ok(shown.text)
    }

    /// Reads one stream to its end.
    async fn once(&self, request: &UpstreamRequest, shown: &mut Shown<'_>) -> Result<(), Failure> {
        let mut stream = match self.pool.send(request).await? {
            Reply::Stream(stream) => stream,
            Reply::Whole { status, body } => {
                let message = String::from_utf8_lossy(&body).chars().take(300).collect();
                return Err(Failure::Refused { status, message });
            }
        };
        let (mut buffer, mut written) = (Vec::new(), String::new());
        while let Some(piece) = stream.next().await {
            buffer.extend_from_slice(&piece);
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                let Some(data) = line.trim().strip_prefix("data:").map(str::trim) else { continue };
                if data == "[DONE]" {
                    return Ok(());
                }
                let event: Value = serde_json::from_str(data).map_err(|_| Failure::Nonsense)?;
                if event.get("error").is_some() {
                    return Err(Failure::Broken);
                }
                written.push_str(event["choices"][0]["delta"]["content"].as_str().unwrap_or(""));
                shown.catch_up(&written)?;
                if shown.is_stopped {
                    return Ok(());
                }
            }
            if buffer.len() > MAX_EVENT {
                return Err(Failure::Nonsense);
            }
        }
        Err(Failure::Broken)
    }
}

/// What was handed over already. A text that is begun again must begin alike:
/// what a reader has seen cannot be taken back.
struct Shown<'a> {
    text: String,
    on_text: &'a mut dyn FnMut(&str) -> ControlFlow<()>,
    is_stopped: bool,
}

impl Shown<'_> {
    fn catch_up(&mut self, written: &str) -> Result<(), Failure> {
        if self.text.starts_with(written) {
            return Ok(());
        }
        let more = written.strip_prefix(self.text.as_str()).ok_or(Failure::Broken)?;
        self.text.push_str(more);
        self.is_stopped = (self.on_text)(more).is_break();
        Ok(())
    }
}

impl Writer for PoolWriter {
    fn id(&self) -> ModelId {
        ModelId { name: format!("{} (pool)", self.pool.name()), sha256: None }
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn write(
        &mut self,
        request: &Request<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<String, WriterError> {
        let messages: Vec<Value> = request
            .messages
            .iter()
            .map(|message| json!({"role": message.role, "content": message.content}))
            .collect();
        let body = json!({
            "messages": messages,
            "max_tokens": request.max_tokens,
            "temperature": 0,
            "seed": 0,
            "stream": true,
        });
        let sent = UpstreamRequest { path: "/chat/completions", body, check: None };
        let span = self.scope.client("chat", self.pool.name());
        let stream = self.stream(&sent, on_text);
        let written = self.runtime.block_on(trace::within(span.scope(), stream));
        written.map_err(|error| WriterError {
            model: self.pool.name().to_owned(),
            source: Box::new(error),
        })
    }
}
