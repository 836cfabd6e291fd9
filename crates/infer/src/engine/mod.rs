//! Many generations at once: continuous batching; and embedding and reranking
//! beside them.
//!
//! One thread owns the model's work. In every step it reads, in one pass over
//! the weights, the next token of each sequence that writes and a part of the
//! prompts that are not read yet, as far as a budget of tokens goes. A request
//! joins at the next step and leaves as soon as it ends, so that none waits for
//! another to finish. Because a token has the same logits alone and in a batch,
//! what a request gets does not depend on the others.
//!
//! Iteration-level scheduling: Yu et al. 2022, "Orca"; parts of prompts beside
//! generation: Agrawal et al. 2023, arXiv:2308.16369; shared beginnings: Zheng
//! et al. 2023, arXiv:2312.07104.

mod encoding;
mod prefix;
mod queue;
mod scheduler;
mod sequence;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use queue::{Limits, Queue, Waiting};

pub use encoding::{EmbedRequest, Encoded, OnDone, RerankRequest};

use crate::{Constraint, Error, Generation, Kept, LanguageModel, Options};

/// How much an engine takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// Sequences that run at once, at least 1.
    pub max_running: usize,
    /// Requests that wait beyond those; more are refused. As many requests to
    /// embed or to rerank are taken on.
    pub max_waiting: usize,
    /// Tokens of a step, at least 1.
    pub step_tokens: usize,
    /// Prompt tokens of a step in which some sequence writes, at least 1: what
    /// the writing waits for.
    pub prompt_tokens_beside: usize,
    /// Tokens that an encoder reads between two steps while no sequence of at
    /// least the same priority runs, at least 1. A text is never divided.
    pub encode_tokens: usize,
    /// The same while one runs; background requests have a quarter of it
    /// beside an interactive one.
    pub encode_tokens_beside: usize,
    /// Tokens whose keys and values are held, for what runs and for what may
    /// come again.
    pub cache_tokens: usize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            max_running: 8,
            max_waiting: 64,
            step_tokens: 512,
            prompt_tokens_beside: 128,
            encode_tokens: 2048,
            encode_tokens_beside: 128,
            cache_tokens: 32_768,
        }
    }
}

/// Who goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Somebody waits for it.
    #[default]
    Interactive,
    /// Gives way: its sequences are paused where interactive ones need room.
    Background,
}

/// A prompt to be continued.
pub struct Request {
    /// Tokens of the prompt.
    pub prompt: Vec<u32>,
    /// What stands in the prompt in place of tokens that are read.
    pub kept: Vec<Kept>,
    pub options: Options,
    pub constraint: Option<Box<dyn Constraint + Send>>,
    pub priority: Priority,
}

/// What a request hears of.
#[derive(Debug)]
pub enum Event {
    /// More of the text.
    Text(String),
    /// The last event: what came of it.
    Done(Result<Generation, Error>),
}

/// Takes the events of a request, on the engine's thread: it must not wait.
/// [`ControlFlow::Break`] cancels the request.
pub type OnEvent = Box<dyn FnMut(Event) -> ControlFlow<()> + Send>;

/// Work of another kind that shares the engine's time: called once a step until
/// it breaks off.
pub type Slice = Box<dyn FnMut() -> ControlFlow<()> + Send>;

/// What an engine is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStatus {
    /// Sequences that are read or written, paused ones among them.
    pub running: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Requests to embed or to rerank that are not done.
    pub encoding: usize,
    /// Tokens held for what may come again.
    pub cached_tokens: usize,
    /// Steps taken so far.
    pub steps: u64,
}

/// A request that was taken on. Dropping it cancels the request.
#[derive(Debug)]
pub struct Ticket {
    is_cancelled: Arc<AtomicBool>,
}

impl Ticket {
    /// Ends the request at the next step, with [`Finish::Cancelled`] and what
    /// was written.
    ///
    /// [`Finish::Cancelled`]: crate::Finish::Cancelled
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
    }

    /// Lets the request go on without the ticket.
    pub fn detach(mut self) {
        self.is_cancelled = Arc::default();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// Models that serve many requests, on a thread of their own.
#[derive(Debug)]
pub struct Engine {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts the thread. Without a `model` nothing can be generated, only
    /// embedded and reranked.
    pub fn start(
        model: impl Into<Option<Arc<LanguageModel>>>,
        settings: EngineSettings,
    ) -> Result<Self, Error> {
        let least = [
            settings.max_running,
            settings.step_tokens,
            settings.prompt_tokens_beside,
            settings.encode_tokens,
            settings.encode_tokens_beside,
        ];
        if least.contains(&0) {
            let (value, range) = ("0".to_owned(), "at least 1");
            return Err(Error::Setting { field: "engine", value, range });
        }
        let model = model.into();
        let limits = model.as_ref().map(|model| Limits {
            context: model.context(),
            vocabulary: model.tokenizer().vocab_size(),
        });
        let queue = Arc::new(Queue::new(settings, limits));
        let shared = queue.clone();
        let thread = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || scheduler::run(model.as_deref(), settings, &shared))
            .map_err(|source| Error::Thread { source })?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Takes on a request, or fails at once if it cannot be done or too many
    /// wait.
    pub fn submit(&self, request: Request, on_event: OnEvent) -> Result<Ticket, Error> {
        let is_cancelled = Arc::new(AtomicBool::new(false));
        self.queue.push(Waiting { request, on_event, is_cancelled: is_cancelled.clone() })?;
        Ok(Ticket { is_cancelled })
    }

    /// Takes on texts to embed: each gets the vector that
    /// [`Embedder::embed_documents`] and its like would give it. Fails at once
    /// if too many requests wait. A cancelled request gets [`Error::Cancelled`].
    ///
    /// [`Embedder::embed_documents`]: crate::Embedder::embed_documents
    pub fn embed(&self, request: EmbedRequest, on_done: OnDone<Vec<f32>>) -> Result<Ticket, Error> {
        let is_cancelled = Arc::new(AtomicBool::new(false));
        self.queue.push_job(request.tokenized(on_done, is_cancelled.clone())?)?;
        Ok(Ticket { is_cancelled })
    }

    /// Takes on passages to score: each gets what [`Reranker::scores`] would
    /// give it. For the rest see [`embed`](Self::embed).
    ///
    /// [`Reranker::scores`]: crate::Reranker::scores
    pub fn rerank(&self, request: RerankRequest, on_done: OnDone<f32>) -> Result<Ticket, Error> {
        let is_cancelled = Arc::new(AtomicBool::new(false));
        self.queue.push_job(request.tokenized(on_done, is_cancelled.clone())?)?;
        Ok(Ticket { is_cancelled })
    }

    /// Lets `slice` have a part of the engine's time.
    pub fn interleave(&self, slice: Slice, priority: Priority) -> Result<(), Error> {
        self.queue.push_slice(slice, priority)
    }

    /// What it is doing.
    pub fn status(&self) -> EngineStatus {
        self.queue.status()
    }
}

impl Drop for Engine {
    /// Cancels what runs and waits, and waits for the thread.
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}
