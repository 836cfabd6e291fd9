//! Writing tokens after a prompt.

use std::ops::ControlFlow;
use std::time::Instant;

use plumb_text::Decoder as TextDecoder;

use crate::language_model::Sequence;
use crate::logprobs::Logprobs;
use crate::reading::{Draft, Reading};
use crate::sampling::Sampler;
use crate::speculation::Speculator;
use crate::stop::StopFilter;
use crate::{Constraint, Error, Finish, Generation, LanguageModel, Options, Timings, TokenLogprob};

/// The state of one generation after the prompt.
pub(crate) struct Writer<'a, 'c> {
    model: &'a LanguageModel,
    constraint: Option<&'c mut dyn Constraint>,
    on_piece: &'a mut dyn FnMut(&str) -> ControlFlow<()>,
    sampler: Sampler,
    speculator: Option<Speculator>,
    meter: Option<Logprobs>,
    logprobs: Vec<TokenLogprob>,
    decoder: TextDecoder<'a>,
    stop: StopFilter<'a>,
    /// Tokens that may still be generated.
    left: usize,
    tokens: Vec<u32>,
    text: String,
    timings: Timings,
}

impl<'a, 'c> Writer<'a, 'c> {
    pub(crate) fn new(
        model: &'a LanguageModel,
        (prompt, options): (&[u32], &'a Options),
        constraint: Option<&'c mut dyn Constraint>,
        on_piece: &'a mut dyn FnMut(&str) -> ControlFlow<()>,
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
            stop: StopFilter::new(&options.stop),
            decoder: model.tokenizer().decoder(),
            left,
            tokens: Vec::new(),
            text: String::new(),
            timings: Timings::default(),
        }
    }

    /// What was written, and [`Timings`] as far as they were counted here.
    pub(crate) fn finish(self, finish: Finish) -> Generation {
        let Self { tokens, mut text, stop, meter, logprobs, timings, .. } = self;
        if finish != Finish::StopString {
            text.push_str(&stop.finish());
        }
        Generation { tokens, text, logprobs: meter.map(|_| logprobs), finish, timings }
    }

    /// Writes tokens until something ends it. `logits` are those after the
    /// prompt, which `sequence` holds.
    pub(crate) fn write(
        &mut self,
        sequence: &mut Sequence,
        logits: Vec<f32>,
    ) -> Result<Finish, Error> {
        if self.left == 0 {
            return Ok(Finish::Length);
        }
        let mut reading = Reading { sequence, unread: Vec::new(), draft: Draft::none(logits) };
        let result = self.write_on(&mut reading);
        reading.forget_draft();
        result
    }

    fn write_on(&mut self, reading: &mut Reading<'_>) -> Result<Finish, Error> {
        loop {
            for token in self.forced() {
                if let Some(finish) = self.take(token) {
                    return Ok(finish);
                }
                self.timings.forced_tokens += 1;
                self.settle(reading, token);
            }
            if !reading.unread.is_empty() {
                self.pass(reading)?;
            }
            let token = self.choose(reading.draft.logits())?;
            if let Some(finish) = self.take(token) {
                return Ok(finish);
            }
            self.settle(reading, token);
        }
    }

    /// Steps over `token` if it was drafted and so has been read, or leaves it
    /// to be read.
    fn settle(&mut self, reading: &mut Reading<'_>, token: u32) {
        if reading.draft.accept(token) {
            reading.sequence.tokens.push(token);
            self.timings.accepted_tokens += 1;
            return;
        }
        if let (Some(speculator), true) = (&mut self.speculator, reading.unread.is_empty()) {
            speculator.learn(reading.draft.outcome(), &self.model.costs());
        }
        reading.forget_draft();
        reading.unread.push(token);
    }

    /// Reads what is unread, and a draft after it.
    fn pass(&mut self, reading: &mut Reading<'_>) -> Result<(), Error> {
        let limit = self.left - self.tokens.len() - 1;
        let draft = match &mut self.speculator {
            // Several tokens were forced: what a draft adds was not measured.
            Some(speculator) if reading.unread.len() == 1 => {
                speculator.draft(limit, &self.model.costs()).to_vec()
            }
            _ => Vec::new(),
        };
        self.timings.drafted_tokens += draft.len();
        let (count, start) = (reading.unread.len() + draft.len(), Instant::now());
        reading.read(self.model, draft)?;
        self.model.costs().learn(count, start.elapsed());
        Ok(())
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
        if tokenizer.stop_ids().contains(&token) {
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
        let held = std::mem::replace(&mut self.stop, StopFilter::new(&[])).finish();
        self.text.push_str(&held);
        if !held.is_empty() {
            // Nothing is left to cancel.
            let _ = (self.on_piece)(&held);
        }
        finish
    }
}
