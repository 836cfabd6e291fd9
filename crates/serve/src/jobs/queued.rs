//! Embedding through the queue of an engine, where requests go before it.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use plumb_index::{DocumentEmbedder, Watch};
use plumb_infer::{EmbedRequest, Embedder, Encoded, Engine, Error, Priority, TextRole};

/// Between two looks at whether to stop, and at a queue that is full.
const LOOK: Duration = Duration::from_millis(100);

/// Embeds documents while nobody waits for anything else.
pub(super) struct QueuedEmbedder<'a> {
    pub(super) embedder: Arc<Embedder>,
    pub(super) engine: Arc<Engine>,
    pub(super) watch: &'a dyn Watch,
}

impl QueuedEmbedder<'_> {
    fn once(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        let (sender, done) = mpsc::channel();
        let request = EmbedRequest {
            embedder: self.embedder.clone(),
            role: TextRole::Document,
            texts: texts.iter().map(|&text| text.to_owned()).collect(),
            priority: Priority::Background,
        };
        // Dropping the ticket cancels the request.
        let _ticket = self.engine.embed(
            request,
            Box::new(move |result: Result<Encoded<Vec<f32>>, Error>| drop(sender.send(result))),
        )?;
        loop {
            match done.recv_timeout(LOOK) {
                Ok(result) => return Ok(result?.results),
                Err(mpsc::RecvTimeoutError::Timeout) if self.watch.is_stopped() => {
                    return Err(Error::Cancelled);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(Error::EngineClosed),
            }
        }
    }
}

impl DocumentEmbedder for QueuedEmbedder<'_> {
    /// Waits for its turn as long as it takes; [`Error::Cancelled`] if it is to
    /// stop first.
    fn embed_documents(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, plumb_index::Error> {
        loop {
            match self.once(texts) {
                Err(Error::EngineBusy { .. }) if self.watch.is_stopped() => {
                    return Err(Error::Cancelled.into());
                }
                Err(Error::EngineBusy { .. }) => std::thread::sleep(LOOK),
                done => return Ok(done?),
            }
        }
    }
}
