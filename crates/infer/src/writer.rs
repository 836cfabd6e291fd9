//! Writing tokens after a prompt, in steps between which the model reads.

use std::ops::ControlFlow;

use plumb_model::Logits;
use plumb_text::Decoder as TextDecoder;

use crate::logprobs::Logprobs;
use crate::sampling::Sampler;
use crate::speculation::{Draft, Speculator};
use crate::stop::StopFilter;
use crate::{Constraint, Error, Finish, Generation, LanguageModel, Options, Timings, TokenLogprob};

/// What is told of the text, and may end it.
pub(crate) type OnPiece<'a> = Box<dyn FnMut(&str) -> ControlFlow<()> + 'a>;

/// The state of one generation after the prompt.
///
/// [`start`](Self::start) takes the logits after the prompt. Until it or
/// [`go_on`](Self::go_on) says that the text has ended, the model is to read
/// what [`next_read`](Self::next_read) returns after the first
/// [`kept`](Self::kept) tokens of its cache.
pub(crate) struct Writer<'a> {
    model: &'a LanguageModel,
    constraint: Option<Box<dyn Constraint + 'a>>,
    on_piece: OnPiece<'a>,
    sampler: Sampler,
    speculator: Option<Speculator>,
    meter: Option<Logprobs>,
    logprobs: Vec<TokenLogprob>,
    decoder: TextDecoder<'a>,
    stop: StopFilter,
    ignore_stop_tokens: bool,
    /// Tokens that may still be generated.
    left: usize,
    tokens: Vec<u32>,
    text: String,
    timings: Timings,
    /// Tokens of prompt and text that the model has read.
    kept: usize,
    /// Generated tokens that it has not read.
    unread: Vec<u32>,
    draft: Draft,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(
        model: &'a LanguageModel,
        (prompt, options): (&[u32], &Options),
        constraint: Option<Box<dyn Constraint + 'a>>,
        on_piece: OnPiece<'a>,
    ) -> Self {
        // The last token of a full context is not read.
        let left = options.max_tokens.min(model.context() + 1 - prompt.len());
        let piece = |id| model.tokenizer().piece_bytes(id);
        let speculator = || Speculator::new(prompt, left, &model.costs());
        Self {
            model,
            constraint,
            on_piece,
            sampler: Sampler::new(&options.sampling, prompt, &piece),
            speculator: options.speculation.then(speculator),
            meter: options.logprobs.map(Logprobs::new),
            logprobs: Vec::new(),
            stop: StopFilter::new(options.stop.clone()),
            ignore_stop_tokens: options.ignore_stop_tokens,
            decoder: model.tokenizer().decoder(),
            left,
            tokens: Vec::new(),
            text: String::new(),
            timings: Timings::default(),
            kept: prompt.len(),
            unread: Vec::new(),
            draft: Draft::default(),
        }
    }

    /// Writes as far as the `logits` after the prompt allow; `Some` if that is
    /// all.
    pub(crate) fn start(&mut self, logits: &mut [f32]) -> Result<Option<Finish>, Error> {
        if self.left == 0 {
            return Ok(Some(Finish::Length));
        }
        self.go_on(logits)
    }

    /// What the model is to read, and which logits after the last of these tokens it
    /// is to give.
    ///
    /// With `may_draft` it may hold tokens that do not come.
    pub(crate) fn next_read(&mut self, may_draft: bool) -> (Vec<u32>, Logits) {
        let limit = self.left - self.tokens.len() - 1;
        // After several forced tokens, what a draft adds was not measured.
        let may_draft = may_draft && self.unread.len() == 1;
        let draft = match &mut self.speculator {
            Some(speculator) if may_draft => speculator.draft(limit, &self.model.costs()).to_vec(),
            _ => Vec::new(),
        };
        let tokens = [&*self.unread, &*draft].concat();
        self.timings.drafted_tokens += draft.len();
        self.kept += self.unread.len();
        self.unread.clear();
        self.draft = Draft::new(draft);
        (tokens, self.wanted(1 + self.draft.len()))
    }

    /// The logits after `count` tokens: where nothing changes them, the largest will
    /// do.
    fn wanted(&self, count: usize) -> Logits {
        if self.sampler.is_plain() && self.constraint.is_none() && self.meter.is_none() {
            return Logits::Largest { count, among: self.model.tokenizer().vocab_size() };
        }
        Logits::Tail(count)
    }

    /// How many tokens of the prompt and of [`tokens`](Self::tokens), and with
    /// them of the model's cache, are read and certain.
    pub(crate) fn kept(&self) -> usize {
        self.kept
    }

    /// The tokens that were generated.
    pub(crate) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// What was written, and [`Timings`] as far as they were counted here.
    pub(crate) fn finish(self, finish: Finish) -> Generation {
        let Self { tokens, mut text, stop, meter, logprobs, timings, .. } = self;
        if finish != Finish::StopString {
            text.push_str(&stop.finish());
        }
        Generation { tokens, text, logprobs: meter.map(|_| logprobs), finish, timings }
    }

    /// Goes on with the `logits` that [`next_read`](Self::next_read) asked for, and
    /// writes tokens until the model must read, or something ends the text: then
    /// `Some`.
    pub(crate) fn go_on(&mut self, logits: &mut [f32]) -> Result<Option<Finish>, Error> {
        loop {
            for token in self.forced() {
                if let Some(finish) = self.take(token) {
                    return Ok(Some(finish));
                }
                self.timings.forced_tokens += 1;
                self.settle(token);
            }
            if !self.unread.is_empty() {
                return Ok(None);
            }
            let token = self.choose(self.draft.next_of(logits))?;
            if let Some(finish) = self.take(token) {
                return Ok(Some(finish));
            }
            self.settle(token);
        }
    }

    /// Steps over `token` if it was drafted and so has been read, or leaves it
    /// to be read.
    fn settle(&mut self, token: u32) {
        if self.unread.is_empty() && self.draft.accept(token) {
            self.kept += 1;
            self.timings.accepted_tokens += 1;
            return;
        }
        if let (Some(speculator), true) = (&mut self.speculator, self.unread.is_empty()) {
            speculator.learn(self.draft.outcome(), &self.model.costs());
        }
        self.unread.push(token);
    }

    /// What the constraint forces. Nothing if log-probabilities are wanted:
    /// these need the logits before every token.
    fn forced(&mut self) -> Vec<u32> {
        match &mut self.constraint {
            Some(constraint) if self.meter.is_none() => constraint.forced(&self.tokens),
            _ => Vec::new(),
        }
    }

    fn choose(&mut self, logits: &mut [f32]) -> Result<u32, Error> {
        if let Some(meter) = &mut self.meter {
            meter.read(logits);
        }
        // A model may have more rows than its tokenizer has tokens.
        let known = self.model.tokenizer().vocab_size().min(logits.len());
        let logits = &mut logits[..known];
        self.sampler.adjust(logits);
        if let Some(constraint) = &mut self.constraint {
            constraint.mask(&self.tokens, logits);
        }
        let generated = self.tokens.len();
        self.sampler.draw(logits).ok_or_else(|| {
            match self.constraint.as_ref().and_then(|constraint| constraint.failure()) {
                Some(message) => Error::ConstraintFailed { generated, message },
                None => Error::NothingAllowed { generated },
            }
        })
    }

    /// Adds `token` to what was generated; `Some` if that ends generation.
    fn take(&mut self, token: u32) -> Option<Finish> {
        let tokenizer = self.model.tokenizer();
        if !self.ignore_stop_tokens && tokenizer.stop_ids().contains(&token) {
            return Some(self.end(Finish::EndOfTurn));
        }
        if let Some(meter) = &mut self.meter {
            self.logprobs.push(meter.of(token));
        }
        self.sampler.push(token, &|id| tokenizer.piece_bytes(id));
        if let Some(speculator) = &mut self.speculator {
            speculator.push(token);
        }
        self.tokens.push(token);
        let piece = self.decoder.push(token);
        if let Some(finish) = self.emit(&piece) {
            return Some(finish);
        }
        (self.tokens.len() == self.left).then(|| self.end(Finish::Length))
    }

    /// Passes text to the caller; `Some` if that ends generation.
    fn emit(&mut self, piece: &str) -> Option<Finish> {
        let released = self.stop.push(piece);
        self.text.push_str(&released.text);
        let is_break = !released.text.is_empty() && (self.on_piece)(&released.text).is_break();
        if released.is_end {
            Some(Finish::StopString)
        } else {
            is_break.then_some(Finish::Cancelled)
        }
    }

    /// Passes the last text and what the filter still holds.
    fn end(&mut self, finish: Finish) -> Finish {
        let piece = self.decoder.finish();
        if let Some(Finish::StopString) = self.emit(&piece) {
            return Finish::StopString;
        }
        let held = std::mem::replace(&mut self.stop, StopFilter::new(Vec::new())).finish();
        self.text.push_str(&held);
        if !held.is_empty() {
            // Nothing is left to cancel.
            let _ = (self.on_piece)(&held);
        }
        finish
    }
}
