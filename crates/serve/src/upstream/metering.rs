//! Tokens of requests that are passed on, as the endpoints say them.

use std::sync::Arc;

use serde_json::Value;

use crate::allowance::{Allowance, BYTES_PER_TOKEN};
use crate::failure::Failure;
use crate::state::App;
use crate::trace::{Scope, Span};
use crate::upstream::pool::Pool;

/// Longest line of a stream that is looked at.
const MAX_LINE: usize = 1 << 20;

/// What a request that is passed on takes. When it is dropped that is counted,
/// also if its client has gone.
pub(super) struct Tally {
    app: Arc<App>,
    call: Allowance,
    pool: String,
    span: Span,
    /// What the endpoint says: tokens read and written.
    said: Option<(usize, usize)>,
    /// Bytes of the request, which stand for its tokens where nothing is said.
    asked: usize,
    /// Events of a stream that had some text.
    texts: usize,
    has_answer: bool,
    line: Vec<u8>,
}

impl Tally {
    pub(super) fn begin(
        app: &Arc<App>,
        call: Allowance,
        (pool, path): (&Pool, &str),
        asked: usize,
    ) -> Self {
        let operation = match path {
            "/embeddings" => "embeddings",
            "/completions" => "text_completion",
            _ => "chat",
        };
        let span = call.scope().client(operation, pool.name());
        Self {
            app: app.clone(),
            call,
            pool: pool.name().to_owned(),
            span,
            said: None,
            asked,
            texts: 0,
            has_answer: false,
            line: Vec::new(),
        }
    }

    /// What the request upstream belongs to.
    pub(super) fn scope(&self) -> Scope {
        self.span.scope()
    }

    /// No endpoint answered.
    pub(super) fn fail(&mut self, error: crate::upstream::Error) -> Failure {
        let failure = Failure::from(error);
        self.span.fail(failure.kind.label(), &failure.message);
        failure
    }

    /// An answer came all at once.
    pub(super) fn whole(&mut self, body: &[u8]) {
        self.look(body);
    }

    /// A piece of a stream came.
    pub(super) fn piece(&mut self, piece: &[u8]) {
        for &byte in piece {
            if byte != b'\n' {
                if self.line.len() < MAX_LINE {
                    self.line.push(byte);
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if let Some(data) = line.strip_prefix(b"data:") {
                self.look(data);
            }
        }
    }

    fn look(&mut self, json: &[u8]) {
        let Ok(body) = serde_json::from_slice::<Value>(json) else { return };
        self.has_answer |= body.get("error").is_none();
        self.texts += usize::from(body["choices"].as_array().is_some_and(|all| !all.is_empty()));
        let usage = &body["usage"];
        let number = |name: &str| usage[name].as_u64().and_then(|n| usize::try_from(n).ok());
        if let Some(read) = number("prompt_tokens") {
            self.said = Some((read, number("completion_tokens").unwrap_or_default()));
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let guessed = || {
            let asked = self.asked / usize::try_from(BYTES_PER_TOKEN).unwrap_or(1);
            self.has_answer.then_some((asked, self.texts))
        };
        let Some((read, written)) = self.said.or_else(guessed) else { return };
        self.call.read(read);
        self.call.wrote(written);
        self.span.used(read, written);
        let metrics = &self.app.metrics;
        metrics.prompt_tokens.add(&[&self.pool], read as u64);
        metrics.generated_tokens.add(&[&self.pool], written as u64);
    }
}
