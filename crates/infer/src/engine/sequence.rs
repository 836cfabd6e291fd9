//! A request that runs.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use plumb_model::{KvCache, Logits};

use super::queue::Waiting;
use super::{Event, OnEvent, Priority};
use crate::stitched::exact_tokens;
use crate::writer::Writer;
use crate::{Constraint, Error, Finish, Generation, Kept, LanguageModel, Options, Timings};

/// What of a request is being done.
enum Stage<'m> {
    /// The prompt is read; this is to write after it.
    Reading(Option<Box<dyn Constraint + Send>>),
    Writing(Box<Writer<'m>>),
    /// Nothing; the last event was sent.
    Ended,
}

/// A sequence with its cache.
pub(super) struct Sequence<'m> {
    model: &'m LanguageModel,
    prompt: Vec<u32>,
    /// What is still to be put into the prompt in place of reading.
    kept: VecDeque<Kept>,
    /// Tokens whose keys and values are those that reading gives.
    exact: usize,
    options: Options,
    pub(super) priority: Priority,
    stage: Stage<'m>,
    pub(super) cache: KvCache,
    /// Tokens of the prompt that were known.
    cached: usize,
    /// When it ended, what the cache holds.
    known: Vec<u32>,
    on_event: Arc<Mutex<OnEvent>>,
    is_cancelled: Arc<AtomicBool>,
    started: Instant,
    prompt_read: Instant,
}

/// What a sequence wants to read next.
pub(super) struct Wish {
    pub(super) tokens: Vec<u32>,
    /// Which logits after the last of them are wanted.
    pub(super) logits: Logits,
}

impl Wish {
    fn nothing() -> Self {
        Self { tokens: Vec::new(), logits: Logits::Tail(0) }
    }

    /// After how many tokens logits are wanted.
    pub(super) fn rows(&self) -> usize {
        self.logits.count(self.tokens.len())
    }
}

impl<'m> Sequence<'m> {
    /// Begins with a cache that holds the first tokens of the prompt.
    pub(super) fn new(model: &'m LanguageModel, waiting: Waiting, mut cache: KvCache) -> Self {
        let Waiting { request, on_event, is_cancelled } = waiting;
        let now = Instant::now();
        let exact = exact_tokens(&request.kept);
        let mut kept = VecDeque::from(request.kept);
        while kept.pop_front_if(|kept| kept.end() <= cache.len()).is_some() {}
        // A beginning that is known only in part.
        cache.truncate(kept.front().map_or(usize::MAX, |kept| kept.at));
        Self {
            model,
            prompt: request.prompt,
            kept,
            exact,
            options: request.options,
            priority: request.priority,
            stage: Stage::Reading(request.constraint),
            cached: cache.len(),
            cache,
            known: Vec::new(),
            on_event: Arc::new(Mutex::new(on_event)),
            is_cancelled,
            started: now,
            prompt_read: now,
        }
    }

    pub(super) fn is_reading(&self) -> bool {
        matches!(self.stage, Stage::Reading(_))
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// Tokens that it may come to hold.
    pub(super) fn room(&self) -> usize {
        self.prompt.len() + self.options.max_tokens
    }

    /// What is to be read next: of a prompt, at most `budget` tokens.
    pub(super) fn wish(&mut self, budget: usize, may_draft: bool) -> Wish {
        if let Stage::Writing(writer) = &mut self.stage {
            self.cache.truncate(writer.kept());
            let (tokens, logits) = writer.next_read(may_draft);
            return Wish { tokens, logits };
        }
        while let Some(kept) = self.kept.pop_front_if(|kept| kept.at == self.cache.len()) {
            if let Err(error) = self.model.place(&mut self.cache, &kept) {
                self.fail(error);
                return Wish::nothing();
            }
            self.cached += kept.end() - kept.at;
        }
        let end = self.kept.front().map_or(self.prompt.len(), |kept| kept.at);
        let left = &self.prompt[self.cache.len()..end];
        let tokens = left[..left.len().min(budget)].to_vec();
        let is_last = self.cache.len() + tokens.len() == self.prompt.len();
        Wish { tokens, logits: Logits::Tail(usize::from(is_last)) }
    }

    /// The beginning of the prompt that others may share.
    pub(super) fn shareable(&self) -> &[u32] {
        &self.prompt[..self.prompt.len().min(self.exact)]
    }

    /// The same once it is read, with the state after it.
    pub(super) fn shareable_state(&self) -> (&[u32], KvCache) {
        let (tokens, mut cache) = (self.shareable(), self.cache.clone());
        cache.truncate(tokens.len());
        (tokens, cache)
    }

    /// Takes the logits that the last wish asked for, if any.
    pub(super) fn go_on(&mut self, logits: &mut [f32]) {
        if logits.is_empty() {
            return;
        }
        let ended = match &mut self.stage {
            Stage::Writing(writer) => writer.go_on(logits),
            Stage::Reading(constraint) => {
                let constraint = constraint.take();
                self.prompt_read = Instant::now();
                let mut writer = self.writer(constraint);
                let ended = writer.start(logits);
                self.stage = Stage::Writing(Box::new(writer));
                ended
            }
            Stage::Ended => Ok(None),
        };
        match ended {
            Ok(None) => {}
            Ok(Some(finish)) => self.end(finish),
            Err(error) => self.fail(error),
        }
    }

    fn writer(&self, constraint: Option<Box<dyn Constraint + Send>>) -> Writer<'m> {
        let constraint = constraint.map(|constraint| constraint as Box<dyn Constraint + 'm>);
        let (on_event, is_cancelled) = (self.on_event.clone(), self.is_cancelled.clone());
        let on_piece = move |piece: &str| {
            let flow = send(&on_event, Event::Text(piece.to_owned()));
            if is_cancelled.load(Ordering::Acquire) { ControlFlow::Break(()) } else { flow }
        };
        Writer::new(self.model, (&self.prompt, &self.options), constraint, Box::new(on_piece))
    }

    /// Tokens, and the cache that holds them.
    pub(super) fn into_known(self) -> (Vec<u32>, KvCache) {
        (self.known, self.cache)
    }

    /// The tokens that the cache holds for certain.
    fn known(&self) -> Vec<u32> {
        match &self.stage {
            Stage::Writing(writer) => {
                let written = writer.kept() - self.prompt.len();
                [&*self.prompt, &writer.tokens()[..written]].concat()
            }
            _ => self.prompt[..self.cache.len().min(self.prompt.len())].to_vec(),
        }
    }

    /// Ends it with what was written.
    pub(super) fn end(&mut self, finish: Finish) {
        self.known = self.known();
        self.known.truncate(self.exact);
        self.cache.truncate(self.known.len());
        let stage = std::mem::replace(&mut self.stage, Stage::Ended);
        let mut done = match stage {
            Stage::Writing(writer) => writer.finish(finish),
            _ => nothing(finish),
        };
        done.timings = Timings {
            prompt_tokens: self.prompt.len(),
            cached_tokens: self.cached,
            prefill: self.prompt_read.duration_since(self.started),
            decode: self.prompt_read.elapsed(),
            ..done.timings
        };
        let _ = send(&self.on_event, Event::Done(Ok(done)));
    }

    pub(super) fn fail(&mut self, error: Error) {
        self.stage = Stage::Ended;
        self.cache.truncate(0);
        let _ = send(&self.on_event, Event::Done(Err(error)));
    }
}

/// A generation that wrote nothing.
pub(super) fn nothing(finish: Finish) -> Generation {
    let (tokens, text, timings) = (Vec::new(), String::new(), Timings::default());
    Generation { tokens, text, logprobs: None, finish, timings }
}

fn send(on_event: &Mutex<OnEvent>, event: Event) -> ControlFlow<()> {
    let mut on_event = on_event.lock().unwrap_or_else(PoisonError::into_inner);
    on_event(event)
}
