//! What waits for an engine: the one place that both sides lock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::encoding::Job;
use super::{EngineSettings, EngineStatus, OnEvent, Priority, Request, Slice};
use crate::{Error, stitched};

/// A request with those that care about it.
pub(super) struct Waiting {
    pub(super) request: Request,
    pub(super) on_event: OnEvent,
    pub(super) is_cancelled: Arc<AtomicBool>,
}

impl Waiting {
    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// Tokens that it may come to hold.
    pub(super) fn room(&self) -> usize {
        self.request.prompt.len() + self.request.options.max_tokens
    }

    /// The beginning of the prompt that others may have read, and that may be
    /// shared with others.
    pub(super) fn shareable(&self) -> &[u32] {
        let prompt = &self.request.prompt;
        &prompt[..prompt.len().min(stitched::exact_tokens(&self.request.kept))]
    }
}

#[derive(Default)]
struct Inner {
    /// Interactive requests, then the others, each in order of arrival.
    waiting: [VecDeque<Waiting>; 2],
    /// For encoders, in order of arrival.
    jobs: Vec<Job>,
    /// Those and the ones that were taken and are not done.
    unfinished_jobs: usize,
    slices: VecDeque<(Priority, Slice)>,
    status: EngineStatus,
    is_closed: bool,
}

/// See [`Engine`](super::Engine).
pub(super) struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
    settings: EngineSettings,
    limits: Option<Limits>,
}

/// What the model of an engine can be asked for.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) context: usize,
    pub(super) vocabulary: usize,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Queue {
    /// Without `limits` there is no model that could generate.
    pub(super) fn new(settings: EngineSettings, limits: Option<Limits>) -> Self {
        Self { inner: Mutex::default(), changed: Condvar::new(), settings, limits }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request that can be done.
    pub(super) fn push(&self, mut waiting: Waiting) -> Result<(), Error> {
        self.check(&mut waiting.request)?;
        let mut inner = self.lock();
        let limit = self.settings.max_waiting;
        if inner.is_closed {
            return Err(Error::EngineClosed);
        }
        if limit <= inner.waiting.iter().map(VecDeque::len).sum::<usize>() {
            return Err(Error::EngineBusy { waiting: limit });
        }
        inner.waiting[waiting.request.priority as usize].push_back(waiting);
        drop(inner);
        self.changed.notify_one();
        Ok(())
    }

    /// Adds work for an encoder.
    pub(super) fn push_job(&self, job: Job) -> Result<(), Error> {
        let mut inner = self.lock();
        if inner.is_closed {
            return Err(Error::EngineClosed);
        }
        if self.settings.max_waiting <= inner.unfinished_jobs {
            return Err(Error::EngineBusy { waiting: inner.unfinished_jobs });
        }
        inner.jobs.push(job);
        inner.unfinished_jobs += 1;
        drop(inner);
        self.changed.notify_one();
        Ok(())
    }

    /// The work for encoders that has come.
    pub(super) fn take_jobs(&self) -> Vec<Job> {
        std::mem::take(&mut self.lock().jobs)
    }

    /// Makes room for as many jobs as were done.
    pub(super) fn jobs_done(&self, count: usize) {
        self.lock().unfinished_jobs -= count;
    }

    pub(super) fn push_slice(&self, slice: Slice, priority: Priority) -> Result<(), Error> {
        let mut inner = self.lock();
        if inner.is_closed {
            return Err(Error::EngineClosed);
        }
        if self.settings.max_waiting <= inner.slices.len() {
            return Err(Error::EngineBusy { waiting: inner.slices.len() });
        }
        inner.slices.push_back((priority, slice));
        drop(inner);
        self.changed.notify_one();
        Ok(())
    }

    /// Fails if the request can never be done, and cuts `max_tokens` to what
    /// the context holds.
    fn check(&self, request: &mut Request) -> Result<(), Error> {
        let Limits { context, vocabulary } = self.limits.ok_or(Error::NoGenerator)?;
        request.options.check()?;
        request.options.sampling.check_tokens(vocabulary)?;
        let tokens = request.prompt.len();
        if tokens == 0 {
            return Err(Error::EmptyPrompt);
        }
        stitched::check(&request.kept, tokens)?;
        let context = context.min(self.settings.cache_tokens);
        if context < tokens {
            return Err(Error::PromptTooLong { tokens, context });
        }
        let most = context + 1 - tokens;
        request.options.max_tokens = request.options.max_tokens.min(most);
        if let Some(&token) = request.prompt.iter().find(|&&t| vocabulary <= t as usize) {
            let vocab = vocabulary;
            return Err(plumb_model::Error::UnknownToken { token, vocab }.into());
        }
        Ok(())
    }

    /// Refuses what comes from now on.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    pub(super) fn status(&self) -> EngineStatus {
        let inner = self.lock();
        let waiting = inner.waiting.iter().map(VecDeque::len).sum();
        EngineStatus { waiting, encoding: inner.unfinished_jobs, ..inner.status }
    }

    /// Tells how the engine is doing, waits for work if it has none, and says
    /// whether it is to go on.
    pub(super) fn wait(&self, status: EngineStatus, is_idle: bool) -> bool {
        let mut inner = self.lock();
        inner.status = status;
        while is_idle
            && !inner.is_closed
            && inner.slices.is_empty()
            && inner.jobs.is_empty()
            && inner.waiting.iter().all(VecDeque::is_empty)
        {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        !inner.is_closed
    }

    /// Removes the requests that were cancelled while they waited.
    pub(super) fn take_cancelled(&self) -> Vec<Waiting> {
        let mut taken = Vec::new();
        for waiting in &mut self.lock().waiting {
            let (cancelled, kept) =
                std::mem::take(waiting).into_iter().partition(Waiting::is_cancelled);
            *waiting = kept;
            let cancelled: VecDeque<Waiting> = cancelled;
            taken.extend(cancelled);
        }
        taken
    }

    /// The request that is to run next, if `fits` says that it can.
    ///
    /// None is taken out of turn: a large request would else wait for ever.
    pub(super) fn take_next(
        &self,
        priority: Priority,
        fits: impl FnOnce(&Waiting) -> bool,
    ) -> Option<Waiting> {
        let waiting = &mut self.lock().waiting[priority as usize];
        waiting.pop_front_if(|next| fits(next))
    }

    /// All that waits, when the engine closes.
    pub(super) fn take_all(&self) -> Vec<Waiting> {
        let mut inner = self.lock();
        inner.slices.clear();
        inner.waiting.iter_mut().flat_map(std::mem::take).collect()
    }

    /// The slice that is to have the next part of the time, an interactive one
    /// if there is one.
    pub(super) fn take_slice(&self) -> Option<(Priority, Slice)> {
        let slices = &mut self.lock().slices;
        let first = slices.iter().position(|(priority, _)| *priority == Priority::Interactive);
        slices.remove(first.unwrap_or(0))
    }

    /// Puts back a slice that is not done, behind the others.
    pub(super) fn put_back(&self, slice: (Priority, Slice)) {
        self.lock().slices.push_back(slice);
    }
}
