//! Text generation and embedding.
//!
//! [`LanguageModel`] continues a prompt, token by token, under sampling
//! settings, stop strings and perhaps a [`Constraint`]; an [`Engine`] does so
//! for many requests at once, and embeds and reranks beside them; [`Embedder`] turns texts into vectors, and a
//! [`Reranker`] scores passages against a query. They join a model, which knows
//! no text, with its tokenizer, which knows no tensors.
//!
//! Everything replays: the same model, prompt, options and seed give the same
//! tokens, whatever was generated before and on any number of threads.

mod batches;
mod beam;
mod chunk_store;
mod continuations;
mod embedder;
mod engine;
mod error;
mod grammar;
mod kept_files;
mod language_model;
mod logprobs;
mod reranker;
mod reuse;
mod sampling;
mod scoring;
mod speculation;
mod stitched;
mod stop;
mod tokenizers;
mod vector_store;
mod writer;

pub use beam::{BeamSearch, EarlyStopping, Hypothesis, Scorer, beam_search};
pub use chunk_store::{ChunkKey, ChunkStore};
pub use continuations::Choices;
pub use embedder::{Embedder, TextRole, TokenStates};
pub use engine::{
    EmbedRequest, Encoded, Engine, EngineSettings, EngineStatus, Event, OnDone, OnEvent, Priority,
    Request, RerankRequest, Slice, Ticket,
};
pub use error::Error;
pub use grammar::{Grammar, GrammarConstraint, GrammarVocabulary};
pub use language_model::{Constraint, Finish, Generation, LanguageModel, Options, Timings};
pub use logprobs::{TokenLogprob, mean_logprob};
pub use plumb_model::{CacheType, ChunkType};
pub use reranker::Reranker;
pub use reuse::{PiecedPrompt, Reuse};
pub use sampling::{Dry, Sampling, derived_seed};
pub use scoring::{Continued, divergence, log_sum_exp};
pub use stitched::Kept;
pub use vector_store::VectorStore;
