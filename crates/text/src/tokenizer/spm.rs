//! SentencePiece vocabularies, merged by score.
//!
//! A text begins as its characters. The pair of neighbours whose joined
//! spelling has the highest score is joined, the leftmost first among equals,
//! until no pair is in the vocabulary. What is not in the vocabulary then
//! falls back to its bytes. This is llama.cpp's order for `llama` vocabularies.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

use super::Placed;
use super::pieces::byte_token;
use super::spellings::Spellings;
use crate::Error;

/// How SentencePiece writes a space.
const SPACE: char = '\u{2581}';

/// A SentencePiece vocabulary.
pub(super) struct Spm {
    spellings: Arc<Spellings>,
    scores: Vec<f32>,
    /// The token of each byte, or the unknown token.
    bytes: Vec<u32>,
    add_space_prefix: bool,
}

/// A run of the spaced-out text: a character at first, later a joined piece.
struct Symbol {
    range: Range<usize>,
    /// Its place in the original text.
    source: Range<usize>,
    previous: Option<usize>,
    next: Option<usize>,
}

/// Two neighbours that may be joined.
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    /// Length of the joined spelling when it was found, to notice that one of
    /// the two has changed since.
    len: usize,
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

impl Spm {
    /// From the vocabulary in the order of ids, with its scores.
    ///
    /// Invariant: `scores` has one entry for each token.
    pub(super) fn new(
        spellings: Arc<Spellings>,
        scores: &[f32],
        unknown: Option<u32>,
        add_space_prefix: bool,
    ) -> Result<Self, Error> {
        assert_eq!(spellings.iter().len(), scores.len(), "the caller has compared the lengths");
        let mut bytes = vec![None; 256];
        for (token, id) in spellings.iter().zip(0..) {
            if let Some(byte) = byte_token(token) {
                bytes[usize::from(byte)] = Some(id);
            }
        }
        let bytes = bytes.into_iter().map(|id: Option<u32>| id.or(unknown)).collect::<Option<_>>();
        let bytes = bytes.ok_or(Error::NoUnknownToken)?;
        Ok(Self { spellings, scores: scores.to_vec(), bytes, add_space_prefix })
    }

    /// The tokens of `text`. The space prefix, if the model has one, is added
    /// at the start of a text and after a special token.
    pub(super) fn encode(&self, text: &str, after_special: bool) -> Vec<Placed> {
        let prefix = self.add_space_prefix && after_special;
        let (spelling, mut symbols) = symbols(text, prefix);
        self.join(&spelling, &mut symbols);

        let mut tokens = Vec::new();
        let mut index = (!symbols.is_empty()).then_some(0);
        while let Some(symbol) = index.map(|i| &symbols[i]) {
            let piece = &spelling[symbol.range.clone()];
            if let Some(id) = self.spellings.find(piece) {
                tokens.push((id, symbol.source.clone()));
            } else {
                let ids = piece.bytes().map(|byte| self.bytes[usize::from(byte)]);
                tokens.extend(ids.map(|id| (id, symbol.source.clone())));
            }
            index = symbol.next;
        }
        tokens
    }

    fn join(&self, spelling: &str, symbols: &mut [Symbol]) {
        let mut pairs = BinaryHeap::new();
        for right in 1..symbols.len() {
            pairs.extend(self.pair(spelling, symbols, right - 1, right));
        }
        while let Some(Pair { left, right, len, .. }) = pairs.pop() {
            let (a, b) = (&symbols[left].range, &symbols[right].range);
            if a.is_empty() || b.is_empty() || a.len() + b.len() != len {
                continue;
            }
            symbols[left].range.end = symbols[right].range.end;
            symbols[left].source.end = symbols[right].source.end;
            symbols[right].range.start = symbols[right].range.end;
            symbols[left].next = symbols[right].next;
            if let Some(next) = symbols[left].next {
                symbols[next].previous = Some(left);
                pairs.extend(self.pair(spelling, symbols, left, next));
            }
            if let Some(previous) = symbols[left].previous {
                pairs.extend(self.pair(spelling, symbols, previous, left));
            }
        }
    }

    fn pair(&self, spelling: &str, symbols: &[Symbol], left: usize, right: usize) -> Option<Pair> {
        let range = symbols[left].range.start..symbols[right].range.end;
        let len = range.len();
        let id = self.spellings.find(&spelling[range])?;
        let score = *self.scores.get(id as usize)?;
        Some(Pair { score, left, right, len })
    }
}

/// The text with spaces spelt out, and its characters as linked symbols.
fn symbols(text: &str, prefix: bool) -> (String, Vec<Symbol>) {
    let mut spelling = String::with_capacity(text.len() + 3);
    let mut symbols: Vec<Symbol> = Vec::with_capacity(text.len());
    let prefix = prefix.then_some((0, 0, SPACE));
    let chars = text.char_indices().map(|(at, c)| (at, c.len_utf8(), c));
    for (at, len, c) in prefix.into_iter().chain(chars) {
        let start = spelling.len();
        spelling.push(if c == ' ' { SPACE } else { c });
        let index = symbols.len();
        if let Some(last) = symbols.last_mut() {
            last.next = Some(index);
        }
        let range = start..spelling.len();
        let source = at..at + len;
        symbols.push(Symbol { range, source, previous: index.checked_sub(1), next: None });
    }
    (spelling, symbols)
}
