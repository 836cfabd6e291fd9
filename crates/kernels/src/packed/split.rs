//! Matrices of eight bits as two halves, for products of which only the largest
//! is wanted.
//!
//! The output matrix of a model with a large vocabulary is most of what a token
//! reads, and to take the likeliest token most of its rows need not be known to
//! the last bit. So the upper four bits of all quants lie together, and the lower
//! four elsewhere. With `q = 16 u + l` a row's product is
//!
//! `sum_b d_b s_b sum_k (16 u + 7.5 - 128) v + sum_b d_b s_b sum_k (l - 7.5) v`
//!
//! over blocks `b`, where `d` are the scales of the row, `s` those of the input and
//! `v` its values. The first sum needs the upper halves alone; the second is at
//! most `sum_b |d_b| |l_b - 7.5| s_b |v_b|` by Cauchy and Schwarz, and the norms
//! `|l_b - 7.5|` are kept in a byte a block. A row whose first sum and bound
//! together are less than the product of another row is not the largest, and its
//! lower half is not read.
//!
//! Where both halves are read, quants are put together in registers: products have the
//! bits that they have without halves.
//!
//! The halves lie panel by panel, first all upper ones, each with the scales and
//! then the norms behind its quants, and then all lower ones.

#![expect(unsafe_code, reason = "tasks write disjoint parts of an output")]

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicUsize};

use super::activations::QuantizedRows;
use super::dispatch::{Source, Sources, Target, few_products, multiply_panel};
use super::layout::{BLOCK, Layout, PANEL, STEP_BYTES, STEPS, Scales};
use super::{Image, PackedMatrix, packed_matmul, panel_tasks};
use crate::dequantize::scalar::f16;
use crate::shared::Shared;
use crate::{Isa, Pool};

/// The layout of a split matrix.
pub(super) const LAYOUT: Layout = Layout { bits: 8, scales: Scales::Split };

/// The layout of the matrix before it is split.
pub(super) const WHOLE: Layout = Layout { bits: 8, scales: Scales::Centred { zero: 128 } };

/// The layout of an upper half, but for its norms.
const UPPER: Layout = Layout { bits: 4, scales: Scales::Centred { zero: 8 } };

/// Bytes of the quants of a block in a half.
const HALF: usize = UPPER.quant_bytes();

/// Bytes of the scales of a block.
const SCALES: usize = 2 * PANEL;

/// What a norm is multiplied by to become a byte: the largest, of 32 numbers of
/// 7.5, becomes 255.
const NORM_UNIT: u32 = 6;

/// Bytes of an upper half of `blocks` blocks: a multiple of 64.
const fn upper_bytes(blocks: usize) -> usize {
    (blocks * (HALF + SCALES + PANEL)).next_multiple_of(STEP_BYTES)
}

/// Bytes of a matrix of so many panels; `None` if they cannot be counted.
pub(super) const fn bytes_of(panels: usize, blocks: usize) -> Option<usize> {
    panels.checked_mul(upper_bytes(blocks) + blocks * HALF)
}

/// Where the halves of panel `index` of `panels` are.
pub(super) const fn ranges(
    index: usize,
    panels: usize,
    blocks: usize,
) -> (Range<usize>, Range<usize>) {
    let (upper, lower) = (upper_bytes(blocks), blocks * HALF);
    let start = panels * upper + index * lower;
    (index * upper..(index + 1) * upper, start..start + lower)
}

/// Writes the halves of a panel.
pub(super) fn split_panel(whole: &[u8], blocks: usize, upper: &mut [u8], lower: &mut [u8]) {
    let (quants, scales) = whole.split_at(blocks * WHOLE.quant_bytes());
    let (upper_quants, rest) = upper.split_at_mut(blocks * HALF);
    let (upper_scales, norms) = rest.split_at_mut(blocks * SCALES);
    upper_scales.copy_from_slice(&scales[..blocks * SCALES]);
    let halves = upper_quants.chunks_exact_mut(HALF).zip(lower.chunks_exact_mut(HALF));
    let blocks = quants.chunks_exact(WHOLE.quant_bytes()).zip(norms.chunks_exact_mut(PANEL));
    for ((upper, lower), (quants, norms)) in halves.zip(blocks) {
        let (first, second) = quants.split_at(HALF);
        for (at, (a, b)) in first.iter().zip(second).enumerate() {
            upper[at] = (a >> 4) | (b & 0xf0);
            lower[at] = (a & 15) | (b << 4);
        }
        for (row, norm) in norms.iter_mut().enumerate() {
            *norm = norm_of(quants, row);
        }
    }
}

/// The norm of what row `row` of a block has in its lower halves, rounded up.
fn norm_of(quants: &[u8], row: usize) -> u8 {
    let squares: u32 = (0..STEPS)
        .flat_map(|step| &quants[step * STEP_BYTES + BLOCK / STEPS * row..][..BLOCK / STEPS])
        .map(|quant| (2 * u32::from(quant & 15)).abs_diff(15).pow(2))
        .sum();
    // The squares are of twice the numbers: there are at most 32 of 15.
    let square = (NORM_UNIT * NORM_UNIT / 4) * squares;
    let norm = square.isqrt();
    u8::try_from(if norm.pow(2) < square { norm + 1 } else { norm }).unwrap_or(u8::MAX)
}

/// Calls `take` with a panel whose halves are together, and its layout.
pub(super) fn whole(source: Source, take: impl FnOnce(Layout, &[u8])) {
    if source.layout != LAYOUT {
        return take(source.layout, source.bytes);
    }
    let mut whole = vec![0; WHOLE.panel_bytes(source.blocks)];
    let (quants, scales) = whole.split_at_mut(source.blocks * WHOLE.quant_bytes());
    let (upper, rest) = source.bytes.split_at(source.blocks * HALF);
    scales[..source.blocks * SCALES].copy_from_slice(&rest[..source.blocks * SCALES]);
    let halves = upper.chunks_exact(HALF).zip(source.lower.chunks_exact(HALF));
    for (quants, (upper, lower)) in quants.chunks_exact_mut(WHOLE.quant_bytes()).zip(halves) {
        let (first, second) = quants.split_at_mut(HALF);
        let bytes = first.iter_mut().zip(second).zip(upper.iter().zip(lower));
        for ((a, b), (upper, lower)) in bytes {
            *a = (upper << 4) | (lower & 15);
            *b = (upper & 0xf0) | (lower >> 4);
        }
    }
    take(WHOLE, &whole);
}

/// Rows of the input up to which it is faster to leave lower halves out.
const FEWEST: usize = 2;

/// Part of the panels, as one in so many, above which it is not.
const WORTH: usize = 4;

/// Products that are computed in full after a search that was not worth it.
const PATIENCE: u32 = 100;

/// How many products are still to be computed in full. Not whether, but how a
/// largest product is found depends on it.
#[derive(Clone, Debug, Default)]
pub(super) struct Searches(Arc<AtomicU32>);

impl Searches {
    /// Whether a search is to be tried.
    fn is_worth_it(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_err()
    }

    /// Learns that so many of `panels` were read to the last bit.
    fn learn(&self, opened: usize, panels: usize) {
        if panels < opened.saturating_mul(WORTH) {
            self.0.store(PATIENCE, Relaxed);
        }
    }
}

/// Writes to `out` (T, O) the products of `x` (T, K) with those rows of `matrix`
/// (O, K) that may have the largest product of the first `among` rows, and minus
/// infinity for all others.
///
/// What is written has the bits that [`packed_matmul`] would give, and the first of
/// the largest is among it. Of a matrix that is not split, for more than two rows of
/// the input, or after a search that left most rows open, all products are written.
pub fn largest_products(
    pool: &Pool,
    (matrix, among): (&PackedMatrix, usize),
    x: &QuantizedRows,
    out: &mut [f32],
) {
    if !matrix.is_split() || FEWEST < x.rows() || !matrix.searches.is_worth_it() {
        return packed_matmul(pool, &mut [Image { matrix, bias: &[], out }], x);
    }
    x.check(pool, matrix.columns);
    assert_eq!(out.len(), x.rows() * matrix.rows, "numbers of a product");
    let (among, sources) = (among.min(matrix.rows), matrix.sources());
    let search = Search { pool, matrix, sources, among, x, norms: norms(x) };
    let out = Target { out: Shared::new(out), bias: &[], width: matrix.rows };
    let firsts = search.bound(&out);
    let least = search.least(&firsts);
    let opened = search.settle(&least, &out);
    matrix.searches.learn(opened, matrix.panels());
}

/// Norms of the blocks of the input, rounded up: shape (T, B).
fn norms(x: &QuantizedRows) -> Vec<f32> {
    let blocks = x.values.as_chunks::<BLOCK>().0.iter().zip(&x.scales);
    blocks
        .map(|(values, scale)| {
            // Exact: at most 32 squares of 127.
            let squares: i32 = values.iter().map(|&value| i32::from(value).pow(2)).sum();
            (squares as f32).sqrt() * scale * (1.0 + 1e-6)
        })
        .collect()
}

struct Search<'a> {
    pool: &'a Pool,
    matrix: &'a PackedMatrix,
    sources: Sources<'a>,
    among: usize,
    x: &'a QuantizedRows,
    norms: Vec<f32>,
}

/// The panel with the largest first sum, and that sum.
type First = (f32, usize);

impl Search<'_> {
    /// The panels of each task.
    fn tasks(&self) -> impl Iterator<Item = Range<usize>> {
        panel_tasks(self.matrix, self.pool.threads(), self.x.rows())
    }

    /// Rows of panel `index` that are searched.
    fn searched(&self, index: usize) -> usize {
        PANEL.min(self.among.saturating_sub(index * PANEL))
    }

    /// Writes what each product is at most, and finds for each row of the input the
    /// panel that promises most.
    fn bound(&self, out: &Target) -> Vec<First> {
        let rows = self.x.rows();
        let tasks: Vec<Range<usize>> = self.tasks().collect();
        let mut firsts = vec![(f32::NEG_INFINITY, 0); tasks.len() * rows];
        let found = Shared::new(&mut firsts);
        self.pool.run(tasks.len(), &|task| {
            // SAFETY: each task has places of its own.
            let firsts = unsafe { found.part(task * rows..(task + 1) * rows) };
            for index in tasks[task].clone() {
                self.bound_panel(index, firsts, out);
            }
        });
        let larger = |a: First, b: First| if a.0 < b.0 { b } else { a };
        let of_token = |token| firsts.iter().skip(token).step_by(rows).copied().reduce(larger);
        (0..rows).filter_map(of_token).collect()
    }

    fn bound_panel(&self, index: usize, firsts: &mut [First], out: &Target) {
        let isa = self.pool.isa();
        let blocks = self.matrix.columns / BLOCK;
        let bytes = self.sources.panel(index).bytes;
        let place = out.place(index);
        let searched = self.searched(index);
        let (scales, row_norms) = bytes[blocks * HALF..].split_at(blocks * SCALES);
        let upper = Source { layout: UPPER, bytes, lower: &[], blocks };
        few_products(isa, upper, self.x, |token, sums| {
            let of = token * blocks..(token + 1) * blocks;
            let input = (&self.x.sums[of.clone()], &self.norms[of]);
            let [shifts, bounds] = bounds(isa, (scales, row_norms), input);
            // SAFETY: each panel has columns of its own in every row.
            let most = unsafe { place.row(token) };
            for (row, most) in most.iter_mut().enumerate() {
                let sum = 16.0 * sums[row] + 7.5 * shifts[row];
                *most = sum + bounds[row] * slack(blocks);
                if row < searched && firsts[token].0 < sum {
                    firsts[token] = (sum, index);
                }
            }
        });
    }

    /// For each row of the input a product that the largest is not less than.
    fn least(&self, firsts: &[First]) -> Vec<f32> {
        let known = |(token, &(_, index)): (usize, &First)| {
            let mut sums = vec![0.0; self.x.rows() * PANEL];
            let own = Target { out: Shared::new(&mut sums), bias: &[], width: PANEL };
            let place = own.place(0);
            // SAFETY: the numbers are this call's alone.
            unsafe { multiply_panel(self.pool.isa(), self.sources.panel(index), self.x, place) };
            let found = &sums[token * PANEL..][..self.searched(index)];
            found.iter().copied().fold(f32::NEG_INFINITY, f32::max)
        };
        firsts.iter().enumerate().map(known).collect()
    }

    /// Replaces bounds by products, or by minus infinity where they are too low.
    /// Returns of how many panels there are products.
    fn settle(&self, least: &[f32], out: &Target) -> usize {
        let opened = AtomicUsize::new(0);
        let tasks: Vec<Range<usize>> = self.tasks().collect();
        self.pool.run(tasks.len(), &|task| {
            for index in tasks[task].clone() {
                let (place, searched) = (out.place(index), self.searched(index));
                let is_open = least.iter().enumerate().any(|(token, least)| {
                    // SAFETY: each panel has columns of its own in every row.
                    let most = unsafe { place.row(token) };
                    // A bound that is no number says nothing.
                    most[..searched]
                        .iter()
                        .any(|most| most.partial_cmp(least) != Some(Ordering::Less))
                });
                if is_open {
                    opened.fetch_add(1, Relaxed);
                    // SAFETY: as above.
                    unsafe {
                        multiply_panel(self.pool.isa(), self.sources.panel(index), self.x, place);
                    };
                }
                for token in 0..self.x.rows() {
                    // SAFETY: as above.
                    let row = unsafe { place.row(token) };
                    row[if is_open { searched } else { 0 }..].fill(f32::NEG_INFINITY);
                }
            }
        });
        opened.into_inner()
    }
}

/// What a bound is multiplied by, so that it holds for sums that were rounded.
///
/// Of a block, the terms of both sums are at most some 900 times what its bound is,
/// as a norm is at least that of 32 halves; a sum of `2 B` terms that is rounded at
/// each is off by `2 B + 8` times 2^-24 of these at most.
fn slack(blocks: usize) -> f32 {
    1.0 + (2.0 * blocks as f32 + 8.0) * 6e-5
}

/// For each row of a panel the sums over blocks of `d * sum`, and of `|d|` times
/// the norms of row and input.
fn bounds(isa: Isa, row: (&[u8], &[u8]), input: (&[f32], &[f32])) -> [[f32; PANEL]; 2] {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the variants prove that the CPU has AVX2.
        Isa::Avx2(_) | Isa::AvxVnni(_) | Isa::Avx512(_) => unsafe { bounds_avx2(row, input) },
        _ => bounds_scalar(row, input),
    }
}

fn bounds_scalar(
    (scales, row_norms): (&[u8], &[u8]),
    (sums, norms): (&[f32], &[f32]),
) -> [[f32; PANEL]; 2] {
    let [mut shifts, mut bounds] = [[0.0_f32; PANEL]; 2];
    for (block, (sum, norm)) in sums.iter().zip(norms).enumerate() {
        for row in 0..PANEL {
            let at = block * SCALES + 2 * row;
            let scale = f16(&[scales[at], scales[at + 1]]);
            let row_norm = f32::from(row_norms[block * PANEL + row]) / NORM_UNIT as f32;
            shifts[row] = scale.mul_add(*sum, shifts[row]);
            bounds[row] = (scale.abs() * row_norm).mul_add(*norm, bounds[row]);
        }
    }
    [shifts, bounds]
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn bounds_avx2(
    (scales, row_norms): (&[u8], &[u8]),
    (sums, norms): (&[f32], &[f32]),
) -> [[f32; PANEL]; 2] {
    use std::arch::x86_64::{
        _mm_loadl_epi64, _mm_loadu_si128, _mm256_and_ps, _mm256_castsi256_ps, _mm256_cvtepi32_ps,
        _mm256_cvtepu8_epi32, _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_mul_ps, _mm256_set1_epi32,
        _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
    };
    let magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(i32::MAX));
    let unit = _mm256_set1_ps(1.0 / NORM_UNIT as f32);
    let mut out = [[0.0; PANEL]; 2];
    for start in [0, PANEL / 2] {
        let [mut shift, mut bound] = [_mm256_setzero_ps(); 2];
        let blocks = scales.chunks_exact(SCALES).zip(row_norms.chunks_exact(PANEL));
        for ((scales, row_norms), (sum, norm)) in blocks.zip(sums.iter().zip(norms)) {
            let (scales, row_norms) = (&scales[2 * start..][..PANEL], &row_norms[start..][..8]);
            // SAFETY: sixteen bytes and eight are there.
            let scale = _mm256_cvtph_ps(unsafe { _mm_loadu_si128(scales.as_ptr().cast()) });
            // SAFETY: as above.
            let bytes = unsafe { _mm_loadl_epi64(row_norms.as_ptr().cast()) };
            let row_norm = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
            let size = _mm256_mul_ps(_mm256_and_ps(scale, magnitude), row_norm);
            shift = _mm256_fmadd_ps(scale, _mm256_set1_ps(*sum), shift);
            bound = _mm256_fmadd_ps(size, _mm256_set1_ps(*norm), bound);
        }
        let [shifts, bounds] = &mut out;
        for (out, sums) in [(shifts, shift), (bounds, _mm256_mul_ps(bound, unit))] {
            let out = &mut out[start..][..8];
            // SAFETY: eight floats go to eight floats.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sums) };
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::{DType, Packing};

    /// Scale of every block.
    const SCALE: [u8; 2] = [0x00, 0x24]; // 0.015625.

    #[test]
    fn a_bound_is_reached_where_the_input_is_like_the_lower_halves() {
        let (rows, columns) = (PANEL, 3 * BLOCK);
        let mut quant = 17_u8;
        let row = |_| (0..3).flat_map(|_| SCALE.into_iter().chain([0; BLOCK])).collect::<Vec<u8>>();
        let mut bytes: Vec<u8> = (0..rows).flat_map(row).collect();
        for block in bytes.chunks_exact_mut(2 + BLOCK) {
            for byte in &mut block[2..] {
                quant = quant.wrapping_mul(29).wrapping_add(113);
                *byte = quant;
            }
        }
        let packing = Packing { dtype: DType::Q8_0, is_split: true };
        for isa in Isa::available() {
            let pool = Pool::with_isa(NonZeroUsize::MIN, isa);
            let matrix = PackedMatrix::new(&pool, packing, &bytes, (rows, columns)).unwrap();
            for row in 0..rows {
                let own = &bytes[row * 3 * (2 + BLOCK)..][..3 * (2 + BLOCK)];
                let lower = |byte: &u8| f32::from((byte ^ 0x80) & 15) - 7.5;
                let x: Vec<f32> = own
                    .chunks_exact(2 + BLOCK)
                    .flat_map(|block| block[2..].iter().map(lower))
                    .collect();
                let x = QuantizedRows::new(&pool, &x, columns);
                let (pool, matrix, among) = (&pool, &matrix, rows);
                let (sources, norms) = (matrix.sources(), norms(&x));
                let search = Search { pool, matrix, sources, among, x: &x, norms };
                let mut most = vec![0.0; rows];
                let out = Target { out: Shared::new(&mut most), bias: &[], width: rows };
                let firsts = search.bound(&out);
                let mut products = vec![0.0; rows];
                let image = Image { matrix, bias: &[], out: &mut products };
                packed_matmul(pool, &mut [image], &x);
                let above = |row: usize| most[row] - products[row];
                let size = 3.0 * 26.0 * 26.0 * 0.015_625;
                assert!((0.0..0.02 * size).contains(&above(row)), "{isa:?}: {}", above(row));
                assert!((0..rows).all(|row| 0.0 <= above(row)));
                assert_eq!(firsts.len(), 1);
            }
        }
    }
}
