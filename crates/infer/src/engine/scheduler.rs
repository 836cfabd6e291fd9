//! The engine's thread: which sequences run, and what a step reads.

use std::ops::ControlFlow;
use std::time::Instant;

use plumb_model::{KvCache, Run};

use super::encoding::Encoding;
use super::prefix::{PrefixTree, common};
use super::queue::{Queue, Waiting};
use super::sequence::{Sequence, Wish, nothing};
use super::{EngineSettings, EngineStatus, Event, Priority};
use crate::{Error, Finish, LanguageModel};

/// A shared beginning of so many tokens is worth waiting for.
const WORTH_WAITING: usize = 32;

/// Runs until the queue is closed.
pub(super) fn run(model: Option<&LanguageModel>, settings: EngineSettings, queue: &Queue) {
    let _closing = Closing(queue);
    let mut generation = model.map(|model| Scheduler::new(model, settings, queue));
    let mut encoding = Encoding::default();
    let mut batches = 0;
    loop {
        let status = generation.as_ref().map(Scheduler::status).unwrap_or_default();
        let is_idle = status.running == 0 && encoding.is_empty();
        if !queue.wait(EngineStatus { steps: status.steps + batches, ..status }, is_idle) {
            break;
        }
        if let Some(generation) = &mut generation {
            generation.turn();
        }
        encoding.extend(queue.take_jobs());
        queue.jobs_done(encoding.end_finished());
        if let Some(priority) = encoding.priority() {
            let beside = generation.as_ref().and_then(Scheduler::priority);
            encoding.step(encode_budget(settings, priority, beside));
            batches += 1;
            queue.jobs_done(encoding.end_finished());
        }
        if let Some((priority, mut slice)) = queue.take_slice()
            && slice().is_continue()
        {
            queue.put_back((priority, slice));
        }
    }
    for sequence in generation.iter_mut().flat_map(|generation| &mut generation.running) {
        sequence.end(Finish::Cancelled);
    }
    queue.take_all().into_iter().for_each(cancel);
    encoding.extend(queue.take_jobs());
    encoding.cancel();
}

/// Tokens that an encoder may read for a request of `priority`, beside
/// sequences of which the first is of priority `beside`.
fn encode_budget(settings: EngineSettings, priority: Priority, beside: Option<Priority>) -> usize {
    match beside {
        Some(beside) if beside < priority => settings.encode_tokens_beside / 4,
        Some(beside) if beside == priority => settings.encode_tokens_beside,
        _ => settings.encode_tokens,
    }
}

/// Closes the queue also where a receiver of events panics, so that nobody
/// waits for a thread that is gone.
struct Closing<'q>(&'q Queue);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
        drop((self.0.take_all(), self.0.take_jobs()));
    }
}

struct Scheduler<'m> {
    model: &'m LanguageModel,
    settings: EngineSettings,
    queue: &'m Queue,
    /// What was read before.
    known: PrefixTree<KvCache>,
    /// Interactive ones first, each kind in order of admission. The first
    /// `max_running` are read and written, the others are paused.
    running: Vec<Sequence<'m>>,
    steps: u64,
    /// Of the last step.
    logits: Vec<f32>,
}

impl<'m> Scheduler<'m> {
    fn new(model: &'m LanguageModel, settings: EngineSettings, queue: &'m Queue) -> Self {
        let known = PrefixTree::new(model.new_cache(), settings.cache_tokens);
        Self { model, settings, queue, known, running: Vec::new(), steps: 0, logits: Vec::new() }
    }

    /// The priority of the sequences that go first.
    fn priority(&self) -> Option<Priority> {
        self.running.first().map(|sequence| sequence.priority)
    }

    fn status(&self) -> EngineStatus {
        EngineStatus {
            running: self.running.len(),
            waiting: 0,
            encoding: 0,
            cached_tokens: self.known.tokens(),
            steps: self.steps,
        }
    }

    /// Admits, and reads one step.
    fn turn(&mut self) {
        self.end_cancelled();
        self.admit();
        if self.running.is_empty() {
            // Those of a long draft are large.
            self.logits = Vec::new();
        } else {
            self.step();
            self.steps += 1;
        }
    }

    fn end_cancelled(&mut self) {
        self.queue.take_cancelled().into_iter().for_each(cancel);
        for sequence in self.running.iter_mut().filter(|s| s.is_cancelled()) {
            sequence.end(Finish::Cancelled);
        }
        self.release_ended();
    }

    /// Lets waiting requests run as long as there is room.
    fn admit(&mut self) {
        for priority in [Priority::Interactive, Priority::Background] {
            // Interactive requests count as if no other were there: those give
            // way, as far as their number goes.
            let is_before = |s: &&Sequence<'_>| s.priority <= priority;
            while self.running.iter().filter(is_before).count() < self.settings.max_running {
                let room: usize = self.running.iter().map(Sequence::room).sum();
                let left = self.settings.cache_tokens.saturating_sub(room);
                let fits = |next: &Waiting| next.room() <= left && !self.may_soon_share(next);
                let Some(next) = self.queue.take_next(priority, fits) else { break };
                self.begin(next, left);
            }
        }
    }

    /// Whether another request reads a beginning of the same prompt, which the
    /// tree will know when it is done.
    fn may_soon_share(&self, next: &Waiting) -> bool {
        let prompt = next.shareable();
        let running = self.running.iter().take(self.settings.max_running);
        running.filter(|s| s.is_reading()).any(|sequence| {
            sequence.cache.len() + WORTH_WAITING <= common(sequence.shareable(), prompt)
        })
    }

    /// Starts a request for whose tokens, and the cached ones, `left` is room.
    fn begin(&mut self, next: Waiting, left: usize) {
        // The last token of a prompt must be read for its logits.
        let most = next.request.prompt.len() - 1;
        let prompt = next.shareable();
        let (cache, _) = self.known.find(&prompt[..prompt.len().min(most)]);
        let kept = left - next.room();
        self.known.shrink(kept);
        let at = self.running.partition_point(|s| s.priority <= next.request.priority);
        self.running.insert(at, Sequence::new(self.model, next, cache));
    }

    /// Reads one step and hands out what comes of it.
    fn step(&mut self) {
        let active = self.running.len().min(self.settings.max_running);
        let wishes = self.wishes(active);
        let started = Instant::now();
        let sequences = self.running[..active].iter_mut().zip(&wishes);
        let mut runs: Vec<Run<'_>> = sequences
            .filter(|(_, wish)| !wish.tokens.is_empty())
            .map(|(sequence, wish)| Run {
                tokens: &wish.tokens,
                cache: &mut sequence.cache,
                logits: wish.logits,
            })
            .collect();
        let result = self.model.forward_all(&mut runs, &mut self.logits);
        // A prompt's pass does without the logits of most of its tokens.
        if let [run] = &*runs
            && run.logits.count(run.tokens.len()) == run.tokens.len()
        {
            self.model.costs().learn(run.tokens.len(), started.elapsed());
        }
        match result {
            Ok(()) => self.hand_out(&wishes),
            Err(error) => self.fail(active, &error),
        }
        self.release_ended();
    }

    /// What each of the first `active` sequences reads in this step: all that
    /// write their next token, then prompts as far as the budget goes.
    fn wishes(&mut self, active: usize) -> Vec<Wish> {
        let running = &mut self.running[..active];
        let writing = running.iter().filter(|s| !s.is_reading()).count();
        let mut budget = match writing {
            0 => self.settings.step_tokens,
            _ => self.settings.step_tokens.saturating_sub(writing).max(1),
        };
        if writing != 0 {
            budget = budget.min(self.settings.prompt_tokens_beside);
        }
        let is_alone = active == 1;
        running
            .iter_mut()
            .map(|sequence| {
                let is_reading = sequence.is_reading();
                let wish = sequence.wish(budget, is_alone);
                budget -= if is_reading { wish.tokens.len() } else { 0 };
                wish
            })
            .collect()
    }

    /// Gives each sequence its logits, and remembers prompts that are read.
    fn hand_out(&mut self, wishes: &[Wish]) {
        let rows: usize = wishes.iter().map(Wish::rows).sum();
        let vocab = self.logits.len() / rows.max(1);
        let mut left = &mut *self.logits;
        for (sequence, wish) in self.running.iter_mut().zip(wishes) {
            let was_reading = sequence.is_reading();
            if was_reading && wish.rows() != 0 {
                // Those that run with it can share it from now on.
                let (tokens, cache) = sequence.shareable_state();
                self.known.insert(tokens, cache);
            }
            let own;
            (own, left) = left.split_at_mut(wish.rows() * vocab);
            sequence.go_on(own);
        }
    }

    fn fail(&mut self, active: usize, error: &Error) {
        for sequence in &mut self.running[..active] {
            sequence.fail(Error::Step { message: error.to_string() });
        }
    }

    /// Frees the sequences that ended, remembering what they read.
    fn release_ended(&mut self) {
        for sequence in self.running.extract_if(.., |s| s.is_ended()) {
            let (tokens, cache) = sequence.into_known();
            self.known.insert(&tokens, cache);
        }
        let room: usize = self.running.iter().map(Sequence::room).sum();
        self.known.shrink(self.settings.cache_tokens.saturating_sub(room));
    }
}

/// Ends a request that never ran.
fn cancel(waiting: Waiting) {
    let mut on_event = waiting.on_event;
    let _: ControlFlow<()> = on_event(Event::Done(Ok(nothing(Finish::Cancelled))));
}
