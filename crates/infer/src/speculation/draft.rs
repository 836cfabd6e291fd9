//! Tokens that are read although they may not come.

/// A draft, with the logits before and after each of its tokens.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    tokens: Vec<u32>,
    accepted: usize,
    /// Shape (1 + tokens, V).
    logits: Vec<f32>,
}

impl Draft {
    pub(crate) fn new(tokens: Vec<u32>) -> Self {
        Self { tokens, ..Self::default() }
    }

    /// Tokens drafted.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Takes the logits (1 + tokens, V) before and after the tokens.
    pub(crate) fn fill(&mut self, logits: Vec<f32>) {
        self.logits = logits;
    }

    /// The logits (V) after what is accepted.
    pub(crate) fn logits(&mut self) -> &mut [f32] {
        let vocab = self.logits.len() / (1 + self.tokens.len());
        &mut self.logits[self.accepted * vocab..][..vocab]
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
