//! Softmax attention over cached keys and values, with grouped heads.
//!
//! A query's positions are taken in segments of 256, counted from position 0.
//! Within a segment its scores and its sum of weighted values are each one
//! chain of fused multiply-adds ([`strips`]), and segments are put together in
//! their order ([`weights`]); a position that a query may not see weighs exactly
//! zero. So a token attends with the same bits whether it is read alone or in a
//! batch, on one thread or on several.
//!
//! Query heads that share a key head are *rows* of it, (token, head of the
//! group) pairs. A prompt is split into blocks of rows ([`Attention::by_rows`]);
//! a few tokens are split into segments ([`Attention::by_segments`]), so that
//! each key and value is read once for all rows.

#![expect(unsafe_code, reason = "tasks write disjoint parts of an output")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod cache;
#[cfg(target_arch = "aarch64")]
mod neon;
mod rows;
mod strips;
#[cfg(test)]
mod tests;
mod weights;

use std::cell::RefCell;
use std::ops::Range;

pub use cache::{CacheType, KeyValues};

use crate::Pool;
use crate::shared::Shared;
use cache::padded;
use rows::{Block, Job};
use strips::ROWS;
use weights::EXTRA;

/// Tokens up to which segments are split over the threads, and not rows.
const FEW: usize = 8;

/// Rows of a task at most: as many as use a segment while it is in the cache.
const MAX_ROWS: usize = 8 * ROWS;

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
    /// Sums of every head, segment and row, while a few tokens are read.
    static SUMS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    static BLOCK: RefCell<Block> = RefCell::new(Block::default());
}

impl Attention<'_> {
    /// Writes to `out` (T, H, E) what `queries` (T, H, E), the last T
    /// positions of `past`, attend to.
    pub fn apply(&self, pool: &Pool, queries: &[f32], past: &KeyValues, out: &mut [f32]) {
        let token_width = self.heads * past.head_width();
        let tokens = queries.len() / token_width;
        assert_eq!((queries.len(), out.len()), (tokens * token_width, queries.len()), "shapes");
        assert!(tokens <= past.len(), "queries without a position");
        assert!(self.heads.is_multiple_of(past.heads()), "heads without a key head");
        assert!(self.sinks.is_empty() || self.sinks.len() == self.heads, "sinks");
        if tokens == 0 {
            return;
        }
        let job = Job { attention: self, isa: pool.isa(), queries, past, tokens };
        if tokens <= FEW {
            Self::by_segments(pool, &job, &Shared::new(out));
        } else {
            Self::by_rows(pool, &job, &Shared::new(out));
        }
    }

    /// A task for some rows of a key head.
    fn by_rows(pool: &Pool, job: &Job, out: &Shared<f32>) {
        let (rows, heads) = (job.rows(), job.past.heads());
        // Enough tasks to share the work evenly.
        let per_task = (rows * heads).div_ceil(4 * pool.threads());
        let per_task = per_task.next_multiple_of(ROWS).min(MAX_ROWS);
        let blocks = rows.div_ceil(per_task);
        pool.run(heads * blocks, &|task| {
            // The last rows see most: they go first.
            let start = (blocks - 1 - task / heads) * per_task;
            BLOCK.with_borrow_mut(|block| {
                block.load(job, task % heads, start..rows.min(start + per_task));
                for segment in job.segments(block.rows()) {
                    block.attend(job, segment);
                }
                block.finish(job, out);
            });
        });
    }

    /// A task for all rows of a key head and one segment.
    fn by_segments(pool: &Pool, job: &Job, out: &Shared<f32>) {
        let (rows, heads) = (job.rows(), job.past.heads());
        let segments = job.segments(0..rows);
        let part = rows * job.sums_width();
        SUMS.with_borrow_mut(|sums| {
            sums.resize(sums.len().max(heads * segments.len() * part), 0.0);
            let parts = Shared::new(sums);
            pool.run(heads * segments.len(), &|task| {
                BLOCK.with_borrow_mut(|block| {
                    block.load(job, task % heads, 0..rows);
                    block.attend(job, segments.start + task / heads);
                    // SAFETY: every task has a part of its own.
                    let sums = unsafe { parts.part(task * part..(task + 1) * part) };
                    sums.copy_from_slice(block.sums());
                });
            });
            let parts = sums.chunks_exact(part);
            BLOCK.with_borrow_mut(|block| {
                for head in 0..heads {
                    block.load(job, head, 0..rows);
                    for sums in parts.clone().skip(head).step_by(heads).take(segments.len()) {
                        block.merge(job, sums);
                    }
                    block.finish(job, out);
                }
            });
        });
    }

    /// The positions that the query at `position` of `len` sees.
    fn visible(&self, position: usize, len: usize) -> Range<usize> {
        match self.mask {
            Mask::Full => 0..len,
            Mask::Causal => 0..position + 1,
            Mask::Window(window) => (position + 1).saturating_sub(window)..position + 1,
        }
    }
}
