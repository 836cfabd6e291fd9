//! What a generation reads, drafts included.

use plumb_model::Logits;

use crate::language_model::Sequence;
use crate::{Error, LanguageModel};

/// The sequence of a generation, and what of it is not settled.
pub(crate) struct Reading<'a> {
    /// Its tokens are settled; its cache may hold those of the draft beyond.
    pub(crate) sequence: &'a mut Sequence,
    /// Generated tokens that the model has not read.
    pub(crate) unread: Vec<u32>,
    pub(crate) draft: Draft,
}

/// Tokens that were read although they may not come, with the logits before
/// and after each.
pub(crate) struct Draft {
    pub(crate) tokens: Vec<u32>,
    accepted: usize,
    /// Shape (1 + tokens, V).
    logits: Vec<f32>,
    /// V.
    vocab: usize,
}

impl Draft {
    /// No tokens; `logits` are those after what was read.
    pub(crate) fn none(logits: Vec<f32>) -> Self {
        Self { tokens: Vec::new(), accepted: 0, vocab: logits.len(), logits }
    }

    /// The logits after what is accepted.
    pub(crate) fn logits(&mut self) -> &mut [f32] {
        &mut self.logits[self.accepted * self.vocab..][..self.vocab]
    }

    /// Accepts the next token of the draft, if that is `token`.
    pub(crate) fn accept(&mut self, token: u32) -> bool {
        let is_next = self.tokens.get(self.accepted) == Some(&token);
        self.accepted += usize::from(is_next);
        is_next
    }

    /// How many tokens it has, and how many of them were accepted.
    pub(crate) fn outcome(&self) -> (usize, usize) {
        (self.tokens.len(), self.accepted)
    }
}

impl Reading<'_> {
    /// Reads what is unread, and `draft` after it.
    pub(crate) fn read(&mut self, model: &LanguageModel, draft: Vec<u32>) -> Result<(), Error> {
        let tokens = [&*self.unread, &*draft].concat();
        let tail = Logits::Tail(1 + draft.len());
        let logits = model.forward(&mut self.sequence.cache, &tokens, tail)?;
        self.sequence.tokens.append(&mut self.unread);
        let vocab = logits.len() / (1 + draft.len());
        self.draft = Draft { tokens: draft, accepted: 0, logits, vocab };
        Ok(())
    }

    /// Forgets what of the draft was not accepted.
    pub(crate) fn forget_draft(&mut self) {
        self.sequence.cache.truncate(self.sequence.tokens.len());
        self.draft.tokens.truncate(self.draft.accepted);
    }
}
