//! A generator of this machine, as a writer of answers that is loaded when it
//! first writes: an abstention needs no generator.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use plumb_answer::{LocalWriter, ModelId, Request, Writer, WriterError};

use plumb_infer::{CacheType, Reuse};

use crate::models::Located;

/// A local model that may not be in memory yet.
pub struct Generator {
    located: Located,
    threads: NonZeroUsize,
    stored: CacheType,
    reuse: Option<Reuse>,
    writer: Option<LocalWriter>,
}

impl Generator {
    /// Will load what `located` says, to run on `threads` threads, keep keys
    /// and values as `stored` and reuse those of evidence as `reuse` says.
    pub fn new(
        located: Located,
        (threads, stored): (NonZeroUsize, CacheType),
        reuse: Option<Reuse>,
    ) -> Self {
        Self { located, threads, stored, reuse, writer: None }
    }

    fn load(&self) -> Result<LocalWriter, WriterError> {
        let model = self.located.generator(self.threads, self.stored).map_err(|error| {
            WriterError { model: self.located.name.clone(), source: Box::new(error) }
        })?;
        Ok(LocalWriter::new(model, self.id(), self.reuse.clone()))
    }
}

impl Writer for Generator {
    fn id(&self) -> ModelId {
        ModelId { name: self.located.name.clone(), sha256: Some(self.located.sha256.clone()) }
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn write(
        &mut self,
        request: &Request<'_>,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<String, WriterError> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.load()?,
        };
        self.writer.insert(writer).write(request, on_text)
    }
}
