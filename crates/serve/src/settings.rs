//! What the server is given: nothing is left open, and nothing is looked up.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use plumb_answer::{ModelId, StoredSettings};
use plumb_index::Chunking;
use plumb_infer::{CacheType, EngineSettings};

use crate::auth::guard::Access;
use crate::cache::CacheSettings;
use crate::observe::Level;
use crate::shelf::Shelf;
use crate::trace::TraceSettings;
use crate::upstream::PoolSettings;

/// What is served, where, and how much of it at once.
#[derive(Clone, Debug)]
pub struct Settings {
    pub listen: SocketAddr,
    /// Threads that a model computes with.
    pub threads: NonZeroUsize,
    /// The first is the one that words answers from documents, unless a
    /// collection names another.
    pub generators: Vec<ModelSource>,
    pub embedders: Vec<ModelSource>,
    pub rerankers: Vec<ModelSource>,
    pub collections: Vec<CollectionSource>,
    pub limits: Limits,
    /// Who is let in.
    pub access: Access,
    /// Generators on other machines.
    pub pools: Vec<PoolSettings>,
    /// What may be given again.
    pub cache: CacheSettings,
    /// Models that are not served, and how to fetch some.
    pub shelf: Option<Shelf>,
    /// The least that is logged.
    pub log: Level,
    /// Where traces go, if anywhere.
    pub traces: Option<TraceSettings>,
}

impl ModelSource {
    /// What identifies the model by content.
    pub fn id(&self) -> ModelId {
        ModelId { name: self.name.clone(), sha256: Some(self.sha256.clone()) }
    }
}

/// A model that is on this machine and was found to be sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSource {
    /// Under which clients ask for it.
    pub name: String,
    /// What loads it: a GGUF file, or a folder.
    pub path: PathBuf,
    /// Hex SHA-256 of the weights.
    pub sha256: String,
    /// Where the weights of a generator are kept as it computes with them.
    pub packed: Option<PathBuf>,
    /// What a generator keeps of what it has read.
    pub kv_cache: CacheType,
}

/// A project whose documents are served.
#[derive(Clone, Debug)]
pub struct CollectionSource {
    /// Clients ask for the model `docs/NAME`.
    pub name: String,
    /// The folder with the index and the journals.
    pub folder: PathBuf,
    /// Name among [`Settings::embedders`].
    pub embedder: String,
    pub chunking: Chunking,
    /// How questions are answered; the generator is named among
    /// [`Settings::generators`].
    pub settings: StoredSettings,
    /// Where the generator keeps what it read of evidence, if the settings say
    /// that it does, and how many bytes of it.
    pub chunks: (PathBuf, u64),
    /// Where vectors of sentences are kept, and how many bytes of them; none
    /// are with 0.
    pub vectors: (PathBuf, u64),
}

/// What one request, and all together, may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Of each engine.
    pub engine: EngineSettings,
    /// Questions and other work on the worker pool at once, at least 1.
    pub workers: usize,
    /// Such work that waits; more is refused.
    pub waiting_work: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Bytes of an upload, all files together.
    pub upload_bytes: usize,
    /// Files of an upload.
    pub upload_files: usize,
    /// Bytes of a question, or of what is searched for.
    pub question_bytes: usize,
    /// Tokens that are generated where a request names no number.
    pub default_tokens: usize,
    /// Continuations of one request.
    pub choices: usize,
    /// Texts to embed, or passages to rerank, in one request.
    pub texts: usize,
    /// From the arrival of a request to its last byte.
    pub request: Duration,
    /// What running requests may still take after the order to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            engine: EngineSettings::default(),
            workers: 4,
            waiting_work: 64,
            body_bytes: 8 << 20,
            upload_bytes: 512 << 20,
            upload_files: 64,
            question_bytes: 16 << 10,
            default_tokens: 1024,
            choices: 16,
            texts: 1024,
            request: Duration::from_mins(10),
            drain: Duration::from_secs(30),
        }
    }
}
