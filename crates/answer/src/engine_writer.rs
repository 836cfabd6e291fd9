//! A model that serves many requests, as a writer of answers.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use plumb_infer::{Engine, Event, Generation, LanguageModel, Priority, Reuse, Sampling};

use crate::answer::ModelId;
use crate::constraint::EvidenceWords;
use crate::writer::{Prepared, Request, Writer, WriterError, prepared};

/// How often a writer that waits looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// An [`Engine`] that words answers beside its other requests, held to the
/// words of the evidence as [`LocalWriter`](crate::LocalWriter) is, and with
/// the same text.
pub struct EngineWriter {
    model: Arc<LanguageModel>,
    engine: Arc<Engine>,
    id: ModelId,
    reuse: Option<Reuse>,
    is_cancelled: Arc<AtomicBool>,
    /// The likeliest words without it.
    sampling: Option<Sampling>,
    watch: Option<Watch>,
}

/// Is told what was generated, and when it was asked for, on the engine's
/// thread; also when nobody waits for it any more.
pub type Watch = Arc<dyn Fn(&Generation, Instant) + Send + Sync>;

/// The one who asked has gone.
#[derive(Debug, thiserror::Error)]
#[error("nobody waits for it any more")]
pub struct Cancelled;

impl EngineWriter {
    /// Lets `engine`, which runs `model`, write. Once `is_cancelled` is set it
    /// fails with [`Cancelled`], also while it reads.
    pub fn new(
        (model, engine): (Arc<LanguageModel>, Arc<Engine>),
        id: ModelId,
        is_cancelled: Arc<AtomicBool>,
    ) -> Self {
        Self { model, engine, id, reuse: None, is_cancelled, sampling: None, watch: None }
    }

    /// Lets it reuse what the model read of pieces as `reuse` says. What is not
    /// kept yet is read beside the engine, which shares the threads.
    #[must_use]
    pub fn reusing(self, reuse: Option<Reuse>) -> Self {
        Self { reuse, ..self }
    }

    /// Draws the words instead of taking the likeliest, from the same that the
    /// evidence allows.
    #[must_use]
    pub fn with_sampling(self, sampling: Sampling) -> Self {
        Self { sampling: Some(sampling), ..self }
    }

    /// Tells `watch` of everything that is generated.
    #[must_use]
    pub fn watched(self, watch: Watch) -> Self {
        Self { watch: Some(watch), ..self }
    }

    fn error(&self, source: impl std::error::Error + Send + Sync + 'static) -> WriterError {
        WriterError { model: self.id.name.clone(), source: Box::new(source) }
    }

    fn submit(&self, request: &Request<'_>) -> Result<Writing, plumb_infer::Error> {
        let Prepared { prompt, kept, mut options } =
            prepared(&self.model, request, self.reuse.as_ref())?;
        if let Some(sampling) = &self.sampling {
            options.sampling = sampling.clone();
        }
        let (pieces, ends) = (self.model.clone(), self.model.clone());
        let constraint = EvidenceWords::new(
            request.vocabulary,
            move |token| pieces.tokenizer().piece_bytes(token),
            move |token| ends.tokenizer().stop_ids().contains(&token),
        );
        let constraint =
            if self.sampling.is_some() { constraint.masking_all() } else { constraint };
        let (sender, events) = mpsc::channel();
        let request = plumb_infer::Request {
            prompt,
            kept,
            options,
            constraint: Some(Box::new(constraint)),
            priority: Priority::Interactive,
        };
        let (watch, submitted) = (self.watch.clone(), Instant::now());
        let on_event = Box::new(move |event| {
            if let (Some(watch), Event::Done(Ok(done))) = (&watch, &event) {
                watch(done, submitted);
            }
            match sender.send(event) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        let ticket = self.engine.submit(request, on_event)?;
        Ok(Writing { events, _ticket: ticket })
    }
}

/// A request that the engine has; dropping it cancels the request.
struct Writing {
    events: mpsc::Receiver<Event>,
    _ticket: plumb_infer::Ticket,
}

impl Writer for EngineWriter {
    fn id(&self) -> ModelId {
        self.id.clone()
    }

    fn is_deterministic(&self) -> bool {
        self.sampling.as_ref().is_none_or(|sampling| sampling.temperature <= 0.0)
    }

    fn write(
        &mut self,
        request: &Request<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<String, WriterError> {
        let writing = self.submit(request).map_err(|error| self.error(error))?;
        let mut text = String::new();
        loop {
            match writing.events.recv_timeout(LOOK) {
                Ok(Event::Text(piece)) => {
                    text.push_str(&piece);
                    if on_text(&piece).is_break() {
                        return Ok(text);
                    }
                }
                Ok(Event::Done(done)) => {
                    return done.map(|done| done.text).map_err(|error| self.error(error));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.error(plumb_infer::Error::EngineClosed));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.is_cancelled.load(Ordering::Acquire) {
                return Err(self.error(Cancelled));
            }
        }
    }
}
