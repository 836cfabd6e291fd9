//! Reuse of what was read of pieces that many prompts share, such as passages.
//!
//! What follows a prompt depends on the prompt and on how it is reused, never
//! on what happens to be kept: a piece that is not kept is read and kept first,
//! and then put in as if it had been.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use plumb_model::{ChunkType, KvChunk};
use plumb_text::{Message, Special};

use crate::chunk_store::{ChunkKey, ChunkStore};
use crate::{Error, Kept, LanguageModel};

/// A prompt, and where pieces stand in it that other prompts have, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PiecedPrompt {
    pub tokens: Vec<u32>,
    /// Positions of tokens, in order.
    pub pieces: Vec<Range<usize>>,
}

/// How pieces of prompts are reused.
#[derive(Clone, Debug)]
pub struct Reuse {
    store: ChunkStore,
    stored: ChunkType,
    fresh: f32,
    now: fn() -> SystemTime,
}

impl Reuse {
    /// Reuse of what `store` keeps as `stored`. The part `fresh` of each piece,
    /// from its beginning, is read anew: with 1 all is read and nothing reused.
    /// `now` tells the time at which a piece is used.
    pub fn new(
        store: ChunkStore,
        (stored, fresh): (ChunkType, f32),
        now: fn() -> SystemTime,
    ) -> Result<Self, Error> {
        if !(0.0..=1.0).contains(&fresh) {
            let (value, range) = (fresh.to_string(), "from 0 to 1");
            return Err(Error::Setting { field: "fresh", value, range });
        }
        Ok(Self { store, stored, fresh, now })
    }

    /// What is to be put into `prompt`. What of it is not kept is read here,
    /// and kept.
    pub fn kept(&self, model: &LanguageModel, prompt: &PiecedPrompt) -> Result<Vec<Kept>, Error> {
        let mut all = Vec::new();
        let start = prompt.pieces.first().map_or(0, |piece| piece.start);
        let head = &prompt.tokens[..start];
        for piece in &prompt.pieces {
            let skipped = fresh_tokens(self.fresh, piece.len());
            // The last token of a prompt is read for its logits.
            if skipped < piece.len() && piece.end < prompt.tokens.len() {
                let key = ChunkKey { head, passage: &prompt.tokens[piece.clone()] };
                let chunk = self.chunk(model, key, self.stored)?;
                all.push(Kept { at: piece.start + skipped, chunk, skipped });
            }
        }
        if !all.is_empty() && !head.is_empty() {
            // As it was read, so that it may serve other prompts, too.
            let chunk = self.chunk(model, ChunkKey { head: &[], passage: head }, ChunkType::F16)?;
            all.insert(0, Kept { at: 0, chunk, skipped: 0 });
        }
        Ok(all)
    }

    fn chunk(
        &self,
        model: &LanguageModel,
        key: ChunkKey<'_>,
        stored: ChunkType,
    ) -> Result<Arc<KvChunk>, Error> {
        if let Some(chunk) = self.store.get(model.spec(), (key, stored), (self.now)()) {
            return Ok(Arc::new(chunk));
        }
        let chunk = model.chunk(key.head, key.passage, stored)?;
        // What cannot be kept is read again the next time.
        let _ = self.store.put(key, &chunk, (self.now)());
        Ok(Arc::new(chunk))
    }
}

/// Tokens of a piece that are read.
fn fresh_tokens(fresh: f32, tokens: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
    let read = (fresh * tokens as f32).ceil() as usize;
    read.min(tokens)
}

impl LanguageModel {
    /// The prompt for `messages`, and the tokens of `pieces` in it, which the
    /// messages contain word for word and in this order.
    ///
    /// A token that is partly of a piece is not taken for one of it. For the
    /// rest see [`chat_prompt`](Self::chat_prompt).
    pub fn chat_prompt_in_pieces(
        &self,
        messages: &[Message],
        pieces: &[String],
    ) -> Result<PiecedPrompt, Error> {
        let text = self.chat_text(messages, &[])?;
        let placed = self.tokenizer().encode_with_offsets(&text, Special::Parse)?;
        let (mut found, mut from) = (Vec::new(), 0);
        for piece in pieces {
            // A template may change what it is given; such a piece is read.
            let Some(at) = text[from..].find(piece.as_str()) else { continue };
            let start = from + at;
            from = start + piece.len();
            let first = placed.partition_point(|(_, range)| range.start < start);
            let end = placed.partition_point(|(_, range)| range.end <= from);
            if first < end {
                found.push(first..end);
            }
        }
        let tokens = placed.into_iter().map(|(token, _)| token).collect();
        Ok(PiecedPrompt { tokens, pieces: found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_a_piece_is_read_and_never_less() {
        let read = |fresh| fresh_tokens(fresh, 7);
        assert_eq!([0.0, 0.1, 0.5, 1.0].map(read), [0, 1, 4, 7]);
        assert_eq!(fresh_tokens(0.1, 0), 0);
    }
}
