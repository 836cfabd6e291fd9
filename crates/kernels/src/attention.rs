//! Softmax attention over cached keys and values, with grouped heads.
//!
//! Scores and outputs are inner products in the fixed order of
//! [`products`](crate::products): positions count from 0 in every sum, and a
//! position that a query may not see weighs exactly zero. So a token attends
//! with the same bits whether it is read alone or in a batch.

#![expect(unsafe_code, reason = "tasks write disjoint parts of an output")]

use std::cell::RefCell;
use std::ops::Range;

use crate::elementwise::{soft_cap, softmax_with_sink};
use crate::products::{SEGMENT, add_products};
use crate::shared::Shared;
use crate::{Pool, Rows};

/// Queries of one head that a task takes together.
const QUERIES: usize = 12;

/// Room for positions in a new cache.
const FIRST_CAPACITY: usize = 64;

/// Keys and values of one layer for the positions so far.
#[derive(Clone, Debug)]
pub struct KeyValues {
    heads: usize,
    head_width: usize,
    len: usize,
    capacity: usize,
    /// Shape (K, capacity, E).
    keys: Vec<f32>,
    /// Shape (K, E, capacity): a sum over positions reads neighbours.
    values: Vec<f32>,
}

impl KeyValues {
    /// Room for no position yet; `heads` is K and `head_width` E.
    pub fn new(heads: usize, head_width: usize) -> Self {
        assert!(head_width <= SEGMENT, "head width {head_width}");
        Self { heads, head_width, len: 0, capacity: 0, keys: Vec::new(), values: Vec::new() }
    }

    /// Positions held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True before the first position was pushed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets the positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Adds the keys and values (T, K, E) of the next positions.
    pub fn push(&mut self, keys: &[f32], values: &[f32]) {
        let (heads, width) = (self.heads, self.head_width);
        let tokens = keys.len() / (heads * width);
        assert_eq!(keys.len(), values.len(), "keys and values");
        self.reserve(self.len + tokens);
        let capacity = self.capacity;
        for head in 0..heads {
            let new_keys = &mut self.keys[(head * capacity + self.len) * width..][..tokens * width];
            for (token, key) in new_keys.chunks_exact_mut(width).enumerate() {
                key.copy_from_slice(&keys[(token * heads + head) * width..][..width]);
            }
            for e in 0..width {
                let row = &mut self.values[(head * width + e) * capacity + self.len..][..tokens];
                for (token, value) in row.iter_mut().enumerate() {
                    *value = values[(token * heads + head) * width + e];
                }
            }
        }
        self.len += tokens;
    }

    /// Makes room for `positions` in all, doubling so that growth is rare.
    fn reserve(&mut self, positions: usize) {
        if positions <= self.capacity {
            return;
        }
        let capacity = positions.next_power_of_two().max(FIRST_CAPACITY);
        let regrow = |old: &[f32], rows: usize, old_row: usize, new_row: usize| {
            let mut new = vec![0.0; rows * new_row];
            if old_row != 0 {
                for (new, old) in new.chunks_exact_mut(new_row).zip(old.chunks_exact(old_row)) {
                    new[..old_row].copy_from_slice(old);
                }
            }
            new
        };
        let (heads, width) = (self.heads, self.head_width);
        self.keys = regrow(&self.keys, heads, self.capacity * width, capacity * width);
        self.values = regrow(&self.values, heads * width, self.capacity, capacity);
        self.capacity = capacity;
    }

    /// Keys of `positions` of one head.
    fn keys(&self, head: usize, positions: &Range<usize>) -> Rows<'_> {
        let from = (head * self.capacity + positions.start) * self.head_width;
        Rows::new(&self.keys[from..], positions.len(), self.head_width, self.head_width)
    }

    /// Values of `positions` of one head: a row for each number of the head.
    fn values(&self, head: usize, positions: Range<usize>) -> Rows<'_> {
        let from = head * self.head_width * self.capacity + positions.start;
        Rows::new(&self.values[from..], self.head_width, positions.len(), self.capacity)
    }
}

/// Which positions a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// All.
    Full,
    /// Itself and those before it.
    Causal,
    /// The last so many, itself among them.
    Window(usize),
}

/// How queries attend.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// Query heads, H; a multiple of the key heads.
    pub heads: usize,
    /// Factor of the scores.
    pub scale: f32,
    pub mask: Mask,
    /// Added to the scaled scores, or empty: shape (H, 2 N - 1) for N
    /// positions, number `N - 1 + key - query` of a head's row.
    pub distance_bias: &'a [f32],
    /// If given, scaled scores are squeezed to below it by `cap * tanh(x / cap)`,
    /// before the bias. Gemma Team 2024, arXiv:2408.00118.
    pub soft_cap: Option<f32>,
    /// For each head (H) the score of nothing, or empty: it takes its share of
    /// the softmax and adds no value. Xiao et al. 2023, arXiv:2309.17453.
    pub sinks: &'a [f32],
}

thread_local! {
    /// Scores of the block at hand, then its outputs.
    static SCRATCH: RefCell<(Vec<f32>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// One block of queries: what a task works on.
struct Block {
    head: usize,
    /// Indices into the batch.
    tokens: Range<usize>,
    /// Positions that some query of the block sees, from a segment's start.
    seen: Range<usize>,
}

impl Attention<'_> {
    /// Writes to `out` (T, H, E) what `queries` (T, H, E), the last T
    /// positions of `past`, attend to.
    pub fn apply(&self, pool: &Pool, queries: &[f32], past: &KeyValues, out: &mut [f32]) {
        let token_width = self.heads * past.head_width;
        let tokens = queries.len() / token_width;
        assert_eq!((queries.len(), out.len()), (tokens * token_width, queries.len()), "shapes");
        assert!(tokens <= past.len, "queries without a position");
        assert!(self.sinks.is_empty() || self.sinks.len() == self.heads, "sinks");
        let blocks = tokens.div_ceil(QUERIES);
        let out = Shared::new(out);
        pool.run(self.heads * blocks, &|task| {
            let start = task % blocks * QUERIES;
            let block =
                self.block(task / blocks, start..(start + QUERIES).min(tokens), tokens, past);
            SCRATCH.with_borrow_mut(|(scores, sums)| {
                self.weigh(pool, (queries, past), &block, scores);
                sums.clear();
                sums.resize(block.tokens.len() * past.head_width, 0.0);
                add_values(pool, past, (&block, self.heads), scores, sums);
                for (token, sums) in block.tokens.zip(sums.chunks_exact(past.head_width)) {
                    let at = token * token_width + block.head * past.head_width;
                    // SAFETY: a task has tokens and a head of its own.
                    unsafe { out.part(at..at + past.head_width) }.copy_from_slice(sums);
                }
            });
        });
    }

    fn block(&self, head: usize, tokens: Range<usize>, batch: usize, past: &KeyValues) -> Block {
        let first = self.visible(past.len - batch + tokens.start, past.len);
        let last = self.visible(past.len - batch + tokens.end - 1, past.len);
        Block { head, tokens, seen: first.start / SEGMENT * SEGMENT..last.end }
    }

    /// The positions that the query at `position` of `len` sees.
    fn visible(&self, position: usize, len: usize) -> Range<usize> {
        match self.mask {
            Mask::Full => 0..len,
            Mask::Causal => 0..position + 1,
            Mask::Window(window) => (position + 1).saturating_sub(window)..position + 1,
        }
    }

    /// Fills `scores` (queries, seen) with the weights of the positions.
    fn weigh(
        &self,
        pool: &Pool,
        (queries, past): (&[f32], &KeyValues),
        block: &Block,
        scores: &mut Vec<f32>,
    ) {
        let (width, seen) = (past.head_width, block.seen.len());
        let batch = queries.len() / (self.heads * width);
        scores.clear();
        scores.resize(block.tokens.len() * seen, 0.0);
        let keys = past.keys(block.head * past.heads / self.heads, &block.seen);
        let from = (block.tokens.start * self.heads + block.head) * width;
        let block_queries =
            Rows::new(&queries[from..], block.tokens.len(), width, self.heads * width);
        add_products(pool.isa(), keys, block_queries, scores, seen);

        for (token, scores) in block.tokens.clone().zip(scores.chunks_exact_mut(seen)) {
            let position = past.len - batch + token;
            let visible = self.visible(position, past.len);
            let (from, to) = (visible.start - block.seen.start, visible.end - block.seen.start);
            scores[..from].fill(0.0);
            scores[to..].fill(0.0);
            let scores = &mut scores[from..to];
            for score in scores.iter_mut() {
                *score *= self.scale;
            }
            if let Some(cap) = self.soft_cap {
                soft_cap(pool.isa(), scores, cap);
            }
            if !self.distance_bias.is_empty() {
                let row = &self.distance_bias[block.head * (2 * past.len - 1)..];
                let row = &row[past.len - 1 + visible.start - position..];
                scores.iter_mut().zip(row).for_each(|(s, bias)| *s += bias);
            }
            let sink = self.sinks.get(block.head).copied().unwrap_or(f32::NEG_INFINITY);
            softmax_with_sink(pool.isa(), scores, sink);
        }
    }
}

/// Adds to `sums` (queries, E) the values, each times its weight.
fn add_values(
    pool: &Pool,
    past: &KeyValues,
    (block, heads): (&Block, usize),
    weights: &[f32],
    sums: &mut [f32],
) {
    let seen = block.seen.len();
    let head = block.head * past.heads / heads;
    for from in (0..seen).step_by(SEGMENT) {
        let len = SEGMENT.min(seen - from);
        let start = block.seen.start + from;
        let values = past.values(head, start..start + len);
        let weights = Rows::new(&weights[from..], block.tokens.len(), len, seen);
        add_products(pool.isa(), values, weights, sums, past.head_width);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::Isa;

    /// Numbers without a pattern, the same every time.
    fn numbers(len: usize, seed: f32) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * 12.9898 + seed).sin()).collect()
    }

    /// The textbook formula in f64.
    fn reference(
        attention: &Attention,
        (queries, keys, values): (&[f32], &[f32], &[f32]),
        (key_heads, width): (usize, usize),
    ) -> Vec<f64> {
        let heads = attention.heads;
        let (tokens, len) = (queries.len() / heads / width, keys.len() / key_heads / width);
        let mut out = Vec::new();
        for token in 0..tokens {
            let position = len - tokens + token;
            for head in 0..heads {
                let key_head = head * key_heads / heads;
                let at = |x: &[f32], token: usize, heads: usize, head: usize, e: usize| {
                    f64::from(x[(token * heads + head) * width + e])
                };
                let visible = attention.visible(position, len);
                let weights: Vec<f64> = visible
                    .clone()
                    .map(|j| {
                        let score: f64 = (0..width)
                            .map(|e| {
                                at(queries, token, heads, head, e)
                                    * at(keys, j, key_heads, key_head, e)
                            })
                            .sum();
                        let bias = attention
                            .distance_bias
                            .get(head * (2 * len - 1) + len - 1 + j - position)
                            .map_or(0.0, |&b| f64::from(b));
                        let score = score * f64::from(attention.scale);
                        let score = attention
                            .soft_cap
                            .map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh());
                        (score + bias).exp()
                    })
                    .collect();
                let sink = attention.sinks.get(head).map_or(0.0, |&s| f64::from(s).exp());
                let total: f64 = weights.iter().sum::<f64>() + sink;
                for e in 0..width {
                    let sum: f64 = visible
                        .clone()
                        .zip(&weights)
                        .map(|(j, w)| w * at(values, j, key_heads, key_head, e))
                        .sum();
                    out.push(sum / total);
                }
            }
        }
        out
    }

    /// What is added to plain attention.
    #[derive(Clone, Copy, PartialEq)]
    enum Extras {
        None,
        Bias,
        CapAndSinks,
    }

    #[track_caller]
    fn check(mask: Mask, len: usize, (heads, key_heads): (usize, usize), extras: Extras) {
        let width = 16;
        let if_asked = |asked, count| if asked { numbers(count, 0.3) } else { Vec::new() };
        let bias = if_asked(extras == Extras::Bias, heads * (2 * len - 1));
        let sinks = if_asked(extras == Extras::CapAndSinks, heads);
        let soft_cap = (extras == Extras::CapAndSinks).then_some(0.7);
        let attention =
            Attention { heads, scale: 0.25, mask, distance_bias: &bias, soft_cap, sinks: &sinks };
        let queries = numbers(len * heads * width, 0.1);
        let keys = numbers(len * key_heads * width, 0.7);
        let values = numbers(len * key_heads * width, 0.9);
        let want = reference(&attention, (&queries, &keys, &values), (key_heads, width));

        let mut past = KeyValues::new(key_heads, width);
        past.push(&keys, &values);
        let run = |threads, isa, past: &KeyValues, queries: &[f32]| {
            let pool = Pool::with_isa(NonZeroUsize::new(threads).unwrap(), isa);
            let mut out = vec![f32::NAN; queries.len()];
            attention.apply(&pool, queries, past, &mut out);
            out
        };
        let found = run(1, Isa::Scalar, &past, &queries);
        for (found, want) in found.iter().zip(&want) {
            assert!((f64::from(*found) - want).abs() < 1e-5, "{found} {want}");
        }
        assert_eq!(run(2, Isa::best(), &past, &queries), found, "threads and instructions");

        if mask != Mask::Full {
            let mut past = KeyValues::new(key_heads, width);
            let (q, k) = (heads * width, key_heads * width);
            for token in 0..len {
                past.push(&keys[token * k..][..k], &values[token * k..][..k]);
                let alone = run(1, Isa::best(), &past, &queries[token * q..][..q]);
                assert_eq!(alone, &found[token * q..][..q], "token {token} alone");
            }
        }
    }

    #[test]
    fn outputs_are_those_of_the_formula_for_any_batch() {
        check(Mask::Full, 1, (1, 1), Extras::None);
        check(Mask::Full, 70, (4, 4), Extras::None);
        check(Mask::Full, 21, (4, 2), Extras::Bias);
        check(Mask::Causal, 70, (6, 2), Extras::None);
        check(Mask::Window(5), 70, (4, 1), Extras::None);
        check(Mask::Full, 21, (4, 2), Extras::CapAndSinks);
        check(Mask::Causal, 70, (6, 2), Extras::CapAndSinks);
        check(Mask::Window(5), 70, (4, 1), Extras::CapAndSinks);
    }

    #[test]
    fn a_window_past_the_first_segment_has_the_same_bits_alone() {
        check(Mask::Window(40), SEGMENT + 60, (1, 1), Extras::None);
        check(Mask::Causal, SEGMENT + 30, (1, 1), Extras::None);
    }

    #[test]
    fn truncation_forgets_later_positions() {
        let mut past = KeyValues::new(1, 16);
        past.push(&numbers(160, 0.1), &numbers(160, 0.2));
        past.truncate(4);
        past.push(&numbers(16, 0.5), &numbers(16, 0.6));
        let mut fresh = KeyValues::new(1, 16);
        let join = |a: Vec<f32>, b: Vec<f32>| [&a[..64], &b[..]].concat();
        let keys = join(numbers(160, 0.1), numbers(16, 0.5));
        fresh.push(&keys, &join(numbers(160, 0.2), numbers(16, 0.6)));
        let attention = Attention {
            heads: 1,
            scale: 1.0,
            mask: Mask::Causal,
            distance_bias: &[],
            soft_cap: None,
            sinks: &[],
        };
        let pool = Pool::new(NonZeroUsize::MIN);
        let (mut a, mut b) = (vec![0.0; 16], vec![0.0; 16]);
        attention.apply(&pool, &keys[..16], &past, &mut a);
        attention.apply(&pool, &keys[..16], &fresh, &mut b);
        assert_eq!((past.len(), a), (5, b));
    }
}
