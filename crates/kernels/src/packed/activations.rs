//! Inputs of products as eight-bit integers.

#![expect(unsafe_code, reason = "tasks write disjoint rows, and a call needs AVX2")]
#![expect(clippy::multiple_unsafe_ops_per_block, reason = "one block has all parts of a task")]

#[cfg(target_arch = "x86_64")]
use std::ops::Range;

use super::Input;
#[cfg(target_arch = "x86_64")]
use super::groups::{Group, Groups};
use super::layout::BLOCK;
use crate::dequantize::scalar::f16;
use crate::shared::Shared;
use crate::{DType, Isa, Pool};

/// Rows that a task takes together: whole groups of three, four and six.
const ROWS_PER_TASK: usize = 12;

/// Adding it to a small number rounds that to the nearest integer, ties to
/// even, and leaves the integer in the low bits.
const ROUNDER: f32 = 12_582_912.0;

/// Rows (T, K) of numbers, each block of 32 as integers from -127 to 127 times
/// a scale.
#[derive(Debug, Default)]
pub struct QuantizedRows {
    /// What they were put in order for.
    isa: Option<Isa>,
    rows: usize,
    columns: usize,
    /// Shape (T, K).
    pub(super) values: Vec<i8>,
    /// Shape (T, K / 32).
    pub(super) scales: Vec<f32>,
    /// Sums of blocks, times their scales: shape (T, K / 32).
    pub(super) sums: Vec<f32>,
    /// Sums of half blocks, times their scales: shape (T, K / 16).
    pub(super) half_sums: Vec<f32>,
    /// The same for x86, which has other needs.
    #[cfg(target_arch = "x86_64")]
    groups: Groups,
}

impl QuantizedRows {
    /// Quantises `x` (T, K), where `columns` is K, a multiple of 32.
    ///
    /// A scale is the largest magnitude of its block over 127. A block with a
    /// number that is not finite becomes NaN as a whole.
    pub fn new(pool: &Pool, x: &[f32], columns: usize) -> Self {
        let mut new = Self::default();
        new.fill(pool, (x, columns), &[]);
        new
    }

    /// Like [`QuantizedRows::new`], in the memory of the old rows, after
    /// multiplying each row by `factors` (K) if there are any.
    pub fn fill(&mut self, pool: &Pool, (x, columns): (&[f32], usize), factors: &[f32]) {
        assert!(factors.is_empty() || factors.len() == columns, "{} factors", factors.len());
        assert!(columns != 0 && columns.is_multiple_of(BLOCK), "{columns} columns");
        assert_eq!(x.len() % columns, 0, "whole rows");
        let (rows, blocks) = (x.len() / columns, columns / BLOCK);
        (self.isa, self.rows, self.columns) = (Some(pool.isa()), rows, columns);
        self.values.resize(rows * columns, 0);
        self.scales.resize(rows * blocks, 0.0);
        self.sums.resize(rows * blocks, 0.0);
        self.half_sums.resize(2 * rows * blocks, 0.0);
        #[cfg(target_arch = "x86_64")]
        let groups = self.groups.reset(pool.isa(), (rows, blocks));
        let parts = (
            Shared::new(&mut self.values),
            Shared::new(&mut self.scales),
            Shared::new(&mut self.sums),
            Shared::new(&mut self.half_sums),
        );
        pool.run(rows.div_ceil(ROWS_PER_TASK), &|task| {
            let (from, to) = (task * ROWS_PER_TASK, rows.min((task + 1) * ROWS_PER_TASK));
            // SAFETY: tasks take different rows.
            let mut out = unsafe {
                Quantized {
                    values: parts.0.part(from * columns..to * columns),
                    scales: parts.1.part(from * blocks..to * blocks),
                    sums: parts.2.part(from * blocks..to * blocks),
                    half_sums: parts.3.part(2 * from * blocks..2 * to * blocks),
                }
            };
            quantize(pool.isa(), (&x[from * columns..to * columns], factors), &mut out);
            #[cfg(target_arch = "x86_64")]
            groups.put(from..to, (rows, blocks), &out);
        });
    }

    /// The rows in groups, if they were quantised for an instruction set that wants
    /// them, in the chunk of blocks that is `chunk`.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn groups(&self, chunk: Range<usize>) -> impl Iterator<Item = Group> {
        self.groups.iter(self.rows, chunk)
    }

    /// The chunks in which groups have `blocks` blocks.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn chunks(&self, blocks: usize) -> impl Iterator<Item = Range<usize>> {
        self.groups.chunks(blocks)
    }

    /// Panics if products with a matrix of `columns` columns on `pool` cannot read
    /// the rows: kernels rely on it.
    pub(super) fn check(&self, pool: &Pool, columns: usize) {
        assert_eq!(columns, self.columns, "columns of a product");
        assert_eq!(self.isa, Some(pool.isa()), "rows for another instruction set");
    }

    /// Rows, T.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns, K.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Where row `row` is.
    pub(super) fn input(&self, row: usize) -> Input {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let blocks = self.columns / BLOCK;
        Input {
            values: self.values[row * self.columns..].as_ptr(),
            scales: self.scales[row * blocks..].as_ptr(),
            sums: self.sums[row * blocks..].as_ptr(),
            half_sums: self.half_sums[2 * row * blocks..].as_ptr(),
        }
    }
}

/// Where blocks go.
pub(super) struct Quantized<'a> {
    pub(super) values: &'a mut [i8],
    pub(super) scales: &'a mut [f32],
    pub(super) sums: &'a mut [f32],
    pub(super) half_sums: &'a mut [f32],
}

fn quantize(isa: Isa, x: (&[f32], &[f32]), out: &mut Quantized) {
    match isa {
        Isa::Scalar => quantize_blocks(x, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the variants prove that the CPU has AVX2 and FMA.
        Isa::Avx2(_) | Isa::AvxVnni(_) => unsafe { quantize_avx2(x, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the variant proves that the CPU has the features.
        Isa::Avx512(_) => unsafe { quantize_avx512(x, out) },
        #[cfg(target_arch = "aarch64")]
        Isa::Neon(_) | Isa::NeonDot(_) => quantize_blocks(x, out),
    }
}

/// The definition, compiled for AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn quantize_avx2(x: (&[f32], &[f32]), out: &mut Quantized) {
    quantize_blocks(x, out);
}

/// The definition, compiled for AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
fn quantize_avx512(x: (&[f32], &[f32]), out: &mut Quantized) {
    quantize_blocks(x, out);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once more for each instruction set")]
fn quantize_blocks((x, factors): (&[f32], &[f32]), out: &mut Quantized) {
    let (blocks, _) = x.as_chunks::<BLOCK>();
    let (factors, _) = factors.as_chunks::<BLOCK>();
    let mut factors = factors.iter().cycle();
    let (values, _) = out.values.as_chunks_mut::<BLOCK>();
    let (half_sums, _) = out.half_sums.as_chunks_mut::<2>();
    let scales = out.scales.iter_mut().zip(&mut *out.sums);
    for ((x, values), (half_sums, (scale, sum))) in
        blocks.iter().zip(values).zip(half_sums.iter_mut().zip(scales))
    {
        let mut scaled = *x;
        if let Some(factors) = factors.next() {
            scaled.iter_mut().zip(factors).for_each(|(x, factor)| *x *= factor);
        }
        let x = &scaled;
        // Without its sign a float orders as its bits do, NaN above all.
        let largest = x.iter().fold(0, |max, x| max.max(x.to_bits() & 0x7fff_ffff));
        let largest = f32::from_bits(largest);
        *scale = if largest.is_finite() { largest / 127.0 } else { f32::NAN };
        let inverse = if *scale > 0.0 { 127.0 / largest } else { 0.0 };
        let mut totals = [0_i32; 2];
        for (half, total) in totals.iter_mut().enumerate() {
            for i in half * BLOCK / 2..(half + 1) * BLOCK / 2 {
                let rounded = (x[i] * inverse + ROUNDER).to_bits().cast_signed()
                    - ROUNDER.to_bits().cast_signed();
                *total += rounded;
                #[expect(clippy::cast_possible_truncation, reason = "at most 127")]
                let value = rounded as i8;
                values[i] = value;
            }
        }
        *sum = (totals[0] + totals[1]) as f32 * *scale;
        *half_sums = totals.map(|total| total as f32 * *scale);
    }
}

/// `x`, a multiple of 32 numbers, as `Q8_0` blocks of a GGUF file: each 32
/// numbers as integers from -127 to 127 after a half float that scales them.
pub fn quantize_q8_0(x: &[f32]) -> Vec<u8> {
    let (blocks, rest) = x.as_chunks::<BLOCK>();
    assert!(rest.is_empty(), "{} numbers", x.len());
    let mut out = Vec::with_capacity(blocks.len() * DType::Q8_0.block_bytes());
    for block in blocks {
        let largest = block.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
        let half = to_half(largest / 127.0);
        let scale = f16(&half);
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        out.extend(half);
        #[expect(clippy::cast_possible_truncation, reason = "clamped first")]
        out.extend(block.map(|x| {
            let rounded = (x * inverse).round_ties_even().clamp(-127.0, 127.0);
            (rounded as i8).cast_unsigned()
        }));
    }
    out
}

/// The half float next to `x`, which is not negative; the largest if none is
/// larger. A subnormal half is cut to zero.
fn to_half(x: f32) -> [u8; 2] {
    let bits = x.to_bits();
    // Round to ten bits of fraction, ties to even, and shift the exponent.
    let rounded = (bits + 0xfff + ((bits >> 13) & 1)) >> 13;
    let half = rounded.saturating_sub((127 - 15) << 10).min(0x7bff);
    let half = if half < 0x400 { 0 } else { half };
    #[expect(clippy::cast_possible_truncation, reason = "at most 0x7bff")]
    (half as u16).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use proptest::prelude::*;

    use super::*;

    fn pool(isa: Isa, threads: usize) -> Pool {
        Pool::with_isa(NonZeroUsize::new(threads).unwrap(), isa)
    }

    #[test]
    fn a_block_without_numbers_is_zero_and_one_with_nan_is_nan() {
        for isa in Isa::available() {
            let mut x = [0.0; 96];
            x[40] = f32::NAN;
            x[70] = f32::INFINITY;
            let rows = QuantizedRows::new(&pool(isa, 1), &x, 96);
            assert_eq!((rows.scales[0], rows.sums[0]), (0.0, 0.0));
            assert!(rows.scales[1].is_nan() && rows.scales[2].is_nan());
        }
    }

    #[test]
    fn half_floats_are_the_nearest() {
        for (x, want) in [(0.0, 0.0), (1.0, 1.0), (0.333_33, 0.333_25), (1e9, 65_504.0)] {
            assert!((f16(&to_half(x)) - want).abs() < 1e-4, "{x}");
        }
    }

    proptest! {
        #[test]
        fn blocks_of_a_file_are_near_their_numbers(
            x in proptest::collection::vec(-9.0_f32..9.0, 64),
        ) {
            let mut found = vec![0.0; 64];
            crate::dequantize(Isa::Scalar, DType::Q8_0, &quantize_q8_0(&x), &mut found);
            for (found, x) in found.iter().zip(&x) {
                prop_assert!((found - x).abs() <= 9.0 / 127.0 * 0.55);
            }
        }

        #[test]
        fn a_number_is_off_by_half_a_step_at_most(
            x in proptest::collection::vec(-9.0_f32..9.0, 32 * 30),
        ) {
            let want = QuantizedRows::new(&pool(Isa::Scalar, 1), &x, 32);
            for (i, x) in x.iter().enumerate() {
                let scale = want.scales[i / 32];
                prop_assert!((f32::from(want.values[i]) * scale - x).abs() <= 0.501 * scale);
            }
            for isa in Isa::available() {
                let found = QuantizedRows::new(&pool(isa, 2), &x, 32);
                prop_assert_eq!(&found.values, &want.values);
                prop_assert_eq!(&found.scales, &want.scales);
                prop_assert_eq!(&found.sums, &want.sums);
                prop_assert_eq!(&found.half_sums, &want.half_sums);
            }
        }
    }
}
