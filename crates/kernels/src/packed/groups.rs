//! Inputs for AVX2, AVX-VNNI and AVX-512: some rows interleaved, so that a tile reads them
//! through one pointer and in the order in which it multiplies. Of many rows, the
//! first blocks of all groups come before the next ones, because a panel is
//! multiplied in this order.

#![expect(unsafe_code, reason = "tasks write disjoint rows")]
#![expect(clippy::multiple_unsafe_ops_per_block, reason = "one block has all parts of a group")]

use std::ops::Range;

use super::activations::Quantized;
use super::layout::{BLOCK, STEP};
use super::{FEW, avx_vnni, avx512_wide};
use crate::Isa;
use crate::shared::Shared;

/// Rows of a group for AVX2; the last of all may have fewer.
pub(super) const GROUP: usize = 4;

/// Blocks of a chunk of many rows for AVX2: as many as a panel keeps in the first
/// cache, unpacked.
pub(super) const CHUNK: usize = 12;

/// How rows are grouped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grouping {
    /// Rows of a group; the last of all may have fewer.
    rows: usize,
    /// Blocks of a chunk; the last of all may have fewer.
    blocks: usize,
    /// Whether sums of blocks are wanted as integers.
    has_totals: bool,
}

impl Grouping {
    /// The groups that `isa` wants of `rows` rows of `blocks` blocks, if any.
    fn of(isa: Isa, (rows, blocks): (usize, usize)) -> Option<Self> {
        match isa {
            Isa::Avx2(_) | Isa::AvxVnni(_) if rows <= FEW => {
                Some(Self { rows: GROUP, blocks: blocks.max(1), has_totals: true })
            }
            Isa::Avx2(_) => Some(Self { rows: GROUP, blocks: CHUNK, has_totals: true }),
            Isa::AvxVnni(_) => {
                Some(Self { rows: avx_vnni::COLUMNS, blocks: 24, has_totals: false })
            }
            // Two unpacked panels of 24 blocks have 30 KB.
            Isa::Avx512(_) if FEW < rows => {
                Some(Self { rows: avx512_wide::COLUMNS, blocks: 24, has_totals: false })
            }
            _ => None,
        }
    }

    /// The chunks of `blocks` blocks.
    fn chunks(self, blocks: usize) -> impl Iterator<Item = Range<usize>> {
        (0..blocks).step_by(self.blocks).map(move |start| start..blocks.min(start + self.blocks))
    }
}

/// All groups of some rows, chunk by chunk; B is the number of blocks of a chunk
/// and C that of rows of a group.
#[derive(Debug, Default)]
pub(super) struct Groups {
    grouping: Grouping,
    /// Shape (B, 8, C, 4).
    values: Vec<i8>,
    /// Shape (B, C).
    scales: Vec<f32>,
    /// Shape (B, C).
    sums: Vec<f32>,
    /// Shape (B, 2, C).
    half_sums: Vec<f32>,
    /// Sums of blocks as integers, where they are wanted: shape (B, C).
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
    /// Nowhere, if they are not wanted.
    pub(super) totals: *const i32,
}

/// Where the groups go; nowhere for other instruction sets.
pub(super) struct Target<'a>(Option<Parts<'a>>);

struct Parts<'a> {
    grouping: Grouping,
    values: Shared<'a, i8>,
    scales: Shared<'a, f32>,
    sums: Shared<'a, f32>,
    half_sums: Shared<'a, f32>,
    totals: Shared<'a, i32>,
}

impl Groups {
    /// Makes room, if `isa` wants groups.
    pub(super) fn reset(&mut self, isa: Isa, (rows, blocks): (usize, usize)) -> Target<'_> {
        let Some(grouping) = Grouping::of(isa, (rows, blocks)) else {
            self.values.clear();
            return Target(None);
        };
        self.grouping = grouping;
        self.values.resize(rows * blocks * BLOCK, 0);
        self.scales.resize(rows * blocks, 0.0);
        self.sums.resize(rows * blocks, 0.0);
        self.half_sums.resize(2 * rows * blocks, 0.0);
        self.totals.resize(if grouping.has_totals { rows * blocks } else { 0 }, 0);
        Target(Some(Parts {
            grouping,
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
        (0..rows).step_by(self.grouping.rows).map(move |first| {
            let at = start + first * chunk.len();
            Group {
                rows: self.grouping.rows.min(rows - first),
                values: self.values[at * BLOCK..].as_ptr(),
                scales: self.scales[at..].as_ptr(),
                sums: self.sums[at..].as_ptr(),
                half_sums: self.half_sums[2 * at..].as_ptr(),
                totals: self.totals.get(at..).unwrap_or_default().as_ptr(),
            }
        })
    }

    /// The chunks of `blocks` blocks.
    pub(super) fn chunks(&self, blocks: usize) -> impl Iterator<Item = Range<usize>> {
        self.grouping.chunks(blocks)
    }
}

impl Target<'_> {
    /// Puts `rows`, the first of which begins a group, where they belong among
    /// `all` rows.
    pub(super) fn put(&self, rows: Range<usize>, (all, blocks): (usize, usize), from: &Quantized) {
        let Some(parts) = &self.0 else { return };
        let grouping = parts.grouping;
        for first in rows.clone().step_by(grouping.rows) {
            let count = grouping.rows.min(rows.end - first);
            let own = (first - rows.start) * blocks;
            for chunk in grouping.chunks(blocks) {
                let at = chunk.start * all + first * chunk.len();
                let range = at..at + count * chunk.len();
                let source = Source { rows: count, first: own, blocks, chunk };
                // SAFETY: tasks have whole groups, each of its own, and parts exist
                // where there is AVX2 alone.
                unsafe {
                    let values = parts.values.part(range.start * BLOCK..range.end * BLOCK);
                    put_values(&source, from.values, values);
                    if grouping.has_totals {
                        put_totals(&source, from.values, parts.totals.part(range.clone()));
                    }
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

/// Rows of blocks as blocks of rows of steps.
#[target_feature(enable = "avx2")]
fn put_values(source: &Source, from: &[i8], to: &mut [i8]) {
    match source.rows {
        avx_vnni::COLUMNS => put_rows::<{ avx_vnni::COLUMNS }>(source, from, to),
        GROUP => put_rows::<GROUP>(source, from, to),
        avx512_wide::COLUMNS => put_rows::<{ avx512_wide::COLUMNS }>(source, from, to),
        rows => {
            let (to, _) = to.as_chunks_mut::<STEP>();
            for row in 0..rows {
                let to = to[row..].iter_mut().step_by(rows);
                let (steps, _) = source.part(row, BLOCK, from).as_chunks::<STEP>();
                to.zip(steps).for_each(|(to, step)| *to = *step);
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn put_rows<const N: usize>(source: &Source, from: &[i8], to: &mut [i8]) {
    let rows: [_; N] =
        std::array::from_fn(|row| source.part(row, BLOCK, from).as_chunks::<STEP>().0);
    let (to, _) = to.as_chunks_mut::<STEP>();
    let (to, _) = to.as_chunks_mut::<N>();
    for (step, to) in to.iter_mut().enumerate() {
        *to = rows.map(|row| row[step]);
    }
}

/// Sums of blocks.
#[target_feature(enable = "avx2")]
fn put_totals(source: &Source, from: &[i8], totals: &mut [i32]) {
    for row in 0..source.rows {
        let (blocks, _) = source.part(row, BLOCK, from).as_chunks::<BLOCK>();
        let totals = totals[row..].iter_mut().step_by(source.rows);
        for (total, block) in totals.zip(blocks) {
            *total = block.iter().map(|&x| i32::from(x)).sum();
        }
    }
}
