//! Prompts in which keys and values of pieces are put in place of reading them.
//!
//! A piece is read once after what all prompts begin with, and its keys and
//! values are put behind other pieces later. It has not seen those, so that
//! what follows may differ from what follows a prompt which is read. The
//! beginning of each piece can be read anew in its place, where the difference
//! is largest: Hu et al. 2024, arXiv:2410.15332.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use plumb_model::{ChunkType, KvCache, KvChunk, Logits};

use crate::language_model::Sequence;
use crate::writer::Writer;
use crate::{Constraint, Error, Finish, Generation, LanguageModel, Options, Timings};

/// Keys and values that stand in a prompt in place of tokens that are read.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Position in the prompt of the first such token.
    pub at: usize,
    /// Of the piece that these tokens end.
    pub chunk: Arc<KvChunk>,
    /// Tokens of the piece before that, which are read.
    pub skipped: usize,
}

impl Kept {
    /// Position after the last token.
    pub(crate) fn end(&self) -> usize {
        self.at + self.chunk.tokens().saturating_sub(self.skipped)
    }

    /// Whether it is what reading gives, to the bit: a beginning as it was read.
    pub(crate) fn is_exact(&self) -> bool {
        self.at == 0 && self.skipped == 0 && self.chunk.stored() == ChunkType::F16
    }
}

/// Tokens of a prompt whose keys and values are those that reading gives.
pub(crate) fn exact_tokens(kept: &[Kept]) -> usize {
    kept.iter().find(|kept| !kept.is_exact()).map_or(usize::MAX, |kept| kept.at)
}

/// Fails unless `kept` stand in a prompt of `tokens` tokens, one after the
/// other, and leave the last token to be read.
pub(crate) fn check(kept: &[Kept], tokens: usize) -> Result<(), Error> {
    let mut free = 0;
    for kept in kept {
        if kept.at < free || kept.end() <= kept.at || tokens <= kept.end() {
            return Err(Error::Misplaced { at: kept.at, chunk: kept.chunk.tokens(), tokens });
        }
        free = kept.end();
    }
    Ok(())
}

impl LanguageModel {
    /// Keys and values of a piece that is read after `head`, kept as `stored`.
    ///
    /// Fails if the model's keys cannot be moved, as those of learned positions
    /// and of rotations that change with the length of a text.
    pub fn chunk(&self, head: &[u32], piece: &[u32], stored: ChunkType) -> Result<KvChunk, Error> {
        self.decoder().check_movable()?;
        let mut cache = self.head(if head.is_empty() { piece } else { head })?;
        if !head.is_empty() {
            self.forward(&mut cache, piece, Logits::Tail(0))?;
        }
        let chunk = self.decoder().copy(&cache, head.len()..cache.len())?;
        Ok(self.decoder().store_as(self.pool(), chunk, stored)?)
    }

    /// The logits (V) after a prompt of which only a part is read.
    pub fn stitched_logits(&self, prompt: &[u32], kept: &[Kept]) -> Result<Vec<f32>, Error> {
        let (sequence, read, _) = self.stitch((prompt, kept), &mut go_on)?;
        self.keep_exact(sequence, kept);
        Ok(read.logits)
    }

    /// Continues `prompt`, in which `kept` stand in place of what is read.
    ///
    /// For the rest see [`generate`](Self::generate).
    pub fn generate_stitched(
        &self,
        (prompt, kept): (&[u32], &[Kept]),
        options: &Options,
        constraint: Option<&mut dyn Constraint>,
        on_piece: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, Error> {
        options.check()?;
        options.sampling.check_tokens(self.tokenizer().vocab_size())?;
        let start = Instant::now();
        let (mut sequence, read, flow) = self.stitch((prompt, kept), on_piece)?;
        let prefill = start.elapsed();
        let done = if flow.is_break() {
            Writer::new(self, (prompt, options), None, Box::new(on_piece)).finish(Finish::Cancelled)
        } else {
            self.continued(&mut sequence, read.logits, (prompt, options, constraint), on_piece)?
        };
        self.keep_exact(sequence, kept);
        let (prompt_tokens, cached_tokens) = (prompt.len(), read.cached);
        let timings = Timings { prompt_tokens, cached_tokens, prefill, ..done.timings };
        Ok(Generation { timings, ..done })
    }

    /// Reads a prompt, and puts in what is kept of it.
    fn stitch(
        &self,
        (prompt, kept): (&[u32], &[Kept]),
        on_piece: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(Sequence, Read, ControlFlow<()>), Error> {
        let mut sequence = self.sequence(prompt)?;
        check(kept, prompt.len())?;
        sequence.truncate(exact_tokens(kept));
        let mut cached = sequence.tokens.len();
        for kept in kept {
            if kept.end() <= sequence.tokens.len() {
                continue;
            }
            // Only a beginning may be known in part.
            sequence.truncate(kept.at);
            cached = cached.min(kept.at);
            let before = (&prompt[..kept.at], Logits::Tail(0));
            let (_, flow) = self.read(&mut sequence, before, on_piece)?;
            if flow.is_break() {
                return Ok((sequence, Read { logits: Vec::new(), cached }, flow));
            }
            self.place(&mut sequence.cache, kept)?;
            sequence.tokens.extend(&prompt[kept.at..kept.end()]);
            cached += kept.end() - kept.at;
        }
        let (logits, flow) = self.read(&mut sequence, (prompt, Logits::Last), on_piece)?;
        Ok((sequence, Read { logits, cached }, flow))
    }

    /// Puts `kept` behind what `cache` holds.
    pub(crate) fn place(&self, cache: &mut KvCache, kept: &Kept) -> Result<(), Error> {
        Ok(self.decoder().append(self.pool(), cache, &kept.chunk, kept.skipped)?)
    }

    /// Keeps what was read of a sequence before the first part that was not.
    fn keep_exact(&self, mut sequence: Sequence, kept: &[Kept]) {
        sequence.truncate(exact_tokens(kept));
        self.keep(sequence);
    }

    /// A cache that holds `head`, which is kept for the next prompt.
    fn head(&self, head: &[u32]) -> Result<KvCache, Error> {
        let mut sequence = self.sequence(head)?;
        let (_, _) = self.read(&mut sequence, (head, Logits::Tail(0)), &mut go_on)?;
        let cache = sequence.cache.clone();
        self.keep(sequence);
        Ok(cache)
    }
}

/// What came of reading a prompt.
struct Read {
    /// After its last token, shape (V); none if it was broken off.
    logits: Vec<f32>,
    /// Tokens that were known.
    cached: usize,
}

fn go_on(_: &str) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
