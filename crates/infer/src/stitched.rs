//! Prompts of passages whose keys and values are known.
//!
//! A passage is read once after what all prompts begin with, and its keys and
//! values are put behind other passages later. It has not seen those, so that
//! the answer may differ from that to a prompt which is read. The beginning of
//! each passage can be read anew in its place, where the difference is largest:
//! Hu et al. 2024, arXiv:2410.15332.

use std::ops::ControlFlow;
use std::time::Instant;

use plumb_model::{KvCache, KvChunk, Logits};

use crate::language_model::Sequence;
use crate::{Constraint, Error, Generation, LanguageModel, Options};

/// A passage in a prompt.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// Tokens before it that differ from prompt to prompt, such as its number:
    /// always read.
    pub label: &'a [u32],
    pub tokens: &'a [u32],
    /// What [`LanguageModel::chunk`] made of `tokens`; without it they are read.
    pub chunk: Option<&'a KvChunk>,
}

/// A prompt in pieces.
#[derive(Clone, Copy, Debug)]
pub struct StitchedPrompt<'a> {
    /// What the chunks were read after.
    pub head: &'a [u32],
    pub passages: &'a [Passage<'a>],
    /// At least one token.
    pub tail: &'a [u32],
    /// The part of each passage, from its beginning, that is read although it
    /// has a chunk: from 0 to 1.
    pub fresh: f32,
}

impl StitchedPrompt<'_> {
    /// All tokens.
    pub fn tokens(&self) -> Vec<u32> {
        let mut all = self.head.to_vec();
        for passage in self.passages {
            all.extend(passage.label.iter().chain(passage.tokens));
        }
        all.extend(self.tail);
        all
    }

    /// Tokens of a passage that are read.
    fn fresh_tokens(&self, passage: &Passage<'_>) -> usize {
        let tokens = passage.tokens.len();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
        let fresh = (self.fresh.clamp(0.0, 1.0) * tokens as f32).ceil() as usize;
        if passage.chunk.is_some() { fresh.min(tokens) } else { tokens }
    }

    /// Fails if it is no prompt for `model`.
    fn check(&self, model: &LanguageModel) -> Result<(), Error> {
        if !(0.0..=1.0).contains(&self.fresh) {
            let (value, range) = (self.fresh.to_string(), "from 0 to 1");
            return Err(Error::Setting { field: "fresh", value, range });
        }
        if self.tail.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        let has_other_length = |passage: &&Passage<'_>| {
            passage.chunk.is_some_and(|chunk| chunk.tokens() != passage.tokens.len())
        };
        if let Some(passage) = self.passages.iter().find(has_other_length) {
            let (tokens, chunk) = (passage.tokens.len(), passage.chunk.map_or(0, KvChunk::tokens));
            return Err(Error::OtherChunk { tokens, chunk });
        }
        let (tokens, context) = (self.tokens().len(), model.context());
        if context < tokens {
            return Err(Error::PromptTooLong { tokens, context });
        }
        Ok(())
    }
}

impl LanguageModel {
    /// Keys and values of a passage that is read after `head`.
    ///
    /// Fails if the model's keys cannot be moved, as those of learned positions
    /// and of rotations that change with the length of a text.
    pub fn chunk(&self, head: &[u32], passage: &[u32]) -> Result<KvChunk, Error> {
        self.decoder().check_movable()?;
        let mut cache = self.head(head)?;
        let start = cache.len();
        self.forward(&mut cache, passage, Logits::Tail(0))?;
        Ok(self.decoder().copy(&cache, start..cache.len())?)
    }

    /// The logits (V) after a prompt of which only a part is read.
    pub fn stitched_logits(&self, prompt: &StitchedPrompt<'_>) -> Result<Vec<f32>, Error> {
        Ok(self.stitch(prompt)?.1)
    }

    /// Continues a prompt of which only a part is read, as
    /// [`generate`](Self::generate) does one that is.
    pub fn generate_stitched(
        &self,
        prompt: &StitchedPrompt<'_>,
        options: &Options,
        constraint: Option<&mut dyn Constraint>,
        on_piece: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, Error> {
        options.check()?;
        options.sampling.check_tokens(self.tokenizer().vocab_size())?;
        let start = Instant::now();
        let (mut sequence, logits) = self.stitch(prompt)?;
        let read = prompt.passages.iter().map(|p| p.label.len() + prompt.fresh_tokens(p));
        let cached = sequence.tokens.len() - prompt.tail.len() - read.sum::<usize>();
        let prefill = start.elapsed();
        let tokens = sequence.tokens.clone();
        let mut done =
            self.continued(&mut sequence, logits, (&tokens, options, constraint), on_piece)?;
        // The sequence is not kept: what it holds is not what reading gives.
        (done.timings.cached_tokens, done.timings.prefill) = (cached, prefill);
        Ok(done)
    }

    /// Puts a prompt together, and returns the logits after it.
    fn stitch(&self, prompt: &StitchedPrompt<'_>) -> Result<(Sequence, Vec<f32>), Error> {
        prompt.check(self)?;
        let mut cache = self.head(prompt.head)?;
        let mut unread: Vec<u32> = Vec::new();
        for passage in prompt.passages {
            let fresh = prompt.fresh_tokens(passage);
            unread.extend(passage.label.iter().chain(&passage.tokens[..fresh]));
            if let Some(chunk) = passage.chunk.filter(|_| fresh < passage.tokens.len()) {
                if !unread.is_empty() {
                    self.forward(&mut cache, &unread, Logits::Tail(0))?;
                    unread.clear();
                }
                self.decoder().append(self.pool(), &mut cache, chunk, fresh)?;
            }
        }
        unread.extend(prompt.tail);
        let logits = self.forward(&mut cache, &unread, Logits::Last)?;
        Ok((Sequence { tokens: prompt.tokens(), cache }, logits))
    }

    /// A cache that holds `head`, which is kept for the next prompt.
    fn head(&self, head: &[u32]) -> Result<KvCache, Error> {
        if head.is_empty() {
            return Ok(self.new_cache());
        }
        let mut sequence = self.sequence(head)?;
        let unread = head[sequence.tokens.len()..].to_vec();
        self.forward(&mut sequence.cache, &unread, Logits::Tail(0))?;
        sequence.tokens = head.to_vec();
        let cache = sequence.cache.clone();
        self.keep(sequence);
        Ok(cache)
    }
}
