//! Tokens that are read although they may not come.

/// A draft, and how far it came.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    tokens: Vec<u32>,
    accepted: usize,
}

impl Draft {
    pub(crate) fn new(tokens: Vec<u32>) -> Self {
        Self { tokens, accepted: 0 }
    }

    /// Tokens drafted.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Those of the `logits` (1 + tokens, V), before and after each token, that come
    /// after what is accepted.
    pub(crate) fn next_of<'a>(&self, logits: &'a mut [f32]) -> &'a mut [f32] {
        let vocab = logits.len() / (1 + self.tokens.len());
        &mut logits[self.accepted * vocab..][..vocab]
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
