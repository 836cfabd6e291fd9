//! Inputs for AVX2: rows by four, interleaved, so that a tile reads them
//! through one pointer and in the order in which it multiplies. Of many rows, the
//! first blocks of all groups come before the next ones, because a panel is
//! multiplied in this order.

#![expect(unsafe_code, reason = "tasks write disjoint rows")]
#![expect(clippy::multiple_unsafe_ops_per_block, reason = "one block has all parts of a group")]

use std::ops::Range;

use super::FEW;
use super::activations::Quantized;
use super::layout::{BLOCK, STEP};
use crate::Isa;
use crate::shared::Shared;

/// Rows of a group; the last of all may have fewer.
pub(super) const GROUP: usize = 4;

/// Blocks of a chunk of many rows: as many as a panel keeps in the first cache,
/// unpacked.
pub(super) const CHUNK: usize = 12;

/// All groups of some rows, chunk by chunk; B is the number of blocks of a chunk
/// and C that of rows of a group.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Shape (B, 8, C, 4).
    values: Vec<i8>,
    /// Shape (B, C).
    scales: Vec<f32>,
    /// Shape (B, C).
    sums: Vec<f32>,
    /// Shape (B, 2, C).
    half_sums: Vec<f32>,
    /// Sums of blocks as integers: shape (B, C).
    totals: Vec<i32>,
}

/// Where a group is, in one chunk: shapes as in [`Groups`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) rows: usize,
    pub(super) values: *const i8,
    pub(super) scales: *const f32,
    pub(super) sums: *const f32,
    pub(super) half_sums: *const f32,
    pub(super) totals: *const i32,
}

/// Where the groups go; nowhere for other instruction sets.
pub(super) struct Target<'a>(Option<Parts<'a>>);

struct Parts<'a> {
    values: Shared<'a, i8>,
    scales: Shared<'a, f32>,
    sums: Shared<'a, f32>,
    half_sums: Shared<'a, f32>,
    totals: Shared<'a, i32>,
}

impl Groups {
    /// Makes room, if `isa` wants groups.
    pub(super) fn reset(&mut self, isa: Isa, (rows, blocks): (usize, usize)) -> Target<'_> {
        if !matches!(isa, Isa::Avx2(_)) {
            self.values.clear();
            return Target(None);
        }
        self.values.resize(rows * blocks * BLOCK, 0);
        self.scales.resize(rows * blocks, 0.0);
        self.sums.resize(rows * blocks, 0.0);
        self.half_sums.resize(2 * rows * blocks, 0.0);
        self.totals.resize(rows * blocks, 0);
        Target(Some(Parts {
            values: Shared::new(&mut self.values),
            scales: Shared::new(&mut self.scales),
            sums: Shared::new(&mut self.sums),
            half_sums: Shared::new(&mut self.half_sums),
            totals: Shared::new(&mut self.totals),
        }))
    }

    /// The groups of `rows` rows in the chunk that is `chunk`.
    pub(super) fn iter(&self, rows: usize, chunk: Range<usize>) -> impl Iterator<Item = Group> {
        let start = chunk.start * rows;
        assert!(chunk.end * rows * BLOCK <= self.values.len(), "rows that were grouped");
        (0..rows).step_by(GROUP).map(move |first| {
            let at = start + first * chunk.len();
            Group {
                rows: GROUP.min(rows - first),
                values: self.values[at * BLOCK..].as_ptr(),
                scales: self.scales[at..].as_ptr(),
                sums: self.sums[at..].as_ptr(),
                half_sums: self.half_sums[2 * at..].as_ptr(),
                totals: self.totals[at..].as_ptr(),
            }
        })
    }
}

/// The chunks of `blocks` blocks of `rows` rows.
pub(super) fn chunks(rows: usize, blocks: usize) -> impl Iterator<Item = Range<usize>> {
    let len = if rows <= FEW { blocks.max(1) } else { CHUNK };
    (0..blocks).step_by(len).map(move |start| start..blocks.min(start + len))
}

impl Target<'_> {
    /// Puts `rows`, the first of which begins a group, where they belong among
    /// `all` rows.
    pub(super) fn put(&self, rows: Range<usize>, (all, blocks): (usize, usize), from: &Quantized) {
        let Some(parts) = &self.0 else { return };
        for first in rows.clone().step_by(GROUP) {
            let count = GROUP.min(rows.end - first);
            let own = (first - rows.start) * blocks;
            for chunk in chunks(all, blocks) {
                let at = chunk.start * all + first * chunk.len();
                let range = at..at + count * chunk.len();
                let source = Source { rows: count, first: own, blocks, chunk };
                // SAFETY: tasks have whole groups, each of its own, and parts exist
                // for AVX2 alone.
                unsafe {
                    let values = parts.values.part(range.start * BLOCK..range.end * BLOCK);
                    put_values(&source, from.values, values, parts.totals.part(range.clone()));
                    source.interleave(1, from.scales, parts.scales.part(range.clone()));
                    source.interleave(1, from.sums, parts.sums.part(range.clone()));
                    let half_sums = parts.half_sums.part(2 * range.start..2 * range.end);
                    source.interleave(2, from.half_sums, half_sums);
                }
            }
        }
    }
}

/// What of some rows is to be put into a group.
struct Source {
    rows: usize,
    /// Where the first row begins, and how long each is, in blocks.
    first: usize,
    blocks: usize,
    chunk: Range<usize>,
}

impl Source {
    /// The part of row `row`, of `width` numbers a block.
    fn part<'a, T>(&self, row: usize, width: usize, from: &'a [T]) -> &'a [T] {
        let start = self.first + row * self.blocks + self.chunk.start;
        &from[width * start..width * (start + self.chunk.len())]
    }

    /// Rows of numbers as numbers of rows.
    fn interleave(&self, width: usize, from: &[f32], to: &mut [f32]) {
        for row in 0..self.rows {
            let to = to[row..].iter_mut().step_by(self.rows);
            to.zip(self.part(row, width, from)).for_each(|(to, x)| *to = *x);
        }
    }
}

/// Rows of blocks as blocks of rows of steps, and the sums of blocks.
#[target_feature(enable = "avx2")]
fn put_values(source: &Source, from: &[i8], to: &mut [i8], totals: &mut [i32]) {
    let steps = |row| source.part(row, BLOCK, from).as_chunks::<STEP>().0;
    let (to, _) = to.as_chunks_mut::<STEP>();
    if source.rows == GROUP {
        let (to, _) = to.as_chunks_mut::<GROUP>();
        let rows = steps(0).iter().zip(steps(1)).zip(steps(2).iter().zip(steps(3)));
        to.iter_mut().zip(rows).for_each(|(to, ((a, b), (c, d)))| *to = [*a, *b, *c, *d]);
    } else {
        for row in 0..source.rows {
            let to = to[row..].iter_mut().step_by(source.rows);
            to.zip(steps(row)).for_each(|(to, step)| *to = *step);
        }
    }
    for row in 0..source.rows {
        let (blocks, _) = source.part(row, BLOCK, from).as_chunks::<BLOCK>();
        let totals = totals[row..].iter_mut().step_by(source.rows);
        for (total, block) in totals.zip(blocks) {
            *total = block.iter().map(|&x| i32::from(x)).sum();
        }
    }
}
