//! What a task of attention does with its rows.

#![expect(unsafe_code, reason = "tasks write disjoint parts of an output")]

use std::ops::Range;

use super::strips::{LANES, Left, Product, ROWS, SEGMENT};
use super::weights::{self, Scores, Sums};
use super::{Attention, EXTRA, KeyValues, padded};
use crate::Isa;
use crate::shared::Shared;

/// One call of [`Attention::apply`].
pub(super) struct Job<'a> {
    pub(super) attention: &'a Attention<'a>,
    pub(super) isa: Isa,
    /// Shape (T, H, E).
    pub(super) queries: &'a [f32],
    pub(super) past: &'a KeyValues,
    pub(super) tokens: usize,
}

impl Job<'_> {
    /// Query heads of a key head.
    fn group(&self) -> usize {
        self.attention.heads / self.past.heads()
    }

    /// Rows of a key head.
    pub(super) fn rows(&self) -> usize {
        self.tokens * self.group()
    }

    /// Numbers of a row's [`Sums`].
    pub(super) fn sums_width(&self) -> usize {
        padded(self.past.head_width()) + EXTRA
    }

    /// Token and query head of a row.
    fn place(&self, key_head: usize, row: usize) -> (usize, usize) {
        (row / self.group(), key_head * self.group() + row % self.group())
    }

    /// Where the numbers of a row are in queries and outputs.
    fn numbers(&self, key_head: usize, row: usize) -> Range<usize> {
        let (token, head) = self.place(key_head, row);
        let start = (token * self.attention.heads + head) * self.past.head_width();
        start..start + self.past.head_width()
    }

    fn position(&self, row: usize) -> usize {
        self.past.len() - self.tokens + row / self.group()
    }

    fn visible(&self, row: usize) -> Range<usize> {
        self.attention.visible(self.position(row), self.past.len())
    }

    /// The positions that some of `rows` see, and perhaps more between them.
    fn seen(&self, rows: &Range<usize>) -> Range<usize> {
        self.visible(rows.start).start..self.visible(rows.end - 1).end
    }

    /// The segments that some of `rows` see.
    pub(super) fn segments(&self, rows: Range<usize>) -> Range<usize> {
        let seen = self.seen(&rows);
        seen.start / SEGMENT..seen.end.div_ceil(SEGMENT)
    }

    /// What is added to the scores of `seen` for a row.
    fn bias(&self, key_head: usize, row: usize, seen: &Range<usize>) -> &[f32] {
        let bias = self.attention.distance_bias;
        if bias.is_empty() {
            return bias;
        }
        let last = self.past.len() - 1;
        let (_, head) = self.place(key_head, row);
        let start = head * (2 * last + 1) + last + seen.start - self.position(row);
        &bias[start..start + seen.len()]
    }
}

/// Some rows of a key head: their queries, and the sums so far.
#[derive(Debug, Default)]
pub(super) struct Block {
    head: usize,
    rows: Range<usize>,
    /// Scaled, in shape (tiles, E, ROWS).
    queries: Vec<f32>,
    /// Of the tile at hand: shape (ROWS, SEGMENT), scores and then weights.
    scores: Vec<f32>,
    /// Of the tile at hand: shape (ROWS, sums width).
    next: Vec<f32>,
    /// Shape (rows, sums width).
    sums: Vec<f32>,
}

impl Block {
    /// Takes `rows` of key head `head`, which have seen nothing yet.
    pub(super) fn load(&mut self, job: &Job, head: usize, rows: Range<usize>) {
        let width = job.past.head_width();
        self.queries.clear();
        self.queries.resize(rows.len().div_ceil(ROWS) * width * ROWS, 0.0);
        for (i, row) in rows.clone().enumerate() {
            let tile = &mut self.queries[i / ROWS * width * ROWS + i % ROWS..];
            let query = &job.queries[job.numbers(head, row)];
            for (to, x) in tile.iter_mut().step_by(ROWS).zip(query) {
                *to = x * job.attention.scale;
            }
        }
        self.scores.resize(ROWS * SEGMENT, 0.0);
        self.next.resize(ROWS * job.sums_width(), 0.0);
        self.sums.resize(rows.len() * job.sums_width(), 0.0);
        self.sums.chunks_exact_mut(job.sums_width()).for_each(Sums::clear);
        (self.head, self.rows) = (head, rows);
    }

    pub(super) fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// The sums of all rows.
    pub(super) fn sums(&self) -> &[f32] {
        &self.sums
    }

    /// Adds what the rows see of a segment.
    pub(super) fn attend(&mut self, job: &Job, segment: usize) {
        let (width, sums_width) = (job.past.head_width(), job.sums_width());
        let segment = segment * SEGMENT..(segment + 1) * SEGMENT;
        for (tile, first) in self.rows.clone().step_by(ROWS).enumerate() {
            let rows = first..self.rows.end.min(first + ROWS);
            let seen = within(&job.seen(&rows), &segment);
            if seen.is_empty() {
                continue;
            }
            let queries = &self.queries[tile * width * ROWS..][..width * ROWS];
            let tiles = seen.start / LANES..seen.end.div_ceil(LANES);
            let from = tiles.start * LANES;
            let scores = &mut self.scores[from - segment.start..];
            let keys = job.past.keys(self.head, tiles.clone());
            Product::new((Left::Queries(queries), rows.len()), keys, (scores, SEGMENT))
                .write(job.isa);
            let key_scales = job.past.key_scales(self.head, &tiles);
            let value_scales = job.past.value_scales(self.head, &tiles);
            let next = &mut self.next[..rows.len() * sums_width];
            for (i, row) in rows.clone().enumerate() {
                let visible = within(&job.visible(row), &seen);
                let bias = job.bias(self.head, row, &visible);
                let numbers = &mut scores[i * SEGMENT..][..tiles.len() * LANES];
                let seen = visible.start - from..visible.end - from;
                let soft_cap = job.attention.soft_cap;
                if let Some(scales) = &key_scales {
                    scales.multiply(numbers);
                }
                let scores = Scores { numbers: &mut *numbers, seen, soft_cap, bias };
                let found = weights::weigh(job.isa, scores);
                if let Some(scales) = &value_scales {
                    scales.multiply(numbers);
                }
                Sums::put(&mut next[i * sums_width..][..sums_width], found);
            }
            let values = job.past.values(self.head, from..seen.end);
            Product::new((Left::Weights(scores), rows.len()), values, (next, sums_width))
                .write(job.isa);
            let sums = self.sums.chunks_exact_mut(sums_width).skip(tile * ROWS);
            for (sums, next) in sums.zip(next.chunks_exact(sums_width)) {
                weights::merge(job.isa, sums, next);
            }
        }
    }

    /// Adds the sums of segments that follow.
    pub(super) fn merge(&mut self, job: &Job, next: &[f32]) {
        let width = job.sums_width();
        let rows = self.sums.chunks_exact_mut(width).zip(next.chunks_exact(width));
        for (sums, next) in rows {
            weights::merge(job.isa, sums, next);
        }
    }

    /// Writes what the rows have attended to.
    pub(super) fn finish(&self, job: &Job, out: &Shared<f32>) {
        for (row, sums) in self.rows.clone().zip(self.sums.chunks_exact(job.sums_width())) {
            let (_, head) = job.place(self.head, row);
            let sink = job.attention.sinks.get(head).copied().unwrap_or(f32::NEG_INFINITY);
            // SAFETY: no other block has this row of this head.
            let out = unsafe { out.part(job.numbers(self.head, row)) };
            weights::finish(job.isa, sums, sink, out);
        }
    }
}

/// The part of `range` that is within `bounds`; perhaps empty.
fn within(range: &Range<usize>, bounds: &Range<usize>) -> Range<usize> {
    let start = range.start.clamp(bounds.start, bounds.end);
    start..range.end.clamp(start, bounds.end)
}
