//! A generator that is served: a model with its engine.

use std::sync::Arc;

use plumb_answer::{EngineWriter, ModelId};
use plumb_infer::{CacheType, Engine, LanguageModel};

use crate::clock;
use crate::error::Error;
use crate::settings::{ModelSource, Settings};

/// A model with the engine that runs it.
pub struct Generator {
    pub id: ModelId,
    pub model: Arc<LanguageModel>,
    pub engine: Arc<Engine>,
    /// What it keeps of what it has read.
    pub kv_cache: CacheType,
    /// When it was loaded, in seconds since 1970.
    pub created: u64,
}

impl Generator {
    /// Loads `source`; takes seconds.
    pub fn load(source: &ModelSource, settings: &Settings) -> Result<Self, Error> {
        let failed = |error| Error::Model { name: source.name.clone(), source: error };
        let model = match &source.packed {
            Some(packed) => LanguageModel::load_cached(&source.path, packed, settings.threads),
            None => LanguageModel::load(&source.path, settings.threads),
        };
        let mut model = model.map_err(failed)?;
        model.set_cache_type(source.kv_cache);
        let model = Arc::new(model);
        let engine = Engine::start(model.clone(), settings.limits.engine).map_err(failed)?;
        Ok(Self {
            id: source.id(),
            model,
            engine: Arc::new(engine),
            kv_cache: source.kv_cache,
            created: clock::unix_seconds(),
        })
    }

    /// Words answers with it, until `is_cancelled` is set.
    pub fn writer(&self, is_cancelled: Arc<std::sync::atomic::AtomicBool>) -> EngineWriter {
        let parts = (self.model.clone(), self.engine.clone());
        EngineWriter::new(parts, self.id.clone(), is_cancelled)
    }
}
