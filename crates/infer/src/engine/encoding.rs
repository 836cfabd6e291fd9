//! Texts to embed and passages to score: the engine's other kind of request.
//!
//! In every step one batch goes through one encoder: texts of all requests that
//! use it, one after another without padding, as far as a budget of tokens
//! goes. Requests of a priority take turns and have equal shares, so that a
//! short one does not wait for the end of a long one. A text has the same
//! vector in every batch, so that what a request gets does not depend on the
//! others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Priority;
use crate::{Embedder, Error, Reranker, TextRole};

/// Texts to be embedded.
pub struct EmbedRequest {
    pub embedder: Arc<Embedder>,
    pub role: TextRole,
    pub texts: Vec<String>,
    pub priority: Priority,
}

/// Passages to be scored against a query.
pub struct RerankRequest {
    pub reranker: Arc<Reranker>,
    pub query: String,
    pub passages: Vec<String>,
    pub priority: Priority,
}

/// What an encoder made of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded<T> {
    /// One for each text or passage, in their order.
    pub results: Vec<T>,
    /// Tokens that were read, special ones among them.
    pub tokens: usize,
}

/// Takes the result of a request, on the engine's thread: it must not wait.
pub type OnDone<T> = Box<dyn FnOnce(Result<Encoded<T>, Error>) + Send>;

/// An encoder with the texts that are for it, and who waits for the results.
pub(super) enum Work {
    Embed { model: Arc<Embedder>, texts: Vec<Vec<u32>>, done: Results<Vec<f32>> },
    Rerank { model: Arc<Reranker>, pairs: Vec<plumb_text::Pair>, done: Results<f32> },
}

/// The results so far, of the first texts.
pub(super) struct Results<T> {
    so_far: Vec<T>,
    on_done: OnDone<T>,
}

/// A request of this kind.
pub(super) struct Job {
    work: Work,
    priority: Priority,
    is_cancelled: Arc<AtomicBool>,
}

impl EmbedRequest {
    pub(super) fn tokenized(
        self,
        on_done: OnDone<Vec<f32>>,
        is_cancelled: Arc<AtomicBool>,
    ) -> Result<Job, Error> {
        let Self { embedder: model, role, texts, priority } = self;
        let texts = texts.iter().map(|text| model.encode(role, text)).collect::<Result<_, _>>()?;
        let done = Results { so_far: Vec::new(), on_done };
        Ok(Job { work: Work::Embed { model, texts, done }, priority, is_cancelled })
    }
}

impl RerankRequest {
    pub(super) fn tokenized(
        self,
        on_done: OnDone<f32>,
        is_cancelled: Arc<AtomicBool>,
    ) -> Result<Job, Error> {
        let Self { reranker: model, query, passages, priority } = self;
        let pair = |passage: &String| model.encode(&query, passage);
        let pairs = passages.iter().map(pair).collect::<Result<_, _>>()?;
        let done = Results { so_far: Vec::new(), on_done };
        Ok(Job { work: Work::Rerank { model, pairs, done }, priority, is_cancelled })
    }
}

impl Job {
    /// Texts whose results are known.
    fn read(&self) -> usize {
        match &self.work {
            Work::Embed { done, .. } => done.so_far.len(),
            Work::Rerank { done, .. } => done.so_far.len(),
        }
    }

    fn texts(&self) -> usize {
        match &self.work {
            Work::Embed { texts, .. } => texts.len(),
            Work::Rerank { pairs, .. } => pairs.len(),
        }
    }

    /// Tokens of text `i`.
    fn tokens(&self, i: usize) -> usize {
        match &self.work {
            Work::Embed { texts, .. } => texts[i].len(),
            Work::Rerank { pairs, .. } => pairs[i].ids.len(),
        }
    }

    fn is_done(&self) -> bool {
        self.read() == self.texts()
    }

    /// Whether both need the same weights.
    fn has_model_of(&self, other: &Self) -> bool {
        match (&self.work, &other.work) {
            (Work::Embed { model: a, .. }, Work::Embed { model: b, .. }) => Arc::ptr_eq(a, b),
            (Work::Rerank { model: a, .. }, Work::Rerank { model: b, .. }) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Says what came of it.
    fn end(self) {
        let tokens = (0..self.texts()).map(|i| self.tokens(i)).sum();
        match self.work {
            Work::Embed { done, .. } => done.send(tokens),
            Work::Rerank { done, .. } => done.send(tokens),
        }
    }

    fn fail(self, error: Error) {
        match self.work {
            Work::Embed { done, .. } => (done.on_done)(Err(error)),
            Work::Rerank { done, .. } => (done.on_done)(Err(error)),
        }
    }
}

impl<T> Results<T> {
    fn send(self, tokens: usize) {
        (self.on_done)(Ok(Encoded { results: self.so_far, tokens }));
    }
}

/// The requests that are being encoded.
#[derive(Default)]
pub(super) struct Encoding {
    /// Interactive ones first, each kind in the order in which they have
    /// turns.
    jobs: Vec<Job>,
}

impl Encoding {
    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The priority of what is next.
    pub(super) fn priority(&self) -> Option<Priority> {
        self.jobs.first().map(|job| job.priority)
    }

    /// Adds requests, behind those of their priority.
    pub(super) fn extend(&mut self, jobs: impl IntoIterator<Item = Job>) {
        for job in jobs {
            let at = self.jobs.partition_point(|known| known.priority <= job.priority);
            self.jobs.insert(at, job);
        }
    }

    /// Ends what was cancelled or is done; returns how many that were.
    pub(super) fn end_finished(&mut self) -> usize {
        let is_ended = |job: &mut Job| job.is_cancelled.load(Ordering::Acquire) || job.is_done();
        let ended: Vec<Job> = self.jobs.extract_if(.., is_ended).collect();
        let count = ended.len();
        for job in ended {
            if job.is_done() { job.end() } else { job.fail(Error::Cancelled) }
        }
        count
    }

    /// Ends everything.
    pub(super) fn cancel(&mut self) {
        self.jobs.drain(..).for_each(|job| job.fail(Error::Cancelled));
    }

    /// Reads one batch of at most `budget` tokens, or one text.
    pub(super) fn step(&mut self, budget: usize) {
        let takes = takes(&self.jobs, budget);
        let Some(first) = self.jobs.first() else { return };
        let result = match &first.work {
            Work::Embed { model, .. } => {
                let model = model.clone();
                embed(&mut self.jobs, &takes, &model)
            }
            Work::Rerank { model, .. } => {
                let model = model.clone();
                rerank(&mut self.jobs, &takes, &model)
            }
        };
        let mut takes = takes.into_iter();
        let mut has_read = |_: &mut Job| takes.next().is_some_and(|take| 0 < take);
        // Those that had a turn go behind the others of their priority.
        let read: Vec<Job> = self.jobs.extract_if(.., &mut has_read).collect();
        match result {
            Ok(()) => self.extend(read),
            Err(error) => {
                let message = error.to_string();
                for job in read {
                    job.fail(Error::Step { message: message.clone() });
                }
            }
        }
    }
}

/// How many texts each job has in the next batch: at first each of the first
/// one's model and priority as many as its share allows, then all of that
/// model what is left.
fn takes(jobs: &[Job], budget: usize) -> Vec<usize> {
    let mut takes = vec![0; jobs.len()];
    let Some(first) = jobs.first() else { return takes };
    let mut size = 0;
    let is_peer = |job: &Job| job.has_model_of(first) && job.priority == first.priority;
    let share = budget / jobs.iter().filter(|job| is_peer(job)).count();
    for is_share in [true, false] {
        for (job, take) in jobs.iter().zip(&mut takes) {
            if !job.has_model_of(first) || (is_share && !is_peer(job)) {
                continue;
            }
            let limit = if is_share { budget.min(size + share) } else { budget };
            while job.read() + *take < job.texts() {
                let more = size + job.tokens(job.read() + *take);
                if size != 0 && limit < more {
                    break;
                }
                size = more;
                *take += 1;
            }
        }
    }
    takes
}

fn embed(jobs: &mut [Job], takes: &[usize], model: &Embedder) -> Result<(), Error> {
    let mut batch: Vec<&[u32]> = Vec::new();
    for (job, &take) in jobs.iter().zip(takes) {
        if let Work::Embed { texts, done, .. } = &job.work {
            batch.extend(texts[done.so_far.len()..][..take].iter().map(Vec::as_slice));
        }
    }
    let mut vectors = model.vectors(&batch)?.into_iter();
    for (job, &take) in jobs.iter_mut().zip(takes) {
        if let Work::Embed { done, .. } = &mut job.work {
            done.so_far.extend(vectors.by_ref().take(take));
        }
    }
    Ok(())
}

fn rerank(jobs: &mut [Job], takes: &[usize], model: &Reranker) -> Result<(), Error> {
    let mut batch = Vec::new();
    for (job, &take) in jobs.iter().zip(takes) {
        if let Work::Rerank { pairs, done, .. } = &job.work {
            batch.extend(&pairs[done.so_far.len()..][..take]);
        }
    }
    let mut scores = model.scores_of(&batch)?.into_iter();
    for (job, &take) in jobs.iter_mut().zip(takes) {
        if let Work::Rerank { done, .. } = &mut job.work {
            done.so_far.extend(scores.by_ref().take(take));
        }
    }
    Ok(())
}
